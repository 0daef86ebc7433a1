"""What a stream takes for good: address space and page tables, at its half and at its end.

`account` plays a workload of the chapter *Leaks and exhaustion*; `live_set` plays pairs of an
allocation and a free beside areas that live on, in one of two `SHAPES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, BLOCK_EVENTS, EVENT, FREE, GUARD, Stream
from vmalloc_model.experiments import play
from vmalloc_model.platforms import find_platform
from vmalloc_model.simulate import Simulation, simulate, stranded
from vmalloc_model.sweep import Point, Result
from vmalloc_model.workloads import make

__all__ = ["SHAPES", "account", "live_set", "standing"]

SHAPES: Final = {
    "replaced": "one of all that live, drawn at random, is freed and another allocated, in turn",
    "standing": "allocated first and never freed; one more area is allocated and freed, in turn",
}
"""How the areas that live are related to those that come and go -> meaning."""

_HALVES: Final = ("requests", "high_water", "page_tables")
_GUARD: Final = 1


def account(point: Point) -> Result:
    """Play a workload and tell what it took.

    Parameters
    ----------
    point : mapping
        Names of `vmalloc_model.experiments.play.NAMES`; a workload, no recorded run.

    Returns
    -------
    dict
        ``page_size``, ``chunk_size`` (bytes), ``nodes``; ``half_NAME`` after half of the events,
        for ``requests``, ``high_water`` and ``page_tables`` (pages); and of the end: the counters,
        the measures, and ``stranded_NAME`` (pages).
    """
    done = play.simulation(point, samples=2)
    early = done.series.row(0, named=True)
    return {"nodes": done.machine.nodes, **{f"half_{n}": early[n] for n in _HALVES}, **_told(done)}


def live_set(point: Point) -> Result:
    """Play pairs of equal areas beside a set of areas that live.

    Parameters
    ----------
    point : mapping
        ``shape`` (of `SHAPES`), ``live`` (areas), ``payload`` (pages of each area, no guard page),
        ``policy``, ``platform``, ``cpus``, ``chunk_size`` (bytes), ``events``, ``seed``.

    Returns
    -------
    dict
        As `account`, without the half.
    """
    platform = find_platform(point["platform"])
    machine = machine_of(platform, point["cpus"], chunk_size=point["chunk_size"])
    live, payload, events = point["live"], point["payload"], point["events"]
    if point["shape"] == "replaced":
        stream = make(
            "churn",
            page_size=machine.page_size,
            cpus=machine.cpus,
            events=events,
            seed=point["seed"],
            live=live,
            min_pages=payload,
            max_pages=payload,
        )
    elif point["shape"] == "standing":
        stream = standing(live, payload, machine.page_size, machine.cpus, events)
    else:
        allowed = ", ".join(SHAPES)
        raise InputError("$.shape", "unknown shape", value=point["shape"], allowed=allowed)
    return {"nodes": machine.nodes, **_told(simulate(stream, machine, point["policy"]))}


def standing(live: int, payload: int, page_size: int, cpus: int, events: int) -> Stream:
    """Allocate areas that stay, then allocate one and free it, on each CPU in turn.

    Parameters
    ----------
    live : int
        Areas that stay; they are spread over the CPUs.
    payload : int
        Pages of each area, guard page not included.
    page_size, cpus : int
        Of the stream.
    events : int
        Its length, rounded up to a whole pair.
    """
    pairs = -(-max(events - live, 0) // 2)

    def blocks() -> Iterator[npt.NDArray[np.void]]:
        first = np.arange(live)
        yield _rows(ALLOC, first % cpus, first, payload)
        step = BLOCK_EVENTS // 2
        for start in range(0, pairs, step):
            turn = np.arange(start, min(start + step, pairs)) % cpus
            both = np.empty(2 * len(turn), EVENT)
            both[0::2] = _rows(ALLOC, turn, live, payload)
            both[1::2] = _rows(FREE, turn, live)
            yield both

    made_with = {"live": live, "payload": payload, "events": events}
    return Stream(
        "standing", page_size, cpus, live + 1, blocks, live + 2 * pairs, parameters=made_with
    )


def _rows(
    op: int, cpu: npt.NDArray[np.int64], slot: npt.ArrayLike, payload: int | None = None
) -> npt.NDArray[np.void]:
    rows = np.zeros(len(cpu), EVENT)
    rows["op"], rows["cpu"], rows["slot"] = op, cpu, slot
    if payload is not None:
        rows["pages"], rows["flags"] = payload + _GUARD, GUARD
    return rows


def _told(done: Simulation) -> Result:
    return {
        "page_size": done.machine.page_size,
        "chunk_size": done.machine.chunk_pages * done.machine.page_size,
        **done.counters,
        **done.measures,
        **{f"stranded_{name}": pages for name, pages in stranded(done).items()},
    }
