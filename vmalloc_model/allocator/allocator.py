"""The allocator model: a policy on a machine, fed with events."""

from __future__ import annotations

import ctypes
import weakref
from ctypes import POINTER, byref, c_int, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.allocator.machine import LARGEST_POOLED_PAGES, Machine
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.rules import Rules
from vmalloc_model.allocator.settings import NUMBERS, settings
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.events import EVENT
from vmalloc_model.freespace.fast import RULES, gaps_at, wrong_with
from vmalloc_model.native import library

__all__ = ["Allocator", "Chunks"]

_PROBLEMS: Final = {
    1: ("the slot is in use", "slot"),
    2: ("the slot is not in use", "slot"),
    3: ("no such CPU", "cpu"),
    4: ("no such window", "window"),
    5: ("no such operation", "op"),
}
"""Why the engine did not do an event (native/paths.c), and the column that says so."""


@cache
def _functions() -> ctypes.CDLL:
    lib = library()
    word, pointer, words = c_int64, c_void_p, POINTER(c_int64)
    for name, result, arguments in (
        ("vm_new", pointer, (c_int, pointer, pointer)),
        ("vm_free", None, (pointer,)),
        ("vm_run", word, (pointer, pointer, word, word, pointer, POINTER(c_int))),
        ("vm_space", pointer, (pointer,)),
        ("vm_now", words, (pointer,)),
        ("vm_did", words, (pointer,)),
        ("vm_chunks", words, (pointer, words)),
        ("vm_current", None, (pointer, pointer)),
        ("vm_visits", None, (pointer, pointer)),
        ("vm_list", word, (pointer, word, pointer)),
        ("vm_areas", word, (pointer, pointer)),
        ("vm_release", c_int, (pointer, word, word)),
        ("vm_gaps", word, (pointer,)),
        ("vm_largest", word, (pointer, word, word)),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """Every chunk there ever was, in the order of installation; sizes in pages.

    Attributes
    ----------
    base, used, live : ndarray of int64
        First page; distance of the pointer from it; pages of live areas (0 where areas do not
        belong to chunks).
    cpu : ndarray of int64
        CPU that installed it.
    served : ndarray of int64
        Areas handed out from it.
    released, current : ndarray of bool
        Whether its range went back as a whole; whether it is some CPU's current chunk.
    """

    base: npt.NDArray[np.int64]
    used: npt.NDArray[np.int64]
    live: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.int64]
    served: npt.NDArray[np.int64]
    released: npt.NDArray[np.bool_]
    current: npt.NDArray[np.bool_]


class Allocator:
    """A policy on a machine.

    Parameters
    ----------
    machine : Machine
        CPUs, windows, sizes.
    policy : str or Rules
        Name of a policy, or its rules.
    freespace : {"rbtree", "gaps"}, optional
        Kind of the global free space; ``rbtree`` if not given, which is what 6.12 has.
    auto_purge : bool
        Whether a purge follows at once when the lazy pages pass their limit, where the kernel wakes
        a worker; False for recorded runs, which say when purges were.

    Raises
    ------
    InputError
        If there is no such policy or free space.

    Notes
    -----
    Everything happens in the order of the events, one at a time, in compiled code
    (``vmalloc_model/native``). `ReferenceAllocator` is its twin in plain Python.
    """

    def __init__(
        self,
        machine: Machine,
        policy: str | Rules,
        freespace: str = "rbtree",
        *,
        auto_purge: bool = True,
    ) -> None:
        if freespace not in RULES:
            allowed = ", ".join(nearest(freespace, RULES))
            raise InputError("$.freespace", "no such free space", value=freespace, allowed=allowed)
        self.machine = machine
        self.rules = find_policy(policy) if isinstance(policy, str) else policy
        self._lib = _functions()
        words = np.array(settings(machine, self.rules, auto_purge), np.int64)
        windows = np.array(machine.windows, np.int64)
        self._resident = bool(words[11])
        self._chunk_pages = int(words[6])
        self.handle = self._lib.vm_new(RULES[freespace], words.ctypes.data, windows.ctypes.data)
        weakref.finalize(self, self._lib.vm_free, self.handle)
        self._space = self._lib.vm_space(self.handle)
        at = machine.space[0]
        for start, stop in [*sorted(machine.busy), (machine.space[1], machine.space[1])]:
            if at < start:
                self._lib.vm_release(self._space, at, start - at)
            at = max(at, stop)

    def run(self, events: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
        """Do a block of events.

        Parameters
        ----------
        events : ndarray of `vmalloc_model.events.EVENT`

        Returns
        -------
        ndarray of int64
            First page of each allocation; -1 for one that failed and for other events.

        Raises
        ------
        InputError
            At the first event that cannot be: a slot that is in use is allocated, one that is not
            is freed, a CPU, window or operation that does not exist. The events before it are done.
        """
        if events.dtype != EVENT:
            raise InputError("events", "not events", value=str(events.dtype), allowed=str(EVENT))
        events = np.ascontiguousarray(events)
        out = np.full(len(events), -1, np.int64)
        slots = int(events["slot"].max(initial=0)) + 1
        status = c_int()
        done = self._lib.vm_run(
            self.handle, events.ctypes.data, len(events), slots, out.ctypes.data, byref(status)
        )
        if status.value:
            problem, column = _PROBLEMS[status.value]
            raise InputError(f"event {done:,}", problem, value=int(events[column][done]))
        return out

    def counters(self) -> dict[str, int]:
        """Return all counters by the names of `COUNTERS`."""
        did = self._lib.vm_did(self.handle)
        return {name: did[place] for place, name in enumerate(COUNTERS)}

    def measures(self) -> dict[str, int]:
        """Return what is so now, in pages unless it is a number of things.

        Returns
        -------
        dict
            ``live_areas``, ``live_pages``, ``peak_pages`` (most live pages so far), ``lazy_pages``,
            ``pooled_areas``, ``gaps`` (free ranges), ``largest_gap`` (in the standard window),
            ``high_water`` (from the start of the standard window to the end of the highest range
            that was ever taken from below; chunks count as a whole), ``touched_high`` (likewise, to
            the highest page that was ever mapped), ``page_tables`` (page-table pages that this has
            needed; they are never freed), ``chunks``, ``chunks_current``, ``chunks_released``, and,
            where areas belong to chunks: ``chunks_live`` (neither, with areas), ``chunks_lost``
            (neither, without areas: nothing will look at them again).
        """
        now = self._numbers()
        first, end = self.machine.windows[0]
        chunks = self.chunks()
        quiet = ~chunks.current & ~chunks.released
        return {
            **{name: now[name] for name in ("live_areas", "live_pages", "peak_pages")},
            **{name: now[name] for name in ("lazy_pages", "pooled_areas")},
            "gaps": int(self._lib.vm_gaps(self._space)),
            "largest_gap": int(self._lib.vm_largest(self._space, first, end)),
            "high_water": now["high_water"] - first,
            "touched_high": now["touched_high"] - first,
            "page_tables": now["page_tables"],
            "chunks": len(chunks.base),
            "chunks_current": int(chunks.current.sum()),
            "chunks_released": int(chunks.released.sum()),
            "chunks_live": int((quiet & (chunks.live > 0)).sum()) if self._resident else 0,
            "chunks_lost": int((quiet & (chunks.live == 0)).sum()) if self._resident else 0,
        }

    def chunks(self) -> Chunks:
        """Return every chunk there ever was."""
        count = c_int64()
        words = self._lib.vm_chunks(self.handle, byref(count))
        rows = np.ctypeslib.as_array(words, (count.value, 8))[1:].copy()
        current = np.zeros(count.value, bool)
        current[self._current() + 1] = True
        return Chunks(
            base=rows[:, 0],
            used=rows[:, 1] - rows[:, 0],
            live=rows[:, 2],
            cpu=rows[:, 3],
            served=rows[:, 7],
            released=rows[:, 4] > 0,
            current=current[1:],
        )

    def visits(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return lock visits by node: ``busy``, ``pool``, ``lazy``, each of shape (nodes,)."""
        rows = np.zeros((self.machine.nodes, 3), np.int64)
        self._lib.vm_visits(self.handle, rows.ctypes.data)
        return dict(zip(("busy", "pool", "lazy"), rows.T, strict=True))

    def lazy(self) -> npt.NDArray[np.int64]:
        """Return the first pages of all lazy areas, ascending."""
        parts = [self._list(-1 - node)[:, 0] for node in self._nodes()]
        return np.sort(np.concatenate(parts))

    def state(self) -> dict[str, Any]:
        """Return what can be compared with the reference allocator, in its form."""
        pools = {}
        for number in range(self.machine.nodes * LARGEST_POOLED_PAGES):
            areas = self._list(number)
            if len(areas):
                node, size = divmod(number, LARGEST_POOLED_PAGES)
                pools[node, size + 1] = areas[:, 0].tolist()
        lazy = {node: sorted(self._list(-1 - node)[:, 0].tolist()) for node in self._nodes()}
        chunks = self.chunks()
        columns = (chunks.base, chunks.used, chunks.live, chunks.cpu, chunks.released)
        return {
            "gaps": gaps_at(self._space),
            "pools": pools,
            "lazy": {node: starts for node, starts in lazy.items() if starts},
            "lazy_pages": self._numbers()["lazy_pages"],
            "chunks": list(zip(*(column.tolist() for column in columns), strict=True)),
            "current": self._current().tolist(),
        }

    def check(self) -> None:
        """Verify what must always hold; AssertionError names what does not."""
        wrong = wrong_with(self._space)
        assert wrong is None, wrong
        now = self._numbers()
        areas = np.zeros((self._lib.vm_areas(self.handle, None), 4), np.int64)
        self._lib.vm_areas(self.handle, areas.ctypes.data)
        lazy = [self._list(-1 - node) for node in self._nodes()]
        pooled = sum(len(self._list(p)) for p in range(self.machine.nodes * LARGEST_POOLED_PAGES))
        assert sum(len(one) for one in lazy) == now["lazy_areas"], "lazy areas"
        assert sum(one[:, 1].sum() for one in lazy) == now["lazy_pages"], "lazy pages"
        assert pooled == now["pooled_areas"], "areas in pools"
        in_use = now["live_areas"] + now["lazy_areas"] + pooled
        assert len(areas) == in_use, "every area is live, lazy or in a pool"
        if not now["mixed"] and not self.counters()["released_while_current"]:
            self._check_ranges(areas)  # else ranges may be in use twice

    def _check_ranges(self, areas: npt.NDArray[np.int64]) -> None:
        """Verify that gaps, chunks and ordinary areas are disjoint, and where the others lie."""
        spans = [(start, start + pages) for start, pages in gaps_at(self._space)]
        start, home = areas[:, 0], areas[:, 3]
        end = start + areas[:, 1]
        ordinary = home == 0
        spans += zip(start[ordinary].tolist(), end[ordinary].tolist(), strict=True)
        chunks = self.chunks()
        if self._resident:
            bases = chunks.base[~chunks.released].tolist()
            spans += [(base, base + self._chunk_pages) for base in bases]
        spans.sort()
        for (_, before), (after, _) in pairwise(spans):
            assert before <= after, "ranges overlap"
        base = chunks.base[home[~ordinary] - 1]
        assert (start[~ordinary] >= base).all(), "areas begin in their chunk"
        assert (end[~ordinary] <= base + self._chunk_pages).all(), "areas end in their chunk"

    def _numbers(self) -> dict[str, int]:
        now = self._lib.vm_now(self.handle)
        return {name: now[place] for place, name in enumerate(NUMBERS)}

    def _nodes(self) -> range:
        return range(self.machine.nodes)

    def _current(self) -> npt.NDArray[np.int64]:
        """Place of each CPU's current chunk among all; -1 for none."""
        found = np.zeros(self.machine.cpus, np.int64)
        self._lib.vm_current(self.handle, found.ctypes.data)
        return found

    def _list(self, which: int) -> npt.NDArray[np.int64]:
        """Areas of a list, from its head: a pool's number, or -1 - node for a lazy list."""
        rows = np.zeros((self._lib.vm_list(self.handle, which, None), 4), np.int64)
        self._lib.vm_list(self.handle, which, rows.ctypes.data)
        return rows
