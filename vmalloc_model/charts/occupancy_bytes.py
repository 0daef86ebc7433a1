"""``fig-occupancy-bytes``: payload, guard, padding and tail of a chunk, for each mix."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.occupancy_panels import TITLES, shown_groups
from vmalloc_model.units import share_text, size_text

__all__ = ["chart"]

_PARTS = {
    "payload": (theme.GREEN, "P"),
    "guard": (theme.SKY, "G"),
    "padding": (theme.PURPLE, "A"),
    "tail": (theme.ORANGE, "T"),
}
"""Part -> colour and letter; A is for alignment."""
_LETTER = 0.03
"""Share of a chunk from which a part is wide enough for its letter."""


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.occupancy.parts_table`."""
    names = {part: _name(part) for part in _PARTS}
    shown = table.with_columns(
        name=pl.col("part").replace_strict(names),
        percent=100 * pl.col("share"),
        size=pl.col("bytes").map_elements(size_text, pl.String),
        end=100 * pl.col("share").cum_sum().over("mix"),
    ).with_columns(start=pl.col("end") - pl.col("percent"))
    shown = shown.with_columns(
        middle=(pl.col("start") + pl.col("end")) / 2,
        letter=pl.when(pl.col("share") >= _LETTER)
        .then(pl.col("part").replace_strict({part: one for part, (_, one) in _PARTS.items()}))
        .otherwise(pl.lit("")),
        sum=pl.when(pl.col("part") == "payload")
        .then(pl.col("share").map_elements(share_text, pl.String))
        .otherwise(pl.lit("")),
    )
    groups = shown_groups(shown)
    panels = [
        _panel(shown.filter(pl.col("group") == group), TITLES[group], group == groups[-1])
        for group in groups
    ]
    return alt.vconcat(*panels, spacing=12)


def _panel(shown: pl.DataFrame, title: str, last: bool) -> alt.LayerChart | alt.FacetChart:
    """One group's bars; the last one carries the axis of all."""
    mixes = shown["mix"].unique(maintain_order=True).to_list()
    base = alt.Chart(shown).encode(y=alt.Y("mix:N", title=None, sort=mixes))
    scale = alt.Scale(
        domain=[_name(part) for part in _PARTS], range=[colour for colour, _ in _PARTS.values()]
    )
    bars = base.mark_bar(height=16, stroke=theme.PAPER, strokeWidth=0.6).encode(
        x=alt.X(
            "start:Q",
            scale=alt.Scale(domain=[0, 114], nice=False),
            axis=alt.Axis(
                title="share of the chunk (%); payload behind the bar" if last else None,
                values=[0, 25, 50, 75, 100],
                labels=last,
                ticks=last,
            ),
        ),
        x2="end:Q",
        # no columns: on a phone the page stacks the legend
        color=alt.Color("name:N", title=None, scale=scale),
        tooltip=[
            alt.Tooltip("mix:N", title="mix"),
            alt.Tooltip("part:N", title="part"),
            alt.Tooltip("size:N", title="of a chunk"),
            alt.Tooltip("percent:Q", title="share of the chunk (%)", format=".2f"),
        ],
    )
    letters = base.mark_text(color=theme.ON_DARK_FILL, fontSize=11).encode(
        x="middle:Q", text="letter:N"
    )
    sums = base.mark_text(align="left", dx=5).encode(x=alt.datum(100), text="sum:N")
    heading = alt.Title(title, fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(bars, letters, sums).properties(width=theme.WIDTH - 170, title=heading)


def _name(part: str) -> str:
    return f"{part} ({_PARTS[part][1]})"
