from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model import events as ev
from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.reference import ReferenceAllocator
from vmalloc_model.experiments import edges, edges_addresses
from vmalloc_model.experiments import edges_streams as crafted
from vmalloc_model.platforms import find_platform
from vmalloc_model.workloads import make

MIB = 1 << 20
POLICIES = ["mainline", "rfc10", "rfc11", "rfc12", "release-after-purge", "scaled-chunk"]


def point(platform="i386", policy="rfc10", cpus=2, chunk_size=64 * MIB, **more):
    named = {"platform": platform, "policy": policy, "cpus": cpus, "chunk_size": chunk_size}
    return named | more


def small(**changes):
    more = {"events": 8000, "seed": 1, "live": 200, "mappings": 0, "placed": 0}
    return edges.small(point(**(more | changes)))


def machine(platform="i386", cpus=2, chunk_size=64 * MIB):
    return machine_of(find_platform(platform), cpus, chunk_size=chunk_size)


def churned(cpus=2, events=4000, live=60, page=4096, **parameters):
    setup = {"page_size": page, "cpus": cpus, "events": events, "seed": 5}
    return make("churn", **setup, live=live, **parameters).all()


# --- events by hand ------------------------------------------------------------------------------


def test_what_is_left_is_what_was_not_freed():
    events = churned()
    live = {}
    for event in events:
        if event["op"] == ev.ALLOC:
            live[int(event["slot"])] = int(event["pages"])
        else:
            del live[int(event["slot"])]
    found = crafted.left(events)
    assert dict(zip(found["slot"].tolist(), found["pages"].tolist(), strict=True)) == live
    assert len(live) == 60


def test_an_emptied_stream_leaves_the_range_as_it_was():
    allocator = Allocator(machine(), "mainline")
    before = allocator.measures()["largest_gap"]
    events = churned()
    allocator.run(np.concatenate([events, crafted.emptied(events)]))
    after = allocator.measures()
    assert (after["live_areas"], after["lazy_pages"], after["largest_gap"]) == (0, 0, before)


@given(st.integers(0, 7), st.integers(1, 40))
def test_events_are_spread_and_keep_their_order(more, length):
    events = crafted.rows(ev.ALLOC, length, slot=np.arange(length))
    extra = crafted.rows(ev.PURGE, more, cpu=np.arange(more))
    mixed = crafted.spread(events, extra)
    assert mixed[mixed["op"] == ev.ALLOC].tolist() == events.tolist()
    assert mixed[mixed["op"] == ev.PURGE].tolist() == extra.tolist()
    steps = np.diff([-1, *np.flatnonzero(mixed["op"] == ev.PURGE), len(mixed)])
    assert steps.max() - steps.min() <= 2


@settings(max_examples=10, deadline=None)
@given(st.integers(1000, 60_000), st.integers(1, 5), st.integers(0, 100))
def test_a_growing_stream_outgrows_its_range_and_frees_a_third(pages, cpus, seed):
    events = crafted.growing(pages, cpus, seed)
    allocs = events[events["op"] == ev.ALLOC]
    assert int(crafted.left(events)["pages"].astype(np.int64).sum()) > pages
    assert (len(events) - len(allocs)) * 3 == len(allocs) - 3 * 64
    assert (allocs["pages"].min() >= 2) & (allocs["pages"].max() <= 257)
    assert events["cpu"].max() < cpus
    # every free has its allocation before it
    Allocator(machine("x86_64-4level", cpus), "mainline").run(events)


# --- small ranges --------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["i386", "arm", "riscv32"])
@pytest.mark.parametrize("cpus", [1, 3, 8])
def test_each_cpu_takes_a_chunk_while_there_are_some(platform, cpus):
    told = edges.start(point(platform, "rfc12", cpus))
    slots = find_platform(platform).slots(64 * MIB)
    assert told["chunks"] == min(cpus, slots)
    without = max(cpus - slots, 0)
    rest = told["window"] - told["chunks"] * told["chunk"] - 2 * without
    assert told["largest"] == max(rest, told["chunk"] // 2)
    plain = edges.start(point(platform, "mainline", cpus))
    assert (plain["chunks"], plain["chunk"]) == (0, 0)
    assert plain["largest"] == plain["window"] - 2 * cpus
    assert plain["per_cpu"] == 1


def test_per_cpu_memory_has_no_room_where_chunks_fill_the_range():
    assert edges.start(point("riscv32", "rfc12", 7))["per_cpu"] == 1
    assert edges.start(point("riscv32", "rfc12", 8))["per_cpu"] == 0
    assert edges.start(point("riscv32", "scaled-chunk", 8))["per_cpu"] == 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("platform", ["arm", "riscv32"])
def test_the_largest_area_is_had_and_no_larger_one(platform, policy):
    events = churned(cpus=3)
    for more in (0, 1):
        allocator = Allocator(machine(platform, 3), policy)
        allocator.run(np.concatenate([events, crafted.emptied(events)]))
        chunk = crafted.chunk_pages(machine(platform, 3), policy)
        largest = edges._largest(allocator, chunk)
        served = [
            allocator.run(crafted.allocs(np.array([1000 + cpu]), cpu, largest + more))[0]
            for cpu in range(3)
        ]
        assert (max(served) >= 0) == (more == 0)


def test_on_i386_every_miss_but_the_first_is_a_refill_that_fails():
    told = small(platform="i386", policy="rfc10")
    assert told["refills"] == 1
    assert told["bump_misses"] == told["refill_failures"] + 1 > 2000
    # one search more than mainline for each of them
    assert told["searches"] == told["requests"] - told["bump_hits"] + told["bump_misses"]
    plain = small(platform="i386", policy="mainline")
    assert plain["searches"] == plain["requests"] == told["requests"]
    assert told["failures"] == plain["failures"] == 0


def test_where_chunks_fill_the_range_allocations_fail_in_the_twin_too():
    """Eight chunks on eight CPUs; each is used up while current, and none ever comes back."""
    whole = machine("riscv32", 8, MIB)
    first = whole.windows[0][0]
    little = replace(whole, windows=((first, first + 8 * 256),) * 2)
    events = churned(8, events=3000, live=20, max_pages=16)
    twin, fast = ReferenceAllocator(little, find_policy("rfc12")), Allocator(little, "rfc12")
    places = fast.run(events)
    slow = [twin.apply(event) for event in events]
    assert [-1 if place is None else place for place in slow] == places.tolist()
    assert fast.counters()["refills"] == 8
    assert fast.counters()["failures"] > 200
    plain = Allocator(little, "mainline")
    plain.run(events)
    assert plain.counters()["failures"] == 0


def test_long_lived_mappings_hold_chunks_and_per_cpu_memory_at_the_top_helps():
    case = {"platform": "riscv32", "policy": "rfc12", "cpus": 1, "events": 20_000}
    assert small(**case)["failures"] == 0
    told = small(**case, mappings=8)
    assert told["failures"] > 500
    assert told["held"] == told["window"]
    assert told["mapped"] == 8 * 17
    assert small(**case, mappings=8, placed=1)["failures"] == 0
    assert small(**(case | {"policy": "rfc10"}), mappings=8)["held"] == 0


# --- CPUs that stop ------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mainline", "rfc10", "rfc12", "reset-when-empty"])
def test_no_event_gives_a_current_chunk_back(policy):
    told = edges.stopped(point("x86_64-4level", policy, 6, 4 * MIB, areas=20))
    areas, chunk = 3 * 20 * 4, told["chunk"]
    assert told["stopped"] == 3
    kept = [told[stage] for stage in edges.STAGES]
    if policy == "mainline":  # lazy, lazy, in pools; then all is back
        assert kept == [areas, areas, areas, 0, 0]
    elif policy == "rfc10":
        whole = 3 * chunk
        assert kept == [whole, whole, whole, whole - areas, whole - areas]
    else:
        assert kept == [3 * chunk] * 5
    assert told["current"] == (0 if policy == "mainline" else 3)


def test_with_one_node_a_purge_returns_what_is_lazy():
    told = edges.stopped(point("i386", "mainline", 4, areas=20))
    assert [told[stage] for stage in edges.STAGES] == [160, 160, 0, 0, 0]


# --- a full range --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_the_first_failure_is_that_of_the_events_one_by_one(policy):
    used = machine("i386", 3)
    events = crafted.growing(used.windows[0][1] - used.windows[0][0], 3, 7)
    allocator = Allocator(used, policy)
    at = edges.first_failure(used, policy, events)
    for place, event in enumerate(events[: at + 1]):
        served = allocator.run(events[place : place + 1])[0]
        assert (event["op"] == ev.ALLOC and served < 0) == (place == at)
    assert edges.first_failure(used, policy, events[:at]) is None


@pytest.mark.parametrize("policy", POLICIES)
def test_the_parts_of_a_full_range_sum_to_it_and_free_is_in_gaps(policy):
    told = edges.full(point("arm", policy, 3, seed=2))
    parts = ("live", "free", "room", "held", "tail", "padding", "drained")
    assert sum(told[part] for part in parts) == told["window"]
    assert min(told[part] for part in parts) >= 0
    used = machine("arm", 3)
    events = crafted.growing(told["window"], 3, 2)
    allocator = Allocator(used, policy)
    allocator.run(events[: edges.first_failure(used, policy, events) + 1])
    low, high = used.windows[0]
    gaps = [
        min(at + pages, high) - at for at, pages in allocator.state()["gaps"] if low <= at < high
    ]
    if policy != "rfc11":  # its early releases may count pages twice
        assert sum(gaps) == told["free"]
    assert told["request"] > told["largest"]
    assert told["searches"] == (2 if policy in ("mainline", "scaled-chunk") else 4)


# --- CPUs that share a node ----------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 200), st.integers(1, 5))
def test_mainlines_busiest_node_is_that_of_the_most_numbers(used, stride):
    at = point("x86_64-4level", "mainline", used, stride=stride, possible=used, rounds=3)
    told = edges.shared(at | {"apart": False, "seed": 0})
    nodes = min(used, 128)
    assert told["nodes"] == nodes
    ids = stride * np.arange(used)
    most = np.bincount(ids % nodes).max()
    if nodes > 1:
        assert told["pool_busiest"] * used == told["pool_visits"] * most
    assert told["chunks"] == told["chunk_visits"] == 0


def test_chunks_are_made_for_cpus_in_use_and_the_address_chooses_the_node():
    at = point("x86_64-4level", "rfc12", 64, stride=128, possible=8192, rounds=4)
    step = edges.shared(at | {"apart": False, "seed": 0})
    assert step["chunks"] == 64
    assert step["chunk_visits"] == step["requests"] + 64
    # four areas of four pages: one stripe of one node, for all CPUs
    assert step["lazy_busiest"] == step["lazy_visits"]
    apart = edges.shared(at | {"apart": True, "seed": 0})
    assert apart["lazy_busiest"] < apart["lazy_visits"] / 10


# --- addresses -----------------------------------------------------------------------------------


def test_births_name_the_allocation_of_each_free():
    events = churned()
    born, where = edges_addresses.births(events), {}
    for place, event in enumerate(events):
        if event["op"] == ev.FREE:
            assert born[place] == where[int(event["slot"])]
        else:
            assert born[place] == -1
            where[int(event["slot"])] = place


def test_areas_of_chunks_are_found_by_address():
    used, events = machine("i386", 2), churned(live=400, max_pages=64)
    allocator = Allocator(used, "rfc12")
    places = allocator.run(events)
    ends = crafted.left(events)
    starts = np.array([places[np.flatnonzero(events["slot"] == slot)[-1]] for slot in ends["slot"]])
    chunks = allocator.chunks()
    found = edges_addresses.resident(chunks, starts, used.chunk_pages)
    left = [base for base, gone in zip(chunks.base, chunks.released, strict=True) if not gone]
    slow = [any(base <= s < base + used.chunk_pages for base in left) for s in starts]
    assert found.tolist() == slow
    assert 0 < sum(slow) < len(slow)
    # the chunks count the same pages
    assert ends["pages"][found].sum() == chunks.live[~chunks.released].sum()


def test_the_next_address_is_foretold_cpu_by_cpu():
    events = crafted.allocs(np.arange(6), [0, 1, 0, 1, 0, 0], 2)
    events["order"][4] = 2
    # CPU 1 begins where CPU 0 ends, which does not count
    places = np.array([0, 8, 2, 11, 4, 6])
    assert edges_addresses.following(events, places) == (3, 4)
    failed = np.array([0, 100, -1, 102, 4, 6])
    # of CPU 0: 0, 4 (aligned, from 2), 6
    assert edges_addresses.following(events, failed) == (3, 3)


@given(st.lists(st.tuples(st.integers(-1, 99), st.integers(1, 9)), max_size=40), st.integers(1, 30))
def test_flushes_are_those_of_a_counter(areas, limit):
    purges, lazy = [], []
    for start, pages in areas:
        if start >= 0:
            lazy.append((start, pages))
        if sum(pages for _, pages in lazy) > limit:
            purges.append(lazy)
            lazy = []
    starts, pages = (np.array([row[k] for row in areas], np.int64) for k in (0, 1))
    told = edges_addresses.flushes(starts, pages, limit)
    assert told["purges"] == len(purges)
    assert told["purged"] == sum(map(len, purges))
    assert told["most"] == max(map(len, purges), default=0)
    spans = [max(a + n for a, n in one) - min(a for a, _ in one) for one in purges]
    assert told["widest"] == max(spans, default=0)
    assert told["span"] == (np.median(spans) if spans else 0)
    assert told["pages"] * len(purges) == pytest.approx(sum(n for one in purges for _, n in one))


@pytest.mark.parametrize("policy", ["mainline", "rfc10", "rfc12"])
def test_purges_are_those_of_the_engine(policy):
    at = point("x86_64-4level", policy, 2, stream="xfs", events=20_000, seed=3)
    told = edges_addresses.addresses(at)
    allocator = Allocator(machine("x86_64-4level", 2), policy)
    stream = make("xfs", page_size=4096, cpus=2, events=20_000, seed=3)
    for block in stream.blocks():
        allocator.run(block)
    counters = allocator.counters()
    assert told["purges"] == counters["purges"] > 5
    assert told["purged"] == counters["purged_areas"]
    assert told["pages"] * told["purges"] == counters["purged_pages"]
    assert told["live"] == allocator.measures()["live_areas"]
    assert told["hidden"] == (told["live"] if policy == "rfc12" else 0)


@pytest.mark.parametrize(("pages", "order"), [(2, 0), (5, 2), (8192, 0), (8193, 0), (1024, 10)])
def test_a_chunk_serves_what_fits_between_alignments(pages, order):
    told = edges.filled(point("x86_64-4level", "rfc12", 1, pages=pages, order=order))
    step = -(-pages // (1 << order)) << order
    # the window of x86_64 begins at a multiple of all these alignments
    fit = (16384 - pages) // step + 1
    assert told["areas"] == (fit if pages <= 8192 else 0)


def test_only_the_table_of_platforms_is_read():
    assert [path.name for path in edges.inputs(point())] == ["platforms.csv"]
