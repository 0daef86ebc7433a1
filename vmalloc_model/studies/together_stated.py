"""The combined argument as stated and as checked: what remains of "64 MB is the minimum"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.constraints import (
    FeasibleInterval,
    feasible_powers_of_two,
    reserved_share,
    smallest_power_of_two_chunk,
)
from vmalloc_model.platforms import find_platform
from vmalloc_model.premises import load_premises
from vmalloc_model.studies.platform_rows import end_text, listed
from vmalloc_model.studies.together import Criteria, largest_file, powers_text
from vmalloc_model.units import share_text, size_text

__all__ = ["say_budget", "say_together_as_stated", "together_as_stated"]

_MODULES: Final = "data/modules-debian-6.12.117-amd64.csv: file_bytes"


def say_budget(budget: float) -> str:
    """Word how a budget compares with the shares that the mail comments on."""
    stated = load_premises()["as-stated"]
    single, doubled = (
        float(reserved_share(size, stated.cpus, stated.x86_64_range))
        for size in (stated.chunk_size, stated.doubled_chunk_size)
    )
    # the mail doubles the rounded share, so it prints a little more than its chunks take
    printed = max(doubled, 2 * round(single, 3))
    acceptable = (
        f"{share_text(printed)} that the mail calls still acceptable for chunks of "
        f"{size_text(stated.doubled_chunk_size)}"
    )
    if budget < doubled:
        than = "at least" if budget >= single else "less than"
        return (
            f"That is {than} the {share_text(single)} that chunks of "
            f"{size_text(stated.chunk_size)} take in the mail, and less than the {acceptable}."
        )
    if budget <= printed + 1e-12:
        return f"That is the {acceptable}."
    return f"That is more than the {acceptable}."


def together_as_stated(platform: str, criteria: Criteria) -> pl.DataFrame:
    """Compare the combined argument from the mail's premises with that from sourced ones.

    Parameters
    ----------
    platform : str
        Platform for the sourced side.
    criteria : Criteria
        The mail's side takes its own CPUs and guard pages.

    Returns
    -------
    polars.DataFrame
        quantity, mail (as quoted, or "no number"), stated, checked, moved_by, source (of
        the checked side).
    """
    presets, one = load_premises(), find_platform(platform)
    stated = presets["as-stated"]
    asked = stated.largest_request
    assert asked is not None
    real, cpus = largest_file(), min(criteria.cpus, one.nr_cpus_max)
    mail = criteria.interval(
        asked, stated.page_size, stated.cpus, stated.x86_64_range, stated.guard_pages
    )
    checked = criteria.interval(real, one.page_size, cpus, one.size, criteria.guard_pages)
    both = (mail, checked)
    guarded = [
        int(smallest_power_of_two_chunk(size, page, guard))
        for size, page, guard in (
            (asked, stated.page_size, stated.guard_pages),
            (asked, one.page_size, criteria.guard_pages),
        )
    ]
    only = [
        _only_budget(part, cpus_, size)
        for part, cpus_, size in (
            (mail, stated.cpus, stated.x86_64_range),
            (checked, cpus, one.size),
        )
    ]
    differs = {
        "which request": asked != real,
        "guard page": stated.guard_pages != criteria.guard_pages,
        "page size": stated.page_size != one.page_size,
        "range": stated.x86_64_range != one.size,
        "CPUs": stated.cpus != cpus,
    }
    layout = ("guard page", "page size")
    refills = f"{criteria.min_allocations:,} allocations of {size_text(criteria.mean_size)}"
    ours, row = "parameters of this page", f"data/platforms.csv: {one.id}"
    guard = presets["as-checked"].premises["guard_pages"]
    guard_from = guard.place if criteria.guard_pages == guard.value else ours
    layout_from = f"{guard_from}; {row}"
    quantities: list[tuple[str, str, Sequence[str], Sequence[str], str]] = [
        (
            "largest request to cover",
            "32 MB",
            [size_text(asked), size_text(real)],
            ["which request"],
            _MODULES,
        ),
        (
            f"smallest power of two that covers {size_text(asked)}",
            "64 MB",
            [size_text(size) for size in guarded],
            layout,
            layout_from,
        ),
        (
            "lower end by coverage",
            "64 MB",
            [end_text(int(part.coverage)) for part in both],
            ("which request", *layout),
            f"{_MODULES}; {layout_from}",
        ),
        (
            f"lower end by {refills} (our criterion)",
            "no number",
            [end_text(int(part.amortisation)) for part in both],
            layout,
            layout_from if guard_from == ours else f"{ours}; {layout_from}",
        ),
        (
            f"upper end by {share_text(criteria.budget)} of the range (our criterion)",
            "no number",
            [end_text(int(part.high)) for part in both],
            ("range", "CPUs"),
            f"{ours}; {row}",
        ),
        (
            "powers of two that remain",
            '64 MB; 128 MB "still acceptable"',
            [powers_text(int(part.low), int(part.high)) for part in both],
            tuple(differs),
            "the rows above",
        ),
        (
            "budgets for which only one would remain",
            "no number",
            only,
            tuple(differs),
            "the rows above",
        ),
    ]
    rows = []
    for quantity, quoted, (before, after), premises, source in quantities:
        names = [name for name in premises if differs[name]]
        moved = listed(names) if before != after else "none"
        rows.append((quantity, quoted, before, after, moved, source))
    names = ["quantity", "mail", "stated", "checked", "moved_by", "source"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _only_budget(interval: FeasibleInterval, cpus: int, range_size: int) -> str:
    """Budgets from which the smallest feasible power of two fits, up to where the next one does."""
    smallest = int(feasible_powers_of_two(interval.low, 1 << 62).smallest)
    low, high = (float(reserved_share(size, cpus, range_size)) for size in (smallest, 2 * smallest))
    return f"{size_text(smallest)}: from {share_text(low)} to below {share_text(high)}"


def say_together_as_stated(platform: str, criteria: Criteria) -> str:
    """Word what remains of "64 MB is the minimum" on either side."""
    stated, one = load_premises()["as-stated"], find_platform(platform)
    asked = stated.largest_request
    assert asked is not None
    low = int(smallest_power_of_two_chunk(asked, stated.page_size, stated.guard_pages))
    real = int(smallest_power_of_two_chunk(largest_file(), one.page_size, criteria.guard_pages))
    text = (
        f"From the mail's premises the smallest power of two that covers its largest request is "
        f"{size_text(low)}. From sourced ones, for the largest .ko file, it is {size_text(real)}"
    )
    return text + (
        ": the same value, for another reason." if low == real else ", which is another value."
    )
