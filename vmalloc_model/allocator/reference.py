"""The allocator in plain Python: every policy, one step after the other, as one would explain it.

Slow on purpose: the engine that runs long streams is compared with it, event by event. The paths of
an allocation and of a free are here; `reference_chunks` has the overlay, `reference_pools` the node
pools, lazy lists and purges, `reference_blocks` vm_map_ram, `reference_check` what must always
hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.reference_blocks import Blocks, Mapping
from vmalloc_model.allocator.reference_check import check
from vmalloc_model.allocator.reference_chunks import Chunks
from vmalloc_model.allocator.reference_pools import Pools, Purger
from vmalloc_model.allocator.reference_state import Area, FreeSpaceName, State
from vmalloc_model.allocator.rules import Rules
from vmalloc_model.events import ALLOC, FREE, MAP_RAM, PCPU, PURGE, SHRINK
from vmalloc_model.freespace.topdown import pcpu_areas

__all__ = ["ReferenceAllocator"]

_FAILED: Final = None
"""What a slot holds whose allocation failed."""


class Parts(NamedTuple):
    """The parts of a reference allocator."""

    state: State
    pools: Pools
    chunks: Chunks
    purger: Purger


class ReferenceAllocator:
    """Linux 6.12's allocator of kernel addresses, with or without a version of the overlay.

    Parameters
    ----------
    machine : Machine
        Sizes; with a scaled policy the chunk size is set here.
    rules : Rules
        The policy.
    freespace : {"tree", "padded", "lowest"}
        The global free space: mainline's tree, or a list with one of the rules of
        `LinearFreeSpace`.
    auto_purge : bool
        Whether a free that leaves more lazy pages than ``lazy_max_pages`` starts a purge. The
        kernel wakes a worker; here the purge runs at once.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c: ``alloc_vmap_area``, ``free_vmap_area_noflush``,
    ``vm_map_ram``, ``_vm_unmap_aliases``, ``reclaim_and_purge_vmap_areas``,
    ``pcpu_get_vm_areas``.
    """

    def __init__(
        self,
        machine: Machine,
        rules: Rules,
        freespace: FreeSpaceName = "tree",
        *,
        auto_purge: bool = True,
    ) -> None:
        self._state = State(machine, rules, freespace)
        self._chunks = Chunks(self._state)
        self._pools = Pools(self._state)
        self._purger = Purger(self._state, self._pools, self._chunks)
        self._blocks = Blocks(self._state.machine)
        self._auto_purge = auto_purge
        self._slots: dict[int, Area | Mapping | None] = {}

    def apply(self, event: Any) -> int | None:
        """Do one event.

        Parameters
        ----------
        event : record of EVENT, or sequence of int
            op, flags, window, order, cpu, slot, pages.

        Returns
        -------
        int or None
            For the three kinds of allocation the first page, or None if it failed; else None.

        Raises
        ------
        ValueError
            If a slot is allocated while it is in use, or freed while it is not; or an operation,
            CPU or window is unknown.

        Notes
        -----
        A slot whose allocation failed is not in use. Its free does nothing and is not counted.
        """
        op, flags, window, order, cpu, slot, pages = (int(value) for value in event)
        if cpu >= self._state.machine.cpus:
            raise ValueError(f"no such CPU: {cpu}")
        if window >= len(self._state.machine.windows):
            raise ValueError(f"no such window: {window}")
        if op in (ALLOC, MAP_RAM, PCPU):
            if self._slots.get(slot) is not None:
                raise ValueError(f"slot {slot} is in use")
            held: Area | Mapping | None
            if op == ALLOC:
                held = self._allocate(cpu, pages, order, window, flags)
            elif op == MAP_RAM:
                held = self._map_ram(cpu, pages)
            else:
                held = self._percpu(cpu, pages, order, window)
            self._slots[slot] = held
            return None if held is None else held.start
        if op == FREE:
            if slot not in self._slots:
                raise ValueError(f"slot {slot} is not in use")
            held = self._slots.pop(slot)
            if held is not _FAILED:
                self._give_up(held, cpu)
        elif op == PURGE:
            self._purge_blocks(cpu, forced=False)
            self._purger.purge(full=False)
        elif op == SHRINK:
            for node in range(self._state.machine.nodes):
                self._pools.decay(node, full=True)
        else:
            raise ValueError(f"no such operation: {op}")
        return None

    def _allocate(self, cpu: int, pages: int, order: int, window: int, flags: int) -> Area | None:
        """Allocate an area (``alloc_vmap_area``): pools, chunk, global; or chunk first."""
        state = self._state
        state.count("requests")
        node = cpu % state.machine.nodes
        owner: int | None = None
        area: Area | None = None
        if state.rules.first == "chunk":
            area = self._chunks.allocate(cpu, pages, order, window, flags, owner)
        if area is None and state.machine.nodes > 1 and window == 0:
            # Whether or not its pool has anything, the node gets the area when it is freed.
            owner = node
            area = self._pools.take(node, cpu, pages, order)
        if area is None and state.rules.first == "pools":
            area = self._chunks.allocate(cpu, pages, order, window, flags, owner)
        if area is None:
            area = self._from_global(cpu, pages, order, window, owner)
        if area is None:
            # Once: everything that is merely kept back returns to the free space. The second round
            # begins at the label `retry`, behind the question to the pools, which are empty now.
            state.count("overflow_purges")
            self._purge_blocks(cpu, forced=True)
            self._purger.purge(full=True)
            area = self._chunks.allocate(cpu, pages, order, window, flags, owner)
            if area is None:
                area = self._from_global(cpu, pages, order, window, owner)
        if area is None:
            state.count("failures")
        elif area.chunk is None:
            state.count("lock_busy")
        return area

    def _from_global(
        self, cpu: int, pages: int, order: int, window: int, owner: int | None
    ) -> Area | None:
        state = self._state
        state.count("lock_global")
        start = state.space.reserve(pages, order, *state.machine.windows[window])
        if start is None:
            state.count("global_failures")
            return None
        state.count("global_hits")
        return Area(start, pages, cpu, owner)

    def _map_ram(self, cpu: int, pages: int) -> Area | Mapping | None:
        """Map pages for a short time (``vm_map_ram``): from a block if they are few."""
        if pages > self._state.machine.block_max_pages:
            return self._allocate(cpu, pages, order=0, window=0, flags=0)
        mapping = self._blocks.map(cpu, pages)
        if mapping is not None:
            self._state.count("block_hits")
            return mapping
        area = self._allocate(cpu, self._blocks.pages, self._blocks.order, window=0, flags=0)
        if area is None:
            return None
        self._state.count("blocks")
        return self._blocks.map_in_new(area, pages)

    def _percpu(self, cpu: int, pages: int, order: int, window: int) -> Area | None:
        """Allocate a per-CPU area: not by ``alloc_vmap_area``, so without pools and chunks.

        The kernel would purge once and search again if nothing were found; this model does not.
        """
        state = self._state
        state.count("lock_global")
        start = pcpu_areas(state.space, [0], [pages], order, *state.machine.windows[window])
        if start is None:
            return None
        state.count("lock_busy")
        state.count("pcpu_areas")
        return Area(start, pages, cpu)

    def _give_up(self, held: Area | Mapping, cpu: int) -> None:
        area = self._blocks.unmap(held) if isinstance(held, Mapping) else held
        if area is None:
            return  # the block has other pages in use, or pages left
        self._free(area, cpu)
        state = self._state
        if self._auto_purge and state.lazy_pages > state.machine.lazy_max_pages:
            self._purger.purge(full=False)

    def _free(self, area: Area, cpu: int) -> None:
        """Free an area (``remove_vm_area``, ``free_vmap_area_noflush``): it becomes lazy."""
        state = self._state
        state.count("frees")
        if cpu != area.cpu:
            state.count("remote_frees")
        if state.resident:
            # Before the busy trees, so also for areas that turn out to be in those.
            self._chunks.look_up(area.start, cpu)
        if area.chunk is None:
            state.count("lock_busy")
        elif not self._chunks.give_up(area, cpu):
            return
        self._purger.make_lazy(area)

    def _purge_blocks(self, cpu: int, forced: bool) -> None:
        """Free fragmented blocks, on the CPU that purges; the purge that follows takes them."""
        for area in self._blocks.purge_fragmented(forced):
            self._state.count("block_purges")
            self._free(area, cpu)

    @property
    def parts(self) -> Parts:
        """The parts, for driving them one by one."""
        return Parts(self._state, self._pools, self._chunks, self._purger)

    def adopt(self, slot: int, area: Area) -> None:
        """Let a slot hold an area that something else has placed, as a replay does."""
        self._slots[slot] = area

    def disown(self, slot: int) -> Area:
        """Take the area of a slot back, without a free."""
        held = self._slots.pop(slot)
        if not isinstance(held, Area):
            raise ValueError(f"slot {slot} holds no area")
        return held

    def counters(self) -> dict[str, int]:
        """Return all counters by the names of `COUNTERS`."""
        return dict(self._state.counts)

    def state(self) -> dict[str, Any]:
        """Return what can be compared with another implementation.

        Returns
        -------
        dict
            ``gaps``: list of (start, pages), ascending. ``pools``: {(node, pages): starts from head
            to tail}, ``lazy``: {node: ascending starts}, both without empty ones. ``lazy_pages``.
            ``chunks``: (base, bump - base, count, cpu, released) in order of installation;
            ``current``: for each CPU an index into these, or -1. ``live``: {slot: (start, pages)},
            where a mapping in a block has the pages that it holds there, a power of two.
        """
        state = self._state
        indices = {chunk: index for index, chunk in enumerate(state.chunks)}
        return {
            "gaps": state.space.gaps(),
            "pools": {key: _starts(pool) for key, pool in state.pools.items() if pool},
            "lazy": {node: sorted(_starts(lazy)) for node, lazy in state.lazy.items() if lazy},
            "lazy_pages": state.lazy_pages,
            "chunks": [
                (chunk.base, chunk.bump - chunk.base, chunk.count, chunk.cpu, chunk.released)
                for chunk in state.chunks
            ],
            "current": [-1 if chunk is None else indices[chunk] for chunk in state.current],
            "live": {
                slot: (held.start, held.pages)
                for slot, held in self._slots.items()
                if held is not _FAILED
            },
        }

    def check(self) -> None:
        """Verify what must always hold; AssertionError if it does not."""
        areas = [held for held in self._slots.values() if isinstance(held, Area)]
        mappings = [held for held in self._slots.values() if isinstance(held, Mapping)]
        for mapping in mappings:
            assert mapping.block.area in self._blocks.areas(), "a mapping without its block"
        check(self._state, areas + self._blocks.areas())


def _starts(areas: Iterable[Area]) -> list[int]:
    return [area.start for area in areas]
