"""``fig-refills``: global visits of recorded request streams against chunk size."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import chunk_x, count_axis, size_mark
from vmalloc_model.units import count_text, size_text

__all__ = ["chart"]


def chart(table: pl.DataFrame, chunk_size: int) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.refills.refills_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; a vertical line marks it.
    """
    shown = table.with_columns(
        stream=pl.concat_str("run", pl.lit(", "), "order"),
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
    )
    model = shown.filter(pl.col("what") == "model")
    streams = model["stream"].unique(maintain_order=True).to_list()
    measured = shown.filter(pl.col("what") == "measured").with_columns(
        text=pl.lit("measured: ")
        + pl.col("refills").map_elements(count_text, pl.String)
        + " refills"
    )
    chunks, visits = table["chunk_size"].to_list(), table["visits_per_1000"].to_list()
    low, high, least, most = min(chunks), max(chunks), min(visits) / 1.5, max(visits) * 1.5
    x = chunk_x(low, high)
    y = alt.Y(
        "visits_per_1000:Q",
        scale=alt.Scale(type="log", base=10, domain=[least, most]),
        axis=count_axis("global visits per 1,000 requests (log scale)", least, most),
    )
    tooltip = [
        alt.Tooltip("stream:N", title="recorded run, order"),
        alt.Tooltip("what:N", title="refills are"),
        alt.Tooltip("chunk:N", title="chunk size"),
        alt.Tooltip("requests:Q", title="requests", format=","),
        alt.Tooltip("refills:Q", title="refills", format=","),
        alt.Tooltip("too_large:Q", title="above half a chunk", format=","),
        alt.Tooltip("visits_per_1000:Q", title="visits per 1,000", format=",.3~r"),
    ]
    legend = alt.Legend(columns=2, symbolSize=100)
    base = alt.Chart(model).encode(
        x=x,
        y=y,
        color=alt.Color(
            "stream:N",
            title=None,
            legend=legend,
            scale=alt.Scale(domain=streams, range=list(theme.PALETTE)),
        ),
    )
    lines = base.mark_line(strokeWidth=1.5)
    points = base.mark_point(size=50, opacity=1, filled=True).encode(
        shape=alt.Shape(
            "stream:N",
            title=None,
            legend=legend,
            scale=alt.Scale(domain=streams, range=list(theme.SHAPES)),
        ),
        tooltip=tooltip,
    )
    logged = alt.Chart(measured).encode(x=x, y=y, tooltip=tooltip)
    ring = logged.mark_point(
        shape="circle", size=260, filled=False, strokeWidth=2, color=theme.INK, opacity=1
    )
    text = logged.mark_text(align="right", dx=-14, dy=16).encode(text="text:N")
    return alt.layer(size_mark(chunk_size, x), lines, points, ring, text)
