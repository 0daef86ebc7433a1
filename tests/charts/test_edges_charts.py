import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import edges_full, edges_largest, edges_searches, theme
from vmalloc_model.studies import edges_full as full_study
from vmalloc_model.studies import edges_small as study

MIB = 1 << 20
C = 64 * MIB
POLICIES = ["mainline", "rfc12"]


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def cells(svg):
    return svg.count('aria-roledescription="rect mark"')


@pytest.mark.parametrize(("platforms", "counts"), [(["i386"], [3]), (["arm", "riscv32"], [1, 8])])
def test_a_cell_with_its_size_for_each_case(platforms, counts):
    table = study.start_table(platforms, counts, POLICIES, C)
    svg = svg_of(edges_largest.chart(table))
    assert cells(svg) == table.height
    for platform in platforms:
        assert f">{platform} (MODEL)</text>" in svg
    if "riscv32" in platforms:
        assert ">32 MiB</text>" in svg
    assert ">share of the range</text>" in svg


def test_searches_and_failures_stand_in_the_cells():
    churn = study.churn_table(["riscv32"], [8], POLICIES, C, 20_000, 1)
    table = study.without(churn)
    svg = svg_of(edges_searches.chart(table))
    assert cells(svg) == 2
    assert ">1,000</text>" in svg
    assert " F</text>" in svg
    assert ">F: allocations fail</tspan>" in svg
    fine = svg_of(edges_searches.chart(table.filter(policy="mainline")))
    assert "allocations fail" not in fine
    assert " F</text>" not in fine


def test_text_is_light_on_the_dark_cells_only():
    table = study.start_table(["riscv32"], [1, 8], POLICIES, C)
    spec = edges_largest.chart(table).to_dict()
    (rows,) = {str(data): data for data in spec["datasets"].values()}.values()
    for row in rows:
        assert row["dark"] == (row["share"] < 0.5)
    churn = study.without(study.churn_table(["arm"], [8], POLICIES, C, 8_000, 1))
    spec = edges_searches.chart(churn).to_dict()
    (rows,) = {str(data): data for data in spec["datasets"].values()}.values()
    for row in rows:
        assert row["dark"] == (row["searches_per_1000"] >= 1000)
    svg = svg_of(edges_searches.chart(churn))
    assert f'fill="{theme.ON_DARK_FILL}"' in svg


def test_a_full_range_is_a_bar_of_its_parts():
    parts = full_study.full_parts(full_study.full_table(["i386", "arm"], 2, POLICIES, C, 1))
    svg = svg_of(edges_full.chart(parts))
    assert ">i386 (MODEL)</text>" in svg
    for name in ("live (L)", "free (F)", "room (R)"):
        assert f">{name}</text>" in svg
    assert list(edges_full._COLOURS) == list(full_study.PARTS)
    assert svg_of(edges_full.chart(parts.with_columns(share=pl.lit(0.0)))).startswith("<svg")
