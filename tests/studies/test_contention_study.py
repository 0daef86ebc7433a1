import dataclasses

import polars as pl
import pytest

from vmalloc_model.contention.demand import Costs, Demand, pair_time
from vmalloc_model.contention.measured import load_contention
from vmalloc_model.errors import InputError
from vmalloc_model.studies import contention, contention_check
from vmalloc_model.studies import contention_measured as measured
from vmalloc_model.studies import contention_words as words
from vmalloc_model.studies.contention_cases import BASELINE, NO_POOLS, Case, play

MIB = 1 << 20
COSTS = Costs(pair=576, area=100, handover=459)
MOST = 1024


@pytest.fixture(scope="module")
def cases():
    return play(
        ["fix_size", "xfs"],
        ["rfc10", "rfc12"],
        "x86_64-4level",
        [2, 8],
        16 * MIB,
        [4 * MIB, 16 * MIB],
        40_000,
        1,
    )


@pytest.fixture(scope="module")
def data():
    return load_contention()


def made(design, *demands):
    """A case with demands for machines of 1, 2, 4, ... CPUs."""
    return Case("churn", design, 0, {1 << k: demand for k, demand in enumerate(demands)})


def test_every_workload_meets_every_design(cases):
    assert [(case.workload, case.design, case.chunk_size // MIB) for case in cases] == [
        (workload, design, size)
        for workload in ("fix_size", "xfs")
        for design, size in (
            (NO_POOLS, 0),
            (BASELINE, 0),
            ("rfc10", 16),
            ("rfc10", 4),
            ("rfc12", 16),
            ("rfc12", 4),
        )
    ]
    assert [sorted(case.demands) for case in cases[:2]] == [[2], [2, 8]]
    shown = contention.shown_cases(cases, 16 * MIB)
    assert len(shown) == 8


def test_each_part_takes_visits_away(cases):
    """No pools, pools, 10/12 behind pools, 12/12 before them, on mixed sizes."""
    bare, pools, ten, twelve = (
        case.largest for case in contention.shown_cases(cases, 16 * MIB) if case.workload == "xfs"
    )
    assert bare.visits > pools.visits > 5 * ten.visits
    assert pools.visits > 5 * twelve.visits
    # but only from 11/12 on do areas not come back one by one
    assert ten.areas > 5 * twelve.areas


def test_curves_start_at_the_pair_and_end_at_the_limit(cases):
    shown = contention.shown_cases(cases, 16 * MIB)
    curves = contention.curves_table(shown, [1, 64, 8192], COSTS)
    assert curves.height == 3 * len(shown)
    assert curves.filter(cpus=1)["pair_ns"].to_list() == pytest.approx([576] * len(shown))
    limits = contention.limits_table(shown, COSTS, MOST)
    full = curves.filter(cpus=8192).join(limits, on=["workload", "design"], how="left")
    for row in full.iter_rows(named=True):
        if row["knee"] is not None and row["knee"] < 500:
            assert row["pairs_per_s"] == pytest.approx(row["global_limit"], rel=1e-3)
        assert row["pairs_per_s"] <= 1.001 * max(row["global_limit"], 8192 / 576e-9)


def test_the_first_count_is_found():
    for answer in (1, 2, 3, 7, 64, 65, 999, 1024):
        assert contention.first_cpus(lambda n, a=answer: n >= a, MOST) == answer
    assert contention.first_cpus(lambda n: False, MOST) is None
    assert contention.first_cpus(lambda n: n >= 1000, 1000) == 1000


def test_what_matters_by_hand():
    plain, better = made(BASELINE, Demand(1.0, 2.0, 0)), made("rfc12", Demand(0.001, 0.001, 0))
    matters = contention.matters_table([plain, better], COSTS, 0.1, MOST)
    row = matters.row(0, named=True)
    assert row["cpus"] == 2
    ratio = pair_time(MOST, plain.largest, COSTS) / pair_time(MOST, better.largest, COSTS)
    assert row["ratio"] == pytest.approx(ratio)
    assert row["knee"] is None or row["knee"] > 1000 / 2
    # twice the time from pair to pair, and all costs of the lock: the same CPUs
    twice = Costs(pair=2 * 576, area=200, handover=918)
    again = contention.matters_table([plain, better], twice, 0.1, MOST)
    assert again["cpus"].to_list() == matters["cpus"].to_list()
    same = contention.matters_table([plain, made("rfc10", plain.largest)], COSTS, 0.1, MOST)
    assert same["cpus"].to_list() == [None]


def test_other_costs_move_the_answer_as_they_should(cases):
    shown = contention.shown_cases(cases, 16 * MIB)
    other = contention.other_costs_table(shown, COSTS, 0.1, 8192)
    assert other["policy"].unique().to_list() == ["rfc12"]
    rows = other.filter(workload="xfs")
    for lock in contention.LOCK_FACTORS:
        cpus = rows.filter(lock_factor=lock).sort("pair_ns")["cpus"].to_list()
        found = [one for one in cpus if one is not None]
        assert found == sorted(found)
    costs = Costs(pair=10 * 576, area=200, handover=918)
    plain = contention.matters_table(shown, costs, 0.1, 8192).filter(policy="rfc12")
    one = other.filter(pair_factor=10, lock_factor=2.0)
    assert one.select(plain.columns).equals(plain)
    at = rows.filter(pair_factor=10).sort("lock_factor")["cpus"].to_list()
    assert at == sorted(at, reverse=True)


def test_the_chunk_size_moves_the_overlays_knee_and_not_mainlines(cases):
    matters = contention.matters_table(cases, COSTS, 0.1, MOST)
    xfs = matters.filter(workload="xfs", policy="rfc12").sort("chunk_size")
    assert xfs["cpus"].n_unique() == 1
    assert xfs["knee"].to_list()[0] < xfs["knee"].to_list()[1]
    text = words.say_chunks(matters, MOST)
    assert "From 4 MiB to 16 MiB the chunk size moves this number in 0 of 4 cases" in text
    low, high = xfs["knee"].to_list()
    assert "rfc12 itself saturates at" in text
    assert f"{low:,} to {high:,} on *xfs*" in text
    one = matters.filter(chunk_size=4 * MIB)
    assert words.say_chunks(one, MOST) == "Only chunks of 4 MiB were tried."
    moved = matters.with_columns(cpus=pl.int_range(pl.len()) + 1)
    assert "in 4 of 4 cases" in words.say_chunks(moved, MOST)


def test_node_locks_may_undo_what_an_overlay_gains():
    rows = [
        ("mainline", 50.0, 100.0),
        ("rfc10", 170.0, 45.0),  # gains at the global lock, limited sooner by a node's
        ("rfc11", 40.0, 30.0),  # does not gain
        ("rfc12", 900.0, 60.0),
        (NO_POOLS, 60.0, 1.0),
    ]
    limits = pl.DataFrame(
        [("stacks", design, 1e6 * one, 1e6 * node) for design, one, node in rows],
        schema=["workload", "design", "global_limit", "node_limit"],
        orient="row",
    )
    text = words.say_node_locks(limits)
    assert text.endswith(
        "in 1 of 3 cases: rfc10 on *stacks* (45 against 50 million pairs a second)."
    )
    free = limits.with_columns(node_limit=pl.lit(1e12))
    assert words.say_node_locks(free).endswith("in none of 3 cases.")


def test_captions_follow_the_tables(cases):
    shown = contention.shown_cases(cases, 16 * MIB)
    limits = contention.limits_table(shown, COSTS, MOST)
    text = words.say_limits(limits, [2, 8], MOST)
    assert "Counted on 8 CPUs (no-pools: 2 CPUs)" in text
    assert f"no-pools {limits.filter(design=NO_POOLS)['knee'].to_list()[0]}" in text
    free = limits.with_columns(node_limit=pl.lit(float("inf")))
    assert "in 0 of 6 cases." in words.say_limits(free, [2, 8], MOST)
    assert "no-pools, which has one node, is not among these; there it does in 0 of 2." in (
        words.say_limits(free, [2, 8], MOST)
    )
    never = limits.with_columns(knee=pl.lit(None, dtype=pl.Int64))
    assert "mainline over 1,024" in words.say_limits(never, [2, 8], MOST)
    assert words.shown_limits(never, MOST)["knee"].unique().to_list() == ["over 1,024"]
    curves = contention.curves_table(shown, [1, 8], COSTS)
    caption = words.say_curves(curves, COSTS)
    assert "from 576 ns on one CPU" in caption
    assert "*xfs* with 8 CPUs: no-pools" in caption
    matters = contention.matters_table(cases, COSTS, 0.1, MOST)
    assert "takes 10 % longer" in words.say_matters(matters, 0.1, MOST)
    assert words.shown_matters(matters, MOST).height == matters.height
    other = contention.other_costs_table(shown, COSTS, 0.25, MOST)
    assert "mainline is 25 % slower than rfc12" in words.say_other_costs(other, 0.25, MOST)
    assert "over 1,024" in words.costs_summary(other, MOST).to_series(-1).to_list()


def test_a_chapter_without_an_overlay_is_refused():
    with pytest.raises(InputError, match=r"\$\.policies"):
        play(["fix_size"], ["mainline"], "i386", [1], MIB, [MIB], 1000, 0)


# --- exact form and simulation -------------------------------------------------------------------


def test_the_check_agrees_and_says_so():
    table = contention_check.check_table(COSTS, 100_000, 3)
    drawn = table.filter(holding="exponential")
    assert drawn["difference"].abs().max() < 0.003
    text = contention_check.say_check(table)
    assert "100,000 visits" in text
    assert "(hand-over)" in text
    assert contention_check.check_summary(table).height == table["cpus"].n_unique()
    off = table.with_columns(difference=pl.col("difference") + 0.05)
    assert "up to 5" in contention_check.say_check(off)
    assert "further away than three of them" in contention_check.say_check(off)


def test_few_visits_leave_many_cpus_out():
    table = contention_check.check_table(COSTS, 5_000, 3)
    assert table["cpus"].unique().sort().to_list() == [1, 2, 4]
    with pytest.raises(InputError, match="too few visits"):
        contention_check.check_table(COSTS, 500, 3)


# --- published times -----------------------------------------------------------------------------


def test_the_fits_miss_and_the_caption_says_why(data):
    fits = measured.fit_laws(data, [1, 2, 32])
    assert fits.handover.error > 0.2
    assert fits.missed["handover"][2] not in fits.jobs
    text = measured.say_fit(data, fits)
    assert "fitted to 1, 2 and 32 jobs" in text
    assert "with 5 jobs all of them together do 0.62 million pairs a second" in text
    assert "up to 2.4 times as many" in text


def test_a_lock_that_the_law_can_be_is_not_called_impossible(data):
    law = Costs(pair=576, area=100, handover=459)
    times = tuple(pair_time(job, measured.BEFORE, law) for job in data.pairs.jobs)
    tame = dataclasses.replace(data, pairs=dataclasses.replace(data.pairs, shared=times))
    fits = measured.fit_laws(tame, [1, 2, 32])
    assert fits.handover.error < 1e-6
    assert fits.handover.lock.hold == pytest.approx(200, rel=1e-3)
    assert "No lock whose cost" not in measured.say_fit(tame, fits)


def test_every_point_fitted_leaves_none_to_try(data):
    few = {"jobs": (1, 2, 32), "shared": tuple(data.pairs.shared[k] for k in (0, 1, 31))}
    data = dataclasses.replace(data, pairs=dataclasses.replace(data.pairs, **few))
    fits = measured.fit_laws(data, data.pairs.jobs)
    assert fits.missed["constant"] == (0.0, 0.0, 0)
    assert "and the others" not in measured.say_fit(data, fits)


def test_the_costs_are_held_against_the_measurement(data):
    points = measured.fit_table(data, measured.fit_laws(data, [1, 2, 32]), COSTS)
    assert points.filter("fitted")["jobs"].to_list() == [1, 2, 32]
    used = points.filter(series="used", jobs=32)["pairs_per_us"].to_list()[0]
    assert used == pytest.approx(32 / 21.0865, rel=1e-3)
    text = measured.say_costs(data, COSTS)
    assert "(measured 576 ns)" in text
    assert "0.36 times what was measured (2 jobs)" in text
    dear = measured.say_costs(data, Costs(pair=576, area=100, handover=2000))
    assert "and as high as" in dear
    known = measured.costs_table(data, COSTS)["known"].to_list()
    assert "659 ns to 1,610 ns" in known[2]
    assert measured.fit_summary(points)["jobs"].to_list() == [1, 2, 4, 8, 16, 32]
    assert "98.6 % of their time waiting" in measured.say_before(data, COSTS)
    assert "12.7 times less" in measured.say_before(data, COSTS)


def test_unpublished_jobs_are_refused(data):
    with pytest.raises(InputError, match=r"\$\.fit_jobs\[1\]: not published: 64; allowed: 1..32"):
        measured.fit_laws(data, [1, 64, 2])
    with pytest.raises(InputError, match="fit_jobs"):
        measured.fit_laws(data, [1, 2])


def test_published_rows_cite_their_source(data):
    table = measured.published_table(data)
    assert table["source"].to_list()[0] == "{cite}`rezki-2023`"
    assert f"{table.height} sources" in measured.say_published(data)
