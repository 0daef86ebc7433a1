"""Without concurrency the steps must do what the allocator model does, operation by operation."""

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.interleavings.explore import explore
from vmalloc_model.interleavings.invariants import INVARIANTS, violated
from vmalloc_model.interleavings.programs import PROGRAMS
from vmalloc_model.interleavings.serial import events_of, machine, replayed
from vmalloc_model.interleavings.setting import KERNELS, Program, Setting, variant_of
from vmalloc_model.interleavings.state import GONE, RELEASED, pages_of
from vmalloc_model.interleavings.steps import Move, initial, successors

POLICIES = [name for name, rules in load_policies().items() if not rules.scaled]
OPERATIONS = ["alloc", "alloc", "alloc", "free", "free", "big", "odd", "purge"]
BASE = machine().windows[0][0]


@given(
    st.sampled_from(POLICIES),
    st.lists(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=8), min_size=1, max_size=3),
    st.integers(0, 10**9),
)
# without shrinking: programs are short, and shrinking them takes minutes
@settings(max_examples=150, deadline=None, phases=[Phase.reuse, Phase.generate])
def test_random_programs_end_as_in_the_allocator_model(policy, tasks, seed):
    """Addresses in use, counters, released chunks, lazy areas and free pages are the same."""
    program = Program("random", "", (), tuple((t % 2, tuple(ops)) for t, ops in enumerate(tasks)))
    where = Setting(variant_of(policy), KERNELS["serial"], program)
    draw, state, moves = random.Random(seed), initial(where), []
    while any(task.at for task in state.tasks):
        if any(INVARIANTS[key].fatal for key in violated(where, state)):
            return
        steps = [one for one in successors(where, state) if one[0].task >= 0]
        move, state = draw.choice(steps)
        moves.append(move)
    if any(INVARIANTS[key].fatal for key in violated(where, state)):
        return
    replay = replayed(where, moves)
    if replay.counters["overflow_purges"]:
        return  # the window was full; that purge is not part of the steps
    if replay.counters["lost_frees"]:
        return  # 11/12, into a released chunk: the steps read its descriptor, or find no area
    assert replay.agrees
    events, _ = events_of(where, moves)
    allocator = Allocator(machine(), where.variant.rules, "gaps", auto_purge=False)
    allocator.run(events)
    told = allocator.state()
    lazy = sorted(start - BASE for starts in told["lazy"].values() for start in starts)
    assert lazy == sorted(area.start for area in state.lazy)
    pooled = sorted(start - BASE for starts in told["pools"].values() for start in starts)
    assert pooled == sorted(area.start for area in state.pool)
    window = range(machine().windows[0][0], machine().windows[0][1])
    free = [
        page - BASE
        for first, pages in told["gaps"]
        for page in range(first, first + pages)
        if page in window
    ]
    assert free == pages_of(state.free)
    mine = [
        (chunk.base, chunk.bump - chunk.base, chunk.alloced, chunk.fate in (RELEASED, GONE))
        for chunk in state.chunks
    ]
    assert mine == [(base - BASE, used, live, gone) for base, used, live, _, gone in told["chunks"]]


def test_orders_that_the_search_finds_violate_the_same_in_the_allocator_model():
    seen = set()
    for policy in ("rfc11", "rfc12", "described", "release-after-purge"):
        for program in PROGRAMS:
            where = Setting(variant_of(policy), KERNELS["serial"], program)
            for key, moves in explore(where).found.items():
                replay = replayed(where, moves)
                assert replay.agrees
                seen.add((policy, key))
                if key == "twice":
                    assert replay.twice > 0
                elif key == "flushed":
                    assert replay.unflushed > 0
                elif key == "counter":
                    assert replay.uncounted > 0
                elif key == "drained":
                    assert replay.measures["chunks_lost"] > 0
                elif key == "room":
                    assert replay.counters["tail_pages"] > 0
                elif key == "descriptor":
                    assert replay.counters["released_while_current"] > 0
                else:
                    pytest.fail(key)
    assert {("rfc12", "twice"), ("rfc12", "flushed"), ("rfc11", "descriptor")} <= seen


def test_the_pool_that_hands_out_a_returned_area_is_counted_as_stale():
    where = Setting(variant_of("rfc12"), KERNELS["serial"], PROGRAMS[2])
    found = explore(where).found
    assert replayed(where, found["twice"]).counters["stale_handouts"] == 1


def test_overlapping_operations_are_no_events():
    where = Setting(variant_of("rfc10"), KERNELS["coop"], PROGRAMS[0])
    with pytest.raises(ValueError, match="overlap"):
        events_of(where, [Move(1, 1), Move(0), Move(1)])
