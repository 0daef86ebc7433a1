"""``fig-growth``: high-water marks over the events of each stream, a line for each policy."""

from __future__ import annotations

import math
from itertools import cycle, islice
from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.growth_panels import heading
from vmalloc_model.charts.sizes import size_axis, size_scale
from vmalloc_model.units import size_text

__all__ = ["chart", "same"]

_HEIGHT: Final = 190
_APART: Final = 13
"""Pixels between the labels of two lines."""
_COLOURS: Final = (theme.INK, *theme.PALETTE, theme.MUTED)


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.growth.series_table`.

    Policies whose lines are the same in a panel share one line there, in the colour of the first,
    and one label.
    """
    policies = table["policy"].unique(maintain_order=True).to_list()
    streams = table["stream"].unique(maintain_order=True).to_list()
    panels = [_panel(table.filter(pl.col("stream") == stream), policies) for stream in streams]
    return alt.vconcat(*panels, spacing=14)


def same(table: pl.DataFrame) -> dict[str, list[str]]:
    """Group the policies of one stream: the first of each group, and all whose line is the same."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for policy in table["policy"].unique(maintain_order=True).to_list():
        line = tuple(table.filter(pl.col("policy") == policy)["high_water"].to_list())
        groups.setdefault(line, []).append(policy)
    return {names[0]: names for names in groups.values()}


def _panel(table: pl.DataFrame, policies: list[str]) -> alt.LayerChart | alt.FacetChart:
    groups = same(table)
    labels = {first: _joined(names) for first, names in groups.items()}
    shown = table.filter(pl.col("policy").is_in(list(groups))).with_columns(
        label=pl.col("policy").replace_strict({k: ", ".join(v) for k, v in groups.items()}),
        size=pl.col("high_water").map_elements(size_text, pl.String),
        live=pl.col("peak").map_elements(size_text, pl.String),
    )
    marks = [mark for mark in shown["high_water"].to_list() if mark > 0] or [1]
    peaks = [peak for peak in shown["peak"].to_list() if peak > 0] or [1]
    # a live peak far below every mark would press the lines together: it is written down instead
    far = max(peaks) < min(marks) / 64
    low = max(min(marks) // 2 if far else min(*marks, *peaks) // 2, 1)
    high = 2 * max(*marks, *(peaks if not far else marks))
    last = int(shown["event"].to_list()[-1])
    x = alt.X(
        "event:Q",
        scale=alt.Scale(domain=[0, 1.42 * last], nice=False),
        axis=alt.Axis(title="events", values=[0, last / 4, last / 2, last], format="~s"),
    )
    scale, axis = size_scale(low, high), size_axis("high-water mark (log scale)", low, high)
    legend = alt.Legend(symbolType="stroke", symbolSize=400, columns=2)
    colours = list(islice(cycle(_COLOURS), len(policies)))
    dashes = list(islice(cycle([[1, 0], *theme.DASHES[1:]]), len(policies)))
    base = alt.Chart(shown.filter(pl.col("high_water") > 0)).encode(x=x)
    y = alt.Y("high_water:Q", scale=scale, axis=axis)
    lines = base.mark_line(strokeWidth=1.8, interpolate="step-after").encode(
        y=y,
        color=alt.Color(
            "policy:N", title=None, legend=legend, scale=alt.Scale(domain=policies, range=colours)
        ),
        strokeDash=alt.StrokeDash(
            "policy:N", title=None, legend=legend, scale=alt.Scale(domain=policies, range=dashes)
        ),
        tooltip=[
            alt.Tooltip("stream:N", title="requests of"),
            alt.Tooltip("label:N", title="policy"),
            alt.Tooltip("event:Q", title="events done", format=","),
            alt.Tooltip("size:N", title="high-water mark"),
            alt.Tooltip("live:N", title="live peak so far"),
        ],
    )
    ends = [("", max(peaks), f"live peak {size_text(max(peaks))}")]
    for first in groups:
        end = max(shown.filter(pl.col("policy") == first)["high_water"].to_list())
        ends.append((first, end, labels[first]))
    texts = (
        alt.Chart(_spread(ends[far:] if far else ends, low, high))
        .mark_text(align="left", dx=6, fontSize=11)
        .encode(x="event:Q", y=alt.Y("at:Q", scale=scale, axis=axis), text="text:N")
        .transform_calculate(event=str(last))
    )
    layers: list[alt.Chart] = [lines, texts]
    if far:
        note = pl.DataFrame({"text": [f"{ends[0][2]}, below this axis"]})
        layers.append(
            alt.Chart(note)
            .mark_text(align="left", baseline="bottom", dx=4, dy=-3, fontSize=11, color=theme.MUTED)
            .encode(x=alt.value(0), y=alt.value(_HEIGHT), text="text:N")
        )
    else:
        one = base.transform_filter(alt.datum.policy == next(iter(groups)))
        area = one.mark_area(opacity=0.25, color=theme.MUTED, interpolate="step-after")
        layers.insert(0, area.encode(y=alt.Y("peak:Q", scale=scale, axis=axis), y2=alt.datum(low)))
    stream, recorded = shown.select("stream", "recorded").row(0)
    return alt.layer(*layers).properties(
        width=theme.WIDTH - 80, height=_HEIGHT, title=heading(stream, recorded)
    )


def _joined(names: list[str]) -> str:
    """Name up to two policies, and how many more."""
    more = f" +{len(names) - 2}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _spread(ends: list[tuple[str, int, str]], low: int, high: int) -> pl.DataFrame:
    """Move the labels of lines that end close together apart; all stay on the axis."""
    unit = math.log(high / low) / _HEIGHT
    ends = sorted(ends, key=lambda one: one[1])
    places: list[float] = []
    for _, value, _ in ends:
        place = math.log(max(value, low) / low) / unit
        places.append(max(place, places[-1] + _APART) if places else place)
    top = float(_HEIGHT)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], top)
        top = places[i] - _APART
    at = [low * math.exp(max(place, 0.0) * unit) for place in places]
    return pl.DataFrame({"at": at, "text": [text for _, _, text in ends]})
