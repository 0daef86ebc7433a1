"""``fig-left-knee``: the chunk size at which larger chunks stop to help, by two criteria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.units import size_text

__all__ = ["chart"]

_NONE: Final = "none"


def chart(
    knees: pl.DataFrame, chunk_sizes: Sequence[int], chunk_size: int, barely: float, small: float
) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.left_to_win.knee_table`, a panel for each criterion.

    Parameters
    ----------
    knees : polars.DataFrame
        As from there.
    chunk_sizes : sequence of int
        Bytes, ascending: the sizes of the axis, which each double the one before.
    chunk_size : int
        Bytes; a vertical line marks it where it is one of these.
    barely, small : float
        What the criteria are, for the titles.
    """
    sizes = [size_text(size) for size in chunk_sizes]
    titles = {
        "knee": f"From here on every doubling saves less than {barely:g} per 1,000",
        "few": f"From here on visits for chunks are below {small:.0%} of all",
    }
    panels = [
        _panel(knees, criterion, title, sizes, size_text(chunk_size))
        for criterion, title in titles.items()
    ]
    return alt.vconcat(*panels, spacing=14)


def _panel(
    knees: pl.DataFrame, criterion: str, title: str, sizes: list[str], mark: str
) -> alt.LayerChart | alt.FacetChart:
    variants = knees["variant"].unique(maintain_order=True).to_list()
    streams = knees["stream"].unique(maintain_order=True).to_list()
    known = knees if criterion == "knee" else knees.filter(pl.col("told").is_not_null())
    texts = [_NONE if size is None else size_text(size) for size in known[criterion].to_list()]
    shown = known.select("stream", "variant", at=pl.Series(texts, dtype=pl.String))
    x = alt.X(
        "at:O",
        sort=[*sizes, _NONE],
        scale=alt.Scale(domain=[*sizes, _NONE]),
        axis=alt.Axis(title="chunk size (each step doubles it)", labelAngle=-40),
    )
    axis = alt.Axis(grid=True, tickBand="extent")
    y = alt.Y("stream:N", title=None, scale=alt.Scale(domain=streams), axis=axis)
    layers: list[alt.Chart] = []
    if mark in sizes:
        line = alt.Chart(pl.DataFrame({"at": [mark]}))
        layers.append(line.mark_rule(strokeDash=[3, 3]).encode(x=x))
    points = alt.Chart(shown).mark_point(size=75, opacity=1, filled=True)
    layers.append(
        points.encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("variant:N", sort=variants, scale=alt.Scale(padding=0.6)),
            color=alt.Color(
                "variant:N",
                title=None,
                scale=alt.Scale(domain=variants, range=[theme.BLUE, theme.VERMILION]),
            ),
            shape=alt.Shape(
                "variant:N",
                title=None,
                scale=alt.Scale(domain=variants, range=["circle", "diamond"]),
            ),
            tooltip=[
                alt.Tooltip("stream:N", title="stream"),
                alt.Tooltip("variant:N", title="variant"),
                alt.Tooltip("at:N", title="chunk size"),
            ],
        )
    )
    heading = alt.Title(title, fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(*layers).properties(
        width=theme.WIDTH - 130, height=alt.Step(22, **{"for": "position"}), title=heading
    )
