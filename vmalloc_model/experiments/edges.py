"""The edges: small ranges, CPUs that stop, a full range, CPUs that share nodes, what is visible.

Each function is one experiment: a point in, a flat result out, for `vmalloc_model.sweep.sweep`.
A point has ``platform``, ``policy``, ``cpus``, ``chunk_size`` (bytes) and what its function names.
Sizes of results are pages unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import Machine, machine_of
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.datafiles import data_path
from vmalloc_model.events import ALLOC, GUARD, PCPU, PURGE, SHRINK, Stream
from vmalloc_model.experiments.edges_streams import (
    Events,
    allocs,
    chunk_pages,
    emptied,
    frees,
    growing,
    rows,
    spread,
)
from vmalloc_model.platforms import find_platform
from vmalloc_model.simulate import Simulation, simulate, stranded
from vmalloc_model.sweep import Point, Result
from vmalloc_model.units import KIB, pages_for
from vmalloc_model.workloads import make

__all__ = [
    "STAGES",
    "filled",
    "first_failure",
    "full",
    "inputs",
    "shared",
    "small",
    "start",
    "stopped",
]

STAGES: Final = {
    "freed": "their areas are freed",
    "worked": "the other CPUs allocate more",
    "purge": "a purge",
    "shrink": "the shrinker",
    "overflow": "an allocation fails, with its purge",
}
"""What happens one after the other in `stopped`: name -> meaning."""

_MAPPING: Final = 64 * KIB
"""Bytes of a device mapping, which is aligned to its size."""
_NOWHERE: Final = 50
"""log2 of an alignment in pages that no address of a window has."""
_UNIT: Final = 32 * KIB
"""Bytes for each CPU of one more chunk of per-CPU memory."""


def inputs(_point: Point) -> Iterable[Path]:
    """Yield the data files that the experiments read."""
    yield data_path("platforms.csv")


def _machine(point: Point) -> Machine:
    return _built(point["platform"], point["cpus"], point["chunk_size"])


@lru_cache(maxsize=64)
def _built(platform: str, cpus: int, chunk_size: int) -> Machine:
    """Build a machine once for all its points: the table of platforms is checked at each look."""
    return machine_of(find_platform(platform), cpus, chunk_size=chunk_size)


def _window(machine: Machine) -> int:
    first, end = machine.windows[0]
    return end - first


def _per_cpu(machine: Machine, slot: int) -> Events:
    """Place one more chunk of per-CPU memory."""
    pages = int(pages_for(_UNIT * machine.cpus, machine.page_size))
    return rows(PCPU, slot=slot, pages=pages)


def _gaps(allocator: Allocator) -> list[int]:
    """Pages of the free ranges of the standard window, ascending by address."""
    low, high = allocator.machine.windows[0]
    spans = [(max(at, low), min(at + pages, high)) for at, pages in allocator.state()["gaps"]]
    return [end - at for at, end in spans if at < end]


def _largest(allocator: Allocator, chunk: int) -> int:
    """Pages of the largest area that can be had now, guard page included.

    From the global free space, or behind the pointer of some CPU's chunk, half a chunk at most.
    Where any null result starts a refill, a larger request takes a chunk out of a gap first.
    """
    chunks, gaps = allocator.chunks(), _gaps(allocator)
    if chunk and allocator.rules.refill_on == "null":
        place = next((k for k, pages in enumerate(gaps) if pages >= chunk), None)
        if place is not None:
            gaps[place] -= chunk
    rooms = chunk - chunks.used[chunks.current]
    return max(*gaps, min(int(rooms.max(initial=0)), chunk // 2), 0)


# --- small ranges --------------------------------------------------------------------------------


def start(point: Point) -> Result:
    """Let every CPU allocate one page, once, and see what is left.

    Returns
    -------
    dict
        ``page_size`` (bytes), ``window``, ``chunk``, ``chunks`` (installed), ``largest`` (area that
        can still be had), ``per_cpu`` (1 if one more chunk of per-CPU memory fits, 32 KiB for each
        CPU).
    """
    machine = _machine(point)
    chunk, cpus = chunk_pages(machine, point["policy"]), np.arange(machine.cpus)
    allocator = Allocator(machine, point["policy"])
    allocator.run(allocs(cpus, cpus, 2))
    told = {"chunks": allocator.measures()["chunks"], "largest": _largest(allocator, chunk)}
    placed = allocator.run(_per_cpu(machine, slot=machine.cpus))
    return {
        "page_size": machine.page_size,
        "window": _window(machine),
        "chunk": chunk,
        **told,
        "per_cpu": int(placed[0] >= 0),
    }


def small(point: Point) -> Result:
    """Churn few small areas in a range; then free everything, purge, and see what is left.

    Parameters
    ----------
    point : mapping
        Also ``events``, ``seed``; ``live`` (areas, of 1 to 64 pages); ``mappings``: so many
        mappings of devices, of 64 KiB, are made on the way and stay; ``placed``: 1 if a chunk of
        per-CPU memory is at the top before.

    Returns
    -------
    dict
        ``page_size`` (bytes), ``window``, ``chunk``; the counters before the last frees;
        ``peak_pages``; ``searches`` of the global free space; and at the end: ``largest``,
        ``mapped`` (pages of mappings), ``held`` (pages of chunks that are not released, where they
        own their areas).
    """
    machine = _machine(point)
    setup = (machine.page_size, machine.cpus, point["events"], point["seed"], point["live"])
    whole = _churn(*setup)
    pages = _MAPPING // machine.page_size
    first = int(whole["slot"].max()) + 1
    slots = first + 1 + np.arange(point["mappings"])
    mappings = rows(
        ALLOC,
        len(slots),
        slot=slots,
        cpu=slots % machine.cpus,
        pages=pages + 1,
        order=pages.bit_length() - 1,
        flags=GUARD,
    )
    allocator, chunk = Allocator(machine, point["policy"]), chunk_pages(machine, point["policy"])
    if point["placed"]:
        allocator.run(_per_cpu(machine, slot=first))
    allocator.run(spread(whole, mappings))
    counters, peak = allocator.counters(), allocator.measures()["peak_pages"]
    allocator.run(emptied(whole))
    chunks = allocator.chunks()
    kept = int((~chunks.released).sum()) if find_policy(point["policy"]).resident else 0
    tries = ("global_hits", "global_failures", "refills", "refill_failures")
    return {
        "page_size": machine.page_size,
        "window": _window(machine),
        "chunk": chunk,
        **counters,
        "peak_pages": peak,
        "searches": sum(counters[name] for name in tries),
        "largest": _largest(allocator, chunk),
        "mapped": (pages + 1) * point["mappings"],
        "held": kept * chunk,
    }


@lru_cache(maxsize=8)
def _churn(page_size: int, cpus: int, events: int, seed: int, live: int) -> Events:
    """Make the stream once for all policies."""
    setup = {"page_size": page_size, "cpus": cpus, "events": events, "seed": seed}
    return make("churn", **setup, live=live, max_pages=64).all()


# --- CPUs that stop ------------------------------------------------------------------------------


def stopped(point: Point) -> Result:
    """Let all CPUs work, half of them free all they have and stop; then try to get it back.

    Parameters
    ----------
    point : mapping
        Also ``areas``: allocations of each CPU, of 3 pages and a guard page.

    Returns
    -------
    dict
        ``page_size`` (bytes), ``chunk``, ``stopped`` (CPUs), ``current`` (those with a current
        chunk at the end), and for each of `STAGES` ``NAME``: pages that are kept although nobody
        uses them, what the CPUs that go on have behind their pointers not counted.
    """
    machine = _machine(point)
    allocator, areas = Allocator(machine, point["policy"]), point["areas"]
    chunk, first = chunk_pages(machine, point["policy"]), machine.cpus // 2
    cpus = np.repeat(np.arange(machine.cpus), areas)
    slots, stay = np.arange(len(cpus)), cpus < first
    steps: dict[str, Events] = {
        "freed": np.concatenate([allocs(slots, cpus, 4), frees(slots[~stay], cpus[~stay])]),
        "worked": allocs(slots[stay] + len(slots), cpus[stay], 4),
        "purge": rows(PURGE),
        "shrink": rows(SHRINK),
        "overflow": rows(ALLOC, slot=2 * len(slots), pages=1, order=_NOWHERE),
    }
    told = {}
    for stage in STAGES:
        allocator.run(steps[stage])
        told[stage] = _kept(allocator, chunk, first)
    chunks = allocator.chunks()
    return {
        "page_size": machine.page_size,
        "chunk": chunk,
        "stopped": machine.cpus - first,
        "current": int((chunks.current & (chunks.cpu >= first)).sum()),
        **told,
    }


def _kept(allocator: Allocator, chunk: int, first: int) -> int:
    """Pages neither live nor free, without the unused part of chunks of CPUs below `first`."""
    chunks = allocator.chunks()
    theirs = (chunks.cpu < first) & ~chunks.released
    used = chunks.live if allocator.rules.resident else chunks.used
    others = chunk * int(theirs.sum()) - int(used[theirs].sum())
    kept = _window(allocator.machine) - sum(_gaps(allocator)) - others
    return kept - allocator.measures()["live_pages"]


# --- a full range --------------------------------------------------------------------------------


def first_failure(machine: Machine, policy: str, events: Events) -> int | None:
    """Place of the first allocation in a stream that fails."""
    allocator, block = Allocator(machine, policy), 1 << 12
    for at in range(0, len(events), block):
        part = events[at : at + block]
        failed = (allocator.run(part) < 0) & (part["op"] == ALLOC)
        if failed.any():
            return at + int(np.argmax(failed))
    return None


def full(point: Point) -> Result:
    """Fill a range with areas of all sizes, freeing one of three, until an allocation fails.

    Parameters
    ----------
    point : mapping
        Also ``seed``.

    Returns
    -------
    dict
        ``page_size`` (bytes), ``window``, ``request`` (the one that failed), ``allocations``
        (before it); the window's pages at that moment: ``live``, ``free``, ``room``, ``held``,
        ``tail``, ``padding``, ``drained``, as in the chapter *Growth*; ``largest`` gap;
        ``searches``: of the global free space, by the request that failed; ``purges``: overflow
        purges so far.
    """
    machine = _machine(point)
    events = growing(_window(machine), machine.cpus, point["seed"])
    at = first_failure(machine, point["policy"], events)
    assert at is not None, "more than the range is live at the end"
    before, after = (_played(machine, point["policy"], events[:end]) for end in (at, at + 1))
    told, counters = stranded(after), after.counters
    parts = {name: told[name] for name in ("room", "tail", "padding", "drained")}
    parts |= {"held": told["idle"] + told["pinned"], "live": after.measures["live_pages"]}
    searches = ("global_failures", "refill_failures")
    return {
        "page_size": machine.page_size,
        "window": _window(machine),
        "request": int(events["pages"][at]),
        "allocations": counters["requests"] - 1,
        **parts,
        "free": _window(machine) - sum(parts.values()),
        "largest": after.measures["largest_gap"],
        "searches": sum(counters[name] - before.counters[name] for name in searches),
        "purges": counters["overflow_purges"],
    }


def _played(machine: Machine, policy: str, events: Events) -> Simulation:
    slots = int(events["slot"].max()) + 1
    stream = Stream("growing", machine.page_size, machine.cpus, slots, lambda: iter([events]))
    return simulate(stream, machine, policy)


# --- CPUs that share a node ----------------------------------------------------------------------


def shared(point: Point) -> Result:
    """Let all CPUs that are used do the same, and see which node's pools they visit.

    Parameters
    ----------
    point : mapping
        ``cpus`` are those in use; also ``stride``, from one id to the next, ``possible`` (CPUs,
        which give the nodes), ``rounds``: in each, every CPU allocates 3 pages and a guard page
        and frees them, then there is a purge; ``apart``: whether each CPU first allocates one area
        of a size of its own, drawn with ``seed``, so that pointers into chunks do not keep step.

    Returns
    -------
    dict
        ``nodes``, ``requests``, ``chunks``; ``pool_visits`` and ``pool_busiest`` (of these, at one
        node), ``lazy_visits`` and ``lazy_busiest``, ``global_visits``, ``chunk_visits``.
    """
    ids = point["stride"] * np.arange(point["cpus"])
    sizes = {"chunk_size": point["chunk_size"]}
    platform = find_platform(point["platform"])
    nodes = machine_of(platform, point["possible"], **sizes).nodes
    machine = machine_of(platform, int(ids[-1]) + 1, **sizes, nodes=nodes)
    allocator = Allocator(machine, point["policy"])
    slots = np.arange(len(ids))
    if point["apart"]:
        most = point["chunk_size"] // platform.page_size // 2
        own_sizes = np.random.default_rng(point["seed"]).integers(1, most, size=len(ids))
        allocator.run(allocs(slots + len(ids), ids, own_sizes))
    one = np.concatenate([allocs(slots, ids, 4), frees(slots, ids), rows(PURGE)])
    for _ in range(point["rounds"]):
        allocator.run(one)
    visits, counters = allocator.visits(), allocator.counters()
    return {
        "nodes": nodes,
        "requests": counters["requests"],
        "chunks": counters["refills"],
        **{f"{name}_visits": int(visits[name].sum()) for name in ("pool", "lazy")},
        **{f"{name}_busiest": int(visits[name].max()) for name in ("pool", "lazy")},
        "global_visits": counters["lock_global"],
        "chunk_visits": counters["lock_chunk"],
    }


# --- pages of other sizes ------------------------------------------------------------------------


def filled(point: Point) -> Result:
    """Count how many areas one chunk serves.

    Parameters
    ----------
    point : mapping
        Also ``pages`` of each area and ``order`` of its alignment; ``cpus`` is 1.

    Returns
    -------
    dict
        ``areas`` of the first chunk, 0 if such requests are not eligible.
    """
    machine = _machine(point)
    slots = np.arange(machine.chunk_pages // point["pages"] + 1)
    events = allocs(slots, 0, point["pages"])
    events["order"] = point["order"]
    allocator = Allocator(machine, point["policy"])
    allocator.run(events)
    return {"areas": int(allocator.chunks().served[:1].sum())}
