"""What the overlay did: the recorded log read row by row, and small logs for the rare cases."""

import polars as pl
import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.traces.oplog import HEADER, read_oplog
from vmalloc_model.traces.overlay import summarise_overlay

MIB = 1 << 20
START = 0xFFFFC90000000000


@pytest.fixture(scope="module")
def log():
    return read_oplog(data_path("runs/linux-6.12.117-smp2-rfc10.oplog.csv.gz"))


@pytest.fixture(scope="module")
def summary(log):
    return summarise_overlay(log)


def test_recorded_counts(summary):
    assert (summary.refills, summary.misses, summary.failed_refills) == (71, 71, 0)
    assert summary.hits == 11_314
    assert (summary.ineligible_window, summary.ineligible_other) == (429, 0)
    assert summary.pool_hits == 3_936
    assert summary.hits + summary.pool_hits + summary.global_allocations == summary.requests


def test_no_chunk_reuses_address_space(summary):
    assert summary.reused == 0
    assert summary.high_water == summary.refills * 64 * MIB
    assert summary.chunks["base"].to_list() == [START + n * 64 * MIB for n in range(71)]
    assert summary.high_water - 64 * MIB < summary.touched < summary.high_water


def test_chunks_equal_a_reading_row_by_row(log, summary):
    chunks, current = {}, set()
    for row in log.iter_rows(named=True):
        if row["op"] == "refill":
            if row["value"]:
                old = chunks[row["value"]]
                old["tail"] = 64 * MIB - old["used"]
                current.discard(row["value"])
                # The kernel's own figure for the chunk that is replaced.
                assert row["size"] == old["used"]
            chunks[row["addr"]] = {"hits": 0, "used": 0, "padding": 0, "tail": 0, "cpu": row["cpu"]}
            current.add(row["addr"])
        elif row["op"] == "bump_hit":
            chunk = chunks[row["value"]]
            offset = row["addr"] - row["value"]
            # The pointer only moves forward, by less than one alignment.
            assert 0 <= offset - chunk["used"] < row["align"]
            chunk["padding"] += offset - chunk["used"]
            chunk["used"] = offset + row["size"]
            chunk["hits"] += 1
    for row in summary.chunks.iter_rows(named=True):
        chunk = chunks[row["base"]]
        assert {name: row[name] for name in chunk} == chunk
        assert row["current"] == (row["base"] in current)
        assert row["allocated"] == chunk["used"] - chunk["padding"]
    assert summary.tail == sum(chunk["tail"] for chunk in chunks.values())
    assert summary.padding == sum(chunk["padding"] for chunk in chunks.values())
    assert summary.hits == summary.chunks["hits"].sum()


def test_no_overlay_no_summary():
    stock = read_oplog(data_path("runs/linux-6.12.117-smp2-stock.oplog.csv.gz"))
    assert summarise_overlay(stock) is None


def small_log(tmp_path, rows):
    config = f"config,0,0,2,,1024,,{START:#x},0xffffe8ffffffffff,65536,1,"
    lines = [f"{seq},{row}" for seq, row in enumerate([config, *rows])]
    (tmp_path / "t").write_text("\n".join([HEADER, *lines, ""]))
    return summarise_overlay(read_oplog(tmp_path / "t"))


def chunk(base, old=0, used=0):
    return [
        f"chunk_reserve,0,0,,{base:#x},{64 * MIB},4096,{START:#x},0xffffe8ffffffffff,,,",
        f"refill,0,0,,{base:#x},{used},,,,{old:#x},,",
    ]


def hit(base, offset, size):
    return [f"bump_hit,0,0,,{base + offset:#x},{size},1,,,{base:#x},,"]


def test_a_chunk_without_hits_and_one_that_comes_back(tmp_path):
    other = START + 64 * MIB
    rows = [
        *chunk(START),
        *hit(START, 0, 8192),
        *chunk(other, old=START, used=8192),
        *chunk(START, old=other),
        *hit(START, 16384, 4096),
    ]
    summary = small_log(tmp_path, rows)
    assert summary.chunks.select("hits", "used", "padding", "current", "tail").rows() == [
        (1, 8192, 0, False, 64 * MIB - 8192),
        (0, 0, 0, False, 64 * MIB),
        (1, 20480, 16384, True, 0),
    ]
    assert (summary.refills, summary.reused) == (3, 1)
    assert summary.high_water == 128 * MIB
    assert summary.chunks["line"].to_list() == [4, 7, 9]


def test_a_chunk_may_replace_one_at_the_same_place(tmp_path):
    summary = small_log(tmp_path, [*chunk(START), *chunk(START, old=START)])
    assert summary.chunks["current"].to_list() == [False, True]


def test_reasons_of_ineligible_requests_are_kept_apart(tmp_path):
    row = f"bump_ineligible,0,0,,,8192,4096,{START:#x},0xffffe8ffffffffff,,%d,"
    summary = small_log(tmp_path, [*chunk(START), row % 1, row % 1, row % 0])
    assert (summary.ineligible_window, summary.ineligible_other) == (2, 1)


def test_no_chunk_no_summary(tmp_path):
    assert small_log(tmp_path, ["refill_fail,0,0,,,,,,,,,"]) is None


def test_chunks_have_whole_numbers(summary):
    assert summary.chunks.schema["used"] == pl.Int64
    assert summary.chunks.null_count().sum_horizontal().item() == 0
