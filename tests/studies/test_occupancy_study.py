import polars as pl
import pytest

from vmalloc_model.occupancy.mixes import MIXES
from vmalloc_model.occupancy.stationary import fresh, stationary
from vmalloc_model.studies import (
    occupancy,
    occupancy_cases,
    occupancy_check,
    occupancy_order,
)
from vmalloc_model.studies import occupancy_words as words
from vmalloc_model.studies.recorded import recorded
from vmalloc_model.studies.streams import fill_stream

MIB = 1 << 20
SIZES = (MIB, 4 * MIB, 16 * MIB)
RUNS = ("smp4-sync", "oplog-rfc10")


@pytest.fixture(scope="module")
def cases():
    return occupancy_cases.cases_of(list(MIXES), RUNS, "x86_64-4level")


@pytest.fixture(scope="module")
def served(cases):
    return occupancy.chunk_table(cases, SIZES)


@pytest.fixture(scope="module")
def compared(cases):
    return occupancy_check.check_table(cases, [MIB, 16 * MIB], 60_000, 1)


@pytest.fixture(scope="module")
def played():
    return occupancy_order.play(RUNS, 16 * MIB)


def by_name(cases, name):
    return next(case for case in cases if case.name == name)


def test_mixes_are_grouped_and_recorded_ones_come_last(cases):
    groups = [case.group for case in cases]
    assert groups == sorted(groups, key=list(occupancy_cases.GROUPS).index)
    assert [case.name for case in cases if case.group == "recorded"] == [
        "smp4-sync, before pools",
        "oplog-rfc10, after pools",
        "oplog-rfc10, before pools",
    ]
    assert {case.mix.size.size for case in cases if case.group == "equal"} == {1}
    assert "3 " not in occupancy_cases.say_mixes(cases[:1], "p")


def test_a_recorded_mix_has_the_mean_of_its_run(cases):
    _, requests = recorded("oplog-rfc10")
    asked = requests.filter("in_window")
    mix = by_name(cases, "oplog-rfc10, before pools").mix
    assert mix.mean == pytest.approx(asked["size"].mean())
    assert mix.mean_guard == pytest.approx(4096 * (~asked["vm_map_ram"]).mean())
    pooled = by_name(cases, "oplog-rfc10, after pools").mix
    assert pooled.mean > mix.mean


def test_rows_are_those_of_the_package_and_sum_to_the_chunk(cases, served):
    assert occupancy.identity_error(served) < 1e-12
    row = served.filter(mix="xfs", chunk_size=4 * MIB).row(0, named=True)
    found = stationary(by_name(cases, "xfs").mix, 4 * MIB)
    assert (row["requests"], row["tail"]) == (found.requests, found.tail)
    assert row["visits_per_1000"] == pytest.approx(1000 / found.requests)
    part = served.filter(mix="smp4-sync, before pools", chunk_size=4 * MIB).row(0, named=True)
    assert 0 < part["eligible"] < 1
    assert part["visits_per_1000"] > 1000 * (1 - part["eligible"])
    assert served.filter(mix="huge")["chunk_size"].to_list() == [16 * MIB]
    assert "to better than 1e-9 of it" in words.say_identity(served)
    wrong = served.with_columns(pl.col("tail") + 10)
    assert "only to" in words.say_identity(wrong)


def test_parts_are_shares_of_the_chunk(served):
    parts = occupancy.parts_table(served, 16 * MIB)
    sums = parts.group_by("mix", maintain_order=True).agg(pl.col("share").sum())
    assert sums["share"].to_list() == pytest.approx([1.0] * sums.height)
    text = words.say_parts(parts, 16 * MIB)
    assert "guard 50 % (*one_page*)" in text
    assert "Least payload" in text
    assert "No mix" in words.say_parts(parts.clear(), MIB)


def test_a_larger_chunk_can_serve_fewer(served):
    text = words.say_requests(served, 16 * MIB)
    assert "*smp4-sync, before pools* from 4 MiB to 16 MiB" in text
    assert "A larger chunk" not in words.say_requests(served.filter(group="equal"), 16 * MIB)
    same = served.with_columns(eligible=pl.lit(1.0))
    assert "become eligible" not in words.say_requests(same, 16 * MIB)
    assert "No mix shown is eligible" in words.say_requests(served, 64 * MIB)


def test_sentences_of_tail_padding_and_the_first_request(cases, served):
    text = words.say_tail(served)
    assert "Not shown, without tail: *one_page* and *vmap_block*." in text
    assert words.say_tail(served.filter(mix="one_page")) == "No mix shown leaves a tail."
    sometimes = served.with_columns(
        tail=pl.when(chunk_size=MIB).then(pl.lit(0.0)).otherwise(pl.col("tail"))
    )
    assert words.say_tail(sometimes).endswith("*one_page* and *vmap_block*.")
    assert "*stack_x86* 36.3 % to 37.4 %" in words.say_padding(served)
    assert words.say_padding(served.filter(mix="xfs")) == "No mix shown has padding."
    assert "*random_size* 133.359 KiB (limit 133.359 KiB)" in words.say_limit(cases, 16 * MIB)
    assert "No mix" in words.say_limit(cases[:1], MIB)
    assert "largest for *smp4-sync" in words.say_first(cases, 16 * MIB)
    assert "No mix" in words.say_first(cases[:1], MIB)


def test_the_table_for_readers_has_every_mix(cases):
    shown = occupancy.mix_table(cases, 4 * MIB)
    assert shown["mix"].to_list() == [case.name for case in cases]
    row = shown.filter(mix="stack_x86").row(0, named=True)
    assert (row["quotient"], row["requests"], row["deviation"]) == ("204.8", "128", "0")
    assert shown.filter(mix="huge")["requests"][0] == "-"
    assert "Nothing is eligible of *huge* and *vmap_block*" in words.say_mix_table(shown, 4 * MIB)
    assert occupancy.requests_summary(occupancy.chunk_table(cases, [MIB])).height > 10


# --- simulation ----------------------------------------------------------------------------------


def test_exact_and_simulated_agree(compared):
    """More than six mixes and two chunk sizes; every |z| below 3, and their squares as expected."""
    random = compared.filter(pl.col("z").is_not_null())
    assert random["mix"].n_unique() >= 8
    assert random["z"].abs().max() < 3
    squares = (random["z"] ** 2).sum()
    assert 0.5 < squares / random.height < 1.5
    assert "below 3, among" in occupancy_check.say_check(compared, 60_000, 1)


def test_equal_requests_are_equal_in_every_chunk(compared):
    equal = compared.filter(group="equal")
    assert equal.height >= 15
    assert equal["z"].null_count() == equal.height
    assert (equal["exact"] == equal["simulated"]).all()


def test_a_theory_without_the_bias_of_the_first_request_is_rejected(compared):
    wrong = compared.filter(pl.col("unbiased_z").abs() > 3)
    assert wrong["mix"].n_unique() >= 5
    assert wrong["unbiased_z"].abs().max() > 8
    assert "fails: " in occupancy_check.say_check(compared, 60_000, 1)


def test_so_is_one_with_the_guard_page_left_out(cases, compared):
    """The check is not blind to a chunk that is one page too small either."""
    row = compared.filter(mix="random_size", measure="requests", chunk_size=MIB).row(0, named=True)
    mix = by_name(cases, "random_size").mix
    smaller = fresh(mix, MIB // 2).requests
    assert abs(row["simulated"] - smaller) > 10 * row["error"]


def test_few_chunks_give_no_standard_error(cases):
    few = occupancy_check.check_table([by_name(cases, "xfs")], [16 * MIB], 200, 1)
    assert few.is_empty()
    assert occupancy_check.say_check(few, 200, 1).startswith("No mix shown is random")


def test_a_mean_outside_the_band_is_said(compared):
    far = compared.with_columns(z=pl.when(pl.col("z").is_not_null()).then(3.5))
    text = occupancy_check.say_check(far, 60_000, 1)
    assert text.startswith("The largest |z| is 3.50: ")
    assert "beyond 3, among" in text


# --- recorded order ------------------------------------------------------------------------------


def test_recorded_order_is_that_of_the_filling(played):
    one = next(each for each in played if each.stream == "oplog-rfc10, after pools")
    _, requests = recorded("oplog-rfc10")
    filling = fill_stream(requests, 16 * MIB, 4096, "after pools")[2]
    assert one.counts.tolist() == filling.chunk_requests[filling.chunk_closed].tolist()
    assert one.tail.sum() == filling.tail


def test_bursts_leave_the_mean_and_widen_the_rest(played):
    one = next(each for each in played if each.stream == "oplog-rfc10, after pools")
    assert one.counts.mean() == pytest.approx(one.exact.requests, rel=0.03)
    assert one.counts.std() > 5 * one.deviation
    table = occupancy_order.order_table(played)
    assert table.height == len(played) == 3
    assert "times that of independent requests" in occupancy_order.say_order(played, 16 * MIB)


def test_curves_rise_to_one(played):
    table = occupancy_order.counts_table(played)
    assert table["stream"].unique(maintain_order=True).to_list() == [
        "smp4-sync, before pools",
        "oplog-rfc10, after pools",
    ]
    for _, points in table.group_by("stream", "what"):
        assert points["requests"].is_sorted()
        assert points["below"].is_sorted()
        assert points["below"].max() == pytest.approx(1.0, abs=0.03)
    assert occupancy_order.counts_summary(table).height == 4
    assert "standard deviation" in occupancy_order.say_counts(played, 16 * MIB)


def test_streams_that_close_no_chunk_are_said():
    none = occupancy_order.play(["smp4-sync"], 1 << 40)
    assert none == []
    assert occupancy_order.order_table(none).is_empty()
    assert "closes a chunk" in occupancy_order.say_order(none, 1 << 40)
    assert "closes two chunks" in occupancy_order.say_counts(none, 1 << 40)


# --- the chapter ---------------------------------------------------------------------------------
