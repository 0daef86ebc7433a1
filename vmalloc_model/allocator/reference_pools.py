"""The node pools and lazy lists of the reference allocator, and the purge that links the two."""

from __future__ import annotations

from vmalloc_model.allocator.machine import LARGEST_POOLED_PAGES
from vmalloc_model.allocator.reference_chunks import Chunks
from vmalloc_model.allocator.reference_state import Area, Chunk, State

__all__ = ["Pools", "Purger", "touching_runs"]


class Pools:
    """Freed areas, kept by node and by exact size for the next request of that size.

    Parameters
    ----------
    state : State
        Shared with the other parts.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c: ``node_alloc``, ``node_pool_add_va``, ``decay_va_pool_node``.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def take(self, node: int, cpu: int, pages: int, order: int) -> Area | None:
        """Ask a node's pool for an area of just this size.

        Only the head of the list is looked at. If it is misaligned it goes to the tail, and the
        pool counts as empty.
        """
        state = self._state
        if pages > LARGEST_POOLED_PAGES:
            return None
        pool = state.pools.get((node, pages), [])
        if not pool:
            state.count("pool_misses")
            return None
        state.count("lock_pool")
        head = pool.pop(0)
        if head.start % (1 << order):
            pool.append(head)
            state.count("pool_rotations")
            state.count("pool_misses")
            return None
        state.count("pool_hits")
        if head.chunk is not None:
            head.chunk.handed_on = True
            if head.chunk.released:
                state.count("stale_handouts")
                state.overlaps = True
        # Whatever it was, it is an ordinary area now: nothing tells its chunk.
        return Area(head.start, pages, cpu, owner=node)

    def add(self, node: int, area: Area) -> None:
        """Put an area at the head of its pool."""
        self._state.count("lock_pool")
        self._state.count("pool_adds")
        self._state.pools.setdefault((node, area.pages), []).insert(0, area)

    def decay(self, node: int, full: bool) -> None:
        """Let some areas of each pool of a node go to the global free space, or all of them."""
        state = self._state
        victims: list[Area] = []
        for key in sorted(key for key in state.pools if key[0] == node and state.pools[key]):
            victims += self.leave(key, full)
        state.count("decayed_areas", len(victims))
        # The range of an area that belongs to a chunk goes back with the chunk.
        runs = touching_runs([area for area in victims if area.chunk is None])
        if runs:
            state.count("lock_global")
        for start, pages in runs:
            state.give_back(start, pages)

    def leave(self, key: tuple[int, int], full: bool) -> list[Area]:
        """Take from the head of one pool what decays.

        A quarter of it goes. Before 6.16 a quarter of 1 to 3 areas was all of them; since then it
        is none.
        """
        state = self._state
        pool = state.pools[key]
        leaving = len(pool) // 4
        if full or (leaving == 0 and state.machine.decay == "6.12"):
            leaving = len(pool)
        state.count("lock_pool")  # to detach it
        if leaving < len(pool):
            state.count("lock_pool")  # to attach the rest
        state.pools[key] = pool[leaving:]
        return pool[:leaving]


class Purger:
    """Areas that were freed and wait for the flush of the TLB.

    Parameters
    ----------
    state : State
        Shared with the other parts.
    pools : Pools
        Where a purge puts areas.
    chunks : Chunks
        Told at the end of each purge.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c: ``free_vmap_area_noflush``, ``__purge_vmap_area_lazy``,
    ``purge_vmap_node``, ``reclaim_list_global``.
    """

    def __init__(self, state: State, pools: Pools, chunks: Chunks) -> None:
        self._state = state
        self._pools = pools
        self._chunks = chunks

    def make_lazy(self, area: Area) -> None:
        """Put a freed area into its node's lazy list."""
        state = self._state
        state.count("lock_lazy")
        state.lazy[state.node_of(area)].append(area)
        state.lazy_pages += area.pages

    def purge(self, full: bool) -> None:
        """Take all areas from the lazy lists: into pools, or back to the global free space.

        All pools decay before the first area is taken, so that what comes in now does not leave
        again.

        Parameters
        ----------
        full : bool
            Whether memory is short: pools are emptied, and not filled.
        """
        state = self._state
        state.count("purges")
        nodes = range(state.machine.nodes)
        detached: list[list[Area]] = []
        for node in nodes:
            self._pools.decay(node, full)
            # Equal starts, which only ranges in use twice have, keep the order of their frees.
            detached.append(sorted(state.lazy[node], key=lambda area: area.start))
            if state.lazy[node]:
                state.count("lock_lazy")
            state.lazy[node] = []
        purged: set[Chunk] = set()
        for node in nodes:
            purged |= self._purge_node(node, detached[node], full)
        self._chunks.end_purge(purged)

    def _purge_node(self, node: int, areas: list[Area], full: bool) -> set[Chunk]:
        """Purge a node's areas, in ascending order; return the chunks they belonged to."""
        state = self._state
        chunks: set[Chunk] = set()
        back: list[Area] = []
        for area in areas:
            state.count("purged_areas")
            state.count("purged_pages", area.pages)
            state.lazy_pages -= area.pages
            if area.chunk is not None:
                chunks.add(area.chunk)
            if not full and self.has_pool(area):
                self._pools.add(node, area)
            elif area.chunk is None:
                back.insert(0, area)
            # else dropped: its range goes back with its chunk
        if back:
            state.count("lock_global")
        for area in back:  # descending, because each went to the head of the list
            state.give_back(area.start, area.pages)
        return chunks

    def has_pool(self, area: Area) -> bool:
        """Tell whether a purge puts an area into a pool, unless pools are being emptied."""
        state = self._state
        if state.machine.nodes == 1 or area.pages > LARGEST_POOLED_PAGES:
            return False
        return state.rules.pooled if area.chunk is not None else area.owner is not None


def touching_runs(areas: list[Area]) -> list[tuple[int, int]]:
    """Join areas that touch into (start, pages), ascending.

    Areas that overlap, which only ranges in use twice do, stay apart, so that giving them back
    counts every page that was free already.
    """
    runs: list[tuple[int, int]] = []
    for area in sorted(areas, key=lambda area: area.start):
        if runs and sum(runs[-1]) == area.start:
            runs[-1] = (runs[-1][0], runs[-1][1] + area.pages)
        else:
            runs.append((area.start, area.pages))
    return runs
