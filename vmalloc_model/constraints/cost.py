"""Argument 3, address-space cost, and the memory that goes with a chunk.

The reservation is the least a CPU holds: one current chunk and nothing else. In 10/12 retired
chunks keep their address space too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError
from vmalloc_model.requests import LARGEST, powers_of_two, whole_numbers

__all__ = [
    "backpointer_bytes",
    "backpointer_share",
    "chunk_slots",
    "cpus_at_share",
    "page_table_bytes",
    "page_table_share",
    "reserved",
    "reserved_share",
]


def reserved(chunk_size: npt.ArrayLike, cpus: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Address space held by one current chunk on each CPU, in bytes.

    Parameters
    ----------
    chunk_size : array_like of int
        Bytes.
    cpus : array_like of int
        CPUs that have missed at least once, 0 or more: a chunk is reserved on the first miss.

    Raises
    ------
    InputError
        If a product does not fit 63 bits.

    Examples
    --------
    >>> int(reserved(64 << 20, 32)) >> 30
    2
    """
    chunk = whole_numbers(chunk_size, "$.chunk_size", 1)
    count = whole_numbers(cpus, "$.cpus")
    if chunk.size and count.size and int(chunk.max()) * int(count.max()) > LARGEST:
        over = count > LARGEST // chunk
        if np.any(over):
            worst = np.broadcast_to(count, over.shape)[over].flat[0]
            raise InputError(
                "$.cpus",
                "CPUs x chunk size is too large to stay exact",
                value=int(worst),
                allowed=f"products of at most {LARGEST:,} bytes",
            )
    return np.asarray(chunk * count)


def reserved_share(
    chunk_size: npt.ArrayLike, cpus: npt.ArrayLike, range_size: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Share of the vmalloc range held by one current chunk on each CPU.

    Parameters
    ----------
    chunk_size, range_size : array_like of int
        Bytes, 1 or more.
    cpus : array_like of int
        CPUs that hold a chunk.

    Returns
    -------
    ndarray of float64
        1 is the whole range; above 1 the range cannot hold a chunk for every CPU.

    Examples
    --------
    >>> reserved_share(64 << 20, [32, 8192], [128 << 30, 32 << 40]).tolist()
    [0.015625, 0.015625]
    """
    return np.asarray(reserved(chunk_size, cpus) / whole_numbers(range_size, "$.range_size", 1))


def cpus_at_share(
    share: npt.ArrayLike, chunk_size: npt.ArrayLike, range_size: npt.ArrayLike
) -> npt.NDArray[np.int64]:
    """Smallest number of CPUs whose chunks take at least a share of the range.

    Parameters
    ----------
    share : array_like of float
        Above 0; 1 is the whole range.
    chunk_size, range_size : array_like of int
        Bytes, 1 or more.

    Notes
    -----
    "At least" is taken as `reserved_share` computes it, in float64.

    Examples
    --------
    >>> cpus_at_share([0.01, 0.1, 1], 64 << 20, 32 << 40).tolist()
    [5243, 52429, 524288]
    """
    part = np.asarray(share, dtype=np.float64)
    if not np.all(np.isfinite(part) & (part > 0)):
        raise InputError("$.share", "not a positive share", value=share, allowed="above 0")
    chunk = whole_numbers(chunk_size, "$.chunk_size", 1)
    size = whole_numbers(range_size, "$.range_size", 1)
    estimate = np.ceil(part * size / chunk)
    if np.any(estimate * chunk >= 2.0**63):
        raise InputError(
            "$.share", "too large to stay exact", value=share, allowed="less than that"
        )
    count = np.maximum(estimate.astype(np.int64), 1)
    # the quotient was rounded: settle it by the share itself, one CPU either way
    count = np.where(reserved_share(chunk, count, size) < part, count + 1, count)
    one_less = (count > 1) & (reserved_share(chunk, count - 1, size) >= part)
    return np.asarray(np.where(one_less, count - 1, count))


def chunk_slots(chunk_size: npt.ArrayLike, range_size: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Most chunks that an empty range can hold side by side.

    Examples
    --------
    >>> chunk_slots(64 << 20, [120 << 20, 240 << 20, 32 << 40]).tolist()
    [1, 3, 524288]
    """
    size = whole_numbers(range_size, "$.range_size", 1)
    return np.asarray(size // whole_numbers(chunk_size, "$.chunk_size", 1))


def backpointer_bytes(
    chunk_size: npt.ArrayLike, page_size: npt.ArrayLike, pointer_size: npt.ArrayLike
) -> npt.NDArray[np.int64]:
    """Bytes of the array with one pointer per page of a chunk.

    Parameters
    ----------
    chunk_size, page_size : array_like of int
        Bytes; `page_size` a power of two. A partial page at the end of a chunk has no entry.
    pointer_size : array_like of int
        Bytes: 8 on 64-bit, 4 on 32-bit.

    Notes
    -----
    Source: the formula in the commit message of 10/12. The array itself comes with 11/12; in 10/12
    a chunk is three words and a lock.

    Examples
    --------
    >>> int(backpointer_bytes(64 << 20, 4096, 8))
    131072
    """
    pages = whole_numbers(chunk_size, "$.chunk_size", 1) // powers_of_two(page_size, "$.page_size")
    return np.asarray(pages * powers_of_two(pointer_size, "$.pointer_size"))


def backpointer_share(
    page_size: npt.ArrayLike, pointer_size: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Bytes of back-pointers per byte of chunk: independent of the chunk size, not of the page.

    It divides memory by address space, as the mail does.

    Examples
    --------
    >>> (100 * backpointer_share([4096, 16384, 65536], 8)).round(3).tolist()
    [0.195, 0.049, 0.012]
    """
    pointer = powers_of_two(pointer_size, "$.pointer_size")
    return np.asarray(pointer / powers_of_two(page_size, "$.page_size"))


def page_table_bytes(
    chunk_size: npt.ArrayLike,
    page_size: npt.ArrayLike,
    pointer_size: npt.ArrayLike,
    copies: int = 1,
) -> npt.NDArray[np.int64]:
    """Bytes of last-level page tables that a chunk touches once all of it has been handed out.

    Parameters
    ----------
    chunk_size, page_size : array_like of int
        Bytes; `page_size` a power of two.
    pointer_size : array_like of int
        Bytes.
    copies : int
        Copies of each entry in a table's page, as `vmalloc_model.platforms.Platform.entry_copies`.

    Notes
    -----
    Assumes that an entry is as large as a pointer (8 bytes on 64-bit, 4 on 32-bit without PAE),
    that a table fills one page and so maps ``page_size / pointer_size / copies`` pages, that the
    chunk starts on a table's border (otherwise one table more), that every page is mapped by an
    entry of the last level (huge mappings need none), and that upper levels are not counted.
    powerpc64 with 64 KiB pages puts several tables in a page, so there it is less than this.

    vunmap clears entries and keeps the tables. MEASURED: 130 kB of memory lost per refill on
    x86_64, where this gives 128 KiB.

    Examples
    --------
    >>> int(page_table_bytes(64 << 20, 4096, 8))
    131072
    """
    page = powers_of_two(page_size, "$.page_size")
    entries = page // powers_of_two(pointer_size, "$.pointer_size") // copies
    pages = -(-whole_numbers(chunk_size, "$.chunk_size", 1) // page)
    return np.asarray(-(-pages // entries) * page)


def page_table_share(
    page_size: npt.ArrayLike, pointer_size: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Bytes of last-level page tables per byte of touched chunk; assumptions as above.

    An entry per page is also what the back-pointers are, so on the same assumptions the two shares
    are equal.

    Examples
    --------
    >>> float(page_table_share(4096, 8)) == 1 / 512
    True
    """
    return backpointer_share(page_size, pointer_size)
