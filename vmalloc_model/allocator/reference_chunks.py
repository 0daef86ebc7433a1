"""The overlay of the reference allocator: a chunk for each CPU, and what becomes of it."""

from __future__ import annotations

from vmalloc_model.allocator.reference_state import Area, Chunk, State
from vmalloc_model.events import NODE
from vmalloc_model.freespace.reference import align_up

__all__ = ["Chunks"]


class Chunks:
    """Chunks as patches 10/12 to 12/12 have them, each difference a choice of the rules.

    Parameters
    ----------
    state : State
        Shared with the other parts.

    Notes
    -----
    Source: patches 10/12 (``vmap_bump_alloc``, ``vmap_bump_refill``), 11/12 and 12/12
    (``vmap_bump_eligible``) of the series. A refill installs on the CPU that asked: one request
    runs at a time here, so tasks do not migrate in the middle.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        # The bounds [lo, hi) of every chunk there ever was; they only widen.
        self._lo: int | None = None
        self._hi = 0

    def allocate(
        self, cpu: int, pages: int, order: int, window: int, flags: int, owner: int | None
    ) -> Area | None:
        """Ask the CPU's chunk, refill it if the rules say so, and ask again."""
        state = self._state
        if not state.overlay:
            return None
        eligible = self.is_eligible(pages, order, window, flags)
        area = self._try(cpu, pages, order, eligible, owner)
        may_refill = eligible or state.rules.refill_on == "null"
        if area is None and may_refill and self.refill(cpu):
            area = self._try(cpu, pages, order, eligible, owner)
        return area

    def is_eligible(self, pages: int, order: int, window: int, flags: int) -> bool:
        """Tell whether a request may use a chunk."""
        half = self._state.machine.chunk_pages // 2
        if window != 0 or not 1 <= pages <= half:
            return False
        if self._state.rules.eligible == "message":
            return order == 0 and not flags & NODE
        return 1 << order <= half

    def _try(
        self, cpu: int, pages: int, order: int, eligible: bool, owner: int | None
    ) -> Area | None:
        if not eligible:
            self._state.count("ineligible")
            return None
        return self.bump(cpu, pages, order, owner)

    def bump(self, cpu: int, pages: int, order: int, owner: int | None) -> Area | None:
        """Take a range at the CPU's pointer, which moves behind it."""
        state = self._state
        state.count("lock_chunk")
        chunk = state.current[cpu]
        start = align_up(chunk.bump, 1 << order) if chunk else 0
        if chunk is None or start + pages > chunk.end:
            state.count("bump_misses")
            return None
        state.count("bump_hits")
        state.count("padding_pages", start - chunk.bump)
        chunk.bump = start + pages
        if not state.resident:
            return Area(start, pages, cpu, owner)
        chunk.count += pages
        return Area(start, pages, cpu, owner, chunk)

    def refill(self, cpu: int) -> bool:
        """Install a new chunk as the CPU's current one; return whether there was room for it."""
        state = self._state
        pages = state.machine.chunk_pages
        state.count("lock_global")
        base = state.space.reserve(pages, 0, *state.machine.windows[0])
        if base is None:
            state.count("refill_failures")
            return False
        state.count("refills")
        chunk = Chunk(base, pages, cpu, bump=base)
        replaced = state.current[cpu]
        state.current[cpu] = chunk
        state.chunks.append(chunk)
        self._lo = base if self._lo is None else min(self._lo, base)
        self._hi = max(self._hi, chunk.end)
        if state.resident:
            state.count("lock_list")
        if replaced is not None:
            self._retire(replaced)
        return True

    def _retire(self, replaced: Chunk) -> None:
        """Leave a chunk that is no longer current: what lies behind its pointer is out of use."""
        state = self._state
        state.count("tail_pages", replaced.end - replaced.bump)
        if state.resident and replaced.count == 0:
            # No free will come that could release it.
            state.count("chunks_drained_at_refill")
            if state.rules.release_at_refill and not replaced.released:
                self.release(replaced)

    def look_up(self, start: int, cpu: int) -> None:
        """Count what it takes to look for the chunk of an address that is freed on a CPU.

        Addresses outside the bounds are refused at once; then the CPU's own chunk is compared, then
        all chunks that have not been released, the newest first.
        """
        state = self._state
        if self._lo is None or not self._lo <= start < self._hi:
            return
        state.count("lookups")
        state.count("lookup_steps")
        own = state.current[cpu]
        if own is not None and own.contains(start):
            return
        for chunk in reversed(state.chunks):
            if not chunk.released:
                state.count("lookup_steps")
                if chunk.contains(start):
                    return

    def give_up(self, area: Area, cpu: int) -> bool:
        """Take a freed area off its chunk's count; release the chunk if that was the last of it.

        Returns
        -------
        bool
            False if the chunk had been released before: nothing more happens to the area.

        Notes
        -----
        In patch 12/12 a free that comes between the entry of a chunk in the list and its
        installation does not count. That race does not exist here.
        """
        state = self._state
        chunk = area.chunk
        assert chunk is not None, "an ordinary area"
        chunk.count -= area.pages
        if chunk.released:
            state.count("lost_frees")
            return False
        whose = cpu if state.rules.owner == "freeing" else chunk.cpu
        if (
            chunk.count == 0
            and state.rules.release == "drained"
            and state.current[whose] is not chunk
        ):
            self.release(chunk)
        return True

    def release(self, chunk: Chunk) -> None:
        """Return a chunk's whole range to the global free space, padding and tail included.

        From here on the same pages may be in use twice: those of areas that a pool has handed out,
        or will, and those that a CPU still takes from the chunk.
        """
        state = self._state
        chunk.released = True
        state.count("lock_list")
        state.count("lock_global")
        state.count("chunks_released")
        if any(current is chunk for current in state.current):
            state.count("released_while_current")
            state.overlaps = True
        if chunk.handed_on:
            state.overlaps = True
        already = state.space.release_over(chunk.base, chunk.pages)
        state.count("pages_freed_twice", already)

    def end_purge(self, purged: set[Chunk]) -> None:
        """Do what a policy does with chunks at the end of a purge.

        All lazy lists are empty now, so a chunk whose count is zero has no area that waits for a
        purge.

        Parameters
        ----------
        purged : set of Chunk
            Those with areas that this purge took from the lazy lists. Others are not
            looked at: a chunk that was empty and purged when it was replaced stays lost.
        """
        state = self._state
        if state.rules.release == "purged":
            for chunk in state.chunks:
                if (
                    chunk in purged
                    and chunk.count == 0
                    and not chunk.released
                    and state.current[chunk.cpu] is not chunk
                ):
                    self.release(chunk)
        if state.rules.rewind:
            for current in state.current:
                if current is not None and current.count == 0 and current.bump > current.base:
                    current.bump = current.base
                    state.count("rewinds")
