"""Chapter *Concurrent orders*: the descriptor of a chunk, and where its allocation can end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.constraints.cost import backpointer_bytes
from vmalloc_model.interleavings.recursion import Nesting, nesting
from vmalloc_model.platforms import find_platform
from vmalloc_model.units import count_text, pages_for, size_text

__all__ = ["recursion_table", "say_recursion"]

_GUARD: Final = 1

_SMALL: Final = 2
"""Pages of the smallest ordinary request: one page, and its guard page."""


def _head(pointer_size: int) -> int:
    """Bytes of ``struct vmap_bump_chunk`` of 12/12 before the array.

    Three longs, two ints, and a list and an RCU head of two pointers each.
    """
    return 7 * pointer_size + 8


def recursion_table(platforms: Sequence[str], chunk_size: int) -> pl.DataFrame:
    """Follow the smallest request that starts a refill while the slab fails.

    Parameters
    ----------
    platforms : sequence of str
    chunk_size : int
        Bytes.

    Returns
    -------
    polars.DataFrame
        ``platform``; ``descriptor`` in bytes; ``order`` of the slab's pages for it; ``pages`` that
        vmalloc takes for it, guard page included (0: it never does); ``depth``: calls of
        ``alloc_vmap_area`` inside each other until they repeat or end; ``end``: text.
    """
    rows = []
    for name in platforms:
        platform = find_platform(name)
        size = _head(platform.pointer_size) + int(
            backpointer_bytes(chunk_size, platform.page_size, platform.pointer_size)
        )
        taken = int(pages_for(size, platform.page_size))
        pages = taken + _GUARD if size > platform.page_size else 0
        found = _nested(pages)
        rows.append(
            {
                "platform": name,
                "descriptor": size,
                "order": (taken - 1).bit_length(),
                "pages": pages,
                "depth": len(found.calls),
                "end": "no end: the last call is the one before it"
                if found.endless
                else "never asks vmalloc",
            }
        )
    return pl.DataFrame(rows)


def _nested(pages: int) -> Nesting:
    """Start with a chunk that has one page left, which no request fits into."""
    return nesting(_SMALL, _SMALL - 1, pages, kmalloc_fails=True)


def say_recursion(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption: where it does not end, and where it cannot begin."""
    endless, never = (
        [
            f"{row['platform']} ({count_text(row['descriptor'])} bytes, order {row['order']})"
            for row in table.iter_rows(named=True)
            if (row["pages"] > 0) == begins
        ]
        for begins in (True, False)
    )
    text = (
        f"A refill from 11/12 on, with chunks of {size_text(chunk_size)}, while the slab cannot "
        "serve the chunk's descriptor. "
    )
    if endless:
        text += (
            "`kvzalloc()` turns to vmalloc, and that request finds the chunk as it was: "
            f"it asks for a refill in turn, and so on without end: {', '.join(endless)}. "
        )
    if never:
        text += (
            "The descriptor fits in a page, for which `kvzalloc()` has no fallback: "
            f"{', '.join(never)}. "
        )
    return text + "A reading of the code, not a run of it."
