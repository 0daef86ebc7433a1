"""How every chart looks: colours that work on paper and on a dark page, type, sizes.

Importing this module enables the theme. The colours of text, axes and paper (`INK`, `MUTED`,
`GRID`, `PAPER`) belong to the light page. Wherever one of them stands in a chart, the book's
``charts.js`` puts its partner of `DARK` when the reader switches to the dark page: in a mark, a
condition or a scale alike. So write ``mark_text(color=INK)`` (or no colour: it is the default),
never a grey of your own. The colours of data stay the same on both pages.

Text on top of a filled mark must not be swapped: use `ON_DARK_FILL` and `ON_LIGHT_FILL` there.
"""

from __future__ import annotations

from typing import Final, cast

import altair as alt

__all__ = [
    "BLUE",
    "CHECKED",
    "DARK",
    "DASHES",
    "GREEN",
    "GRID",
    "HEIGHT",
    "INK",
    "MUTED",
    "ON_DARK_FILL",
    "ON_LIGHT_FILL",
    "ORANGE",
    "PALETTE",
    "PAPER",
    "PURPLE",
    "SHAPES",
    "SKY",
    "STATED",
    "VERMILION",
    "WIDTH",
    "register",
    "theme",
]

WIDTH: Final = 640
HEIGHT: Final = 360
"""Size of a single plot in CSS pixels; in the page its width follows the text column."""

# Okabe and Ito's colours for all kinds of colour vision. Purple, orange and sky blue are darker
# than theirs: every colour keeps a contrast of 3:1 against the white and against the dark page.
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#C2699B"
ORANGE: Final = "#C08400"
SKY: Final = "#3A9BD6"

PALETTE: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
"""Colours of categories, in this order."""

DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2, 1, 2])
"""Dashes of lines, parallel to `PALETTE`: colour is never the only mark of a series."""

SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
"""Shapes of points, parallel to `PALETTE`."""

STATED: Final = VERMILION
CHECKED: Final = BLUE
"""The two readings of every argument, in the same colours in every chapter."""

INK: Final = "#222832"
MUTED: Final = "#5b6470"
GRID: Final = "#d9dde2"
PAPER: Final = "#ffffff"

DARK: Final = {INK: "#ced6dd", MUTED: "#9ca4af", GRID: "#364150", PAPER: "#121212"}
"""Light colour -> what ``book/_static/charts.js`` puts in its place on the dark page."""

ON_DARK_FILL: Final = "white"
ON_LIGHT_FILL: Final = "black"
"""Text inside a filled mark, such as a heat map's cell; the same on both pages."""

# The one font the SVG converter carries with it, so that a chart has the same layout everywhere.
_FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"


def theme() -> alt.theme.ThemeConfig:
    """Return the defaults of every chart as a Vega-Lite theme (``{"config": ...}``)."""
    axis = {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelOverlap": "greedy",
        "titleColor": INK,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "domainColor": MUTED,
        "tickColor": MUTED,
        "gridColor": GRID,
    }
    defaults = {
        "config": {
            "background": PAPER,
            "font": _FONT,
            "view": {
                "continuousWidth": WIDTH,
                "continuousHeight": HEIGHT,
                "discreteWidth": WIDTH,
                "discreteHeight": {"step": 24},
                "stroke": None,
            },
            "axis": axis,
            "axisXDiscrete": {"labelAngle": 0},
            "legend": {
                "labelColor": INK,
                "labelFontSize": 12,
                "labelLimit": 320,
                "titleColor": INK,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "orient": "top",
                "symbolStrokeWidth": 2,
            },
            "header": {"labelColor": INK, "labelFontSize": 12, "titleColor": INK},
            "title": {"color": INK, "subtitleColor": MUTED, "anchor": "start", "fontSize": 14},
            "text": {"color": INK, "fontSize": 12},
            "rule": {"color": MUTED},
            "line": {"strokeWidth": 2},
            "point": {"filled": True, "size": 60},
            "mark": {"color": BLUE, "tooltip": True},
            "range": {
                "category": list(PALETTE),
                "symbol": list(SHAPES),
                "ramp": {"scheme": "viridis"},
                "heatmap": {"scheme": "viridis"},
                "ordinal": {"scheme": "viridis"},
            },
        }
    }
    return cast(alt.theme.ThemeConfig, defaults)


def register() -> None:
    """Make the theme the one that Altair applies to every chart of this process."""
    alt.theme.register("report", enable=True)(theme)


register()
