"""Argument 1, eligibility coverage: which sizes a chunk admits, and what chunk a size needs.

A request is admitted if its size, guard included, and its alignment are at most half a chunk
(``vmap_bump_alloc`` in the diff of 10/12).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError
from vmalloc_model.requests import LARGEST, allocator_size, powers_of_two, whole_numbers
from vmalloc_model.units import power_of_two_at_least

__all__ = ["eligible_share", "largest_eligible", "smallest_chunk", "smallest_power_of_two_chunk"]


def largest_eligible(
    chunk_size: npt.ArrayLike, page_size: npt.ArrayLike, guard_pages: npt.ArrayLike = 1
) -> npt.NDArray[np.int64]:
    """Largest payload a chunk admits, in bytes; 0 if not even one byte is admitted.

    Parameters
    ----------
    chunk_size, page_size : array_like of int
        Bytes; `page_size` a power of two.
    guard_pages : array_like of int
        Pages the allocator adds behind each area.

    Examples
    --------
    >>> 32 * 2**20 - int(largest_eligible(64 * 2**20, 4096))  # one page short of half a chunk
    4096
    """
    page = powers_of_two(page_size, "$.page_size")
    guard = whole_numbers(guard_pages, "$.guard_pages")
    half_in_pages = whole_numbers(chunk_size, "$.chunk_size", 1) // 2 // page
    return np.asarray(np.maximum(half_in_pages - guard, 0) * page)


def smallest_chunk(
    payload: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
    align: npt.ArrayLike = 1,
) -> npt.NDArray[np.int64]:
    """Smallest chunk, in bytes, of which a payload with guard and alignment is at most half.

    Parameters
    ----------
    payload : array_like of int
        Bytes the caller asked for, 1 or more.
    page_size, align : array_like of int
        Bytes, powers of two.
    guard_pages : array_like of int
        Pages the allocator adds behind each area.

    Returns
    -------
    ndarray of int64
        A multiple of two pages; not in general a power of two.

    Raises
    ------
    InputError
        If the result would not fit 63 bits.
    """
    page = powers_of_two(page_size, "$.page_size")
    half = np.maximum(
        allocator_size(payload, page, guard_pages),
        np.maximum(powers_of_two(align, "$.align"), page),
    )
    if np.any(half > LARGEST // 2):
        raise InputError(
            "$.payload",
            "needs a chunk too large to stay exact",
            value=int(np.max(half)),
            allowed=f"at most {LARGEST // 2:,} bytes with guard",
        )
    return np.asarray(2 * half)


def smallest_power_of_two_chunk(
    payload: npt.ArrayLike,
    page_size: npt.ArrayLike,
    guard_pages: npt.ArrayLike = 1,
    align: npt.ArrayLike = 1,
) -> npt.NDArray[np.int64]:
    """Smallest power of two at or above `smallest_chunk`, in bytes; parameters as there.

    Examples
    --------
    >>> [int(smallest_power_of_two_chunk(32 << 20, 4096, guard)) >> 20 for guard in (0, 1)]
    [64, 128]
    """
    least = smallest_chunk(payload, page_size, guard_pages, align)
    if np.any(least > 2**62):
        raise InputError(
            "$.payload",
            "needs a power of two too large to stay exact",
            value=int(np.max(least)),
            allowed=f"chunks of at most {2**62:,} bytes",
        )
    return power_of_two_at_least(least)


def eligible_share(
    sizes: npt.ArrayLike,
    chunk_sizes: npt.ArrayLike,
    weights: str | None = None,
    aligns: npt.ArrayLike = 1,
) -> npt.NDArray[np.float64]:
    """Share of requests, or of their bytes, that each chunk size admits.

    Parameters
    ----------
    sizes : array_like of int, shape (n,)
        Bytes as the allocator sees them, guard included; requests outside the standard window must
        have been taken out or count as admitted here.
    chunk_sizes : array_like of int, shape (m,)
        Bytes.
    weights : None or "bytes"
        None counts requests, ``"bytes"`` counts their bytes.
    aligns : array_like of int, shape (n,) or ()
        Bytes. An alignment above half a chunk excludes a request as its size does.

    Returns
    -------
    ndarray of float64, shape (m,)
        Between 0 and 1. O((n + m) log n).

    Raises
    ------
    InputError
        If there are no requests, or the weights are unknown.

    Examples
    --------
    >>> eligible_share([4096, 8192, 20480], [8192, 16384, 65536]).round(3).tolist()
    [0.333, 0.667, 1.0]
    """
    size = whole_numbers(sizes, "$.sizes", 1)
    chunks = whole_numbers(chunk_sizes, "$.chunk_sizes", 1)
    if size.ndim != 1 or size.size == 0:
        raise InputError(
            "$.sizes", "no requests to take a share of", value=size.shape, allowed="shape (n,)"
        )
    if weights not in (None, "bytes"):
        raise InputError("$.weights", "unknown weights", value=weights, allowed="None, 'bytes'")
    need = np.maximum(size, whole_numbers(aligns, "$.aligns"))
    order = np.argsort(need, kind="stable")
    weight = np.ones_like(size) if weights is None else size[order]
    # below[k] is the weight of the k requests that need least
    below = np.concatenate(([0], np.cumsum(weight)))
    admitted = np.searchsorted(need[order], chunks // 2, side="right")
    return np.asarray(below[admitted] / below[-1])
