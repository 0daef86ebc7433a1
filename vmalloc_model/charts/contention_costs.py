"""``fig-contention-costs``: from how many CPUs on the overlay matters, for other costs."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis

__all__ = ["chart"]

_HEIGHT: Final = 260
_DASHES: Final = [[2, 2], [1, 0], [6, 3]]


def chart(table: pl.DataFrame, most: int) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.contention.other_costs_table`.

    Parameters
    ----------
    table : polars.DataFrame
        Rows without a number of CPUs are not drawn.
    most : int
        Upper end of the axis.
    """
    shown = table.with_columns(
        pair_us=pl.col("pair_ns") / 1000,
        factor=pl.col("lock_factor").map_elements(lambda one: f"x {one:g}", pl.String),
    )
    workloads = shown["workload"].unique(maintain_order=True).to_list()
    factors = shown["factor"].unique(maintain_order=True).to_list()
    times = shown["pair_us"].to_list()
    low, high = min(times) / 1.3, 1.3 * max(times)
    base = alt.Chart(shown.filter(pl.col("cpus").is_not_null())).encode(
        x=alt.X(
            "pair_us:Q",
            scale=alt.Scale(type="log", domain=[low, high], nice=False),
            axis=count_axis("us from pair to pair (log scale)", low, high),
        ),
        y=alt.Y(
            "cpus:Q",
            scale=alt.Scale(type="log", domain=[1, 1.4 * most], nice=False),
            axis=count_axis("CPUs (log scale)", 1, 1.4 * most),
        ),
        color=alt.Color(
            "workload:N",
            title=None,
            scale=alt.Scale(domain=workloads, range=_cycled(theme.PALETTE, len(workloads))),
        ),
        detail="factor:N",
        tooltip=[
            alt.Tooltip("workload:N"),
            alt.Tooltip("policy:N"),
            alt.Tooltip("factor:N", title="cost of the lock"),
            alt.Tooltip("pair_us:Q", title="us from pair to pair", format=",.3r"),
            alt.Tooltip("cpus:Q", title="from this many CPUs", format=","),
        ],
    )
    lines = base.mark_line(strokeWidth=1.5).encode(
        strokeDash=alt.StrokeDash(
            "factor:N",
            title="cost of the lock",
            scale=alt.Scale(domain=factors, range=_DASHES[: len(factors)]),
            legend=alt.Legend(symbolType="stroke", symbolSize=400),
        )
    )
    points = base.mark_point(filled=True, opacity=1, size=34).encode(
        shape=alt.Shape(
            "workload:N",
            title=None,
            scale=alt.Scale(domain=workloads, range=_cycled(theme.SHAPES, len(workloads))),
        )
    )
    return alt.layer(lines, points).properties(width=theme.WIDTH - 80, height=_HEIGHT)


def _cycled(values: tuple[str, ...], number: int) -> list[str]:
    return [values[k % len(values)] for k in range(number)]
