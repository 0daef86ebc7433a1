"""What a point runs: its stream, and the machine that the stream meets."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

from vmalloc_model.allocator.machine import Machine, machine_of
from vmalloc_model.events import Stream
from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.replay.streams import recorded_stream
from vmalloc_model.runs import Run, find_run, run_id
from vmalloc_model.simulate import fitted
from vmalloc_model.sweep import Point
from vmalloc_model.units import MIB
from vmalloc_model.workloads import WORKLOADS, make

__all__ = ["NAMES", "Scene", "run_named", "scene", "stream_name"]

NAMES: Final = {
    "stream": "a workload, or a recorded run",
    "platform": "id of the platform; a recorded run has its own, where that is known",
    "cpus": "possible CPUs; a recorded run has its own",
    "chunk_size": "bytes; 64 MiB if not given",
    "events": "length of a workload's stream; not for a recorded run",
    "seed": "of a workload's stream; not for a recorded run",
    "nodes": "vmap nodes: 1 switches the pools off; by the kernel's rule if not given",
    "parameters": "of the workload, name -> value; its defaults if not given",
}
"""Name in a point -> meaning."""

_SHORT: Final = 1 << 20
"""Events of a stream up to which they are kept in memory: 16 MiB."""


_READING: Final = Lock()
"""Lets one thread read a recording, and the others wait for it instead of reading it too."""


class Scene(NamedTuple):
    """A stream, its machine with the windows of the stream, and whether it was recorded.

    A recording says itself when the kernel purged: it runs with ``auto_purge=False``.
    """

    stream: Stream
    machine: Machine
    recorded: bool


def scene(point: Point) -> Scene:
    """Set up what a point names; other names than `NAMES` are left alone.

    Raises
    ------
    InputError
        If a value is unknown or out of range.
    """
    name, recorded = point["stream"], point["stream"] not in WORKLOADS
    own = {"chunk_size": point.get("chunk_size", 64 * MIB), "nodes": point.get("nodes")}
    if recorded:
        run = run_named(name)
        with _READING:
            stream = _recorded(name)
        machine = machine_of(_platform(run.platform or point["platform"]), run.cpus, **own)
    else:
        machine = machine_of(_platform(point["platform"]), point["cpus"], **own)
        extra = tuple(sorted((point.get("parameters") or {}).items()))
        length = (point["cpus"], point["events"], point["seed"])
        stream = _made(name, machine.page_size, *length, extra)
    return Scene(stream, fitted(machine, stream), recorded)


@cache
def _platform(name: str) -> Platform:
    """Read a platform once: the table takes as long as a few thousand events."""
    return find_platform(name)


@lru_cache(maxsize=4)
def run_named(name: str) -> Run:
    """Find a recorded run once: a file of the reader's own is read for it."""
    return find_run(name)


def stream_name(name: str) -> str:
    """Say what tables and charts call the ``stream`` of a point: an own file by its name.

    One that is called as a workload keeps its path.
    """
    return name if Path(name).name in WORKLOADS else run_id(name)


@lru_cache(maxsize=8)
def _made(
    name: str,
    page_size: int,
    cpus: int,
    events: int,
    seed: int,
    parameters: tuple[tuple[str, Any], ...],
) -> Stream:
    """Make a stream once for the policies and chunk sizes it meets; a short one with its events."""
    extra = dict(parameters)
    stream = make(name, page_size=page_size, cpus=cpus, events=events, seed=seed, **extra)
    if events > _SHORT:
        return stream
    blocks = list(stream.blocks())
    return replace(stream, blocks=lambda: iter(blocks), events=sum(map(len, blocks)))


@lru_cache(maxsize=4)
def _recorded(run: str) -> Stream:
    """Read a recorded run once for all its points."""
    return recorded_stream(run)
