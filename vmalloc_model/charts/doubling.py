"""``fig-doubling``: global visits against chunk size, and where doubling saves little."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import chunk_x, count_axis, size_mark
from vmalloc_model.units import size_text

__all__ = ["chart"]


def chart(table: pl.DataFrame, chunk_size: int, barely: float) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.amortisation.doubling_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; a vertical line marks it.
    barely : float
        The criterion the table was made with, for the legend.
    """
    saves = (f"{barely:g} or more", f"less than {barely:g}")
    shown = table.with_columns(
        mean=pl.col("mean_size").map_elements(size_text, pl.String),
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
        doubling=pl.when("barely").then(pl.lit(saves[1])).otherwise(pl.lit(saves[0])),
    )
    means = shown.unique("mean", maintain_order=True).sort("mean_size")["mean"].to_list()
    chunks, visits = sorted(set(table["chunk_size"].to_list())), table["visits"].to_list()
    low, high, least = chunks[0], chunks[-1], min(visits) / 2
    x = chunk_x(low, high)
    y = alt.Y(
        "visits:Q",
        scale=alt.Scale(type="log", base=10, domain=[least, 2000]),
        axis=count_axis("global visits per 1,000 allocations (log scale)", least, 2000),
    )
    stroke = alt.Legend(symbolType="stroke", symbolSize=400)
    colours = alt.Scale(domain=means, range=list(theme.PALETTE))
    dashes = alt.Scale(domain=means, range=list(theme.DASHES))
    colour = alt.Color("mean:N", title="mean payload:", scale=colours, legend=stroke)
    base = alt.Chart(shown).encode(x=x, y=y, color=colour)
    lines = base.mark_line(strokeWidth=1.5).encode(
        strokeDash=alt.StrokeDash("mean:N", title="mean payload:", scale=dashes, legend=stroke)
    )
    points = (
        base.transform_filter(alt.datum.allocations > 0)
        .mark_point(size=55, opacity=1, filled=True)
        .encode(
            shape=alt.Shape(
                "doubling:N",
                title="doubling saves, per 1,000:",
                scale=alt.Scale(domain=saves, range=["circle", "triangle-down"]),
                legend=alt.Legend(symbolFillColor=theme.INK, symbolStrokeColor=theme.INK),
            ),
            tooltip=[
                alt.Tooltip("chunk:N", title="chunk size"),
                alt.Tooltip("mean:N", title="mean payload"),
                alt.Tooltip("allocations:Q", title="allocations per refill", format=","),
                alt.Tooltip("visits:Q", title="visits per 1,000", format=",.3~r"),
                alt.Tooltip("saved:Q", title="doubling saves per 1,000", format=",.3~r"),
                alt.Tooltip("ratio:Q", title="visits before / after doubling", format=".3~r"),
            ],
        )
    )
    return alt.layer(size_mark(chunk_size, x), lines, points)
