"""Per-CPU areas from the top of a window, in any free space."""

from __future__ import annotations

from collections.abc import Sequence

from vmalloc_model.freespace.reference import FreeSpace

__all__ = ["pcpu_areas"]


def pcpu_areas(
    space: FreeSpace,
    offsets: Sequence[int],
    sizes: Sequence[int],
    order: int,
    vstart: int,
    vend: int,
) -> int | None:
    """Take areas at given distances from one base, the base as high as possible.

    Parameters
    ----------
    space : FreeSpace
        Every area is carved exactly, in the order given.
    offsets, sizes : sequence of int
        Distance of each area from the base and its length, in pages; multiples of the alignment.
        The areas do not overlap.
    order : int
        log2 of the alignment of the base in pages.
    vstart, vend : int
        The base is not below `vstart`; no area reaches over `vend`, aligned down.

    Returns
    -------
    int or None
        The base, or None if there is none at which all areas are free.

    Raises
    ------
    ValueError
        If there is no area, or an offset or a length is no multiple of the alignment.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c, ``pcpu_get_vm_areas``. It starts at the top and, whenever an
    area does not lie in one gap, moves the base down just as far as that area needs, until one
    round finds nothing to move. No step skips a base that fits, so it ends at the highest one.
    """
    align = 1 << order
    if not offsets or len(offsets) != len(sizes) or min(sizes) < 1 or min(offsets) < 0:
        raise ValueError("one offset and one length per area, and at least one area")
    if any(number % align for number in (*offsets, *sizes)):
        raise ValueError(f"areas must lie at multiples of {align} pages")
    top_down = sorted(zip(offsets, sizes, strict=True), reverse=True)
    gaps = [(start, start + pages) for start, pages in space.gaps()]
    limit = vend & -align
    base = limit - sum(top_down[0])  # the highest area ends at the limit
    moved = True
    while moved:
        moved = False
        for offset, pages in top_down:
            at = _highest_at_or_below(gaps, base + offset, pages, align)
            if at is None:
                return None
            if at < base + offset:
                base = at - offset
                moved = True
    if base < vstart:
        return None
    for offset, pages in zip(offsets, sizes, strict=True):
        space.carve(base + offset, pages)
    return base


def _highest_at_or_below(
    gaps: list[tuple[int, int]], wanted: int, pages: int, align: int
) -> int | None:
    """Return the highest aligned address, not above `wanted`, at which `pages` are free."""
    for start, end in reversed(gaps):
        at = min(wanted, (end - pages) & -align)
        if start <= at:
            return at
    return None
