"""The Summary's table of the three arguments: each number as stated and as checked."""

from __future__ import annotations

from typing import Final

import polars as pl

from vmalloc_model.callers import load_callers
from vmalloc_model.claims.claim import percent_text
from vmalloc_model.constraints import (
    allocations_per_refill,
    backpointer_bytes,
    backpointer_share,
    doubling_gain,
    largest_eligible,
    reserved,
    reserved_share,
    smallest_power_of_two_chunk,
)
from vmalloc_model.platforms import load_platforms
from vmalloc_model.premises import Premises, load_premises
from vmalloc_model.studies.answer import Reading, largest_of_modules
from vmalloc_model.units import count_text, share_text, size_text

__all__ = ["three_arguments"]

_Row = tuple[str, ...]
_NAMES: Final = ("quantity", "mail", "stated", "checked", "moved_by")
_SECTION: Final = "module-section"


def three_arguments(reading: Reading) -> pl.DataFrame:
    """Compute the numbers of the three arguments: from the mail's premises and from sourced ones.

    Returns
    -------
    polars.DataFrame
        quantity (with its argument), mail (as the mail prints it), stated and checked (computed, as
        text), moved_by (the premise that makes the difference with its source, or "none").
    """
    both = load_premises()
    stated, checked = both["as-stated"], both["as-checked"]
    rows = [
        *_coverage_rows(stated, checked, reading),
        *_amortisation_rows(stated, checked, reading),
        *_cost_rows(stated, checked, reading),
        *_metadata_rows(stated, reading),
    ]
    return pl.DataFrame([_shown(row) for row in rows], schema=list(_NAMES), orient="row")


def _shown(row: _Row) -> _Row:
    """Join argument and quantity, and premise and source; drop the premise that moves nothing."""
    argument, quantity, mail, stated, checked, premise, source = row
    moved = f"{premise} ({source})" if stated != checked else "none"
    return f"{argument}: {quantity}", mail, stated, checked, moved


def _sides(stated: Premises, reading: Reading) -> tuple[tuple[tuple[int, int], ...], str]:
    """Page size and guard pages of both sides, and what the difference is called."""
    sides = (stated.page_size, stated.guard_pages), (reading.page_size, reading.guard_pages)
    same = stated.page_size == reading.page_size
    return sides, "guard page" if same else "guard page, page size"


def _coverage_rows(stated: Premises, checked: Premises, reading: Reading) -> list[_Row]:
    asked, chunk = stated.largest_request or 1, stated.chunk_size
    file, section = largest_of_modules()
    sides, premise = _sides(stated, reading)
    guarded = checked.premises["guard_pages"].place
    modules = checked.premises["largest_request"].place
    return [
        (
            "1 coverage",
            f"chunk for {size_text(asked)}",
            "64 MB",
            *(
                size_text(int(smallest_power_of_two_chunk(asked, page, guard)))
                for page, guard in sides
            ),
            premise,
            guarded,
        ),
        (
            "1 coverage",
            "largest eligible request",
            "32 MB",
            *(size_text(int(largest_eligible(chunk, page, guard))) for page, guard in sides),
            premise,
            guarded,
        ),
        (
            "1 coverage",
            "module sections in the range",
            "yes",
            _yes(stated.modules_in_window),
            _sections_inside(reading.machine.arch),
            "window",
            f"data/callers.csv: {_SECTION}",
        ),
        (
            "1 coverage",
            "largest request for a module",
            "up to ~32 MB",
            size_text(asked),
            f"{size_text(section)} (section), {size_text(file)} (file)",
            "module size",
            modules,
        ),
    ]


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _sections_inside(arch: str) -> str:
    """Whether module sections are asked for in the standard range on an architecture."""
    rows = load_callers().filter(pl.col("id") == _SECTION)
    window = str(rows[f"window_{arch}"].item())
    if window == "standard":
        return _yes(True)  # no architecture behind it: it is what the mail says
    return f"{'only after their own' if window == 'fallback' else 'no'} ({arch})"


def _amortisation_rows(stated: Premises, checked: Premises, reading: Reading) -> list[_Row]:
    chunk = stated.chunk_size
    sides, premise = _sides(stated, reading)
    guarded = checked.premises["guard_pages"].place
    means = ((stated.small_mean, "~16,000"), (stated.large_mean, "~64"))
    return [
        *(
            (
                "2 amortisation",
                f"allocations per refill at {size_text(mean)}",
                mail,
                *(
                    count_text(int(allocations_per_refill(chunk, mean, page, guard)))
                    for page, guard in sides
                ),
                premise,
                guarded,
            )
            for mean, mail in means
        ),
        *(
            (
                "2 amortisation",
                f"visits saved per 1,000 by doubling, at {size_text(mean)}",
                '"barely"',
                *(
                    f"{1000 * float(doubling_gain(chunk, mean, page, guard).saved):.3g}"
                    for page, guard in sides
                ),
                premise,
                guarded,
            )
            for mean, _ in means
        ),
    ]


def _cost_rows(stated: Premises, checked: Premises, reading: Reading) -> list[_Row]:
    machine, cpus = reading.machine, stated.cpus
    ranges = (stated.x86_64_range, machine.size)
    wide = [p for p in load_platforms().values() if p.arch == "arm64" and p.va_bits == 52]
    arm = sorted(p.size for p in wide)
    place = f"data/platforms.csv: {machine.id}"
    arm_place = checked.premises["arm64_52_range"].place
    held = size_text(int(reserved(stated.chunk_size, cpus)))
    return [
        (
            "3 address space",
            f"range of the server with {cpus} CPUs",
            "128 GB",
            *map(size_text, ranges),
            "range",
            place,
        ),
        ("3 address space", f"held by {cpus} CPUs", "2 GB", held, held, "none", "arithmetic"),
        *(
            (
                "3 address space",
                f"share with chunks of {size_text(chunk)}",
                mail,
                *(percent_text(float(reserved_share(chunk, cpus, size))) for size in ranges),
                "range",
                place,
            )
            for chunk, mail in ((stated.chunk_size, "1.6 %"), (stated.doubled_chunk_size, "3.2 %"))
        ),
        (
            "3 address space",
            "arm64 range, 52 bits",
            "256 PB",
            size_text(stated.arm64_52_range),
            f"{size_text(arm[0])} to {size_text(arm[-1])}",
            "range",
            arm_place,
        ),
        (
            "3 address space",
            f"share there with {cpus} CPUs",
            "negligible",
            percent_text(float(reserved_share(stated.chunk_size, cpus, stated.arm64_52_range))),
            f"at most {percent_text(float(reserved_share(stated.chunk_size, cpus, arm[0])))}",
            "range",
            arm_place,
        ),
    ]


def _metadata_rows(stated: Premises, reading: Reading) -> list[_Row]:
    kinds = sorted({(p.page_size, p.pointer_size) for p in load_platforms().values()})
    shares = [float(backpointer_share(page, pointer)) for page, pointer in kinds]
    pointer = stated.pointer_size
    return [
        (
            "metadata",
            "array of a chunk",
            "128 KB",
            size_text(int(backpointer_bytes(stated.chunk_size, stated.page_size, pointer))),
            size_text(int(backpointer_bytes(stated.chunk_size, reading.page_size, pointer))),
            "page size",
            "the array itself comes with 11/12",
        ),
        (
            "metadata",
            "share of the chunk",
            "0.2 %",
            share_text(float(backpointer_share(stated.page_size, pointer))),
            f"{share_text(min(shares))} to {share_text(max(shares))}",
            "page size, pointer size",
            "data/platforms.csv",
        ),
    ]
