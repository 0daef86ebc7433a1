import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import growth, growth_chunks, growth_lost, growth_regions
from vmalloc_model.studies import growth as study
from vmalloc_model.units import size_text

MIB = 1 << 20
POLICIES = ["mainline", "rfc10", "rfc11", "rfc12", "described"]


@pytest.fixture(scope="module")
def cases():
    return study.play(
        "oplog-stock", ["fix_size", "churn"], POLICIES, "x86_64-4level", 2, 16 * MIB, 30_000, 3
    )


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_each_stream_has_a_panel_that_says_what_its_requests_are(cases):
    charts = [
        growth.chart(study.series_table(cases)),
        growth_regions.chart(study.end_table(cases)),
        growth_lost.chart(study.parts_table(cases)),
        growth_chunks.chart(study.chunk_states(cases)),
    ]
    for chart in charts:
        svg = svg_of(chart)
        assert ">oplog-stock (MODEL on MEASURED requests)</text>" in svg
        assert ">churn (MODEL)</text>" in svg
        assert ">fix_size (MODEL)</text>" in svg


def test_policies_with_the_same_line_share_it(cases):
    table = study.series_table(cases).filter(stream="fix_size")
    groups = growth.same(table)
    assert groups["rfc11"] == ["rfc11", "rfc12", "described"]
    assert sum(map(len, groups.values())) == len(POLICIES)
    svg = svg_of(growth.chart(study.series_table(cases)))
    assert ">rfc11, rfc12 +1</text>" in svg
    assert svg.count(">high-water mark (log scale)</text>") == 3
    # the peak of pairs is far below all marks
    assert ", below this axis</text>" in svg


def test_labels_of_lines_keep_apart_and_on_the_axis():
    ends = [(str(k), MIB << 10, str(k)) for k in range(8)]
    spread = growth._spread(ends, MIB, MIB << 10)
    at = spread["at"].to_list()
    assert at == sorted(at)
    assert len(set(at)) == 8
    assert max(at) <= 1.0001 * (MIB << 10)


def test_regions_have_numbers_and_bytes(cases):
    ends = study.end_table(cases)
    svg = svg_of(growth_regions.chart(ends))
    row = ends.filter(stream="churn", policy="mainline").row(0, named=True)
    assert f">{row['page_tables']:,} = " in svg
    assert ">regions of 2 MiB touched</text>" in svg


def test_bars_are_as_long_as_the_sum_of_their_parts(cases):
    parts = study.parts_table(cases)
    svg = svg_of(growth_lost.chart(parts))
    for name in ("live (L)", "free (F)", "room (R)", "held (H)", "drained (D)"):
        assert f">{name}</text>" in svg
    rows = parts.filter(stream="fix_size", policy="mainline")
    assert f">{size_text(sum(rows['bytes']))}</text>" in svg
    states = study.chunk_states(cases)
    counts = svg_of(growth_chunks.chart(states))
    total = sum(states.filter(stream="churn", policy="rfc12")["chunks"])
    assert f">{total:,}</text>" in counts


def test_charts_of_few_policies_and_no_chunks(cases):
    parts = study.parts_table(cases).filter(policy="mainline")
    assert ">free (F)</text>" in svg_of(growth_lost.chart(parts))
    empty = study.chunk_states([case for case in cases if case.policy == "mainline"])
    assert empty.is_empty()
    assert svg_of(growth_chunks.chart(empty)).startswith("<svg")
    none = study.chunk_states(cases).with_columns(chunks=pl.lit(0))
    assert svg_of(growth_chunks.chart(none)).startswith("<svg")


def test_no_two_parts_begin_with_the_same_letter():
    for names in (study.PARTS, study.CHUNK_STATES):
        assert len({name[0] for name in names}) == len(names)
    assert list(growth_lost._COLOURS) == list(study.PARTS)
    assert list(growth_chunks._COLOURS) == list(study.CHUNK_STATES)
