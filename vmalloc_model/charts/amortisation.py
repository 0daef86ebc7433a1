"""``fig-amortisation``: allocations per refill against the mean request, by page size and guard."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis, size_axis, size_scale
from vmalloc_model.units import count_text, size_text

__all__ = ["chart"]

_COLOURS = (theme.BLUE, theme.GREEN, theme.PURPLE, theme.ORANGE, theme.SKY)
"""All but the vermilion of the mail's own figures."""

_WITH, _WITHOUT = "with guard page", "without"
_GUARDS = {_WITH: [1, 0], _WITHOUT: [4, 3]}


def chart(table: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.amortisation.allocations_table`."""
    shown = table.with_columns(
        page=pl.col("page_size").map_elements(size_text, pl.String) + " pages",
        guard=pl.when(pl.col("guard_pages") == 0).then(pl.lit(_WITHOUT)).otherwise(pl.lit(_WITH)),
        mean=pl.col("mean_size").map_elements(size_text, pl.String),
        request=pl.col("area").map_elements(size_text, pl.String),
    )
    computed = shown.filter(pl.col("what") == "computed")
    pages = computed.unique("page", maintain_order=True).sort("page_size")["page"].to_list()
    low, high = _range(table, "mean_size")
    x = alt.X(
        "mean_size:Q",
        scale=size_scale(low, high),
        axis=size_axis("mean payload of a request (log scale)", low, high),
    )
    most = 2 * _range(table, "allocations")[1]
    y = alt.Y(
        "allocations:Q",
        scale=alt.Scale(type="log", base=10, domain=[1, most]),
        axis=count_axis("allocations per refill (log scale)", 1, most),
    )
    tooltip = [
        alt.Tooltip("mean:N", title="mean payload"),
        alt.Tooltip("request:N", title="request"),
        alt.Tooltip("allocations:Q", title="allocations per refill", format=","),
        alt.Tooltip("page:N", title="page size"),
        alt.Tooltip("guard:N", title="computed"),
    ]
    colours = alt.Scale(domain=pages, range=_COLOURS[: len(pages)])
    colour = alt.Color("page:N", title=None, scale=colours)
    shapes = alt.Scale(domain=pages, range=theme.SHAPES[: len(pages)])
    found = computed["guard"].unique().to_list()
    drawn = {guard: dash for guard, dash in _GUARDS.items() if guard in found}
    dashes = alt.Scale(domain=list(drawn), range=list(drawn.values()))
    base = alt.Chart(computed).encode(x=x, y=y, color=colour)
    lines = base.mark_line().encode(
        strokeDash=alt.StrokeDash(
            "guard:N",
            title=None,
            scale=dashes,
            legend=alt.Legend(symbolType="stroke", symbolSize=400),
        )
    )
    points = base.mark_point(size=34, opacity=1).encode(
        shape=alt.Shape("page:N", title=None, scale=shapes), tooltip=tooltip
    )
    said = alt.Chart(_said(shown)).encode(x=x, y=y, tooltip=tooltip)
    marks = said.mark_point(
        shape="diamond", size=190, filled=False, strokeWidth=2.5, color=theme.STATED, opacity=1
    )
    # the curves fall to the right: above them there is room on the left half, below on the right
    middle = (low * high) ** 0.5
    left = said.transform_filter(alt.datum.mean_size <= middle)
    right = said.transform_filter(alt.datum.mean_size > middle)
    above = left.mark_text(align="left", dx=12, dy=-9).encode(text="text:N")
    below = right.mark_text(align="right", dx=-10, dy=14).encode(text="text:N")
    return alt.layer(lines, points, marks, above, below)


def _range(table: pl.DataFrame, column: str) -> tuple[int, int]:
    values = table[column].to_list()
    return min(values), max(values)


def _said(shown: pl.DataFrame) -> pl.DataFrame:
    """Take the mail's two points, each with what the guard page leaves of it."""
    same = ["chunk_size", "page_size", "mean_size"]
    computed = shown.filter(pl.col("what") == "computed")
    guarded = computed.filter(pl.col("guard_pages") > 0).select(*same, left="allocations")
    whose = pl.when(pl.col("chunk_size").is_in(computed["chunk_size"].implode()))
    text = pl.col("allocations").map_elements(count_text, pl.String)
    left = pl.col("left").map_elements(count_text, pl.String)
    return (
        shown.filter(pl.col("what") == "mail")
        .join(guarded, on=same, how="left", maintain_order="left")
        .with_columns(
            text=pl.concat_str(
                whose.then(pl.lit("mail: ~")).otherwise(
                    "mail, " + pl.col("chunk_size").map_elements(size_text, pl.String) + ": ~"
                ),
                text,
                (pl.lit("; with guard page: ") + left).fill_null(""),
            )
        )
    )
