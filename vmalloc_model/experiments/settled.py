"""One stream under one design, measured when it has settled: the second half apart.

A kernel runs for months; a stream here is over in a second. At its start the pools are empty and
no chunk has been used up, and what is counted then says nothing about later. So the visits are
those of the second half, and whether a chunk was ever used up is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.allocator.rules import Rules
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.experiments import play
from vmalloc_model.experiments.scene import scene
from vmalloc_model.simulate import Simulation, simulate, stranded
from vmalloc_model.sweep import Point, Result

__all__ = ["BOTH", "DESIGNS", "NAMES", "NO_POOLS", "Design", "inputs", "settle", "simulation"]

NO_POOLS: Final = "no-pools"
BOTH: Final = "purge-and-reset"


@dataclass(frozen=True, slots=True)
class Design:
    """An allocator: rules, and whether there are node pools.

    Attributes
    ----------
    name, title : str
    rules : Rules
    pools : bool
        Whether there are as many nodes as the kernel makes; else one, which has no pools.
    """

    name: str
    title: str
    rules: Rules
    pools: bool = True

    @property
    def sized(self) -> bool:
        """Whether somebody has to choose its chunk size."""
        return self.rules.overlay and not self.rules.scaled

    @property
    def early(self) -> bool:
        """Whether the range of a chunk may go back before the TLB flush of its last areas.

        That is so where it goes back when the last area is freed, or at a refill: the purge, which
        flushes, comes later.
        """
        return self.rules.overlay and (
            self.rules.release == "drained" or self.rules.release_at_refill
        )

    @property
    def leaks(self) -> str:
        """What no rule ever gives back; empty if there is nothing."""
        rules = self.rules
        if not rules.overlay:
            return ""
        if not rules.resident:
            return "tails and padding of every chunk"
        if rules.release_at_refill or (rules.rewind and rules.release == "purged"):
            return ""
        if rules.release == "purged":
            return "a chunk that is empty and purged when it is replaced"
        return "a chunk that is empty when it is replaced"


def _designs() -> dict[str, Design]:
    policies = load_policies()
    both = replace(policies["release-after-purge"], name=BOTH, rewind=True)
    return {
        **{name: Design(name, rules.title, rules) for name, rules in policies.items()},
        NO_POOLS: Design(
            NO_POOLS, "one node, so no pools; no overlay", policies["mainline"], False
        ),
        BOTH: Design(BOTH, "12/12; released after the purge, empty chunks start again", both),
    }


DESIGNS: Final = _designs()
"""Name -> design: all policies of the allocator model, and two that are made of their rules."""

NAMES: Final = {
    "stream": "a workload, or a recorded run",
    "design": "one of `DESIGNS`",
    "platform": "id of the platform; a recorded run has its own",
    "cpus": "possible CPUs; a recorded run has its own",
    "chunk_size": "bytes",
    "events": "length of a workload's stream",
    "seed": "of a workload's stream",
}
"""Name in a point -> meaning."""

inputs = play.inputs


def simulation(point: Point) -> Simulation:
    """Run the stream of a point through its design, with a sample in the middle and at the end.

    Parameters
    ----------
    point : mapping
        All of `NAMES`.

    Raises
    ------
    InputError
        If a name or a value is unknown or out of range.
    """
    if point["design"] not in DESIGNS:
        allowed = ", ".join(nearest(point["design"], DESIGNS))
        raise InputError("$.design", "no such design", value=point["design"], allowed=allowed)
    design = DESIGNS[point["design"]]
    nodes = None if design.pools else 1
    stream, machine, recorded = scene({**point, "nodes": nodes})
    return simulate(stream, machine, design.rules, samples=2, auto_purge=not recorded)


def settle(point: Point) -> Result:
    """Tell what came of a stream under a design.

    Returns
    -------
    dict
        ``page_size``, ``chunk_size`` (0 without chunks), ``range`` (of the standard window), all
        in bytes; ``cpus``; of the whole stream ``requests``, ``failures``, ``refills``,
        ``refill_failures``, ``rewinds``, ``stale_handouts``; of its second half
        ``late_requests``, ``late_visits`` (to the global lock) and ``late_hits`` (served by a
        chunk); of the end, in pages, ``peak_pages``, ``high_water``, ``page_tables``, and
        ``stranded_NAME`` for each name of `vmalloc_model.simulate.STRANDED`.
    """
    done = simulation(point)
    rows = done.series.to_dicts()
    middle, end = rows[0], rows[-1]
    late = {"requests": "requests", "visits": "lock_global", "hits": "bump_hits"}
    whole = ("requests", "failures", "refills", "refill_failures", "rewinds", "stale_handouts")
    first, behind = done.machine.windows[0]
    return {
        "page_size": done.machine.page_size,
        "chunk_size": done.machine.chunk_pages * done.machine.page_size,
        "range": (behind - first) * done.machine.page_size,
        "cpus": done.machine.cpus,
        **{name: end[name] for name in whole},
        **{f"late_{name}": end[column] - middle[column] for name, column in late.items()},
        **{name: end[name] for name in ("peak_pages", "high_water", "page_tables")},
        **{f"stranded_{name}": pages for name, pages in stranded(done).items()},
    }
