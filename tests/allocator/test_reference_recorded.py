"""The reference allocator against recorded kernels: every address, pool and purge predicted."""

from pathlib import Path

import pytest

from vmalloc_model import events
from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.reference import ReferenceAllocator
from vmalloc_model.allocator.reference_state import Area
from vmalloc_model.traces import ftrace
from vmalloc_model.traces.oplog import POOL, read_oplog

RUNS = Path(__file__).resolve().parents[2] / "data" / "runs"
PAGE = 4096
STANDARD = (0xFFFFC90000000, 0xFFFFE8FFFFFFF)


def machine(cpus, windows=(STANDARD,), chunk_pages=0):
    return Machine(
        page_size=PAGE,
        cpus=cpus,
        nodes=cpus,
        zone_pages=16 if cpus > 1 else 1,
        space=(1, 2**52 - 1),
        windows=windows,
        lazy_max_pages=cpus.bit_length() * 8192,
        block_pages=256,
        block_max_pages=64,
        chunk_pages=chunk_pages,
    )


def order_of(align):
    return max(int(align) // PAGE, 1).bit_length() - 1


def predict(name, cpus, before_percpu):
    """Apply a trace's requests; return (allocations, wrong lines, wrong purges, allocator).

    The trace has no event for per-CPU areas: the one there was comes after the last of the
    areas that describe it, whose address `/proc/vmallocinfo` gives. vm_map_ram shows only as the
    areas of its blocks.
    """
    trace = ftrace.read_ftrace(RUNS / f"{name}.ftrace.txt.gz").events
    allocs = trace[trace["kind"] == ftrace.ALLOC]
    pairs = zip(allocs["vstart"].tolist(), allocs["vend"].tolist(), strict=True)
    windows = tuple(dict.fromkeys((start // PAGE, end // PAGE) for start, end in pairs))
    allocator = ReferenceAllocator(
        machine(cpus, windows), find_policy("mainline"), "tree", auto_purge=False
    )
    slots, wrong, wrong_purges = {}, [], []
    for event in trace:
        line, cpu, start = int(event["line"]), int(event["cpu"]), int(event["start"]) // PAGE
        if event["kind"] == ftrace.ALLOC:
            window = windows.index((int(event["vstart"]) // PAGE, int(event["vend"]) // PAGE))
            pages = int(event["size"]) // PAGE
            request = (events.ALLOC, 0, window, order_of(event["align"]), cpu, line, pages)
            if allocator.apply(request) != start:
                wrong.append(line)
                break
            slots[start] = line
            if start == before_percpu // PAGE:
                allocator.apply((events.PCPU, 0, 0, 9, cpu, 0, 512))
        elif event["kind"] == ftrace.FREE:
            allocator.apply((events.FREE, 0, 0, 0, cpu, slots.pop(start), 0))
            if allocator.state()["lazy_pages"] != event["count"]:
                wrong.append(line)
        else:
            before = allocator.counters()["purged_areas"]
            allocator.apply((events.PURGE, 0, 0, 0, cpu, 0, 0))
            if allocator.counters()["purged_areas"] - before != event["count"]:
                wrong_purges.append(line)
    allocator.check()
    return len(allocs), wrong, wrong_purges, allocator


@pytest.mark.parametrize(
    ("name", "cpus", "before_percpu", "allocs", "from_pools"),
    [
        ("debian-6.12.117-smp4-sync-purge", 4, 0xFFFFC90000294000, 4270, 366),
        ("debian-6.12.117-smp1", 1, 0xFFFFC900001B5000, 16820, 0),
    ],
)
def test_every_address_of_a_trace_in_order(name, cpus, before_percpu, allocs, from_pools):
    """The numbers are those of an independent model (facts of the project)."""
    count, wrong, wrong_purges, allocator = predict(name, cpus, before_percpu)
    assert (count, wrong, wrong_purges) == (allocs, [], [])
    assert allocator.counters()["pool_hits"] == from_pools
    live = [start for start, _ in allocator.state()["live"].values()]
    assert 0xFFFFE8FFFFC00 in live  # where vmallocinfo shows the per-CPU area


class Follower:
    """Drives the parts of the reference allocator by an operation log.

    In a log of two CPUs the steps of two requests interleave, so whole events cannot be applied;
    but every step was taken under its lock and must come out as recorded.
    """

    def __init__(self, policy, rows, chunk_pages):
        self.allocator = ReferenceAllocator(
            machine(2, chunk_pages=chunk_pages), find_policy(policy), "tree", auto_purge=False
        )
        self.state = self.allocator._state
        self.pools = self.allocator._pools
        self.chunks = self.allocator._chunks
        self.purger = self.allocator._purger
        self.areas, self.asked, self.detached = {}, {}, {}
        self.leaving, self.staying = [], {}
        self.predicted = dict.fromkeys(
            ("tree", "pool", "rotate", "miss", "bump", "bump_miss", "chunk", "decay", "lazy"), 0
        )
        for row in rows:
            step = getattr(self, f"on_{row['op']}", None)
            if step is not None:
                step(row)

    def hit(self, kind, got, row):
        assert got == row["addr"] // PAGE, row
        self.predicted[kind] += 1

    def take(self, row):
        self.asked[row["task"]] = row["node"]
        return self.pools.take(row["node"], row["cpu"], row["size"] // PAGE, order_of(row["align"]))

    def on_pool_hit(self, row):
        self.hit("pool", self.take(row).start, row)

    def on_pool_rotate(self, row):
        before = self.state.counts["pool_rotations"]
        assert self.take(row) is None
        pool = self.state.pools[row["node"], row["size"] // PAGE]
        self.hit("rotate", pool[-1].start, row)
        assert self.state.counts["pool_rotations"] == before + 1

    def on_pool_miss(self, row):
        before = self.state.counts["pool_misses"]
        assert self.take(row) is None
        assert self.state.counts["pool_misses"] == before + (row["flag"] == 0)
        self.predicted["miss"] += 1

    def on_tree_alloc(self, row):
        window = row["vstart"] // PAGE, row["vend"] // PAGE
        got = self.state.space.reserve(row["size"] // PAGE, order_of(row["align"]), *window)
        self.hit("tree", got, row)

    def on_bump_hit(self, row):
        pages, order = row["size"] // PAGE, order_of(row["align"])
        assert self.chunks.is_eligible(pages, order, 0, 0), row
        area = self.chunks.bump(row["cpu"], pages, order, None)
        self.hit("bump", area.start, row)
        assert self.state.current[row["cpu"]].base == row["value"] // PAGE

    def on_bump_miss(self, row):
        pages, order = row["size"] // PAGE, order_of(row["align"])
        assert self.chunks.is_eligible(pages, order, 0, 0), row
        assert self.chunks.bump(row["cpu"], pages, order, None) is None
        self.predicted["bump_miss"] += 1

    def on_bump_ineligible(self, row):
        pages, order = row["size"] // PAGE, order_of(row["align"])
        assert not self.chunks.is_eligible(pages, order, row["flag"], 0), row

    def on_chunk_reserve(self, row):
        assert self.chunks.refill(row["cpu"])
        self.hit("chunk", self.state.current[row["cpu"]].base, row)

    def on_refill(self, row):
        assert self.state.current[row["cpu"]].base == row["addr"] // PAGE, "installed elsewhere"

    def on_alloc_done(self, row):
        start = row["addr"] // PAGE
        owner = (row["flag"] >> 8) - 1 if row["flag"] >> 8 else None
        # Hit, rotation or miss: the node that was asked is the owner. A pool that another CPU
        # emptied between a look without the lock and the lock leaves no row.
        if row["task"] in self.asked:
            assert self.asked.pop(row["task"]) == owner, row
        else:
            assert owner is None or row["flag"] & 7 != POOL, row
        self.areas[start] = Area(start, row["size"] // PAGE, row["cpu"], owner)

    def on_pcpu_area(self, row):
        area = self.allocator._percpu(row["cpu"], row["size"] // PAGE, order_of(row["align"]), 0)
        self.hit("tree", area.start, row)
        self.areas[area.start] = area

    def on_lazy_add(self, row):
        area = self.areas.pop(row["addr"] // PAGE)
        assert self.state.node_of(area) == row["node"], row
        self.purger.make_lazy(area)
        self.predicted["lazy"] += 1

    def on_purge_end(self, row):
        assert not any(self.detached.values()), row

    def on_decay_detach(self, row):
        key = row["node"], row["size"] // PAGE
        assert len(self.state.pools[key]) == row["value"], row
        self.leaving = self.pools.leave(key, full=row["flag"] == 1)
        # Meanwhile the pool is empty for the other CPU.
        self.staying = {key: self.state.pools.pop(key)}

    def on_decay_area(self, row):
        self.hit("decay", self.leaving.pop(0).start, row)

    def on_decay_attach(self, row):
        assert not self.leaving, "more should have left"
        assert [len(pool) for pool in self.staying.values()] == [row["value"]], row
        self.state.pools |= self.staying

    def on_lazy_detach(self, row):
        node = row["node"]
        self.detached[node] = sorted(self.state.lazy[node], key=lambda area: area.start)
        self.state.lazy[node] = []

    def on_purge_area(self, row):
        area = self.detached[row["node"]].pop(0)
        assert area.start == row["addr"] // PAGE, row
        self.to_pool = area if self.purger.has_pool(area) else None
        self.state.lazy_pages -= area.pages

    def on_pool_add(self, row):
        assert self.to_pool.start == row["addr"] // PAGE, row
        self.pools.add(row["node"], self.to_pool)

    def on_tree_free(self, row):
        self.state.give_back(row["addr"] // PAGE, row["size"] // PAGE)


@pytest.mark.parametrize(
    ("log", "policy", "predicted"),
    [
        ("stock", "mainline", {"tree": 11602, "bump": 0, "bump_miss": 0, "chunk": 0}),
        ("rfc10", "rfc10", {"tree": 431, "bump": 11314, "bump_miss": 71, "chunk": 71}),
    ],
)
def test_every_step_of_an_operation_log(log, policy, predicted):
    rows = read_oplog(RUNS / f"linux-6.12.117-smp2-{log}.oplog.csv.gz")
    follower = Follower(policy, rows.iter_rows(named=True), 16384 if policy == "rfc10" else 0)
    count = dict(rows["op"].value_counts().iter_rows())
    assert follower.predicted == {
        **predicted,
        "pool": count["pool_hit"],
        "rotate": count["pool_rotate"],
        "miss": count["pool_miss"],
        "decay": count["decay_area"],
        "lazy": count["lazy_add"],
    }
