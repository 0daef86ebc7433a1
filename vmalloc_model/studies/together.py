"""All three arguments together: which chunk sizes satisfy them, platform by platform.

The mail bounds the chunk from below by one request that must fit. It names no number of allocations
that is enough and no share of the range that is too much, so both are parameters of ours
(`Criteria`) and every sentence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from vmalloc_model.callers import load_modules
from vmalloc_model.constraints import (
    FeasibleInterval,
    feasible_interval,
    feasible_powers_of_two,
)
from vmalloc_model.platforms import Platform
from vmalloc_model.premises import load_premises
from vmalloc_model.studies.platform_rows import chosen, end_text, listed, range_text
from vmalloc_model.units import cpus_text, share_text, size_text

__all__ = [
    "MAXIMUM",
    "Criteria",
    "feasible",
    "feasible_summary",
    "largest_file",
    "powers_text",
    "say_feasible",
    "say_low_end",
]

MAXIMUM: Final = "NR_CPUS maximum"
"""Name of the machine with the most CPUs that Kconfig accepts."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What the report asks of a chunk where the mail gives no number, and of whom.

    Attributes
    ----------
    min_allocations : int
        Allocations of `mean_size` that one refill must serve.
    mean_size : int
        Payload in bytes, without guard.
    budget : float
        Share of the range that one chunk on every CPU may take.
    cpus : int
        CPUs that hold a chunk.
    guard_pages : int
        Pages behind each area.
    """

    min_allocations: int
    mean_size: int
    budget: float
    cpus: int
    guard_pages: int = 1

    def interval(
        self, payload: int, page_size: int, cpus: int, range_size: int, guard_pages: int
    ) -> FeasibleInterval:
        """Chunk sizes that cover `payload` (bytes) and meet the criteria on one machine."""
        return feasible_interval(
            payload,
            page_size,
            guard_pages,
            self.mean_size,
            self.min_allocations,
            self.budget,
            cpus,
            range_size,
        )


def largest_file() -> int:
    """Size in bytes of the largest ``.ko`` file of ``data/modules-*.csv``.

    Reading it is the one request of the module loader that uses the standard window on every
    architecture (``data/callers.csv``, ``module-file``), so it stands for "module loads" here.
    """
    return int(load_modules()["file_bytes"].to_numpy().max())


def feasible(ids: Sequence[str] | None, criteria: Criteria, chunk_size: int) -> pl.DataFrame:
    """Intervals of feasible chunk sizes: the mail's two ranges, then real platforms.

    Parameters
    ----------
    ids : sequence of str or None
        Platform ids, None for all.
    criteria : Criteria
        `criteria.cpus` is lowered to the maximum of NR_CPUS where that is less.
    chunk_size : int
        Bytes; the size that is judged.

    Returns
    -------
    polars.DataFrame
        label, premises ("as stated" or "as checked"), machine (CPUs in words, or `MAXIMUM`), cpus,
        range, page_size, payload (bytes that must fit), coverage and amortisation (lower bounds),
        low, high (bytes, both included), empty, smallest_power, largest_power (bytes, 0 for none),
        powers (how many), too_small and too_large (whether `chunk_size` is below low, above high).
    """
    stated = load_premises()["as-stated"]
    payload = stated.largest_request
    assert payload is not None
    rows = [
        _row(
            f"{arch}, in the mail",
            "as stated",
            cpus_text(stated.cpus),
            stated.cpus,
            size_text(size),
            stated.page_size,
            payload,
            criteria.interval(payload, stated.page_size, stated.cpus, size, stated.guard_pages),
            chunk_size,
        )
        for arch, size in (("x86_64", stated.x86_64_range), ("arm64", stated.arm64_52_range))
    ]
    payload = largest_file()
    for one in chosen(ids):
        for machine, cpus in _machines(one, criteria.cpus):
            interval = criteria.interval(
                payload, one.page_size, cpus, one.size, criteria.guard_pages
            )
            rows.append(
                _row(
                    one.id,
                    "as checked",
                    machine,
                    cpus,
                    range_text(one),
                    one.page_size,
                    payload,
                    interval,
                    chunk_size,
                )
            )
    return pl.DataFrame(rows)


def _machines(platform: Platform, cpus: int) -> list[tuple[str, int]]:
    return [
        (cpus_text(cpus), min(cpus, platform.nr_cpus_max)),
        (MAXIMUM, platform.nr_cpus_max),
    ]


def _row(
    label: str,
    premises: str,
    machine: str,
    cpus: int,
    range_: str,
    page_size: int,
    payload: int,
    interval: FeasibleInterval,
    chunk_size: int,
) -> dict[str, Any]:
    low, high = int(interval.low), int(interval.high)
    powers = feasible_powers_of_two(low, high)
    return {
        "label": label,
        "premises": premises,
        "machine": machine,
        "cpus": cpus,
        "range": range_,
        "page_size": page_size,
        "payload": payload,
        "coverage": int(interval.coverage),
        "amortisation": int(interval.amortisation),
        "low": low,
        "high": high,
        "low_text": end_text(low),
        "high_text": end_text(high),
        "empty": bool(interval.empty),
        "smallest_power": int(powers.smallest),
        "largest_power": int(powers.largest),
        "powers": int(powers.number),
        "powers_text": powers_text(low, high),
        "too_small": chunk_size < low,
        "too_large": chunk_size > high,
    }


def powers_text(low: int, high: int) -> str:
    """Word the powers of two in ``[low, high]``, sizes in bytes.

    Examples
    --------
    >>> powers_text(50 << 20, 80 << 20), powers_text(65 << 20, 80 << 20)
    ('64 MiB', 'none')
    >>> powers_text(50 << 20, 600 << 20)
    '64 MiB to 512 MiB (4)'
    """
    found = feasible_powers_of_two(low, high)
    count, smallest, largest = int(found.number), int(found.smallest), int(found.largest)
    if count == 0:
        return "none"
    if count == 1:
        return size_text(smallest)
    return f"{size_text(smallest)} to {size_text(largest)} ({count})"


def feasible_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Reduce `feasible` to its ends and the powers of two between them."""
    return table.select(
        "label", "machine", "range", low="low_text", high="high_text", powers_of_two="powers_text"
    )


def say_low_end(table: pl.DataFrame) -> str:
    """Word which argument sets the low end where."""
    real = table.filter(pl.col("premises") == "as checked").unique("label", maintain_order=True)
    refills = real.filter(pl.col("amortisation") > pl.col("coverage"))
    if refills.is_empty():
        return "The low end is set by the largest request on every platform shown."
    pages = sorted(set(refills["page_size"].to_list()))
    names = listed(refills["label"].to_list())
    return (
        f"On {names} ({listed([size_text(page) for page in pages])} pages) the low end is set by "
        "the refills, that is by a criterion of ours"
        + (
            "; on the other platforms by the largest request."
            if refills.height < real.height
            else "."
        )
    )


def say_feasible(table: pl.DataFrame, criteria: Criteria, chunk_size: int) -> str:
    """Word what `feasible` shows, with the criteria it depends on."""
    real = table.filter(pl.col("premises") == "as checked")
    parts = [
        f"With {machine}, {_say_machine(rows, chunk_size)}."
        for (machine,), rows in real.group_by("machine", maintain_order=True)
    ]
    mail = table.filter(pl.col("premises") == "as stated").row(0, named=True)
    return (
        f"If at least {criteria.min_allocations:,} allocations of {size_text(criteria.mean_size)} "
        f"per refill are enough and {share_text(criteria.budget)} of the range is not too much: "
        + " ".join(part[0].lower() + part[1:] if not n else part for n, part in enumerate(parts))
        + f" From the mail's premises for x86_64, the powers of two are: {mail['powers_text']}."
    )


def _say_machine(rows: pl.DataFrame, chunk_size: int) -> str:
    """Sort the platforms of one machine, each into one class: met, larger, smaller, no size."""
    some = rows.filter(~pl.col("empty"))
    larger, smaller = int(some["too_small"].sum()), int(some["too_large"].sum())
    parts = [
        f"{size_text(chunk_size)} meets all three on {some.height - larger - smaller} of "
        f"{rows.height} platforms shown"
    ]
    if larger:
        parts.append(f"only larger sizes do on {larger}")
    if smaller:
        parts.append(f"only smaller sizes do on {smaller}")
    none = rows.filter("empty")["label"].to_list()
    if none:
        parts.append(f"no size does on {len(none)} ({listed(none)})")
    return "; ".join(parts)
