"""Chapter *Edges*: the same chunk with pages of 4, 16 and 64 KiB."""

from __future__ import annotations

from typing import Final

import polars as pl

from vmalloc_model.allocator.machine import LARGEST_POOLED_PAGES, machine_of
from vmalloc_model.callers import load_callers
from vmalloc_model.constraints import backpointer_bytes
from vmalloc_model.experiments import edges
from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.sweep import sweep
from vmalloc_model.units import KIB, count_text, share_text, size_text

__all__ = ["PLATFORMS", "pages_shown", "pages_table", "say_pages"]

PLATFORMS: Final = ("arm64-48bit-4k", "arm64-48bit-16k", "arm64-48bit-64k")
"""One architecture and address width with all three page sizes."""

_PAYLOAD: Final = 64 * KIB
_GUARD: Final = 1


def pages_table(chunk_size: int) -> pl.DataFrame:
    """Tell what a chunk of one size is with each page size.

    Returns
    -------
    polars.DataFrame
        One row for each of `PLATFORMS`: ``platform``, ``page_size``; ``chunk_pages``; ``guard``
        (share of the guard page in a request for 64 KiB); ``small``, ``middle``, ``stacks``,
        ``blocks``: requests that one chunk serves, for one page, 64 KiB, a kernel stack and a
        block of vm_map_ram (0: not eligible); in bytes: ``stack`` (with guard), ``stride`` (of
        stacks), ``block``, ``pooled`` (largest area with a pool), ``largest`` (eligible payload),
        ``region`` (that one page-table page maps), ``pointers`` (back-pointers); ``slots`` (chunks
        in the range).
    """
    rows = []
    for id in PLATFORMS:
        platform = find_platform(id)
        page = platform.page_size
        stack, align = _stack(platform)
        block = machine_of(platform, 1, chunk_size=chunk_size).block_pages
        requests = {
            "small": (1 + _GUARD, 1),
            "middle": (-(-_PAYLOAD // page) + _GUARD, 1),
            "stacks": (stack // page, align // page),
            "blocks": (block, block),
        }
        points = [
            {
                "platform": id,
                "policy": "rfc12",
                "cpus": 1,
                "chunk_size": chunk_size,
                "pages": pages,
                "order": aligned.bit_length() - 1,
            }
            for pages, aligned in requests.values()
        ]
        found = sweep(edges.filled, points, inputs=edges.inputs)
        rows.append(
            {
                "platform": id,
                "page_size": page,
                "chunk_pages": chunk_size // page,
                "guard": _GUARD / requests["middle"][0],
                **{name: told["areas"] for name, told in zip(requests, found, strict=True)},
                "stack": stack,
                "stride": -(-stack // align) * align,
                "block": block * page,
                "pooled": LARGEST_POOLED_PAGES * page,
                "largest": chunk_size // 2 - _GUARD * page,
                "region": page * (page // platform.pointer_size),
                "pointers": int(backpointer_bytes(chunk_size, page, platform.pointer_size)),
                "slots": platform.slots(chunk_size),
            }
        )
    return pl.DataFrame(rows)


def _stack(platform: Platform) -> tuple[int, int]:
    """Bytes of a kernel stack with its guard page, and of its alignment."""
    suffix = "-64k" if platform.page_size == 64 * KIB else ""
    row = load_callers().filter(id=f"stack-{platform.arch}{suffix}").row(0, named=True)
    return int(row["payload"]) + _GUARD * platform.page_size, int(row["align"])


_ROWS: Final = {
    "chunk_pages": ("pages in a chunk", count_text),
    "small": ("requests of one page for each refill", count_text),
    "guard": ("guard page in a request for 64 KiB", share_text),
    "middle": ("requests of 64 KiB for each refill", count_text),
    "stack": ("kernel stack with guard page", size_text),
    "stride": ("distance of two stacks in a chunk", size_text),
    "stacks": ("stacks for each refill", count_text),
    "block": ("block of vm_map_ram", size_text),
    "blocks": ("blocks for each refill", count_text),
    "largest": ("largest eligible payload", size_text),
    "pooled": ("largest area with a node pool", size_text),
    "region": ("one page-table page maps", size_text),
    "pointers": ("back-pointers of a chunk, from 11/12 on", size_text),
    "slots": ("chunks in the range", count_text),
}
"""Column of `pages_table` -> its words, and how a value prints."""


def pages_shown(table: pl.DataFrame) -> pl.DataFrame:
    """Print `pages_table`, a column for each page size: ``quantity``, ``4 KiB``, ..."""
    columns = {"quantity": [words for words, _ in _ROWS.values()]}
    for row in table.iter_rows(named=True):
        columns[size_text(row["page_size"])] = [
            text(row[name]) for name, (_, text) in _ROWS.items()
        ]
    return pl.DataFrame(columns)


def say_pages(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-edges-pages``: what larger pages do to amortisation."""
    first, *_, last = table.iter_rows(named=True)
    small, large = size_text(first["page_size"]), size_text(last["page_size"])
    text = (
        f"A chunk of {size_text(chunk_size)} with larger pages. From {small} to {large} pages a "
        f"refill serves {count_text(first['small'] / last['small'])} times fewer requests of one "
        f"page, and {first['stacks'] / max(last['stacks'], 1):.3g} times fewer stacks; the array "
        f"of back-pointers shrinks {count_text(first['pointers'] / last['pointers'])} times."
    )
    rows = table.iter_rows(named=True)
    refused = [size_text(row["page_size"]) for row in rows if not row["blocks"]]
    if refused:
        return f"{text} Blocks of vm_map_ram are not eligible with pages of {listed(refused)}."
    return f"{text} Blocks of vm_map_ram stay eligible, {count_text(last['blocks'])} a chunk."
