"""``fig-occupancy-counts``: how many requests chunks serve, recorded order and independent."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme

__all__ = ["chart"]

_LINES = {
    "recorded order": (theme.VERMILION, [1, 0]),
    "independent": (theme.BLUE, [6, 3]),
}

_TICKS = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw `vmalloc_model.studies.occupancy_order.counts_table`: a panel for each stream."""
    numbers = table["requests"].to_list() or [1]
    low, high = max(min(numbers) / 1.3, 0.8), max(numbers) * 1.3
    streams = table["stream"].unique(maintain_order=True).to_list() or ["no recorded stream"]
    panels = [
        _panel(table.filter(pl.col("stream") == stream), stream, low, high, stream == streams[-1])
        for stream in streams
    ]
    return alt.vconcat(*panels, spacing=12)


def _panel(table: pl.DataFrame, stream: str, low: float, high: float, last: bool) -> alt.Chart:
    names = list(_LINES)
    legend = alt.Legend(symbolType="stroke", symbolSize=400)
    chart: alt.Chart = (
        alt.Chart(
            table.with_columns(percent=100 * pl.col("below")),
            title=alt.Title(stream, fontSize=12, fontWeight="normal", offset=4),
        )
        .mark_line(interpolate="step-after", strokeWidth=1.8)
        .encode(
            x=alt.X(
                "requests:Q",
                scale=alt.Scale(type="log", base=10, domain=[low, high], nice=False),
                axis=alt.Axis(
                    title="requests in a chunk (log scale)" if last else None,
                    values=[tick for tick in _TICKS if low <= tick <= high],
                    format=",d",
                ),
            ),
            y=alt.Y(
                "percent:Q",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(title="chunks up to there (%)", values=[0, 25, 50, 75, 100]),
            ),
            color=alt.Color(
                "what:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=names, range=[_LINES[name][0] for name in names]),
            ),
            strokeDash=alt.StrokeDash(
                "what:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=names, range=[_LINES[name][1] for name in names]),
            ),
            tooltip=[
                alt.Tooltip("stream:N", title="recorded run, order"),
                alt.Tooltip("what:N", title="requests"),
                alt.Tooltip("requests:Q", title="requests in a chunk", format=","),
                alt.Tooltip("percent:Q", title="chunks with so many or fewer (%)", format=".1f"),
            ],
        )
        .properties(width=theme.WIDTH - 80, height=130)
    )
    return chart
