import dataclasses
from itertools import pairwise

import polars as pl
import pytest

from vmalloc_model.errors import InputError
from vmalloc_model.experiments.lock_visits import CAUSES
from vmalloc_model.studies import left_to_win as study
from vmalloc_model.studies import left_to_win_measured as measuring
from vmalloc_model.studies import left_to_win_sizes as sizing
from vmalloc_model.studies import left_to_win_words as words

MIB = 1 << 20
SIZES = [MIB << k for k in range(7)]
STREAMS = ["oplog-stock", "fix_size", "full_fit", "xfs", "stacks"]


@pytest.fixture(scope="module")
def rows():
    return study.counted(STREAMS, "x86_64-4level", 4, 16 * MIB, SIZES, 60_000, 3)


@pytest.fixture(scope="module")
def visits(rows):
    return study.visits_table(rows, 16 * MIB)


@pytest.fixture(scope="module")
def sizes(rows, visits):
    return study.chunk_table(rows, visits["stream"].unique(maintain_order=True).to_list())


def rates(visits, variant, half=2):
    found = visits.filter(variant=variant, half=half)
    return dict(found.select("stream", "visits").rows())


# --- tables --------------------------------------------------------------------------------------


def test_each_stream_meets_each_variant_in_two_halves(rows, visits):
    assert visits.height == len(STREAMS) * len(study.VARIANTS) * 2
    assert rows.height == len(STREAMS) * (len(study.VARIANTS) + 2 * (len(SIZES) - 1)) * 2
    for _, of in visits.group_by("stream", "half"):
        assert of["requests"].n_unique() == of["grows"].n_unique() == 1


def test_causes_add_up_and_streams_are_in_order(visits):
    gap = visits["visits"] - visits.select(pl.sum_horizontal(*CAUSES)).to_series()
    assert gap.abs().max() < 1e-9
    left = list(rates(visits, "pools only").values())
    assert left == sorted(left, reverse=True)
    assert left[0] > left[-1]


def test_pools_and_overlay_take_their_part(visits):
    none, pools, both = (rates(visits, name) for name in ("no pools", "pools only", "10/12"))
    assert min(none.values()) >= 1000
    assert pools["fix_size"] < 10 < 100 < pools["xfs"]
    assert both["xfs"] < 50
    # the first half is the one in which pools are empty
    assert rates(visits, "pools only", 1)["fix_size"] > 100


def test_a_set_up_is_one_whose_live_set_grows(visits):
    growing = visits.filter("grows", half=2)["stream"].unique().to_list()
    assert growing == ["full_fit"]
    assert set(visits.filter("grows", half=1)["stream"]) >= {"full_fit", "xfs"}


def test_the_chapter_s_chunk_need_not_be_one_of_the_sweep():
    rows = study.counted(["stacks"], "x86_64-4level", 2, 64 * MIB, [MIB, 2 * MIB], 5000, 3)
    assert study.visits_table(rows, 64 * MIB).height == 2 * len(study.VARIANTS)
    table = study.chunk_table(rows, ["stacks"])
    assert table.filter(variant="12/12")["saved"].is_null().to_list() == [False, True, True]


def test_chunk_sizes_double():
    with pytest.raises(InputError, match=r"\$.chunk_sizes\[2\]: not the double"):
        study.counted(["stacks"], "x86_64-4level", 1, MIB, [MIB, 2 * MIB, 8 * MIB], 10, 0)
    with pytest.raises(InputError, match="not a chunk size"):
        study.counted(["stacks"], "arm64-48bit-64k", 1, 1 << 16, [1 << 16], 10, 0)


def test_visits_are_those_for_chunks_and_the_rest(sizes):
    assert (sizes["visits"] - sizes["chunks"] - sizes["rest"]).abs().max() < 1e-9
    first = sizes.filter(stream="xfs", variant="12/12")
    assert first["saved"][0] == pytest.approx(first["visits"][0] - first["visits"][1])
    assert first["saved"][-1] is None
    # refills halve where every request is eligible at both sizes
    refills = first["refill"].to_list()
    assert refills[3] / refills[4] == pytest.approx(2, rel=0.1)


def test_where_pools_come_first_their_answers_do_not_depend_on_the_chunk(rows):
    """So the curves of 10/12 differ by what the chunk gets, and by nothing else."""
    for stream in ("fix_size", "xfs", "stacks"):
        hits = rows.filter(stream=stream, variant="10/12", half=2)["pool_hits"]
        assert max(hits) - min(hits) <= 0.02 * max(hits)


def hand_made(visits, chunks, told=None):
    count = len(visits)
    saved = [a - b for a, b in pairwise(visits)]
    return pl.DataFrame(
        {
            "stream": ["s"] * count,
            "variant": ["12/12"] * count,
            "chunk_size": SIZES[:count],
            "visits": [float(one) for one in visits],
            "chunks": [float(one) for one in chunks],
            "rest": [float(a - b) for a, b in zip(visits, chunks, strict=True)],
            "refill": [float(one) for one in chunks],
            "saved": [*map(float, saved), None],
            "share": [b / a if a else 0.0 for a, b in zip(visits, chunks, strict=True)],
            "told": told or [True] * count,
        }
    )


def test_the_knee_is_the_chunk_from_which_on_no_doubling_saves_much():
    table = hand_made([100, 60, 59.5, 50, 49.9, 49.8], [50, 10, 9, 0.4, 0.3, 0.2])
    row = study.knee_table(table, 1.0, 4 * MIB).row(0, named=True)
    assert row["knee"] == 8 * MIB  # not 2 MiB: the doubling from 4 MiB saves much
    assert row["few"] == 8 * MIB
    assert (row["visits"], row["doubled"], row["rest"]) == (59.5, 50, pytest.approx(49.6))
    assert study.knee_table(table, 0.05, 4 * MIB)["knee"][0] is None
    assert study.knee_table(table, 1000.0, 4 * MIB)["knee"][0] == MIB


def test_shares_of_few_refills_are_not_told():
    told = [True, True, False]
    row = study.knee_table(hand_made([10, 9, 8], [5, 4, 0], told), 1.0, MIB).row(0, named=True)
    assert (row["few"], row["told"]) == (None, 2 * MIB)
    told = [False, False, False]
    row = study.knee_table(hand_made([10, 9, 8], [0, 0, 0], told), 1.0, MIB).row(0, named=True)
    assert (row["few"], row["told"]) == (None, None)
    shown = sizing.knee_summary(study.knee_table(hand_made([10, 9], [0, 0], told[:2]), 1.5, MIB))
    assert shown.row(0) == ("s", "12/12", "1 MiB", "too few refills")


def test_told_means_some_refills_for_each_cpu(rows, sizes):
    counts = rows.filter(stream="xfs", variant="12/12", half=2).sort("chunk_size")["refill"]
    told = sizes.filter(stream="xfs", variant="12/12")["told"].to_list()
    assert told == [count >= 16 for count in counts]
    stacks = sizes.filter(stream="stacks", variant="10/12")["told"].to_list()
    assert not all(stacks)


def test_giving_back_grows_with_the_machine():
    table = study.cpus_table("x86_64-4level", [2, 16], 64 * MIB, 20_000, 1)
    assert table.height == len(study.CPU_WORKLOADS) * 2 * len(study.ASKED)
    back = dict(table.filter(stream="mixed", variant="10/12").select("cpus", "return").rows())
    assert back[16] > 2 * back[2]
    few = table.filter(stream="mixed", variant="12/12")["visits"]
    assert max(few) < 50
    text = sizing.say_cpus(table)
    assert "10/12: most is added on *mixed*" in text
    shown = sizing.cpus_shown(table)
    assert shown.columns == ["stream", "cpus", *study.ASKED]
    level = table.with_columns(visits=pl.lit(1.0))
    assert "no stream has more with 16 CPUs than with 2 CPUs" in sizing.say_cpus(level)
    alone = sizing.say_cpus(table.filter(cpus=2))
    assert alone.endswith("of vmap nodes. Only 2 CPUs were tried.")
    one = sizing.say_cpus(table.filter(cpus=2).with_columns(cpus=pl.lit(1)))
    assert one.endswith("of vmap nodes. Only 1 CPU was tried.")


# --- sentences -----------------------------------------------------------------------------------


def test_the_caption_of_visits_tells_much_from_little(visits):
    text = words.say_visits(visits, 16 * MIB)
    assert "leave 100 or more on *full_fit*, *oplog-stock*, *xfs*;" in text
    assert "*fix_size*" in text.split("less than 10 on")[1]
    assert "failed" not in text
    failed = visits.with_columns(failures=pl.lit(12.0))
    assert "failed for lack of room: up to 12 per 1,000" in words.say_visits(failed, 16 * MIB)
    none = visits.with_columns(visits=pl.lit(50.0))
    assert "or more on none; less than 10 on none" in words.say_visits(none, MIB)


def test_the_verdict_is_a_saving_against_pools(visits):
    text = words.say_left(visits)
    assert "on the 3 of 5 streams where pools alone leave 100 or more" in text
    assert "saves" in text
    assert "adds" not in text
    worse = visits.with_columns(
        visits=pl.when(pl.col("variant") == "12/12")
        .then(pl.col("visits") + 1500)
        .otherwise("visits")
    )
    assert "saves at most 0" in words.say_left(worse)
    assert "adds up to" in words.say_left(worse)
    little = visits.with_columns(visits=pl.lit(1.0))
    text = words.say_left(little)
    assert "no stream has 100 or more" in text
    assert "on the 5 where they leave less than 10, it saves 0." in text


def test_a_version_that_makes_more_visits_than_pools_alone_is_named(visits):
    more = visits.with_columns(
        visits=pl.when((pl.col("variant") == "11/12") & (pl.col("stream") == "xfs"))
        .then(9000.0)
        .when(pl.col("variant") == "pools only")
        .then(500.0)
        .otherwise(1.0)
    )
    assert words.say_worse(more).endswith("alone: 11/12 on *xfs* (9,000 against 500).")
    none = visits.with_columns(visits=pl.lit(1.0))
    assert words.say_worse(none).endswith("has no version on any stream.")


def test_orders_and_layers_are_counted(visits):
    text = words.say_order(visits)
    assert text.count("of 5 streams") == 4
    assert "From *chunk first* to *12/12*" in text
    same = visits.with_columns(visits=pl.lit(3.0))
    assert words.say_layers(same) == (
        "From *overlay only* to *10/12* there are fewer visits on 0 of 5 streams, more visits on "
        "0 of 5 streams."
    )


def test_the_caption_of_causes_counts_what_is_largest(visits):
    text = words.say_causes(visits)
    assert "10/12: the largest part is *return* on" in text
    assert "room for a chunk" not in text
    failed = visits.with_columns(refill_failures=pl.lit(7.0))
    assert "found no room for a chunk: up to 7 per 1,000" in words.say_causes(failed)
    none = visits.with_columns(visits=pl.lit(0.0))
    assert "12/12 has no visit." in words.say_causes(none)


def test_the_locks_have_a_row_for_each_variant(visits):
    table = words.locks_table(visits)
    assert table["variant"].to_list() == list(study.VARIANTS)
    cells = {row["variant"]: row for row in table.iter_rows(named=True)}
    assert cells["no pools"]["pool"] == cells["10/12"]["list"] == "0"
    assert cells["12/12"]["busy"].startswith("0 to ")
    assert cells["12/12"]["list"] != "0"


def test_streams_say_what_they_are(visits):
    table = words.streams_table(visits, ["oplog-stock"], 4)
    row = table.filter(stream="oplog-stock").row(0, named=True)
    assert row["cpus"] == 2
    assert "MEASURED" in row["what"]
    assert "on *full_fit*: a set-up" in words.say_streams(visits, "x86_64-4level", 4, 60_000)
    steady = visits.with_columns(grows=pl.lit(False))
    assert "No live set grows" in words.say_streams(steady, "x86_64-4level", 1, 60_000)
    assert words.variants_table()["policy"][0] == "mainline, 1 node"


def test_captions_of_chunk_sizes_follow_the_table(sizes):
    knees = study.knee_table(sizes, 1.0, 16 * MIB)
    text = sizing.say_knees(knees, 16 * MIB, 1.0)
    assert "saves less than 1 per 1,000 allocations is for 10/12 below 16 MiB on" in text
    low = sizing.say_knees(knees, 4096, 1.0)
    assert "for 12/12 below 4 KiB on 0 of 5 streams, at it on 0 and above it on 5" in low
    assert "Knees of 12/12: " in sizing.say_knee(knees, 16 * MIB, 1.0)
    unknown = knees.with_columns(knee=pl.lit(None, pl.Int64))
    assert "Knees of" not in sizing.say_knee(unknown, 16 * MIB, 1.0)
    assert "at 64 MiB" in sizing.say_chunk(sizes)
    assert "divides refills by" in sizing.say_knee_table(knees, 16 * MIB)
    far = study.knee_table(sizes, 1.0, 1 << 40)
    assert "No stream tells" in sizing.say_knee_table(far, 1 << 40)
    assert sizing.knee_shown(far)["visits"].to_list() == ["-"] * far.height
    assert sizing.chunk_summary(sizes).width == 2 + len(SIZES)


# --- measured ------------------------------------------------------------------------------------


def test_the_logs_beside_the_model():
    """11,600 searches of 15,585 allocations; 429 and 71 refills of 15,679: read off the logs."""
    measured = measuring.load_measured()
    table = measuring.measured_table(measured)
    searches = table.filter(quantity="searches for an area").row(0, named=True)
    assert (searches["mainline"], searches["overlay"]) == ("744", "27.4")
    assert searches["overlay_model"] == "27.4"
    assert table.filter(quantity="searches for a chunk")["overlay"][0] == "4.53"
    text = measuring.say_measured(measured)
    assert "744 searched the global free space without the overlay, 31.9 with" in text
    model = measured.model["oplog-stock"]
    assert model["search"] + model["pool_hits"] == model["requests"] == 15_585
    assert abs(model["search"] - 11_600) < 0.02 * 15_585
    off = {**measured.model, "oplog-stock": model | {"pool_hits": 0}}
    assert "at most 256 per" in measuring.say_measured(dataclasses.replace(measured, model=off))


# --- the chapter ---------------------------------------------------------------------------------
