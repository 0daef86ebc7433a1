"""``fig-occupancy-tail``: the share of a chunk that its tail takes, against chunk size."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts.occupancy_panels import line_panels
from vmalloc_model.charts.sizes import count_axis
from vmalloc_model.units import share_text, size_text

__all__ = ["chart"]


def chart(table: pl.DataFrame, chunk_size: int) -> alt.VConcatChart:
    """Draw `vmalloc_model.studies.occupancy.chunk_table`; mixes without tail are left out.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; a vertical line marks it.
    """
    shown = table.filter(pl.col("tail") > 0).with_columns(
        percent=100 * pl.col("tail") / pl.col("chunk_size"),
        share=(pl.col("tail") / pl.col("chunk_size")).map_elements(share_text, pl.String),
        bytes=pl.col("tail").map_elements(size_text, pl.String),
    )
    values = shown["percent"].to_list() or [1.0]
    least, most = min(values) / 1.5, max(values) * 1.5
    y = alt.Y(
        "percent:Q",
        scale=alt.Scale(type="log", base=10, domain=[least, most]),
        axis=count_axis("tail, % of the chunk (log scale)", least, most),
    )
    tooltip = [
        alt.Tooltip("share:N", title="tail, share of the chunk"),
        alt.Tooltip("bytes:N", title="tail"),
    ]
    return line_panels(shown, "percent", y, chunk_size, tooltip)
