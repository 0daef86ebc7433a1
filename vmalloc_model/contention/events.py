"""The lock as a simulation of single visits: the twin of `vmalloc_model.contention.queueing`.

Every CPU has a clock of its own; the lock serves in the order of arrival. A visit is an amount of
work, 1 on average, that is done at a rate which depends on how many CPUs are at the lock. Nothing
of queueing theory is used, so it also takes constant times, which the exact form does not.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vmalloc_model.compiled import compiled
from vmalloc_model.contention.queueing import Lock
from vmalloc_model.errors import InputError

__all__ = ["RUNS", "Observed", "Times", "observe", "serve"]

Times = Literal["exponential", "constant"]

RUNS: Final = 10
"""Independent runs behind each result; their spread gives its standard error."""

_WARM: Final = 0.05
"""Share of the visits of a run before the measurement begins."""

Draws = npt.NDArray[np.float64]


class Observed(NamedTuple):
    """What a simulation saw: means over its runs.

    Attributes
    ----------
    rate, error : float
        Visits per unit of time, and the standard error of it.
    busy : float
        Share of the time in which the lock was held.
    present : float
        CPUs at the lock, the holder included, averaged over time.
    response : float
        Time from arrival to release, averaged over visits.
    """

    rate: float
    error: float
    busy: float
    present: float
    response: float


def observe(
    cpus: int,
    think: float,
    lock: Lock,
    visits: int,
    seed: int,
    holding: Times = "exponential",
    *,
    on_grant: bool = False,
) -> Observed:
    """Simulate CPUs that think for exponential times and visit a lock.

    Parameters
    ----------
    cpus : int
    think : float
        Mean, above 0.
    lock : Lock
    visits : int
        Visits of all `RUNS` runs together; at least 100 for each and each CPU. The first 5 % of
        a run are not measured.
    seed : int
    holding : {"exponential", "constant"}
        Distribution of the work of a visit.
    on_grant : bool
        What a visit costs is fixed when the lock is granted: a hand-over is paid by those who
        waited, not by those who are waited for. The exact form has no such memory.

    Notes
    -----
    The times that a run draws for what it measures are scaled so that their means are exact. What
    is left of the sampling error is that of their order.
    """
    each = visits // RUNS
    if each < 100 * cpus:
        allowed = f"{100 * RUNS * cpus:,} or more for {cpus:,} CPUs"
        raise InputError("$.events", "too few visits", value=visits, allowed=allowed)
    if holding not in ("exponential", "constant"):
        raise InputError("$.holding", "unknown", value=holding, allowed="exponential, constant")
    rows = []
    for child in np.random.SeedSequence(seed).spawn(RUNS):
        random = np.random.default_rng(child)
        thinks = think * _scaled(random.standard_exponential(each + cpus))
        works = np.ones(each)
        if holding == "exponential":
            works = _scaled(random.standard_exponential(each))
        rows.append(_measured(*serve(thinks, works, lock.holds(cpus), cpus, on_grant)))
    table = np.array(rows)
    rate, busy, present, response = table.mean(axis=0).tolist()
    error = float(np.std(table[:, 0], ddof=1) / np.sqrt(RUNS))
    return Observed(rate, error, busy, present, response)


def _scaled(draws: Draws) -> Draws:
    """Scale times with mean 1, behind those of the warm-up, to a mean of exactly 1."""
    first = int(_WARM * len(draws))
    draws[first:] /= draws[first:].mean()
    return draws


def _measured(ends: Draws, responses: Draws, busy: Draws, present: Draws) -> list[float]:
    first = int(_WARM * len(ends))
    total = ends[-1] - ends[first]
    return [
        (len(ends) - 1 - first) / total,
        (busy[-1] - busy[first]) / total,
        (present[-1] - present[first]) / total,
        float(responses[first + 1 :].mean()),
    ]


@compiled
def serve(
    thinks: Draws, works: Draws, holds: Draws, cpus: int, on_grant: bool
) -> tuple[Draws, Draws, Draws, Draws]:
    """Serve visits until the works are used up.

    Parameters
    ----------
    thinks : ndarray of float64, shape (visits + cpus,)
        Think times in the order in which thinking begins; the first `cpus` are those at the start.
    works : ndarray of float64, shape (visits,)
        Work of the visits in the order in which the lock is granted.
    holds : ndarray of float64, shape (cpus,)
        Time of one unit of work with 1, 2, ... CPUs at the lock.
    cpus : int
    on_grant : bool
        See `observe`.

    Returns
    -------
    tuple of ndarray of float64, each of shape (visits,)
        At the end of each visit: the time; how long the visit took from arrival on; the time for
        which the lock was held; the integral over time of the CPUs at the lock.
    """
    visits = len(works)
    ends, responses = np.empty(visits), np.empty(visits)
    busy, present = np.empty(visits), np.empty(visits)
    arrival = thinks[:cpus].copy()  # of each CPU that thinks; infinite at the lock
    queue = np.empty(cpus, np.int64)  # ring of the CPUs at the lock
    since = np.empty(cpus)  # when each of them came
    head, here, drawn = 0, 0, cpus
    now, held, area, left, rate = 0.0, 0.0, 0.0, 0.0, 1.0
    done = 0
    next_cpu = np.argmin(arrival)
    while done < visits:
        end = now + left / rate if here else np.inf
        coming = arrival[next_cpu]
        at = min(end, coming)
        area += here * (at - now)
        if here:
            held += at - now
            left -= (at - now) * rate
        now = at
        if coming < end:
            queue[(head + here) % cpus] = next_cpu
            since[next_cpu] = now
            arrival[next_cpu] = np.inf
            here += 1
            next_cpu = np.argmin(arrival)
            if here == 1:
                left, rate = works[done], 1.0 / holds[0]
            elif not on_grant:
                rate = 1.0 / holds[here - 1]
            continue
        cpu = queue[head]
        head, here = (head + 1) % cpus, here - 1
        ends[done], responses[done] = now, now - since[cpu]
        busy[done], present[done] = held, area
        done += 1
        arrival[cpu] = now + thinks[drawn]
        drawn += 1
        if arrival[cpu] < arrival[next_cpu]:
            next_cpu = cpu
        if here and done < visits:
            # who is granted the lock has waited for it
            left, rate = works[done], 1.0 / holds[max(here - 1, 1) if on_grant else here - 1]
    return ends, responses, busy, present
