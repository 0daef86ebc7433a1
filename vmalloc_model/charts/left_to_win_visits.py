"""``fig-left-visits``: visits to the global lock, a row for each stream, a mark per variant."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis

__all__ = ["LEAST", "SHOWN", "chart"]

LEAST: Final = 0.05
"""Left end of the axis; what is below is drawn there."""

SHOWN: Final = ("no pools", "pools only", "overlay only", "10/12", "12/12")
"""Variants of the figure; the table has the others too."""

_COLOURS: Final = (theme.MUTED, theme.INK, theme.ORANGE, theme.BLUE, theme.VERMILION)


def chart(table: pl.DataFrame) -> alt.Chart:
    """Draw the second halves of `vmalloc_model.studies.left_to_win.visits_table`."""
    second = table.filter((pl.col("half") == 2) & pl.col("variant").is_in(SHOWN))
    streams = second["stream"].unique(maintain_order=True).to_list()
    shown = second.with_columns(at=pl.max_horizontal("visits", pl.lit(LEAST)))
    most = 1.5 * max(shown["at"].to_list())
    x = alt.X(
        "at:Q",
        scale=alt.Scale(type="log", base=10, domain=[LEAST, most], nice=False),
        axis=count_axis("visits per 1,000 allocations (log scale)", LEAST, most),
    )
    y = alt.Y("stream:N", title=None, sort=streams, axis=alt.Axis(grid=True, tickBand="extent"))
    legend = alt.Legend(symbolSize=90)
    points: alt.Chart = (
        alt.Chart(shown)
        .mark_point(size=60, opacity=1, filled=True)
        .encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("variant:N", sort=list(SHOWN), scale=alt.Scale(padding=0.3)),
            color=alt.Color(
                "variant:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=list(SHOWN), range=list(_COLOURS)),
            ),
            shape=alt.Shape(
                "variant:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=list(SHOWN), range=list(theme.SHAPES[: len(SHOWN)])),
            ),
            tooltip=[
                alt.Tooltip("stream:N", title="stream"),
                alt.Tooltip("variant:N", title="variant"),
                alt.Tooltip("visits:Q", title="visits per 1,000", format=",.3~r"),
                alt.Tooltip("pool_hits:Q", title="answered by pools, per 1,000", format=",.3~r"),
                alt.Tooltip(
                    "bump_hits:Q", title="answered by the chunk, per 1,000", format=",.3~r"
                ),
            ],
        )
    )
    return points.properties(width=theme.WIDTH - 130, height=alt.Step(26, **{"for": "position"}))
