"""Costs from times: the think and holding times with which the queue gives measured cycle times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.contention.queueing import Lock, throughput
from vmalloc_model.errors import InputError

__all__ = ["Fit", "cycle_times", "fit", "rise"]

_ROUNDS: Final = 200
_SMALLEST: Final = 1e-4
"""No fitted time is below this share of the time of one CPU: logarithms have no zero."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Costs that were fitted.

    Attributes
    ----------
    think : float
        Mean time outside the lock.
    lock : Lock
    error : float
        Root mean square of the relative (logarithmic) errors at the points of the fit.
    """

    think: float
    lock: Lock
    error: float


def cycle_times(cpus: Sequence[int], think: float, lock: Lock) -> npt.NDArray[np.float64]:
    """Time from one visit of a CPU to its next, for each number of CPUs."""
    return np.array([count / throughput(count, think, lock) for count in cpus])


def fit(cpus: Sequence[int], times: Sequence[float], *, handover: bool) -> Fit:
    """Fit think and holding time, and with `handover` the hand-over too, to cycle times.

    Least squares of the logarithms, by Levenberg's and Marquardt's method from a fixed start.

    Parameters
    ----------
    cpus : sequence of int
        Two different counts or more, with `handover` three or more.
    times : sequence of float
        Above 0, parallel to `cpus`.

    Raises
    ------
    InputError
        If there are too few points or a time is not above 0.
    """
    needed = 3 if handover else 2
    if len(set(cpus)) < needed:
        raise InputError(
            "$.fit_jobs", "too few", value=list(cpus), allowed=f"{needed} counts or more"
        )
    if len(times) != len(cpus) or not all(np.isfinite(time) and time > 0 for time in times):
        raise InputError(
            "$.times", "not times", value=list(times), allowed="above 0, one per count"
        )
    goal = np.log(np.array(times))
    unit = float(min(times))
    least = np.log(_SMALLEST * unit)

    def missed(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        think, hold, *more = np.exp(logs).tolist()
        return np.asarray(np.log(cycle_times(cpus, think, Lock(hold, *more))) - goal)

    at = np.log(np.array([0.5, 0.5, 0.5][:needed]) * unit)
    wrong, damping = missed(at), 1e-2
    for _ in range(_ROUNDS):
        slope = np.column_stack(
            [(missed(at + 1e-6 * unit_step) - wrong) / 1e-6 for unit_step in np.eye(needed)]
        )
        square = slope.T @ slope
        step = np.linalg.solve(
            square + damping * (np.diag(np.diag(square)) + 1e-12 * np.eye(needed)), -slope.T @ wrong
        )
        tried = np.maximum(at + np.clip(step, -2, 2), least)
        better = missed(tried)
        if better @ better < wrong @ wrong:
            if np.abs(tried - at).max() < 1e-10:
                break
            at, wrong, damping = tried, better, damping / 3
        else:
            damping *= 4
            if damping > 1e12:
                break
    think, hold, *more = np.exp(at).tolist()
    return Fit(think, Lock(hold, *more), float(np.sqrt(np.mean(wrong**2))))


def rise(cpus: Sequence[int], times: Sequence[float]) -> float:
    """How much the rate of all CPUs together grows beyond the count where it is lowest.

    ``cpus / times`` is the rate. With one lock whose holding time does not fall as more CPUs wait,
    the rate of a saturated lock cannot grow; a value well above 1 rules every such lock out.
    """
    rates = np.array(cpus) / np.array(times)
    slowest = int(np.argmin(rates[1:])) + 1 if len(rates) > 1 else 0
    return float(rates[slowest:].max() / rates[slowest])
