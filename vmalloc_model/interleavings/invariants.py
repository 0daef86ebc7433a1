"""What must hold in every state, whatever the order of steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from vmalloc_model.interleavings.setting import CHUNK_PAGES, Setting, Variant
from vmalloc_model.interleavings.state import (
    CURRENT,
    FULL,
    THROWN,
    State,
    live_areas,
    mask_of,
    unflushed,
)

__all__ = ["INVARIANTS", "Invariant", "Tests", "concerning", "violated"]


Broken = Callable[[Setting, State], bool]
Tests = tuple[tuple[str, Broken], ...]


class Invariant(NamedTuple):
    """A property of states.

    `broken` tells whether a state violates it, `concerns` whether a variant has what it is about.
    After a *fatal* violation memory may be damaged: what follows is its consequence, and is not
    explored.
    """

    title: str
    fatal: bool
    broken: Broken
    concerns: Callable[[Variant], bool]


def _all(variant: Variant) -> bool:
    return True


def _overlays(variant: Variant) -> bool:
    return variant.rules.overlay


def _resident(variant: Variant) -> bool:
    return variant.rules.overlay and variant.rules.resident


def _locked(variant: Variant) -> bool:
    return variant.locked


def _twice(setting: Setting, state: State) -> bool:
    used = 0
    for area in live_areas(state):
        mask = mask_of(area.start, area.pages)
        if used & mask:
            return True
        used |= mask
    return False


def _mapped(setting: Setting, state: State) -> bool:
    dying = 0
    for task in state.tasks:
        if task.at in _FREEING:
            dying |= mask_of(task.local[0].start, task.local[0].pages)
    return bool(dying and dying & _live(state))


def _flushed(setting: Setting, state: State) -> bool:
    stale = unflushed(state)
    return bool(stale and stale & _live(state))


def _live(state: State) -> int:
    mask = 0
    for area in live_areas(state):
        mask |= mask_of(area.start, area.pages)
    return mask


def _marked(mark: str) -> Broken:
    return lambda setting, state: mark in state.marks


def _room(setting: Setting, state: State) -> bool:
    return _lost(setting, state, THROWN)


def _drained(setting: Setting, state: State) -> bool:
    return _lost(setting, state, FULL)


def _lost(setting: Setting, state: State, fate: str) -> bool:
    """Tell whether a replaced chunk of this fate will never come back as a whole.

    In 10/12 that is any chunk: nobody looks at what lies behind its pointer.
    """
    rules = setting.variant.rules
    for k, chunk in enumerate(state.chunks):
        if chunk.fate != fate:
            continue
        if not rules.resident:
            return True
        if chunk.alloced == 0 and not _in_flight(state, k):
            return rules.release != "purged" or not _to_purge(state, k)
    return False


_FREEING: Final = ("subtract", "compare", "release", "unmap")


def _in_flight(state: State, k: int) -> bool:
    """Tell whether a task is about to count, or to release, an area of the chunk."""
    for task in state.tasks:
        if task.at in _FREEING and task.at != "unmap":
            if task.local[0].chunk == k:
                return True
        elif task.at in ("retire", "count") and task.local[1] == k:
            return True
    return False


def _to_purge(state: State, k: int) -> bool:
    """Tell whether an area of the chunk was unlinked and waits for a purge, or is in one."""
    if any(area.chunk == k for area in state.lazy):
        return True
    for task in state.tasks:
        if task.at == "unmap" and task.local[0].chunk == k:
            return True
        if task.at in ("flush", "give") and any(area.chunk == k for area in task.local[0]):
            return True
    return False


def _counter(setting: Setting, state: State) -> bool:
    """Compare counters with pages, of chunks that no step is about to count for."""
    variant, live = setting.variant, -1
    for k, chunk in enumerate(state.chunks):
        if chunk.fate not in (CURRENT, FULL, THROWN) or _in_flight(state, k):
            continue
        if variant.counted and _to_purge(state, k):
            continue
        live = _live(state) if live < 0 else live
        pages = (live & mask_of(chunk.base, CHUNK_PAGES)).bit_count()
        if chunk.alloced != pages + (variant.counted and chunk.fate == CURRENT):
            return True
    return False


def _foreign(setting: Setting, state: State) -> bool:
    """Look for a task about to change a chunk under another CPU's lock (10/12)."""
    for task in state.tasks:
        if task.at == "write" and task.local[3] >= 0 and task.local[1] != task.local[2]:
            return True
        if task.at == "install locked" and task.local[1] != task.cpu:
            return True
    return False


INVARIANTS: Final = {
    "twice": Invariant("no page is in use twice", True, _twice, _all),
    "mapped": Invariant("no page is handed out before its old PTE is cleared", True, _mapped, _all),
    "flushed": Invariant("no page is handed out before the TLB flush", True, _flushed, _all),
    "returned": Invariant("no range is returned twice", True, _marked("returned"), _resident),
    "descriptor": Invariant(
        "no descriptor of a chunk is read after it was freed",
        True,
        _marked("descriptor"),
        _resident,
    ),
    "room": Invariant("no chunk that has room is lost", False, _room, _overlays),
    "drained": Invariant("no drained chunk is lost", False, _drained, _resident),
    "counter": Invariant("a chunk's counter is its pages in use", False, _counter, _resident),
    "skipped": Invariant(
        "no free finds its chunk's owner unset", False, _marked("skipped"), _resident
    ),
    "foreign": Invariant(
        "a chunk changes only under the lock of its CPU", False, _foreign, _locked
    ),
}
"""Key -> invariant."""


@cache
def concerning(variant: Variant) -> Tests:
    """Return keys and tests of the invariants that concern a variant."""
    return tuple((key, one.broken) for key, one in INVARIANTS.items() if one.concerns(variant))


def violated(setting: Setting, state: State) -> list[str]:
    """Name the invariants that a state violates."""
    return [key for key, broken in concerning(setting.variant) if broken(setting, state)]
