"""Worked examples of the overlay: who may use a chunk, and what an allocation asks in turn."""

import pytest
from reference_runs import Run, small_machine

from vmalloc_model.events import GUARD, NODE


@pytest.mark.parametrize(
    ("pages", "order", "fits", "padding"),
    [
        (2, 0, 8192, 0),  # vmalloc of a page
        (5, 2, 2048, 3 * 2047),  # stacks of x86: stride 8 pages
        (5, 3, 2048, 3 * 2047),  # stacks of arm64 and riscv, on an aligned chunk
        (513, 9, 16, 511 * 15),  # vmalloc_huge of 2 MiB: stride 4 MiB
        (1025, 9, 10, 511 * 9),  # and of 4 MiB: stride 6 MiB
        (257, 0, 63, 0),  # vmalloc of 1 MiB
        (4097, 12, 2, 4095),  # ioremap of 16 MiB
    ],
)
def test_how_many_areas_fit_into_64_mib(pages, order, fits, padding):
    """The exact counts of the facts, 6.2, on an aligned chunk; tails as computed by hand."""
    sizes = {"chunk_pages": 16384, "windows": ((16384, 16384 * 8),), "space": (1, 16384 * 9)}
    run = Run("rfc10", nodes=1, zone_pages=1, **sizes)
    stride = -(-pages // (1 << order)) << order
    for _ in range(fits):
        run.alloc(pages, order)
    assert (run.refills, run.bump_hits, run.global_hits) == (1, fits, 0)
    assert run.padding_pages == padding
    assert run.at(fits) == stride * (fits - 1)
    run.alloc(pages, order)
    assert (run.refills, run.bump_misses) == (2, 2)
    assert run.tail_pages == 16384 - stride * (fits - 1) - pages
    assert run.at(fits + 1) == 16384


@pytest.mark.parametrize("policy", ["rfc10", "rfc11", "rfc12", "described"])
@pytest.mark.parametrize(
    ("request_", "by_code", "by_message"),
    [
        ({"pages": 32}, True, True),
        ({"pages": 33}, False, False),
        ({"pages": 2, "window": 1}, False, False),
        ({"pages": 2, "order": 1}, True, False),
        ({"pages": 2, "order": 5}, True, False),
        ({"pages": 2, "order": 6}, False, False),
        ({"pages": 2, "flags": NODE | GUARD}, True, False),
        ({"pages": 2, "flags": GUARD}, True, True),
    ],
)
def test_who_may_use_a_chunk_of_64_pages(policy, request_, by_code, by_message):
    run = Run(policy)
    run.alloc(**request_)
    eligible = by_message if policy == "described" else by_code
    assert run.bump_hits == eligible
    assert run.global_hits == (not eligible)
    asked_twice = not eligible and policy == "rfc11"
    assert run.ineligible == (0 if eligible else 1 + asked_twice)
    assert run.refills == (eligible or asked_twice)
    assert run.lock_chunk == (2 if eligible else 0)


def test_a_fresh_chunk_serves_any_eligible_request():
    """Worst case of the facts, 6.1: base one page off, half a chunk at half a chunk."""
    run = Run("rfc12", windows=((513, 4609), (4700, 4900)))
    slot = run.alloc(32, order=5)
    assert (run.refills, run.bump_hits, run.padding_pages) == (1, 1, 31)
    assert run.chunks == [(0, 63, 32, False)]
    assert run.at(slot) == 31


def test_rfc10_asks_the_pools_first_and_rfc12_the_chunk():
    for policy, start in [("rfc10", 0), ("rfc12", 2)]:
        run = Run(policy)
        run.free(run.alloc(2))
        run.purge()
        assert run.at(run.alloc(2)) == start
        assert run.pool_hits == (policy == "rfc10")
        assert run.pool_misses == (policy == "rfc10")


def test_each_cpu_has_its_own_chunk():
    run = Run("rfc10")
    assert run.at(run.alloc(2), run.alloc(2, cpu=1), run.alloc(2)) == [0, 64, 2]
    assert run.state["current"] == [0, 1]
    assert [cpu for _, _, _, cpu, _ in run.state["chunks"]] == [0, 1]


def test_no_room_for_a_chunk():
    """The request is served by the global allocator; the search for a chunk is tried each time."""
    run = Run("rfc10", windows=((512, 512 + 63), (4700, 4900)))
    assert run.at(run.alloc(2), run.alloc(2)) == [0, 2]
    assert (run.refill_failures, run.refills, run.global_hits) == (2, 0, 2)
    assert (run.bump_misses, run.lock_chunk, run.lock_global) == (2, 2, 4)
    run.alloc(60)  # ineligible: a failure for good
    assert (run.ineligible, run.overflow_purges, run.failures) == (2, 1, 1)


def test_the_second_round_asks_the_chunk_but_not_the_pools():
    run = Run("rfc10", windows=((512, 512 + 64), (4700, 4900)))
    run.alloc(2)
    run.alloc(2, cpu=1)  # no room for a chunk, none after the purge
    assert (run.refill_failures, run.failures, run.pool_misses) == (2, 1, 2)
    run = Run("rfc10", windows=((512, 512 + 64), (4700, 4900)), chunk_pages=32)
    hog = run.alloc(60)
    run.free(hog)
    assert run.at(run.alloc(6, cpu=1)) == 0, "the second round found room for a chunk"
    assert (run.refill_failures, run.refills, run.overflow_purges) == (1, 1, 1)


def test_without_chunk_pages_there_is_no_overlay():
    run = Run("rfc12", chunk_pages=0)
    run.free(run.alloc(2))
    run.purge()
    run.alloc(2)
    assert (run.pool_hits, run.ineligible, run.lock_chunk, run.lookups) == (1, 0, 0, 0)


def test_the_scaled_chunk():
    """4,096 pages of 1 MiB: a 64th for 2 CPUs is 32 MiB each; for 16 it is 4, for 32 it is off."""
    for cpus, pages in [(2, 32), (16, 4), (32, 0)]:
        run = Run("scaled-chunk", cpus=cpus, nodes=1, zone_pages=1)
        run.alloc(2)
        assert run.state["gaps"][-1][0] - 512 == (pages or 2)
        assert run.refills == (pages > 0)
    assert small_machine().scaled().chunk_pages == 32
