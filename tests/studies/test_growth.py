import dataclasses

import polars as pl
import pytest

from vmalloc_model.errors import FileError, InputError
from vmalloc_model.simulate import simulate
from vmalloc_model.studies import growth, growth_measured
from vmalloc_model.studies import growth_words as words

MIB = 1 << 20
POLICIES = ["mainline", "rfc10", "rfc11", "rfc12", "release-at-refill", "release-after-purge"]


@pytest.fixture(scope="module")
def cases():
    return growth.play(
        "oplog-stock", ["fix_size", "xfs"], POLICIES, "x86_64-4level", 2, 16 * MIB, 40_000, 3
    )


def of(cases, stream, policy):
    return next(case for case in cases if (case.stream, case.policy) == (stream, policy))


def test_every_stream_meets_every_policy_with_the_same_requests(cases):
    assert [(case.stream, case.policy) for case in cases] == [
        (stream, policy) for stream in ("oplog-stock", "fix_size", "xfs") for policy in POLICIES
    ]
    ends = growth.end_table(cases)
    for stream in ("oplog-stock", "fix_size", "xfs"):
        rows = ends.filter(stream=stream)
        assert rows["requests"].n_unique() == rows["peak"].n_unique() == 1
    assert ends.filter("recorded")["stream"].unique().to_list() == ["oplog-stock"]


def test_the_parts_sum_to_the_mark_and_none_is_negative(cases):
    parts = growth.parts_table(cases)
    assert min(parts["bytes"]) >= 0
    sums = parts.group_by("stream", "policy", maintain_order=True).agg(
        pl.col("bytes").sum(), pl.col("high_water").first()
    )
    assert sums["bytes"].to_list() == sums["high_water"].to_list()
    assert sums["high_water"].to_list() == growth.end_table(cases)["high_water"].to_list()


def test_free_space_of_mainline_is_holes_lazy_and_pooled_pages(cases):
    """The part that is left over, counted a second time from the sides of the allocator."""
    for stream in ("fix_size", "xfs"):
        case = of(cases, stream, "mainline")
        parts, measures = growth.parts_of(case), case.simulation.measures
        assert parts["live"] == measures["live_pages"]
        assert sum(parts[one] for one in growth.LOST) == parts["room"] == 0
        assert parts["free"] >= measures["lazy_pages"]


def test_areas_elsewhere_are_not_below_the_mark(cases):
    recorded = of(cases, "oplog-stock", "mainline")
    assert 0 < recorded.elsewhere < recorded.simulation.measures["live_pages"]
    assert of(cases, "xfs", "mainline").elsewhere == 0


def test_lost_parts_are_those_of_the_counters(cases):
    for stream in ("oplog-stock", "xfs"):
        case = of(cases, stream, "rfc10")
        parts, counters = growth.parts_of(case), case.simulation.counters
        assert parts["tail"] == counters["tail_pages"] > 0
        assert parts["padding"] == counters["padding_pages"]
        assert parts["held"] == parts["drained"] == 0


def test_chunk_states_sum_to_the_refills(cases):
    states = growth.chunk_states(cases)
    assert "mainline" not in states["policy"]
    sums = states.group_by("stream", "policy", maintain_order=True).agg(pl.col("chunks").sum())
    ends = growth.end_table(cases).filter(pl.col("policy") != "mainline")
    assert sums["chunks"].to_list() == ends["refills"].to_list()
    for policy, state in (("rfc10", "forgotten"), ("rfc12", "released")):
        assert states.filter(stream="xfs", policy=policy, state=state)["chunks"][0] > 10


def test_the_repair_takes_the_drained_chunks_away(cases):
    states = growth.chunk_states(cases).filter(stream="fix_size", state="drained")
    drained = dict(states.select("policy", "chunks").rows())
    assert drained["rfc12"] == drained["rfc11"] > 0
    assert drained["release-at-refill"] == 0
    case = of(cases, "fix_size", "rfc12")
    parts = growth.parts_of(case)
    assert parts["drained"] * 4096 == drained["rfc12"] * 16 * MIB


def test_a_release_costs_one_visit_as_a_refill_does(cases):
    counters = of(cases, "fix_size", "release-at-refill").simulation.counters
    released = counters["chunks_released"]
    assert released > 0
    assert counters["lock_global"] == counters["refills"] + released


def test_the_order_of_marks(cases):
    marks = {
        (row["stream"], row["policy"]): row["high_water"]
        for row in growth.end_table(cases).iter_rows(named=True)
    }
    assert marks["xfs", "mainline"] < marks["xfs", "rfc12"] < marks["xfs", "rfc10"]
    assert marks["oplog-stock", "rfc11"] > marks["oplog-stock", "rfc10"]
    series = growth.series_table(cases)
    last = series.group_by("stream", "policy", maintain_order=True).last()
    assert dict(zip(last.select("stream", "policy").rows(), last["high_water"], strict=True)) == (
        marks
    )


def test_page_tables_are_pages_that_each_map_a_region(cases):
    ends = growth.end_table(cases)
    assert ends["region_size"].unique().to_list() == [2 * MIB]
    assert (ends["page_table_bytes"] == ends["page_tables"] * 4096).all()
    # touched regions lie below the mark
    assert (ends["page_tables"] <= -(-ends["high_water"] // (2 * MIB))).all()


def test_a_run_keeps_its_own_machine():
    done = growth.play("smp1", ["stacks"], ["rfc12"], "arm64-48bit-64k", 3, 4 * MIB, 3000, 0, 4)
    own, made = (case.simulation.machine for case in done)
    assert (own.cpus, own.page_size, own.chunk_pages) == (1, 4096, 1024)
    assert (made.cpus, made.page_size, made.chunk_pages) == (3, 65536, 64)
    assert [case.region_size for case in done] == [2 * MIB, 512 * MIB]


def test_a_chunk_that_is_none_of_the_platform_is_refused():
    with pytest.raises(InputError, match="chunk"):
        growth.play("smp1", [], ["rfc12"], "arm64-48bit-64k", 1, 64 << 10, 10, 0)


# --- sentences -----------------------------------------------------------------------------------


def test_the_caption_of_growth_names_least_most_and_what_rises(cases):
    ends = growth.end_table(cases).filter(stream="xfs")
    text = words.say_growth(ends, 16 * MIB)
    assert "chunks of 16 MiB" in text
    assert "*xfs*: live peak" in text
    assert "(rfc10)" in text
    assert "Still rising, by more than 5 % in the second half: rfc10" in text
    level = ends.with_columns(half="high_water")
    assert "No mark rises" in words.say_growth(level, 16 * MIB)
    assert "failed" not in text
    failed = ends.with_columns(failures=pl.lit(7))
    assert "failed for lack of room: 7 of" in words.say_growth(failed, 16 * MIB)


def test_captions_do_without_mainline(cases):
    ends = growth.end_table(cases).filter(pl.col("policy") == "rfc12")
    assert "mainline" not in words.say_growth(ends, 16 * MIB) + words.say_regions(ends)
    assert "all others" in words.say_regions(ends)
    assert "visits to the global lock" not in words.say_table(ends)


def test_the_table_shows_gains_and_losses(cases):
    ends = growth.end_table(cases)
    table = words.shown_table(ends)
    assert table.height == ends.height
    text = words.say_table(ends)
    assert "*xfs*: visits to the global lock per 1,000 requests, mainline" in text
    assert "two may share addresses" not in text
    assert "two may share addresses" in words.say_table(ends.with_columns(twice=pl.lit(1)))
    many = ends.head(1).with_columns(visits_per_1000=pl.lit(1234.5))
    assert words.shown_table(many)["visits"][0] == "1,234"
    assert words.say_visits(many).endswith("mainline 1,234.")


def test_the_captions_of_the_bars_say_what_the_parts_are(cases):
    lost = words.say_lost(growth.parts_table(cases))
    assert all(f"*{part}*, " in lost for part in growth.PARTS)
    states = growth.chunk_states(cases)
    text = words.say_chunks(states)
    assert all(f"*{state}*, " in text for state in growth.CHUNK_STATES)
    assert "(rfc11, rfc12) on *fix_size*" in text
    assert "No chunk here" in words.say_chunks(states.filter(pl.col("policy") == "rfc10"))


# --- the experiment on a real kernel -------------------------------------------------------------


def test_the_model_repeats_the_measured_experiment():
    measured = growth_measured.load_measured()
    model = growth_measured.repeated(measured, "rfc10")
    assert model.events == 2 * measured.pairs
    assert model.counters["refills"] == measured.refills == 889
    assert model.measures["high_water"] * 4096 == 889 * 64 * MIB
    per = model.measures["page_tables"] * 4096 / 889
    assert 131_000 < per <= 131_072 < measured.memory / 889 < 133_000
    plain = growth_measured.repeated(measured, "mainline")
    assert plain.counters["refills"] == 0
    assert plain.measures["high_water"] * 4096 < 64 * MIB


def test_the_sizes_that_fit_are_all_there_are():
    """By running the model on both sides of the range."""
    measured = growth_measured.load_measured()
    fits = growth_measured.fitting(measured)
    assert fits == range(297, 303)
    for pages, right in ((296, False), (297, True), (302, True), (303, False)):
        assert (refills(measured, pages) == measured.refills) == right


def refills(measured, nr_pages):
    """Refills under rfc10 with a payload in pages."""
    return again(measured, nr_pages).counters["refills"]


def again(measured, nr_pages):
    stream = growth_measured.make(
        "fix_size",
        page_size=4096,
        cpus=1,
        events=2 * measured.pairs,
        seed=0,
        nr_pages=nr_pages,
        loops=measured.pairs,
    )
    platform = growth_measured.find_platform(measured.platform)
    machine = growth_measured.machine_of(platform, 1, chunk_size=measured.chunk_size)
    return simulate(stream, machine, "rfc10")


def test_a_buffer_that_leaves_no_tail_gives_chunks_back():
    measured = growth_measured.load_measured()
    done = again(measured, 255)
    assert done.counters["refills"] > 700
    assert done.counters["tail_pages"] == 0
    assert done.measures["high_water"] * 4096 < 10 * 64 * MIB


def test_the_caption_says_that_the_size_is_fitted():
    measured = growth_measured.load_measured()
    text = growth_measured.say_measured(measured)
    assert "889 refills after 48,000 allocations, as many as the kernel" in text
    assert "1,216,512 to 1,236,992 bytes" in text
    assert "873 if the megabytes are decimal and 906 if the megabytes are binary" in text
    table = growth_measured.measured_table(measured)
    assert table.filter(quantity="refills").row(0)[1:] == ("889", "889", "0")


def test_a_count_that_no_size_gives_is_an_error():
    measured = dataclasses.replace(growth_measured.load_measured(), refills=48_001)
    with pytest.raises(FileError, match="no size of the buffer"):
        growth_measured.fitting(measured)


# --- the chapter ---------------------------------------------------------------------------------
