"""The whole law of the number of requests in a chunk, one request after the other.

Where the pointer is after one more request is a sum of two independent numbers, start and size,
once the starts are known. So each step rounds the offsets up, for each alignment that occurs, and
convolves starts with sizes; what ends behind the chunk has closed it.
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
        Probability of each number. Time: for each number a Fourier transform of the chunk's pages
        for each alignment.

    Examples
    --------
    >>> from vmalloc_model.occupancy.mixes import find_mix
    >>> from vmalloc_model.occupancy.stationary import stationary
    >>> distribution(stationary(find_mix("huge"), 8 << 20)).round(9).tolist()
    [0.0, 0.0, 1.0]
    """
    mix, page = occupancy.mix, occupancy.mix.page_size
    pages, base = occupancy.chunk_size // page, occupancy.base // page
    # long enough that nothing wraps around: starts are below `pages`, sizes at most half of it
    length = pages + pages // 2
    size, align = mix.size // page, mix.align // page
    alone, together = [], []
    for one in np.unique(align).tolist():
        mine = align == one
        if mine.sum() <= _FEW:
            alone.append((one, size[mine].tolist(), mix.share[mine].tolist()))
        else:
            sizes = np.zeros(length)
            sizes[size[mine]] = mix.share[mine]
            together.append((one, np.fft.rfft(sizes)))

    offsets: Law = np.zeros(pages + 1)
    np.add.at(offsets, -base % align + size, occupancy.first)
    law, before = [0.0], float(offsets.sum())
    while before > rest:
        ends: Law = np.zeros(pages + 1)
        for one, few, shares in alone:
            starts = _starts(offsets, one, base)
            for each, share in zip(few, shares, strict=True):
                ends[each:] += share * starts[: pages + 1 - each]
        for one, transform in together:
            product = np.fft.rfft(_starts(offsets, one, base), length) * transform
            ends += np.fft.irfft(product, length)[: pages + 1]
        offsets = np.maximum(ends, 0.0)  # rounding errors are no probabilities
        after = float(offsets.sum())
        law.append(max(before - after, 0.0))
        before = after
    return np.array(law)


def _starts(offsets: Law, align: int, base: int) -> Law:
    """Law of the start, if it is inside, from that of the pointer, which is past offset 0."""
    pages, shift = offsets.size - 1, base % align
    blocks = -(-(shift + pages) // align)
    padded = np.zeros(blocks * align)
    padded[shift : shift + pages] = offsets[1:]
    rounded = padded.reshape(blocks, align).sum(axis=1) if align > 1 else padded
    starts = np.zeros(pages)
    inside = starts[align - shift :: align]
    inside[:] = rounded[: inside.size]
    return starts
