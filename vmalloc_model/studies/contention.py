"""Chapter *Contention*: time of a pair against CPUs, and where each design runs out of lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import polars as pl

from vmalloc_model.contention.demand import Costs, knee_of, limits, pair_time
from vmalloc_model.studies.contention_cases import BASELINE, NO_POOLS, Case

__all__ = [
    "LOCK_FACTORS",
    "PAIR_FACTORS",
    "curves_table",
    "first_cpus",
    "limits_table",
    "matters_table",
    "other_costs_table",
    "shown_cases",
]

LOCK_FACTORS: Final = (0.5, 1.0, 2.0)
PAIR_FACTORS: Final = (1, 3, 10, 30, 100, 300, 1000)
"""By which the costs of the lock, and the time from pair to pair, are multiplied."""

_NS: Final = 1e9


def shown_cases(cases: Sequence[Case], chunk_size: int) -> list[Case]:
    """Cases without chunks, and those with chunks of one size."""
    return [case for case in cases if case.chunk_size in (0, chunk_size)]


def curves_table(cases: Sequence[Case], cpu_counts: Sequence[int], costs: Costs) -> pl.DataFrame:
    """Time of a pair against CPUs (``fig-contention``).

    Returns
    -------
    polars.DataFrame
        ``workload``, ``design``, ``cpus``, ``pair_ns`` (what one CPU sees), ``pairs_per_s`` (all
        CPUs together), ``visits`` and ``areas`` of a pair under the global lock.
    """
    rows = []
    for case in cases:
        for cpus in sorted(cpu_counts):
            demand = case.demand(cpus)
            time = pair_time(cpus, demand, costs)
            row = (case.workload, case.design, cpus, time, _NS * cpus / time)
            rows.append((*row, demand.visits, demand.areas))
    names = ["workload", "design", "cpus", "pair_ns", "pairs_per_s", "visits", "areas"]
    return pl.DataFrame(rows, schema=names, orient="row")


def first_cpus(holds: Callable[[int], bool], most: int) -> int | None:
    """Smallest number of CPUs, up to `most`, for which something holds.

    Tried are 1, 2, 4, 8, ...; it is taken to hold from some number on.
    """
    below, at = 0, 1
    while not holds(at):
        if at == most:
            return None
        below, at = at, min(2 * at, most)
    while at - below > 1:
        middle = (at + below) // 2
        if holds(middle):
            at = middle
        else:
            below = middle
    return at


def limits_table(cases: Sequence[Case], costs: Costs, most: int) -> pl.DataFrame:
    """Tell what the locks allow at most, and from how many CPUs on (``tab-contention-limits``).

    Returns
    -------
    polars.DataFrame
        ``workload``, ``design``; of the largest machine that was simulated: ``visits`` and
        ``areas`` of a pair, ``global_limit`` and ``node_limit`` in pairs per second; ``knee``, the
        CPUs at which the global lock has no time left, null above `most`.
    """
    rows = []
    for case in cases:
        shared, node = limits(case.largest, costs)
        knee = _knee(case, costs, most)
        row = (case.workload, case.design, case.largest.visits, case.largest.areas)
        rows.append((*row, _NS * shared, _NS * node, knee))
    names = ["workload", "design", "visits", "areas", "global_limit", "node_limit", "knee"]
    kinds = [pl.String, pl.String, *[pl.Float64] * 4, pl.Int64]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def matters_table(cases: Sequence[Case], costs: Costs, slowdown: float, most: int) -> pl.DataFrame:
    """Tell from how many CPUs on pools alone are slower (``tab-contention-matters``).

    Parameters
    ----------
    cases : sequence of Case
    costs : Costs
    slowdown : float
        Share by which a pair of the baseline must be slower.
    most : int
        CPUs at which the search ends.

    Returns
    -------
    polars.DataFrame
        ``workload``, ``policy``, ``chunk_size`` (bytes), ``visits`` of a pair on the largest
        machine, ``cpus`` (null if there are none up to `most`), ``knee`` of the policy (as in
        `limits_table`), ``ratio`` of the baseline's pair time to the policy's with `most` CPUs.
    """
    rows = []
    for case in cases:
        if case.design in (BASELINE, NO_POOLS):
            continue
        ratio = partial(_ratio, _baseline(cases, case.workload), case, costs)
        cpus = first_cpus(partial(_exceeds, ratio, 1 + slowdown), most)
        row = (case.workload, case.design, case.chunk_size, case.largest.visits)
        rows.append((*row, cpus, _knee(case, costs, most), ratio(most)))
    names = ["workload", "policy", "chunk_size", "visits", "cpus", "knee", "ratio"]
    kinds = [pl.String, pl.String, pl.Int64, pl.Float64, pl.Int64, pl.Int64, pl.Float64]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def other_costs_table(
    cases: Sequence[Case], costs: Costs, slowdown: float, most: int
) -> pl.DataFrame:
    """Repeat `matters_table` for other costs and the last policy (``fig-contention-costs``).

    Returns
    -------
    polars.DataFrame
        Columns of `matters_table`, and ``lock_factor`` (of area and hand-over time),
        ``pair_factor``, ``pair_ns`` (from pair to pair of a CPU alone).
    """
    policy = cases[-1].design
    kept = [case for case in cases if case.design in (BASELINE, policy)]
    tables = []
    for lock in LOCK_FACTORS:
        for factor in PAIR_FACTORS:
            other = replace(
                costs,
                pair=factor * costs.pair,
                area=lock * costs.area,
                handover=lock * costs.handover,
            )
            tables.append(
                matters_table(kept, other, slowdown, most).with_columns(
                    lock_factor=pl.lit(lock),
                    pair_factor=pl.lit(factor),
                    pair_ns=pl.lit(other.pair),
                )
            )
    return pl.concat(tables)


def _ratio(plain: Case, case: Case, costs: Costs, cpus: int) -> float:
    ours = pair_time(cpus, case.demand(cpus), costs)
    return pair_time(cpus, plain.demand(cpus), costs) / ours


def _exceeds(value: Callable[[int], float], bound: float, cpus: int) -> bool:
    return value(cpus) >= bound


def _knee(case: Case, costs: Costs, most: int) -> int | None:
    return first_cpus(lambda cpus: cpus >= knee_of(case.demand(cpus), costs), most)


def _baseline(cases: Sequence[Case], workload: str) -> Case:
    return next(case for case in cases if (case.workload, case.design) == (workload, BASELINE))
