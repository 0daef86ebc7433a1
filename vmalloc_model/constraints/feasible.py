"""The three arguments together: which chunk sizes satisfy all of them.

Coverage and amortisation bound the chunk from below, the budget for address space from above. Both
ends are chunk sizes that can be chosen, so intervals of chunk sizes are closed: ``[low, high]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vmalloc_model.constraints.coverage import smallest_chunk
from vmalloc_model.errors import InputError
from vmalloc_model.requests import LARGEST, allocator_size, powers_of_two, whole_numbers
from vmalloc_model.units import power_of_two_at_least, power_of_two_at_most

__all__ = [
    "FeasibleInterval",
    "PowersOfTwo",
    "feasible_interval",
    "feasible_powers_of_two",
    "smallest_amortising_chunk",
]


class FeasibleInterval(NamedTuple):
    """Chunk sizes that satisfy all three arguments: ``low <= chunk_size <= high``.

    Attributes
    ----------
    low, high : ndarray of int64
        Bytes, whole pages, both included. Nothing is feasible where ``low > high``.
    coverage, amortisation : ndarray of int64
        The two lower bounds in bytes; `low` is the larger one.
    """

    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    coverage: npt.NDArray[np.int64]
    amortisation: npt.NDArray[np.int64]

    @property
    def empty(self) -> npt.NDArray[np.bool_]:
        """Where no chunk size is feasible."""
        return np.asarray(self.low > self.high)

    @property
    def coverage_binds(self) -> npt.NDArray[np.bool_]:
        """Where coverage alone sets `low`, or does so together with amortisation."""
        return np.asarray(self.coverage >= self.amortisation)


class PowersOfTwo(NamedTuple):
    """Powers of two inside closed intervals.

    Attributes
    ----------
    smallest, largest : ndarray of int64
        Bytes, both included; 0 where there is none.
    number : ndarray of int64
        How many there are, 0 where there is none.
    """

    smallest: npt.NDArray[np.int64]
    largest: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]


def smallest_amortising_chunk(
    mean: npt.ArrayLike,
    min_allocations: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
) -> npt.NDArray[np.int64]:
    """Smallest chunk, in bytes, that serves a number of equal, page-aligned requests.

    Parameters
    ----------
    mean : array_like of int
        Payload of each request in bytes, without guard.
    min_allocations : array_like of int
        Allocations per refill that are wanted, 1 or more. The mail states no threshold.
    page_size : array_like of int
        Bytes, a power of two.
    guard_pages : array_like of int
        Pages the allocator adds behind each area.

    Notes
    -----
    Never below twice one request, since a larger request than half a chunk is not eligible.

    Examples
    --------
    >>> int(smallest_amortising_chunk(4096, 8192, 4096)) >> 20
    64
    """
    wanted = np.maximum(whole_numbers(min_allocations, "$.min_allocations", 1), 2)
    size = allocator_size(mean, page_size, guard_pages)
    if np.any(wanted > LARGEST // size):
        raise InputError(
            "$.min_allocations",
            "needs a chunk too large to stay exact",
            value=int(wanted.max()),
            allowed=f"products of at most {LARGEST:,} bytes",
        )
    return np.asarray(wanted * size)


def feasible_interval(
    largest_payload: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike,
    mean: npt.ArrayLike,
    min_allocations: npt.ArrayLike,
    budget: npt.ArrayLike,
    cpus: npt.ArrayLike,
    range_size: npt.ArrayLike,
) -> FeasibleInterval:
    """Chunk sizes that meet coverage, amortisation and a budget for address space.

    Parameters
    ----------
    largest_payload : array_like of int
        Largest request in bytes, without guard, that the chunk must admit.
    page_size : array_like of int
        Bytes, a power of two.
    guard_pages : array_like of int
        Pages the allocator adds behind each area.
    mean, min_allocations : array_like of int
        As in `smallest_amortising_chunk`.
    budget : array_like of float
        Share of the range that one current chunk on every CPU may take; 0 or more.
    cpus : array_like of int
        CPUs that hold a chunk, 1 or more.
    range_size : array_like of int
        The vmalloc range in bytes.

    Returns
    -------
    FeasibleInterval
        Arrays of the broadcast shape of all inputs.

    Examples
    --------
    >>> both = feasible_interval(32 << 20, 4096, [0, 1], 4096, 1000, 0.02, 32, 128 << 30)
    >>> (both.low / 2**20).round(3).tolist(), (both.high / 2**20).round(3).tolist()
    ([64.0, 64.008], [81.918, 81.918])
    """
    page = powers_of_two(page_size, "$.page_size")
    part = np.asarray(budget, dtype=np.float64)
    if not np.all(np.isfinite(part) & (part >= 0)):
        raise InputError("$.budget", "not a share", value=budget, allowed="0 or more")
    count = whole_numbers(cpus, "$.cpus", 1)
    allowed = part * whole_numbers(range_size, "$.range_size", 1)
    if np.any(allowed >= 2.0**63):
        raise InputError(
            "$.budget", "too large to stay exact", value=budget, allowed="less than that"
        )
    high = allowed.astype(np.int64) // count // page * page
    coverage = smallest_chunk(largest_payload, page, guard_pages)
    amortisation = smallest_amortising_chunk(mean, min_allocations, page, guard_pages)
    low = np.maximum(coverage, amortisation)
    return FeasibleInterval(*np.broadcast_arrays(low, high, coverage, amortisation))


def feasible_powers_of_two(low: npt.ArrayLike, high: npt.ArrayLike) -> PowersOfTwo:
    """Powers of two in ``[low, high]``, both ends included.

    Parameters
    ----------
    low, high : array_like of int
        Bytes, 0 or more, at most 2**62; an interval with ``low > high`` holds none.

    Examples
    --------
    >>> found = feasible_powers_of_two([3, 5, 9], [16, 7, 8])
    >>> found.smallest.tolist(), found.largest.tolist(), found.number.tolist()
    ([4, 0, 0], [16, 0, 0], [3, 0, 0])
    """
    bottom, top = whole_numbers(low, "$.low"), whole_numbers(high, "$.high")
    for where, value in (("$.low", bottom), ("$.high", top)):
        if np.any(value > 2**62):
            raise InputError(
                where,
                "too large to stay exact",
                value=int(value.max()),
                allowed=f"at most {2**62:,}",
            )
    smallest, largest = power_of_two_at_least(bottom), power_of_two_at_most(top)
    some = smallest <= largest
    # frexp of a power of two is exact: 2**k is 0.5 x 2**(k+1)
    steps = np.frexp(np.maximum(largest, 1))[1] - np.frexp(smallest)[1]
    return PowersOfTwo(
        np.asarray(np.where(some, smallest, 0)),
        np.asarray(np.where(some, largest, 0)),
        np.asarray(np.where(some, steps + 1, 0), dtype=np.int64),
    )
