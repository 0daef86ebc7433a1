"""The Summary's answer: what each argument allows as the mail states it, and as checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from vmalloc_model.callers import load_modules, module_sections
from vmalloc_model.constraints import (
    allocations_per_refill,
    barely_improves,
    reserved_share,
    smallest_power_of_two_chunk,
)
from vmalloc_model.platforms import Platform, find_platform, load_platforms
from vmalloc_model.premises import load_premises
from vmalloc_model.runs import read_requests, run_id
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.units import cpus_text, power_of_two_at_most, share_text, size_text

__all__ = [
    "CHECKED",
    "LEAST",
    "MOST",
    "STATED",
    "Reading",
    "allowed",
    "largest_of_modules",
    "say_allowed",
    "say_answer",
]

LEAST: Final = 1 << 20
MOST: Final = 1 << 36
"""Smallest and largest chunk that the figure shows, in bytes."""

STATED: Final = "as stated"
CHECKED: Final = "as checked"


@dataclass(frozen=True, slots=True)
class Reading:
    """How the report reads the arguments where the mail leaves it open.

    Attributes
    ----------
    page_size : int
        Bytes.
    guard_pages : int
        Pages behind each area.
    platform : str
        Platform of the checked side.
    run : str
        Recorded run whose mean request stands for real traffic.
    barely : float
        Visits per 1,000 allocations below which doubling the chunk saves little.
    budget : float
        Share of the range that one chunk on every CPU may take.
    """

    page_size: int
    guard_pages: int
    platform: str
    run: str
    barely: float
    budget: float

    @property
    def machine(self) -> Platform:
        """The platform."""
        return find_platform(self.platform)


def allowed(reading: Reading) -> pl.DataFrame:
    """Chunk sizes that each argument allows, for every reading of it.

    Returns
    -------
    polars.DataFrame
        One row per reading: argument, premises (`STATED` or `CHECKED`), case (whose request, which
        mean, which range), bound ("lower", "upper" or "none"), low, high (bytes, powers of two,
        both included, null where nothing from `LEAST` to `MOST` is allowed), allows (in words).
    """
    rows = [*_coverage(reading), *_amortisation(reading), *_cost(reading)]
    return pl.DataFrame([_row(*one) for one in rows], infer_schema_length=None)


_Case = tuple[str, str, str, str, int | None]
"""Argument, premises, case, bound and the power of two it lies at; None: there is none."""


def _row(argument: str, premises: str, case: str, bound: str, at: int | None) -> dict[str, Any]:
    low, high = LEAST, MOST
    text = "any size: no threshold is named"
    if bound == "lower":
        low = max(at, LEAST) if at else MOST + 1
        text = f"from {size_text(at or 0)} up"
    elif bound == "upper":
        high = min(at or 0, MOST)
        text = f"up to {size_text(at or 0)}"
    some = low <= high
    return {
        "argument": argument,
        "premises": premises,
        "case": case,
        "bound": bound,
        "low": low if some else None,
        "high": high if some else None,
        "allows": text if some else f"nothing from {size_text(LEAST)} to {size_text(MOST)}",
    }


def _coverage(reading: Reading) -> list[_Case]:
    stated = load_premises()["as-stated"]
    asked = stated.largest_request or 1
    file, section = largest_of_modules()
    name = "1 coverage"

    def least(payload: int) -> int:
        return int(smallest_power_of_two_chunk(payload, reading.page_size, reading.guard_pages))

    bare = int(smallest_power_of_two_chunk(asked, stated.page_size, stated.guard_pages))

    return [
        (name, STATED, f"modules of {size_text(asked)}", "lower", bare),
        (
            name,
            CHECKED,
            f"{size_text(asked)} with {_guard(reading.guard_pages)}",
            "lower",
            least(asked),
        ),
        (
            name,
            CHECKED,
            f"the largest module file ({size_text(file)})",
            "lower",
            least(file),
        ),
        (
            name,
            CHECKED,
            f"the largest module section ({size_text(section)})",
            "lower",
            least(section),
        ),
    ]


def _amortisation(reading: Reading) -> list[_Case]:
    premises = load_premises()["as-checked"]
    inside = read_requests(reading.run).filter("in_window")["size"]
    # recorded sizes have their guard page already
    real = max(1, round(float(inside.mean() or 1)))  # type: ignore[arg-type]
    name = "2 amortisation"
    cases = [
        (f"mean of {size_text(premises.small_mean)}", premises.small_mean, reading.guard_pages),
        (f"mean of run {run_id(reading.run)} ({size_text(real)})", real, 0),
        (f"mean of {size_text(premises.large_mean)}", premises.large_mean, reading.guard_pages),
    ]
    return [
        (name, STATED, "any mean", "none", None),
        *(
            (name, CHECKED, case, "lower", _knee(mean, guard, reading))
            for case, mean, guard in cases
        ),
    ]


def _knee(mean: int, guard: int, reading: Reading) -> int | None:
    """Smallest power of two on the axis whose doubling saves less than `reading.barely`."""
    powers = LEAST << np.arange(int(MOST // LEAST).bit_length())
    small = barely_improves(powers, mean, reading.page_size, guard, threshold=reading.barely)
    # a chunk that admits no request saves nothing by doubling, but serves nothing either
    serves = allocations_per_refill(powers, mean, reading.page_size, guard) > 0
    found = powers[small & serves]
    return int(found[0]) if found.size else None


def _cost(reading: Reading) -> list[_Case]:
    stated = load_premises()["as-stated"]
    name, part = "3 address space", share_text(reading.budget)
    return [
        (
            name,
            STATED,
            f"{part} of {size_text(stated.x86_64_range)}, {cpus_text(stated.cpus)}",
            "upper",
            _most(reading, stated.x86_64_range, stated.cpus),
        ),
        *(
            (
                name,
                CHECKED,
                f"{part} of {one.id}, {cpus_text(cpus)}",
                "upper",
                _most(reading, one.size, cpus),
            )
            for one, cpus in _machines(reading)
        ),
    ]


def _machines(reading: Reading) -> list[tuple[Platform, int]]:
    """Platforms and CPUs of the checked side of argument 3."""
    machine, small = reading.machine, find_platform("i386")
    cases = [
        (machine, min(load_premises()["as-stated"].cpus, machine.nr_cpus_max)),
        (machine, machine.nr_cpus_max),
        (small, small.nr_cpus_default),
    ]
    return list(dict.fromkeys(cases))  # the mail's CPUs may be the most there are


def _most(reading: Reading, size: int, cpus: int) -> int | None:
    """Largest power of two, in bytes, of which `cpus` chunks keep to the budget."""
    return int(power_of_two_at_most(int(reading.budget * size) // cpus)) or None


def largest_of_modules() -> tuple[int, int]:
    """Sizes in bytes of the largest module file and of the largest module section."""
    modules = load_modules()
    return (
        int(modules["file_bytes"].to_numpy().max()),
        int(module_sections(modules)["bytes"].to_numpy().max()),
    )


def _guard(pages: int) -> str:
    return {0: "no guard page", 1: "a guard page"}.get(pages, f"{pages} guard pages")


def say_allowed(table: pl.DataFrame, reading: Reading, chunk: int) -> str:
    """Word what the figure shows."""
    low, high = _limits(table)
    lower = table.filter(pl.col("bound") == "lower", pl.col("premises") == CHECKED)
    each = [size_text(int(one)) for one in lower["low"].drop_nulls().sort()]
    return (
        f"As stated, the arguments leave {_span(low, high)}; {size_text(chunk)} is "
        f"{_where(chunk, low, high)}. As checked, the lower end is anything from {_range(each)}, "
        f"depending on whose request and which mean is meant. {_upper_ends(reading)} Thresholds "
        f"of ours: doubling saves little below {_visits(reading.barely)} per 1,000 allocations; "
        f"one chunk on every CPU may take {share_text(reading.budget)} of the range."
    )


def _upper_ends(reading: Reading) -> str:
    """Word what argument 3 allows at most on the roomiest and on the tightest machine."""
    found = sorted(
        ((_most(reading, one.size, cpus) or 0, one.id, cpus) for one, cpus in _machines(reading)),
        reverse=True,
    )
    (best, *_), (least, *_) = found[0], found[-1]
    roomy, tight = (f"on {one} with {cpus_text(cpus)}" for _, one, cpus in (found[0], found[-1]))
    none = f"no size from {size_text(LEAST)} up stays within {share_text(reading.budget)}"
    if best < LEAST:
        return f"As to the upper end, {none} on any machine shown."
    if least < LEAST:
        return f"The upper end is {size_text(best)} {roomy}; {tight} {none}."
    return f"The upper end is {size_text(best)} {roomy} and {size_text(least)} {tight}."


def _visits(number: float) -> str:
    return f"{number:g} visit" + ("" if number == 1 else "s")


def _range(sizes: list[str]) -> str:
    return f"{sizes[0]} to {sizes[-1]}" if sizes else "no size in the figure"


def _limits(table: pl.DataFrame) -> tuple[int, int]:
    """Chunk sizes that all arguments allow as stated, ``low > high`` where there is none."""
    rows = table.filter(pl.col("premises") == STATED)
    if rows["low"].null_count():
        return MOST, LEAST
    return int(rows["low"].to_numpy().max()), int(rows["high"].to_numpy().min())


def _span(low: int, high: int) -> str:
    if low > high:
        return "no chunk size"
    return size_text(low) if low == high else f"{size_text(low)} to {size_text(high)}"


def _where(chunk: int, low: int, high: int) -> str:
    if not low <= chunk <= high:
        return "not among them"
    return "the smallest of them" if chunk == low else "among them, but not the smallest"


def say_answer(table: pl.DataFrame, reading: Reading, chunk: int) -> dict[str, str]:
    """Compose the sentences of the answer, by the id under which the page reads them.

    Returns
    -------
    dict of str to str
        ``answer-stated``, ``answer-checked`` and ``answer-space``.
    """
    stated = load_premises()["as-stated"]
    low, high = _limits(table)
    cover = table.filter(pl.col("argument").str.starts_with("1"))
    bare = int(cover.filter(pl.col("premises") == STATED)["low"][0] or 0)
    follows = bare == chunk and low == chunk <= high
    machine = reading.machine
    name, _, kind = machine.name.partition(", ")
    share = float(reserved_share(chunk, stated.cpus, machine.size))
    most = float(reserved_share(chunk, machine.nr_cpus_max, machine.size))
    full = [p.id for p in load_platforms().values() if p.slots(chunk) < p.nr_cpus_default]
    return {
        "answer-stated": (
            f"From the mail's own premises, {'yes' if follows else 'no'}: the smallest power of "
            f"two that covers {size_text(stated.largest_request or 0)} is {size_text(bare)}"
            + (
                ", and argument 1 alone decides it."
                if follows
                else f"; with {share_text(reading.budget)} of the range for all chunks the "
                f"arguments leave {_span(low, high)}."
            )
        ),
        "answer-checked": _say_checked(cover.filter(pl.col("premises") == CHECKED), chunk),
        "answer-space": (
            f"One chunk on each of {cpus_text(stated.cpus)} takes {share_text(share)} of the "
            f"{name} range{f' ({kind})' if kind else ''}, and {share_text(most)} on the "
            f"{cpus_text(machine.nr_cpus_max)} that Kconfig allows at most. With the default "
            f"number of CPUs there is "
            + (
                f"not room for one chunk each on {listed(full)}."
                if full
                else "room for one chunk each on every platform."
            )
        ),
    }


def _say_checked(sets: pl.DataFrame, chunk: int) -> str:
    """Word for which of the sourced request sets of argument 1 the chunk follows."""
    same = sets.filter(pl.col("low") == chunk)["case"].to_list()
    if len(same) == sets.height:
        return f"From sourced premises, yes: every reading of argument 1 gives {size_text(chunk)}."
    others = [
        f"{case}{'' if n else ' needs'} "
        + (f"more than {size_text(MOST)}" if low is None else size_text(low))
        for n, (case, low) in enumerate(
            sets.filter(pl.col("low").ne_missing(chunk)).select("case", "low").rows()
        )
    ]
    head = "From sourced premises, no: "
    if same:
        head = (
            f"From sourced premises it depends on which request must fit: {size_text(chunk)} "
            f"follows for {listed(same)}; "
        )
    return (
        f"{head}{', '.join(others)}. Arguments 2 and 3 fix no size, since the mail names no "
        f"threshold for them."
    )
