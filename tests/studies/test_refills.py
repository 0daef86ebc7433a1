import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.runs import find_run, read_requests
from vmalloc_model.studies import refills
from vmalloc_model.studies.streams import ORDERS, fill_stream, guarded, orders_of

MIB = 1 << 20


def plain(rows, chunk):
    """Refills and too large requests of (cpu, size, align) rows: the diff of 10/12."""
    left, bump, count, too_large = {}, {}, 0, 0
    for cpu, size, align in rows:
        if size > chunk // 2 or align > chunk // 2:
            too_large += 1
            continue
        start = -(-bump.get(cpu, 0) // align) * align
        if cpu not in left or start + size > left[cpu]:
            # chunks lie back to back, so a chunk's number stands for its base
            base = count * chunk
            count += 1
            left[cpu], start = base + chunk, base
        bump[cpu] = start + size
    return count, too_large


def stream(rows, reached=None):
    cpu, size, align, inside = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pl.DataFrame(
        {
            "cpu": cpu,
            "size": size,
            "align": align,
            "in_window": inside,
            "reached_overlay": reached or [None] * len(rows),
        },
        schema={
            "cpu": pl.Int64,
            "size": pl.Int64,
            "align": pl.Int64,
            "in_window": pl.Boolean,
            "reached_overlay": pl.Boolean,
        },
    )


REQUEST = st.tuples(
    st.integers(0, 2),
    st.integers(1, 400).map(lambda pages: 4096 * pages),
    st.sampled_from([1, 4096, 16384, 1 << 20, 1 << 21]),
    st.booleans(),
)


@given(st.lists(REQUEST, max_size=60), st.sampled_from([MIB, 2 * MIB, 16 * MIB]))
def test_a_stream_fills_chunks_as_the_diff_does(rows, chunk):
    served, too_large, filling = fill_stream(stream(rows), chunk, 4096, "before pools")
    inside = [row[:3] for row in rows if row[3]]
    assert (filling.refills, too_large) == plain(inside, chunk)
    assert served.height + too_large == len(inside)


@given(st.lists(st.tuples(REQUEST, st.booleans()), max_size=40))
def test_after_the_pools_only_what_reached_the_overlay_counts(pairs):
    rows, reached = [one for one, _ in pairs], [there for _, there in pairs]
    served, too_large, filling = fill_stream(stream(rows, reached), MIB, 4096, "after pools")
    asked = [row[:3] for row, there in pairs if row[3] and there]
    assert (filling.refills, too_large) == plain(asked, MIB)
    assert served.height + too_large == len(asked)


def test_orders_that_can_be_told():
    known = stream([(0, 8192, 1, True), (0, 8192, 1, False)], [True, None])
    assert orders_of(known, 2) == ["after pools", "before pools"]
    assert orders_of(stream([(0, 8192, 1, True)]), 2) == ["before pools"]
    assert orders_of(known, 1) == ["no pools"]
    assert set(ORDERS) == {"no pools", "after pools", "before pools"}


def test_areas_of_vm_map_ram_have_no_guard_page():
    frame = pl.DataFrame(
        {
            "size": [8192, MIB, MIB, 8192],
            "align": [1, MIB, MIB, 4096],
            "vm_map_ram": [None, None, False, True],
        }
    )
    assert frame.select(guarded()).to_series().to_list() == [True, False, True, False]


# --- recorded runs -------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["smp1", "smp4-sync"])
@pytest.mark.parametrize("chunk", [2 * MIB, 64 * MIB])
def test_refills_of_ftrace_runs_are_those_of_the_plain_twin(run, chunk):
    table = refills.refills_table([run], [chunk])
    asked = read_requests(run).filter("in_window")
    row = table.row(0, named=True)
    expected = plain(asked.select("cpu", "size", "align").rows(), chunk)
    assert (row["refills"], row["too_large"]) == expected
    assert row["requests"] == asked.height
    assert row["visits"] == sum(expected)
    assert row["visits_per_1000"] == pytest.approx(1000 * sum(expected) / asked.height)
    assert table["order"].to_list() == ["no pools" if run == "smp1" else "before pools"]


def test_the_kernel_with_the_overlay_refilled_71_times():
    run = find_run("oplog-rfc10")
    logged = refills.logged_refills(run, read_requests("oplog-rfc10"))
    assert logged == refills.Logged(chunk_size=64 * MIB, refills=71, compared=69, agree=69)
    table = refills.refills_table(["oplog-rfc10"], [16 * MIB], 64 * MIB)
    assert table.select("order", "what", "chunk_size", "refills").rows() == [
        ("after pools", "model", 16 * MIB, 297),
        ("after pools", "model", 64 * MIB, 71),
        ("after pools", "measured", 64 * MIB, 71),
        ("before pools", "model", 16 * MIB, 309),
        ("before pools", "model", 64 * MIB, 75),
    ]
    text = refills.say_refills(table, 64 * MIB)
    assert "logged 71 refills at 64 MiB, the model says 71; 69 of the 69 chunks" in text
    assert "the pools answer 3,936 of 15,250 requests" in text
    assert "refills are then 71 instead of 75" in text


def test_runs_without_the_overlay_logged_no_refill():
    requests = read_requests("oplog-stock")
    assert refills.logged_refills(find_run("oplog-stock"), requests) is None
    assert refills.logged_refills(find_run("smp4-sync"), requests) is None


def test_the_caption_compares_neighbours():
    table = refills.refills_table(["smp1"], [32 * MIB, 64 * MIB, 128 * MIB])
    by = dict(table.select("chunk_size", "visits").rows())
    text = refills.say_refills(table, 64 * MIB)
    up, beyond = by[32 * MIB] / by[64 * MIB], by[64 * MIB] / by[128 * MIB]
    assert (
        f" Going from 32 MiB to 64 MiB divides that by {up:.3g}; "
        f"going from 64 MiB to 128 MiB divides that by {beyond:.3g}."
    ) in text
    assert "logged" not in text
    alone = refills.say_refills(table, 128 * MIB)
    assert f" Going from 64 MiB to 128 MiB divides that by {beyond:.3g}." in alone
    assert "256 MiB" not in alone
    assert "Going" not in refills.say_refills(table.filter(chunk_size=64 * MIB), 64 * MIB)


def test_the_caption_speaks_of_two_steps_only():
    """Other doublings of the table, whose ratios differ, are in no sentence."""
    chunks = [MIB << k for k in range(11)]
    table = refills.refills_table(["smp1"], chunks)
    few = table.filter(pl.col("chunk_size").is_in([32 * MIB, 64 * MIB, 128 * MIB]))
    assert refills.say_refills(table, 64 * MIB) == refills.say_refills(few, 64 * MIB)


def test_the_summary_has_one_row_for_each_chunk():
    table = refills.refills_table(["oplog-rfc10"], [16 * MIB], 64 * MIB)
    assert refills.refills_summary(table).rows() == [
        ("16 MiB", "297", "-", "309"),
        ("64 MiB", "71", "71", "75"),
    ]
