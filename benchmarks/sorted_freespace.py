"""Free space as a careful Python programmer would write it, with sortedcontainers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sortedcontainers import SortedDict, SortedList
from streams import replay_on

EXACT = 512
"""Gaps up to this many pages have a class for each size; larger ones, one for each power of 2."""
_FIRST_POWER = EXACT.bit_length()  # of bits of the sizes in the class EXACT + 1
_CLASSES = EXACT + 1 + 64 - _FIRST_POWER
_NEVER = 2**62


def _class_of(pages: int) -> int:
    return pages if pages <= EXACT else EXACT + 1 + pages.bit_length() - _FIRST_POWER


def _surely(pages: int) -> int:
    """Return the first class whose gaps have at least so many pages each."""
    return pages if pages <= EXACT + 1 else _class_of(pages - 1) + 1


class SortedFreeSpace:
    """Gaps by address, and the starts of the gaps of each size class; lowest fit.

    ``head[c]`` is the lowest start in class ``c`` at or above ``floor``, where the window of the
    last request began: the lowest gap that is large enough is the least of a slice of heads. Gaps
    of which the class alone does not tell whether they are large enough are looked at in turn.
    """

    def __init__(self, gaps: Iterable[tuple[int, int]]) -> None:
        self.end: SortedDict[int, int] = SortedDict()
        self.starts = [SortedList() for _ in range(_CLASSES)]
        self.head = np.full(_CLASSES, _NEVER, np.int64)
        self.floor = 0
        for start, end in gaps:
            self._add(start, end)

    def _add(self, start: int, end: int) -> None:
        kind = _class_of(end - start)
        self.end[start] = end
        self.starts[kind].add(start)
        if self.floor <= start < self.head[kind]:
            self.head[kind] = start

    def _remove(self, start: int, end: int) -> None:
        kind = _class_of(end - start)
        del self.end[start]
        self.starts[kind].remove(start)
        if self.head[kind] == start:
            self.head[kind] = next(self.starts[kind].irange(self.floor), _NEVER)

    def reserve(self, pages: int, order: int, vstart: int, vend: int) -> int | None:
        """Take `pages` at ``2**order`` at the lowest place in the window; None if there is none."""
        align = 1 << order
        if vstart != self.floor:
            self.floor = vstart
            self.head[:] = [next(starts.irange(vstart), _NEVER) for starts in self.starts]
        found = self._lowest_gap(pages, align, vstart)
        if found == _NEVER:
            return None
        end = self.end[found]
        start = -(-max(found, vstart) // align) * align
        stop = start + pages
        if stop > vend:
            return None
        self._remove(found, end)
        if found < start:
            self._add(found, start)
        if stop < end:
            self._add(stop, end)
        return start

    def _lowest_gap(self, pages: int, align: int, vstart: int) -> int:
        def fits(gap: int) -> bool:
            return -(-max(gap, vstart) // align) * align + pages <= self.end[gap]

        # the gap that contains vstart: all others begin in the window or are of no use
        before = self.end.bisect_left(vstart) - 1
        if before >= 0 and fits(gap := self.end.keys()[before]):
            return gap
        surely = _surely(pages + align - 1)
        best = int(self.head[surely:].min())
        for kind in range(_class_of(pages), surely):
            if self.head[kind] < best:
                here = self.starts[kind].irange(vstart, best, inclusive=(True, False))
                best = next(filter(fits, here), best)
        return best

    def release(self, start: int, pages: int) -> None:
        """Give pages back, which must not be free, and merge them with the gaps around."""
        end = start + pages
        after = self.end.bisect_left(start)
        keys = self.end.keys()
        following = keys[after] if after < len(keys) else None
        preceding = keys[after - 1] if after else None
        if following == end:
            end = self.end[following]
            self._remove(following, end)
        if preceding is not None and self.end[preceding] == start:
            self._remove(preceding, start)
            start = preceding
        self._add(start, end)

    def gaps(self) -> list[tuple[int, int]]:
        """Return the gaps as (start, pages), ascending."""
        return [(start, end - start) for start, end in self.end.items()]


def replay(ops, pages, order, slot, slots, gaps, vstart, vend, skip=0):
    """Replay events on fresh free space: ``(addresses, seconds)``."""
    space = SortedFreeSpace(gaps)
    return replay_on(space, ops, pages, order, slot, slots, vstart, vend, skip)
