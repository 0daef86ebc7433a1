"""``fig-eligible``: share of requests, and of their bytes, that each chunk size admits."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import chunk_x, size_mark
from vmalloc_model.units import size_text

__all__ = ["chart"]

_HEIGHT = 230


def chart(table: pl.DataFrame, chunk_size: int) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.eligibility.eligible_table`, one panel per measure.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; a vertical line marks it.
    """
    shown = table.with_columns(
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
        percent=100 * pl.col("share"),
    )
    streams = shown["stream"].unique(maintain_order=True).to_list()
    chunks = sorted(set(shown["chunk_size"].to_list()))
    low, high = chunks[0], chunks[-1]
    x = chunk_x(low, high)
    legend = alt.Legend(columns=3, symbolSize=100)
    panels = []
    for measure in ("requests", "bytes"):
        base = alt.Chart(shown.filter(pl.col("measure") == measure)).encode(
            x=x,
            y=alt.Y(
                "percent:Q",
                title=f"eligible {measure} (%)",
                scale=alt.Scale(domain=[0, 100]),
            ),
            color=alt.Color(
                "stream:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=streams, range=list(theme.PALETTE)),
            ),
        )
        points = base.mark_point(size=50, opacity=1, filled=True).encode(
            shape=alt.Shape(
                "stream:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=streams, range=list(theme.SHAPES)),
            ),
            tooltip=[
                alt.Tooltip("stream:N", title="requests of"),
                alt.Tooltip("label:N", title="these are"),
                alt.Tooltip("chunk:N", title="chunk size"),
                alt.Tooltip("admitted:Q", title=f"eligible {measure}", format=","),
                alt.Tooltip("total:Q", title=f"all {measure}", format=","),
                alt.Tooltip("percent:Q", title="share (%)", format=".2f"),
            ],
        )
        lines = base.mark_line(strokeWidth=1.5)
        panels.append(
            alt.layer(size_mark(chunk_size, x, bottom=True), lines, points).properties(
                width=theme.WIDTH - 60, height=_HEIGHT
            )
        )
    return alt.vconcat(*panels, spacing=16)
