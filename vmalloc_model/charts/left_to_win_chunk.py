"""``fig-left-chunk``: visits to the global lock against chunk size, a panel for each stream."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis, size_axis, size_scale
from vmalloc_model.units import size_text

__all__ = ["LEAST", "chart"]

LEAST: Final = 0.05
"""Lower end of the axis; what is below is drawn there."""

_COLUMNS: Final = 2


def chart(table: pl.DataFrame, chunk_size: int) -> alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.left_to_win.chunk_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; a vertical line marks it.
    """
    variants = table["variant"].unique(maintain_order=True).to_list()
    streams = table["stream"].unique(maintain_order=True).to_list()
    shown = table.with_columns(
        at=pl.max_horizontal("visits", pl.lit(LEAST)),
        left=pl.max_horizontal("rest", pl.lit(LEAST)),
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
    )
    low, high = min(shown["chunk_size"].to_list()), max(shown["chunk_size"].to_list())
    most = 1.5 * max(shown["at"].to_list())
    x = alt.X(
        "chunk_size:Q",
        scale=size_scale(low, high),
        axis=size_axis("chunk size (log scale)", low, high, step=32),
    )
    scale = alt.Scale(type="log", base=10, domain=[LEAST, most], nice=False)
    y = alt.Y("at:Q", scale=scale, axis=count_axis("visits (log scale)", LEAST, most))
    legend = alt.Legend(symbolType="stroke", symbolSize=400)
    colour = alt.Color(
        "variant:N",
        title=None,
        legend=legend,
        scale=alt.Scale(domain=variants, range=[theme.BLUE, theme.VERMILION]),
    )
    base = alt.Chart(shown)
    rule = base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(chunk_size))
    lines = base.mark_line(strokeWidth=1.8).encode(
        x=x,
        y=y,
        color=colour,
        strokeDash=alt.StrokeDash(
            "variant:N",
            title=None,
            legend=legend,
            scale=alt.Scale(domain=variants, range=[theme.DASHES[0], theme.DASHES[1]]),
        ),
    )
    floors = base.mark_line(strokeWidth=1.6).encode(
        x=x, y=alt.Y("left:Q", scale=scale), color=colour, strokeDash=alt.value([1, 3])
    )
    points = (
        base.transform_filter("datum.told")
        .mark_point(size=26, opacity=1, filled=True)
        .encode(
            x=x,
            y=y,
            color=colour,
            tooltip=[
                alt.Tooltip("stream:N", title="stream"),
                alt.Tooltip("variant:N", title="variant"),
                alt.Tooltip("chunk:N", title="chunk size"),
                alt.Tooltip("visits:Q", title="visits per 1,000", format=",.3~r"),
                alt.Tooltip("chunks:Q", title="of these for chunks", format=",.3~r"),
                alt.Tooltip("saved:Q", title="doubling saves", format=",.3~r"),
            ],
        )
    )
    return (
        alt.layer(rule, floors, lines, points)
        .properties(width=(theme.WIDTH - 150) // _COLUMNS, height=100)
        .facet(
            facet=alt.Facet(
                "stream:N", title=None, sort=streams, header=alt.Header(labelFontSize=12)
            ),
            columns=_COLUMNS,
            spacing=12,
        )
    )
