import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import (
    contention,
    contention_check,
    contention_costs,
    contention_fit,
)
from vmalloc_model.contention.demand import Costs, Demand
from vmalloc_model.contention.measured import load_contention
from vmalloc_model.studies import contention as study
from vmalloc_model.studies import contention_check as check
from vmalloc_model.studies import contention_measured as measured
from vmalloc_model.studies.contention_cases import BASELINE, NO_POOLS, Case

COSTS = Costs(pair=576, area=100, handover=459)


@pytest.fixture(scope="module")
def cases():
    demands = {NO_POOLS: 1.0, BASELINE: 0.5, "rfc10": 0.1, "rfc12": 0.001}
    return [
        Case(workload, design, 0, {1: Demand(visits, 2 * visits, 0.1)})
        for workload in ("fix_size", "xfs")
        for design, visits in demands.items()
    ]


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_a_panel_for_each_workload_and_a_line_for_each_design(cases):
    table = study.curves_table(cases, [1, 8, 512, 8192], COSTS)
    svg = svg_of(contention.chart(table))
    for text in ("fix_size (MODEL)", "xfs (MODEL)", NO_POOLS, "rfc12"):
        assert f">{text}</text>" in svg
    assert svg.count(">us per pair (log scale)</text>") == 2
    assert svg.count(">CPUs (log scale)</text>") == 2
    dashes = contention.chart(table).to_dict()
    assert "strokeDash" in str(dashes)


def test_one_cpu_count_has_an_axis_too(cases):
    assert svg_of(contention.chart(study.curves_table(cases, [1], COSTS)))


def test_the_fit_marks_measured_and_modelled_and_rings_what_was_fitted():
    data = load_contention()
    fits = measured.fit_laws(data, [1, 2, 32])
    table = measured.fit_table(data, fits, COSTS)
    svg = svg_of(contention_fit.chart(table, measured.SERIES))
    assert ">MEASURED: global locks (circles)</text>" in svg
    assert ">MODEL: with hand-over, fitted (solid)</text>" in svg
    assert svg.count(">jobs at once (log scale)</text>") == 2
    # three rings in each of two panels
    without = table.with_columns(fitted=pl.lit(False))
    plain = svg_of(contention_fit.chart(without, measured.SERIES))
    assert svg.count("<path") - plain.count("<path") == 6


def test_the_check_has_a_band_where_it_should_agree():
    table = check.check_table(COSTS, 20_000, 1)
    svg = svg_of(contention_check.chart(table, check.AGREED))
    assert ">exponential holding times</text>" in svg
    assert ">constant holding times</text>" in svg
    spec = str(contention_check.chart(table, check.AGREED).to_dict())
    assert spec.count("'type': 'rect'") == 1


def test_other_costs_leave_out_what_is_above_the_axis(cases):
    table = study.other_costs_table(cases, COSTS, 0.1, 64)
    assert table["cpus"].null_count() > 0
    svg = svg_of(contention_costs.chart(table, 64))
    assert ">us from pair to pair (log scale)</text>" in svg
    assert ">x 0.5</text>" in svg
    nothing = table.with_columns(cpus=pl.lit(None, dtype=pl.Int64))
    assert svg_of(contention_costs.chart(nothing, 64))
