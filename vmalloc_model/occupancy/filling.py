"""Exact sequential filling of chunks by a stream of requests.

The rule is the one of the diff of 10/12 (``vmap_bump_alloc``, ``vmap_bump_refill``): align the bump
pointer, take the request if it still ends inside the chunk, otherwise give the chunk up and start a
new one. Each CPU fills its own chunks. MODEL: frees change nothing here, since the pointer never
moves back, and a refill always succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError
from vmalloc_model.requests import powers_of_two, whole_numbers

__all__ = ["Filling", "fill"]


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """What a stream of requests did to its chunks.

    All sizes are bytes, guard pages included. ``requested + padding + tail + rest`` equals
    ``refills * chunk_size``.

    Attributes
    ----------
    chunk_size : int
        Bytes.
    requests, refills, hits : int
        Requests served; chunks reserved; requests that found room without a refill.
    requested : int
        Bytes handed out.
    padding : int
        Bytes skipped by ``ALIGN``.
    tail, rest : int
        Bytes behind the pointer in chunks that were given up, and in those still current.
    chunk_cpu : ndarray of int64, shape (refills,)
        CPU that reserved each chunk, in the order of the refills.
    chunk_base : ndarray of uint64, shape (refills,)
        Address of each chunk, back to back from the base of the first.
    chunk_used : ndarray of int64, shape (refills,)
        Distance from the chunk's base to its pointer at the end, padding included.
    chunk_requested : ndarray of int64, shape (refills,)
        Bytes handed out from each chunk.
    chunk_requests : ndarray of int64, shape (refills,)
        Requests served from each chunk.
    chunk_closed : ndarray of bool, shape (refills,)
        Whether the chunk was given up; the others are current, at most one per CPU.
    """

    chunk_size: int
    requests: int
    refills: int
    hits: int
    requested: int
    padding: int
    tail: int
    rest: int
    chunk_cpu: npt.NDArray[np.int64]
    chunk_base: npt.NDArray[np.uint64]
    chunk_used: npt.NDArray[np.int64]
    chunk_requested: npt.NDArray[np.int64]
    chunk_requests: npt.NDArray[np.int64]
    chunk_closed: npt.NDArray[np.bool_]


def fill(
    size: npt.ArrayLike,
    align: npt.ArrayLike,
    chunk_size: int,
    page_size: int,
    cpu: npt.ArrayLike | None = None,
    base: int = 0,
) -> Filling:
    """Fill chunks with requests in the order given.

    Parameters
    ----------
    size : array_like of int, shape (n,)
        Bytes as the allocator sees them, guard included: whole pages, at most half a chunk.
    align : array_like of int, shape (n,) or ()
        Bytes, powers of two, at most half a chunk.
    chunk_size, page_size : int
        Bytes, powers of two.
    cpu : array_like of int, shape (n,), optional
        CPU whose chunk is asked; one CPU if left out.
    base : int
        Address of the first chunk, page-aligned; chunk k starts at ``base + k * chunk_size``. 0 is
        aligned to everything, as the start of the range is on x86_64 and as recorded chunks were;
        ``page_size`` is a worst case.

    Returns
    -------
    Filling
        O(n) for each call.

    Raises
    ------
    InputError
        If a request is not eligible (the caller takes those out), or a number is out of range.

    Notes
    -----
    A fresh chunk always has room: at most ``align - page_size`` bytes are skipped, so the request
    ends at most at ``chunk_size - page_size``.

    Examples
    --------
    >>> stacks = fill([20480] * 2049, 16384, 64 << 20, 4096)
    >>> stacks.refills, stacks.hits, stacks.padding == 2047 * 12288
    (2, 2047, True)
    """
    chunk = int(powers_of_two(chunk_size, "$.chunk_size"))
    page = int(powers_of_two(page_size, "$.page_size"))
    sizes = whole_numbers(size, "$.size", 1)
    if sizes.ndim != 1:
        raise InputError("$.size", "wrong shape", value=sizes.shape, allowed="(n,)")
    aligns = _one_each(powers_of_two(align, "$.align"), sizes.size, "$.align")
    cpus = _one_each(whole_numbers(0 if cpu is None else cpu, "$.cpu"), sizes.size, "$.cpu")
    for where, values in (("$.size", sizes), ("$.align", aligns)):
        if np.any(values > chunk // 2):
            raise InputError(
                where,
                "not eligible, more than half a chunk",
                value=int(values.max()),
                allowed=f"at most {chunk // 2:,} bytes",
            )
    if np.any(sizes % page):
        wrong = int(sizes[sizes % page != 0][0])
        raise InputError("$.size", "not a multiple of the page size", value=wrong)
    if base % page or not 0 <= base < 2**64:
        raise InputError("$.base", "not a page-aligned address", value=base)

    # chunk_size is a power of two and no alignment exceeds half of it, so every chunk lies the same
    # way to every alignment and the CPUs can be filled one after the other
    start = base % chunk
    # one array per CPU, after an empty one so that no requests is no special case
    nothing = np.array([], dtype=np.int64)
    firsts, ends, counts, requested = [nothing], [nothing], [nothing], [nothing]
    closings = [nothing.astype(np.bool_)]
    for one in np.unique(cpus):
        mine = np.flatnonzero(cpus == one)
        first, end = _fill_one(sizes[mine], aligns[mine], start, start + chunk)
        firsts.append(mine[first])
        ends.append(end)
        counts.append(np.diff(first, append=mine.size))
        requested.append(np.add.reduceat(sizes[mine], first))
        closings.append(np.arange(first.size) < first.size - 1)

    opened = np.concatenate(firsts)
    order = np.argsort(opened)
    used = np.concatenate(ends)[order] - start
    taken = np.concatenate(requested)[order]
    closed = np.concatenate(closings)[order]
    unused = chunk - used
    return Filling(
        chunk_size=chunk,
        requests=sizes.size,
        refills=order.size,
        hits=sizes.size - order.size,
        requested=int(taken.sum()),
        padding=int((used - taken).sum()),
        tail=int(unused[closed].sum()),
        rest=int(unused[~closed].sum()),
        chunk_cpu=cpus[opened[order]],
        chunk_base=np.uint64(base) + np.uint64(chunk) * np.arange(order.size, dtype=np.uint64),
        chunk_used=used,
        chunk_requested=taken,
        chunk_requests=np.concatenate(counts)[order],
        chunk_closed=closed,
    )


def _one_each(values: npt.NDArray[np.int64], n: int, where: str) -> npt.NDArray[np.int64]:
    if values.shape not in ((), (n,)):
        raise InputError(where, "wrong shape", value=values.shape, allowed=f"({n},) or one value")
    return np.broadcast_to(values, (n,))


def _fill_one(
    sizes: npt.NDArray[np.int64], aligns: npt.NDArray[np.int64], start: int, limit: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Index of the first request of each of one CPU's chunks, and where its pointer ended."""
    first: list[int] = []
    ends: list[int] = []
    bump = limit  # no chunk yet: nothing fits, as with the kernel's zero base
    for index, (size, align) in enumerate(zip(sizes.tolist(), aligns.tolist(), strict=True)):
        end = ((bump + align - 1) & -align) + size
        if end > limit:
            first.append(index)
            ends.append(bump)
            end = ((start + align - 1) & -align) + size
        bump = end
    return np.array(first, dtype=np.int64), np.array([*ends[1:], bump], dtype=np.int64)
