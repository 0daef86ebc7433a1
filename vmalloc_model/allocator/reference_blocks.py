"""The blocks of vm_map_ram in the reference allocator."""

from __future__ import annotations

from dataclasses import dataclass

from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.reference_state import Area

__all__ = ["Block", "Blocks", "Mapping"]


@dataclass(eq=False, slots=True)
class Block:
    """An area that small mappings are cut from, upwards and never twice.

    Attributes
    ----------
    area : Area
        The block's area.
    cpu : int
        CPU in whose queue it is, or was.
    free : int
        Pages that have not been handed out.
    dirty : int
        Pages that have been handed out and given back.
    """

    area: Area
    cpu: int
    free: int
    dirty: int = 0


@dataclass(frozen=True, slots=True)
class Mapping:
    """A small mapping: where it is, and in which block."""

    block: Block
    start: int
    pages: int


class Blocks:
    """All blocks, with a queue for each CPU of those that have pages left.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Raises
    ------
    ValueError
        If a block is no power of two of pages, or the largest mapping does not fit.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c: ``new_vmap_block``, ``vb_alloc``, ``vb_free``,
    ``purge_fragmented_block``.
    """

    def __init__(self, machine: Machine) -> None:
        self.pages = machine.block_pages
        self.order = self.pages.bit_length() - 1
        largest = rounded(machine.block_max_pages)
        if self.pages != 1 << self.order or largest > self.pages:
            raise ValueError(f"no block: {self.pages} pages for mappings of up to {largest}")
        self._queues: list[list[Block]] = [[] for _ in range(machine.cpus)]
        self._all: list[Block] = []

    def map(self, cpu: int, pages: int) -> Mapping | None:
        """Serve a mapping from the oldest block of the CPU's queue that has room."""
        held = rounded(pages)
        for block in self._queues[cpu]:
            if block.free >= held:
                return self._cut(block, held)
        return None

    def map_in_new(self, area: Area, pages: int) -> Mapping:
        """Make an area a block of its CPU, and serve a mapping from it."""
        block = Block(area, area.cpu, free=self.pages)
        self._all.append(block)
        self._queues[block.cpu].append(block)
        return self._cut(block, rounded(pages))

    def _cut(self, block: Block, held: int) -> Mapping:
        start = block.area.start + self.pages - block.free
        block.free -= held
        if block.free == 0:
            self._queues[block.cpu].remove(block)
        return Mapping(block, start, held)

    def unmap(self, mapping: Mapping) -> Area | None:
        """Give a mapping back; return the block's area if that was all of the block."""
        block = mapping.block
        block.dirty += mapping.pages
        if block.dirty < self.pages:
            return None
        self._all.remove(block)
        return block.area

    def purge_fragmented(self, forced: bool) -> list[Area]:
        """Give up blocks in which nothing is mapped but pages are left; return their areas.

        Without force only where less than a quarter of the block is left. By CPU, then by age.
        """
        gone = [
            block
            for block in sorted(self._all, key=lambda block: block.cpu)
            if block.free + block.dirty == self.pages
            and block.dirty != self.pages
            and (forced or block.free < self.pages // 4)
        ]
        for block in gone:
            block.free = 0
            block.dirty = self.pages
            self._queues[block.cpu].remove(block)
            self._all.remove(block)
        return [block.area for block in gone]

    def areas(self) -> list[Area]:
        """Return the areas of all blocks."""
        return [block.area for block in self._all]


def rounded(pages: int) -> int:
    """Return the pages that a mapping holds in a block: the next power of two."""
    return 1 << (pages - 1).bit_length()
