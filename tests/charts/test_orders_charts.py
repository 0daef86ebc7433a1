import pytest
import vl_convert

from vmalloc_model.charts import orders, orders_steps
from vmalloc_model.studies import orders as study


@pytest.fixture(scope="module")
def cases():
    return study.search(["rfc10", "rfc11"], 2, 2, 10**6)


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_cells_say_what_a_violation_takes(cases):
    weakest = study.weakest_table(cases)
    svg = svg_of(orders.chart(weakest))
    for text in ("R12", "M5", "C10", "S8", "ok", "descriptor", "counted"):
        assert f">{text}</text>" in svg
    assert svg.count(">ok</text>") == weakest.filter(kernel="holds").height


def test_the_legend_names_only_what_is_there(cases):
    weakest = study.weakest_table(cases)
    assert ">R: PREEMPT_RT</text>" in svg_of(orders.chart(weakest))
    some = weakest.filter(policy="counted")
    svg = svg_of(orders.chart(some))
    assert "PREEMPT_RT" not in svg
    assert ">ok: holds</text>" in svg


def test_an_order_has_a_column_for_each_task_and_a_row_for_each_move(cases):
    lanes = study.lanes_table(study.example(cases, "twice", prefer="rfc10"))
    svg = svg_of(orders_steps.chart(lanes))
    for text in ("T1", "T2", "CPU 0", "CPU 1", "12", "CPU 1: takes lock 0"):
        assert f">{text}</text>" in svg
    assert svg.count(">CPU 1: writes bump</text>") == 2


def test_a_grace_period_has_a_column_of_its_own(cases):
    lanes = study.lanes_table(study.example(cases, "descriptor", prefer="rfc11"))
    svg = svg_of(orders_steps.chart(lanes))
    assert ">RCU</text>" in svg
    assert ">grace period ends</text>" in svg


def test_no_order_is_a_note():
    svg = svg_of(orders_steps.chart(study.lanes_table(None)))
    assert ">no order violates it</text>" in svg
