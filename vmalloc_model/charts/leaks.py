"""``fig-leaks-rate``: address space that each policy loses for good per million allocations."""

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
    "drained": theme.VERMILION,
    "tail": theme.ORANGE,
    "padding": theme.PURPLE,
}


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.leaks.losses_table`.

    A panel for each stream on which something is lost; with none, one for the first.
    """
    lossy = table.filter(pl.col("lost") > 0)["stream"].unique(maintain_order=True).to_list()
    parts = (
        table.filter(pl.col("stream").is_in(lossy or table["stream"].to_list()[:1]))
        .select("stream", "recorded", "policy", *_COLOURS)
        .unpivot(
            on=list(_COLOURS),
            index=["stream", "recorded", "policy"],
            variable_name="part",
            value_name="bytes",
        )
    )
    title = "lost for good per million allocations"
    return bar_panels(parts, "part", "bytes", _COLOURS, title, _text, _axis)


def _text(size: float) -> str:
    return size_text(size) if size else "0"


def _axis(most: float) -> dict[str, Any]:
    """Ticks at multiples of a power of two bytes, four to eight of them."""
    step = int(power_of_two_at_most(max(most, 8) / 4))
    values = list(range(0, int(most) + 1, step))
    return {"values": values, "labelExpr": f"datum.value == 0 ? '0' : {SIZE_LABEL}"}
