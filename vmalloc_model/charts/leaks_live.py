"""``fig-leaks-live``: empty chunks at their replacement, and held ones, by the areas that live."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis, size_axis, size_scale
from vmalloc_model.units import size_text

__all__ = ["chart"]

_HEIGHT: Final = 240
_PARTS: Final = {"lost": "lost for good", "held": "held by areas", "in_use": "areas themselves"}
_COLOURS: Final = (theme.VERMILION, theme.BLUE, theme.GREEN)


def chart(table: pl.DataFrame, cpus: int) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.leaks_live.live_table`.

    Parameters
    ----------
    table : polars.DataFrame
        The shares of the upper panel; lines where there is a formula.
    cpus : int
        CPUs of the lower panel, the sizes at the end.
    """
    most = max(table["live"].to_list())
    x = alt.X(
        "live:Q",
        scale=alt.Scale(type="log", domain=[0.8, 2 * most], nice=False),
        axis=count_axis("areas that live (log scale)", 1, most),
    )
    apart = alt.ScaleResolveMap(color="independent", shape="independent")
    panels = [_shares(table, x), _sizes(table, x, cpus)]
    return alt.vconcat(*panels, spacing=14, resolve=alt.Resolve(scale=apart))


def _shares(table: pl.DataFrame, x: alt.X) -> alt.LayerChart | alt.FacetChart:
    number = pl.concat_str("cpus", pl.lit(" CPUs")).replace({"1 CPUs": "1 CPU"})
    stands = pl.col("shape") == "standing"
    shown = table.with_columns(
        group=number + pl.when(stands).then(pl.lit(", others stand")).otherwise(pl.lit(""))
    )
    groups = shown["group"].unique(maintain_order=True).to_list()
    count = len(groups)
    colours = [*theme.PALETTE, theme.MUTED, theme.INK]
    scale = alt.Scale(domain=groups, range=[colours[k % len(colours)] for k in range(count)])
    shapes = [theme.SHAPES[k % len(theme.SHAPES)] for k in range(count)]
    base = alt.Chart(shown.filter(pl.col("share").is_not_null())).encode(
        x=x, color=alt.Color("group:N", title=None, scale=scale)
    )
    y = alt.Scale(domain=[0, 1.04], nice=False)
    axis = alt.Axis(title="chunks empty when replaced", format="%", values=[0, 0.25, 0.5, 0.75, 1])
    lines = base.transform_filter("isValid(datum.formula)").mark_line(strokeWidth=1.6)
    points = base.mark_point(size=55, opacity=1).encode(
        y=alt.Y("share:Q", scale=y, axis=axis),
        shape=alt.Shape("group:N", title=None, scale=alt.Scale(domain=groups, range=shapes)),
        tooltip=[
            alt.Tooltip("group:N", title="replaced on"),
            alt.Tooltip("live:Q", title="areas that live", format=","),
            alt.Tooltip("replaced:Q", title="chunks replaced", format=","),
            alt.Tooltip("share:Q", title="of these empty", format=".1%"),
            alt.Tooltip("formula:Q", title="by the formula", format=".1%"),
        ],
    )
    return alt.layer(lines.encode(y=alt.Y("formula:Q", scale=y, axis=axis)), points).properties(
        width=theme.WIDTH - 80, height=_HEIGHT
    )


def _sizes(table: pl.DataFrame, x: alt.X, cpus: int) -> alt.LayerChart | alt.FacetChart:
    shown = (
        table.filter((pl.col("shape") == "replaced") & (pl.col("cpus") == cpus))
        .unpivot(on=list(_PARTS), index="live", variable_name="part", value_name="size")
        .filter(pl.col("size") > 0)
        .with_columns(
            name=pl.col("part").replace_strict(_PARTS),
            text=pl.col("size").map_elements(size_text, pl.String),
        )
    )
    names = [name for name in _PARTS.values() if name in shown["name"].to_list()]
    places = [list(_PARTS.values()).index(name) for name in names]
    low, high = min(shown["size"].to_list()) // 2, 2 * max(shown["size"].to_list())
    colour = alt.Scale(domain=names, range=[_COLOURS[k] for k in places])
    shape = alt.Scale(domain=names, range=[theme.SHAPES[k] for k in places])
    base = alt.Chart(shown).encode(
        x=x,
        y=alt.Y(
            "size:Q",
            scale=size_scale(low, high),
            axis=size_axis("address space at the end (log scale)", low, high, step=64),
        ),
        color=alt.Color("name:N", title=None, scale=colour),
    )
    lines = base.mark_line(strokeWidth=1.6)
    points = base.mark_point(size=45, opacity=1).encode(
        shape=alt.Shape("name:N", title=None, scale=shape),
        tooltip=[
            alt.Tooltip("live:Q", title="areas that live", format=","),
            alt.Tooltip("name:N", title="address space"),
            alt.Tooltip("text:N", title="size"),
        ],
    )
    title = alt.Title(
        f"{cpus} CPU{'' if cpus == 1 else 's'}, areas replaced at random",
        fontSize=12,
        fontWeight="normal",
    )
    return alt.layer(lines, points).properties(
        width=theme.WIDTH - 80, height=_HEIGHT - 40, title=title
    )
