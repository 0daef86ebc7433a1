"""What the reference allocator keeps: areas, chunks, pools, lazy lists, free space, counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.allocator.machine import Machine, Span
from vmalloc_model.allocator.rules import Rules
from vmalloc_model.freespace.plaintree import TreeFreeSpace
from vmalloc_model.freespace.reference import FreeSpace, LinearFreeSpace

__all__ = ["Area", "Chunk", "FreeSpaceName", "State"]

FreeSpaceName = Literal["tree", "padded", "lowest"]


@dataclass(eq=False, slots=True)
class Chunk:
    """A range that one CPU allocates from, upwards.

    Attributes
    ----------
    base, pages : int
        The range.
    cpu : int
        CPU that installed it.
    bump : int
        First page that has not been handed out.
    count : int
        Pages of its areas that are live; only where areas belong to chunks.
    released : bool
        Whether its range went back to the global free space as a whole; it is off the list then.
    handed_on : bool
        Whether a pool has handed out one of its areas, which is an ordinary one since.
    """

    base: int
    pages: int
    cpu: int
    bump: int
    count: int = 0
    released: bool = False
    handed_on: bool = False

    @property
    def end(self) -> int:
        """First page behind the chunk."""
        return self.base + self.pages

    def contains(self, page: int) -> bool:
        """Tell whether a page lies in the chunk's range."""
        return self.base <= page < self.end


@dataclass(eq=False, slots=True)
class Area:
    """A ``vmap_area``: live, lazy, or waiting in a pool.

    Attributes
    ----------
    start, pages : int
        The range.
    cpu : int
        CPU that allocated it last.
    owner : int or None
        Node whose pools were asked for it (``vn_id``); a purge gives it to that node's pools.
    chunk : Chunk or None
        The chunk that the area belongs to; None for ordinary areas, in a chunk's range or not.
    """

    start: int
    pages: int
    cpu: int
    owner: int | None = None
    chunk: Chunk | None = None

    @property
    def end(self) -> int:
        """First page behind the area."""
        return self.start + self.pages


@dataclass(eq=False, slots=True)
class State:
    """Everything there is, shared by the parts of the reference allocator.

    Attributes
    ----------
    machine, rules : Machine, Rules
        The machine with its chunk size scaled where the policy says so.
    freespace : {"tree", "padded", "lowest"}
        Kind of the global free space.
    overlay, resident : bool
        Whether there are chunks; whether areas belong to them.
    space : FreeSpace
        The global free space.
    counts : dict
        The counters by name.
    pools : dict
        (node, pages) -> areas, the head of the list first.
    lazy : dict
        node -> areas in the order in which they became lazy.
    lazy_pages : int
        Pages of all of these (``vmap_lazy_nr``).
    chunks : list of Chunk
        All that were ever installed, in that order.
    current : list of (Chunk or None)
        One for each CPU.
    overlaps : bool
        Whether pages may be in use twice from here on; for `check` only. It becomes true when a
        chunk is released in which a CPU still allocates or from which a pool has handed out an
        area, and when a pool hands out an area of a released chunk.
    """

    machine: Machine
    rules: Rules
    freespace: FreeSpaceName
    overlay: bool = field(init=False)
    resident: bool = field(init=False)
    space: FreeSpace = field(init=False)
    counts: dict[str, int] = field(init=False)
    pools: dict[tuple[int, int], list[Area]] = field(init=False)
    lazy: dict[int, list[Area]] = field(init=False)
    lazy_pages: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    current: list[Chunk | None] = field(init=False)
    overlaps: bool = False

    def __post_init__(self) -> None:
        if self.freespace not in get_args(FreeSpaceName):
            raise ValueError(f"no such free space: {self.freespace}")
        if self.rules.overlay and self.rules.scaled:
            self.machine = self.machine.scaled()
        self.overlay = self.rules.overlay and self.machine.chunk_pages > 0
        self.resident = self.overlay and self.rules.resident
        gaps = list(_gaps_between(self.machine.space, self.machine.busy))
        self.space = (
            TreeFreeSpace(gaps)
            if self.freespace == "tree"
            else LinearFreeSpace(gaps, self.freespace)
        )
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.pools = {}
        self.lazy = {node: [] for node in range(self.machine.nodes)}
        self.current = [None] * self.machine.cpus

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] += by

    def node_of(self, area: Area) -> int:
        """Return the node whose lazy list an area goes to (``free_vmap_area_noflush``).

        Its owner, or else the node that its address belongs to: ``addr_to_node_id``.
        """
        if area.owner is not None:
            return area.owner
        return area.start // self.machine.zone_pages % self.machine.nodes

    def give_back(self, start: int, pages: int) -> None:
        """Return a range to the global free space; the caller counts the visit to its lock.

        Where areas belong to chunks, parts of the range may be free already. Everywhere else that
        would be a mistake, and raises.
        """
        if self.resident:
            self.count("pages_freed_twice", self.space.release_over(start, pages))
        else:
            self.space.release(start, pages)


def _gaps_between(space: Span, busy: tuple[Span, ...]) -> Iterator[Span]:
    """Return what is free at the start, ascending, as ``vmap_init_free_space`` inserts it."""
    at = space[0]
    for start, end in sorted(busy):
        if at < start:
            yield at, start
        at = max(at, end)
    if at < space[1]:
        yield at, space[1]
