"""One stream under one policy on one machine, as a flat row: what most sweeps are made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import InputError
from vmalloc_model.experiments import scene as scenes
from vmalloc_model.simulate import Simulation, simulate, stranded
from vmalloc_model.sweep import Point, Result
from vmalloc_model.workloads import WORKLOADS

__all__ = ["NAMES", "inputs", "play", "simulation"]

NAMES: Final = {"policy": "a policy", **scenes.NAMES}
"""Name in a point -> meaning."""


def inputs(point: Point) -> Iterable[Path]:
    """Yield the data files that `simulation` reads at a point."""
    name = point["stream"]
    yield data_path("platforms.csv")
    if name in ("modules", "mixed"):
        yield data_path("modules-debian-6.12.117-amd64.csv")
    if name == "fitted":
        default = WORKLOADS[name].parameters["run"].default
        name = str((point.get("parameters") or {}).get("run", default))
    if name not in WORKLOADS:
        run = scenes.run_named(name)
        yield data_path("runs/runs.toml")
        yield run.path
        yield from (data_path(f"runs/{one}") for one in run.vmallocinfo)


def simulation(point: Point, samples: int = 0) -> Simulation:
    """Run the stream of a point through its policy.

    Parameters
    ----------
    point : mapping
        `NAMES`; ``stream`` and ``policy`` at least, and for a workload ``platform``, ``cpus``,
        ``events`` and ``seed``.
    samples : int
        Rows of the series.

    Raises
    ------
    InputError
        If a name or a value is unknown, missing or out of range.
    """
    for name in point:
        if name not in NAMES:
            allowed = ", ".join(NAMES)
            raise InputError("point", "unknown name", value=name, allowed=allowed)
    stream, machine, recorded = scenes.scene(point)
    return simulate(stream, machine, point["policy"], samples=samples, auto_purge=not recorded)


def play(point: Point) -> Result:
    """Run the stream of a point through its policy and tell what came of it.

    Returns
    -------
    dict
        ``page_size`` and ``chunk_size`` (bytes; 0 without chunks), ``events``; the counters
        (`vmalloc_model.allocator.counters.COUNTERS`); the measures
        (`vmalloc_model.allocator.allocator.Allocator.measures`); and ``stranded_NAME`` for
        each name of `vmalloc_model.simulate.STRANDED`, in pages.
    """
    done = simulation(point)
    return {
        "page_size": done.machine.page_size,
        "chunk_size": done.machine.chunk_pages * done.machine.page_size,
        "events": done.events,
        **done.counters,
        **done.measures,
        **{f"stranded_{name}": pages for name, pages in stranded(done).items()},
    }
