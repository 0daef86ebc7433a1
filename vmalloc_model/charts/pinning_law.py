"""``fig-pinning-law``: chunks that survivors hold, and what that costs, against chunk size."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any, Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import chunk_x, count_axis, size_mark
from vmalloc_model.units import size_text

__all__ = ["chart"]

_HEIGHT: Final = 230


def chart(table: pl.DataFrame, chunk_size: int) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.pinning_law.law_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; a vertical line marks it.
    """
    shown = table.with_columns(
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
    )
    sizes = [*table["chunk_size"].to_list(), chunk_size]
    x = chunk_x(min(sizes), max(sizes))
    times = [value for value in table["expected_times"].to_list() if value > 0]
    times += [value for value in table["times"].to_list() if value]
    low, high = min(times) / 1.5, 1.5 * max(times)
    share = alt.Axis(title="chunks held", format=".0%")
    above = _panel(shown, x, "expected", "share", alt.Scale(domain=[0, 1]), share)
    below = _panel(
        shown,
        x,
        "expected_times",
        "times",
        alt.Scale(type="log", base=10, domain=[low, high], nice=False),
        count_axis("bytes held for each live one (log scale)", low, high),
    )
    mark = size_mark(chunk_size, x)
    return alt.vconcat(
        *(alt.layer(mark, panel).properties(height=_HEIGHT) for panel in (above, below)),
        spacing=18,
    )


def _panel(
    shown: pl.DataFrame, x: alt.X, form: str, model: str, scale: alt.Scale, axis: alt.Axis
) -> alt.LayerChart | alt.FacetChart:
    names = shown.sort("pinned")["long"].unique(maintain_order=True).to_list()

    def of(values: tuple[Any, ...]) -> alt.Scale:
        return alt.Scale(domain=names, range=list(islice(cycle(values), len(names))))

    title = "live for ever:"
    stroke = alt.Legend(symbolSize=100)
    base = alt.Chart(shown).encode(x=x)
    colours = of(theme.PALETTE)
    lines = base.mark_line(strokeWidth=1.5).encode(
        y=alt.Y(f"{form}:Q", scale=scale, axis=axis),
        color=alt.Color("long:N", title=title, scale=colours, legend=stroke),
        strokeDash=alt.StrokeDash("long:N", title=title, scale=of(theme.DASHES), legend=stroke),
    )
    points = (
        base.transform_filter(f"isValid(datum.{model}) && datum.{model} > 0")
        .mark_point(size=55, opacity=1, filled=True)
        .encode(
            y=alt.Y(f"{model}:Q", scale=scale, axis=axis),
            fill=alt.Fill("long:N", title=title, scale=colours, legend=stroke),
            shape=alt.Shape("long:N", title=title, scale=of(theme.SHAPES), legend=stroke),
            tooltip=[
                alt.Tooltip("chunk:N", title="chunk size"),
                alt.Tooltip("long:N", title="live for ever"),
                alt.Tooltip("per_chunk:Q", title="areas to a chunk", format=","),
                alt.Tooltip("held:Q", title="chunks held", format=","),
                alt.Tooltip("replaced:Q", title="chunks replaced", format=","),
                alt.Tooltip("share:Q", title="share", format=".2%"),
                alt.Tooltip("expected:Q", title="share, closed form", format=".2%"),
                alt.Tooltip("times:Q", title="bytes held for each live one", format=",.3~r"),
            ],
        )
    )
    return alt.layer(lines, points)
