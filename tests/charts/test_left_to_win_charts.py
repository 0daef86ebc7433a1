import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import (
    left_to_win_causes,
    left_to_win_chunk,
    left_to_win_knee,
    left_to_win_visits,
)
from vmalloc_model.studies import left_to_win as study
from vmalloc_model.studies.left_to_win_words import rate_text

MIB = 1 << 20
SIZES = [MIB << k for k in range(7)]


@pytest.fixture(scope="module")
def rows():
    return study.counted(["xfs", "stacks"], "x86_64-4level", 4, 16 * MIB, SIZES, 20_000, 3)


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_each_stream_has_a_row_with_all_marks(rows):
    visits = study.visits_table(rows, 16 * MIB)
    svg = svg_of(left_to_win_visits.chart(visits))
    assert svg.count("pools only") > 2
    for name in ("xfs", "stacks", *left_to_win_visits.SHOWN):
        assert f">{name}</text>" in svg
    assert ">chunk first</text>" not in svg
    # what is below the axis is on it
    low = visits.with_columns(visits=pl.lit(0.0))
    at = left_to_win_visits.chart(low).to_dict()["datasets"]
    assert {row["at"] for row in next(iter(at.values()))} == {left_to_win_visits.LEAST}


def test_bars_add_up_to_the_visits_behind_them(rows):
    visits = study.visits_table(rows, 16 * MIB)
    chart = left_to_win_causes.chart(visits, rate_text)
    svg = svg_of(chart)
    for name in left_to_win_causes.SHOWN:
        assert f">{name}</text>" in svg
        for value in visits.filter(variant=name, half=2)["visits"]:
            assert f">{rate_text(value)}</text>" in svg
    ends = [row["end"] for data in chart.to_dict()["datasets"].values() for row in data]
    assert max(ends) == pytest.approx(1)
    assert ">per-CPU area (C)</text>" not in svg  # no stream here has one
    none = visits.with_columns(pl.lit(0.0).alias(name) for name in ("visits", *study.CAUSES))
    assert ">0</text>" in svg_of(left_to_win_causes.chart(none, rate_text))


def test_each_stream_has_a_panel_and_points_where_refills_tell(rows):
    table = study.chunk_table(rows, ["xfs", "stacks"])
    chart = left_to_win_chunk.chart(table, 16 * MIB)
    svg = svg_of(chart)
    for text in ("xfs", "stacks", "10/12", "12/12", "1 MiB", "32 MiB"):
        assert f">{text}</text>" in svg
    assert 0 < table["told"].sum() < table.height
    untold = svg_of(left_to_win_chunk.chart(table.with_columns(told=pl.lit(False)), 16 * MIB))
    assert untold.count('aria-roledescription="point"') == 0
    assert svg.count('aria-roledescription="point"') == table["told"].sum()


def test_knees_stand_at_a_size_or_at_none(rows):
    knees = study.knee_table(study.chunk_table(rows, ["xfs", "stacks"]), 1.0, 16 * MIB)
    svg = svg_of(left_to_win_knee.chart(knees, SIZES, 16 * MIB, 1.0, study.SMALL))
    assert ">From here on every doubling saves less than 1 per 1,000</text>" in svg
    assert ">From here on visits for chunks are below 1% of all</text>" in svg
    assert svg.count(">none</text>") == 2
    away = svg_of(left_to_win_knee.chart(knees, SIZES, 1 << 40, 1.0, study.SMALL))
    assert away.count("stroke-dasharray") < svg.count("stroke-dasharray")
