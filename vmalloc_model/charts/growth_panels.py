"""Panels of the chapter *Growth*: one for each stream, with bars for its policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme

__all__ = ["bar_panels", "heading", "letters"]

_LETTER: Final = 0.03
"""Part of the axis from which a part is wide enough for its letter."""


def heading(stream: str, recorded: bool) -> alt.Title:
    """Title of a stream's panel, with the kind of evidence."""
    kind = "MODEL on MEASURED requests" if recorded else "MODEL"
    return alt.Title(f"{stream} ({kind})", fontSize=12, fontWeight="normal", offset=4)


def letters(parts: Mapping[str, str]) -> dict[str, str]:
    """Names of parts with the letter that stands in their bars."""
    return {part: f"{part} ({part[0].upper()})" for part in parts}


def bar_panels(
    table: pl.DataFrame,
    part: str,
    value: str,
    colours: Mapping[str, str],
    title: str,
    text: Callable[[float], str],
    axis: Callable[[float], Mapping[str, Any]],
) -> alt.VConcatChart:
    """Stack the parts of each policy, one panel for each stream with an axis of its own.

    Parameters
    ----------
    table : polars.DataFrame
        ``stream``, ``recorded``, ``policy``, and the columns `part` and `value`.
    part, value : str
        Column with the part's name, and with what is stacked (0 or more).
    colours : mapping
        Part -> colour, in the order of stacking; no two begin with the same letter.
    title : str
        Title of the axes.
    text : callable
        Prints a value.
    axis : callable
        Gives the ticks of an axis and their form, from the largest value on it.
    """
    names = letters(colours)
    rank = {name: place for place, name in enumerate(colours)}
    shown = table.with_columns(
        name=pl.col(part).replace_strict(names),
        rank=pl.col(part).replace_strict(rank),
        shown=pl.col(value).map_elements(text, pl.String),
        group=pl.struct("stream", "policy"),
    ).with_columns(end=pl.col(value).cum_sum().over("group", order_by="rank"))
    shown = shown.with_columns(
        start=pl.col("end") - pl.col(value), total=pl.col("end").max().over("group")
    ).drop("group")
    used = [name for name in colours if shown.filter(pl.col(part) == name)[value].sum() > 0]
    scale = alt.Scale(
        domain=[names[name] for name in used or colours],
        range=[colours[name] for name in used or colours],
    )
    streams = shown["stream"].unique(maintain_order=True).to_list()
    panels = [
        _panel(shown.filter(pl.col("stream") == stream), part, value, scale, title, text, axis)
        for stream in streams
    ]
    return alt.vconcat(*panels, spacing=14)


def _panel(
    shown: pl.DataFrame,
    part: str,
    value: str,
    scale: alt.Scale,
    title: str,
    text: Callable[[float], str],
    axis: Callable[[float], Mapping[str, Any]],
) -> alt.LayerChart | alt.FacetChart:
    policies = shown["policy"].unique(maintain_order=True).to_list()
    most = max(float(shown["end"].max() or 0), 1e-9)  # type: ignore[arg-type]
    shown = shown.with_columns(
        middle=(pl.col("start") + pl.col("end")) / 2,
        letter=pl.when(pl.col(value) >= _LETTER * most)
        .then(pl.col("name").str.slice(0, 1).str.to_uppercase())
        .otherwise(pl.lit("")),
        sum=pl.when(pl.col("rank") == pl.col("rank").max())
        .then(pl.col("total").map_elements(text, pl.String))
        .otherwise(pl.lit("")),
    )
    base = alt.Chart(shown).encode(y=alt.Y("policy:N", title=None, sort=policies))
    bars = base.mark_bar(height=15, stroke=theme.PAPER, strokeWidth=0.6).encode(
        x=alt.X(
            "start:Q",
            scale=alt.Scale(domain=[0, 1.16 * most], nice=False),
            axis=alt.Axis(title=title, **axis(most)),
        ),
        x2="end:Q",
        # no columns: on a phone the page stacks the legend
        color=alt.Color("name:N", title=None, scale=scale),
        tooltip=[
            alt.Tooltip("stream:N", title="requests of"),
            alt.Tooltip("policy:N", title="policy"),
            alt.Tooltip(f"{part}:N", title="part"),
            alt.Tooltip("shown:N", title=title),
        ],
    )
    inside = base.mark_text(color=theme.ON_DARK_FILL, fontSize=11).encode(
        x="middle:Q", text="letter:N"
    )
    sums = base.mark_text(align="left", dx=5).encode(x="end:Q", text="sum:N")
    stream, recorded = shown.select("stream", "recorded").row(0)
    return alt.layer(bars, inside, sums).properties(
        width=theme.WIDTH - 130, height={"step": 20}, title=heading(stream, recorded)
    )
