import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import leaks, leaks_live, leaks_time, theme
from vmalloc_model.studies import leaks as study
from vmalloc_model.studies import leaks_live as lives_study
from vmalloc_model.studies import leaks_time as time_study

MIB, GIB = 1 << 20, 1 << 30
X86 = "x86_64-4level"


@pytest.fixture(scope="module")
def losses():
    found = study.accounts(["xfs"], ["mainline", "rfc10", "rfc12"], X86, 2, 16 * MIB, 30_000, 3)
    return study.losses_table(found, X86)


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_only_streams_on_which_something_is_lost_have_a_panel(losses):
    svg = svg_of(leaks.chart(losses))
    assert ">xfs (MODEL)</text>" in svg
    assert f">{study.PAIRS} (MODEL)</text>" in svg
    some = losses.filter((pl.col("stream") == "xfs") | (pl.col("policy") == "mainline"))
    assert study.PAIRS not in svg_of(leaks.chart(some))
    assert list(leaks._COLOURS) == list(study.LOSSES)


def test_a_loss_of_nothing_is_drawn_as_nothing(losses):
    none = losses.filter(policy="mainline")
    svg = svg_of(leaks.chart(none))
    assert ">xfs (MODEL)</text>" in svg
    assert ">0</text>" in svg


def test_points_for_each_number_of_cpus_and_lines_by_the_formula():
    table = lives_study.live_table("rfc12", X86, [1, 2], 64 * MIB, 20_000, 3)
    svg = svg_of(leaks_live.chart(table, 2))
    for name in ("1 CPU", "2 CPUs", "2 CPUs, others stand", "lost for good", "held by areas"):
        assert f">{name}</text>" in svg
    assert ">2 CPUs, areas replaced at random</text>" in svg
    assert ">100%</text>" in svg
    # the panels have scales and legends of their own
    upper, lower = leaks_live.chart(table, 2).to_dict()["vconcat"]
    assert "lost for good" not in str(upper)
    assert "1 CPU" not in str(lower["title"])


def test_a_line_for_each_range_and_one_for_the_memory(losses):
    times = time_study.time_table(losses, [X86, "riscv64-sv39"], X86, 16 * MIB, GIB)
    svg = svg_of(leaks_time.chart(times, 300_000, time_study.MEMORY))
    for name in ("memory, 1 GiB", "x86_64-4level, 32 TiB", "riscv64-sv39, 64 GiB"):
        assert svg.count(f">{name}</text>") == 2
    assert ">300,000/s</text>" in svg
    assert ">1 min</text>" in svg
    assert ">time to the end (log scale)</text>" in svg
    assert theme.INK in svg


def test_nothing_that_ends_is_an_empty_panel(losses):
    none = time_study.time_table(losses.filter(policy="mainline"), [X86], X86, 16 * MIB, GIB)
    assert svg_of(leaks_time.chart(none, 300_000, time_study.MEMORY)).startswith("<svg")
