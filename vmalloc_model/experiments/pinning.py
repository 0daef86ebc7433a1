"""Where the live areas of a stream lie at its end: chunk by chunk, by address, for any policy.

A policy whose chunks own their areas counts their pages; the others do not know. Here both are
asked in the same way: which live areas lie between the first and the last page of a chunk. Without
an overlay there are no chunks; then the address space below the high-water mark is cut into
stretches of the same size.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.allocator import Allocator, Chunks
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.rules import Rules
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, FREE, MAP_RAM, PCPU
from vmalloc_model.experiments.play import NAMES, inputs
from vmalloc_model.experiments.scene import scene
from vmalloc_model.sweep import Point, Result

__all__ = [
    "CLASSES",
    "CLASS_EDGES",
    "classed",
    "inputs",
    "live_in",
    "lookups",
    "own_hits",
    "residents",
    "superseded",
]

CLASS_EDGES: Final = (1, 10, 50, 90)
"""Percentages of a chunk's pages at which a class begins; below the first there are two classes."""

CLASSES: Final = ("empty", "thin", "low", "part", "most", "full")
"""No live page; below 1 %; from 1 %; from 10 %; from 50 %; from 90 %."""

Words = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def residents(point: Point) -> Result:
    """Run a stream through a policy and tell which chunks its live areas lie in at the end.

    Parameters
    ----------
    point : mapping
        As for `vmalloc_model.experiments.play.simulation`.

    Returns
    -------
    dict
        The counters; the measures; and

        ``page_size``, ``chunk_pages``, ``events``;
        ``current``: chunks that are some CPU's, not released;
        ``classes``: of the other chunks that are not released, how many are in each of `CLASSES`;
        where areas do not belong to chunks, a chunk of which a later one took a page counts as
        released; without an overlay these are stretches of the same size below the mark;
        ``in_current``, ``in_others``, ``outside``: pages of live areas in the chunks of CPUs, in
        the others of ``classes``, and elsewhere; of a vm_map_ram block what is mapped;
        ``counted``: pages of live areas by the chunks' own counts (0 where areas do not belong);
        ``shared``: live areas that share a page with another one;
        ``holes``, ``largest_hole``: free ranges below the high-water mark, and the pages of the
        largest.

    Raises
    ------
    InputError
        If a name or a value is unknown, missing or out of range.
    """
    allocator, events, at, slots = _played(point)
    machine, rules = allocator.machine, allocator.rules
    size = _chunk_pages(allocator)
    first, pages = _live(events, at, slots)
    chunks, measures = allocator.chunks(), allocator.measures()
    mark, origin = measures["high_water"], machine.windows[0][0]
    if rules.overlay and size:
        base, current = chunks.base, chunks.current
        kept = ~chunks.released if rules.resident else ~superseded(base, size)
    else:
        size = machine.chunk_pages
        base = origin + size * np.arange(-(-mark // size))
        current, kept = np.zeros(len(base), bool), np.ones(len(base), bool)
    inside = live_in(base[kept], size, first, pages)
    holes = [
        min(length, origin + mark - start)
        for start, length in allocator.state()["gaps"]
        if origin <= start < origin + mark
    ]
    return {
        **allocator.counters(),
        **measures,
        "page_size": machine.page_size,
        "chunk_pages": size,
        "events": len(events),
        "current": int((current & kept).sum()),
        "classes": classed(inside[~current[kept]], size),
        "in_current": int(inside[current[kept]].sum()),
        "in_others": int(inside[~current[kept]].sum()),
        "outside": int(pages.sum() - inside.sum()),
        "counted": int(chunks.live[~chunks.released].sum()),
        "shared": _shared(first, pages),
        "holes": len(holes),
        "largest_hole": max(holes, default=0),
    }


def lookups(point: Point) -> Result:
    """Run a stream through a policy and tell where frees found their areas.

    Parameters
    ----------
    point : mapping
        As for `residents`.

    Returns
    -------
    dict
        The counters; ``cpus``; ``listed``: chunks on the list at the end; ``own``: frees of areas
        in the current chunk of the CPU that frees, None where `own_hits` cannot tell.
    """
    allocator, events, at, _ = _played(point)
    chunks = allocator.chunks()
    return {
        **allocator.counters(),
        "cpus": allocator.machine.cpus,
        "listed": int((~chunks.released).sum()),
        "own": own_hits(events, at, chunks, allocator.rules, _chunk_pages(allocator)),
    }


def _played(point: Point) -> tuple[Allocator, npt.NDArray[np.void], Words, int]:
    """Run all events: the allocator after them, the events, first pages, and slots."""
    for name in point:
        if name not in NAMES:
            raise InputError("point", "unknown name", value=name, allowed=", ".join(NAMES))
    stream, machine, recorded = scene(point)
    allocator = Allocator(machine, find_policy(point["policy"]), auto_purge=not recorded)
    blocks = list(stream.blocks())
    at = np.concatenate([allocator.run(block) for block in blocks])
    return allocator, np.concatenate(blocks), at, stream.slots


def _chunk_pages(allocator: Allocator) -> int:
    machine = allocator.machine
    return (machine.scaled() if allocator.rules.scaled else machine).chunk_pages


def _live(events: npt.NDArray[np.void], at: Words, slots: int) -> tuple[Words, Words]:
    """First page and pages of all areas that live at the end, ascending."""
    known = np.isin(events["op"], (ALLOC, FREE, MAP_RAM, PCPU))
    first, pages = np.full(slots, -1), np.zeros(slots, np.int64)
    # of a slot that is there several times the last one counts
    first[events["slot"][known]] = at[known]
    pages[events["slot"][known]] = events["pages"][known]
    lives = np.flatnonzero(first >= 0)
    order = lives[np.argsort(first[lives], kind="stable")]
    return first[order], pages[order]


def live_in(base: Words, size: int, first: Words, pages: Words) -> Words:
    """Live pages of each range ``[base, base + size)``, by address.

    Parameters
    ----------
    base : ndarray
        First pages of ranges.
    size : int
        Pages of each range.
    first, pages : ndarray
        Of live areas, ascending by first page. An area that begins in a range and ends behind it
        counts with what is inside.
    """
    edges = np.concatenate([base, base + size])
    below = _below(edges, first, pages)
    return np.asarray(below[len(base) :] - below[: len(base)])


def _below(edges: Words, first: Words, pages: Words) -> Words:
    """Live pages below each edge."""
    sums = np.concatenate([[0], np.cumsum(pages)])
    count = np.searchsorted(first, edges)  # areas that begin below
    last = np.maximum(count - 1, 0)
    over = first[last] + pages[last] - edges if len(first) else np.zeros(len(edges), np.int64)
    return np.asarray(sums[count] - np.where(count > 0, np.maximum(over, 0), 0))


def classed(live: Words, size: int) -> list[int]:
    """How many of the chunks with so many live pages are in each of `CLASSES`."""
    edges = np.array(CLASS_EDGES)
    found = np.where(live > 0, 1 + np.searchsorted(edges * size, 100 * live, side="right"), 0)
    return [int(count) for count in np.bincount(found, minlength=len(CLASSES))]


def superseded(base: Words, size: int) -> Flags:
    """Tell of each chunk whether a later one has taken a page of it.

    Parameters
    ----------
    base : ndarray
        First pages, in the order of installation.
    size : int
        Pages of each.
    """
    gone = np.zeros(len(base), bool)
    later: list[int] = []
    for place in range(len(base) - 1, -1, -1):
        start = int(base[place])
        found = bisect_right(later, start - size)
        gone[place] = found < len(later) and later[found] < start + size
        insort(later, start)
    return gone


def _shared(first: Words, pages: Words) -> int:
    """Live areas that begin before the end of one below."""
    ends = np.maximum.accumulate(first + pages)
    return int((first[1:] < ends[:-1]).sum())


def own_hits(
    events: npt.NDArray[np.void], at: Words, chunks: Chunks, rules: Rules, size: int
) -> int | None:
    """Count the frees whose area lies in the current chunk of the CPU that frees.

    Parameters
    ----------
    events : ndarray of `vmalloc_model.events.EVENT`
        All of a stream.
    at : ndarray of int64
        First page of each allocation, -1 for one that failed.
    chunks : Chunks
        Of the end.
    rules : Rules
    size : int
        Pages of a chunk.

    Returns
    -------
    int or None
        None where it does not follow from what is known: chunks that own no areas, that are not
        asked first, that a request replaces without using, or requests that found none.
    """
    plain = rules.overlay and rules.resident and rules.first == "chunk"
    if not plain or rules.eligible == "message" or rules.refill_on != "miss" or rules.rewind:
        return None
    half = size // 2
    small = (events["pages"] <= half) & (events["order"] <= half.bit_length() - 1)
    taken, freed = np.isin(events["op"], (ALLOC, MAP_RAM, PCPU)), events["op"] == FREE
    area = taken & (events["op"] != PCPU) & (events["window"] == 0)
    served = np.flatnonzero(area & small & (at >= 0))
    if len(served) != chunks.served.sum():
        return None
    # A CPU fills its chunks one after the other, each with as many areas as it has served.
    by_cpu = np.argsort(chunks.cpu, kind="stable")
    turn = served[np.argsort(events["cpu"][served], kind="stable")]
    home = np.full(len(events), -1)
    home[turn] = np.repeat(by_cpu, chunks.served[by_cpu])
    of_area = _before(events["slot"], home, freed, taken)
    current = _before(events["cpu"], home, freed, home >= 0)
    return int(((of_area >= 0) & (of_area == current)).sum())


def _before(key: npt.NDArray[Any], value: Words, asked: Flags, told: Flags) -> Words:
    """Find, for each event that asks, the value of the last event of its key that tells.

    -1 if there is none. Events that do neither are left out.
    """
    used = np.flatnonzero(asked | told)
    order = used[np.argsort(key[used], kind="stable")]
    place = np.maximum.accumulate(np.where(told[order], np.arange(len(order)), -1))
    found = np.where(place >= 0, value[order[place]], -1)
    same = key[order[place]] == key[order]
    result = np.full(len(key), -1)
    result[order] = np.where(same, found, -1)
    return result[asked]
