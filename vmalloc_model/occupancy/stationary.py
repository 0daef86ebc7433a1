"""Exact occupancy of chunks by independent requests: how many, what is skipped, what is left.

A CPU fills one chunk after the other. The request that does not fit closes a chunk and is the first
of the next one, so the first request is not drawn as the others are: large ones are more likely
(at a random end of a chunk, the request that spans it is picked in proportion to its size). Which
kind comes first is a Markov chain from chunk to chunk. Every kind may close a chunk after every
other: let the other come first and repeat the one until it does not fit. So all transition
probabilities are positive, one law of the first request reproduces itself, and iterating finds it.
That law is the one after many chunks, and "in expectation" means over chunks under it.

**Identity.** Let N be the number of requests of a chunk, s their mean size over *all* requests.
Then ``E[N] * s + E[tail] + E[padding] = C`` exactly, although the first request of a chunk is
larger than the mean. Proof: in m chunks the sizes, tails and paddings sum to ``m * C``. By the
ergodic theorem tails and paddings per chunk tend to their expectations under the chain's law, and
requests per chunk to E[N]. Counted in the order of the stream the sizes are independent draws, so
their average tends to s whichever chunk they fell into. Divide by m.

MODEL: independent requests (a recorded stream has bursts; `vmalloc_model.occupancy.fill` keeps its
order), no failed refill, and frees change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError, ModelError
from vmalloc_model.occupancy.mix import Mix
from vmalloc_model.occupancy.passes import backward, forward
from vmalloc_model.requests import powers_of_two

__all__ = ["Occupancy", "deviation", "fresh", "requests_per_refill", "stationary"]

Law = npt.NDArray[np.float64]

_SETTLED: Final = 1e-12
"""Change of the first request's law, summed over the kinds, below which it reproduces itself."""
_ROUNDS: Final = 10_000
_GAP: Final = 8
"""Pages between two sizes up to which they are put into one run."""


@dataclass(frozen=True, slots=True, eq=False)
class Occupancy:
    """A chunk of independent requests, in expectation.

    Attributes
    ----------
    mix : Mix
        The eligible requests.
    chunk_size, base : int
        Bytes; the address of the chunk modulo its size.
    requests : float
        Mean number of requests, which is requests per refill.
    padding, tail : float
        Bytes.
    first, closing : ndarray of float64, shape (k,)
        Probability that each kind is the chunk's first request, and that it closes the chunk.
    """

    mix: Mix
    chunk_size: int
    base: int
    requests: float
    padding: float
    tail: float
    first: Law
    closing: Law

    @property
    def guard(self) -> float:
        """Bytes of guard pages, of `stationary` only; so are the next two."""
        return self.requests * self.mix.mean_guard

    @property
    def payload(self) -> float:
        """Bytes of payload, in whole pages."""
        return self.requests * (self.mix.mean - self.mix.mean_guard)

    @property
    def error(self) -> float:
        """By how much the identity is missed, relative to the chunk."""
        total = self.requests * self.mix.mean + self.padding + self.tail
        return total / self.chunk_size - 1


def stationary(mix: Mix, chunk_size: int, base: int = 0) -> Occupancy:
    """Occupancy of a chunk after many chunks.

    Parameters
    ----------
    mix : Mix
        Requests that are not eligible are left out, as they never reach the chunk.
    chunk_size : int
        Bytes, a power of two, at least two pages.
    base : int
        Address of the chunks, a multiple of the page size; only its offset from a multiple of the
        chunk size matters. 0 is what was recorded: chunks lay back to back from the start of the
        range.

    Returns
    -------
    Occupancy
        Time: pages times kinds for each round; two to five rounds are usual.

    Raises
    ------
    InputError
        If no request is eligible or a number is out of range.
    ModelError
        If the first request's law has not settled after 10,000 rounds.

    Examples
    --------
    >>> from vmalloc_model.occupancy.mixes import find_mix
    >>> both = stationary(find_mix("stack_and_page"), 64 << 20)
    >>> round(both.requests, 3), abs(both.error) < 1e-9
    (3510.49, True)
    """
    model = _Model(mix, chunk_size, base)
    first = model.mix.share * model.mix.size
    first = first / first.sum()
    for _ in range(_ROUNDS):
        found = model.occupancy(first)
        following = found.closing / found.closing.sum()
        if np.abs(following - first).sum() < _SETTLED:
            return found
        first = following
    raise ModelError(f"first request of {mix.name}: no law after {_ROUNDS:,} rounds")


def fresh(mix: Mix, chunk_size: int, base: int = 0) -> Occupancy:
    """Occupancy of a CPU's very first chunk, whose first request is drawn as all others.

    Parameters and errors as for `stationary`; the identity does not hold.
    """
    model = _Model(mix, chunk_size, base)
    return model.occupancy(model.mix.share)


def deviation(occupancy: Occupancy) -> float:
    """Return the standard deviation of the number of requests in a chunk."""
    model = _Model(occupancy.mix, occupancy.chunk_size, occupancy.base)
    return float(np.sqrt(model.moments(occupancy.first)[1]))


def requests_per_refill(mix: Mix, chunk_size: int, base: int = 0) -> float:
    """Mean number of eligible requests that one refill serves; the refill rate is its inverse.

    Parameters and errors as for `stationary`. Requests that are not eligible visit the global
    allocator each: per request of any kind it is visited
    ``1 - e + e / requests_per_refill(...)`` times, with ``e = mix.eligible_share(chunk_size)``.

    Examples
    --------
    >>> from vmalloc_model.occupancy.mixes import find_mix
    >>> requests_per_refill(find_mix("one_page"), 64 << 20)
    8192.0
    """
    return stationary(mix, chunk_size, base).requests


class _Model:
    """A mix and a chunk as the passes want them: in pages, the kinds in runs of their sizes."""

    def __init__(self, mix: Mix, chunk_size: int, base: int) -> None:
        page = mix.page_size
        chunk = int(powers_of_two(chunk_size, "$.chunk_size"))
        if base % page or base < 0:
            raise InputError("$.base", "not a page-aligned address", value=base)
        self.mix, self.chunk_size, self.base = mix.eligible(chunk), chunk, base % chunk
        size, align = self.mix.size // page, self.mix.align // page
        heads = np.flatnonzero((np.diff(align) > 0) | (np.diff(size) > _GAP)) + 1
        heads = np.append(0, heads)
        lasts = np.append(heads[1:], size.size) - 1
        begin = np.append(0, np.cumsum(size[lasts] - size[heads] + 1))
        run = np.repeat(np.arange(heads.size), lasts - heads + 1)
        self._place = begin[run] + size - size[heads[run]]
        self._kinds = (self._spread(self.mix.share), align[heads], size[heads], begin)
        self._chunk = (chunk // page, self.base // page)

    def _spread(self, law: Law) -> Law:
        """Put a law over the mix's kinds on those of the runs."""
        spread = np.zeros(int(self._place[-1]) + 1)
        spread[self._place] = law
        return spread

    def occupancy(self, first: Law) -> Occupancy:
        """Occupancy of a chunk whose first request has this law."""
        visits, refused, padding, tail = forward(*self._kinds, self._spread(first), *self._chunk)
        page = self.mix.page_size
        return Occupancy(
            mix=self.mix,
            chunk_size=self.chunk_size,
            base=self.base,
            requests=float(visits.sum()),
            padding=float(padding) * page,
            tail=float(tail) * page,
            first=first,
            closing=refused[self._place],
        )

    def moments(self, first: Law) -> tuple[float, float]:
        """Mean and variance of the number of requests, by the other pass."""
        spread = self._spread(first)
        visits = forward(*self._kinds, spread, *self._chunk)[0]
        mean, variance = backward(*self._kinds, spread, visits, *self._chunk)
        return float(mean), float(variance)
