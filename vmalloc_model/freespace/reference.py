"""Free space as a sorted list: the rules of a search in a page of code.

Slow on purpose. Everything the fast free spaces do is compared with this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, get_args

__all__ = ["FreeSpace", "LinearFreeSpace", "Rule", "align_up", "check_pages"]

Rule = Literal["lowest", "padded"]


def align_up(page: int, align: int) -> int:
    """Return the lowest multiple of `align`, a power of two, that is not below `page`."""
    return (page + align - 1) & -align


def check_pages(pages: int) -> None:
    """Refuse a range without pages, with ValueError."""
    if pages < 1:
        raise ValueError(f"a range has at least one page, not {pages}")


class FreeSpace(Protocol):
    """What every free space can do; all quantities are pages, ranges are half open."""

    def reserve(self, pages: int, order: int, vstart: int, vend: int) -> int | None:
        """Find and take `pages` at an alignment of ``2**order`` pages in ``[vstart, vend)``."""

    def carve(self, start: int, pages: int) -> None:
        """Take exactly this range."""

    def release(self, start: int, pages: int) -> None:
        """Give back a range of which nothing is free."""

    def release_over(self, start: int, pages: int) -> int:
        """Give back a range; return how many pages of it were free already."""

    def gaps(self) -> list[tuple[int, int]]:
        """Return the gaps as (start, pages), ascending."""

    def largest(self, vstart: int, vend: int) -> int:
        """Return the length of the longest free range inside ``[vstart, vend)``."""

    def check(self) -> None:
        """Verify what must always hold."""


class LinearFreeSpace:
    """Free space as a sorted list of gaps that is searched from its lowest end.

    Parameters
    ----------
    gaps : iterable of (int, int)
        Free ranges ``[start, end)`` in pages, disjoint, in any order; neighbours that touch are
        merged.
    rule : {"lowest", "padded"}
        ``lowest``: the lowest aligned address that fits: first fit by address. ``padded``: the
        lowest gap that has room for the request at *any* position of the alignment, that is
        ``pages + align - 1`` pages inside the window; the address is then aligned up inside it.

    Notes
    -----
    ``padded`` is how a finder of gaps is used that knows lengths but no alignments: one asks it for
    more than one needs (``mas_empty_area`` of the maple tree). It passes over gaps in which an
    aligned request would happen to fit. Without an alignment both rules are the same, and both are
    what Linux 6.12's ``find_vmap_lowest_match`` does.
    """

    def __init__(self, gaps: Iterable[tuple[int, int]], rule: Rule = "lowest") -> None:
        if rule not in get_args(Rule):
            raise ValueError(f"no such rule: {rule}")
        self.rule = rule
        self._gaps: list[tuple[int, int]] = []
        for start, end in gaps:
            self.release(start, end - start)

    def reserve(self, pages: int, order: int, vstart: int, vend: int) -> int | None:
        """Find a range by the rule and take it; None where there is none.

        Parameters
        ----------
        pages, order : int
            Length, and log2 of the alignment in pages.
        vstart, vend : int
            Window; the range lies inside it.
        """
        check_pages(pages)
        align = 1 << order
        for start, end in self._gaps:
            low, high = max(start, vstart), min(end, vend)
            address = align_up(low, align)
            if self.rule == "lowest":
                fits = address + pages <= high
            else:
                fits = high - low >= pages + align - 1
            if fits:
                self.carve(address, pages)
                return address
        return None

    def carve(self, start: int, pages: int) -> None:
        """Take exactly the range ``[start, start + pages)``.

        Raises
        ------
        ValueError
            If it is not wholly free.
        """
        check_pages(pages)
        end = start + pages
        for index, (gap_start, gap_end) in enumerate(self._gaps):
            if gap_start <= start and end <= gap_end:
                rest = [(gap_start, start), (end, gap_end)]
                self._gaps[index : index + 1] = [gap for gap in rest if gap[0] < gap[1]]
                return
        raise ValueError(f"not wholly free: [{start}, {end})")

    def release(self, start: int, pages: int) -> None:
        """Give back the range ``[start, start + pages)``; it merges with free neighbours.

        Raises
        ------
        ValueError
            If a page of it is free already.
        """
        if self._free_inside(start, pages):
            raise ValueError(f"free already, or partly: [{start}, {start + pages})")
        self.release_over(start, pages)

    def release_over(self, start: int, pages: int) -> int:
        """Give back a range whether or not parts of it are free already.

        This is what erasing a range from an index of occupied ranges does, as patches 11/12 and
        12/12 do with a whole chunk.

        Returns
        -------
        int
            Pages of the range that were free already.
        """
        already = self._free_inside(start, pages)
        first, last = start, start + pages
        kept = []
        for gap_start, gap_end in self._gaps:
            if gap_end < start or start + pages < gap_start:
                kept.append((gap_start, gap_end))
            else:  # it overlaps the range, or touches it: the two become one gap
                first, last = min(first, gap_start), max(last, gap_end)
        self._gaps = sorted([*kept, (first, last)])
        return already

    def gaps(self) -> list[tuple[int, int]]:
        """Return the gaps as (start, pages), ascending."""
        return [(start, end - start) for start, end in self._gaps]

    def largest(self, vstart: int, vend: int) -> int:
        """Return the length of the longest free range inside ``[vstart, vend)``, 0 for none."""
        inside = [min(end, vend) - max(start, vstart) for start, end in self._gaps]
        return max([0, *inside])

    def check(self) -> None:
        """Verify that the gaps ascend, are not empty and do not touch each other."""
        before = None
        for start, end in self._gaps:
            assert start < end, f"empty gap at {start}"
            assert before is None or before < start, f"gap at {start} touches the one before"
            before = end

    def _free_inside(self, start: int, pages: int) -> int:
        check_pages(pages)
        end = start + pages
        return sum(
            max(0, min(gap_end, end) - max(gap_start, start)) for gap_start, gap_end in self._gaps
        )
