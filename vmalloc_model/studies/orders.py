"""Chapter *Concurrent orders*: every variant on every kernel, and what each search found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import polars as pl

from vmalloc_model.errors import InputError
from vmalloc_model.interleavings.explore import Exploration, explore
from vmalloc_model.interleavings.invariants import INVARIANTS
from vmalloc_model.interleavings.programs import programs_of
from vmalloc_model.interleavings.serial import Replay, replayed
from vmalloc_model.interleavings.setting import (
    COUNTED,
    KERNELS,
    MAX_CPUS,
    Kernel,
    Setting,
    Variant,
    variant_of,
)
from vmalloc_model.interleavings.steps import Move
from vmalloc_model.interleavings.trace import told

__all__ = [
    "LOCKS",
    "SHORT",
    "SIGNS",
    "Case",
    "Example",
    "example",
    "lanes_table",
    "replay_table",
    "search",
    "states_table",
    "steps_table",
    "verdict_table",
    "weakest_table",
]

SERIAL: Final = "serial"


@dataclass(frozen=True)
class Case:
    """One variant on one kernel: a search for each program."""

    variant: Variant
    kernel: Kernel
    searches: tuple[Exploration, ...]

    @property
    def states(self) -> int:
        """States of all programs."""
        return sum(one.states for one in self.searches)

    @property
    def exhausted(self) -> bool:
        """Whether nothing was left to search."""
        return all(one.exhausted for one in self.searches)

    def shortest(self, invariant: str) -> tuple[Setting, tuple[Move, ...]] | None:
        """Return the shortest order over all programs that violates an invariant."""
        ways = [
            (one.setting, one.found[invariant]) for one in self.searches if invariant in one.found
        ]
        return min(ways, key=lambda way: len(way[1])) if ways else None


@dataclass(frozen=True)
class Example:
    """A shortest order that violates an invariant."""

    invariant: str
    setting: Setting
    moves: tuple[Move, ...]


def search(policies: Sequence[str], tasks: int, cpus: int, bound: int) -> list[Case]:
    """Search all orders of all programs: each policy and the repair `COUNTED` on each kernel.

    Where no spinlock is held over several steps, PREEMPT_RT allows the orders of ``migrate`` and no
    others; its case then has the same searches.

    Parameters
    ----------
    policies : sequence of str
        Of the allocator model.
    tasks : int
        2 or 3.
    cpus : int
        1 to `MAX_CPUS`; with one, all tasks share it.
    bound : int
        Most states of one search.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    for name, value, low, high in (("tasks", tasks, 2, 3), ("cpus", cpus, 1, MAX_CPUS)):
        if not low <= value <= high:
            raise InputError(f"$.{name}", "out of range", value=value, allowed=f"{low}..{high}")
    cases = []
    for variant in (*map(variant_of, policies), COUNTED):
        for kernel in KERNELS.values():
            like = KERNELS["migrate"] if kernel.rt and not variant.locked else kernel
            cases.append(Case(variant, kernel, _searches(variant, like, tasks, cpus, bound)))
    return cases


@cache
def _searches(
    variant: Variant, kernel: Kernel, tasks: int, cpus: int, bound: int
) -> tuple[Exploration, ...]:
    return tuple(
        explore(Setting(variant, kernel, program, cpus), bound) for program in programs_of(tasks)
    )


def verdict_table(cases: Sequence[Case]) -> pl.DataFrame:
    """Tell what every search found.

    Returns
    -------
    polars.DataFrame
        ``policy``, ``kernel``, ``invariant``; ``moves`` of the shortest order that violates it and
        its ``program``, null where it holds; ``states`` of the search. Only invariants that concern
        the policy.
    """
    rows = []
    for case in cases:
        for key, invariant in INVARIANTS.items():
            if not invariant.concerns(case.variant):
                continue
            way = case.shortest(key)
            moves, program = (len(way[1]), way[0].program.name) if way else (None, None)
            rows.append((case.variant.name, case.kernel.name, key, moves, program, case.states))
    kinds = [pl.String, pl.String, pl.String, pl.Int64, pl.String, pl.Int64]
    names = ["policy", "kernel", "invariant", "moves", "program", "states"]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def weakest_table(cases: Sequence[Case]) -> pl.DataFrame:
    """Tell for each policy and invariant the strictest kernel that violates it (``fig-orders``).

    Returns
    -------
    polars.DataFrame
        ``policy``, ``invariant``, ``kernel``: the first of `KERNELS` on which an order violates it,
        ``holds`` if none does, ``none of it`` if it does not concern the policy; ``moves``,
        ``program`` of that order, or null.
    """
    found = verdict_table(cases)
    rows = []
    for policy in found["policy"].unique(maintain_order=True):
        for key in INVARIANTS:
            mine = found.filter(policy=policy, invariant=key)
            broken = mine.filter(pl.col("moves").is_not_null())
            if broken.height:
                rows.append((policy, key, *broken.select("kernel", "moves", "program").row(0)))
            else:
                rows.append((policy, key, "holds" if mine.height else "none of it", None, None))
    names = ["policy", "invariant", "kernel", "moves", "program"]
    kinds = [pl.String, pl.String, pl.String, pl.Int64, pl.String]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def states_table(cases: Sequence[Case]) -> pl.DataFrame:
    """Count states by kernel (``tab-orders-states``).

    Returns
    -------
    polars.DataFrame
        ``policy``; a column for each kernel: states of all programs; ``transitions`` and ``depth``
        (most moves on a shortest way to a state) of all; ``exhausted``.
    """
    rows = []
    for name in dict.fromkeys(case.variant.name for case in cases):
        mine = [case for case in cases if case.variant.name == name]
        searches = {one.setting: one for case in mine for one in case.searches}.values()
        rows.append(
            {
                "policy": name,
                **{case.kernel.name: case.states for case in mine},
                "transitions": sum(one.transitions for one in searches),
                "depth": max(one.depth for one in searches),
                "exhausted": "yes" if all(one.exhausted for one in searches) else "no",
            }
        )
    return pl.DataFrame(rows)


def example(
    cases: Sequence[Case], invariant: str, prefer: str = "", kernel: str = ""
) -> Example | None:
    """Pick a shortest order that violates an invariant.

    Parameters
    ----------
    cases : sequence of Case
    invariant : str
    prefer : str
        Policy to take it from if that violates the invariant; else the first that does.
    kernel : str
        Likewise; else the strictest.
    """
    ways = [(case, way) for case in cases if (way := case.shortest(invariant)) is not None]
    if not ways:
        return None
    _, way = min(
        ways, key=lambda one: (one[0].variant.name != prefer, one[0].kernel.name != kernel)
    )
    return Example(invariant, *way)


def steps_table(one: Example | None) -> pl.DataFrame:
    """Tell an order step by step: tasks are columns (``tab-orders-...``).

    Returns
    -------
    polars.DataFrame
        ``step``; ``t1``, ``t2``, ...: what this task does, for each task of the order; ``then``:
        how things stand where that has changed.
    """
    if one is None:
        return pl.DataFrame({"step": ["-"], "then": ["no order violates it"]})
    steps = list(told(one.setting, one.moves))
    tasks = sorted({step.task for step in steps if step.task >= 0})
    rows, before = [], ""
    for step in steps:
        then = step.state if step.state != before else ""
        row: dict[str, object] = {"step": step.number}
        row |= {f"t{t + 1}": step.text if t == step.task else "" for t in tasks}
        row["then"] = then if step.task >= 0 else "; ".join(filter(None, (step.text, then)))
        rows.append(row)
        before = step.state
    return pl.DataFrame(rows)


def lanes_table(one: Example | None) -> pl.DataFrame:
    """Tell an order in short, one row for each move (``fig-orders-steps``).

    Returns
    -------
    polars.DataFrame
        ``step``; ``lane``: the task; ``cpu``: where it does the move; ``short``: a few words;
        ``text``, ``then``: as in `steps_table`.
    """
    rows = []
    if one is not None:
        for step in told(one.setting, one.moves):
            lane = f"T{step.task + 1}" if step.task >= 0 else "RCU"
            cpu = f"CPU {step.cpu}" if step.cpu >= 0 else "no CPU"
            short = f"moves to {cpu}"
            if step.step in LOCKS:
                short = f"{LOCKS[step.step]} lock {step.after.tasks[step.task].local[1]}"
            elif step.step != "migrate":
                short = SHORT[step.step]
            if step.step not in ("migrate", "grace"):
                short = f"{cpu}: {short}"
            rows.append((step.number, lane, cpu, short, step.text.replace("`", ""), step.state))
    names = ["step", "lane", "cpu", "short", "text", "then"]
    kinds = [pl.Int64] + [pl.String] * 5
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


SHORT: Final = {
    "pool": "asks the pool",
    "read": "reads bump",
    "write": "writes bump",
    "bump": "moves bump",
    "count": "counts up",
    "reserve": "reserves a chunk",
    "install locked": "installs, unlocks",
    "list": "adds to list",
    "owner": "sets owner",
    "install": "installs",
    "install pinned": "installs",
    "retire": "looks at old chunk",
    "area": "asks globally",
    "lookup": "reads current chunk",
    "unlink": "unlinks area",
    "subtract": "counts down",
    "compare": "compares",
    "release": "returns the range",
    "unmap": "clears PTEs",
    "collect": "takes lazy areas",
    "flush": "flushes TLBs",
    "give": "gives areas back",
    "grace": "grace period ends",
}
"""Step -> a few words."""

LOCKS: Final = {"pick": "picks", "pick again": "picks", "lock": "takes", "lock again": "takes"}
"""Steps that are about the lock of some CPU, perhaps not of the task's own."""


# --- the allocator model -------------------------------------------------------------------------


def _count(name: str) -> Callable[[Replay], int]:
    return lambda replay: replay.counters[name]


SIGNS: Final[dict[str, tuple[str, Callable[[Replay], int]]]] = {
    "twice": ("pages in use by two areas", lambda replay: replay.twice),
    "flushed": ("pages in use and on a lazy list", lambda replay: replay.unflushed),
    "descriptor": ("released_while_current", _count("released_while_current")),
    "room": ("chunks_drained_at_refill", _count("chunks_drained_at_refill")),
    "drained": ("chunks_lost", lambda replay: replay.measures["chunks_lost"]),
    "counter": ("pages in use that no counter has", lambda replay: replay.uncounted),
}
"""Invariant -> what shows its violation in the allocator model, and how much of it there is."""


def replay_table(cases: Sequence[Case]) -> pl.DataFrame:
    """Give the allocator model each order without concurrency (``tab-orders-replayed``).

    Returns
    -------
    polars.DataFrame
        ``policy``, ``invariant``, ``program``; ``moves`` of the shortest order, and its ``events``;
        ``addresses``: whether all are the same; ``sign``, ``value``: what shows the violation.
    """
    rows = []
    for case in cases:
        if case.kernel.name != SERIAL:
            continue
        for key in INVARIANTS:
            way = case.shortest(key)
            if way is None:
                continue
            replay = replayed(*way)
            sign, measure = SIGNS[key]
            rows.append(
                (
                    case.variant.name,
                    key,
                    way[0].program.name,
                    len(way[1]),
                    replay.events,
                    "the same" if replay.agrees else "differ",
                    sign,
                    measure(replay),
                )
            )
    names = ["policy", "invariant", "program", "moves", "events", "addresses", "sign", "value"]
    kinds = [pl.String] * 3 + [pl.Int64] * 2 + [pl.String] * 2 + [pl.Int64]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")
