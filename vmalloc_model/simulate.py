"""Simulation: a stream of events through a policy, in memory that does not grow with the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import Machine, Span
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.rules import Rules
from vmalloc_model.errors import InputError
from vmalloc_model.events import Stream

__all__ = ["FREE_SPACE", "MEASURES", "STRANDED", "Simulation", "fitted", "simulate", "stranded"]

FREE_SPACE: Final = "rbtree"
"""Free space of a simulation that names none: what 6.12 has, for every policy."""

MEASURES: Final = {
    "live_areas": "areas in use",
    "live_pages": "pages of these",
    "peak_pages": "most live pages so far",
    "lazy_pages": "pages of areas that were freed and not purged yet",
    "pooled_areas": "areas in node pools",
    "gaps": "free ranges of the global free space",
    "largest_gap": "pages of the largest of these in the standard window",
    "high_water": "pages from the window's start to the end of what was ever taken from below",
    "touched_high": "pages from there to the highest page that was ever mapped",
    "page_tables": "page-table pages needed so far; they are never freed",
    "chunks": "chunks installed",
    "chunks_current": "of these, some CPU's current chunk",
    "chunks_released": "of these, released as a whole",
    "chunks_live": "of these, neither, with areas that belong to them",
    "chunks_lost": "of these, neither, without areas",
}
"""Name -> meaning of what is so at the end of a simulation."""

STRANDED: Final = {
    "chunk_pages": "pages of all chunks that are not released: the sum of all below",
    "room": "behind the pointers of current chunks",
    "areas": "in use; where chunks own no areas: ever handed out, to return one by one",
    "idle": "freed areas and padding of current chunks",
    "pinned": "freed areas and padding of other chunks with live areas, which hold them back",
    "tail": "behind the pointers of these; where chunks own no areas: of all but current chunks",
    "waiting": "whole chunks without live areas that a purge will release",
    "drained": "whole chunks without live areas that nothing will look at again",
    "padding": "skipped for alignment and lost, where chunks own no areas; else 0: see the others",
}
"""Name -> meaning of what `stranded` tells, in pages."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a simulation came to.

    Attributes
    ----------
    workload : str
        Name of the stream.
    parameters : dict
        What the stream was made with.
    policy : Rules
    machine : Machine
        With the windows of the stream, where it has some, and the chunk size that was used: 0 pages
        where there were no chunks.
    freespace : str
        Kind of the global free space.
    events : int
        Events of the stream, all of them done.
    counters, measures : dict of str to int
        Of the end: those of `Allocator.counters` and `Allocator.measures`.
    visits : dict of str to list of int
        Lock visits by node: ``busy``, ``pool``, ``lazy``.
    chunks : DataFrame
        Of the end: the columns of `vmalloc_model.allocator.allocator.Chunks`, and ``waiting``:
        whether a purge will release it.
    series : DataFrame
        One row for each sample: ``event`` (how many events were done), the measures, the counters.
    """

    workload: str
    parameters: dict[str, Any]
    policy: Rules
    machine: Machine
    freespace: str
    events: int
    counters: dict[str, int]
    measures: dict[str, int]
    visits: dict[str, list[int]]
    chunks: pl.DataFrame
    series: pl.DataFrame


def simulate(
    stream: Stream,
    machine: Machine,
    policy: str | Rules,
    freespace: str | None = None,
    *,
    samples: int = 0,
    progress: Callable[[int], object] | None = None,
    auto_purge: bool = True,
) -> Simulation:
    """Run a stream through a policy.

    Parameters
    ----------
    stream : Stream
        Read block by block; twice, if there are samples and its length is not known.
    machine : Machine
        The stream's page size; at least its CPUs. A stream that has windows brings its own.
    policy : str or Rules
        Name of a policy, or its rules.
    freespace : {"rbtree", "gaps"}, optional
        Kind of the global free space; `FREE_SPACE` if not given.
    samples : int
        Rows of the series, evenly over the events, the last at the end; fewer for fewer events.
    progress : callable, optional
        Called with the number of events done since its last call.
    auto_purge : bool
        As for `Allocator`.

    Raises
    ------
    InputError
        If stream and machine do not fit, something is unknown or out of range, or an event cannot
        be (its number counts from 0).
    """
    if samples < 0:
        raise InputError("$.samples", "out of range", value=samples, allowed="0 or more")
    rules = find_policy(policy) if isinstance(policy, str) else policy
    machine = fitted(machine, stream)
    allocator = Allocator(machine, rules, freespace or FREE_SPACE, auto_purge=auto_purge)
    total = (
        stream.events
        if stream.events is not None or not samples
        else sum(map(len, stream.blocks()))
    )
    marks = _marks(total or 0, samples)
    mark, done, rows = next(marks, -1), 0, list[dict[str, int]]()
    for block in stream.blocks():
        at = 0
        while at < len(block):
            stop = at + mark - done if done < mark < done + len(block) - at else len(block)
            _run(allocator, block[at:stop], done)
            if progress is not None:
                progress(stop - at)
            done += stop - at
            at = stop
            if done == mark:
                rows.append(_sample(allocator, done))
                mark = next(marks, -1)
    columns = dict.fromkeys(_sample(allocator, done), pl.Int64)
    used = machine.scaled() if rules.scaled else machine
    return Simulation(
        workload=stream.name,
        parameters=dict(stream.parameters),
        policy=rules,
        machine=replace(used, chunk_pages=used.chunk_pages if rules.overlay else 0),
        freespace=freespace or FREE_SPACE,
        events=done,
        counters=allocator.counters(),
        measures=allocator.measures(),
        visits={name: row.tolist() for name, row in allocator.visits().items()},
        chunks=_chunks(allocator),
        series=pl.DataFrame(rows, schema=columns) if rows else _no_samples(tuple(columns)),
    )


def stranded(simulation: Simulation) -> dict[str, int]:
    """Tell where the pages of chunks are at the end; the names and meanings of `STRANDED`.

    ``chunk_pages`` is the sum of the others. In all policies whose areas belong to chunks the pages
    are those of chunks that are not released. They come back with the whole chunk: ``idle``,
    ``pinned`` and ``tail`` when its areas are freed, ``waiting`` at the next purge, and ``drained``
    never. ``padding`` is 0: the skipped pages of these chunks cannot be told from freed ones.

    In ``rfc10`` no chunk is released; areas return one by one, and another chunk may take their
    pages: ``chunk_pages`` counts pages as often as a chunk got them. ``tail`` and ``padding`` are
    lost for good: the counters ``tail_pages`` and ``padding_pages``.

    Notes
    -----
    An area that a pool handed out no longer counts for its chunk: its pages are among ``idle``,
    ``pinned`` or ``drained``, though somebody uses them. Chunks that were released while they were
    current count as released.
    """
    size = simulation.machine.chunk_pages
    # numpy: filters of polars hold up the other threads of a sweep
    columns = {one.name: one.to_numpy() for one in simulation.chunks}
    used, live, current, waiting = (
        columns[name][~columns["released"]] for name in ("used", "live", "current", "waiting")
    )
    pinned, empty = ~current & (live > 0), ~current & (live == 0)
    told = dict.fromkeys(STRANDED, 0)
    told["chunk_pages"] = size * len(used)
    told["room"] = int((size - used[current]).sum())
    if not simulation.policy.resident:
        told["padding"] = simulation.counters["padding_pages"]
        told["areas"] = int(used.sum()) - told["padding"]
        told["tail"] = int((size - used[~current]).sum())
        return told
    told["areas"] = int(live.sum())
    told["idle"] = int((used - live)[current].sum())
    told["pinned"] = int((used - live)[pinned].sum())
    told["tail"] = int((size - used[pinned]).sum())
    told["waiting"] = size * int(waiting[empty].sum())
    told["drained"] = size * int(empty.sum()) - told["waiting"]
    return told


def fitted(machine: Machine, stream: Stream) -> Machine:
    """Return the machine with the windows of the stream, where it has some.

    Raises
    ------
    InputError
        If stream and machine do not fit.
    """
    if stream.page_size != machine.page_size:
        problem, allowed = "the stream has pages of another size", f"{machine.page_size:,}"
        raise InputError("$.page_size", problem, value=stream.page_size, allowed=allowed)
    if stream.cpus > machine.cpus:
        problem = "the stream has more CPUs than the machine"
        raise InputError("$.cpus", problem, value=stream.cpus, allowed=f"1..{machine.cpus:,}")
    if stream.windows is None:
        return machine
    page, (first, end) = machine.page_size, machine.space
    windows: tuple[Span, ...] = tuple(
        (-(-low // page), high // page) for low, high in stream.windows
    )
    for place, (low, high) in enumerate(windows):
        if not first <= low < high <= end:
            value, allowed = stream.windows[place], f"from {first * page:,} to {end * page:,}"
            where, problem = f"$.windows[{place}]", "no window of the machine's space"
            raise InputError(where, problem, value=value, allowed=allowed)
    return replace(machine, windows=windows)


def _marks(total: int, samples: int) -> Iterator[int]:
    """Yield the numbers of events after which there is a sample, ascending."""
    samples = min(samples, total)
    return (-(-total * number // samples) for number in range(1, samples + 1))


def _run(allocator: Allocator, events: npt.NDArray[np.void], before: int) -> None:
    try:
        allocator.run(events)
    except InputError as error:
        number = error.where.removeprefix("event ").replace(",", "")
        if not number.isdecimal():
            raise
        where = f"event {before + int(number):,}"  # of the stream, not of the block
        raise InputError(where, error.problem, value=error.value, allowed=error.allowed) from None


def _sample(allocator: Allocator, done: int) -> dict[str, int]:
    return {"event": done, **allocator.measures(), **allocator.counters()}


@cache
def _no_samples(columns: tuple[str, ...]) -> pl.DataFrame:
    """Make a series without rows, once: its many columns take as long as a thousand events."""
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))


def _chunks(allocator: Allocator) -> pl.DataFrame:
    """Table all chunks; a chunk waits while areas of it are lazy, if the policy purges it then."""
    chunks = allocator.chunks()
    names = ("base", "used", "live", "cpu", "served", "released", "current")
    waiting = np.zeros(len(chunks.base), bool)
    if allocator.rules.release == "purged":
        lazy = allocator.lazy()
        inside = np.searchsorted(lazy, chunks.base + chunks.used) - np.searchsorted(
            lazy, chunks.base
        )
        waiting = (inside > 0) & (chunks.live == 0) & ~chunks.released & ~chunks.current
    return pl.DataFrame({**{name: getattr(chunks, name) for name in names}, "waiting": waiting})
