"""Panels of the chapter *Edges*: a cell for each policy and number of CPUs, its value inside."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.growth_panels import heading

__all__ = ["cell_panels"]


def cell_panels(
    table: pl.DataFrame, value: str, highest: float, legend: alt.Legend, *, low_is_bad: bool
) -> alt.VConcatChart:
    """Draw one panel for each platform: policies down, CPUs across; a worse value is darker.

    Parameters
    ----------
    table : polars.DataFrame
        ``platform``, ``policy``, ``cpus``, the column `value`, and ``text``: what stands in the
        cell.
    value : str
        Column from 0 to `highest`.
    highest : float
        End of the scale.
    legend : altair.Legend
        Of the colours.
    low_is_bad : bool
        Whether a low value is the worse one.
    """
    scale = alt.Scale(domain=[0, highest], scheme="viridis", reverse=not low_is_bad, clamp=True)
    shown = table.with_columns(
        dark=(pl.col(value) < highest / 2) == low_is_bad,
        across=pl.col("cpus").map_elements(lambda cpus: f"{cpus:,}", pl.String),
    )
    panels = [
        _panel(shown.filter(platform=platform), value, scale, legend)
        for platform in shown["platform"].unique(maintain_order=True).to_list()
    ]
    return alt.vconcat(*panels, spacing=14)


def _panel(
    shown: pl.DataFrame, value: str, scale: alt.Scale, legend: alt.Legend
) -> alt.LayerChart | alt.FacetChart:
    base = alt.Chart(shown).encode(
        x=alt.X(
            "across:O",
            sort=shown["across"].unique(maintain_order=True).to_list(),
            axis=alt.Axis(title="CPUs"),
        ),
        y=alt.Y("policy:N", title=None, sort=shown["policy"].unique(maintain_order=True).to_list()),
        tooltip=[
            alt.Tooltip("platform:N", title="platform"),
            alt.Tooltip("policy:N", title="policy"),
            alt.Tooltip("across:N", title="CPUs"),
            alt.Tooltip("text:N", title="value"),
        ],
    )
    cells = base.mark_rect(stroke=theme.PAPER, strokeWidth=1).encode(
        color=alt.Color(f"{value}:Q", scale=scale, legend=legend)
    )
    inside = base.encode(text="text:N")
    dark, light = (
        inside.transform_filter(alt.datum.dark == state).mark_text(color=colour, fontSize=11)
        for state, colour in ((True, theme.ON_DARK_FILL), (False, theme.ON_LIGHT_FILL))
    )
    return alt.layer(cells, dark, light).properties(
        width=theme.WIDTH - 130,
        height={"step": 24},
        title=heading(shown["platform"].to_list()[0], False),
    )
