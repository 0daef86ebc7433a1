"""What an order of steps changes: tasks, locks, chunks, free pages, areas. All of it hashable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

__all__ = [
    "CURRENT",
    "FULL",
    "GONE",
    "HOMELESS",
    "NEW",
    "ORDINARY",
    "RELEASED",
    "THROWN",
    "Area",
    "Chunk",
    "State",
    "Task",
    "live_areas",
    "lowest",
    "mask_of",
    "pages_of",
    "unflushed",
]

NEW: Final = "new"
CURRENT: Final = "current"
FULL: Final = "full"
THROWN: Final = "thrown away"
RELEASED: Final = "released"
GONE: Final = "gone"
"""Fates of a chunk: reserved, not installed; some CPU's current one; replaced without room for
another page; replaced with room; its range went back; and its descriptor was freed as well."""


ORDINARY: Final = -1
HOMELESS: Final = -2


class Area(NamedTuple):
    """Pages ``[start, start + pages)``.

    `chunk` is the index of the chunk that counts it; `ORDINARY` for an area whose node is known, so
    that a purge puts it into the pool; `HOMELESS` for one that asked the chunk before any node.
    """

    start: int
    pages: int
    chunk: int


class Task(NamedTuple):
    """A task: its CPU, operation (index), next step ("" after the last), variables, areas.

    `local` is empty exactly between operations.
    """

    cpu: int
    op: int
    at: str
    local: tuple[Any, ...]
    held: tuple[Area, ...]


class Chunk(NamedTuple):
    """A chunk; `base`, `bump` and `alloced` are pages.

    `alloced` is the counter of 11/12 (0 in 10/12), `owner` the CPU that installed it, -1 before.
    """

    base: int
    bump: int
    alloced: int
    owner: int
    fate: str


class State(NamedTuple):
    """Everything between two steps.

    `locks` has an owner (a task, or -1) for each CPU's chunk lock and one for the purge lock.
    `current` has a chunk (or -1) for each CPU. `free` is a bit mask of pages. `kept` are areas that
    no task will free. `lazy` are freed areas that no purge has taken. `pool` is a node pool, its
    head last. `marks` are violations that only the step itself can see.
    """

    tasks: tuple[Task, ...]
    locks: tuple[int, ...]
    current: tuple[int, ...]
    chunks: tuple[Chunk, ...]
    free: int
    kept: tuple[Area, ...]
    lazy: tuple[Area, ...]
    pool: tuple[Area, ...]
    marks: tuple[str, ...]


def mask_of(start: int, pages: int) -> int:
    """Bit mask of pages ``[start, start + pages)``."""
    return ((1 << pages) - 1) << start


def pages_of(mask: int) -> list[int]:
    """Pages of a bit mask, ascending."""
    return [page for page in range(mask.bit_length()) if mask >> page & 1]


def lowest(free: int, pages: int, align: int) -> int:
    """Lowest page where so many aligned pages are free, as ``__alloc_vmap_area``; -1 if none."""
    want = mask_of(0, pages)
    for start in range(0, free.bit_length() - pages + 1, align):
        if free >> start & want == want:
            return start
    return -1


def live_areas(state: State) -> Iterator[Area]:
    """All areas somebody may use."""
    yield from state.kept
    for task in state.tasks:
        yield from task.held


def unflushed(state: State) -> int:
    """Mask of pages of freed areas, their PTEs cleared, that a TLB may still map."""
    mask = _masks(state.lazy)
    for task in state.tasks:
        if task.at == "flush":
            mask |= _masks(task.local[0])
    return mask


def _masks(areas: Iterable[Area]) -> int:
    mask = 0
    for area in areas:
        mask |= mask_of(area.start, area.pages)
    return mask
