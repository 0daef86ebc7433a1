"""The operation log, against the standard library's CSV reader and against its own invariants."""

import csv
import gzip
import io

import polars as pl
import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError
from vmalloc_model.traces.oplog import HEADER, OPERATIONS, PATHS, SERVED_BY, read_oplog

STOCK = "runs/linux-6.12.117-smp2-stock.oplog.csv.gz"
RFC10 = "runs/linux-6.12.117-smp2-rfc10.oplog.csv.gz"
TEXT = ("op", "caller")


def number(text):
    return int(text, 16 if text.startswith("0x") else 10) if text else None


@pytest.mark.parametrize(("run", "rows"), [(STOCK, 112_875), (RFC10, 113_830)])
def test_recorded_logs_equal_the_standard_reader(run, rows):
    log = read_oplog(data_path(run))
    assert log.height == rows
    text = gzip.decompress(data_path(run).read_bytes()).decode()
    plain = csv.DictReader(io.StringIO(text))
    for mine, line in zip(log.iter_rows(named=True), plain, strict=True):
        assert mine == {k: (v or None) if k in TEXT else number(v) for k, v in line.items()}
    assert log["seq"].to_list() == list(range(rows))
    assert set(log["op"].unique()) <= set(OPERATIONS)
    assert log["addr"].dtype == log["size"].dtype == pl.UInt64


@pytest.mark.parametrize("run", [STOCK, RFC10])
def test_who_served_an_allocation_agrees_with_the_operation_before(run):
    log = read_oplog(data_path(run))
    served = {}
    sources = {"pool_hit": "pool", "bump_hit": "bump", "tree_alloc": "global"}
    for op, task, addr, size, flag in log.select("op", "task", "addr", "size", "flag").iter_rows():
        if op in sources and addr is not None:
            served[task] = (sources[op], addr, size)
        elif op == "alloc_done":
            assert served.pop(task) == (PATHS[flag & SERVED_BY], addr, size)


CONFIG = "0,config,0,0,2,,1024,,0xffffc90000000000,0xffffe8ffffffffff,65536,1,"
DONE = "1,alloc_done,0,0,,0xffffc90000000000,20480,1,,,,256,kernel_clone"


def test_a_small_log(tmp_path):
    # A refill's value is an address, a purge's a number; both end up in one column.
    rows = [CONFIG, DONE, "2,refill,1,5,,0xffffc90004000000,77,,,,0xffffc90000000000,,", ""]
    (tmp_path / "t").write_text("\r\n".join([HEADER, *rows]))
    log = read_oplog(tmp_path / "t")
    assert log["value"].to_list() == [65536, None, 0xFFFFC90000000000]
    assert log["caller"].to_list() == [None, "kernel_clone", None]
    assert log["node"].to_list() == [2, None, None]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, ["line 1: not an operation log", HEADER]),
        ([], ["line 1: no operations in it"]),
        ([CONFIG, DONE[:-25]], ["line 3: the file ends in the middle of a line", "13 fields"]),
        ([CONFIG, DONE + ",x", ""], ["line 3: wrong number of fields"]),
        ([CONFIG, "", DONE, ""], ["line 3: wrong number of fields"]),
        ([CONFIG, DONE.replace("20480", "2x"), ""], ["line 3: column size: not a number: '2x'"]),
        ([CONFIG, DONE.replace("0xffff", "ffff"), ""], ["line 3: column addr: not a number"]),
        ([CONFIG, DONE.replace("20480", "-1"), ""], ["line 3: column size: not a number: '-1'"]),
        ([CONFIG, DONE.replace(",20480,", ",,"), ""], ["line 3: column size: empty"]),
        ([CONFIG, DONE.replace("1,", ",", 1), ""], ["line 3: column seq: empty"]),
        ([CONFIG, DONE.replace("alloc_done", "x"), ""], ["line 3: column op: unknown", "shrink"]),
        ([CONFIG, DONE.replace("alloc_done", ""), ""], ["line 3: column op: unknown"]),
        ([CONFIG, DONE, DONE, ""], ["line 4: column seq: out of order: '1'"]),
        ([DONE, ""], ["line 2: column op: the configuration must come first"]),
        ([CONFIG, DONE, DONE, DONE.replace("20480", "2x"), ""], ["line 4: column seq"]),
    ],
)
def test_one_clear_error_with_line_and_column(tmp_path, rows, said):
    head = ["time,what"] if rows is None else [HEADER]
    (tmp_path / "log.csv").write_text("\n".join([*head, *(rows or [])]))
    with pytest.raises(FileError) as error:
        read_oplog(tmp_path / "log.csv")
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value)
