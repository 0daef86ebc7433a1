"""``fig-leaks-time``: time until a range or the memory ends, by allocations per second."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis
from vmalloc_model.units import size_text

__all__ = ["chart"]

_HEIGHT: Final = 230
_YEAR: Final = 31_557_600
_TICKS: Final = {1: "1 s", 60: "1 min", 3_600: "1 h", 86_400: "1 day", _YEAR: "1 year"}
_LONG: Final = {100 * _YEAR: "100 years", 10_000 * _YEAR: "10,000 years"}


def chart(table: pl.DataFrame, rate: int, memory: str) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.leaks_time.time_table`.

    Parameters
    ----------
    table : polars.DataFrame
        A panel for each stream; an empty table gives one empty panel.
    rate : int
        Allocations per second; marked by a vertical line.
    memory : str
        What the column ``ends`` calls the memory; its line is drawn thicker, in ink.
    """
    streams = table["stream"].unique(maintain_order=True).to_list()
    ends = table["ends"].unique(maintain_order=True).to_list()
    panels = [
        _panel(table.filter(pl.col("stream") == stream), ends, rate, memory)
        for stream in streams or [""]
    ]
    apart = alt.ScaleResolveMap(color="independent", strokeDash="independent")
    # two columns as configuration: on a phone the page puts one in its place
    stacked: alt.VConcatChart = alt.vconcat(
        *panels, spacing=14, resolve=alt.Resolve(scale=apart)
    ).configure_legend(columns=2)
    return stacked


def _panel(
    table: pl.DataFrame, ends: list[str], rate: int, memory: str
) -> alt.LayerChart | alt.FacetChart:
    shown = table.with_columns(
        label=pl.col("ends") + pl.lit(", ") + pl.col("size").map_elements(size_text, pl.String)
    )
    names = shown["label"].unique(maintain_order=True).to_list()
    kinds = shown["ends"].unique(maintain_order=True).to_list()
    colours = [
        theme.INK if kind == memory else theme.PALETTE[ends.index(kind) % len(theme.PALETTE)]
        for kind in kinds
    ]
    dashes = [
        theme.DASHES[0] if kind == memory else theme.DASHES[1 + ends.index(kind) % 5]
        for kind in kinds
    ]
    seconds = [value for value in shown["seconds"].to_list() if value > 0] or [1]
    low, high = min(seconds) / 3, max(seconds) * 3
    labels = {value: text for value, text in {**_TICKS, **_LONG}.items() if low <= value <= high}
    expression = " : ".join(f"datum.value == {value} ? '{text}'" for value, text in labels.items())
    x = alt.X(
        "rate:Q",
        scale=alt.Scale(type="log", domain=[80, 1.25e6], nice=False),
        axis=count_axis("allocations per second (log scale)", 80, 1.25e6),
    )
    y = alt.Y(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(
            title="time to the end (log scale)",
            values=list(labels),
            labelExpr=f"{expression} : ''" if labels else "''",
        ),
    )
    legend = alt.Legend(symbolType="stroke", symbolSize=400)
    lines = (
        alt.Chart(shown)
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "label:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=names, range=colours),
            ),
            strokeDash=alt.StrokeDash(
                "label:N", title=None, legend=legend, scale=alt.Scale(domain=names, range=dashes)
            ),
            tooltip=[
                alt.Tooltip("label:N", title="ends"),
                alt.Tooltip("rate:Q", title="allocations per second", format=","),
                alt.Tooltip("seconds:Q", title="seconds", format=",.3~s"),
            ],
        )
    )
    mark = alt.Chart(pl.DataFrame({"rate": [rate], "text": [f"{rate:,}/s"]}))
    rule = mark.mark_rule(strokeDash=[3, 3]).encode(x=x)
    text = mark.mark_text(align="right", baseline="top", dx=-4).encode(
        x=x, y=alt.value(2), text="text:N"
    )
    title = ""
    if shown.height:
        stream, policy, growth = shown.select("stream", "policy", "growth").row(0)
        title = f"{stream} under {policy}: {size_text(growth)} per allocation"
    return alt.layer(lines, rule, text).properties(
        width=theme.WIDTH - 80,
        height=_HEIGHT,
        title=alt.Title(title, fontSize=12, fontWeight="normal", offset=4),
    )
