"""The engine against the reference allocator: the same addresses, counters and state."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_runs import TWIN, Both, Slots, machine_from, random_events, random_machine, random_run
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from vmalloc_model import workloads
from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.allocator.rules import ELIGIBLE, Rules
from vmalloc_model.allocator.settings import settings as settings_of
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, EVENT, FREE, GUARD, MAP_RAM, NODE, PCPU, PURGE, SHRINK
from vmalloc_model.platforms import find_platform
from vmalloc_model.units import MIB

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "allocator"
POLICIES = tuple(load_policies())
OVERLAYS = tuple(name for name, rules in load_policies().items() if rules.overlay)
X86 = find_platform("x86_64-4level")


# --- whatever hypothesis thinks of ---------------------------------------------------------------

CPUS = st.integers(0, 2)
WHICH = st.integers(0, 1000)
SMALL_SIZES = st.sampled_from((1, 2, 2, 3, 5, 8, 17, 33))
ORDERS = st.sampled_from((0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 12))
FLAGS = st.sampled_from((0, GUARD, NODE, GUARD | NODE))


class Machine(RuleBasedStateMachine):
    """Random events on a random small machine; numbers are taken modulo what there is."""

    policy = ""

    @initialize(seed=WHICH, kind=st.sampled_from(tuple(TWIN)), auto_purge=st.booleans())
    def begin(self, seed, kind, auto_purge):
        changes = random_machine(random.Random(seed))
        begun = {
            "policy": self.policy,
            "freespace": kind,
            "auto_purge": auto_purge,
            "machine": changes,
        }
        note(f'{json.dumps(begun)[:-1]}, "events": [')
        self.both = Both(machine_from(changes), self.policy, kind, auto_purge)
        self.chunk = self.both.machine.chunk_pages
        self.slots = Slots()

    def take(self, *event):
        event = list(event)
        event[4] %= self.both.machine.cpus
        note(f"{json.dumps(event)},")
        self.both.take([event])
        self.both.compare()

    @rule(pages=WHICH, order=ORDERS, cpu=CPUS, window=st.sampled_from((0, 0, 0, 1)), flags=FLAGS)
    def alloc(self, pages, order, cpu, window, flags):
        pages = 1 + pages % (self.chunk + 1)
        self.take(ALLOC, flags, window, order, cpu, self.slots.new(), pages)

    @rule(pages=SMALL_SIZES, cpu=CPUS, count=st.integers(1, 6), order=st.sampled_from((0, 0, 1)))
    def alloc_alike(self, pages, cpu, count, order):
        for _ in range(count):
            self.take(ALLOC, GUARD, 0, order, cpu, self.slots.new(), pages)

    @rule(pages=st.integers(1, 20), cpu=CPUS)
    def map_ram(self, pages, cpu):
        self.take(MAP_RAM, 0, 0, 0, cpu, self.slots.new(), pages)

    @rule(pages=st.integers(1, 4), order=st.integers(0, 2), window=st.sampled_from((0, 0, 1)))
    def pcpu(self, pages, order, window):
        self.take(PCPU, 0, window, order, 0, self.slots.new(), pages << order)

    @rule(which=WHICH, cpu=CPUS)
    def free(self, which, cpu):
        if self.slots.held:
            self.take(FREE, 0, 0, 0, cpu, self.slots.gone(which), 0)

    @rule(first=WHICH, count=st.integers(2, 12), cpu=CPUS)
    def free_some(self, first, count, cpu):
        for _ in range(min(count, len(self.slots.held))):
            self.take(FREE, 0, 0, 0, cpu, self.slots.gone(first), 0)

    @rule(cpu=CPUS)
    def purge(self, cpu):
        self.take(PURGE, 0, 0, 0, cpu, 0, 0)

    @rule()
    def shrink(self):
        self.take(SHRINK, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_event_as_in_the_reference(policy):
    machine = type(f"Machine_{policy.replace('-', '_')}", (Machine,), {"policy": policy})
    run_state_machine_as_test(machine, settings=settings(max_examples=4, stateful_step_count=30))


# --- events worth keeping ------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.json")), ids=lambda path: path.stem)
def test_a_kept_run(path):
    """``counters`` are what it was kept for: it has to go on showing them."""
    kept = json.loads(path.read_text())
    both = Both(
        machine_from(kept["machine"]), kept["policy"], kept["freespace"], kept["auto_purge"]
    )
    for event in kept["events"]:
        both.take([event])
        both.compare()
    counters = both.fast.counters()
    assert kept["counters"] == {name: counters[name] for name in kept["counters"]}


# --- long runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_random_runs_on_small_machines(policy):
    seen = Counter()
    for seed in range(10):
        for kind in TWIN:
            both, events = random_run(seed, policy, kind, 400)
            for first in range(0, len(events), 80):
                both.take(events[first : first + 80])
                both.compare()
            seen.update(both.fast.counters())
    for name in ("pool_hits", "pool_rotations", "decayed_areas", "overflow_purges", "failures"):
        assert seen[name], name
    assert seen["block_purges"]
    assert seen["block_hits"]
    if policy in OVERLAYS:
        assert seen["refill_failures"]
        # by the message only requests without an alignment use a chunk
        assert bool(seen["padding_pages"]) == (load_policies()[policy].eligible != "message")


def some_rules(number):
    """Return rules that no policy has together."""
    chance = random.Random(number)
    resident = chance.random() < 0.8
    return Rules(
        name=f"rules-{number}",
        title="",
        first=chance.choice(["pools", "chunk"]),
        eligible=chance.choice(ELIGIBLE),
        refill_on=chance.choice(["miss", "null"]),
        resident=resident,
        owner=chance.choice(["freeing", "installing"]),
        release=chance.choice(["never", "drained", "purged"]),
        release_at_refill=chance.random() < 0.5,
        rewind=resident and chance.random() < 0.3,
        pooled=chance.random() < 0.7,
    )


@pytest.mark.parametrize("number", range(30))
def test_any_rules(number):
    """The choices of a policy do not depend on each other."""
    both, events = random_run(number, some_rules(number), "rbtree", 400)
    for first in range(0, len(events), 80):
        both.take(events[first : first + 80])
        both.compare()


def x86(policy, **changes):
    """4 CPUs and chunks of 1 MiB (64 MiB where the policy says), with few lazy pages."""
    machine = machine_of(X86, 4, chunk_size=1 * MIB)
    return Both(replace(machine, **changes), policy)


def events_of(name, count, seed=1, cpus=4):
    return workloads.make(name, page_size=4096, cpus=cpus, events=count, seed=seed).all()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["mixed", "bursts", "random_size_align", "producer_consumer"])
def test_workloads_on_a_large_machine(policy, name):
    both = x86(policy, lazy_max_pages=2000, decay="6.16" if name == "bursts" else "6.12")
    events = events_of(name, 1500)
    both.take(events[:700].tolist())
    both.compare()
    both.take(events[700:].tolist())
    both.compare()


def test_more_areas_chunks_and_blocks_than_the_first_tables_hold():
    """All tables grow, slots in one block of events and then in the next."""
    both = Both(machine_from({"space": [1, 90_000], "windows": [[512, 80_000], [85_000, 86_000]]}),
                "rfc12")  # fmt: skip
    alloc = [[ALLOC, 0, 0, 0, n % 2, n, 9] for n in range(1200)]
    blocks = [[MAP_RAM, 0, 0, 0, n % 2, n, 16] for n in range(1200, 1800)]
    both.take(alloc)
    both.take(blocks)
    assert len(both.fast.chunks().base) > 300
    assert both.fast.counters()["blocks"] > 128
    both.take([[FREE, 0, 0, 0, 0, n, 0] for n in range(0, 1800, 3)])
    both.take([[PURGE, 0, 0, 0, 0, 0, 0]])
    both.take([[ALLOC, 0, 0, 0, 1, n, 5] for n in range(2000, 3000)])
    both.compare()


# --- what is not possible ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([[ALLOC, 0, 0, 0, 0, 7, 1]] * 2, "event 1: the slot is in use: 7"),
        ([[MAP_RAM, 0, 0, 0, 0, 7, 1]] * 2, "event 1: the slot is in use: 7"),
        ([[MAP_RAM, 0, 0, 0, 0, 0, 1], [PCPU, 0, 0, 0, 0, 0, 1]], "event 1: the slot is in use: 0"),
        ([[FREE, 0, 0, 0, 0, 7, 0]], "event 0: the slot is not in use: 7"),
        (
            [[ALLOC, 0, 0, 0, 0, 1, 1], [FREE, 0, 0, 0, 0, 1, 0], [FREE, 0, 0, 0, 0, 1, 0]],
            "event 2: the slot is not in use: 1",
        ),
        ([[ALLOC, 0, 0, 0, 2, 7, 1]], "event 0: no such CPU: 2"),
        ([[PURGE, 0, 0, 0, 2, 0, 0]], "event 0: no such CPU: 2"),
        ([[ALLOC, 0, 2, 0, 1, 7, 1]], "event 0: no such window: 2"),
        ([[0, 0, 0, 0, 0, 0, 0]], "event 0: no such operation: 0"),
        ([[7, 0, 0, 0, 0, 0, 0]], "event 0: no such operation: 7"),
        ([[PURGE, 0, 0, 0, 0, 0, 0]] * 1234 + [[9, 0, 0, 0, 0, 0, 0]], "event 1,234: no such"),
    ],
)
def test_an_event_that_cannot_be(events, says):
    """It is named; the events before it are done, and it is not."""
    allocator = Allocator(machine_from({}), "rfc12")
    with pytest.raises(InputError, match=says):
        allocator.run(np.array([tuple(event) for event in events], EVENT))
    done = sum(event[0] in (ALLOC, MAP_RAM) for event in events[:-1])
    assert allocator.counters()["requests"] == done
    assert allocator.counters()["purges"] == sum(event[0] == PURGE for event in events[:-1])
    allocator.check()


def test_a_slot_whose_allocation_failed():
    """It is not in use: it can be freed, to no effect, or allocated again."""
    both = Both(machine_from({}), "mainline")
    too_many = [ALLOC, 0, 0, 0, 0, 3, 1000]
    assert both.take([too_many, too_many, [FREE, 0, 0, 0, 0, 3, 0]]) == [-1] * 3
    assert both.fast.counters()["frees"] == 0
    with pytest.raises(InputError, match="not in use"):
        both.fast.run(np.array([(FREE, 0, 0, 0, 0, 3, 0)], EVENT))


def test_what_an_allocator_is_made_of():
    machine = machine_from({})
    with pytest.raises(InputError, match=r"\$.policy: no such policy: 'rfc13'.*rfc1"):
        Allocator(machine, "rfc13")
    with pytest.raises(InputError, match=r"\$.freespace: no such free space: 'gap'.*: gaps, "):
        Allocator(machine, "rfc12", "gap")
    with pytest.raises(InputError, match="events: not events"):
        Allocator(machine, "rfc12").run(np.zeros((3, 7), np.int64))
    assert Allocator(machine, "rfc12").rules is load_policies()["rfc12"]
    assert Allocator(machine, load_policies()["rfc11"]).rules.name == "rfc11"
    assert len(Allocator(machine, "rfc12").run(np.empty(0, EVENT))) == 0
    every_other = np.array([(ALLOC, 0, 0, 0, 0, n, 1) for n in range(8)], EVENT)[::2]
    assert Allocator(machine, "mainline").run(every_other).tolist() == [512, 513, 514, 515]


def test_allocators_do_not_share():
    """They come and go, and the events of one are not seen by another."""
    events = np.array([(ALLOC, 0, 0, 0, 0, n, 3) for n in range(50)], EVENT)
    first = Allocator(machine_from({}), "rfc12")
    wanted = first.run(events).tolist()
    for _ in range(20):
        assert Allocator(machine_from({}), "rfc12").run(events).tolist() == wanted
    assert first.counters()["requests"] == 50


# --- measures ------------------------------------------------------------------------------------


def plain_measures(both, events):
    """Do events one by one and keep the measures from addresses alone."""
    machine, now = both.machine, Counter()
    first, end = machine.windows[0]
    state = both.plain._state
    region = 512  # pages of 4 KiB that one page of 8-byte entries maps
    tables, high, touched, held = set(), first, first, {}
    for event in events:
        op, flags, window, _, _, slot, pages = event
        chunks = len(state.chunks)
        [page] = both.take([event])
        for chunk in state.chunks[chunks:]:
            high = max(high, chunk.end)
        in_block = op == MAP_RAM and pages <= machine.block_max_pages
        if op == FREE:
            held.pop(slot, None)
        elif page >= 0:
            if not in_block:
                held[slot] = pages
            mapped = pages - 1 if op == ALLOC and flags & GUARD else pages
            if op != PCPU and window == 0:
                whole = machine.block_pages if in_block else pages
                high = max(high, page // whole * whole + whole if in_block else page + pages)
                if mapped:
                    touched = max(touched, page + mapped)
                    tables |= {at // region for at in range(page, page + mapped)}
        blocks = [area.pages for area in both.plain._blocks.areas()]
        live = sum(held.values()) + sum(blocks)
        now["live_areas"], now["live_pages"] = len(held) + len(blocks), live
        now["peak_pages"] = max(now["peak_pages"], live)
    gaps = state.space.gaps()
    inside = [min(start + pages, end) - max(start, first) for start, pages in gaps]
    quiet = [c for c in state.chunks if not c.released and c not in state.current]
    return {
        "live_areas": now["live_areas"],
        "live_pages": now["live_pages"],
        "peak_pages": now["peak_pages"],
        "lazy_pages": sum(area.pages for areas in state.lazy.values() for area in areas),
        "pooled_areas": sum(map(len, state.pools.values())),
        "gaps": len(gaps),
        "largest_gap": max([0, *inside]),
        "high_water": high - first,
        "touched_high": touched - first,
        "page_tables": len(tables),
        "chunks": len(state.chunks),
        "chunks_current": sum(chunk is not None for chunk in state.current),
        "chunks_released": sum(chunk.released for chunk in state.chunks),
        "chunks_live": sum(c.count > 0 for c in quiet) if state.resident else 0,
        "chunks_lost": sum(c.count == 0 for c in quiet) if state.resident else 0,
    }


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("first", [4096, 4500])
def test_measures_are_those_of_the_addresses(policy, first):
    """A window that begins inside a page-table page, too."""
    changes = {
        "page_size": 4096,
        "cpus": 3,
        "space": [1, 40_000],
        "windows": [[first, first + 7000], [20_000, 21_000]],
        "block_max_pages": 64,
        "block_pages": 128,
        "chunk_pages": 256,
        "lazy_max_pages": 700,
        "possible_share": 1.0,
    }
    both = Both(machine_from(changes), policy)
    events = random_events(random.Random(f"{first} {policy}"), both.machine, 400)
    wanted = plain_measures(both, events)
    assert both.fast.measures() == wanted
    assert wanted["page_tables"] > 3


def test_a_guard_page_is_not_mapped():
    """2 MiB of pages and the guard page need one page-table page; the pages alone, two with it."""
    for flags, tables, pages in ((GUARD, 1, 512), (0, 2, 513)):
        machine = machine_of(X86, 1, nodes=1)
        allocator = Allocator(machine, "mainline")
        allocator.run(np.array([(ALLOC, flags, 0, 0, 0, 0, 513)], EVENT))
        now = allocator.measures()
        assert (now["page_tables"], now["touched_high"], now["high_water"]) == (tables, pages, 513)
    allocator = Allocator(machine, "mainline")
    allocator.run(np.array([(ALLOC, GUARD, 0, 0, 0, 0, 1), (PCPU, 0, 0, 0, 0, 1, 8)], EVENT))
    now = allocator.measures()
    assert (now["page_tables"], now["touched_high"], now["live_pages"]) == (0, 0, 9)


def test_chunks_and_visits():
    both = x86("rfc12", lazy_max_pages=3000)
    events = events_of("mixed", 3000)
    addresses = both.take(events.tolist())
    chunks, visits, counters = both.fast.chunks(), both.fast.visits(), both.fast.counters()
    assert chunks.served.sum() == counters["bump_hits"]
    assert chunks.current.sum() == 4
    assert (chunks.released & chunks.current).sum() == 0
    assert len(addresses) == 3000
    # every visit to such a lock is on some node
    for name in ("busy", "pool", "lazy"):
        assert visits[name].shape == (4,)
        assert visits[name].sum() == counters[f"lock_{name}"] > 0
        assert (visits[name] > 0).sum() > 1


def test_visits_are_on_the_nodes_of_pools_lists_and_addresses():
    """Stripes of 4 pages go to the two nodes in turn."""
    allocator = Allocator(machine_from({}), "mainline")
    events = [(ALLOC, 0, 0, 0, 1, n, 4) for n in range(3)]
    events += [(FREE, 0, 0, 0, 0, n, 0) for n in range(3)]
    events += [(PURGE, 0, 0, 0, 0, 0, 0), (ALLOC, 0, 0, 0, 1, 0, 4)]
    assert allocator.run(np.array(events, EVENT)).tolist()[-1] == 520
    visits = {name: nodes.tolist() for name, nodes in allocator.visits().items()}
    # busy: two of three areas lie on node 0, allocated and freed, and the last one from the pool
    assert visits == {"busy": [5, 2], "pool": [0, 4], "lazy": [0, 4]}


# --- the chunk size of the scaled policy ---------------------------------------------------------


@pytest.mark.parametrize(("cpus", "pages"), [(4, 16384), (1 << 13, 16384), (1 << 16, 2048)])
def test_the_scaled_chunk(cpus, pages):
    """32 TiB less a page, a 64th of it for all CPUs: 64 MiB, the most, up to 4,096 of them."""
    machine = machine_of(X86, cpus, chunk_size=2 * MIB)
    share = (machine.windows[0][1] - machine.windows[0][0]) // 64 // cpus
    wanted = min(1 << (share.bit_length() - 1), 64 * MIB // 4096)
    assert (wanted if wanted >= 1024 else 0) == machine.scaled().chunk_pages
    assert settings_of(machine, load_policies()["scaled-chunk"], True)[6] in (wanted, 0)
    assert settings_of(machine, load_policies()["rfc12"], True)[6] == 512


def test_a_scaled_chunk_below_4_mib_is_none():
    both = Both(machine_from({"possible_share": 1 / 64}), "scaled-chunk")
    both.take([[ALLOC, 0, 0, 0, 0, n, 2] for n in range(5)])
    assert both.fast.counters()["lock_chunk"] == 0
    assert both.fast.measures()["chunks"] == 0
    both = Both(machine_from({}), "scaled-chunk")
    both.take([[ALLOC, 0, 0, 0, 0, n, 2] for n in range(5)])
    # a quarter of 320 MiB for 2 CPUs: 40 MiB
    assert both.fast.chunks().base.tolist() == [512]
    assert both.fast.state()["gaps"][1][0] == 512 + 32
