"""``fig-growth-chunks``: every chunk that a stream installed, by its state at the end."""

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
    "live": theme.BLUE,
    "purge": theme.PURPLE,
    "drained": theme.VERMILION,
    "forgotten": theme.ORANGE,
    "released": theme.GREEN,
}


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.growth.chunk_states`."""
    return bar_panels(table, "state", "chunks", _COLOURS, "chunks", count_text, _axis)


def _axis(_most: float) -> dict[str, Any]:
    return {"tickCount": 5, "format": ",~r"}
