"""Points of a sweep: a workload under a design on one machine, and what it asks of the locks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.contention.demand import demand_of
from vmalloc_model.datafiles import data_path
from vmalloc_model.events import Stream
from vmalloc_model.platforms import find_platform
from vmalloc_model.simulate import simulate
from vmalloc_model.sweep import Point, Result
from vmalloc_model.workloads import make

__all__ = ["BASELINE", "NO_POOLS", "counted", "inputs"]

BASELINE: Final = "mainline"
NO_POOLS: Final = "no-pools"
"""What overlays are compared with, and the same with one node: no pools, and each lock global."""


def inputs(point: Point) -> Iterable[Path]:
    """Yield the data files that `counted` reads at a point."""
    yield data_path("platforms.csv")


def counted(point: Point) -> Result:
    """Count visits and areas in the second half of a stream.

    Parameters
    ----------
    point : mapping
        ``workload``, ``design`` (a policy, or `NO_POOLS`), ``platform``, ``cpus``, ``chunk_size``
        (bytes), ``events``, ``seed``.

    Returns
    -------
    dict
        Of `vmalloc_model.contention.demand.Demand`.
    """
    platform = find_platform(point["platform"])
    size = (platform.page_size, point["cpus"], point["events"], point["seed"])
    whole, start = _streams(point["workload"], *size)
    bare = point["design"] == NO_POOLS
    nodes = 1 if bare else None
    machine = machine_of(platform, point["cpus"], chunk_size=point["chunk_size"], nodes=nodes)
    policy = BASELINE if bare else point["design"]
    return asdict(demand_of(simulate(whole, machine, policy), simulate(start, machine, policy)))


@lru_cache(maxsize=4)
def _streams(name: str, page_size: int, cpus: int, events: int, seed: int) -> tuple[Stream, Stream]:
    """Make a stream once for all designs: the whole, and its first half."""
    stream = make(name, page_size=page_size, cpus=cpus, events=events, seed=seed)
    blocks = list(stream.blocks())
    whole = np.concatenate(blocks)
    half = whole[: len(whole) // 2]
    return (
        replace(stream, blocks=lambda: iter([whole]), events=len(whole)),
        replace(stream, blocks=lambda: iter([half]), events=len(half)),
    )
