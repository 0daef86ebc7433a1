"""``fig-contention-fit``: published times of a pair beside the queue's, and all jobs' rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis

__all__ = ["chart"]

_HEIGHT: Final = 230
_POINTS: Final = {
    "measured": (theme.INK, "circle", "circles"),
    "zones": (theme.GREEN, "square", "squares"),
}
_LINES: Final = {
    "constant": (theme.VERMILION, [6, 3], "dashed"),
    "handover": (theme.BLUE, [1, 0], "solid"),
    "used": (theme.PURPLE, [2, 2], "dotted"),
}
_ALL: Final = {**_POINTS, **_LINES}


def chart(table: pl.DataFrame, titles: Mapping[str, str]) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.contention_measured.fit_table`.

    Parameters
    ----------
    table : polars.DataFrame
    titles : mapping
        Series -> how it is labelled.
    """
    named = {name: f"{titles[name]} ({mark[2]})" for name, mark in _ALL.items()}
    shown = table.with_columns(title=pl.col("series").replace_strict(named))
    panels = [
        _panel(shown, named, "pair_us", "us per pair (log scale)"),
        _panel(shown, named, "pairs_per_us", "million pairs/s, all jobs (log scale)"),
    ]
    return alt.vconcat(*panels, spacing=16)


def _panel(
    shown: pl.DataFrame, titles: Mapping[str, str], value: str, axis: str
) -> alt.LayerChart | alt.FacetChart:
    values = shown[value].to_list()
    low, high = min(values) / 1.2, 1.2 * max(values)
    jobs = shown["jobs"].to_list()
    x = alt.X(
        "jobs:Q",
        scale=alt.Scale(type="log", base=2, domain=[0.95, 1.05 * max(jobs)], nice=False),
        axis=alt.Axis(
            title="jobs at once (log scale)", format=",~r", values=[1, 2, 4, 8, 16, 32, 64]
        ),
    )
    y = alt.Y(
        f"{value}:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=count_axis(axis, low, high),
    )
    tooltip = [
        alt.Tooltip("title:N", title="series"),
        alt.Tooltip("jobs:Q", title="jobs"),
        alt.Tooltip("pair_us:Q", title="us per pair", format=".3r"),
        alt.Tooltip("pairs_per_us:Q", title="million pairs per second", format=".3r"),
    ]

    def some(names: Mapping[str, Any]) -> alt.Chart:
        rows = shown.filter(pl.col("series").is_in(list(names)))
        return alt.Chart(rows).encode(x=x, y=y, tooltip=tooltip)

    colour = _scaled(alt.Color("title:N"), titles, _ALL, 0).legend(alt.Legend(columns=1))
    lines = some(_LINES).mark_line(strokeWidth=1.8)
    lines = lines.encode(
        color=colour, strokeDash=_scaled(alt.StrokeDash("title:N"), titles, _LINES, 1)
    )
    points = some(_POINTS).mark_point(filled=True, opacity=1, size=40)
    points = points.encode(color=colour, shape=_scaled(alt.Shape("title:N"), titles, _POINTS, 1))
    rings = some({"measured": None}).transform_filter("datum.fitted")
    rings = rings.mark_point(filled=False, size=150, strokeWidth=1.5, color=theme.MUTED)
    return alt.layer(lines, rings, points).properties(width=theme.WIDTH - 80, height=_HEIGHT)


def _scaled(channel: Any, titles: Mapping[str, str], marks: Mapping[str, Any], part: int) -> Any:
    """Give a channel one part of the marks of its series; no title, no legend."""
    scale = alt.Scale(
        domain=[titles[name] for name in marks], range=[mark[part] for mark in marks.values()]
    )
    return channel.scale(scale).title(None).legend(None)
