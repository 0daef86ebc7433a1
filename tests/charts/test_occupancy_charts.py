import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import (
    occupancy,
    occupancy_bytes,
    occupancy_check,
    occupancy_counts,
    occupancy_panels,
    occupancy_tail,
)
from vmalloc_model.studies import occupancy as study
from vmalloc_model.studies import occupancy_cases, occupancy_order
from vmalloc_model.studies import occupancy_check as check

MIB = 1 << 20


@pytest.fixture(scope="module")
def cases():
    names = ["one_page", "stack_x86", "stack_arm64", "xfs", "stack_and_page"]
    return occupancy_cases.cases_of(names, ["smp4-sync"], "x86_64-4level")


@pytest.fixture(scope="module")
def served(cases):
    return study.chunk_table(cases, [MIB, 4 * MIB, 16 * MIB])


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_each_group_has_a_panel_that_says_what_its_requests_are(served):
    parts = study.parts_table(served, 16 * MIB)
    charts = [
        occupancy.chart(served, 4 * MIB),
        occupancy_tail.chart(served, 4 * MIB),
        occupancy_bytes.chart(parts),
    ]
    for chart in charts:
        svg = svg_of(chart)
        for title in occupancy_panels.TITLES.values():
            assert f">{title}</text>" in svg
    assert list(occupancy_panels.TITLES) == list(occupancy_cases.GROUPS)


def test_mixes_with_the_same_line_share_it(served):
    groups = occupancy_panels.same(served.filter(group="equal"), "requests")
    assert groups == {"one_page": ["one_page"], "stack_x86": ["stack_x86", "stack_arm64"]}
    svg = svg_of(occupancy.chart(served, 4 * MIB))
    assert ">stack_x86, stack_arm64</text>" in svg
    assert ">requests per refill (log scale)</text>" in svg
    assert ">4 MiB</text>" in svg


def test_a_mix_without_tail_has_no_line(served):
    svg = svg_of(occupancy_tail.chart(served, 4 * MIB))
    assert ">one_page</text>" not in svg
    assert ">stack_x86, stack_arm64</text>" in svg


def test_bars_have_letters_and_the_share_of_payload(served):
    parts = study.parts_table(served, 16 * MIB)
    svg = svg_of(occupancy_bytes.chart(parts))
    for name in ("payload (P)", "guard (G)", "padding (A)", "tail (T)"):
        assert f">{name}</text>" in svg
    assert ">50 %</text>" in svg
    assert list(occupancy_bytes._PARTS) == list(study.PARTS)
    letters = {letter for _, letter in occupancy_bytes._PARTS.values()}
    assert len(letters) == len(study.PARTS)


def test_the_band_and_a_row_for_each_mix_and_chunk_size(cases):
    table = check.check_table(cases, [MIB, 4 * MIB], 10_000, 1)
    chart = occupancy_check.chart(table, check.BAND)
    svg = svg_of(chart)
    assert ">xfs: 1 MiB</text>" in svg
    assert ">one_page: 1 MiB</text>" not in svg
    assert list(occupancy_check._MEASURES) == list(check.MEASURES)
    shade = chart.to_dict()["layer"][0]
    assert shade["encoding"]["x"]["scale"]["domain"][1] >= check.BAND + 1
    far = table.with_columns(z=pl.col("z") + 20)
    assert svg_of(occupancy_check.chart(far, check.BAND)).startswith("<svg")
    nothing = table.filter(pl.col("z").is_null())
    assert svg_of(occupancy_check.chart(nothing, check.BAND)).startswith("<svg")


def test_two_lines_for_each_run():
    played = occupancy_order.play(["smp4-sync", "oplog-rfc10"], 16 * MIB)
    chart = occupancy_counts.chart(occupancy_order.counts_table(played))
    svg = svg_of(chart)
    assert len(chart.to_dict()["vconcat"]) == 2
    assert ">recorded order</text>" in svg
    assert ">independent</text>" in svg
    assert svg.count(">requests in a chunk (log scale)</text>") == 1


def test_nothing_to_draw_is_drawn_as_nothing(served):
    empty = served.clear()
    for chart in (
        occupancy.chart(empty, MIB),
        occupancy_tail.chart(served.filter(mix="one_page"), MIB),
        occupancy_bytes.chart(study.parts_table(empty, MIB)),
        occupancy_counts.chart(occupancy_order.counts_table([])),
    ):
        assert svg_of(chart).startswith("<svg")
