"""Argument 2, refill amortisation: how many requests one visit to the global allocator pays for.

All requests are equal here; `vmalloc_model.occupancy` fills chunks with a recorded stream.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError
from vmalloc_model.requests import LARGEST, allocator_size, powers_of_two, stride, whole_numbers

__all__ = [
    "DoublingGain",
    "allocations_per_refill",
    "allocations_per_refill_ratio",
    "barely_improves",
    "doubling_gain",
    "global_visits_per_allocation",
]


class DoublingGain(NamedTuple):
    """What a chunk of twice the size changes.

    Attributes
    ----------
    saved : ndarray of float64
        Visits to the global allocator saved per allocation.
    ratio : ndarray of float64
        Visits per allocation before, divided by those after: 2 when they halve.
    """

    saved: npt.NDArray[np.float64]
    ratio: npt.NDArray[np.float64]


def allocations_per_refill(
    chunk_size: npt.ArrayLike,
    mean: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
    align: npt.ArrayLike = 1,
    base: npt.ArrayLike = 0,
) -> npt.NDArray[np.int64]:
    """Count equal requests that one fresh chunk serves, exactly.

    Parameters
    ----------
    chunk_size : array_like of int
        Bytes.
    mean : array_like of int
        Payload of each request in bytes, 1 or more, without guard.
    page_size, align : array_like of int
        Bytes, powers of two.
    guard_pages : array_like of int
        Pages the allocator adds behind each area; 0 gives the mail's arithmetic.
    base : array_like of int
        Address of the chunk; only its distance to the next multiple of `align` matters. 0 is the
        best case and what was recorded (chunks lay back to back from the start of the range); the
        refill promises no more than a multiple of the page size, and that is what is checked.

    Returns
    -------
    ndarray of int64
        0 where the request is not eligible: size or alignment above half a chunk. 1 or more
        elsewhere: at most ``align - page_size`` bytes are skipped before the first request.

    Raises
    ------
    InputError
        If a number is out of range, or `base` is no multiple of the page size.

    Notes
    -----
    The first request starts at ``ALIGN(base, align)``, the next ones a `stride` apart, and the last
    must end inside the chunk. Source: ``vmap_bump_alloc`` in the diff of 10/12.

    Examples
    --------
    >>> [int(allocations_per_refill(64 << 20, 4096, 4096, guard)) for guard in (0, 1)]
    [16384, 8192]
    >>> int(allocations_per_refill(64 << 20, 16384, 4096, align=16384))  # stacks on x86_64
    2048
    """
    chunk = whole_numbers(chunk_size, "$.chunk_size", 1)
    alignment = powers_of_two(align, "$.align")
    start = whole_numbers(base, "$.base")
    size = allocator_size(mean, page_size, guard_pages)
    if np.any(start % np.asarray(page_size)):
        raise InputError("$.base", "not a multiple of the page size", allowed="page-aligned")
    skipped = -start % alignment
    count = (chunk - skipped - size) // stride(size, alignment) + 1
    admitted = (size <= chunk // 2) & (alignment <= chunk // 2)
    return np.asarray(np.where(admitted, count, 0))


def allocations_per_refill_ratio(
    chunk_size: npt.ArrayLike,
    mean: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
    align: npt.ArrayLike = 1,
) -> npt.NDArray[np.float64]:
    """Chunk size divided by the stride of equal requests, without rounding: the mail's quotient.

    Parameters as in `allocations_per_refill`; 0 where the request is not eligible.

    Examples
    --------
    >>> float(allocations_per_refill_ratio(64 << 20, 1 << 20, 4096, guard_pages=0))
    64.0
    """
    chunk = whole_numbers(chunk_size, "$.chunk_size", 1)
    alignment = powers_of_two(align, "$.align")
    size = allocator_size(mean, page_size, guard_pages)
    admitted = (size <= chunk // 2) & (alignment <= chunk // 2)
    return np.asarray(np.where(admitted, chunk / stride(size, alignment), 0.0))


def global_visits_per_allocation(
    chunk_size: npt.ArrayLike,
    mean: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
    align: npt.ArrayLike = 1,
) -> npt.NDArray[np.float64]:
    """Visits to the global allocator per allocation of a stream of equal requests.

    Parameters as in `allocations_per_refill`. One refill serves that many allocations; a request
    that is not eligible visits the global allocator itself, which is 1. Frees, purges and node
    pools are not counted.

    Examples
    --------
    >>> float(global_visits_per_allocation(64 << 20, 4096, 4096)) == 1 / 8192
    True
    """
    count = allocations_per_refill(chunk_size, mean, page_size, guard_pages, align)
    return np.asarray(1.0 / np.maximum(count, 1))


def doubling_gain(
    chunk_size: npt.ArrayLike,
    mean: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
    align: npt.ArrayLike = 1,
) -> DoublingGain:
    """Compare a chunk with one of twice the size; parameters as above.

    The two answers differ in kind: the ratio stays near 2 for every chunk size, the absolute saving
    halves with each doubling.

    Examples
    --------
    >>> gain = doubling_gain(64 << 20, 4096, 4096)
    >>> float(gain.ratio), round(1000 * float(gain.saved), 3)
    (2.0, 0.061)
    """
    chunk = whole_numbers(chunk_size, "$.chunk_size", 1)
    if np.any(chunk > LARGEST // 2):
        raise InputError(
            "$.chunk_size", "too large to double", value=int(chunk.max()), allowed="below 4 EiB"
        )
    before = global_visits_per_allocation(chunk, mean, page_size, guard_pages, align)
    after = global_visits_per_allocation(2 * chunk, mean, page_size, guard_pages, align)
    return DoublingGain(np.asarray(before - after), np.asarray(before / after))


def barely_improves(
    chunk_size: npt.ArrayLike,
    mean: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
    align: npt.ArrayLike = 1,
    threshold: npt.ArrayLike = 1.0,
) -> npt.NDArray[np.bool_]:
    """Tell whether doubling the chunk saves less than a stated number of visits.

    Parameters
    ----------
    chunk_size, mean, page_size, guard_pages, align
        As in `allocations_per_refill`.
    threshold : array_like of float
        Visits to the global allocator per 1,000 allocations; a saving below this is "barely". The
        mail says "barely" without a measure: this one is the report's, so it is a parameter.

    Examples
    --------
    >>> barely_improves(64 << 20, [4096, 1 << 20], 4096).tolist()
    [True, False]
    """
    saved = doubling_gain(chunk_size, mean, page_size, guard_pages, align).saved
    return np.asarray(1000 * saved < np.asarray(threshold, dtype=np.float64))
