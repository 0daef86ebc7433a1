"""Figure fig-feasible: intervals of chunk sizes that meet all three arguments, per platform."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts.sizes import size_axis, size_scale
from vmalloc_model.charts.theme import BLUE, GREEN, INK, VERMILION
from vmalloc_model.units import power_of_two_at_least, power_of_two_at_most, size_text

__all__ = ["chart"]

_EMPTY: Final = "nothing is feasible: the ends cross"


def chart(table: pl.DataFrame, chunk_size: int) -> alt.LayerChart:
    """Draw the table of `vmalloc_model.studies.together.feasible`.

    One line per platform and machine, with a point at each power of two in it. An empty interval
    is a dotted line from its high end to its low end, with an arrow at both.

    Parameters
    ----------
    table : polars.DataFrame
        The intervals.
    chunk_size : int
        Bytes; marked by a vertical line.
    """
    order = table["label"].unique(maintain_order=True).to_list()
    machines = table["machine"].unique(maintain_order=True).to_list()
    # a budget of less than one page leaves nothing: drawn at one page
    shown = table.with_columns(pl.max_horizontal("high", "page_size").alias("drawn_high"))
    ends = [*shown["low"].to_list(), *shown["drawn_high"].to_list(), chunk_size]
    left = int(power_of_two_at_most(min(ends))) // 2
    right = int(power_of_two_at_least(max(ends))) * 16
    x = alt.X("low:Q").scale(size_scale(left, right))
    x = x.axis(size_axis("chunk size, logarithmic", left, right, step=16))
    kinds = [*machines, _EMPTY]
    color = (
        alt.Color("kind:N")
        .scale(domain=kinds, range=[*[BLUE, GREEN][: len(machines)], VERMILION])
        .legend(title=None, orient="top", columns=1, symbolType="stroke")
    )
    base = alt.Chart(
        shown.with_columns(
            pl.when("empty").then(pl.lit(_EMPTY)).otherwise("machine").alias("kind"),
            pl.col("empty").replace_strict({True: "empty", False: "feasible"}).alias("found"),
        )
    ).encode(
        y=alt.Y("label:N").sort(order).axis(title=None, grid=True),
        yOffset=alt.YOffset("machine:N").scale(domain=machines, paddingOuter=0.3),
        color=color,
        tooltip=[
            alt.Tooltip("label:N", title="platform"),
            alt.Tooltip("range:N", title="vmalloc range"),
            alt.Tooltip("machine:N", title="machine"),
            alt.Tooltip("cpus:Q", title="CPUs", format=","),
            alt.Tooltip("low_text:N", title="low end"),
            alt.Tooltip("high_text:N", title="high end"),
            alt.Tooltip("powers_text:N", title="powers of two"),
        ],
    )
    there = base.transform_filter("!datum.empty")
    gone = base.transform_filter("datum.empty")
    points = (
        base.transform_filter("datum.powers > 0")
        .transform_calculate(
            shift="sequence(round(log(datum.smallest_power) / LN2),"
            " round(log(datum.largest_power) / LN2) + 1)"
        )
        .transform_flatten(["shift"])
    )
    judged = alt.Chart(
        pl.DataFrame({"chunk": [chunk_size], "text": [size_text(chunk_size)]})
    ).encode(x=alt.X("chunk:Q"))
    return alt.LayerChart(
        layer=[
            judged.mark_rule(color=INK, strokeWidth=1.5),
            judged.mark_text(dy=-8, color=INK).encode(y=alt.value(0), text="text:N"),
            there.mark_rule(strokeWidth=4).encode(x=x, x2="drawn_high:Q"),
            gone.mark_rule(strokeWidth=1.5, strokeDash=[2, 3]).encode(x=x, x2="drawn_high:Q"),
            gone.mark_point(shape="triangle-left", filled=True, size=55, opacity=1).encode(
                x=alt.X("drawn_high:Q")
            ),
            gone.mark_point(shape="triangle-right", filled=True, size=55, opacity=1).encode(x=x),
            points.transform_calculate(power="pow(2, datum.shift)")
            .mark_point(filled=True, size=32, opacity=1)
            .encode(
                x=alt.X("power:Q"),
                shape=alt.Shape("machine:N")
                .scale(domain=machines, range=["circle", "square"])
                .legend(None),
            ),
        ],
        height={"step": 24, "for": "position"},
    )
