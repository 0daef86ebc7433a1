"""``fig-edges-full``: what a range consists of when the first allocation fails."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.growth_panels import bar_panels
from vmalloc_model.units import share_text

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
"""The colours that the parts have in the chapter on growth."""


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.edges_full.full_parts`."""
    return bar_panels(table, "part", "share", _COLOURS, "share of the range", share_text, _axis)


def _axis(_most: float) -> dict[str, Any]:
    return {"values": [0, 0.25, 0.5, 0.75, 1], "format": "%"}
