"""The two passes over the offsets of a chunk, compiled.

Offsets and sizes are pages. A request starts at the next multiple of its alignment and fits if it
ends inside the chunk; else it closes the chunk. The chunk itself starts `base` pages above a
multiple of every alignment.

Kinds of request come in *runs*: one alignment, sizes ``low, low + 1, ...``. Whoever makes the runs
fills small gaps with kinds of probability 0. So the ends of a run's requests are consecutive
offsets, which compilers turn into vector instructions, and those that fit are its first ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmalloc_model.compiled import compiled

__all__ = ["backward", "forward"]


@compiled
def _start(x: int, align: int, base: int) -> int:
    """Offset at which a request of this alignment starts when the pointer is at offset `x`."""
    return ((base + x + align - 1) & -align) - base


@compiled
def forward(share: Any, align: Any, low: Any, begin: Any, first: Any, pages: int, base: int) -> Any:
    """Follow the pointer through a chunk whose first request has the law `first`.

    Parameters
    ----------
    share : ndarray of float64, shape (k,)
        Probability of each kind.
    align, low, begin : ndarray of int64, shapes (r,), (r,) and (r + 1,)
        Of each run: alignment and smallest size in pages; number of its first kind, and at the
        end k.
    first : ndarray of float64, shape (k,)
        Probability that each kind is the chunk's first request.
    pages, base : int
        Pages of the chunk; where it starts.

    Returns
    -------
    visits : ndarray of float64, shape (pages + 1,)
        Probability that a request ends at each offset.
    refused : ndarray of float64, shape (k,)
        Probability that each kind closes the chunk: it is then the first of the next one.
    padding, tail : float
        Pages, in expectation.
    """
    visits = np.zeros(pages + 1)
    refused = np.zeros(len(share))
    below = np.append(0.0, np.cumsum(share))
    padding = tail = 0.0
    for r in range(len(align)):
        start = _start(0, align[r], base)
        for k in range(begin[r], begin[r + 1]):
            visits[start + low[r] + k - begin[r]] += first[k]
            padding += first[k] * start
    for x in range(pages + 1):
        here = visits[x]
        if here == 0.0:
            continue
        for r in range(len(align)):
            start = _start(x, align[r], base)
            end = start + low[r]
            fit = max(min(pages + 1 - end, begin[r + 1] - begin[r]), 0)
            reached = visits[end : end + fit]
            taken = share[begin[r] : begin[r] + fit]
            for i in range(fit):
                reached[i] += here * taken[i]
            for k in range(begin[r] + fit, begin[r + 1]):
                refused[k] += here * share[k]
            padding += here * (below[begin[r] + fit] - below[begin[r]]) * (start - x)
            tail += here * (below[begin[r + 1]] - below[begin[r] + fit]) * (pages - x)
    return visits, refused, padding, tail


@compiled
def backward(
    share: Any,
    align: Any,
    low: Any,
    begin: Any,
    first: Any,
    visits: Any,
    pages: int,
    base: int,
) -> Any:
    """Mean and variance of the number of requests, from what is still to come at each offset.

    The best guess of the final number changes with every request. These changes have mean 0 and are
    uncorrelated, so the variance is the sum of their squares, weighted with `visits`. Nothing is
    subtracted that is nearly equal: equal requests give exactly 0.

    Parameters as in `forward`, and its `visits`.

    Returns
    -------
    mean, variance : float
    """
    more = np.zeros(pages + 1)
    variance = 0.0
    for x in range(pages, -1, -1):
        if visits[x] == 0.0:
            continue
        mean = 0.0
        for r in range(len(align)):
            end = _start(x, align[r], base) + low[r] - begin[r]
            for k in range(begin[r], min(begin[r + 1], pages + 1 - end)):
                mean += share[k] * (1.0 + more[end + k])
        spread = 0.0
        for r in range(len(align)):
            end = _start(x, align[r], base) + low[r] - begin[r]
            for k in range(begin[r], begin[r + 1]):
                guess = 1.0 + more[end + k] if end + k <= pages else 0.0
                spread += share[k] * (guess - mean) ** 2
        more[x] = mean
        variance += visits[x] * spread
    mean = 0.0
    for r in range(len(align)):
        end = _start(0, align[r], base) + low[r] - begin[r]
        for k in range(begin[r], begin[r + 1]):
            mean += first[k] * (1.0 + more[end + k])
    for r in range(len(align)):
        end = _start(0, align[r], base) + low[r] - begin[r]
        for k in range(begin[r], begin[r + 1]):
            variance += first[k] * (1.0 + more[end + k] - mean) ** 2
    return mean, variance
