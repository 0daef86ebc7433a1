"""A closed queue: CPUs that think, then visit one lock. Exact throughput, bounds, knee.

Each of N CPUs repeats the same cycle: a time outside the lock ("think"), then one visit to a lock
that is handed over in the order of arrival. This is the machine-repairman model. With exponential
times, or any distribution of think times, its throughput is exact; see `vmalloc_model.contention.
events` for constant holding times. Times may have any unit; rates are per that unit.

References
----------
Reiser and Lavenberg, Mean-value analysis of closed multichain queuing networks, J. ACM 27(2), 1980.
Zahorjan, Sevcik, Eager, Galler, Balanced job bound analysis of queueing networks, CACM 25(2), 1982.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError

__all__ = ["MOST_CPUS", "Lock", "asymptotes", "balanced_bounds", "knee", "repairman", "throughput"]

MOST_CPUS: Final = 1 << 20

Rates = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lock:
    """How long one visit holds the lock, by how many CPUs are at it.

    Attributes
    ----------
    hold : float
        Time of a visit that nobody waits for.
    handover : float
        Time that a visit takes longer while anybody waits: the lock and the data it guards move to
        another CPU's cache. One transfer, as in a queued spinlock.
    per_waiter : float
        Time that a visit takes longer for each waiter, as when all of them poll the same word (a
        ticket or test-and-set lock).
    """

    hold: float
    handover: float = 0.0
    per_waiter: float = 0.0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("hold", self.hold, "above 0"),
            ("handover", self.handover, "0 or more"),
            ("per_waiter", self.per_waiter, "0 or more"),
        ):
            if not (np.isfinite(value) and (value > 0 or (value == 0 and name != "hold"))):
                raise InputError(f"$.{name}", "not a time", value=value, allowed=least)

    def holds(self, cpus: int) -> Rates:
        """Mean holding time with 1, 2, ... `cpus` CPUs at the lock, the holder included."""
        waiters = np.arange(cpus)
        return self.hold + np.where(waiters > 0, self.handover, 0.0) + self.per_waiter * waiters


def repairman(cpus: int, think: float, hold: float) -> Rates:
    """Visits per unit of time for 1 to `cpus` CPUs, for a constant mean holding time.

    Exact mean value analysis: an arriving CPU sees the queue of a system with one CPU less.

    Parameters
    ----------
    cpus : int
        1 to `MOST_CPUS`.
    think, hold : float
        Mean times outside the lock (0 or more) and in it (above 0).

    Returns
    -------
    ndarray of float64, shape (cpus,)

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> repairman(2, think=3.0, hold=1.0).tolist()
    [0.25, 0.47058823529411764]
    """
    _check(cpus, think)
    lock = Lock(hold)
    rates, queue = np.empty(cpus), 0.0
    for n in range(1, cpus + 1):
        response = lock.hold * (1.0 + queue)
        rates[n - 1] = n / (think + response)
        queue = rates[n - 1] * response
    return rates


def throughput(cpus: int, think: float, lock: Lock) -> float:
    """Visits per unit of time when the holding time depends on how many CPUs are at the lock.

    The mean-value recursion for such a lock carries the probability of each queue length along and
    gets the one of an idle lock by subtraction, which for some stations loses all digits. The
    probabilities of the birth-death chain behind it are a product, exact for this network; they are
    summed here as logarithms.

    Parameters
    ----------
    cpus : int
        1 to `MOST_CPUS`.
    think : float
        Mean time outside the lock, above 0.
    lock : Lock

    Notes
    -----
    With n CPUs at the lock one arrives at rate ``(cpus - n) / think`` and one leaves at rate
    ``1 / holds[n - 1]``. The state can change during a visit: if a second CPU arrives, the rest of
    the visit runs at the slower rate.

    Examples
    --------
    >>> round(throughput(2, 3.0, Lock(1.0)), 12) == round(float(repairman(2, 3.0, 1.0)[-1]), 12)
    True
    """
    _check(cpus, think)
    if think == 0:
        return float(1.0 / lock.holds(cpus)[-1])
    holds = lock.holds(cpus)
    steps = np.log(np.arange(cpus, 0, -1) / think * holds)
    weights = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(weights - weights.max())
    return float(np.dot(weights[1:], 1.0 / holds) / weights.sum())


def asymptotes(cpus: npt.ArrayLike, think: float, hold: float) -> Rates:
    """Upper bound ``min(N / (think + hold), 1 / hold)`` of the visits per unit of time."""
    count = np.asarray(cpus, dtype=np.float64)
    return np.minimum(count / (think + hold), 1.0 / hold)


def balanced_bounds(cpus: npt.ArrayLike, think: float, hold: float) -> tuple[Rates, Rates]:
    """Lower and upper balanced-job bounds of the visits per unit of time."""
    count = np.asarray(cpus, dtype=np.float64)
    cycle = think + hold
    low = count / (cycle + (count - 1) * hold / (1 + think / (count * hold)))
    high = count / (cycle + (count - 1) * hold / (1 + think / hold))
    return low, np.minimum(high, 1.0 / hold)


def knee(think: float, lock: Lock) -> float:
    """CPUs at which the two asymptotes meet: below, CPUs add; above, they wait.

    ``(think + hold) / (hold + handover)``: a CPU's own cycle, divided by the time the lock takes
    for it while others wait. Needs a lock without a cost per waiter, which has no such point.
    """
    if lock.per_waiter:
        raise InputError("$.per_waiter", "no knee", value=lock.per_waiter, allowed="0")
    return (think + lock.hold) / (lock.hold + lock.handover)


def _check(cpus: int, think: float) -> None:
    if isinstance(cpus, bool) or not isinstance(cpus, int | np.integer):
        raise InputError("$.cpus", "not a whole number", value=cpus, allowed=f"1..{MOST_CPUS:,}")
    if not 1 <= cpus <= MOST_CPUS:
        raise InputError("$.cpus", "out of range", value=cpus, allowed=f"1..{MOST_CPUS:,}")
    if not (np.isfinite(think) and think >= 0):
        raise InputError("$.think", "not a time", value=think, allowed="0 or more")
