"""``fig-pinning-occupancy``: chunks at the end of each stream, by how many of their pages live."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.growth_panels import bar_panels
from vmalloc_model.units import count_text

__all__ = ["chart"]

_COLOURS = {
    "current": theme.SKY,
    "empty": theme.VERMILION,
    "thin": theme.ORANGE,
    "low": theme.PURPLE,
    "part": theme.BLUE,
    "most": theme.GREEN,
    "full": theme.MUTED,
}


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.pinning.occupancy_table`."""
    return bar_panels(table, "part", "chunks", _COLOURS, "chunks", count_text, _axis)


def _axis(_most: float) -> dict[str, Any]:
    return {"tickCount": 5, "format": ",~r"}
