"""The answer as sentences and tables, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Context, Decimal
from typing import Final

import polars as pl

from vmalloc_model.recommend.arguments import (
    ARGUMENTS,
    Configuration,
    Size,
    cpus_within,
    judge,
    left,
)
from vmalloc_model.recommend.changes import Change, budget_needed, changes
from vmalloc_model.recommend.play import PATCH, Played
from vmalloc_model.recommend.played_words import (
    Block,
    joined,
    named,
    say_played,
    sizes_text,
)
from vmalloc_model.units import count_text, cpus_text, share_text, size_text

__all__ = ["Recommendation", "assumptions", "blocks", "label"]

_MOST_CHANGES: Final = 4


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was asked and what came of it.

    Attributes
    ----------
    asked : Configuration
    sizes : list of Size
        Of `judge`.
    played : Played or None
        None if nothing was simulated.
    """

    asked: Configuration
    sizes: list[Size]
    played: Played | None = None


def blocks(told: Recommendation) -> Iterator[Block]:
    """Yield the answer, from what was asked to what it takes for granted."""
    asked, sizes = told.asked, told.sizes
    yield label(told.played)
    yield _question(asked)
    yield _answer(asked, sizes) + _recommended(told.played)
    yield (
        "In the table: the largest request that is admitted (1, coverage), requests served per "
        "refill (2, amortisation), and the share of the range that one chunk on every CPU takes "
        "(3, cost). x: what there is by what is needed, so below 1 the argument is missed."
    )
    yield _arguments_table(sizes)
    yield f"{_below(asked)} {_above(asked)}"
    if found := changes(asked):
        yield "What would leave a size, the smallest change (as a factor) first:"
        yield [_change(asked, change) for change in found[:_MOST_CHANGES]]
    elif asked.least > asked.most:
        yield "No change of budget, CPUs, largest request and allocations leaves a size."
    yield _patch(asked)
    yield _other_machines(asked, sizes)
    if told.played is not None:
        yield from say_played(asked, told.played)
    yield "Assumptions:"
    yield assumptions(told)


def label(played: Played | None) -> str:
    """Say whether the numbers come from the model alone."""
    measured = played is not None and played.run is not None
    return "MODEL and MODEL on MEASURED requests" if measured else "MODEL"


def _machine(asked: Configuration) -> str:
    return f"{asked.platform.id} with {cpus_text(asked.cpus)}"


def _question(asked: Configuration) -> str:
    guard = f"{asked.guard_pages} guard page" + ("" if asked.guard_pages == 1 else "s")
    return (
        f"Chunk sizes for {_machine(asked)}, pages of {size_text(asked.platform.page_size)}, "
        f"a vmalloc range of {size_text(asked.platform.size)}. A chunk must admit requests of "
        f"{size_text(asked.largest)} (coverage), serve {count_text(asked.min_allocations)} of "
        f"{size_text(asked.mean_size)} per refill (amortisation), and one on every CPU may take "
        f"{share_text(asked.budget)} of the range (cost); {guard} behind each area."
    )


def _answer(asked: Configuration, sizes: Sequence[Size]) -> str:
    some = left(sizes)
    number = f"{len(sizes)} size" + ("" if len(sizes) == 1 else "s")
    if not some and asked.least <= asked.most:
        more = f"; {size_text(asked.least)}, which is not among them, does"
        return f"Left: none of the {number} listed meets all three arguments{more}."
    if not some:
        return "Left: none. No power of two meets all three arguments."
    text = f"Left: {sizes_text(some)}, of {number}."
    if len(some) == 1:
        return text
    return text + (
        " The arguments alone do not choose among these; the smallest takes the least address "
        "space, the largest has the fewest refills."
    )


def _recommended(played: Played | None) -> str:
    if played is None or played.taken is None:
        return ""
    return f" Among these and no overlay the rule below takes {named(played.taken)}."


def _arguments_table(sizes: Sequence[Size]) -> pl.DataFrame:
    margins = {
        f"x{number}": [_margin(size.margin[name]) for size in sizes]
        for number, name in enumerate(ARGUMENTS, 1)
    }
    return pl.DataFrame(
        {
            "chunk": [size_text(size.chunk_size) for size in sizes],
            "admits": [size_text(size.admits) for size in sizes],
            "x1": margins["x1"],
            "serves": [size.allocations for size in sizes],
            "x2": margins["x2"],
            "share": [_share(size.share) for size in sizes],
            "x3": margins["x3"],
            "misses": [_misses(size) for size in sizes],
        }
    )


def _misses(size: Size) -> str:
    numbers = [str(n) for n, name in enumerate(ARGUMENTS, 1) if not size.met[name]]
    return " ".join(numbers) or "left"


def _share(share: float) -> str:
    """Print a share in at most eight columns."""
    if share < 1e-4:
        return "<0.01 %"
    return share_text(share) if share < 999 else "> 999 x"


def _margin(margin: float) -> str:
    """Print a factor with two digits, rounded down: 1 or more only where the argument is met.

    At most five columns.
    """
    if margin >= 1000:
        return ">999"
    if margin < 0.01:
        return "<0.01"
    if margin >= 10:
        return str(int(margin))
    return f"{Context(prec=2, rounding=ROUND_DOWN).plus(Decimal(margin)):f}"


def _below(asked: Configuration) -> str:
    """Say which argument binds from below, and what it would take to go one size lower."""
    least = asked.least
    lower = max(least // 2, 2 * asked.platform.page_size)
    if lower == least:
        return "Below: nothing binds; a chunk has at least two pages."
    (size,) = judge(asked, [lower])
    needs = []
    if not size.met["coverage"]:
        needs.append(
            f"admits only {size_text(size.admits)} of {size_text(asked.largest)} "
            f"({size_text(asked.largest - size.admits)} too little)"
        )
    if not size.met["amortisation"]:
        needs.append(
            f"serves only {count_text(size.allocations)} of "
            f"{count_text(asked.min_allocations)} allocations"
        )
    names = [name for name in ("coverage", "amortisation") if not size.met[name]]
    verb = "binds" if len(names) == 1 else "bind"
    return (
        f"Below: {joined(names)} {verb}. {size_text(least)} is the least: {size_text(lower)} "
        f"{joined(needs)}."
    )


def _above(asked: Configuration) -> str:
    """Say what the budget allows, and what it would take to go one size higher."""
    most = asked.most
    machine = f"for {cpus_text(asked.cpus)}"
    upper = max(2 * most, 2 * asked.platform.page_size)
    needed, cpus = budget_needed(asked, upper), cpus_within(asked, upper)
    what = f"allows {size_text(most)} {machine}" if most else f"allows no chunk {machine}"
    needs = f"needs {share_text(needed)}" if needed <= 1 else "does not fit the range"
    fewer = f", or at most {cpus_text(cpus)}" if cpus else ""
    return (
        f"Above: cost binds. {share_text(asked.budget)} of the range {what}; {size_text(upper)} "
        f"{needs}{fewer}."
    )


def _change(asked: Configuration, change: Change) -> str:
    words = []
    for name, value in change.values.items():
        given = getattr(asked, name)
        words.append(
            {
                "budget": f"a budget of {share_text(value)} instead of {share_text(given)}",
                "cpus": f"{cpus_text(int(value))} instead of {count_text(given)}",
                "largest": f"a largest request of {size_text(value)} instead of "
                f"{size_text(given)} ({size_text(given - value)} less)",
                "min_allocations": f"{count_text(value)} allocations per refill instead of "
                f"{count_text(given)}",
            }[name]
        )
    return f"{joined(words)} (factor {change.factor:.4g}) leaves {size_text(change.leaves)}"


def _patch(asked: Configuration) -> str:
    """Say what the patch's chunk size does."""
    (size,) = judge(asked, [PATCH])
    met = [name for name, holds in size.met.items() if holds]
    missed = [name for name, holds in size.met.items() if not holds]
    if not missed:
        verdict = "meets all three"
    else:
        verdict = f"misses {joined(missed)}" + (f" and meets {joined(met)}" if met else "")
    return (
        f"The patch's {size_text(PATCH)} {verdict}: it admits {size_text(size.admits)} where "
        f"{size_text(asked.largest)} is needed, serves {count_text(size.allocations)} allocations "
        f"per refill, and reserves {size_text(size.reserved)}, {share_text(size.share)} of the "
        f"range; {share_text(asked.budget)} is enough for {cpus_text(size.cpus_within)}."
    )


def _other_machines(asked: Configuration, sizes: Sequence[Size]) -> str:
    """Say what is left for as many CPUs as the kernel is configured for."""
    platform, words = asked.platform, []
    for what, cpus in (
        ("the default of NR_CPUS", platform.nr_cpus_default),
        ("the largest NR_CPUS", platform.nr_cpus_max),
    ):
        some = left(judge(replace(asked, cpus=cpus), [size.chunk_size for size in sizes]))
        words.append(f"with {what} ({count_text(cpus)}): {sizes_text(some)}")
    return f"Left if as many CPUs are possible as NR_CPUS says, {'; '.join(words)}."


def assumptions(told: Recommendation) -> list[str]:
    """List what the answer takes for granted; at most five."""
    asked = told.asked
    lines = [
        f"Cost: each of {cpus_text(asked.cpus)} holds one chunk; retired chunks come on top.",
        "Amortisation: all requests have the mean size; pools, which serve some, are left out.",
    ]
    if asked.platform.bound != "exact":
        lines.append(f"The range of {asked.platform.id} is {_bound(asked)}.")
    if told.played is not None:
        lines.append("The streams stand for the load; the model does one operation at a time.")
        lines.append("The budget is also what may be held after so many allocations.")
    return lines


def _bound(asked: Configuration) -> str:
    return {
        "at most": "the largest it can be",
        "at least": "the smallest it can be without options",
        "default": "that of a machine without options",
    }[asked.platform.bound]
