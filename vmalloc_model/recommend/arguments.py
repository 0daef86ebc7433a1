"""The three arguments for one configuration: which chunk sizes meet which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vmalloc_model.constraints import (
    FeasibleInterval,
    allocations_per_refill,
    feasible_interval,
    largest_eligible,
    reserved,
    reserved_share,
)
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import Platform
from vmalloc_model.units import is_power_of_two, power_of_two_at_least, power_of_two_at_most

__all__ = ["ARGUMENTS", "Configuration", "Size", "cpus_within", "judge", "left"]

ARGUMENTS: Final = ("coverage", "amortisation", "cost")
"""The arguments in the order of the mail."""

_LARGEST_CHUNK: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is asked: a machine, and what a chunk must do there.

    Attributes
    ----------
    platform : Platform
        Range and page size.
    cpus : int
        Possible CPUs; each holds a chunk.
    largest : int
        Largest request in bytes, without guard, that a chunk must admit.
    budget : float
        Share of the range that one chunk on every CPU may take; above 0, at most 1.
    mean_size, min_allocations : int
        Payload in bytes, and how many of such requests one refill must serve.
    guard_pages : int
        Pages behind each area.

    Raises
    ------
    InputError
        If a number is out of range; the place is ``$.NAME``.
    """

    platform: Platform
    cpus: int
    largest: int
    budget: float
    mean_size: int = 4096
    min_allocations: int = 1000
    guard_pages: int = 1

    def __post_init__(self) -> None:
        most = self.platform.nr_cpus_max
        limits = {
            "cpus": (1, most, f"NR_CPUS of {self.platform.id}"),
            "largest": (1, self.platform.size, "bytes, the range"),
            "mean_size": (1, self.platform.size, "bytes, the range"),
            "min_allocations": (1, 10**9, "allocations"),
            "guard_pages": (0, 1 << 20, "pages"),
        }
        for name, (low, high, of) in limits.items():
            if not low <= (value := getattr(self, name)) <= high:
                allowed = f"{low:,}..{high:,} ({of})"
                raise InputError(f"$.{name}", "out of range", value=value, allowed=allowed)
        if not 0 < self.budget <= 1:
            allowed = "above 0 and at most 1"
            raise InputError("$.budget", "out of range", value=self.budget, allowed=allowed)
        if int(self.interval.low) > _LARGEST_CHUNK:
            name = "largest" if self.interval.coverage_binds else "min_allocations"
            value = getattr(self, name)
            raise InputError(f"$.{name}", "needs a chunk too large to stay exact", value=value)

    @property
    def interval(self) -> FeasibleInterval:
        """Chunk sizes, in bytes, that meet all three arguments."""
        return feasible_interval(
            self.largest,
            self.platform.page_size,
            self.guard_pages,
            self.mean_size,
            self.min_allocations,
            self.budget,
            self.cpus,
            self.platform.size,
        )

    @property
    def least(self) -> int:
        """Smallest power of two, in bytes, that meets coverage and amortisation."""
        return int(power_of_two_at_least(self.interval.low))

    @property
    def most(self) -> int:
        """Largest power of two, in bytes, within the budget; 0 if that is not even two pages."""
        size = int(power_of_two_at_most(self.interval.high))
        return size if size >= 2 * self.platform.page_size else 0


@dataclass(frozen=True, slots=True)
class Size:
    """A chunk size under the three arguments.

    Attributes
    ----------
    chunk_size : int
        Bytes.
    admits : int
        Largest payload in bytes that is eligible; 0 if none is.
    allocations : int
        Requests of the mean size that one refill serves.
    reserved, share : int, float
        One chunk on every CPU: bytes, and share of the range.
    cpus_within : int
        CPUs up to which the budget is kept.
    met : dict of str to bool
        One of `ARGUMENTS` -> whether the size meets it.
    margin : dict of str to float
        One of `ARGUMENTS` -> what there is, divided by what is needed: 1 or more where it is met.
    """

    chunk_size: int
    admits: int
    allocations: int
    reserved: int
    share: float
    cpus_within: int
    met: dict[str, bool]
    margin: dict[str, float]

    @property
    def left(self) -> bool:
        """Whether all three are met."""
        return all(self.met.values())


def judge(asked: Configuration, chunk_sizes: Sequence[int]) -> list[Size]:
    """Judge chunk sizes by the three arguments.

    Parameters
    ----------
    asked : Configuration
        Machine and criteria.
    chunk_sizes : sequence of int
        Bytes, powers of two of two pages or more.

    Raises
    ------
    InputError
        If there is none, or one is no chunk size.
    """
    page = asked.platform.page_size
    most = 1 << (8 * asked.platform.pointer_size - 2)
    for size in chunk_sizes or (0,):
        if not (is_power_of_two(size) and 2 * page <= size <= most):
            allowed = f"powers of two from {2 * page:,} (two pages) to {most:,} bytes"
            raise InputError("$.chunks", "not a chunk size", value=size, allowed=allowed)
    interval = asked.interval
    return [_size(asked, interval, size) for size in chunk_sizes]


def left(sizes: Sequence[Size]) -> list[int]:
    """List the chunk sizes, in bytes, that meet all three arguments."""
    return [size.chunk_size for size in sizes if size.left]


def cpus_within(asked: Configuration, chunk_size: int) -> int:
    """CPUs whose chunks of some bytes stay within the budget; 0 if one is too many."""
    return int(asked.budget * asked.platform.size) // chunk_size


def _size(asked: Configuration, interval: FeasibleInterval, size: int) -> Size:
    platform = asked.platform
    page, guard = platform.page_size, asked.guard_pages
    admits = int(largest_eligible(size, page, guard))
    allocations = int(allocations_per_refill(size, asked.mean_size, page, guard))
    share = float(reserved_share(size, asked.cpus, platform.size))
    return Size(
        chunk_size=size,
        admits=admits,
        allocations=allocations,
        reserved=int(reserved(size, asked.cpus)),
        share=share,
        cpus_within=cpus_within(asked, size),
        met={
            "coverage": size >= int(interval.coverage),
            "amortisation": size >= int(interval.amortisation),
            "cost": size <= int(interval.high),
        },
        margin={
            "coverage": admits / asked.largest,
            "amortisation": allocations / asked.min_allocations,
            "cost": int(interval.high) / size,  # whole pages, so 1 or more exactly where it is met
        },
    )
