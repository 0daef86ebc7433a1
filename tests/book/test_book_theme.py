"""One look for every chart, on both pages and for all kinds of colour vision."""

import json
import re
from itertools import product

import altair as alt
import pytest
from minibook import ROOT

from vmalloc_model.charts import theme

PAGES = [theme.PAPER, theme.DARK[theme.PAPER]]


def luminance(colour):
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("colour", "page"), list(product(theme.PALETTE, PAGES)))
def test_marks_stand_out_on_both_pages(colour, page):
    assert contrast(colour, page) >= 3


@pytest.mark.parametrize("colour", [theme.INK, theme.MUTED])
def test_text_is_legible_on_both_pages(colour):
    assert contrast(colour, theme.PAPER) >= 4.5
    assert contrast(theme.DARK[colour], theme.DARK[theme.PAPER]) >= 4.5


def test_every_colour_has_a_dash_and_a_shape_of_its_own():
    for marks in (theme.PALETTE, theme.DASHES, theme.SHAPES):
        assert len(marks) == len(theme.PALETTE)
        assert len({str(mark) for mark in marks}) == len(marks)


def test_importing_the_theme_applies_it_to_every_chart():
    spec = alt.Chart(alt.Data(values=[])).mark_point().to_dict()
    assert spec["config"] == theme.theme()["config"]


def test_the_page_swaps_the_same_colours_as_the_theme():
    script = (ROOT / "book" / "_static" / "charts.js").read_text()
    assert json.loads(re.search(r"const DARK = (\{.*?\});", script)[1]) == theme.DARK


def test_no_data_colour_is_swapped():
    assert not set(theme.DARK) & set(theme.PALETTE)
    assert all(colour == colour.lower() for colour in theme.DARK)
