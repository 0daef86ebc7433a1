"""``fig-contention``: time of an allocation and its free against CPUs, by workload."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis

__all__ = ["chart"]

_HEIGHT: Final = 170
_COLOURS: Final = (theme.INK, *theme.PALETTE)


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.contention.curves_table`."""
    shown = table.with_columns(pair_us=pl.col("pair_ns") / 1000)
    workloads = shown["workload"].unique(maintain_order=True).to_list()
    designs = shown["design"].unique(maintain_order=True).to_list()
    low, high = min(shown["pair_us"].to_list()), max(shown["pair_us"].to_list())
    most = max(shown["cpus"].to_list())
    colours = [_COLOURS[k % len(_COLOURS)] for k in range(len(designs))]
    dashes = [theme.DASHES[k % len(theme.DASHES)] for k in range(len(designs))]
    legend = alt.Legend(symbolType="stroke", symbolSize=400)
    panels = []
    for workload in workloads:
        base = alt.Chart(shown.filter(pl.col("workload") == workload)).encode(
            x=alt.X(
                "cpus:Q",
                scale=alt.Scale(type="log", base=2, domain=[1, max(most, 2)], nice=False),
                axis=alt.Axis(title="CPUs (log scale)", format=",~r", tickCount=7),
            ),
            y=alt.Y(
                "pair_us:Q",
                scale=alt.Scale(type="log", domain=[low / 1.5, 1.5 * high], nice=False),
                axis=count_axis("us per pair (log scale)", low / 1.5, 1.5 * high),
            ),
            color=alt.Color(
                "design:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=designs, range=colours),
            ),
            tooltip=[
                alt.Tooltip("workload:N"),
                alt.Tooltip("design:N"),
                alt.Tooltip("cpus:Q", title="CPUs", format=","),
                alt.Tooltip("pair_us:Q", title="us per pair", format=",.3r"),
                alt.Tooltip("visits:Q", title="visits to the global lock per pair", format=".3~r"),
                alt.Tooltip("areas:Q", title="areas moved under it per pair", format=".3~r"),
            ],
        )
        lines = base.mark_line(strokeWidth=1.8).encode(
            strokeDash=alt.StrokeDash(
                "design:N", title=None, legend=legend, scale=alt.Scale(domain=designs, range=dashes)
            )
        )
        points = base.mark_point(size=24, filled=True, opacity=1)
        title = alt.Title(f"{workload} (MODEL)", fontSize=12, fontWeight="normal", offset=4)
        panels.append(
            alt.layer(lines, points).properties(width=theme.WIDTH - 80, height=_HEIGHT, title=title)
        )
    return alt.vconcat(*panels, spacing=14)
