"""Compiled functions: numba, with a cache on disk that follows the sources of all of them.

Numba's own cache looks at the file of a function alone and would go on using machine code whose
callees, in other files, have changed since. Here the cache folder is named by a digest of every
source with compiled code, so a change anywhere starts afresh.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numba

from vmalloc_model.caches import cache_folder

__all__ = ["CACHE", "compiled"]

_PACKAGE: Final = Path(__file__).resolve().parent
_ROOMS: Final = ("workloads", "occupancy", "contention")


def _sources() -> list[Path]:
    rooms = [path for room in _ROOMS for path in (_PACKAGE / room).rglob("*.py")]
    return [Path(__file__).resolve(), _PACKAGE / "events.py", *sorted(rooms)]


def _digest() -> str:
    parts = hashlib.sha256()
    for word in (numba.__version__, sys.version, os.environ.get("NUMBA_BOUNDSCHECK", "")):
        parts.update(word.encode() + b"\0")
    for source in _sources():
        parts.update(source.relative_to(_PACKAGE).as_posix().encode() + b"\0")
        parts.update(source.read_bytes() + b"\0")
    return parts.hexdigest()[:16]


CACHE: Final = cache_folder("numba") / _digest()
"""Where the machine code of these sources is kept."""

numba.config.CACHE_DIR = os.fspath(CACHE)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call and keep the machine code on disk.

    It runs without the interpreter's lock, so threads run side by side.
    Arithmetic is that of numpy: integers wrap, a division by zero does not raise. With
    ``NUMBA_BOUNDSCHECK=1`` every index is checked.
    """
    result: _Function = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return result
