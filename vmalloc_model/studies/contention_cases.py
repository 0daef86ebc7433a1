"""Chapter *Contention*: what each design asks of the locks, per workload and machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from vmalloc_model.contention.counted import BASELINE, NO_POOLS, counted, inputs
from vmalloc_model.contention.demand import Demand, between
from vmalloc_model.errors import InputError
from vmalloc_model.sweep import sweep

__all__ = ["BASELINE", "NO_POOLS", "Case", "play"]


@dataclass(frozen=True)
class Case:
    """A workload under a design.

    Attributes
    ----------
    workload, design : str
        The design is `NO_POOLS` or the name of a policy.
    chunk_size : int
        Bytes; 0 where there are no chunks.
    demands : dict of int to Demand
        By the CPUs of the simulated machine.
    """

    workload: str
    design: str
    chunk_size: int
    demands: dict[int, Demand]

    def demand(self, cpus: int) -> Demand:
        """Demand on a machine with so many CPUs, between the simulated ones."""
        return between(self.demands, cpus)

    @cached_property
    def largest(self) -> Demand:
        """Demand on the largest machine that was simulated."""
        return self.demands[max(self.demands)]


def play(
    workloads: Sequence[str],
    policies: Sequence[str],
    platform: str,
    machines: Sequence[int],
    chunk_size: int,
    chunk_sizes: Sequence[int],
    events: int,
    seed: int,
) -> list[Case]:
    """Count the demand of all workloads under all designs on machines of several sizes.

    Parameters
    ----------
    workloads : sequence of str
    policies : sequence of str
        Beside `BASELINE` and `NO_POOLS`, which are always there and come first.
    platform : str
        Id of a platform.
    machines : sequence of int
        CPUs of the machines.
    chunk_size : int
        Bytes, for the policies with chunks.
    chunk_sizes : sequence of int
        Other sizes to compare with it.
    events, seed : int
        Of the streams. Each machine has a stream of this length.

    Returns
    -------
    list of Case
        By workload, design and chunk size, `chunk_size` first.

    Raises
    ------
    InputError
        If there is nothing to compare mainline with, or a stream is too short to count anything.
    """
    if set(policies) <= {BASELINE}:
        allowed = "a policy with an overlay"
        raise InputError("$.policies", "nothing to compare", value=list(policies), allowed=allowed)
    sizes = [chunk_size, *(size for size in chunk_sizes if size != chunk_size)]
    designs = [(NO_POOLS, 0), (BASELINE, 0)]
    designs += [(policy, size) for policy in policies if policy != BASELINE for size in sizes]
    keys = [
        (workload, cpus, design, size)
        for workload in workloads
        for design, size in designs
        for cpus in _machines(design, machines)
    ]
    points = [
        {
            "workload": workload,
            "design": design,
            "platform": platform,
            "cpus": cpus,
            "chunk_size": size or chunk_size,
            "events": events,
            "seed": seed,
        }
        for workload, cpus, design, size in keys
    ]
    results = sweep(counted, points, inputs=inputs, title="contention")
    found = {key: Demand(**result) for key, result in zip(keys, results, strict=True)}
    return [
        Case(
            workload,
            design,
            size,
            {cpus: found[workload, cpus, design, size] for cpus in _machines(design, machines)},
        )
        for workload in workloads
        for design, size in designs
    ]


def _machines(design: str, machines: Sequence[int]) -> list[int]:
    """Sizes to simulate; where every lock is global, what a pair asks does not depend on them."""
    return [min(machines)] if design == NO_POOLS else sorted(machines)
