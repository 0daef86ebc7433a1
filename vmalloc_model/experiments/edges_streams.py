"""What the experiments of the edges are made of: events by hand, and the size of chunks."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.events import ALLOC, EVENT, FREE, GUARD, PURGE, SHRINK

__all__ = [
    "Events",
    "allocs",
    "chunk_pages",
    "emptied",
    "frees",
    "growing",
    "left",
    "rows",
    "spread",
]

Events = npt.NDArray[np.void]

_LAG: Final = 64
"""Rounds between an allocation and the free that may take it, in `growing`."""


def chunk_pages(machine: Machine, policy: str) -> int:
    """Pages of a policy's chunks on a machine; 0 if there are none."""
    rules = find_policy(policy)
    if not rules.overlay:
        return 0
    return machine.scaled().chunk_pages if rules.scaled else machine.chunk_pages


def rows(op: int, count: int = 1, **columns: npt.ArrayLike) -> Events:
    """Return so many events of one operation; columns that are not given are 0."""
    events = np.zeros(count, EVENT)
    events["op"] = op
    for name, values in columns.items():
        events[name] = values
    return events


def allocs(slots: npt.NDArray[np.int64], cpus: npt.ArrayLike, pages: npt.ArrayLike) -> Events:
    """Allocate areas; `pages` counts the guard page of each."""
    return rows(ALLOC, len(slots), slot=slots, cpu=cpus, pages=pages, flags=GUARD)


def frees(slots: npt.NDArray[np.int64], cpus: npt.ArrayLike) -> Events:
    """Give the areas of slots back."""
    return rows(FREE, len(slots), slot=slots, cpu=cpus)


def left(events: Events) -> Events:
    """Return the allocations whose areas are not freed in a stream, ascending by slot."""
    known = events[np.isin(events["op"], (ALLOC, FREE))]
    last = np.full(int(known["slot"].max(initial=0)) + 1, -1)
    last[known["slot"]] = np.arange(len(known))  # of several, the last one stays
    ends = known[last[last >= 0]]
    return np.asarray(ends[ends["op"] == ALLOC])


def emptied(events: Events) -> Events:
    """Return what gives everything back after a stream: frees, a purge, the shrinker."""
    rest = left(events)
    return np.concatenate([frees(rest["slot"], rest["cpu"]), rows(PURGE), rows(SHRINK)])


def spread(events: Events, more: Events) -> Events:
    """Put events evenly between those of a stream."""
    places = np.arange(1, len(more) + 1) * len(events) // (len(more) + 1)
    return np.insert(events, places, more)


def growing(pages: int, cpus: int, seed: int, largest: int = 256) -> Events:
    """Allocate until more than a range is live: of three areas one is freed again.

    Parameters
    ----------
    pages : int
        Size of the range; the areas left at the end are larger than it.
    cpus, seed : int
        The CPU of each event is drawn uniformly.
    largest : int
        Payloads are log-uniform from 1 page to this; every area has a guard page.
    """
    random = np.random.default_rng(seed)
    mean = (largest - 1) / np.log(largest + 1)
    rounds = int(pages / (2 * mean)) + 4 * _LAG
    events = np.zeros((rounds, 4), EVENT)
    payloads = np.floor((largest + 1) ** random.random((rounds, 3))).astype(np.int64)
    events["op"][:, :3], events["op"][:, 3] = ALLOC, FREE
    events["flags"][:, :3] = GUARD
    events["pages"][:, :3] = np.clip(payloads, 1, largest) + 1
    events["slot"][:, :3] = np.arange(3 * rounds).reshape(rounds, 3)
    events["slot"][_LAG:, 3] = 3 * np.arange(rounds - _LAG) + random.integers(3, size=rounds - _LAG)
    events["cpu"] = random.integers(cpus, size=events.shape)
    keep = np.ones(events.shape, bool)
    keep[:_LAG, 3] = False
    return np.asarray(events[keep])
