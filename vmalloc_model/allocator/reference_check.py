"""What must always hold in the reference allocator."""

from __future__ import annotations

from itertools import pairwise

from vmalloc_model.allocator.machine import LARGEST_POOLED_PAGES, Span
from vmalloc_model.allocator.reference_state import Area, State

__all__ = ["check"]


def check(state: State, live: list[Area]) -> None:
    """Verify sums, places and disjointness.

    Parameters
    ----------
    state : State
        Everything.
    live : list of Area
        The areas in use, those of blocks included.

    Raises
    ------
    AssertionError
        If something does not hold.

    Notes
    -----
    Ranges are in use twice in some policies; that is what the comparison is about. So while
    ``state.overlaps`` is false, gaps and areas are disjoint, except that areas of released chunks
    which are lazy or in a pool lie in ranges that are free again. Always, every page is accounted
    for: free, in an area, in a chunk that has not been released, or busy from the beginning.
    """
    state.space.check()
    lazy = [area for areas in state.lazy.values() for area in areas]
    pooled = [area for areas in state.pools.values() for area in areas]
    _check_sums(state, live, lazy)
    _check_places(state, live + lazy + pooled)
    gaps = [(start, start + pages) for start, pages in state.space.gaps()]
    areas = [
        (area.start, area.end)
        for area in live + lazy + pooled
        if area.chunk is None or not area.chunk.released
    ]
    if not state.overlaps:
        in_use = sorted([*gaps, *areas, *state.machine.busy])
        for before, after in pairwise(in_use):
            assert before[1] <= after[0], f"{before} and {after} overlap"
    chunks = [(chunk.base, chunk.end) for chunk in state.chunks if not chunk.released]
    _check_whole(state.machine.space, [*gaps, *areas, *chunks, *state.machine.busy])


def _check_sums(state: State, live: list[Area], lazy: list[Area]) -> None:
    assert state.lazy_pages == sum(area.pages for area in lazy), "sum of the lazy pages"
    for chunk in state.chunks:
        count = sum(area.pages for area in live if area.chunk is chunk)
        assert chunk.count == count, f"count of the chunk at {chunk.base}: {count}"
    for cpu, current in enumerate(state.current):
        assert current is None or current.cpu == cpu, f"CPU {cpu} has another CPU's chunk"


def _check_places(state: State, areas: list[Area]) -> None:
    first, end = state.machine.space
    for area in areas:
        assert first <= area.start < area.end <= end, f"outside the space: {area}"
        chunk = area.chunk
        assert chunk is None or chunk.base <= area.start < area.end <= chunk.end, f"strays: {area}"
    for (node, pages), pool in state.pools.items():
        assert 0 <= node < state.machine.nodes
        assert state.machine.nodes > 1 or not pool, "a pool on a machine with one node"
        assert pages <= LARGEST_POOLED_PAGES
        for area in pool:
            assert area.pages == pages, f"in the pool of {pages} pages: {area}"
            assert area.chunk is None or state.rules.pooled, f"an area of a chunk in a pool: {area}"
    for chunk in state.chunks:
        assert chunk.base <= chunk.bump <= chunk.end
        if state.resident:  # what a chunk has not handed out, nobody holds
            for area in areas:
                if area.chunk is chunk:
                    assert area.end <= chunk.bump, f"beyond the pointer: {area}"


def _check_whole(space: Span, ranges: list[Span]) -> None:
    reached = space[0]
    for start, end in sorted(ranges):
        assert start <= reached, f"nobody knows of pages [{reached}, {start})"
        reached = max(reached, end)
    assert reached == space[1], f"nobody knows of pages [{reached}, {space[1]})"
