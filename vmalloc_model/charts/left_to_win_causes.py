"""``fig-left-causes``: what the visits to the global lock are for, as shares, by variant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme

__all__ = ["SHOWN", "chart"]

SHOWN: Final = ("pools only", "10/12", "12/12")
"""Variants of the figure, a panel for each."""

_COLOURS: Final = {
    "search": theme.BLUE,
    "refill": theme.ORANGE,
    "release": theme.VERMILION,
    "return": theme.GREEN,
    "carve": theme.PURPLE,
}
_LETTERS: Final = {"search": "S", "refill": "R", "release": "W", "return": "B", "carve": "C"}
_NAMES: Final = {
    "search": "search (S)",
    "refill": "refill (R)",
    "release": "release of a whole chunk (W)",
    "return": "return of areas (B)",
    "carve": "per-CPU area (C)",
}
_WIDE: Final = 0.06
"""Share from which a part has room for its letter."""


def chart(table: pl.DataFrame, text: Callable[[float], str]) -> alt.VConcatChart:
    """Draw the second halves of `vmalloc_model.studies.left_to_win.visits_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    text : callable
        Prints visits per 1,000 allocations.
    """
    *_, last = _COLOURS
    second = table.filter((pl.col("half") == 2) & pl.col("variant").is_in(SHOWN))
    rows = []
    for row in second.iter_rows(named=True):
        start = 0.0
        for cause in _COLOURS:
            share = row[cause] / row["visits"] if row["visits"] else 0.0
            rows.append(
                {
                    "stream": row["stream"],
                    "variant": row["variant"],
                    "cause": _NAMES[cause],
                    "per_1000": row[cause],
                    "start": start,
                    "end": start + share,
                    "middle": start + share / 2,
                    "letter": _LETTERS[cause] if share >= _WIDE else "",
                    "total": text(row["visits"]) if cause == last else "",
                }
            )
            start += share
    shown = pl.DataFrame(rows)
    streams = second["stream"].unique(maintain_order=True).to_list()
    used = [
        _NAMES[cause] for cause in _COLOURS if max(second[cause].to_list(), default=0) > 0
    ] or list(_NAMES.values())
    panels = [_panel(shown.filter(pl.col("variant") == name), streams, used) for name in SHOWN]
    return alt.vconcat(*panels, spacing=14)


def _panel(
    shown: pl.DataFrame, streams: list[str], used: list[str]
) -> alt.LayerChart | alt.FacetChart:
    colours = {_NAMES[cause]: colour for cause, colour in _COLOURS.items()}
    base = alt.Chart(shown).encode(y=alt.Y("stream:N", title=None, sort=streams))
    bars = base.mark_bar(height=14, stroke=theme.PAPER, strokeWidth=0.6).encode(
        x=alt.X(
            "start:Q",
            scale=alt.Scale(domain=[0, 1.14], nice=False),
            axis=alt.Axis(
                title=["share of all visits; behind the bar,", "visits per 1,000 allocations"],
                values=[0, 0.25, 0.5, 0.75, 1],
                format="%",
            ),
        ),
        x2="end:Q",
        # no columns: on a phone the page stacks the legend
        color=alt.Color(
            "cause:N",
            title=None,
            scale=alt.Scale(domain=used, range=[colours[name] for name in used]),
        ),
        tooltip=[
            alt.Tooltip("stream:N", title="stream"),
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("cause:N", title="for"),
            alt.Tooltip("per_1000:Q", title="visits per 1,000", format=",.3~r"),
        ],
    )
    inside = base.mark_text(color=theme.ON_DARK_FILL, fontSize=10).encode(
        x="middle:Q", text="letter:N"
    )
    sums = base.mark_text(align="left", dx=5, fontSize=11).encode(x=alt.datum(1), text="total:N")
    title = alt.Title(shown["variant"].to_list()[0], fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(bars, inside, sums).properties(
        width=theme.WIDTH - 130, height={"step": 18}, title=title
    )
