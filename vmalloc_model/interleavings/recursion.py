"""A refill that needs a refill: ``kvzalloc`` of a chunk's descriptor may end in vmalloc."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Call", "Nesting", "nesting"]


@dataclass(frozen=True, slots=True)
class Call:
    """What an ``alloc_vmap_area`` depends on when it is entered; sizes in pages.

    `room` is what the CPU's current chunk has left.
    """

    pages: int
    room: int


@dataclass(frozen=True, slots=True)
class Nesting:
    """Calls of ``alloc_vmap_area`` inside each other, the outermost first.

    With `endless` the last call is entered with exactly what the one before it was entered with:
    nothing has changed, so it does the same, and there is no end.
    """

    calls: tuple[Call, ...]
    endless: bool


def nesting(pages: int, room: int, descriptor: int, kmalloc_fails: bool) -> Nesting:
    """Follow an eligible request down.

    Parameters
    ----------
    pages, room : int
        Pages of the request, and of the CPU's current chunk behind its pointer.
    descriptor : int
        Pages that vmalloc takes for a chunk's descriptor, guard page included; 0 if ``kvzalloc``
        never falls back to vmalloc for its size.
    kmalloc_fails : bool
        Whether memory is so fragmented that the slab cannot serve the descriptor.

    Notes
    -----
    Patch 11/12: ``vmap_bump_refill`` allocates the descriptor before it reserves the chunk, so
    during that nothing is different yet. ``kvmalloc_node`` of Linux 6.12 (mm/util.c) does not fall
    back to vmalloc for sizes up to a page.
    """
    calls = [Call(pages, room)]
    while calls[-1].pages > calls[-1].room and descriptor and kmalloc_fails:
        calls.append(Call(descriptor, room))
        if calls[-1] == calls[-2]:
            return Nesting(tuple(calls), endless=True)
    return Nesting(tuple(calls), endless=False)
