"""The compiled free spaces behind the same interface as their plain twins.

The code is ``vmalloc_model/native/space.c`` with ``index.c`` (gaps in sorted blocks) and ``tree.c``
(the shape of mainline's tree).
"""

from __future__ import annotations

import ctypes
import time
import weakref
from collections.abc import Iterable
from ctypes import c_char_p, c_int, c_int64, c_void_p
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.freespace.reference import check_pages
from vmalloc_model.native import library

__all__ = ["RULES", "FastFreeSpace", "bench_replay", "gaps_at", "wrong_with"]

RULES: Final = {"rbtree": 0, "gaps": 1}
"""Kinds of compiled free space, and the engine's number for their rule."""

_NOTHING: Final = -1


@cache
def _functions() -> ctypes.CDLL:
    lib = library()
    word, space = c_int64, c_void_p
    for name, result, arguments in (
        ("vm_space_new", space, (c_int,)),
        ("vm_space_free", None, (space,)),
        ("vm_reserve", word, (space, word, word, word, word)),
        ("vm_carve", c_int, (space, word, word)),
        ("vm_release", c_int, (space, word, word)),
        ("vm_release_over", word, (space, word, word)),
        ("vm_top_down", word, (space, word, c_void_p, c_void_p, word, word, word)),
        ("vm_largest", word, (space, word, word)),
        ("vm_gaps", word, (space,)),
        ("vm_levels", word, (space,)),
        ("vm_list_gaps", None, (space, c_void_p)),
        ("vm_list_shape", None, (space, c_void_p)),
        ("vm_space_wrong", c_char_p, (space,)),
        ("vm_space_bytes", word, (space,)),
        ("vm_replay", None, (space, word, *[c_void_p] * 6, word, word)),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class FastFreeSpace:
    """Free space in compiled code.

    Parameters
    ----------
    kind : {"rbtree", "gaps"}
        Mainline's tree, or a gap finder.
    gaps : iterable of (int, int)
        Free ranges ``[start, end)`` in pages, added in this order.
    """

    def __init__(self, kind: str, gaps: Iterable[tuple[int, int]]) -> None:
        self._lib = _functions()
        self._space = self._lib.vm_space_new(RULES[kind])
        weakref.finalize(self, self._lib.vm_space_free, self._space)
        for start, end in gaps:
            self.release(start, end - start)

    def reserve(self, pages: int, order: int, vstart: int, vend: int) -> int | None:
        """Find room in a window and take it; None if there is none."""
        check_pages(pages)
        return _found(self._lib.vm_reserve(self._space, pages, order, vstart, vend))

    def carve(self, start: int, pages: int) -> None:
        """Take exactly this range; ValueError if it is not wholly free."""
        check_pages(pages)
        if not self._lib.vm_carve(self._space, start, pages):
            raise ValueError(f"[{start:#x}, {start + pages:#x}) is not wholly free")

    def release(self, start: int, pages: int) -> None:
        """Give a range back; ValueError if part of it is free already."""
        check_pages(pages)
        if not self._lib.vm_release(self._space, start, pages):
            raise ValueError(f"part of [{start:#x}, {start + pages:#x}) is free already")

    def release_over(self, start: int, pages: int) -> int:
        """Make a range free; return how many of its pages were."""
        check_pages(pages)
        return int(self._lib.vm_release_over(self._space, start, pages))

    def top_down(
        self, offsets: Iterable[int], sizes: Iterable[int], order: int, vstart: int, vend: int
    ) -> int | None:
        """Take per-CPU areas from the top; the base, or None."""
        areas = [np.array(list(words), np.int64) for words in (offsets, sizes)]
        pointers = [words.ctypes.data for words in areas]
        base = self._lib.vm_top_down(self._space, len(areas[0]), *pointers, order, vstart, vend)
        return _found(base)

    def gaps(self) -> list[tuple[int, int]]:
        """List start and pages of every gap, ascending."""
        return gaps_at(self._space)

    def largest(self, vstart: int, vend: int) -> int:
        """Pages of the largest gap within a window."""
        return int(self._lib.vm_largest(self._space, vstart, vend))

    def shape(self) -> list[tuple[int, int, int, bool]]:
        """List depth, start, pages and colour of the tree's nodes in preorder."""
        rows = np.zeros((self._lib.vm_gaps(self._space), 4), np.int64)
        self._lib.vm_list_shape(self._space, rows.ctypes.data)
        return [(depth, start, pages, bool(red)) for depth, start, pages, red in rows.tolist()]

    def levels(self) -> int:
        """Levels of blocks in the index; 1 when it is a single leaf."""
        return int(self._lib.vm_levels(self._space))

    def held(self) -> int:
        """Bytes of the blocks and nodes in use."""
        return int(self._lib.vm_space_bytes(self._space))

    def check(self) -> None:
        """Verify every invariant of index and tree; AssertionError names a broken one."""
        wrong = wrong_with(self._space)
        assert wrong is None, wrong


def _found(page: int) -> int | None:
    return None if page == _NOTHING else int(page)


def gaps_at(space: Any) -> list[tuple[int, int]]:
    """List start and pages of every gap of an engine's free space, ascending."""
    lib = _functions()
    rows = np.zeros((lib.vm_gaps(space), 2), np.int64)
    lib.vm_list_gaps(space, rows.ctypes.data)
    return [(start, pages) for start, pages in rows.tolist()]


def wrong_with(space: Any) -> str | None:
    """Name what is wrong with an engine's free space; None if nothing is."""
    wrong = _functions().vm_space_wrong(space)
    return None if wrong is None else wrong.decode()


def bench_replay(
    kind: str,
    ops: npt.NDArray[np.uint8],
    pages: npt.NDArray[np.uint32],
    order: npt.NDArray[np.uint8],
    slot: npt.NDArray[np.uint32],
    slots: int,
    skip: int,
    vstart: int,
    vend: int,
) -> tuple[npt.NDArray[np.int64], float, int]:
    """Replay allocations and frees on a free space; for benchmarks and tests.

    Parameters
    ----------
    kind : {"rbtree", "gaps"}
    ops, pages, order, slot : ndarray, shape (n,)
        1 allocates, anything else frees ``slot``.
    slots : int
        Above every slot.
    skip : int
        Leading events that are not timed.
    vstart, vend : int
        Window in pages.

    Returns
    -------
    addresses : ndarray of int64, shape (n,)
        First page of the area allocated or freed; -1 for what found no room.
    seconds : float
        Time of the events behind `skip`.
    held : int
        Bytes of the free space at the end.
    """
    lib = _functions()
    space = FastFreeSpace(kind, [(1, (1 << 52) - 1)])
    out = np.full(len(ops), _NOTHING, np.int64)
    area = np.zeros((slots, 2), np.int64)
    columns = [
        np.ascontiguousarray(column, dtype)
        for column, dtype in ((ops, "u1"), (pages, "u4"), (order, "u1"), (slot, "u4"))
    ]
    seconds = 0.0
    for first, stop in ((0, skip), (skip, len(ops))):
        pointers = [column[first:].ctypes.data for column in columns]
        begun = time.perf_counter()
        lib.vm_replay(
            space._space,
            stop - first,
            *pointers,
            area.ctypes.data,
            out[first:].ctypes.data,
            vstart,
            vend,
        )
        seconds = time.perf_counter() - begun
    return out, seconds, space.held()
