"""The whole law of the number of requests in a chunk, one request after the other.

Where the pointer is after one more request is a sum of two independent numbers, start and size,
once the starts are known. So each step rounds the offsets up, for each alignment that occurs, and
convolves starts with sizes; what ends behind the chunk has closed it. In a large chunk the pointer
is all but certainly in a small part of it, and only that part is looked at.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.occupancy.stationary import Occupancy

__all__ = ["distribution"]

Law = npt.NDArray[np.float64]

_FEW: Final = 8
"""Kinds of one alignment up to which adding them one by one is faster than a transform."""
_WHOLE: Final = 1 << 16
"""Pages of a chunk up to which all of it is looked at in every step."""
_LOST: Final = 1e-10
"""Probability that may be lost at either end of what is looked at, over all requests."""


def distribution(occupancy: Occupancy, rest: float = 1e-12) -> Law:
    """Law of the number of requests in a chunk.

    Parameters
    ----------
    occupancy : Occupancy
        Its first request has the law `Occupancy.first`.
    rest : float
        Probability of more requests at which the law is cut off.

    Returns
    -------
    ndarray of float64, shape (most + 1,)
        Probability of each number, of large chunks to some 1e-10. Time: for each number and
        alignment a Fourier transform of the pages that are looked at: the chunk's, or in large
        chunks about as many as some standard deviations of the sum of the sizes so far.

    Examples
    --------
    >>> from vmalloc_model.occupancy.mixes import find_mix
    >>> from vmalloc_model.occupancy.stationary import stationary
    >>> distribution(stationary(find_mix("huge"), 8 << 20)).round(9).tolist()
    [0.0, 0.0, 1.0]
    """
    mix, page = occupancy.mix, occupancy.mix.page_size
    pages, base = occupancy.chunk_size // page, occupancy.base // page
    size, align = mix.size // page, mix.align // page
    alone, together = [], []
    for one in np.unique(align).tolist():
        mine = align == one
        if mine.sum() <= _FEW:
            alone.append((one, size[mine].tolist(), mix.share[mine].tolist()))
        else:
            together.append((one, _Sizes(size[mine], mix.share[mine])))
    most = int(size.max())
    # a request that fits ends at most so many pages behind the pointer
    reach = int(align.max()) + most
    lost = _LOST / max(occupancy.requests, 1.0)

    # `offsets` are those of the pages from `origin` on; nothing is at its first one
    origin = 0
    offsets: Law = np.zeros(pages + 1)
    np.add.at(offsets, -base % align + size, occupancy.first)
    law, before = [0.0], float(offsets.sum())
    while before > rest:
        if pages > _WHOLE:
            origin, offsets = _window(origin, offsets, pages - origin, reach, lost)
        inside = offsets.size - 1
        # long enough that nothing wraps around: starts are below `inside`
        length = _fast(inside + most + 1) if pages > _WHOLE else pages + pages // 2
        ends: Law = np.zeros(inside + 1)
        for one, few, shares in alone:
            starts = _starts(offsets, one, base + origin)
            for each, share in zip(few, shares, strict=True):
                ends[each:] += share * starts[: max(inside + 1 - each, 0)]
        for one, sizes in together:
            product = np.fft.rfft(_starts(offsets, one, base + origin), length)
            product *= sizes.transform(length)
            ends += np.fft.irfft(product, length)[: inside + 1]
        offsets = np.maximum(ends, 0.0)  # rounding errors are no probabilities
        after = float(offsets.sum())
        law.append(max(before - after, 0.0))
        before = after
    return np.array(law)


class _Sizes:
    """Law of the sizes of one alignment, transformed."""

    def __init__(self, size: npt.NDArray[np.int64], share: Law) -> None:
        self._size, self._share = size, share
        self._transforms: dict[int, npt.NDArray[np.complex128]] = {}

    def transform(self, length: int) -> npt.NDArray[np.complex128]:
        """Fourier transform of so many pages."""
        if length not in self._transforms:
            sizes = np.zeros(length)
            sizes[self._size] = self._share
            self._transforms[length] = np.fft.rfft(sizes)
        return self._transforms[length]


def _window(origin: int, offsets: Law, pages: int, reach: int, lost: float) -> tuple[int, Law]:
    """Move to where the pointer is but for a probability of `lost` at either end.

    `pages` are those from `origin` to the end of the chunk, `reach` those to be kept behind the
    pointer. Nothing is at the first page of the window, as `_starts` wants it.
    """
    below = int(np.searchsorted(np.cumsum(offsets), lost, side="right"))
    above = int(np.searchsorted(np.cumsum(offsets[:below:-1]), lost, side="right"))
    last = offsets.size - 1 - above
    first = max(below - 1, 0)
    window: Law = np.zeros(min(last + reach, pages) - first + 1)
    window[below - first : last - first + 1] = offsets[below : last + 1]
    return origin + first, window


def _fast(length: int) -> int:
    """Least length of three bits and zeros, not below this one: few, and fast to transform."""
    unit = 1 << max((length - 1).bit_length() - 3, 1)  # even, as `irfft` has it
    return -(-length // unit) * unit


def _starts(offsets: Law, align: int, base: int) -> Law:
    """Law of the start, if it is inside, from that of the pointer, which is past offset 0."""
    pages, shift = offsets.size - 1, base % align
    blocks = -(-(shift + pages) // align)
    padded = np.zeros(blocks * align)
    padded[shift : shift + pages] = offsets[1:]
    if align >= 8:
        rounded = padded.reshape(blocks, align).sum(axis=1)
    else:  # many short sums take longer than a few of whole arrays
        rounded = padded[::align].copy()
        for nth in range(1, align):
            rounded += padded[nth::align]
    starts = np.zeros(pages)
    inside = starts[align - shift :: align]
    inside[:] = rounded[: inside.size]
    return starts
