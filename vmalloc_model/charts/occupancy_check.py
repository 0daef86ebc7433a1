"""``fig-occupancy-check``: simulated less exact means, in standard errors."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.units import size_text

__all__ = ["chart"]

_MEASURES = {
    "requests": (theme.BLUE, "circle"),
    "padding": (theme.PURPLE, "diamond"),
    "tail": (theme.VERMILION, "triangle-up"),
}


def chart(table: pl.DataFrame, band: float) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.occupancy_check.check_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there; rows without randomness are left out.
    band : float
        Standard errors; the band from ``-band`` to ``band`` is shaded.
    """
    shown = table.filter(pl.col("z").is_not_null()).with_columns(
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
        row=pl.concat_str(
            "mix", pl.lit(": "), pl.col("chunk_size").map_elements(size_text, pl.String)
        ),
    )
    rows = shown["row"].unique(maintain_order=True).to_list()
    edge = max([band + 1, *(abs(z) + 0.5 for z in shown["z"].to_list())])
    x = alt.X(
        "z:Q",
        scale=alt.Scale(domain=[-edge, edge], nice=False),
        axis=alt.Axis(title="simulated less exact (standard errors)", tickCount=9),
    )
    shade = (
        alt.Chart(pl.DataFrame({"low": [-band], "high": [band]}))
        .mark_rect(color=theme.MUTED, opacity=0.16)
        .encode(x=alt.X("low:Q", scale=alt.Scale(domain=[-edge, edge], nice=False)), x2="high:Q")
    )
    zero = alt.Chart(pl.DataFrame({"z": [0.0]})).mark_rule().encode(x=x)
    names = list(_MEASURES)
    points = (
        alt.Chart(shown)
        .mark_point(size=62, opacity=0.9, filled=True)
        .encode(
            x=x,
            y=alt.Y("row:N", title=None, sort=rows, axis=alt.Axis(labelLimit=240, grid=True)),
            color=alt.Color(
                "measure:N",
                title=None,
                scale=alt.Scale(domain=names, range=[_MEASURES[name][0] for name in names]),
            ),
            shape=alt.Shape(
                "measure:N",
                title=None,
                scale=alt.Scale(domain=names, range=[_MEASURES[name][1] for name in names]),
            ),
            tooltip=[
                alt.Tooltip("mix:N", title="mix"),
                alt.Tooltip("chunk:N", title="chunk size"),
                alt.Tooltip("measure:N", title="mean over chunks"),
                alt.Tooltip("exact:Q", title="exact", format=",.4~f"),
                alt.Tooltip("simulated:Q", title="simulated", format=",.4~f"),
                alt.Tooltip("z:Q", title="standard errors apart", format="+.2f"),
                alt.Tooltip("chunks:Q", title="chunks", format=","),
            ],
        )
    )
    return alt.layer(shade, zero, points).properties(width=theme.WIDTH - 220, height={"step": 15})
