"""What the addresses of a stream tell: areas out of sight, the next address, spans of flushes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.allocator import Allocator, Chunks
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.events import ALLOC, FREE
from vmalloc_model.experiments.edges_streams import Events, chunk_pages
from vmalloc_model.platforms import find_platform
from vmalloc_model.sweep import Point, Result
from vmalloc_model.workloads import make

__all__ = ["addresses", "births", "flushes", "following", "resident"]

Words = npt.NDArray[np.int64]

_NONE: Final = -1


def addresses(point: Point) -> Result:
    """Run a workload, and tell what its addresses show.

    Parameters
    ----------
    point : mapping
        ``platform``, ``policy``, ``cpus``, ``chunk_size`` (bytes), ``stream`` (a workload of
        areas in the standard window), ``events``, ``seed``.

    Returns
    -------
    dict
        ``page_size`` (bytes), ``chunk`` (pages; 0 without chunks), ``requests``; at the end:
        ``live`` areas, ``hidden`` (of these: areas of chunks, which are in no busy tree);
        ``following`` (allocations that lie directly behind the one before on the same CPU) of
        ``pairs``; ``purges``, ``purged`` (areas), ``most`` (areas of one purge), ``pages`` (of a
        purge, mean), ``span`` and ``widest`` (pages from the lowest to the highest address of a
        flush, median and most).
    """
    platform = find_platform(point["platform"])
    machine = machine_of(platform, point["cpus"], chunk_size=point["chunk_size"])
    setup = {name: point[name] for name in ("cpus", "events", "seed")}
    stream = make(point["stream"], page_size=machine.page_size, **setup)
    allocator = Allocator(machine, point["policy"])
    blocks = list(stream.blocks())
    places = np.concatenate([allocator.run(block) for block in blocks])
    events = np.concatenate(blocks)
    born = births(events)
    freed = events["op"] == FREE
    ends = np.isin(np.arange(len(events)), born[freed], invert=True) & (places >= 0)
    chunk = chunk_pages(machine, point["policy"])
    hidden = 0
    if allocator.rules.resident:
        hidden = int(resident(allocator.chunks(), places[ends], chunk).sum())
    behind, pairs = following(events, places)
    told = flushes(
        places[born[freed]], events["pages"][born[freed]].astype(np.int64), machine.lazy_max_pages
    )
    return {
        "page_size": machine.page_size,
        "chunk": chunk,
        "requests": allocator.counters()["requests"],
        "live": int(ends.sum()),
        "hidden": hidden,
        "following": behind,
        "pairs": pairs,
        **told,
    }


def births(events: Events) -> Words:
    """Place of the allocation that each free gives back; -1 for other events.

    Returns
    -------
    ndarray of int64, shape (events,)
    """
    order = np.argsort(events["slot"], kind="stable")
    before = np.full(len(events), _NONE)
    before[order[1:]] = order[:-1]
    return np.where(events["op"] == FREE, before, _NONE)


def resident(chunks: Chunks, starts: Words, size: int) -> npt.NDArray[np.bool_]:
    """Tell which areas begin in a chunk that is not released; sizes and addresses in pages."""
    bases = np.sort(chunks.base[~chunks.released])
    at = np.searchsorted(bases, starts, side="right") - 1
    inside = at >= 0
    inside[inside] = starts[inside] < bases[at[inside]] + size
    return inside


def following(events: Events, places: Words) -> tuple[int, int]:
    """Count allocations that begin where the one before on their CPU ended, after alignment.

    Parameters
    ----------
    events : ndarray of `EVENT`
    places : ndarray of int64
        First page of each allocation, -1 for other events and for failures.

    Returns
    -------
    following, pairs : int
        Pairs are successive allocations of one CPU.
    """
    known = (events["op"] == ALLOC) & (places >= 0)
    order = np.argsort(events["cpu"][known], kind="stable")
    one, start = events[known][order], places[known][order]
    end = start + one["pages"]
    align = np.left_shift(1, one["order"].astype(np.int64))
    expected = -(-end[:-1] // align[1:]) * align[1:]
    same = one["cpu"][1:] == one["cpu"][:-1]
    return int((same & (start[1:] == expected)).sum()), int(same.sum())


def flushes(starts: Words, pages: Words, limit: int) -> dict[str, float]:
    """Cut freed areas into purges: each begins when more pages than the limit are lazy.

    Parameters
    ----------
    starts, pages : ndarray of int64
        Of the areas in the order of their frees; a start of -1 is no area.
    limit : int
        ``lazy_max_pages()``.

    Returns
    -------
    dict
        ``purges``, ``purged``, ``most``, ``pages``, ``span``, ``widest``, as in `addresses`; zeros
        where there was none.
    """
    real = starts >= 0
    starts, pages = starts[real], pages[real]
    sums = np.cumsum(pages)
    cuts, done = [0], 0
    while (at := int(np.searchsorted(sums, done + limit, side="right"))) < len(sums):
        cuts.append(at + 1)
        done = int(sums[at])
    if len(cuts) == 1:
        return dict.fromkeys(("purges", "purged", "most", "pages", "span", "widest"), 0)
    first = np.array(cuts[:-1])
    ends = starts + pages
    low = np.minimum.reduceat(starts[: cuts[-1]], first)
    high = np.maximum.reduceat(ends[: cuts[-1]], first)
    return {
        "purges": len(first),
        "purged": cuts[-1],
        "most": int(np.diff(cuts).max()),
        "pages": done / len(first),
        "span": float(np.median(high - low)),
        "widest": int((high - low).max()),
    }
