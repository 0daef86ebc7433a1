"""``fig-growth-lost``: what lies below the high-water mark when a stream ends."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.growth_panels import bar_panels
from vmalloc_model.charts.sizes import SIZE_LABEL
from vmalloc_model.units import power_of_two_at_most, size_text

__all__ = ["chart"]

_COLOURS = {
    "live": theme.GREEN,
    "free": theme.MUTED,
    "room": theme.SKY,
    "held": theme.BLUE,
    "tail": theme.ORANGE,
    "padding": theme.PURPLE,
    "drained": theme.VERMILION,
}


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.growth.parts_table`."""
    title = "address space below the high-water mark"
    return bar_panels(table, "part", "bytes", _COLOURS, title, size_text, _axis)


def _axis(most: float) -> dict[str, Any]:
    """Ticks at multiples of a power of two bytes, four to eight of them."""
    step = int(power_of_two_at_most(max(most, 8) / 4))
    values = list(range(0, int(most) + 1, step))
    return {"values": values, "labelExpr": f"datum.value == 0 ? '0' : {SIZE_LABEL}"}
