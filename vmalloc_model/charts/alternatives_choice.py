"""``fig-alternatives-choice``: what a rule takes, over budgets and margins, for each platform."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.units import size_text

__all__ = ["chart"]

_HEIGHT: Final = 150
_WIDE, _TALL = 0.17, 0.09
"""Part of the axes from which a rectangle has room for its name and its size."""


def chart(regions: pl.DataFrame, budget: float, barely: float) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.alternatives_choice.regions_table`.

    Parameters
    ----------
    regions : polars.DataFrame
        Rectangles.
    budget, barely : float
        Where the cross is.
    """
    size = pl.col("asked").map_elements(size_text, pl.String)
    name = pl.when(pl.col("asked") > 0).then(pl.col("design") + " " + size).otherwise("design")
    shown = regions.with_columns(name=name)
    platforms = shown["platform"].unique(maintain_order=True).to_list()
    names = shown.sort("asked", maintain_order=True)["name"].unique(maintain_order=True).to_list()
    plain = shown.filter(pl.col("asked") == 0)["name"].unique(maintain_order=True).to_list()
    sized = [one for one in names if one not in plain]
    colours = {
        **dict(zip(plain, cycle((theme.MUTED,)), strict=False)),
        **dict(zip(sized, islice(cycle(theme.PALETTE), len(sized)), strict=True)),
    }
    edges = shown.select(
        pl.col("budget_low").min(),
        pl.col("budget_high").max(),
        pl.col("margin_low").min(),
        pl.col("margin_high").max(),
    ).row(0)
    panels = [
        _panel(shown.filter(pl.col("platform") == platform), colours, edges, budget, barely)
        for platform in platforms
    ]
    return alt.vconcat(*panels, spacing=14)


def _panel(
    shown: pl.DataFrame,
    colours: dict[str, str],
    edges: tuple[float, ...],
    budget: float,
    barely: float,
) -> alt.LayerChart | alt.FacetChart:
    low, high, left, right = edges
    logs = {"x": pl.lit(right / left).log(), "y": pl.lit(high / low).log()}
    shown = shown.with_columns(
        x=(pl.col("margin_low") * pl.col("margin_high")).sqrt(),
        y=(pl.col("budget_low") * pl.col("budget_high")).sqrt(),
        wide=(pl.col("margin_high") / pl.col("margin_low")).log() / logs["x"],
        tall=(pl.col("budget_high") / pl.col("budget_low")).log() / logs["y"],
        short=pl.when(pl.col("asked") > 0)
        .then(pl.col("name").str.replace(r"^\S+ ", ""))
        .otherwise("name"),
    )
    x_scale = alt.Scale(type="log", domain=[left, right], nice=False)
    y_scale = alt.Scale(type="log", domain=[low, high], nice=False)
    x_axis = alt.Axis(
        title="margin: visits per 1,000 not worth paying for (log scale)", format=",~r", tickCount=4
    )
    y_axis = alt.Axis(title="budget: share of range (log)", format="~%", tickCount=4)
    base = alt.Chart(shown)
    boxes = base.mark_rect(stroke=theme.PAPER, strokeWidth=0.7).encode(
        x=alt.X("margin_low:Q", scale=x_scale, axis=x_axis),
        x2="margin_high:Q",
        y=alt.Y("budget_low:Q", scale=y_scale, axis=y_axis),
        y2="budget_high:Q",
        color=alt.Color(
            "name:N",
            title=None,
            scale=alt.Scale(domain=list(colours), range=list(colours.values())),
            legend=alt.Legend(columns=2),
        ),
        tooltip=[
            alt.Tooltip("name:N", title="taken"),
            alt.Tooltip("budget_low:Q", title="budget from", format=".2~%"),
            alt.Tooltip("budget_high:Q", title="to", format=".2~%"),
            alt.Tooltip("margin_low:Q", title="margin from", format=",.3~g"),
            alt.Tooltip("margin_high:Q", title="to", format=",.3~g"),
        ],
    )
    texts = (
        alt.Chart(shown.filter((pl.col("wide") > _WIDE) & (pl.col("tall") > _TALL)))
        .mark_text(color=theme.ON_DARK_FILL, fontSize=11)
        .encode(x=alt.X("x:Q"), y=alt.Y("y:Q"), text="short:N")
    )
    here = (
        alt.Chart(pl.DataFrame({"x": [barely], "y": [budget]}))
        .mark_point(shape="cross", size=120, color=theme.ON_DARK_FILL, opacity=1, filled=True)
        .encode(x=alt.X("x:Q"), y=alt.Y("y:Q"))
    )
    title = alt.Title(shown["platform"][0], fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(boxes, texts, here).properties(
        width=theme.WIDTH - 90, height=_HEIGHT, title=title
    )
