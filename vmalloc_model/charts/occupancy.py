"""``fig-occupancy``: requests per refill against chunk size, for each mix."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts.occupancy_panels import line_panels
from vmalloc_model.charts.sizes import count_axis

__all__ = ["chart"]


def chart(table: pl.DataFrame, chunk_size: int) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.occupancy.chunk_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; a vertical line marks it.
    """
    most = 2 * max(table["requests"].to_list(), default=1.0)
    y = alt.Y(
        "requests:Q",
        scale=alt.Scale(type="log", base=10, domain=[1, most]),
        axis=count_axis("requests per refill (log scale)", 1, most),
    )
    tooltip = [
        alt.Tooltip("requests:Q", title="requests per refill", format=",.2f"),
        alt.Tooltip("eligible:Q", title="eligible share", format=".2%"),
    ]
    return line_panels(table, "requests", y, chunk_size, tooltip)
