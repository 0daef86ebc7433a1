"""The summary of the operation logs, against a plain loop over their lines."""

import csv
import functools
import gzip

import pytest

from vmalloc_model.claims.recorded import read_mainline, read_overlay, read_stream
from vmalloc_model.errors import InputError
from vmalloc_model.runs import find_run, read_requests

PAGE = 4096


@functools.cache
def rows(run):
    with gzip.open(find_run(run).path, "rt") as file:
        return list(csv.DictReader(file))


@functools.cache
def replayed(run):
    """Every figure of the overlay, counted line by line."""
    counts, bases, sizes, callers = {}, set(), set(), {}
    hits, lazy, pointer = [], {}, {}
    found = dict.fromkeys(("aligned", "away", "tails", "padding", "outside", "odd", "bare"), 0)
    for row in rows(run):
        op, address = row["op"], int(row["addr"] or "0", 16)
        counts[op] = counts.get(op, 0) + 1
        if op == "config":
            stripe, nodes = int(row["value"]), int(row["node"])
        elif op == "chunk_reserve":
            bases.add(address)
            sizes.add(int(row["size"]))
        elif op == "refill" and row["value"] != "0x0":
            found["tails"] += (64 << 20) - int(row["size"])
        elif op == "bump_hit":
            size, base = int(row["size"]), int(row["value"], 16)
            hits.append((int(row["seq"]), address, size))
            found["aligned"] += int(row["align"]) > PAGE
            found["away"] += address // stripe % nodes != int(row["cpu"]) % nodes
            found["padding"] += address - pointer.get(base, base)
            pointer[base] = address + size
        elif op == "lazy_add":
            lazy.setdefault(address, []).append(int(row["seq"]))
        elif op == "bump_ineligible" and int(row["flag"]) & 1:
            found["outside"] += 1
            callers[row["caller"]] = callers.get(row["caller"], 0) + 1
        elif op == "alloc_done" and int(row["flag"]) & 7 == 2:
            found["odd"] += int(row["flag"]) & 8 != 0
            found["bare"] += int(row["flag"]) & 16 != 0
    found["freed"] = sum(any(later > seq for later in lazy.get(at, ())) for seq, at, _ in hits)
    guarded = len(hits) - found["bare"]
    found["mean"] = (sum(size for *_, size in hits) - guarded * PAGE) / max(1, len(hits))
    return counts, found, bases, sizes, callers


def test_the_overlay_run_is_summarised_as_a_plain_loop_does():
    overlay = read_overlay("oplog-rfc10")
    counts, found, bases, sizes, callers = replayed("oplog-rfc10")
    assert (overlay.allocations, overlay.hits) == (counts["alloc_done"], counts["bump_hit"])
    assert (overlay.misses, overlay.reserves) == (counts["bump_miss"], counts["chunk_reserve"])
    assert overlay.failures == counts.get("refill_fail", 0)
    assert overlay.distinct_bases == len(bases)
    assert set(overlay.chunk_sizes) == sizes
    assert overlay.mean_payload == pytest.approx(found["mean"])
    assert (overlay.aligned_hits, overlay.away_hits) == (found["aligned"], found["away"])
    assert overlay.freed_hits == found["freed"]
    assert (overlay.tails, overlay.padding) == (found["tails"], found["padding"])
    assert overlay.pool_hits == counts["pool_hit"]
    assert overlay.ineligible == counts["bump_ineligible"]
    assert (overlay.outside_window, overlay.callers_outside) == (found["outside"], callers)
    assert overlay.outside_window_hits == found["odd"]
    assert overlay.tree_allocations == counts["tree_alloc"]
    assert overlay.tree_frees == counts["tree_free"]


def test_bytes_of_the_chunks_add_up():
    """Handed out, skipped, left behind, and the rest of the current chunks: nothing is lost."""
    overlay = read_overlay("oplog-rfc10")
    pointer, current, handed = {}, {}, 0
    for row in rows("oplog-rfc10"):
        if row["op"] == "bump_hit":
            end = int(row["addr"], 16) + int(row["size"])
            pointer[int(row["value"], 16)] = end
            handed += int(row["size"])
        elif row["op"] == "refill":
            current[row["cpu"]] = int(row["addr"], 16)
    rest = sum(base + (64 << 20) - pointer[base] for base in current.values())
    assert handed + overlay.padding + overlay.tails + rest == overlay.reserves * (64 << 20)


LOG = """seq,op,cpu,task,node,addr,size,align,vstart,vend,value,flag,caller
0,config,0,0,2,,256,,0x10000000,0x8fffffff,65536,1,
1,lazy_add,0,1,,0x10001000,8192,,,,2,1,
2,lazy_add,0,1,,0x10004000,8192,,,,2,1,
3,chunk_reserve,1,1,,0x10000000,67108864,4096,0x10000000,0x8fffffff,,,
4,refill,1,1,,0x10000000,0,,,,0x0,,
5,bump_hit,1,1,,0x10001000,8192,1,,,0x10000000,,f
6,alloc_done,1,1,,0x10001000,8192,1,,,,258,f
7,bump_hit,1,1,,0x10004000,12288,16384,,,0x10000000,,f
8,alloc_done,1,1,,0x10004000,12288,16384,,,,274,f
9,lazy_add,1,1,,0x10004000,12288,,,,2,1,
"""


def test_a_free_before_the_hit_is_another_areas(tmp_path):
    """Two hits at addresses that were freed before; one of them is freed afterwards too."""
    path = tmp_path / "small.oplog.csv"
    path.write_text(LOG)
    overlay = read_overlay(str(path))
    assert (overlay.hits, overlay.freed_hits) == (2, 1)
    assert (overlay.padding, overlay.tails, overlay.aligned_hits) == (4096 + 4096, 0, 1)
    assert overlay.mean_payload == (4096 + 12288) / 2  # the second, of vm_map_ram, has no guard
    assert overlay.away_hits == 2


def test_the_run_without_overlay_has_no_chunks():
    mainline = read_mainline("oplog-stock")
    counts, *_ = replayed("oplog-stock")
    assert mainline.searches == counts["tree_alloc"]
    assert mainline.returns == counts["tree_free"]
    assert mainline.allocations == counts["alloc_done"]
    with pytest.raises(InputError, match="no chunk was reserved"):
        read_overlay("oplog-stock")


def test_a_trace_is_no_operation_log():
    with pytest.raises(InputError, match="no operation log: 'smp1'"):
        read_overlay("smp1")


def test_the_stream_is_what_the_run_asked_of_the_standard_window():
    stream = read_stream("smp4-sync")
    requests = read_requests("smp4-sync")
    sizes = sorted(size for size, inside in requests.select("size", "in_window").rows() if inside)
    assert stream.requests == len(sizes)
    assert (stream.smallest, stream.largest) == (sizes[0], sizes[-1])
    assert stream.median == sizes[(len(sizes) - 1) // 2]
    assert stream.mean == pytest.approx(sum(sizes) / len(sizes))
    assert stream.requests + stream.ineligible == requests.height
