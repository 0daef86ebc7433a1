"""An order without concurrency, as events for the allocator model, which knows no other orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import Machine
from vmalloc_model.events import ALLOC, EVENT, FREE, PURGE
from vmalloc_model.interleavings.setting import (
    CHUNK_PAGES,
    MAX_CPUS,
    REQUESTS,
    WINDOW_PAGES,
    Setting,
)
from vmalloc_model.interleavings.state import State, live_areas
from vmalloc_model.interleavings.steps import GRACE, Move, apply, initial

__all__ = ["Replay", "events_of", "machine", "replayed"]

_ZONE: Final = 512
"""Pages of a node's stripe; the window lies in one of node 0."""

_NODES: Final = 2
"""With one node there would be no pools. The explorer's CPUs are those of node 0: 0, 2, ..."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the allocator model makes of an order.

    Attributes
    ----------
    events : int
    agrees : bool
        Whether every area that is in use at the end has the address that the explorer gave it.
    counters, measures : dict
        Of the end.
    twice, unflushed, uncounted : int
        Pages in use by two areas; in use and still on a lazy list; in use in a chunk that is not
        released, but not in its counter.
    """

    events: int
    agrees: bool
    counters: dict[str, int]
    measures: dict[str, int]
    twice: int
    unflushed: int
    uncounted: int


def machine() -> Machine:
    """Return the explorer's machine: all addresses and CPUs are one node's, pools keep areas."""
    return Machine(
        page_size=4096,
        cpus=_NODES * MAX_CPUS,
        nodes=_NODES,
        zone_pages=_ZONE,
        space=(1, 8 * _ZONE),
        windows=((2 * _ZONE, 2 * _ZONE + WINDOW_PAGES), (5 * _ZONE, 6 * _ZONE)),
        lazy_max_pages=_ZONE,
        block_pages=16,
        block_max_pages=8,
        chunk_pages=CHUNK_PAGES,
        decay="6.16",
    )


def events_of(setting: Setting, moves: Sequence[Move]) -> tuple[npt.NDArray[np.void], State]:
    """Turn an order of whole operations into events; the slots are numbered as they are used.

    Parameters
    ----------
    setting : Setting
        Its kernel is ``serial``, or the order happens to be one of whole operations.
    moves : sequence of Move
        The last operation may be incomplete: the allocator model completes it.

    Returns
    -------
    events : ndarray of `vmalloc_model.events.EVENT`
        With those of `Program.before`.
    state : State
        The explorer's, after the moves.

    Raises
    ------
    ValueError
        If operations overlap.
    """
    rows: list[tuple[int, ...]] = []
    held: dict[int, list[int]] = {}

    def note(operation: str, cpu: int, who: int) -> None:
        mine = held.setdefault(who, [])
        if operation == "purge":
            rows.append((PURGE, 0, 0, 0, cpu * _NODES, 0, 0))
        elif operation == "free":
            if mine:
                rows.append((FREE, 0, 0, 0, cpu * _NODES, mine.pop(0), 0))
        else:
            pages, align = REQUESTS[operation]
            mine.append(len(rows))
            rows.append((ALLOC, 0, 0, align.bit_length() - 1, cpu * _NODES, len(rows), pages))

    for operation, cpu, who in setting.program.before:
        note(operation, cpu % setting.cpus, who)
    state = initial(setting)
    for move in moves:
        t = move.task
        if t != GRACE and move.cpu < 0:
            task = state.tasks[t]
            if not task.local:
                if any(other.local for other in state.tasks):
                    raise ValueError("operations overlap")
                note(setting.program.tasks[t][1][task.op], task.cpu, t)
        state = apply(setting, state, move)
    return np.array(rows, EVENT), state


def replayed(setting: Setting, moves: Sequence[Move]) -> Replay:
    """Give an order of whole operations to the allocator model."""
    events, state = events_of(setting, moves)
    allocator = Allocator(machine(), setting.variant.rules, "gaps", auto_purge=False)
    starts = allocator.run(events) - machine().windows[0][0]
    areas: dict[int, tuple[int, int]] = {}
    last: tuple[int, int] | None = None
    for event, start in zip(events, starts.tolist(), strict=True):
        if event["op"] == ALLOC:
            areas[int(event["slot"])], last = (start, int(event["pages"])), None
        elif event["op"] == FREE:
            last = areas.pop(int(event["slot"]))  # if incomplete, it is still in use there
    mine = {(area.start, area.pages) for area in live_areas(state)}
    used = [page for start, pages in areas.values() for page in range(start, start + pages)]
    base = machine().windows[0][0]
    told = allocator.state()
    lazy = {start - base for starts_ in told["lazy"].values() for start in starts_}
    uncounted = 0
    chunks = allocator.chunks()
    if setting.variant.rules.resident:
        for first, live, gone in zip(
            (chunks.base - base).tolist(), chunks.live, chunks.released, strict=True
        ):
            inside = sum(first <= page < first + CHUNK_PAGES for page in used)
            uncounted += 0 if gone else abs(inside - int(live))
    return Replay(
        events=len(events),
        agrees=mine <= {*areas.values(), last},
        counters=allocator.counters(),
        measures=allocator.measures(),
        twice=len(used) - len(set(used)),
        unflushed=len(lazy & set(used)),
        uncounted=uncounted,
    )
