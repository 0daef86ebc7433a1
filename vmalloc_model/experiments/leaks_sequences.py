"""Sequences on one CPU that use up chunks as fast as they can, run until a range is empty.

They follow Roman Pen's of 2015, made for the blocks of vm_map_ram: a period that is repeated and
uses up vmalloc's range, sizes at random from a seed, and sizes that grow. Sources: his mail
1426773881-5757-1-git-send-email-r.peniaev@gmail.com; the overlay's conditions as in 10/12 to 12/12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import LARGEST_POOLED_PAGES, Machine, machine_of
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, EVENT, FREE, GUARD
from vmalloc_model.platforms import find_platform
from vmalloc_model.sweep import Point, Result

__all__ = ["AFTER", "KEEPING", "SEQUENCES", "exhaust"]

SEQUENCES: Final = {
    "aligned": "one small area aligned to half a chunk",
    "plain": "half a chunk, then a small area",
    "random": "sizes drawn from one page to half a chunk",
    "growing": "sizes that double from 2 pages to half a chunk, each until a chunk lacks one of it",
    "keep": "half a chunk, then one page that stays",
}
"""Sequence -> what is allocated. Every area is freed at once, but for the page that stays.
"Small" is 257 pages with the guard page: one more than node pools take."""

KEEPING: Final = ("keep",)
"""Sequences of which something stays allocated."""

AFTER: Final = 1_000
"""Allocations after the first refill that fails, in which a request may fail too."""

Rows = npt.NDArray[np.void]
_SMALL: Final = LARGEST_POOLED_PAGES + 1
_GUARD: Final = 1
_ONE: Final = 1 + _GUARD
_TEMPORARY: Final = 0
_SHIFT: Final = 1
_KEPT: Final = 2
"""Slots: of areas that are freed at once, of the area that moves the chunks, of those that stay."""
_BATCH: Final = 1 << 11
"""Pairs in a block."""


def exhaust(point: Point) -> Result:
    """Run a sequence until a refill fails, or a request does, or it is long enough.

    Parameters
    ----------
    point : mapping
        ``sequence`` (of `SEQUENCES`), ``policy``, ``platform``, ``cpus``, ``chunk_size`` (bytes),
        ``seed`` (of ``random``) and ``most`` (allocations after which it ends).

    Returns
    -------
    dict
        ``refill_failed`` and ``request_failed``: the allocations done before the first of its kind
        failed, or None; a request is waited for `AFTER` allocations long after the refill. Of the
        first such moment, or the end: ``allocations``, ``refills``, ``released``, ``lost`` (chunks
        that nothing will look at again), ``live_pages``, ``largest_gap``, ``high_water`` (pages),
        ``page_tables``; and ``page_size`` (bytes), ``chunk_pages``.

    Notes
    -----
    ``aligned`` first allocates half a chunk and a page, which no chunk takes, and frees it when the
    first chunk is there. So bases are one page behind a multiple of half a chunk, the first aligned
    place of a chunk lies a page before its middle, and no chunk has a second one.
    """
    platform = find_platform(point["platform"])
    machine = machine_of(platform, point["cpus"], chunk_size=point["chunk_size"])
    if machine.chunk_pages < 2 * _SMALL:
        least = 2 * _SMALL * machine.page_size
        problem, value = "too small for the sequences", point["chunk_size"]
        raise InputError("$.chunk_size", problem, value=value, allowed=f"{least:,} bytes or more")
    if point["sequence"] not in _MAKERS:
        allowed = ", ".join(SEQUENCES)
        raise InputError("$.sequence", "unknown", value=point["sequence"], allowed=allowed)
    blocks = partial(_MAKERS[point["sequence"]], machine.chunk_pages, point["seed"])
    allocator, rows = _until_failure(machine, point["policy"], blocks, point["most"])
    moment = _state(allocator)
    failed: dict[str, int | None] = {"refill_failed": None, "request_failed": None}
    if allocator.counters()["refill_failures"]:
        failed["refill_failed"] = moment["allocations"] - 1
    if allocator.counters()["failures"]:
        failed["request_failed"] = moment["allocations"] - 1
    elif failed["refill_failed"] is not None:
        asked = rows["op"] == ALLOC
        places = np.flatnonzero(asked & (allocator.run(rows) < 0))
        if len(places):
            before = int(asked[: places[0]].sum())
            failed["request_failed"] = moment["allocations"] + before
    return {
        "page_size": machine.page_size,
        "chunk_pages": machine.chunk_pages,
        **failed,
        **moment,
    }


def _until_failure(
    machine: Machine, policy: str, blocks: Callable[[], Iterator[Rows]], most: int
) -> tuple[Allocator, Rows]:
    """Run events to the end of the first that fails a refill or a request, or for so many requests.

    A block in which something fails is found with one allocator; another one does the same up to
    that block and then one event after the other. Returns that one, and the events of the next
    `AFTER` allocations.
    """
    allocator, before = Allocator(machine, policy), 0
    for rows in blocks():
        allocator.run(rows)
        if _failures(allocator):
            break
        before += 1
        if allocator.counters()["requests"] >= most:
            return allocator, rows[:0]
    allocator, source = Allocator(machine, policy), blocks()
    for rows in islice(source, before):
        allocator.run(rows)
    rows = next(source)
    place = 0
    while not _failures(allocator):
        allocator.run(rows[place : place + 1])
        place += 1
    rest = [rows[place:]]
    while sum(int((part["op"] == ALLOC).sum()) for part in rest) < AFTER:
        rest.append(next(source))
    following = np.concatenate(rest)
    last = np.flatnonzero(following["op"] == ALLOC)[AFTER - 1]
    return allocator, following[: last + 1]


def _failures(allocator: Allocator) -> int:
    counters = allocator.counters()
    return counters["refill_failures"] + counters["failures"]


def _state(allocator: Allocator) -> Result:
    counters, measures = allocator.counters(), allocator.measures()
    return {
        "allocations": counters["requests"],
        "refills": counters["refills"],
        "released": counters["chunks_released"],
        "lost": measures["chunks_lost"],
        **{
            name: measures[name]
            for name in ("live_pages", "largest_gap", "high_water", "page_tables")
        },
    }


def _pairs(pages: npt.NDArray[np.int64], order: int = 0) -> Rows:
    """Allocate areas of so many pages, each freed at once."""
    rows = np.zeros(2 * len(pages), EVENT)
    rows["slot"] = _TEMPORARY
    rows["op"][0::2], rows["op"][1::2] = ALLOC, FREE
    rows["pages"][0::2], rows["order"][0::2], rows["flags"][0::2] = pages, order, GUARD
    return rows


def _one(op: int, slot: int, pages: int = 0, order: int = 0) -> Rows:
    return np.array([(op, GUARD if op == ALLOC else 0, 0, order, 0, slot, pages)], EVENT)


def _aligned(chunk: int, seed: int) -> Iterator[Rows]:
    half = chunk // 2
    order = half.bit_length() - 1
    yield _one(ALLOC, _SHIFT, half + 1)
    yield _one(ALLOC, _TEMPORARY, _SMALL, order)
    yield _one(FREE, _TEMPORARY)
    yield _one(FREE, _SHIFT)
    while True:
        yield _pairs(np.full(_BATCH, _SMALL), order)


def _plain(chunk: int, seed: int) -> Iterator[Rows]:
    while True:
        yield _pairs(np.tile([chunk // 2, _SMALL], _BATCH // 2))


def _random(chunk: int, seed: int) -> Iterator[Rows]:
    random = np.random.default_rng(seed)
    while True:
        yield _pairs(random.integers(_ONE, chunk // 2, _BATCH, endpoint=True))


def _growing(chunk: int, seed: int) -> Iterator[Rows]:
    sizes = [_ONE << k for k in range((chunk // 2 // _ONE).bit_length())]
    while True:
        for size in sizes:
            yield _pairs(np.full(chunk // size - 1, size))  # one hole is left in the chunk


def _keep(chunk: int, seed: int) -> Iterator[Rows]:
    slot = _KEPT
    while True:
        rows = np.tile(np.concatenate([_pairs(np.array([chunk // 2])), _one(ALLOC, 0, _ONE)]), 256)
        rows["slot"][2::3] = np.arange(slot, slot + 256)
        yield rows
        slot += 256


_MAKERS: Final[dict[str, Callable[[int, int], Iterator[Rows]]]] = {
    "aligned": _aligned,
    "plain": _plain,
    "random": _random,
    "growing": _growing,
    "keep": _keep,
}
