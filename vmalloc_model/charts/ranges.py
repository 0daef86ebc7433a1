"""Figure fig-ranges: the vmalloc ranges beside the two that the mail names."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts.sizes import SIZE_LABEL
from vmalloc_model.charts.theme import CHECKED, INK, MUTED, STATED

__all__ = ["chart"]

_LABEL: Final = (
    f"datum.value >= pow(2, 50) ? format(datum.value / pow(2, 50), ',') + ' PiB' : {SIZE_LABEL}"
)
_TICKS: Final = [1 << shift for shift in range(20, 51, 10)]
_KINDS: Final = ("vmalloc range", "in the mail", "something else")


def chart(table: pl.DataFrame) -> alt.LayerChart:
    """Draw the table of `vmalloc_model.studies.address_stated.ranges`.

    One row per range, with a dashed line through each size that the mail names.
    """
    order = table["label"].to_list()
    x = (
        alt.X("size:Q")
        .scale(type="log", base=2, nice=False, domain=_domain(table))
        .axis(title="size, logarithmic", values=_TICKS, labelExpr=_LABEL)
    )
    y = alt.Y("label:N").sort(order).axis(title=None, grid=True)
    base = alt.Chart(table)
    named = base.transform_filter(f"datum.kind === '{_KINDS[1]}'")
    lines = named.mark_rule(strokeDash=[4, 3], color=STATED).encode(x=x)
    points = base.mark_point(size=80, filled=True, opacity=1).encode(
        x=x,
        y=y,
        color=alt.Color("kind:N")
        .scale(domain=_KINDS, range=[CHECKED, STATED, MUTED])
        .legend(title=None, orient="top"),
        shape=alt.Shape("kind:N").scale(domain=_KINDS, range=["circle", "diamond", "square"]),
        tooltip=[
            alt.Tooltip("label:N", title="what"),
            alt.Tooltip("size_text:N", title="size"),
            alt.Tooltip("size:Q", title="bytes", format=","),
            alt.Tooltip("source:N", title="source"),
        ],
    )
    names = named.mark_text(align="right", dx=-9, color=INK).encode(x=x, y=y, text="size_text:N")
    return alt.LayerChart(layer=[lines, points, names], height={"step": 17})


def _domain(table: pl.DataFrame) -> list[int]:
    """Powers of two with room for a mark and a label beside the outermost sizes."""
    sizes = table["size"].to_list()
    return [1 << (min(sizes).bit_length() - 2), 1 << (max(sizes).bit_length() + 1)]
