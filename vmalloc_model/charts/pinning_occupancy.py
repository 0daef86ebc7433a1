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
    "current": (theme.SKY, ""),
    "empty": (theme.VERMILION, " 0"),
    "thin": (theme.ORANGE, " <1 %"),
    "low": (theme.PURPLE, " <10 %"),
    "part": (theme.BLUE, " <50 %"),
    "most": (theme.GREEN, " <90 %"),
    "full": (theme.MUTED, ""),
}


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.pinning.occupancy_table`."""
    names = {part: part + more for part, (_, more) in _COLOURS.items()}
    shown = table.with_columns(pl.col("part").replace_strict(names))
    colours = {names[part]: colour for part, (colour, _) in _COLOURS.items()}
    return bar_panels(shown, "part", "chunks", colours, "chunks", count_text, _axis)


def _axis(_most: float) -> dict[str, Any]:
    return {"tickCount": 5, "format": ",~r"}
