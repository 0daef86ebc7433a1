"""What an allocation and its free ask of the locks, and what that makes of their time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vmalloc_model.contention.queueing import Lock, knee, throughput
from vmalloc_model.errors import InputError
from vmalloc_model.simulate import Simulation

__all__ = ["Costs", "Demand", "between", "demand_of", "knee_of", "limits", "pair_time"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Times in nanoseconds, above 0.

    Attributes
    ----------
    pair : float
        An allocation with its free on one CPU alone, the same for every design: how addresses are
        found may cost more or less work, but here designs differ only in what waits for a lock.
    area : float
        Time with a lock held for each area that is searched for, carved, or merged back.
    handover : float
        Time by which a visit holds the lock longer while others wait.
    """

    pair: float
    area: float
    handover: float

    def __post_init__(self) -> None:
        for name in ("pair", "area", "handover"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"$.{name}_ns", "not a time", value=value, allowed="above 0")


@dataclass(frozen=True, slots=True)
class Demand:
    """Of one allocation with its free, on average.

    Attributes
    ----------
    visits : float
        Visits to the lock of the global free space.
    areas : float
        Areas moved in these visits: searched for and carved, chunks included, or merged back.
    node : float
        Visits to the busiest of the locks that nodes have.
    """

    visits: float
    areas: float
    node: float


def demand_of(whole: Simulation, start: Simulation) -> Demand:
    """Count what requests asked of the locks after the start of a stream.

    At the start pools are empty and live sets are small. A chunk that is some CPU's current one
    counts by the part of it that is used: else chunks would count in lumps, one for each CPU.

    Parameters
    ----------
    whole, start : Simulation
        Of a stream, and of its first events alone; same machine and policy.

    Raises
    ------
    InputError
        If there are no requests behind the start.

    Notes
    -----
    A purge takes the lock once for all areas of a node that it merges back. Where areas belong to
    chunks, those that are merged back one by one are at most as many as the global allocator
    handed out, and so many are counted.
    """
    after, before = _tally(whole), _tally(start)
    grown = {name: after[name] - before[name] for name in after}
    requests = grown["requests"]
    if not requests:
        allowed = "a longer stream"
        raise InputError("$.events", "no requests in the second half", allowed=allowed)
    back = grown["purged_areas"] - grown["pool_adds"] + grown["decayed_areas"]
    if whole.policy.overlay and whole.policy.resident:
        back = min(back, grown["global_hits"])
    moved = ("global_hits", "global_failures", "refills", "refill_failures", "pcpu_areas")
    areas = sum(grown[name] for name in moved) + grown["chunks_released"] + back
    node = max(
        late - early
        for kind in whole.visits
        for late, early in zip(whole.visits[kind], start.visits[kind], strict=True)
    )
    return Demand(grown["lock_global"] / requests, areas / requests, node / requests)


def _tally(simulation: Simulation) -> dict[str, float]:
    """Counters, with refills and their visits less the unused parts of current chunks."""
    size = simulation.machine.chunk_pages
    tally: dict[str, float] = dict(simulation.counters)
    if size:
        current = simulation.chunks.filter("current")
        unused = current.height - float(current["used"].sum()) / size
        tally["refills"] -= unused
        tally["lock_global"] -= unused
    return tally


def between(demands: dict[int, Demand], cpus: int) -> Demand:
    """Demand on a machine of a size between those that were simulated.

    Linear in the logarithm of the CPUs; outside of the sizes that of the nearest one.
    """
    sizes = sorted(demands)
    if cpus <= sizes[0] or cpus >= sizes[-1]:
        return demands[sizes[0] if cpus <= sizes[0] else sizes[-1]]
    low, high = next(pair for pair in pairwise(sizes) if pair[0] <= cpus <= pair[1])
    part = float(np.log(cpus / low) / np.log(high / low))
    mixed = {
        name: (1 - part) * getattr(demands[low], name) + part * getattr(demands[high], name)
        for name in ("visits", "areas", "node")
    }
    return Demand(**mixed)


def pair_time(cpus: int, demand: Demand, costs: Costs) -> float:
    """Mean time, in ns, of an allocation with its free when all CPUs do nothing else.

    Raises
    ------
    InputError
        If the areas of a pair take longer than the pair.
    """
    if demand.visits <= 0:
        return costs.pair
    think, lock = _visit(demand, costs)
    return cpus * demand.visits / throughput(cpus, think, lock)


def knee_of(demand: Demand, costs: Costs) -> float:
    """CPUs at which the global lock has no time left; infinite if it is not visited."""
    return knee(*_visit(demand, costs)) if demand.visits > 0 else float("inf")


def limits(demand: Demand, costs: Costs) -> tuple[float, float]:
    """Pairs per ns that the global lock allows at most, and the busiest lock of a node.

    Both as if somebody always waits, and a visit to a node's lock moves one area.
    """
    shared = demand.areas * costs.area + demand.visits * costs.handover
    node = demand.node * (costs.area + costs.handover)
    return (1 / shared if shared > 0 else float("inf"), 1 / node if node > 0 else float("inf"))


def _visit(demand: Demand, costs: Costs) -> tuple[float, Lock]:
    """Split a pair into its visits: time between two of them, and the lock as each finds it."""
    held = costs.area * demand.areas
    if held > costs.pair:
        problem = "shorter than the areas of a pair take"
        raise InputError("$.pair_ns", problem, value=costs.pair, allowed=f"{held:g} or more")
    return (costs.pair - held) / demand.visits, Lock(held / demand.visits, costs.handover)
