"""``fig-alternatives``: visits against address space held, one panel for each stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.growth_panels import heading
from vmalloc_model.charts.sizes import SIZE_LABEL, size_ticks
from vmalloc_model.units import power_of_two_at_least, power_of_two_at_most, size_text

__all__ = ["chart", "merged"]

_WIDTH: Final = theme.WIDTH - 90
_HEIGHT: Final = 220
_LETTER: Final = 6.2
"""Pixels of a letter of a label, about."""
_FAMILIES: Final = {
    "no overlay": (theme.INK, [1, 0]),
    "rfc10": (theme.ORANGE, [6, 3]),
    "rfc11, rfc12": (theme.VERMILION, [2, 2]),
    "as described": (theme.PURPLE, [8, 3, 2, 3]),
    "one repair": (theme.SKY, [12, 4]),
    "both repairs": (theme.GREEN, [1, 0]),
}
_FAMILY: Final = {
    **dict.fromkeys(("mainline", "no-pools"), "no overlay"),
    "rfc10": "rfc10",
    **dict.fromkeys(("rfc11", "rfc12"), "rfc11, rfc12"),
    **dict.fromkeys(("described", "described-released"), "as described"),
    "purge-and-reset": "both repairs",
}
_SAFE, _EARLY, _SHORT = "after the flush", "maybe before it", "not judged"
_KINDS: Final = {_SAFE: "circle", _EARLY: "triangle-up", _SHORT: "cross"}


def merged(table: pl.DataFrame) -> pl.DataFrame:
    """Put equal points of one stream together.

    Returns
    -------
    polars.DataFrame
        Of each group the first row, one on the safe front and one that is safe before others, with
        ``names`` (all of its designs with their sizes) and ``label`` (one, and how many more).
    """
    size = pl.col("asked").map_elements(size_text, pl.String)
    name = pl.when(pl.col("asked") > 0).then(pl.col("design") + " " + size).otherwise("design")
    return (
        table.with_columns(name=name)
        .sort("safe_front", "usable", ~pl.col("early"), descending=True, maintain_order=True)
        .group_by("held", "visits", maintain_order=True)
        .agg(
            pl.exclude("name").first(),
            label=pl.col("name").first(),
            names=pl.col("name").str.join(", "),
            more=pl.len() - 1,
        )
        .with_columns(
            label=pl.when(pl.col("more") > 0)
            .then(pl.col("label") + " +" + pl.col("more").cast(pl.String))
            .otherwise("label")
        )
    )


def chart(table: pl.DataFrame, platform: str, chunk_size: int) -> alt.VConcatChart:
    """Draw one platform of `vmalloc_model.studies.alternatives.points_table`.

    Named are the points of the front of what is safe, those without chunks, and those of the last
    patch at one chunk size (bytes), as far as there is room.
    """
    shown = table.filter((pl.col("platform") == platform) & pl.col("fits")).with_columns(
        family=pl.col("design").replace_strict(_FAMILY, default="one repair"),
        kind=pl.when(~pl.col("usable"))
        .then(pl.lit(_SHORT))
        .when("early")
        .then(pl.lit(_EARLY))
        .otherwise(pl.lit(_SAFE)),
        named=pl.col("safe_front")
        | (pl.col("asked") == 0)
        | ((pl.col("design") == "rfc12") & (pl.col("asked") == chunk_size)),
    )
    scales = {
        "family": _scale(shown, "family", {name: one[0] for name, one in _FAMILIES.items()}),
        "dash": _scale(shown, "family", {name: one[1] for name, one in _FAMILIES.items()}),
        "kind": _scale(shown, "kind", _KINDS),
    }
    streams = shown["stream"].unique(maintain_order=True).to_list()
    panels = [_panel(shown.filter(pl.col("stream") == stream), scales) for stream in streams]
    return alt.vconcat(*panels, spacing=16)


def _scale(shown: pl.DataFrame, column: str, drawn: Mapping[str, Any]) -> alt.Scale:
    """One scale for all panels, with what is there."""
    names = [name for name in drawn if name in shown[column].to_list()]
    return alt.Scale(domain=names, range=[drawn[name] for name in names])


def _panel(shown: pl.DataFrame, scales: Mapping[str, alt.Scale]) -> alt.LayerChart | alt.FacetChart:
    held = [value for value in shown["held"].to_list() if value > 0] or [1 << 20]
    rates = [value for value in shown["visits"].to_list() if value > 0] or [1.0]
    # a logarithmic axis has no zero: it gets a place of its own at the low end
    left = int(power_of_two_at_most(min(held))) // 16
    right = int(power_of_two_at_least(max(held))) * 4
    low = 10.0 ** math.floor(math.log10(min(rates)))
    low, high = low / 10 if 0 in shown["visits"].to_list() else low, 3 * max(rates)
    shown = shown.with_columns(
        x=pl.max_horizontal("held", pl.lit(left)),
        y=pl.max_horizontal("visits", pl.lit(low)),
        held_text=pl.col("held").map_elements(size_text, pl.String),
    )
    step = 16 if right / left > 1 << 12 else 4
    x_axis = alt.Axis(
        title="address space held (log scale)",
        values=[left, *size_ticks(left * step, right, step)],
        labelExpr=f"datum.value <= {left} ? '0' : {SIZE_LABEL}",
    )
    zero = f"datum.value <= {low * 1.001} ? '0' : " if 0 in shown["visits"].to_list() else ""
    y_axis = alt.Axis(
        title="visits per 1,000 (log)",
        values=[low * 10**k for k in range(12) if low * 10**k <= high],
        labelExpr=f"{zero}format(datum.value, ',~r')",
    )
    x = alt.X("x:Q", scale=alt.Scale(type="log", base=2, domain=[left, right], nice=False))
    y = alt.Y("y:Q", scale=alt.Scale(type="log", base=10, domain=[low, high], nice=False))
    x, y = x.axis(x_axis), y.axis(y_axis)
    legend = alt.Legend(symbolType="stroke", symbolSize=400, symbolOpacity=1, columns=3)
    colour = alt.Color("family:N", title=None, scale=scales["family"], legend=legend)
    points = merged(shown)
    paths = (
        alt.Chart(shown.filter(pl.col("asked") > 0))
        .mark_line(strokeWidth=1.2, opacity=0.6)
        .encode(
            x=x,
            y=y,
            detail="design:N",
            order="asked:Q",
            color=colour,
            strokeDash=alt.StrokeDash("family:N", title=None, scale=scales["dash"], legend=legend),
        )
    )
    marks = (
        alt.Chart(points)
        .mark_point(size=70, opacity=1, filled=True)
        .encode(
            x=x,
            y=y,
            color=colour,
            # below: side by side with the other legend it would be wider than the page
            shape=alt.Shape(
                "kind:N", title=None, scale=scales["kind"], legend=alt.Legend(orient="bottom")
            ),
            tooltip=[
                alt.Tooltip("names:N", title="designs"),
                alt.Tooltip("visits:Q", title="visits per 1,000", format=",.3~g"),
                alt.Tooltip("held_text:N", title="held"),
                alt.Tooltip("kind:N", title="addresses come back"),
            ],
        )
    )
    front = (
        alt.Chart(points.filter("safe_front"))
        .mark_line(color=theme.INK, strokeWidth=2, interpolate="step-after")
        .encode(x=x, y=y)
    )
    texts = [
        alt.Chart(rows)
        .mark_text(align=align, dx=dx, dy=dy, fontSize=11)
        .encode(x=x, y=y, text="label:N")
        for (align, dx, dy), rows in _placed(points, (left, right), (low, high)).items()
    ]
    stream, recorded = shown.select("stream", "recorded").row(0)
    return alt.layer(paths, front, marks, *texts).properties(
        width=_WIDTH, height=_HEIGHT, title=heading(stream, recorded)
    )


_Spot = tuple[Literal["left", "right"], int, int]
_SPOTS: Final[tuple[_Spot, ...]] = (
    ("right", -7, 9),  # below a falling front there is nothing
    ("left", 7, -9),
    ("left", 7, 9),
    ("right", -7, -9),
)


def _placed(
    points: pl.DataFrame, xs: tuple[float, float], ys: tuple[float, float]
) -> dict[_Spot, pl.DataFrame]:
    """Find room for the labels, one after the other; those without room are left out."""
    taken: list[tuple[float, float, float, float]] = []
    found: dict[_Spot, list[dict[str, Any]]] = {}
    for row in points.filter("named").sort("x", "y").iter_rows(named=True):
        x = _WIDTH * math.log(row["x"] / xs[0]) / math.log(xs[1] / xs[0])
        y = _HEIGHT * math.log(ys[1] / row["y"]) / math.log(ys[1] / ys[0])
        width = _LETTER * len(row["label"])
        for spot in _SPOTS:
            align, dx, dy = spot
            start = x + dx - (width if align == "right" else 0)
            box = (start, y + dy - 7, start + width, y + dy + 7)
            inside = box[0] >= 0 and box[2] <= _WIDTH + 40 and box[1] >= 0 and box[3] <= _HEIGHT
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                found.setdefault(spot, []).append(row)
                break
    return {spot: pl.DataFrame(rows) for spot, rows in found.items()}


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
