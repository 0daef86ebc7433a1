"""Logarithmic axes: sizes in KiB, MiB and GiB, and counts."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.units import size_text

__all__ = [
    "SIZE_LABEL",
    "chunk_x",
    "count_axis",
    "size_axis",
    "size_mark",
    "size_scale",
    "size_ticks",
]

SIZE_LABEL: Final = (
    "datum.value >= pow(2, 40) ? format(datum.value / pow(2, 40), ',') + ' TiB'"
    " : datum.value >= pow(2, 30) ? format(datum.value / pow(2, 30), ',') + ' GiB'"
    " : datum.value >= pow(2, 20) ? format(datum.value / pow(2, 20), ',') + ' MiB'"
    " : format(datum.value / pow(2, 10), ',') + ' KiB'"
)
"""Vega expression that prints the bytes of a tick."""


def size_ticks(low: int, high: int, step: int = 4) -> list[int]:
    """Powers of `step` in ``[low, high]``: every second or third power of two keeps labels apart.

    Examples
    --------
    >>> size_ticks(4096, 1 << 20)
    [4096, 16384, 65536, 262144, 1048576]
    """
    ticks, value = [], 1
    while value <= high:
        if value >= low:
            ticks.append(value)
        value *= step
    return ticks


def size_scale(low: int, high: int) -> alt.Scale:
    """Scale from `low` to `high` bytes, logarithmic to base 2."""
    return alt.Scale(type="log", base=2, domain=[low, high], nice=False)


def size_axis(title: str, low: int, high: int, step: int = 4) -> alt.Axis:
    """Axis with a tick at the powers of `step` in ``[low, high]`` bytes."""
    ticks = size_ticks(low, high, step)
    return alt.Axis(title=title, values=ticks, labelExpr=SIZE_LABEL, labelSeparation=8)


def chunk_x(low: int, high: int) -> alt.X:
    """Channel of a sweep over chunk sizes, column ``chunk_size``, for ``[low, high]`` bytes."""
    return alt.X(
        "chunk_size:Q",
        scale=size_scale(low, high),
        axis=size_axis("chunk size (log scale)", low, high),
    )


def count_axis(title: str, low: float, high: float) -> alt.Axis:
    """Axis of a logarithmic count with a tick at the powers of ten in ``[low, high]``."""
    powers = [10.0**exponent for exponent in range(-6, 16)]
    ticks = [power for power in powers if low <= power * (1 + 1e-9) and power <= high]
    return alt.Axis(title=title, values=ticks, format=",~r")


def size_mark(size: int, x: alt.X, bottom: bool = False) -> alt.LayerChart | alt.FacetChart:
    """Vertical line at a size in bytes, with the size beside its upper or lower end."""
    base = alt.Chart(pl.DataFrame({"size": [size], "text": [size_text(size)]}))
    at = x.copy()
    at["shorthand"] = "size:Q"
    rule = base.mark_rule(strokeDash=[3, 3]).encode(x=at)
    y = alt.value("height") if bottom else alt.value(2)
    text = base.mark_text(
        align="left", baseline="bottom" if bottom else "top", dx=4, dy=-3 if bottom else 0
    )
    return alt.layer(rule, text.encode(x=at, y=y, text="text:N"))
