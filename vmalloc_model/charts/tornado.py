"""Figure fig-tornado: how far one assumption moves one end of the feasible interval."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts.sizes import size_axis, size_scale
from vmalloc_model.charts.theme import BLUE, INK, VERMILION
from vmalloc_model.units import power_of_two_at_least, power_of_two_at_most, size_text

__all__ = ["chart"]

_ENDS: Final = ("low", "high")


def chart(table: pl.DataFrame, chunk_size: int) -> alt.LayerChart:
    """Draw the table of `vmalloc_model.studies.together_changes.changes`.

    A bar runs from the end as it is to the end as it becomes; a stroke marks the former, a point
    the latter.

    Parameters
    ----------
    table : polars.DataFrame
        One row per change.
    chunk_size : int
        Bytes; marked by a vertical line.
    """
    # an end of nothing has no place on a logarithmic axis; the table still lists it
    shown = table.filter((pl.col("base") > 0) & (pl.col("changed") > 0))
    order = shown["change"].to_list()
    ends = [*shown["base"].to_list(), *shown["changed"].to_list(), chunk_size]
    left = int(power_of_two_at_most(min(ends))) // 4
    right = int(power_of_two_at_least(max(ends))) * 16
    x = alt.X("base:Q").scale(size_scale(left, right))
    x = x.axis(size_axis("chunk size, logarithmic", left, right, step=16))
    base = alt.Chart(shown).encode(
        y=alt.Y("change:N").sort(order).axis(title=None, grid=True),
        color=alt.Color("end:N")
        .scale(domain=_ENDS, range=[BLUE, VERMILION])
        .legend(title="end of the interval that moves", orient="top", symbolOpacity=1),
        tooltip=[
            alt.Tooltip("meaning:N", title="assumption"),
            alt.Tooltip("end:N", title="end"),
            alt.Tooltip("base_text:N", title="before"),
            alt.Tooltip("changed_text:N", title="after"),
            alt.Tooltip("doublings:Q", title="doublings", format="+.2f"),
        ],
    )
    judged = alt.Chart(
        pl.DataFrame({"chunk": [chunk_size], "text": [size_text(chunk_size)]})
    ).encode(x=alt.X("chunk:Q"))
    return alt.LayerChart(
        layer=[
            judged.mark_rule(color=INK, strokeWidth=1.5),
            judged.mark_text(dy=-8, color=INK).encode(y=alt.value(0), text="text:N"),
            base.mark_bar(height=9, opacity=0.45).encode(x=x, x2="changed:Q"),
            base.mark_tick(thickness=3, size=18).encode(x=x),
            base.mark_point(filled=True, size=75, opacity=1).encode(
                x=alt.X("changed:Q"),
                shape=alt.Shape("end:N").scale(domain=_ENDS, range=["circle", "square"]),
            ),
            # always to the right: left of a bar there is no room on a narrow page
            base.transform_calculate(edge="max(datum.base, datum.changed)")
            .mark_text(align="left", dx=9)
            .encode(x=alt.X("edge:Q"), text="changed_text:N", color=alt.value(INK)),
        ],
        height={"step": 24},
    )
