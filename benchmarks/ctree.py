"""Build ``ctree.c``, and call it."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("ctree.c")
FLAGS = ("-O2", "-shared", "-fPIC")


class NoCompilerError(Exception):
    """There is no C tree here; says why, as the reason of a skip."""


def _folder() -> Path:
    build = SOURCE.parents[1] / "_build"
    if os.access(build if build.exists() else build.parent, os.W_OK):
        return build / "benchmarks"
    return Path(tempfile.gettempdir()) / f"vmalloc-model-benchmarks-{os.getuid()}"


@functools.cache
def library() -> ctypes.CDLL:
    """Compile, if this source has not been compiled before, and load.

    Raises
    ------
    NoCompilerError
        If there is no C compiler, or it fails.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NoCompilerError("no C compiler: neither gcc nor cc is in PATH")
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:16]
    target = _folder() / f"ctree-{digest}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}")
        command = [compiler, *FLAGS, os.fspath(SOURCE), "-o", os.fspath(part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoCompilerError(f"{compiler} fails: {done.stderr.strip()[-500:]}")
        part.replace(target)
    return _declare(ctypes.CDLL(os.fspath(target)))


def _array(dtype: type) -> type:
    return np.ctypeslib.ndpointer(dtype, ndim=1, flags="C_CONTIGUOUS")


def _declare(lib: ctypes.CDLL) -> ctypes.CDLL:
    tree, number, small = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    byte, word, address = _array(np.uint8), _array(np.uint32), _array(np.int64)
    for name, result, arguments in (
        ("new", tree, []),
        ("delete", None, [tree]),
        ("reserve", number, [tree, number, small, number, number]),
        ("release", None, [tree, number, number]),
        ("carve", small, [tree, number, number]),
        ("peak_bytes", number, [tree]),
        ("ranges", number, [tree, number, address, address]),
        ("check", small, [tree]),
        (
            "replay",
            ctypes.c_double,
            [tree, number, number, byte, word, byte, word, number, number, number, address],
        ),
    ):
        function = getattr(lib, f"ctree_{name}")
        function.restype, function.argtypes = result, arguments
    return lib


class CTree:
    """Free ranges ``[start, end)`` in pages; one call into C for each operation."""

    def __init__(self, gaps: Iterable[tuple[int, int]]) -> None:
        self._library = library()
        self._tree = self._library.ctree_new()
        for start, end in gaps:
            self.release(start, end - start)

    def __del__(self) -> None:
        if getattr(self, "_tree", None):
            self._library.ctree_delete(self._tree)

    def reserve(self, pages: int, order: int, vstart: int, vend: int) -> int | None:
        """Take `pages` at ``2**order`` from the window; None if the search finds nothing."""
        start = self._library.ctree_reserve(self._tree, pages, order, vstart, vend)
        return None if start < 0 else start

    def release(self, start: int, pages: int) -> None:
        """Give pages back, which must not be free."""
        self._library.ctree_release(self._tree, start, pages)

    def carve(self, start: int, pages: int) -> None:
        """Take exactly these pages, which must be free."""
        if not self._library.ctree_carve(self._tree, start, pages):
            raise ValueError(f"pages {start} to {start + pages} are not all free")

    def gaps(self) -> list[tuple[int, int]]:
        """Return the ranges as (start, pages), ascending."""
        nothing = np.empty(0, np.int64)
        count = self._library.ctree_ranges(self._tree, 0, nothing, nothing)
        starts, ends = np.empty(count, np.int64), np.empty(count, np.int64)
        self._library.ctree_ranges(self._tree, count, starts, ends)
        return list(zip(starts.tolist(), (ends - starts).tolist(), strict=True))

    def valid(self) -> bool:
        """Tell whether colours, order, links and the largest range of each subtree are right."""
        return bool(self._library.ctree_check(self._tree))

    def peak_bytes(self) -> int:
        """Return the bytes of as many nodes as there ever were at once."""
        return self._library.ctree_peak_bytes(self._tree)

    def replay(self, ops, pages, order, slot, slots, vstart, vend, skip=0):
        """Replay events in one call; return their addresses, and the seconds after `skip`."""
        columns = [
            np.ascontiguousarray(column, dtype)
            for column, dtype in (
                (ops, np.uint8),
                (pages, np.uint32),
                (order, np.uint8),
                (slot, np.uint32),
            )
        ]
        addresses = np.empty(len(ops), np.int64)
        seconds = self._library.ctree_replay(
            self._tree, len(ops), skip, *columns, slots, vstart, vend, addresses
        )
        if seconds < 0:
            raise ValueError("an operation is neither 1 nor 2, or a slot is out of range")
        return addresses, seconds


def replay(ops, pages, order, slot, slots, gaps, vstart, vend, skip=0):
    """Replay events on a fresh tree: ``(addresses, seconds)``."""
    return CTree(gaps).replay(ops, pages, order, slot, slots, vstart, vend, skip)
