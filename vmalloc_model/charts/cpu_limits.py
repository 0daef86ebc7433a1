"""Figure fig-cpu-limits: CPUs at which chunks take given shares of a range, against NR_CPUS."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts.theme import MUTED, PALETTE, SHAPES

__all__ = ["chart"]

_LEFT: Final = 0.7
"""Left end of the axis: half a mark before one CPU."""
_TICKS: Final = [1, 100, 10_000, 1_000_000, 100_000_000]


def chart(table: pl.DataFrame) -> alt.LayerChart:
    """Draw the table of `vmalloc_model.studies.address_space.cpu_limits`.

    For each platform: a bar from one CPU to the maximum of NR_CPUS with a stroke at its default,
    and a point at each share.
    """
    order = table["platform"].unique(maintain_order=True).to_list()
    shares = table["share_text"].unique(maintain_order=True).to_list()
    areas = dict(zip(shares, _areas(len(shares)), strict=True))
    y = alt.Y("platform:N").sort(order).axis(title=None, grid=True)
    x = alt.X("cpus:Q")
    x = x.scale(type="log", nice=False, domain=[_LEFT, 2 * max(_all_counts(table))])
    x = x.axis(title="CPUs, logarithmic", values=_TICKS, format="~s")
    limits = alt.Chart(table.unique("platform", maintain_order=True)).encode(y=y)
    built = limits.mark_bar(height=9, color=MUTED, opacity=0.35).encode(
        x=alt.X("first:Q"), x2="nr_cpus_max:Q"
    )
    default = limits.mark_tick(thickness=3, size=14, color=MUTED).encode(
        x=alt.X("nr_cpus_default:Q")
    )
    points = (
        alt.Chart(table.with_columns(area=pl.col("share_text").replace_strict(areas)))
        .mark_point(filled=True, opacity=1)
        .encode(
            x=x,
            y=y,
            # shares that are reached at the same count lie on top of each other: largest below
            size=alt.Size("area:Q").scale(None).legend(None),
            color=alt.Color("share_text:N")
            .scale(domain=shares, range=list(PALETTE[: len(shares)]))
            .legend(title="chunks take", orient="top"),
            shape=alt.Shape("share_text:N").scale(domain=shares, range=list(SHAPES[: len(shares)])),
            tooltip=[
                alt.Tooltip("platform:N", title="platform"),
                alt.Tooltip("range:N", title="vmalloc range"),
                alt.Tooltip("share_text:N", title="chunks take"),
                alt.Tooltip("cpus:Q", title="from this many CPUs", format=","),
                alt.Tooltip("nr_cpus_default:Q", title="NR_CPUS, default", format=","),
                alt.Tooltip("nr_cpus_max:Q", title="NR_CPUS, maximum", format=","),
            ],
        )
    )
    return alt.LayerChart(
        layer=[built.transform_calculate(first=str(_LEFT)), default, points], height={"step": 24}
    )


def _all_counts(table: pl.DataFrame) -> list[int]:
    return [*table["cpus"].to_list(), *table["nr_cpus_max"].to_list()]


def _areas(number: int) -> list[int]:
    """Areas of the marks in square pixels, from large to small."""
    return [260 - 170 * index // max(number - 1, 1) for index in range(number)]
