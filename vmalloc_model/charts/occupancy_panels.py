"""Panels of the chapter *Occupancy*: one for each group of mixes, lines against chunk size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import chunk_x, size_mark
from vmalloc_model.units import size_text

__all__ = ["TITLES", "line_panels", "same", "shown_groups"]

TITLES: Final[Mapping[str, str]] = {
    "equal": "equal requests (MODEL)",
    "drawn": "several kinds (MODEL)",
    "recorded": "recorded mixes (MODEL on MEASURED requests)",
}
"""Group of mixes -> title of its panel."""


def shown_groups(table: pl.DataFrame) -> list[str]:
    """List the groups of which the table has a row, in the order of `TITLES`; one if none."""
    found = set(table["group"].to_list())
    return [group for group in TITLES if group in found] or [next(iter(TITLES))]


def same(table: pl.DataFrame, value: str) -> dict[str, list[str]]:
    """Group mixes whose line is the same: the first of each group, and all of them."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for mix in table["mix"].unique(maintain_order=True).to_list():
        line = table.filter(pl.col("mix") == mix).sort("chunk_size")
        groups.setdefault(tuple(line.select("chunk_size", value).rows()), []).append(mix)
    return {names[0]: names for names in groups.values()}


def line_panels(
    table: pl.DataFrame,
    value: str,
    y: alt.Y,
    chunk_size: int,
    tooltip: Sequence[alt.Tooltip],
) -> alt.VConcatChart:
    """Draw a line for each mix, with a point at each chunk size.

    Parameters
    ----------
    table : polars.DataFrame
        ``mix``, ``group``, ``chunk_size`` (bytes) and the column `value`.
    value : str
        What is drawn; mixes whose values are equal throughout share a line.
    y : altair.Y
        Its channel, with scale and axis.
    chunk_size : int
        Bytes; a vertical line marks it.
    tooltip : sequence of altair.Tooltip
        Of a point, besides mix and chunk size.
    """
    chunks = table["chunk_size"].to_list() or [chunk_size]
    x = chunk_x(min(chunks), max(chunks))
    panels = [
        _panel(
            table.filter(pl.col("group") == group), TITLES[group], value, x, y, chunk_size, tooltip
        )
        for group in shown_groups(table)
    ]
    stacked: alt.VConcatChart = alt.vconcat(*panels, spacing=16).resolve_scale(
        color="independent", shape="independent", strokeDash="independent"
    )
    return stacked


def _panel(
    table: pl.DataFrame,
    title: str,
    value: str,
    x: alt.X,
    y: alt.Y,
    chunk_size: int,
    tooltip: Sequence[alt.Tooltip],
) -> alt.LayerChart | alt.FacetChart:
    names = {first: ", ".join(mixes) for first, mixes in same(table, value).items()}
    shown = table.filter(pl.col("mix").is_in(list(names))).with_columns(
        line=pl.col("mix").replace_strict(names),
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
    )
    lines = list(names.values())

    def scale(marks: Sequence[Any]) -> alt.Scale:
        return alt.Scale(domain=lines, range=list(islice(cycle(marks), len(lines))))

    legend = alt.Legend(columns=2 if max(map(len, lines), default=0) < 30 else 1, symbolSize=90)
    base = alt.Chart(shown).encode(
        x=x,
        y=y,
        color=alt.Color("line:N", title=None, legend=legend, scale=scale(theme.PALETTE)),
    )
    drawn = base.mark_line(strokeWidth=1.6).encode(
        strokeDash=alt.StrokeDash("line:N", title=None, legend=legend, scale=scale(theme.DASHES))
    )
    points = base.mark_point(size=48, opacity=1, filled=True).encode(
        shape=alt.Shape("line:N", title=None, legend=legend, scale=scale(theme.SHAPES)),
        tooltip=[
            alt.Tooltip("line:N", title="mix"),
            alt.Tooltip("chunk:N", title="chunk size"),
            *tooltip,
        ],
    )
    heading = alt.Title(title, fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(size_mark(chunk_size, x, bottom=True), drawn, points).properties(
        width=theme.WIDTH - 80, height=190, title=heading
    )
