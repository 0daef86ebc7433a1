"""Points of the plane that no other point beats: the Pareto front, smaller being better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError

__all__ = ["on_front"]


def on_front(x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Tell which points are not dominated.

    A point dominates another if it is at most as large in both coordinates and smaller in one.
    Of equal points all or none are on the front.

    Parameters
    ----------
    x, y : array_like
        Coordinates, shape (n,); n may be 0.

    Returns
    -------
    ndarray of bool
        Shape (n,).

    Raises
    ------
    InputError
        If the shapes differ, or a coordinate is not finite.

    Notes
    -----
    In the order of `x`, a point is on the front if it has the least `y` of its `x`, and that is
    less than every `y` at a smaller `x` (Kung, Luccio and Preparata, 1975). So it costs a sort.

    Examples
    --------
    >>> on_front([1, 2, 2, 3], [5, 4, 6, 4]).tolist()
    [True, True, False, False]
    """
    first, second = np.asarray(x, float), np.asarray(y, float)
    if first.shape != second.shape or first.ndim != 1:
        raise InputError("points", "as many x as y", value=(first.shape, second.shape))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("points", "not finite", allowed="finite numbers")
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    starts = np.r_[True, first[1:] != first[:-1]][: len(first)]  # of each run of equal x
    run = np.cumsum(starts) - 1
    least = second[starts]
    before = np.r_[np.inf, np.minimum.accumulate(least)][: len(least)]
    front = np.zeros(len(order), bool)
    front[order] = (second == least[run]) & (least < before)[run]
    return front
