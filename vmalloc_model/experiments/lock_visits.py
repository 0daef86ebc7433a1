"""Visits to the allocator's locks in each half of a stream, and what sends them to the global one.

The first half of a stream fills pools and builds live sets up; the second half shows what is left
when that is done, so the two are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.events import PCPU
from vmalloc_model.experiments.play import inputs
from vmalloc_model.experiments.scene import scene
from vmalloc_model.sweep import Point, Result

__all__ = ["CAUSES", "LOCKS", "causes", "inputs", "lock_visits"]

CAUSES: Final = {
    "search": "an area is searched for in the free space, found or not",
    "refill": "a chunk is searched for, found or not",
    "release": "a whole chunk goes back",
    "return": "a purge, or the decay of its pools, gives the areas of one node back",
    "carve": "a per-CPU area is carved from the top",
}
"""Cause of a visit to the global lock -> meaning; every visit has one."""

LOCKS: Final = {
    "global": "free space",
    "pool": "pools of a node",
    "lazy": "lazy list of a node",
    "busy": "busy tree of a node",
    "chunk": "a CPU's chunk",
    "list": "list of chunks",
}
"""Lock -> what it guards."""

_KEPT: Final = ("requests", "failures", "pool_hits", "bump_hits", "purges", "refill_failures")


def causes(counters: Mapping[str, int], carves: int) -> dict[str, int]:
    """Split the visits to the global lock; `CAUSES`.

    Parameters
    ----------
    counters : mapping
        `vmalloc_model.allocator.counters.COUNTERS`, or what they grew by.
    carves : int
        Per-CPU areas that were asked for. No counter tells those that found no room.

    Notes
    -----
    ``return`` is what the others leave over. The counters do not tell purges from decay: each
    takes the lock once for a node that has something to give back (Linux 6.12 mm/vmalloc.c:
    ``reclaim_list_global``, ``decay_va_pool_node``), however many areas that are.
    """
    told = {
        "search": counters["global_hits"] + counters["global_failures"],
        "refill": counters["refills"] + counters["refill_failures"],
        "release": counters["chunks_released"],
        "carve": carves,
    }
    told["return"] = counters["lock_global"] - sum(told.values())
    return {name: told[name] for name in CAUSES}


def lock_visits(point: Point) -> Result:
    """Run a stream through policies, each with some chunk sizes, and count visits by half.

    Parameters
    ----------
    point : mapping
        ``stream`` (a workload or a recorded run), ``platform``, ``cpus``, ``events``, ``seed``; a
        recorded run has its own CPUs and length, and its own platform, where that is known.
        ``cases``: a list of mappings: ``policy``, ``pools`` (whether there is a vmap node for each
        CPU; with one node there are no pools), ``chunk_sizes`` (bytes).

    Returns
    -------
    dict
        ``rows``: for each case, chunk size and half (1, 2): ``case`` (its place in the list),
        ``cpus``, ``chunk_size`` (bytes), ``half``, the number of each of `CAUSES`, ``lock_NAME``
        for each of `LOCKS`, ``requests``, ``failures``, ``pool_hits``, ``bump_hits``, ``purges``,
        ``refill_failures``; and ``grown``: areas that the half allocated and did not free.

    Raises
    ------
    InputError
        If a name or a value is unknown or out of range.
    """
    stream, _, recorded = scene(point)
    events = stream.all()
    middle = -(-len(events) // 2)
    rows = []
    for place, case in enumerate(point["cases"]):
        for chunk_size in case["chunk_sizes"]:
            nodes = None if case["pools"] else 1
            machine = scene({**point, "chunk_size": chunk_size, "nodes": nodes}).machine
            allocator = Allocator(machine, case["policy"], auto_purge=not recorded)
            of = {"case": place, "cpus": machine.cpus, "chunk_size": chunk_size}
            for half, part in enumerate((events[:middle], events[middle:]), 1):
                rows.append({**of, "half": half, **_counted(allocator, part)})
    return {"rows": rows}


def _counted(allocator: Allocator, events: npt.NDArray[np.void]) -> dict[str, int]:
    """Do events, and tell what they made the counters grow by."""
    before = allocator.counters()
    allocator.run(events)
    did = {name: count - before[name] for name, count in allocator.counters().items()}
    return {
        **causes(did, int(np.count_nonzero(events["op"] == PCPU))),
        **{f"lock_{name}": did[f"lock_{name}"] for name in LOCKS},
        **{name: did[name] for name in _KEPT},
        "grown": did["requests"] - did["failures"] + did["pcpu_areas"] - did["frees"],
    }
