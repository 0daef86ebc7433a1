"""Chapter *Contention*: the exact queue against a simulation of single visits."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from vmalloc_model.contention.demand import Costs
from vmalloc_model.contention.events import RUNS, Times, observe
from vmalloc_model.contention.queueing import Lock, throughput
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, cpus_text

__all__ = ["AGREED", "check_summary", "check_table", "say_check"]

AGREED: Final = 0.002
"""Relative difference up to which exact form and simulation agree."""

_CPUS: Final = (1, 2, 4, 8, 16, 32)
_THINKS: Final = 7
"""Holding times that a CPU of the first lock thinks: it has its knee at 8 CPUs."""
_TIMES: Final[tuple[Times, ...]] = ("exponential", "constant")


def check_table(costs: Costs, visits: int, seed: int) -> pl.DataFrame:
    """Compare throughputs (``fig-contention-check``).

    Parameters
    ----------
    costs : Costs
        Of the lock with a hand-over: one visit and two areas a pair.
    visits : int
        Of each simulation; CPU counts for which they are too few are left out, but not one CPU.
    seed : int

    Returns
    -------
    polars.DataFrame
        ``lock`` ("constant cost", "hand-over"), ``holding`` (distribution), ``cpus``, ``visits``,
        ``exact`` and ``simulated`` (visits per holding time), ``difference`` and ``error``
        (relative; one standard error of the simulation).
    """
    hold = 2 * costs.area
    locks = {
        "constant cost": (float(_THINKS), Lock(1.0)),
        "hand-over": (costs.pair / hold - 1, Lock(1.0, costs.handover / hold)),
    }
    rows = []
    for name, (think, lock) in locks.items():
        for cpus in _CPUS:
            if cpus > 1 and visits < 100 * RUNS * cpus:
                continue
            exact = throughput(cpus, think, lock)
            for holding in _TIMES:
                seen = observe(cpus, think, lock, visits, seed, holding)
                difference, error = seen.rate / exact - 1, seen.error / exact
                rows.append((name, holding, cpus, visits, exact, seen.rate, difference, error))
    names = ["lock", "holding", "cpus", "visits", "exact", "simulated", "difference", "error"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_check(table: pl.DataFrame) -> str:
    """Word the caption: how far apart, and the bias of constant times."""
    drawn = table.filter(holding="exponential")
    worst = float(np.abs(drawn["difference"].to_numpy()).max())
    noise = drawn["error"].to_list()
    outside = sum(
        abs(difference) > max(3 * error, AGREED)
        for difference, error in drawn.select("difference", "error").iter_rows()
    )
    agreed = "at most" if worst <= AGREED else "up to"
    text = [
        f"Simulated throughput against the exact form, {count_text(table['visits'].to_list()[0])} "
        f"visits for each point. "
        f"With exponential holding times they are {agreed} {_percent(worst)} apart; the "
        f"simulation's standard error is {_percent(max(noise))} or less"
        + (
            "."
            if not outside
            else f", and {outside} of {drawn.height} points are further away than three of them."
        )
    ]
    for lock in table["lock"].unique(maintain_order=True).to_list():
        rows = table.filter(lock=lock, holding="constant")
        most = rows.row(int(rows["difference"].abs().arg_max() or 0), named=True)
        text.append(
            f"Constant holding times ({lock}): the exact form is off by as much as "
            f"{_percent(abs(most['difference']))}, with {cpus_text(most['cpus'])}"
            + (", where it promises too little." if most["difference"] > 0 else ".")
        )
    return " ".join(text)


def check_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Differences, one row for each count of CPUs."""
    named = pl.col("lock") + pl.lit(", ") + pl.col("holding")
    return wide(table, ["cpus"], named, "difference", lambda value: f"{100 * value:+.2f} %")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
