"""What moves the ends of the feasible interval: one assumption changed at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from vmalloc_model.callers import load_callers, load_modules, module_sections
from vmalloc_model.constraints import (
    allocations_per_refill,
    smallest_amortising_chunk,
    smallest_chunk,
)
from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.premises import load_premises
from vmalloc_model.studies.platform_rows import end_text, listed
from vmalloc_model.studies.together import Criteria, largest_file
from vmalloc_model.units import (
    cpus_text,
    power_of_two_at_least,
    power_of_two_at_most,
    share_text,
    size_text,
)

__all__ = ["changes", "changes_summary", "say_changes"]


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything the two ends depend on; sizes in bytes."""

    payload: int
    page_size: int
    guard_pages: int
    mean_size: int
    min_allocations: int
    budget: float
    cpus: int
    range_size: int

    @property
    def low(self) -> int:
        coverage = smallest_chunk(self.payload, self.page_size, self.guard_pages)
        refills = smallest_amortising_chunk(
            self.mean_size, self.min_allocations, self.page_size, self.guard_pages
        )
        return int(np.maximum(coverage, refills))

    @property
    def high(self) -> int:
        pages = int(self.budget * self.range_size) // self.cpus // self.page_size
        return pages * self.page_size


def changes(
    platform: str,
    criteria: Criteria,
    page_sizes: Sequence[int] = (),
    mean_sizes: Sequence[int] = (),
    budgets: Sequence[float] = (),
) -> pl.DataFrame:
    """Change one assumption at a time and see which end of the interval moves.

    Parameters
    ----------
    platform : str
        Id; its range, page size and NR_CPUS are the starting point.
    criteria : Criteria
        The starting point for the rest.
    page_sizes, mean_sizes : sequence of int
        Other values to try, in bytes.
    budgets : sequence of float
        Other budgets to try.

    Returns
    -------
    polars.DataFrame
        change (short, for an axis), meaning (in words), end ("low" or "high"), base and changed
        (bytes), their texts, doublings (log2 of changed / base), power_before and power_after
        (the power of two next to the end, inside the interval). Within an end the largest move
        comes first. Values equal to the starting point are left out.
    """
    one = find_platform(platform)
    base = _Case(
        payload=largest_file(),
        page_size=one.page_size,
        guard_pages=criteria.guard_pages,
        mean_size=criteria.mean_size,
        min_allocations=criteria.min_allocations,
        budget=criteria.budget,
        cpus=min(criteria.cpus, one.nr_cpus_max),
        range_size=one.size,
    )
    rows = []
    for end, label, meaning, case in _cases(one, base, page_sizes, mean_sizes, budgets):
        before, after = getattr(base, end), getattr(case, end)
        rounded = power_of_two_at_least if end == "low" else power_of_two_at_most
        rows.append(
            {
                "change": label,
                "meaning": meaning,
                "end": end,
                "base": before,
                "changed": after,
                "base_text": end_text(before),
                "changed_text": end_text(after),
                "doublings": float(np.log2(after / before)) if before and after else None,
                "power_before": size_text(int(rounded(before))),
                "power_after": size_text(int(rounded(after))),
            }
        )
    table = pl.DataFrame(rows, infer_schema_length=None)
    order = pl.col("doublings").abs()
    return table.sort("end", order, descending=[True, True], maintain_order=True)


def changes_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Reduce `changes` to what a plain text needs."""
    return table.select(
        "change",
        "end",
        before="base_text",
        after="changed_text",
        power_before="power_before",
        power_after="power_after",
    )


def _cases(
    platform: Platform,
    base: _Case,
    page_sizes: Sequence[int],
    mean_sizes: Sequence[int],
    budgets: Sequence[float],
) -> Iterator[tuple[str, str, str, _Case]]:
    """End it moves, label, meaning, changed case."""
    stated = load_premises()["as-stated"]
    yield from _other_requests(platform, base)
    guard = 0 if base.guard_pages else 1
    yield (
        "low",
        f"guard: {guard or 'none'}",
        f"guard pages behind each area: {base.guard_pages} -> {guard}",
        replace(base, guard_pages=guard),
    )
    for page in page_sizes:
        if page != base.page_size:
            yield (
                "low",
                f"page {size_text(page)}",
                f"page size: {size_text(base.page_size)} -> {size_text(page)}",
                replace(base, page_size=page),
            )
    for mean in mean_sizes:
        if mean != base.mean_size:
            yield (
                "low",
                f"mean {size_text(mean)}",
                f"mean payload: {size_text(base.mean_size)} -> {size_text(mean)}",
                replace(base, mean_size=mean),
            )
    for mean in (stated.small_mean, stated.large_mean):
        count = int(
            allocations_per_refill(stated.chunk_size, mean, stated.page_size, stated.guard_pages)
        )
        if count != base.min_allocations:
            yield (
                "low",
                f"{count:,} per refill",
                f"allocations per refill: {base.min_allocations:,} -> {count:,}, which the mail "
                f"counts at {size_text(mean)}",
                replace(base, min_allocations=count),
            )
    named = {"x86_64": stated.x86_64_range, "arm64": stated.arm64_52_range}.get(platform.arch)
    if named not in (None, base.range_size):
        yield (
            "high",
            f"range {size_text(named)}",
            f"range: {size_text(base.range_size)} -> {size_text(named)}, as in the mail",
            replace(base, range_size=named),
        )
    for word, cpus in (("default", platform.nr_cpus_default), ("maximum", platform.nr_cpus_max)):
        if cpus != base.cpus:
            yield (
                "high",
                cpus_text(cpus),
                f"CPUs: {base.cpus:,} -> {cpus:,}, the {word} of NR_CPUS",
                replace(base, cpus=cpus),
            )
    for budget in budgets:
        if budget != base.budget:
            yield (
                "high",
                f"budget {share_text(budget)}",
                f"budget: {share_text(base.budget)} -> {share_text(budget)} of the range",
                replace(base, budget=budget),
            )


def _other_requests(platform: Platform, base: _Case) -> Iterator[tuple[str, str, str, _Case]]:
    """Other answers to "which request must fit"."""
    stated = load_premises()["as-stated"]
    start = f"largest request: .ko file of {size_text(base.payload)} -> "
    if stated.largest_request not in (None, base.payload):
        yield (
            "low",
            f"request {size_text(stated.largest_request)}",
            f"{start}the mail's module of {size_text(stated.largest_request)}",
            replace(base, payload=stated.largest_request),
        )
    section = int(module_sections(load_modules())["bytes"].to_numpy().max())
    yield (
        "low",
        "module sections",
        f"{start}largest module section, {size_text(section)}, as if sections were all that counts",
        replace(base, payload=section),
    )
    callers = load_callers().filter(
        (pl.col(f"window_{platform.arch}") == "standard") & (pl.col("payload_kind") != "max")
    )
    if not callers.is_empty():
        most = callers.sort("payload", descending=True).row(0, named=True)
        yield (
            "low",
            most["id"],
            f"{start}the largest caller we list for {platform.arch}, {most['id']}, "
            f"{size_text(most['payload'])}",
            replace(base, payload=most["payload"]),
        )


def say_changes(table: pl.DataFrame, platform: str) -> str:
    """Word which assumption moves which end most, and which moves nothing."""
    parts = []
    for end in ("low", "high"):
        rows = table.filter((pl.col("end") == end) & pl.col("doublings").is_not_null())
        if rows.is_empty():
            continue
        top = rows.sort(pl.col("doublings").abs(), descending=True).row(0, named=True)
        if top["doublings"] == 0:
            parts.append(f"nothing shown moves the {end} end from {top['base_text']}")
            continue
        names = rows.filter(pl.col("changed") == top["changed"])["change"].to_list()
        parts.append(
            f"the {end} end, {top['base_text']}, moves most with {listed(names)}: "
            f"{'up' if top['doublings'] > 0 else 'down'} to {top['changed_text']}"
        )
    return f"On {platform}, " + "; ".join(parts) + "." + _say_powers(table)


def _say_powers(table: pl.DataFrame) -> str:
    """Word which changes of the low end change the smallest power of two."""
    low = table.filter(pl.col("end") == "low")
    if low.is_empty():
        return ""
    start = low["power_before"][0]
    moved = low.filter(pl.col("power_after") != start)
    parts = [
        f"{power} with {listed(rows['change'].to_list())}"
        for (power,), rows in moved.group_by("power_after", maintain_order=True)
    ]
    still = low.filter(pl.col("power_after") == start)["change"].to_list()
    text = f" Rounded up to a power of two, the low end is {start}"
    text += f"; it becomes {listed(parts)}" if parts else ""
    return text + (f", and stays with {listed(still)}." if still else ".")
