"""A mix: a law over kinds of requests, each with its size and alignment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError
from vmalloc_model.requests import powers_of_two, whole_numbers

__all__ = ["Kind", "Mix", "mix_of"]

Kind = tuple[float, int, int, float]
"""Weight, size in bytes with guard, alignment in bytes, bytes of the size that are guard."""


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """Independent requests, each of one of k kinds.

    Attributes
    ----------
    name, title : str
        What it is called, what it is.
    page_size : int
        Bytes.
    size, align : ndarray of int64, shape (k,)
        Bytes: the request as the allocator sees it, guard included; its alignment, one page or
        more. Ascending by alignment, then by size; no two are equal.
    guard : ndarray of float64, shape (k,)
        Bytes of the size that are guard, on average.
    share : ndarray of float64, shape (k,)
        Probability of each kind; the sum is 1.
    """

    name: str
    title: str
    page_size: int
    size: npt.NDArray[np.int64]
    align: npt.NDArray[np.int64]
    guard: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean size in bytes, guard included."""
        return float(self.share @ self.size)

    @property
    def mean_guard(self) -> float:
        """Mean guard in bytes."""
        return float(self.share @ self.guard)

    def fits(self, chunk_size: int) -> npt.NDArray[np.bool_]:
        """Tell which kinds a chunk may serve: size and alignment at most half of it.

        Source: ``vmap_bump_alloc`` in the diff of 10/12. The window is not looked at.
        """
        return (self.size <= chunk_size // 2) & (self.align <= chunk_size // 2)

    def eligible_share(self, chunk_size: int) -> float:
        """Probability that a chunk of so many bytes may serve a request."""
        fits = self.fits(chunk_size)
        return 1.0 if fits.all() else float(self.share[fits].sum())

    def eligible(self, chunk_size: int) -> Mix:
        """Leave out the kinds that a chunk of so many bytes cannot serve.

        Raises
        ------
        InputError
            If none is left.
        """
        fits = self.fits(chunk_size)
        if not fits.any():
            raise InputError(
                "$.chunk_size",
                f"no request of {self.name} is eligible",
                value=chunk_size,
                allowed=f"{2 * int(np.maximum(self.size, self.align).min()):,} bytes or more",
            )
        return replace(
            self,
            size=self.size[fits],
            align=self.align[fits],
            guard=self.guard[fits],
            share=self.share[fits] / self.share[fits].sum(),
        )


def mix_of(name: str, title: str, page_size: int, kinds: Iterable[Kind]) -> Mix:
    """Make a mix from weighted kinds.

    Parameters
    ----------
    name, title : str
        What it is called, what it is.
    page_size : int
        Bytes, a power of two.
    kinds : iterable of Kind
        Weights are relative and above 0; sizes are whole pages. Those of equal size and
        alignment are put together; an alignment below one page becomes one page, as every pointer
        has it.

    Raises
    ------
    InputError
        If there is no kind, or a number is out of range.

    Examples
    --------
    >>> mix = mix_of("two", "two kinds", 4096, [(1, 8192, 1, 4096), (3, 16384, 16384, 4096)])
    >>> mix.mean, mix.align.tolist(), mix.share.tolist()
    (14336.0, [4096, 16384], [0.25, 0.75])
    """
    page = int(powers_of_two(page_size, "$.page_size"))
    weights: dict[tuple[int, int], float] = {}
    guards: dict[tuple[int, int], float] = {}
    for weight, size, align, guard in kinds:
        kind = (max(int(align), page), int(size))
        weights[kind] = weights.get(kind, 0.0) + weight
        guards[kind] = guards.get(kind, 0.0) + weight * guard
    if not weights or not min(weights.values()) > 0:
        raise InputError("$.kinds", "no kind, or one without weight", allowed="weights above 0")
    order = sorted(weights)
    table = np.array(order, dtype=np.int64)
    sizes = whole_numbers(table[:, 1], "$.size", 1)
    if np.any(sizes % page):
        wrong = int(sizes[sizes % page != 0][0])
        raise InputError("$.size", "not a multiple of the page size", value=wrong)
    weight_of = np.array([weights[kind] for kind in order])
    return Mix(
        name=name,
        title=title,
        page_size=page,
        size=sizes,
        align=powers_of_two(table[:, 0], "$.align"),
        guard=np.array([guards[kind] for kind in order]) / weight_of,
        share=weight_of / weight_of.sum(),
    )
