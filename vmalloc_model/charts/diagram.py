"""Figures fig-request-path and fig-chunk-states: boxes joined by arrows.

The layout is laid out for the narrowest page, 340 px; on a wider one the boxes grow and the text
does not. Rows have a fixed height.
"""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import polars as pl

from vmalloc_model.charts.theme import BLUE, GREEN, INK, MUTED, PAPER, PURPLE, VERMILION

__all__ = ["chart"]

_EDGES: Final = ((16.0, 238.0), (258.0, 338.0))
"""Left and right border of the boxes in each column, on a page 340 wide."""
_LANE: Final = 6.0
_HALF: Final = 0.29
"""Half the height of a box with two lines, in rows."""
_ROW: Final = 76
_LINE: Final = 14
_COLOURS: Final = {
    "start": INK,
    "question": BLUE,
    "global": VERMILION,
    "end": GREEN,
    "lost": PURPLE,
}


def chart(table: pl.DataFrame, kinds: dict[str, str]) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.patch.diagram`.

    Parameters
    ----------
    table : polars.DataFrame
        Boxes and arrows.
    kinds : dict
        Kind of box -> what the legend calls it.
    """
    boxes = {row["id"]: row for row in table.filter(pl.col("element") == "box").to_dicts()}
    arrows = table.filter(pl.col("element") == "arrow").to_dicts()
    used = [kind for kind in kinds if any(box["kind"] == kind for box in boxes.values())]

    x = alt.X("x:Q").scale(domain=[0, 340], nice=False, zero=False).axis(None)
    rows = max(box["y"] for box in boxes.values())
    y = alt.Y("y:Q").scale(domain=[rows + 0.45, -0.45], nice=False, zero=False).axis(None)
    paths = [_path(boxes[arrow["id"]], boxes[arrow["to"]], arrow["side"]) for arrow in arrows]

    lines = alt.Chart(pl.DataFrame(_corners(paths))).mark_line(
        color=MUTED, strokeWidth=1.4, tooltip=False
    )
    heads = alt.Chart(pl.DataFrame(_heads(paths))).mark_point(
        color=MUTED, filled=True, size=70, opacity=1, tooltip=False
    )
    labels = alt.Chart(pl.DataFrame(_labels(paths, arrows))).mark_text(
        align="left", baseline="middle", fontSize=11, color=MUTED, tooltip=False
    )
    frames = (
        alt.Chart(pl.DataFrame([_frame(box, kinds) for box in boxes.values()]))
        .mark_rect(fill=PAPER, fillOpacity=1, strokeWidth=2, cornerRadius=4, tooltip=False)
        .encode(
            x=x,
            x2="x2:Q",
            y=y,
            y2="y2:Q",
            stroke=alt.Stroke("kind:N")
            .scale(domain=[kinds[kind] for kind in used], range=[_COLOURS[kind] for kind in used])
            .legend(title=None, orient="top", symbolFillColor=PAPER, columns=2),
        )
    )
    words = alt.Chart(pl.DataFrame(_words(boxes.values()))).mark_text(
        baseline="middle", fontSize=11, color=INK, tooltip=False
    )
    shape = alt.Shape("shape:N").scale(None).legend(None)
    return alt.layer(
        lines.encode(x=x, y=y, detail="arrow:N", order="corner:Q"),
        heads.encode(x=x, y=y, shape=shape),
        frames,
        words.encode(x=x, y=y, text="text:N"),
        labels.encode(x=x, y=y, text="text:N"),
    ).properties(height=(rows + 1) * _ROW)


def _centre(box: dict[str, Any]) -> tuple[float, float]:
    left, right = _EDGES[box["x"]]
    return (left + right) / 2, float(box["y"])


def _half(box: dict[str, Any]) -> float:
    """Half the height of a box in rows: more lines need more."""
    more: int = max(box["text"].count("\n") - 1, 0)
    return _HALF + more * _LINE / 2 / _ROW


def _frame(box: dict[str, Any], kinds: dict[str, str]) -> dict[str, Any]:
    left, right = _EDGES[box["x"]]
    top, bottom = box["y"] - _half(box), box["y"] + _half(box)
    return {"x": left, "x2": right, "y": top, "y2": bottom, "kind": kinds[box["kind"]]}


def _words(boxes: Any) -> list[dict[str, Any]]:
    words = []
    for box in boxes:
        middle, y = _centre(box)
        lines = box["text"].split("\n")
        for i, line in enumerate(lines):
            words.append(
                {"x": middle, "y": y + (i - (len(lines) - 1) / 2) * _LINE / _ROW, "text": line}
            )
    return words


def _path(
    start: dict[str, Any], end: dict[str, Any], side: str | None
) -> list[tuple[float, float]]:
    """Corners of one arrow: straight, or across and then up or down, or along the left border."""
    (x1, y1), (x2, y2) = _centre(start), _centre(end)
    if side == "left":
        left = _EDGES[start["x"]][0]
        return [(left, y1), (_LANE, y1), (_LANE, y2), (_EDGES[end["x"]][0], y2)]
    if start["x"] == end["x"]:
        down = 1 if y2 > y1 else -1
        return [(x1, y1 + down * _half(start)), (x2, y2 - down * _half(end))]
    if y1 == y2:
        return [(_EDGES[start["x"]][1], y1), (_EDGES[end["x"]][0], y2)]
    down = 1 if y2 > y1 else -1
    return [(_EDGES[start["x"]][1], y1), (x2, y1), (x2, y2 - down * _half(end))]


def _corners(paths: list[list[tuple[float, float]]]) -> list[dict[str, Any]]:
    return [
        {"arrow": i, "corner": j, "x": x, "y": y}
        for i, path in enumerate(paths)
        for j, (x, y) in enumerate(path)
    ]


def _heads(paths: list[list[tuple[float, float]]]) -> list[dict[str, Any]]:
    heads = []
    for path in paths:
        (x1, y1), (x2, y2) = path[-2:]
        if x1 == x2:
            shape, dx, dy = ("triangle-down", 0.0, -0.05) if y2 > y1 else ("triangle-up", 0.0, 0.05)
        else:
            shape, dx, dy = "triangle-right", -3.0, 0.0
        heads.append({"x": x2 + dx, "y": y2 + dy, "shape": shape})
    return heads


def _labels(
    paths: list[list[tuple[float, float]]], arrows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Words beside the start of each arrow that has any."""
    labels = []
    for path, arrow in zip(paths, arrows, strict=True):
        if arrow["text"]:
            (x1, y1), (x2, y2) = path[:2]
            if x1 == x2:
                labels.append({"x": x1 + 5, "y": (y1 + y2) / 2, "text": arrow["text"]})
            elif x2 > x1:
                labels.append({"x": x1 + 3, "y": y1 - 0.12, "text": arrow["text"]})
            else:
                labels.append({"x": _LANE + 4, "y": y1 + _HALF + 0.1, "text": arrow["text"]})
    return labels
