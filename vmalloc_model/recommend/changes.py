"""Where no chunk size meets all three arguments: the changes that would leave one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from vmalloc_model.constraints import allocations_per_refill, largest_eligible
from vmalloc_model.recommend.arguments import Configuration, cpus_within

__all__ = ["Change", "budget_needed", "changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """Other values of some premises that leave a chunk size.

    Attributes
    ----------
    values : dict of str to (int or float)
        Field of `Configuration` -> the value nearest to the given one that is enough.
    factor : float
        How far that is: for each the larger value divided by the smaller one, multiplied; above 1.
    leaves : int
        The chunk size in bytes that meets all three arguments then.
    """

    values: dict[str, int | float]
    factor: float
    leaves: int

    def of(self, asked: Configuration) -> Configuration:
        """Return the configuration after the change."""
        values: dict[str, Any] = self.values
        return replace(asked, **values)


def budget_needed(asked: Configuration, chunk_size: int) -> float:
    """Smallest budget for a chunk size, rounded up; above 1: none is enough.

    It has as many digits as `share_text` prints, so what is printed is enough.

    Examples
    --------
    >>> from vmalloc_model.platforms import find_platform
    >>> arm64 = find_platform("arm64-39bit-4k")
    >>> asked = Configuration(platform=arm64, cpus=64, largest=1 << 20, budget=0.01)
    >>> budget_needed(asked, 64 << 20)
    0.0161
    """
    exact = Decimal(chunk_size * asked.cpus) / Decimal(asked.platform.size)
    digits = 2 if exact < Decimal("0.01") else 3
    rounded = Context(prec=digits, rounding=ROUND_CEILING).plus(exact)
    if exact <= 1 < rounded:
        return 1.0
    return float(rounded)


def changes(asked: Configuration) -> list[Change]:
    """List the changes that leave a chunk size where none is left, the smallest factor first.

    For each size from the largest within the budget to the smallest that meets the two other
    arguments: the premises that it fails get the nearest value that it meets, and of budget and
    CPUs one is changed.

    Returns
    -------
    list of Change
        Empty if a power of two meets all three, or if no such change is enough.
    """
    if asked.least <= asked.most:
        return []
    found = []
    size = asked.most or 2 * asked.platform.page_size
    while size <= asked.least:
        lower = _lower(asked, size)
        if all(lower.values()):
            found += [
                Change(values, _factor(asked, values), size)
                for upper in _upper(asked, size)
                for values in [{**lower, **upper}]
            ]
        size *= 2
    return sorted(found, key=lambda change: change.factor)


def _lower(asked: Configuration, chunk_size: int) -> dict[str, int | float]:
    """Values of the lower premises that a chunk size meets where it fails; 0 for none."""
    page, guard = asked.platform.page_size, asked.guard_pages
    lower: dict[str, int | float] = {}
    if chunk_size < int(asked.interval.coverage):
        lower["largest"] = int(largest_eligible(chunk_size, page, guard))
    if chunk_size < int(asked.interval.amortisation):
        served = allocations_per_refill(chunk_size, asked.mean_size, page, guard)
        lower["min_allocations"] = int(served)
    return lower


def _upper(asked: Configuration, chunk_size: int) -> list[dict[str, int | float]]:
    """Ways to afford a chunk size: none needed, a larger budget, fewer CPUs."""
    if chunk_size <= int(asked.interval.high):
        return [{}]
    budget, cpus = budget_needed(asked, chunk_size), cpus_within(asked, chunk_size)
    return [{"budget": budget}] * (budget <= 1) + [{"cpus": cpus}] * (cpus > 0)


def _factor(asked: Configuration, values: dict[str, int | float]) -> float:
    ratios = [value / getattr(asked, name) for name, value in values.items()]
    return float(math.prod(max(ratio, 1 / ratio) for ratio in ratios))
