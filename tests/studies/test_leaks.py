import math

import polars as pl
import pytest

from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.simulate import simulate
from vmalloc_model.studies import (
    growth_measured,
    leaks,
    leaks_exhaustion,
    leaks_hand,
    leaks_live,
    leaks_memory,
    leaks_repairs,
    leaks_time,
)
from vmalloc_model.workloads import make

MIB, GIB = 1 << 20, 1 << 30
X86 = "x86_64-4level"
POLICIES = ["mainline", "rfc10", "rfc11", "rfc12", "release-at-refill", "release-after-purge"]


@pytest.fixture(scope="module")
def losses():
    found = leaks.accounts(["fix_size", "xfs", "modules"], POLICIES, X86, 2, 16 * MIB, 40_000, 3)
    return leaks.losses_table(found, X86)


@pytest.fixture(scope="module")
def sequences():
    return leaks_exhaustion.sequences_table(
        [X86, "riscv64-sv39", "arm"], ["mainline", *POLICIES[2:]], 2, 64 * MIB, 1
    )


@pytest.fixture(scope="module")
def installed():
    return leaks_exhaustion.installed_table(X86, POLICIES, 2, 64 * MIB, 1, 3_000)


def of(table, **names):
    return table.filter(**names).row(0, named=True)


# --- losses --------------------------------------------------------------------------------------


def test_every_stream_meets_every_policy_and_the_pairs_come_last(losses):
    streams = ["fix_size", "xfs", "modules", leaks.PAIRS]
    assert losses.select("stream", "policy").rows() == [
        (stream, policy) for stream in streams for policy in POLICIES
    ]


def test_losses_are_those_of_the_simulation(losses):
    machine = machine_of(find_platform(X86), 2, chunk_size=16 * MIB)
    stream = make("fix_size", page_size=4096, cpus=2, events=40_000, seed=3)
    done = simulate(stream, machine, "rfc12")
    row = of(losses, stream="fix_size", policy="rfc12")
    per = 1e6 / done.counters["requests"]
    assert row["refills"] == pytest.approx(done.counters["refills"] * per)
    assert row["drained"] == row["lost"] == done.measures["chunks_lost"] * 16 * MIB * per > 0
    assert row["descriptors"] == done.measures["chunks_lost"] * (64 << 10) * per
    assert row["page_tables"] == done.measures["page_tables"] * 4096 * per
    assert row["tail"] == row["padding"] == 0


def test_10_12_loses_tails_and_padding_and_no_chunk(losses):
    row = of(losses, stream="xfs", policy="rfc10")
    assert row["drained"] == row["chunks_lost"] == row["descriptors"] == 0
    assert row["lost"] == row["tail"] + row["padding"] > 0


def test_who_loses_nothing(losses):
    for policy in ("mainline", "release-at-refill"):
        assert losses.filter(policy=policy)["lost"].to_list() == [0] * 4
    # the one repair is not the other: modules purge at once, so their chunks are purged already
    assert of(losses, stream="modules", policy="release-after-purge")["lost"] > 0


def test_losing_pairs_grow_by_what_they_lose(losses):
    row = of(losses, stream=leaks.PAIRS, policy="rfc12")
    assert row["growth"] == pytest.approx(row["lost"] / 1e6, rel=0.1)
    assert row["growth"] == pytest.approx(19 * 4096, rel=0.05)  # 18 pages and the guard page


def test_the_pairs_are_of_the_smallest_buffer_in_pages():
    assert leaks._point(leaks.PAIRS, "rfc12", X86, 1, 1, 1, 1, 4096)["parameters"] == {
        "nr_pages": 18
    }
    point = leaks._point(leaks.PAIRS, "rfc12", "arm64-48bit-64k", 1, 1, 1, 1, 65536)
    assert point["parameters"] == {"nr_pages": 2}


def test_sentences_of_losses(losses):
    text = leaks.say_rates(losses, 16 * MIB)
    assert "*fix_size*: most under rfc11, rfc12, " in text
    assert "*xfs*: most under rfc10, " in text
    assert "nothing under 5 of 6" in text
    none = losses.filter(policy="mainline")
    assert "nothing under any policy" in leaks.say_rates(none, 16 * MIB)
    assert leaks.say_most(none) == "Nothing is lost here."
    most = leaks.say_most(losses)
    assert "rfc11 on *modules*" in most
    assert "not eligible" in most
    assert "not eligible" not in leaks.say_most(losses.filter(pl.col("policy") != "rfc11"))
    assert "chunks" not in leaks.say_most(losses.filter(policy="rfc10"))
    shown = leaks.shown_losses(losses)
    assert "mainline" not in shown["policy"]
    assert shown.height == 20
    caption = leaks.say_losses(losses, 16 * MIB, X86)
    assert "Most memory goes under rfc11 on *modules*" in caption
    assert "ran out" not in caption
    failed = losses.with_columns(failures=pl.lit(1))
    assert "ran out" in leaks.say_losses(failed, 16 * MIB, X86)
    assert "xfs-pairs" in leaks.rate_summary(losses).columns
    streams = leaks.say_streams(["stacks"], X86, 1, 5)
    assert "*stacks*, threads start" in streams
    assert "with 1 CPU:" in streams
    assert leaks.say_sizes() == "73,728 to 1,048,576 bytes"


# --- by hand -------------------------------------------------------------------------------------


def test_hand_and_model_agree_on_any_number_of_loops():
    for loops in (8_192, 8_193, 50_000):
        table = leaks_hand.hand_table(X86, 64 * MIB, "rfc12", loops)
        assert "they agree in every row" in leaks_hand.say_hand(table, "rfc12")
        first = of(table, test="fix_size")
        assert first["refills"] == first["lost"] + 1 == -(-loops // 8_192)


def test_a_policy_that_loses_nothing_does_not_agree():
    table = leaks_hand.hand_table(X86, 16 * MIB, "release-at-refill", 50_000)
    assert table["lost"].to_list() == [0, 0]
    assert "do not agree" in leaks_hand.say_hand(table, "release-at-refill")


def test_hand_counts_follow_the_platform():
    table = leaks_hand.hand_table("arm64-48bit-64k", 64 * MIB, "rfc12", 2_000)
    assert "they agree in every row" in leaks_hand.say_hand(table, "rfc12")
    assert of(table, test="fix_size")["refills"] == math.ceil(2_000 / 512)


# --- areas that live -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lives():
    return leaks_live.live_table("rfc12", X86, [1, 4], 64 * MIB, 60_000, 2)


def test_shares_follow_the_formula(lives):
    """Within four standard errors, and where nothing is random, exactly."""
    moving = lives.filter((pl.col("shape") == "replaced") & (pl.col("live") <= 100))
    for row in moving.iter_rows(named=True):
        chance, count = row["formula"], row["replaced"]
        assert count > 100
        error = math.sqrt(chance * (1 - chance) / count)
        assert abs(row["share"] - chance) <= 4 * error + 1 / count, row
    ones = moving.filter(pl.col("live") == 1)
    assert ones["share"].to_list() == [1.0, 1.0]


def test_the_formula():
    assert leaks_live.empty_chance(1, 5) == 1
    assert leaks_live.empty_chance(2, 1) == 0
    assert leaks_live.empty_chance(4, 2) == 1 / 8


def test_loss_falls_and_what_is_held_rises_with_the_areas(lives):
    rows = lives.filter(shape="replaced", cpus=4)
    lost, held = rows["lost"].to_list(), rows["held"].to_list()
    assert lost == sorted(lost, reverse=True)
    assert (lost[0] > 0, held[0]) == (True, 0)
    assert (lost[-1], held[-1] > 20 * 64 * MIB) == (0, True)
    text = leaks_live.say_overlap(lives, 4)
    assert "With 4 CPUs, 1 live area leaves" in text
    assert "leave nothing lost" in text


def test_areas_that_stand_are_played_with_the_last_number_of_cpus(lives):
    still = lives.filter(shape="standing")
    assert still["cpus"].unique().to_list() == [4]
    assert still["formula"].null_count() == still.height
    assert min(still["share"].to_list()) > 0.6


def test_sentences_of_areas_that_live(lives):
    text = leaks_live.say_live(lives, "rfc12")
    assert "1 CPU: 100 % with 1 area, below 1 % from 2 areas on" in text
    assert "standard errors" in text
    assert "Beside areas that stand" in text
    summary = leaks_live.live_summary(lives)
    assert summary.columns == ["shape", "live", "1 CPU", "4 CPUs"]
    one = lives.filter((pl.col("cpus") == 1) & (pl.col("shape") == "replaced"))
    assert "standard errors" not in leaks_live.say_live(one, "rfc12")


# --- time ----------------------------------------------------------------------------------------


def test_times_are_sizes_by_growth_and_rate(losses):
    memory = 64 * GIB
    times = leaks_time.time_table(losses, [X86, "riscv64-sv39", "arm"], X86, 16 * MIB, memory)
    assert times["stream"].unique(maintain_order=True).to_list() == ["xfs", leaks.PAIRS]
    # 15 chunks of 16 MiB are too few for a rate
    assert times["ends"].unique(maintain_order=True).to_list() == ["memory", X86, "riscv64-sv39"]
    growth = of(losses, stream="xfs", policy="rfc10")["growth"]
    assert times.filter(stream=leaks.PAIRS)["policy"].unique().to_list() == ["rfc11, rfc12"]
    row = of(times, stream="xfs", ends="riscv64-sv39", rate=1_000)
    assert row["seconds"] == pytest.approx(64 * GIB / growth / 1_000)
    kept = of(losses, stream=leaks.PAIRS, policy="rfc11")
    each = kept["tables_growth"] + kept["descriptors"] / 1e6
    row = of(times, stream=leaks.PAIRS, ends="memory", rate=100)
    assert row["seconds"] == pytest.approx(memory / each / 100)


def test_memory_that_ends_before_a_range_is_said(losses):
    platforms = [X86, "arm", "arm64-48bit-64k"]
    left = leaks_time.left_out(platforms, X86, 16 * MIB)
    assert left == ["arm", "arm64-48bit-64k"]
    times = leaks_time.time_table(losses, platforms, X86, 16 * MIB, GIB)
    text = leaks_time.say_time(times, GIB, left)
    assert "before the range of x86_64-4level" in text
    assert "fewer than 100 chunks: arm, arm64-48bit-64k" in text
    much = leaks_time.time_table(losses, platforms, X86, 16 * MIB, 1 << 50)
    assert "before the range" not in leaks_time.say_time(much, 1 << 50, [])
    none = leaks_time.time_table(losses.filter(policy="mainline"), platforms, X86, 16 * MIB, GIB)
    assert none.is_empty()
    assert "No version's mark" in leaks_time.say_time(none, GIB, [])
    assert leaks_time.time_summary(times).height == 4


def test_only_marks_that_go_on_rising_count(losses):
    steady = leaks_time.steady_table(losses)
    found = dict(steady.select("policy", "stream").rows())
    assert found["mainline"] == found["release-at-refill"] == ""
    assert found["rfc11"] == "modules"
    assert found["release-after-purge"] == "modules"
    level = losses.with_columns(growth=pl.col("before") * 0.49)
    assert leaks_time.steady_table(level)["growth"].to_list() == [0.0] * len(POLICIES)
    filling = losses.with_columns(peak="rise")
    assert leaks_time.steady_table(filling)["growth"].to_list() == [0.0] * len(POLICIES)
    text = leaks_time.say_steady(steady, X86)
    assert "Level on every stream: mainline, release-at-refill." in text
    rough = leaks_time.say_steady(steady.with_columns(halves=pl.lit(0.6)), X86)
    assert "take the rates as rough" in rough
    shown = leaks_time.shown_steady(steady, [X86, "riscv64-sv39"], X86, 16 * MIB)
    row = of(shown, policy="rfc11")
    growth = of(steady, policy="rfc11")["growth"]
    assert float(row["riscv64-sv39"].replace(",", "")) == pytest.approx(64 * GIB / growth, rel=0.01)
    assert of(shown, policy="mainline")[X86] == "levels off"


def test_buffers_of_xfs(losses):
    """862 areas of 19 pages fit a chunk of 64 MiB."""
    text = leaks_time.say_xfs(losses, [X86], X86, 64 * MIB)
    assert "fill 348 chunks a second: 21.752 GiB/s" in text
    assert "x86_64-4level 25 min" in text
    assert "under rfc12, where 1,160 fill up" in text
    assert "rfc12" not in leaks_time.say_xfs(losses.filter(policy="rfc10"), [X86], X86, 64 * MIB)
    assert "would last" not in leaks_time.say_xfs(losses, ["i386"], X86, 64 * MIB)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3e-6, "0.003 ms"),
        (0.25, "250 ms"),
        (59, "59 s"),
        (90, "1.5 min"),
        (7200, "2 h"),
        (864_000, "10 days"),
        (4e11, "13,000 years"),
    ],
)
def test_durations(seconds, text):
    assert leaks_time.time_text(seconds) == text


# --- memory --------------------------------------------------------------------------------------


def test_memory_of_chunks():
    table = leaks_memory.memory_table([X86, "arm64-48bit-64k", "i386", "arm"], 64 * MIB)
    assert of(table, platform="arm")["tables"] == 2 * of(table, platform="i386")["tables"]
    wide = of(table, platform=X86)
    assert (wide["tables"], wide["taken"], wide["order"]) == (128 << 10, 256 << 10, 6)
    assert wide["chunks"] == (1 << 19) - 1
    assert wide["all"] == 3 * wide["tables_all"] == wide["chunks"] * (384 << 10)
    large = of(table, platform="arm64-48bit-64k")
    assert (large["tables"], large["taken"], large["order"]) == (64 << 10, 16 << 10, 0)
    assert of(table, platform="i386")["taken"] == 128 << 10
    text = leaks_memory.say_memory(table, 64 * MIB)
    assert "x86_64-4level with less than 64 GiB (10/12) or 192 GiB (from 11/12)" in text
    assert of(leaks_memory.shown_memory(table), platform=X86)["taken"] == "256 KiB"


def test_measured_memory_beside_the_model():
    text = leaks_memory.say_measured(growth_measured.load_measured())
    assert "129.804 KiB of memory per refill, over 889 refills" in text
    assert "127.987 KiB of page tables" in text
    assert "needs 128 KiB" in text


def test_the_report_of_2026():
    text = leaks_memory.say_report(64 * MIB)
    assert "610,948 pages are 2.331 GiB" in text
    assert "1.165 TiB, 19,092 chunks" in text


# --- exhaustion ----------------------------------------------------------------------------------


def test_the_smallest_range_of_a_hundred_chunks_is_taken(sequences):
    assert sequences["platform"].unique().to_list() == ["riscv64-sv39"]
    few = leaks_exhaustion.sequences_table(["i386", "arm"], ["rfc12"], 1, 64 * MIB, 1)
    assert few["platform"].unique().to_list() == ["arm"]


def test_sentences_of_sequences(sequences):
    shown = leaks_exhaustion.shown_sequences(sequences)
    assert shown.columns == ["policy", "aligned", "plain", "random", "keep"]
    row = of(shown, policy="rfc12")
    assert (row["aligned"], row["plain"]) == ("1,024 (1.00 a chunk)", "2,048 (2.00 a chunk)")
    assert of(shown, policy="mainline")["keep"] == "not emptied"
    text = leaks_exhaustion.say_sequences(sequences)
    assert "Nothing that is freed at once empties mainline." in text
    assert "empties release-at-refill, but *keep* does, with 8 MiB live." in text
    assert "empties rfc12" not in text
    worst = leaks_exhaustion.say_worst(sequences)
    assert "comes to 0.998 under rfc12" in worst
    safe = sequences.filter(pl.col("policy") == "mainline")
    assert "none of the policies" in leaks_exhaustion.say_worst(safe)
    pressure = leaks_exhaustion.say_pressure(sequences)
    assert "under rfc11 on *plain*, *random*; rfc12 on *plain*, *random*; " in pressure
    assert "with 0 B live." in pressure
    assert "On no sequence" in leaks_exhaustion.say_pressure(safe)


def test_ranges_that_are_emptied():
    table = leaks_exhaustion.emptied_table(
        ["arm64-39bit-4k", "riscv64-sv39", "i386"], ["mainline", "rfc12"], 1, 64 * MIB, 1
    )
    assert "i386" not in table["platform"]  # one chunk
    shown = leaks_exhaustion.shown_emptied(table)
    assert shown["policy"].unique().to_list() == ["rfc12"]
    row = of(shown, platform="arm64-39bit-4k")
    assert (row["chunks"], row["failed"], row["time"]) == ("3,983", "3,984", "40 ms")
    text = leaks_exhaustion.say_emptied(table)
    assert "that of arm64-39bit-4k, 3,983 chunks, under rfc12: 3,984 allocations" in text
    assert "No platform is emptied under mainline." in text


def test_ranges_of_too_few_chunks_are_refused():
    with pytest.raises(InputError, match="no range of enough chunks"):
        leaks_exhaustion.emptied_table(["i386"], ["rfc12"], 1, 64 * MIB, 1)


def test_a_large_range_is_emptied_by_the_fastest_sequence_and_under_versions_only():
    policies = ["release-at-refill", "rfc12"]
    table = leaks_exhaustion._run([X86], policies, ["plain"], 1, 64 * MIB, 1)
    assert table.select("policy", "sequence").rows() == [("rfc12", "aligned")]
    # half a chunk is away, and VMALLOC_END is inclusive
    assert table["refills"].to_list() == [(1 << 19) - 1]
    assert table["live_pages"].to_list() == [257]
    assert "run under the versions only" in leaks_exhaustion.say_emptied(table)


def test_installed_against_given_back(installed):
    random = installed.filter(sequence="random")
    rows = {row["policy"]: row for row in random.iter_rows(named=True)}
    assert rows["rfc12"]["refills"] == rows["release-at-refill"]["refills"] > 800
    assert rows["rfc12"]["released"] == 0
    assert rows["release-at-refill"]["released"] == rows["release-at-refill"]["refills"] - 1
    text = leaks_exhaustion.say_installed(installed)
    assert "*random*: no chunk comes back under rfc10, rfc11, rfc12; at least nine in ten" in text
    shown = leaks_exhaustion.shown_installed(installed)
    assert shown.height == 2 * len(POLICIES)


# --- repairs -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repairs(losses, sequences, installed):
    return leaks_repairs.repairs_table(losses, sequences, installed)


def test_verdicts_follow_from_losses_and_sequences(repairs):
    rows = {row["policy"]: row for row in repairs.iter_rows(named=True)}
    assert rows["mainline"]["verdict"] == "no chunks, nothing to lose"
    assert rows["rfc12"]["loses"] == "drained chunks"
    assert rows["rfc12"]["emptied"] == "aligned, plain, random"
    assert rows["rfc12"]["verdict"].startswith("loses, and is emptied")
    assert "tails" in rows["rfc10"]["loses"]
    closed = rows["release-at-refill"]
    assert (closed["loses"], closed["emptied"], closed["kept"]) == ("", "", "keep")
    assert closed["verdict"].startswith("nothing is lost; a page that stays")
    assert closed["given_back"] > 0.99
    # a release is a visit more for each chunk
    assert 1 < closed["more"] < 2
    assert rows["release-after-purge"]["verdict"].startswith("loses")


def test_a_policy_that_is_only_emptied_is_not_closed(losses, sequences, installed):
    none = losses.with_columns(drained=pl.lit(0), tail=pl.lit(0), padding=pl.lit(0))
    table = leaks_repairs.repairs_table(none, sequences, installed)
    assert of(table, policy="rfc12")["verdict"] == "loses less; not closed"
    calm = sequences.with_columns(refill_failed=pl.lit(None, pl.Int64))
    table = leaks_repairs.repairs_table(none, calm, installed)
    assert of(table, policy="rfc12")["verdict"] == "nothing is lost here"


def test_sentences_of_repairs(repairs):
    text = leaks_repairs.say_repairs(repairs)
    assert (
        "Lose nothing and are not emptied by areas that are all freed: release-at-refill at "
        in text
    )
    assert "times the visits of 12/12" in text
    without = repairs.filter(pl.col("policy") != "release-at-refill")
    assert "No overlay here loses nothing." in leaks_repairs.say_repairs(without)
    summary = leaks_repairs.say_summary(repairs)
    assert "per million allocations" in summary
    assert "Nothing is lost under release-at-refill." in summary
    assert "still holds whole chunks there" in summary
    assert "No repair here closes all losses." in leaks_repairs.say_summary(without)
    assert leaks_repairs.shown_repairs(repairs).height == len(POLICIES)


# --- the chapter ---------------------------------------------------------------------------------
