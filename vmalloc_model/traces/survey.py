"""Look a trace through, block by block: what is in it, and what speaks against it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from vmalloc_model.traces.events import ALLOC, FORMATS, FREE

__all__ = ["Survey"]

_Words = npt.NDArray[np.uint64]


class Survey:
    """What the events of a trace come to; memory grows with the areas that are live at once.

    `facts` gives the result, named as in `vmalloc_model.traces.about.About`.
    """

    def __init__(self) -> None:
        self._kinds: Counter[int] = Counter()
        self._windows: Counter[tuple[int, int]] = Counter()
        self._live: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._earliest: int | None = None
        self._latest = self._last = 0
        self._divisor = 0
        self._cpus = 0
        self._failed = self._backwards = self._outside = 0
        self._unknown_frees = self._taken_twice = 0

    def add(self, events: npt.NDArray[np.void]) -> None:
        """Look at the next events of the trace."""
        if not len(events):
            return
        self._kinds.update(dict(enumerate(np.bincount(events["kind"]).tolist())))
        self._cpus = max(self._cpus, int(events["cpu"].max()) + 1)
        times = np.append(np.int64(self._last), events["time"])
        self._backwards += int((np.diff(times) < 0).sum())
        # The first and the last will not do: the text of one trace may follow that of a later one.
        earliest = int(times[1:].min())
        self._earliest = earliest if self._earliest is None else min(self._earliest, earliest)
        self._latest, self._last = max(self._latest, int(times.max())), int(times[-1])
        kinds, failed = events["kind"].copy(), events["failed"].copy()
        self._failed += int(failed.sum())
        got = (kinds == ALLOC) & ~failed
        start = events["start"].copy()
        self._count_windows(start[got], *(events[name][got] for name in ("size", "vstart", "vend")))
        live = got | (kinds == FREE)
        self._follow(start[live], kinds[live] == FREE)

    def facts(self) -> dict[str, Any]:
        """Return what was found; the page size is 0 if no allocation succeeded."""
        # Of windows named equally often, the lowest.
        windows = sorted(self._windows.items(), key=lambda found: (-found[1], found[0]))
        return {
            "events": {name: self._kinds[kind] for kind, (name, _) in FORMATS.items()},
            "cpus": self._cpus,
            "page_size": self._divisor & -self._divisor,
            "window": windows[0][0] if windows else (0, 0),
            "failed": self._failed,
            "seconds": (self._latest - (self._earliest or 0)) / 1e6,
            "backwards": self._backwards,
            "outside": self._outside,
            "unknown_frees": self._unknown_frees,
            "taken_twice": self._taken_twice,
        }

    def _count_windows(self, start: _Words, size: _Words, first: _Words, end: _Words) -> None:
        self._divisor = int(np.gcd.reduce(size, initial=np.uint64(self._divisor)))
        outside = (start < first) | (start > end) | (size - np.uint64(1) > end - start)
        self._outside += int(outside.sum())
        # Most requests name the window of the one before: count the runs of equal ones.
        same = (first[1:] == first[:-1]) & (end[1:] == end[:-1])
        begins = np.flatnonzero(np.append(True, ~same)[: len(first)])
        counts = np.diff(np.append(begins, len(first))).tolist()
        for k, count in zip(begins.tolist(), counts, strict=True):
            self._windows[int(first[k]), int(end[k])] += count

    def _follow(self, start: _Words, free: npt.NDArray[np.bool_]) -> None:
        """Follow which addresses are live, all of a block at once: sorted by address, then time."""
        order = np.argsort(start, kind="stable")
        start, free = start[order], free[order]
        if not len(start):
            return
        first = np.append(True, start[1:] != start[:-1])
        last = np.append(first[1:], True)
        before = np.append(False, ~free[:-1])  # whether the event before left the address live
        before[first] = np.isin(start[first], self._live, assume_unique=True)
        self._unknown_frees += int((free & ~before).sum())
        self._taken_twice += int((~free & before).sum())
        kept = self._live[~np.isin(self._live, start[last & free], assume_unique=True)]
        self._live = np.union1d(kept, start[last & ~free])
