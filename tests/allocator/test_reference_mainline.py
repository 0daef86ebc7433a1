"""Worked examples of mainline: first fit, pools, decay, purges, blocks."""

import numpy as np
import pytest
from reference_runs import Run

from vmalloc_model.events import ALLOC, EVENT, FREE, MAP_RAM, PCPU


def test_small_areas_fit_between_aligned_stacks():
    """Stacks of 5 pages at multiples of 4 (x86) leave 3 pages each; 2-page areas go there."""
    run = Run()
    stacks = [run.alloc(5, order=2) for _ in range(3)]
    small = [run.alloc(2) for _ in range(4)]
    assert run.at(*stacks) == [0, 8, 16]
    assert run.at(*small) == [5, 13, 21, 23]


def test_windows_share_one_free_space():
    run = Run(windows=((512, 4608), (500, 520)))
    assert run.at(run.alloc(4), run.alloc(6, window=1), run.alloc(2)) == [0, -12, 4]
    full = run.alloc(7, window=1)
    assert full not in run.state["live"], "6 pages are left below, 2 above"
    assert run.at(run.alloc(6, window=1)) == -6


def test_a_purge_fills_the_pool_so_that_the_highest_address_comes_first():
    run = Run()
    slots = [run.alloc(2) for _ in range(4)]
    run.free(slots[2], slots[0], slots[3], slots[1])
    assert run.state["lazy"] == {0: [512, 514, 516, 518]}
    assert run.state["lazy_pages"] == 8
    run.purge()
    assert run.pool(0, 2) == [6, 4, 2, 0]
    assert run.state["lazy"] == {}
    assert run.at(run.alloc(2), run.alloc(2)) == [6, 4]
    assert run.at(run.alloc(2, cpu=1), run.alloc(3)) == [8, 10]  # another node, another size
    assert (run.pool_hits, run.global_hits, run.pool_misses) == (2, 6, 6)


def test_only_the_head_of_a_pool_is_looked_at():
    """6 is misaligned: it goes to the tail, and the pool counts as empty."""
    run = Run()
    slots = [run.alloc(2) for _ in range(6)]
    run.free(slots[4], slots[3], slots[1])
    run.purge()
    run.free(slots[5])
    assert run.pool(0, 2) == [8, 6, 2]
    assert run.at(run.alloc(2, order=2)) == 8
    assert run.pool(0, 2) == [6, 2]
    assert run.at(run.alloc(2, order=2)) == 12
    assert run.pool(0, 2) == [2, 6]
    assert run.pool_rotations == 1
    assert (run.pool_hits, run.pool_misses) == (1, 7)


@pytest.mark.parametrize("pages", [256, 257])
def test_areas_above_256_pages_have_no_pool(pages):
    run = Run()
    run.free(run.alloc(pages, cpu=1))
    assert run.state["lazy"] == {1: [512]}  # the owner is recorded all the same
    run.purge()
    assert run.state["pools"] == ({(1, 256): [512]} if pages == 256 else {})
    assert run.pool_misses == (pages == 256)


def test_an_area_returns_to_the_node_that_asked_for_it():
    """Not to that of the CPU that frees it, nor to that of its address; without owner, to the last.

    Zones of 16 pages from page 512 on: the first belongs to node 0, the second to node 1.
    """
    run = Run()
    first = run.alloc(2, cpu=1)
    run.free(first, cpu=0)
    assert run.state["lazy"] == {1: [512]}
    assert (run.frees, run.remote_frees) == (1, 1)
    run.purge()
    assert run.state["pools"] == {(1, 2): [512]}
    other = Run(windows=((512, 4608), (528, 600)))
    other.free(other.alloc(2, cpu=0, window=1))
    assert other.state["lazy"] == {1: [528]}
    other.purge()
    assert other.state["pools"] == {}, "an area without owner went into a pool"
    assert other.pool_misses == 0, "the pools were asked for another window"


def test_one_node_has_no_pools():
    run = Run(nodes=1, zone_pages=1)
    run.free(run.alloc(2))
    run.purge()
    assert run.state["pools"] == {}
    assert run.pool_misses == 0
    assert run.state["gaps"] == [(1, 4999)]


@pytest.mark.parametrize(
    ("rule", "leaving"),
    [("6.12", [1, 2, 3, 1, 1, 1, 1, 2, 2]), ("6.16", [0, 0, 0, 1, 1, 1, 1, 2, 2])],
)
def test_decay_by_length(rule, leaving):
    """A quarter, from the head; of 1 to 3 areas all before 6.16, and none since."""
    for length, expected in enumerate(leaving, 1):
        run = Run(decay=rule)
        run.free(*[run.alloc(2) for _ in range(length)])
        run.purge()
        pool = run.pool(0, 2)
        assert pool == [2 * (length - 1 - i) for i in range(length)]
        locks = run.lock_pool
        run.purge()
        assert run.decayed_areas == expected
        assert run.pool(0, 2) == pool[expected:]
        # Detached, and what is left attached again.
        assert run.lock_pool - locks == (1 if expected == length else 2)
        run.shrink()
        assert run.state["pools"] == {}
        assert run.decayed_areas == length
        assert run.purges == 2
        run.allocator.check()


def test_decayed_neighbours_go_back_as_one_range():
    run = Run()
    slots = [run.alloc(2) for _ in range(8)] + [run.alloc(3)]
    run.free(*slots[:3], slots[5], slots[8])
    run.purge()
    back, locks = run.given_back(), run.lock_global
    run.shrink()
    assert back == [(0, 6), (10, 2), (16, 3)]
    assert run.lock_global - locks == 1
    assert run.decayed_areas == 5


def test_a_purge_gives_back_from_the_top():
    """Areas that no pool takes are put at the head of a list, which is merged from there."""
    run = Run(nodes=1, zone_pages=1)
    slots = [run.alloc(2) for _ in range(6)]
    run.free(slots[0], slots[1], slots[4])
    back, locks = run.given_back(), run.lock_global
    run.purge()
    assert back == [(8, 2), (2, 2), (0, 2)]
    assert run.lock_global - locks == 1
    assert (run.purged_areas, run.purged_pages) == (3, 6)


def test_pools_decay_before_they_are_filled():
    """Else the areas of this purge would be among those that leave."""
    run = Run()
    slots = [run.alloc(2) for _ in range(5)]
    run.free(*slots[:4])
    run.purge()
    run.free(slots[4])
    run.purge()
    assert run.pool(0, 2) == [8, 4, 2, 0]


def test_a_free_that_exceeds_the_limit_starts_a_purge():
    run = Run(lazy_max_pages=6)
    slots = [run.alloc(2) for _ in range(4)]
    run.free(*slots[:3])
    assert (run.purges, run.state["lazy_pages"]) == (0, 6)
    run.free(slots[3])
    assert (run.purges, run.state["lazy_pages"]) == (1, 0)
    assert run.pool(0, 2) == [6, 4, 2, 0]
    run = Run(lazy_max_pages=6, auto_purge=False)
    run.free(*[run.alloc(2) for _ in range(5)])
    assert (run.purges, run.state["lazy_pages"]) == (0, 10)


def test_a_full_range_is_purged_once():
    """Lazy areas and pools return, the second search succeeds; pools stay empty."""
    run = Run(windows=((512, 544), (4700, 4900)))
    slots = [run.alloc(8) for _ in range(4)]
    run.free(slots[0])
    run.purge()
    assert run.pool(0, 8) == [0]
    run.free(slots[1])
    assert run.at(run.alloc(16)) == 0
    assert (run.overflow_purges, run.purges, run.global_failures) == (1, 2, 1)
    assert run.failures == 0
    failed = run.alloc(16)
    assert failed not in run.state["live"]
    assert (run.overflow_purges, run.global_failures, run.failures) == (2, 3, 1)
    frees = run.frees
    run.free(failed)
    assert run.frees == frees, "the free of a failed allocation counts"


def test_what_an_ordinary_area_costs():
    run = Run()
    slot = run.alloc(2)
    assert (run.requests, run.lock_global, run.lock_busy, run.lock_pool) == (1, 1, 1, 0)
    run.free(slot)
    assert (run.lock_busy, run.lock_lazy) == (2, 1)
    run.purge()
    assert (run.lock_lazy, run.lock_pool, run.lock_global) == (2, 1, 1)
    run.alloc(2)
    assert (run.lock_pool, run.lock_global, run.lock_busy) == (2, 1, 3)
    assert (run.lock_chunk, run.lock_list, run.ineligible) == (0, 0, 0)


def test_mappings_are_cut_from_a_block_upwards_and_never_twice():
    run = Run()
    run.alloc(1)
    slots = [run.map_ram(pages) for pages in (1, 3, 8, 2)]
    assert run.at(*slots) == [16, 17, 21, 29]  # blocks are aligned to their size
    assert [run.state["live"][slot][1] for slot in slots] == [1, 4, 8, 2]
    assert (run.blocks, run.block_hits, run.requests) == (1, 3, 2)
    run.free(slots[0])
    assert run.frees == 0, "a mapping is not an area"
    new, last = run.map_ram(4), run.map_ram(1)
    assert run.at(new, last) == [32, 31], "the oldest block with enough pages serves"
    assert run.blocks == 2
    run.free(*slots[1:])
    assert run.state["lazy_pages"] == 0
    run.free(last, cpu=1)
    assert run.state["lazy_pages"] == 16, "all of the block was used and given back"
    assert (run.frees, run.remote_frees) == (1, 1)
    assert run.at(run.map_ram(8, cpu=1)) == 48, "each CPU has its own queue"


def test_large_mappings_are_areas():
    run = Run()
    assert run.at(run.map_ram(8), run.map_ram(9)) == [0, 16]
    assert (run.blocks, run.requests) == (1, 2)
    assert run.state["live"][2] == (528, 9), "no guard page"


@pytest.mark.parametrize(("left", "gone"), [(4, False), (3, True)])
def test_fragmented_blocks(left, gone):
    """Nothing mapped, pages left: given up by a purge if less than a quarter of 16 is left."""
    run = Run()
    used = [run.map_ram(8), run.map_ram(4)] + ([run.map_ram(1)] if left == 3 else [])
    run.free(*used[1:])
    run.purge()
    assert run.block_purges == 0, "a page is mapped"
    run.free(used[0])
    run.purge()
    assert run.block_purges == run.frees == gone
    assert run.purged_pages == 16 * gone, "the purge takes what its blocks give"
    assert run.at(run.map_ram(1)) == (0 if gone else 12)


def test_an_overflow_gives_up_any_block_without_mappings():
    run = Run(windows=((512, 544), (4700, 4900)))
    run.free(run.map_ram(1), cpu=1)
    run.map_ram(1, cpu=1)
    run.alloc(16)
    assert run.failures == 0
    assert (run.block_purges, run.frees, run.overflow_purges) == (1, 1, 1)
    run.alloc(16)
    assert run.failures == 1, "one page of the other block is mapped"


def test_an_automatic_purge_leaves_blocks_alone():
    run = Run(lazy_max_pages=3)
    run.free(run.map_ram(8), run.map_ram(4), run.map_ram(2))
    run.free(run.alloc(4))
    assert (run.purges, run.block_purges) == (1, 0)


def test_percpu_areas_come_from_the_top():
    run = Run(windows=((512, 4606), (4700, 4900)))
    slots = [run.pcpu(8, order=3), run.pcpu(8, order=3)]
    assert run.at(*slots) == [4600 - 512 - 8, 4600 - 512 - 16]
    assert (run.pcpu_areas, run.requests, run.lock_global, run.lock_busy) == (2, 0, 2, 2)
    run.free(slots[0])
    run.purge()
    assert run.state["pools"] == {}
    assert run.at(run.pcpu(16, order=3, window=1)) == 4896 - 16 - 512
    assert run.allocator.apply((PCPU, 0, 1, 8, 0, 99, 256)) is None


def test_slots():
    run = Run()
    run.allocator.apply((ALLOC, 0, 0, 0, 0, 7, 1))
    for op in (ALLOC, MAP_RAM, PCPU):
        with pytest.raises(ValueError, match="slot 7 is in use"):
            run.allocator.apply((op, 0, 0, 0, 0, 7, 1))
    run.free(7)
    for slot in (7, 8):
        with pytest.raises(ValueError, match=f"slot {slot} is not in use"):
            run.free(slot)
    for event, problem in [
        ((9, 0, 0, 0, 0, 1, 1), "operation: 9"),
        ((ALLOC, 0, 0, 0, 2, 1, 1), "CPU: 2"),
        ((ALLOC, 0, 2, 0, 0, 1, 1), "window: 2"),
    ]:
        with pytest.raises(ValueError, match=problem):
            run.allocator.apply(event)
    assert run.requests == 1


def test_records_are_events_too():
    run = Run()
    stream = np.zeros(2, EVENT)
    stream["op"] = [ALLOC, FREE]
    stream["pages"] = [3, 0]
    assert [run.allocator.apply(record) for record in stream] == [512, None]
    assert run.state["lazy"] == {0: [512]}


def test_areas_that_exist_from_the_start():
    run = Run(busy=((600, 610), (512, 514)))
    assert run.state["gaps"] == [(1, 511), (514, 86), (610, 4390)]
    run.allocator.check()
    shape = run.allocator._state.space.shape()
    assert shape[0][1] == 514, "the gaps were not inserted in ascending order"
