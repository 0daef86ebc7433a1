"""Worked examples of the overlay: what becomes of chunks, by version and by repair."""

from dataclasses import replace

import pytest
from reference_runs import Run

from vmalloc_model.allocator.policies import find_policy, load_policies

RFC12 = find_policy("rfc12")
RESIDENT = [name for name, rules in load_policies().items() if rules.resident]


def test_padding_and_tails_of_rfc10_never_come_back():
    run = Run("rfc10", nodes=1, zone_pages=1)
    slots = [run.alloc(5, order=2) for _ in range(8)] + [run.alloc(32)]
    assert (run.refills, run.padding_pages, run.tail_pages) == (2, 21, 3)
    run.free(*slots)
    run.purge()
    missing = 4999 - sum(pages for _, pages in run.state["gaps"])
    assert missing == 21 + 3 + 32  # and what is left of the current chunk
    for _ in range(3):
        run.free(run.alloc(32))
    assert (run.refills, run.chunks_drained_at_refill) == (3, 0), "there is no count"
    run.allocator.check()


def test_areas_of_rfc10_are_ordinary():
    run = Run("rfc10")
    slot = run.alloc(2)
    assert run.lock_busy == 1
    run.free(slot, cpu=1)
    assert (run.lock_busy, run.lookups, run.lock_list) == (2, 0, 0)
    assert run.chunks == [(0, 2, 0, False)]
    run.purge()
    assert run.pool(0, 2) == [0]


@pytest.mark.parametrize(
    ("policy", "drained", "released"), [("rfc12", 31, 0), ("release-at-refill", 31, 31)]
)
def test_allocating_and_freeing_in_a_loop_drains_each_chunk_before_it_is_replaced(
    policy, drained, released
):
    """``fix_size_alloc_test``: 10**6 loops of 2 pages use 123 chunks of 64 MiB and leak 122.

    The same at a chunk of 64 pages: 32 areas each, 1,000 loops, 32 chunks.
    """
    assert -(-2 * 10**6 // 16384) == 123
    run = Run(policy)
    for _ in range(1000):
        run.free(run.alloc(2))
    assert (run.bump_hits, run.refills, run.chunks_drained_at_refill) == (1000, 32, drained)
    assert run.chunks_released == released
    run.purge()
    kept = sum(not gone for _, _, _, gone in run.chunks)
    assert kept == 32 - released
    run.allocator.check()


def test_described_as_written_loses_such_chunks_and_its_other_reading_does_not():
    for policy, released in [("described", 0), ("described-released", 4)]:
        run = Run(policy, nodes=1, zone_pages=1)
        for _ in range(10):
            run.free(run.alloc(32))
        assert (run.refills, run.chunks_drained_at_refill) == (5, 4)
        assert run.chunks_released == released


def test_a_drained_chunk_goes_back_before_its_areas_are_purged():
    run = Run("rfc12")
    slots = [run.alloc(32), run.alloc(30), run.alloc(4)]
    assert run.chunks == [(0, 62, 62, False), (64, 4, 4, False)]
    run.free(slots[0])
    assert run.chunks[0] == (0, 62, 30, False)
    run.free(slots[1])
    assert run.chunks[0] == (0, 62, 0, True)
    assert (run.chunks_released, run.lock_list, run.lock_global) == (1, 3, 3)
    assert run.state["lazy_pages"] == 62
    assert run.state["gaps"][0] == (1, 575), "padding and tail included"
    assert run.pages_freed_twice == run.released_while_current == 0
    assert run.at(run.alloc(40)) == 0, "handed out again although two areas are still lazy"


@pytest.mark.parametrize("policy", RESIDENT)
def test_an_area_of_a_chunk_is_in_no_busy_tree(policy):
    run = Run(policy)
    run.free(run.alloc(2))
    assert (run.bump_hits, run.lock_busy, run.lookups) == (1, 0, 1)


@pytest.mark.parametrize(
    ("policy", "released"), [("rfc11", True), ("rfc12", False), ("described", False)]
)
def test_the_last_free_comes_from_another_cpu(policy, released):
    """11/12 compares with the current chunk of the CPU that frees: here with none at all."""
    run = Run(policy)
    run.free(run.alloc(2), cpu=1)
    assert run.chunks[0][3] == released
    assert (run.chunks_released, run.released_while_current) == (released, released)
    run.free(run.alloc(2))  # CPU 0 goes on in the chunk
    assert run.lost_frees == released
    assert run.state["lazy_pages"] == (2 if released else 4)
    assert run.refills == 1
    run.allocator.check()


def test_a_request_for_another_window_costs_11_of_12_a_chunk():
    run = Run("rfc11")
    run.alloc(2)
    run.alloc(2, window=1)
    assert (run.refills, run.tail_pages, run.ineligible) == (2, 62, 2)
    assert run.at(run.alloc(2)) == 64
    other = Run("rfc12")
    other.alloc(2)
    other.alloc(2, window=1)
    assert (other.refills, other.ineligible) == (1, 1)


def test_a_pool_hands_out_what_has_gone_back_with_its_chunk():
    """The area at the base is in a pool when its chunk goes back, so two can have its pages.

    The chunk is asked first, so the pool is reached by an alignment above half a chunk.
    """
    run = Run("rfc12", zone_pages=64)
    first, *others = [run.alloc(pages) for pages in (4, 32, 20)]
    run.free(first)
    run.purge()
    assert run.pool(0, 4) == [0]
    run.alloc(30)
    run.free(*others)
    assert run.chunks[0] == (0, 56, 0, True)
    run.allocator.check()
    whole = run.alloc(64)
    stale = run.alloc(4, order=6)
    assert run.at(whole, stale) == [0, 0], "in use twice"
    assert (run.stale_handouts, run.pool_hits, run.pages_freed_twice) == (1, 1, 0)
    run.allocator.check()
    run.free(whole, stale)
    run.purge()
    assert run.pool(0, 4) == [0], "an ordinary area with an owner now"
    run.shrink()
    assert run.pages_freed_twice == 4
    run.allocator.check()


def test_the_search_for_a_chunk():
    """Own chunk: 1 step. Else 1 and the listed ones from the newest on. Nothing outside bounds."""
    run = Run("rfc12")
    slots = [run.alloc(32) for _ in range(8)]  # four chunks
    other = run.alloc(40)  # global: behind all of them
    steps = []

    def free(slot, cpu=0):
        before = run.lookups, run.lookup_steps
        run.free(slot, cpu=cpu)
        steps.append((run.lookups - before[0], run.lookup_steps - before[1]))

    free(slots[7])
    free(slots[6], cpu=1)
    free(slots[0])
    free(slots[2])
    free(slots[3])  # the second chunk leaves the list
    free(slots[1])
    free(other)
    assert steps == [(1, 1), (1, 2), (1, 5), (1, 4), (1, 4), (1, 4), (0, 0)]


def test_an_area_between_the_bounds_is_looked_for_in_vain():
    """A global area that ended up between two chunks costs a walk over the whole list."""
    run = Run("rfc12")
    run.alloc(32)
    between = run.alloc(40)
    run.alloc(33, cpu=1)
    run.alloc(2, cpu=1)
    run.free(between)
    assert (run.lookups, run.lookup_steps, run.lock_busy) == (1, 3, 3)
    assert run.state["lazy"] == {0: [512 + 64]}


def test_areas_of_chunks_go_to_the_pool_of_their_address():
    """They have no owner where the chunk comes first. Larger ones are dropped."""
    run = Run("rfc12", chunk_pages=1024, zone_pages=4)
    slots = [run.alloc(pages, cpu=1) for pages in (4, 4, 300)]
    run.free(*slots)
    back = run.given_back()
    run.purge()
    assert run.state["pools"] == {(0, 4): [512], (1, 4): [516]}
    assert (run.purged_areas, run.pool_adds, back) == (3, 2, [])
    run.shrink()
    assert (run.state["pools"], back, run.decayed_areas) == ({}, [], 2)
    run.allocator.check()


@pytest.mark.parametrize("policy", ["described", "release-after-purge", "reset-when-empty"])
def test_where_areas_of_chunks_are_kept_out_of_pools(policy):
    run = Run(policy)
    run.alloc(2)
    run.free(run.alloc(2), run.alloc(40))
    run.purge()
    assert list(run.state["pools"]) == [(0, 40)]
    assert (run.purged_areas, run.pool_adds) == (2, 1)
    run.allocator.check()


def test_an_area_from_a_pool_is_ordinary_and_leaves_its_chunk():
    run = Run(replace(RFC12, first="pools"), zone_pages=64)
    slots = [run.alloc(4) for _ in range(3)]
    run.free(slots[1])
    run.purge()
    again = run.alloc(4)
    assert run.at(again) == 4
    assert run.chunks == [(0, 12, 8, False)]
    assert (run.lock_busy, run.stale_handouts) == (1, 0)
    run.free(again)
    assert run.lock_busy == 2
    run.purge()
    run.shrink()
    assert (516, 4) in run.state["gaps"], "its range goes back alone, in the middle of a chunk"
    run.allocator.check()
    filled = [run.alloc(32), run.alloc(32)]
    run.free(slots[0], slots[2], filled[0])
    assert run.chunks[0] == (0, 44, 0, True)
    assert run.pages_freed_twice == 4
    run.allocator.check()


def test_release_after_purge_waits_for_the_last_area_to_be_purged():
    run = Run("release-after-purge")
    slots = [run.alloc(32), run.alloc(32), run.alloc(2)]
    run.free(slots[0])
    run.purge()
    run.free(slots[1])
    assert (run.chunks[0], run.chunks_released) == ((0, 64, 0, False), 0)
    run.purge()
    assert (run.chunks[0], run.chunks_released) == ((0, 64, 0, True), 1)
    assert run.pages_freed_twice == 0
    run.allocator.check()


def test_release_after_purge_loses_a_chunk_that_was_purged_before_it_was_replaced():
    run = Run("release-after-purge")
    run.free(run.alloc(32), run.alloc(32))
    run.purge()
    assert run.chunks_released == 0, "the current chunk"
    run.alloc(2)
    assert (run.refills, run.chunks_drained_at_refill) == (2, 1)
    run.purge()
    assert run.chunks_released == 0
    run = Run("release-after-purge")
    run.free(run.alloc(32), run.alloc(32))
    run.alloc(2)
    run.purge()
    assert run.chunks_released == 1, "replaced while its areas were lazy"


def test_chunks_that_one_purge_releases_go_back_in_order_of_installation():
    run = Run("release-after-purge")
    slots = [run.alloc(32) for _ in range(8)]
    run.free(*slots[4:6], *slots[:2], *slots[2:4])
    back = run.given_back()
    run.purge()
    assert back == [(0, 64), (64, 64), (128, 64)]


def test_reset_when_empty_starts_again_after_the_purge():
    run = Run("reset-when-empty")
    slots = [run.alloc(5, order=2), run.alloc(5, order=2)]
    run.free(slots[0])
    run.purge()
    assert (run.rewinds, run.at(run.alloc(2))) == (0, 13)
    run.free(slots[1], 3)
    assert run.at(run.alloc(2)) == 15, "empty but lazy"
    run.free(4)
    run.purge()
    assert (run.rewinds, run.padding_pages) == (1, 3)
    assert run.at(run.alloc(2)) == 0
    run.free(5)
    run.purge()
    run.purge()
    assert run.rewinds == 2, "rewound once, not again"
    run.allocator.check()


def test_blocks_come_from_chunks_as_well():
    run = Run("rfc12")
    used = [run.map_ram(8), run.map_ram(8)]
    assert (run.bump_hits, run.blocks, run.block_hits) == (1, 1, 1)
    assert run.chunks == [(0, 16, 16, False)]
    run.free(*used)
    assert (run.frees, run.lookups) == (1, 1)
    assert run.chunks == [(0, 16, 0, False)]


def test_mainline_and_pools_only_are_the_same_but_for_the_name():
    mainline, other = find_policy("mainline"), find_policy("pools-only")
    assert replace(mainline, name=other.name, title=other.title) == other


def test_the_checks_find_damage():
    def broken(policy, damage, **changes):
        run = Run(policy, **changes)
        slots = [run.alloc(8), run.alloc(8), run.alloc(8, cpu=1)]
        run.free(slots[1])
        run.allocator.check()
        damage(run.allocator._state, run.allocator._slots)
        with pytest.raises(AssertionError):
            run.allocator.check()

    def lose(state, slots):
        del slots[1]

    def count(state, slots):
        state.chunks[0].count += 1

    def lazy(state, slots):
        state.lazy_pages -= 1

    def overlap(state, slots):
        slots[1].pages += 1

    def free(state, slots):
        state.space.release(slots[1].start, 1)

    def behind(state, slots):
        state.chunks[0].bump = 3

    for damage in (lose, lazy, overlap, free):
        broken("mainline", damage)
    for damage in (lose, count, lazy, overlap, behind):
        broken("rfc12", damage)


def test_unknown_free_spaces_and_blocks_are_refused():
    for changes, problem in [
        ({"freespace": "best"}, "best"),
        ({"block_pages": 24}, "no block"),
        ({"block_max_pages": 17}, "no block: 16 pages for mappings of up to 32"),
    ]:
        with pytest.raises(ValueError, match=problem):
            Run("mainline", **changes)
