"""Chapter *Leaks and exhaustion*: the memory that goes with chunks, computed and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.constraints import backpointer_bytes, page_table_bytes
from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.studies.growth_measured import Measured, repeated
from vmalloc_model.units import count_text, power_of_two_at_least, size_text

__all__ = [
    "descriptor_bytes",
    "memory_table",
    "say_measured",
    "say_memory",
    "say_report",
    "shown_memory",
]

REPORTED_TABLES: Final = 610_948
REPORTED_ON: Final = "x86_64-4level"
"""Page-table pages of the whole machine when ``test_vmalloc.sh`` had run into a panic on 64-bit
x86 with the series. Source: Uladzislau Rezki, ai5RL6QNKJJMo6Fl@pc636, line ``pagetables``."""


def descriptor_bytes(chunk_size: int, platform: Platform) -> int:
    """Memory that kmalloc takes for the descriptor of one chunk, from 11/12 on.

    Above its largest cache kmalloc takes whole powers of two of pages. When memory is fragmented
    ``kvzalloc`` takes single pages through vmalloc instead; then it is less.
    """
    head = int(Evidence().fact("descriptor", "bytes_before_array"))
    array = int(backpointer_bytes(chunk_size, platform.page_size, platform.pointer_size))
    return int(power_of_two_at_least(array + head))


def memory_table(platforms: Sequence[str], chunk_size: int) -> pl.DataFrame:
    """Tell what memory goes with chunks, each and for a whole range (``tab-leaks-memory``).

    Returns
    -------
    polars.DataFrame
        ``platform``, ``range``, ``chunks`` (that fit the range); for one chunk ``tables`` (page
        tables of the lowest level), ``taken`` (by kmalloc for its descriptor), ``order`` (of that
        many pages); for the range ``tables_all`` and ``all`` (tables and
        descriptors). Sizes in bytes.
    """
    rows = []
    for name in platforms:
        one = find_platform(name)
        chunks = one.slots(chunk_size)
        shape = (one.page_size, one.pointer_size, one.entry_copies)
        tables = int(page_table_bytes(chunk_size, *shape))
        taken = descriptor_bytes(chunk_size, one)
        order = max(taken // one.page_size, 1).bit_length() - 1
        rows.append(
            (
                name,
                one.usable_size,
                chunks,
                tables,
                taken,
                order,
                tables * chunks,
                (tables + taken) * chunks,
            )
        )
    names = ["platform", "range", "chunks", "tables", "taken", "order", "tables_all", "all"]
    return pl.DataFrame(rows, schema=names, orient="row")


def shown_memory(table: pl.DataFrame) -> pl.DataFrame:
    """Print `memory_table`."""
    sizes = ("range", "tables", "taken", "tables_all", "all")
    return table.select(
        pl.col(name).map_elements(size_text, pl.String) if name in sizes else pl.col(name)
        for name in table.columns
    )


def say_memory(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-leaks-memory``: whether memory or the range ends first."""
    words = [
        f"{row['platform']} with less than {size_text(row['tables_all'])} (10/12) or "
        f"{size_text(row['all'])} (from 11/12)"
        for row in table.iter_rows(named=True)
    ]
    return (
        f"Memory that goes with chunks of {size_text(chunk_size)}: page tables of the lowest level "
        "once all of a chunk was mapped, and the descriptor from 11/12 on, as kmalloc rounds it, "
        "of one chunk and of *all* that fit the range. If every chunk is lost, "
        "memory ends before the range does on machines of "
        f"{'; '.join(words)}."
    )


def say_measured(measured: Measured) -> str:
    """Word the memory per refill: measured on a kernel, in the model, by arithmetic."""
    model = repeated(measured, measured.policy)
    one = find_platform(measured.platform)
    tables = model.measures["page_tables"] * one.page_size / max(model.counters["refills"], 1)
    whole = int(page_table_bytes(measured.chunk_size, one.page_size, one.pointer_size))
    return (
        f"MEASURED: {size_text(measured.memory / measured.refills)} of memory per refill, over "
        f"{count_text(measured.refills)} refills. MODEL: {size_text(tables)} of page tables. A "
        f"chunk that is mapped to its end needs {size_text(whole)}."
    )


def say_report(chunk_size: int) -> str:
    """Word the number of page-table pages in the report of June 2026, and what they could map."""
    one = find_platform(REPORTED_ON)
    entries = one.page_size // one.pointer_size
    mapped = REPORTED_TABLES * entries * one.page_size
    return (
        f"{count_text(REPORTED_TABLES)} pages are {size_text(REPORTED_TABLES * one.page_size)}; if "
        f"all were of the lowest level and vmalloc's, they would map up to {size_text(mapped)}, "
        f"{count_text(mapped // chunk_size)} chunks"
    )
