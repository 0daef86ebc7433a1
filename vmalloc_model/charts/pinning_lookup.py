"""``fig-pinning-lookup``: chunks that a free looks at, against CPUs."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any, Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis

__all__ = ["chart"]

_TENS: Final = (10, 99)


def chart(table: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.pinning_lookup.cpus_table`."""
    shown = table.filter(pl.col("steps").is_not_null())
    names = table["stream"].unique(maintain_order=True).to_list()
    counts = sorted(set(table["cpus"].to_list()))
    high = 2 * max([*shown["steps"].to_list(), _TENS[1]])
    x = alt.X(
        "cpus:Q",
        scale=alt.Scale(type="log", base=2, domain=[counts[0], max(counts[-1], counts[0] + 1)]),
        axis=alt.Axis(title="CPUs (log scale)", values=counts, format=",~r"),
    )
    y = alt.Y(
        "steps:Q",
        scale=alt.Scale(type="log", base=10, domain=[0.9, high], nice=False),
        axis=count_axis("chunks looked at, for each free (log scale)", 0.9, high),
    )

    def of(values: tuple[Any, ...]) -> alt.Scale:
        return alt.Scale(domain=names, range=list(islice(cycle(values), len(names))))

    title = "requests of:"
    stroke = alt.Legend(symbolSize=100)
    base = alt.Chart(shown).encode(x=x, y=y)
    colours = of(theme.PALETTE)
    lines = base.mark_line(strokeWidth=1.8).encode(
        color=alt.Color("stream:N", title=title, scale=colours, legend=stroke),
        strokeDash=alt.StrokeDash("stream:N", title=title, scale=of(theme.DASHES), legend=stroke),
    )
    points = base.mark_point(size=55, opacity=1, filled=True).encode(
        fill=alt.Fill("stream:N", title=title, scale=colours, legend=stroke),
        shape=alt.Shape("stream:N", title=title, scale=of(theme.SHAPES), legend=stroke),
        tooltip=[
            alt.Tooltip("stream:N", title="requests of"),
            alt.Tooltip("cpus:Q", title="CPUs", format=","),
            alt.Tooltip("steps:Q", title="chunks looked at for each free", format=",.3~r"),
            alt.Tooltip("listed:Q", title="chunks on the list", format=","),
            alt.Tooltip("remote:Q", title="freed on another CPU", format=".1%"),
        ],
    )
    band = alt.Chart(pl.DataFrame({"low": [_TENS[0]], "high": [_TENS[1]]}))
    tens = band.mark_rect(opacity=0.18, color=theme.MUTED).encode(
        x=alt.value(0), x2=alt.value("width"), y=alt.Y("low:Q"), y2="high:Q"
    )
    text = band.mark_text(align="left", baseline="top", dx=6, dy=4, color=theme.MUTED).encode(
        x=alt.value(0), y=alt.Y("high:Q"), text=alt.value('"in the tens"')
    )
    return alt.layer(tens, text, lines, points)
