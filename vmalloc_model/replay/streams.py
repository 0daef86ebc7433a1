"""Recorded runs as events: the requests alone, without what the kernel answered.

A stream says what callers asked for, when, and on which CPU; what the allocator did (pools, decay,
refills, addresses) is left to the model.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model import events as ev
from vmalloc_model.errors import FileError
from vmalloc_model.replay.missing import Missing, missing_areas
from vmalloc_model.runs import Run, find_run
from vmalloc_model.traces import ftrace
from vmalloc_model.traces.oplog import NOT_STANDARD_WINDOW, VM_MAP_RAM, read_oplog

__all__ = ["Recorded", "order_of", "record_of", "recorded_stream"]

_NO_ADDRESS: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A recorded run as events.

    Attributes
    ----------
    run : Run
        The run.
    events : ndarray of `vmalloc_model.events.EVENT`
        In the order of the recording. Every area has a slot of its own.
    line : ndarray of int64
        Line of the recording behind each event; 0 for one that was added.
    page : ndarray of int64
        First page that an allocation got; -1 for other events.
    count : ndarray of int64
        Of a free: lazy pages after it; of a purge: areas purged; -1 where it is not recorded.
    windows : tuple of (int, int)
        Windows in pages, half open; the standard one first.
    missing : Missing
        Areas without an event that vmallocinfo shows; per-CPU areas are among the events.
    """

    run: Run
    events: npt.NDArray[np.void]
    line: npt.NDArray[np.int64]
    page: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    windows: tuple[tuple[int, int], ...]
    missing: Missing

    def stream(self) -> ev.Stream:
        """Return the events as a stream."""
        events = self.events

        def blocks() -> Iterator[npt.NDArray[np.void]]:
            for first in range(0, len(events), ev.BLOCK_EVENTS):
                yield events[first : first + ev.BLOCK_EVENTS]

        size = self.run.page_size
        return ev.Stream(
            name=self.run.id,
            page_size=size,
            cpus=self.run.cpus,
            slots=int(events["slot"].max(initial=0)) + 1,
            blocks=blocks,
            events=len(events),
            windows=tuple((first * size, end * size) for first, end in self.windows),
            parameters={"run": self.run.key},
        )


def recorded_stream(run: str | Path, vmallocinfo: Sequence[str | Path] = ()) -> ev.Stream:
    """Read the requests of a recorded run as a stream of events.

    Parameters
    ----------
    run : str or Path
        As for `vmalloc_model.runs.find_run`.
    vmallocinfo : sequence of str or Path
        Copies of ``/proc/vmallocinfo`` of the same run; those of the manifest are known.

    Raises
    ------
    InputError, FileError
        If the recording cannot be read, or cannot have happened.
    """
    return record_of(find_run(run), vmallocinfo).stream()


def record_of(run: Run, vmallocinfo: Sequence[str | Path] = ()) -> Recorded:
    """Read a recorded run as events, with what the kernel answered beside them."""
    return _from_oplog(run) if run.kind == "oplog" else _from_ftrace(run, vmallocinfo or run.copies)


def order_of(align: int, page_size: int) -> int:
    """log2 of an alignment in pages; 0 up to a page."""
    return max(align // page_size, 1).bit_length() - 1


def _orders(align: npt.NDArray[Any], page_size: int) -> npt.NDArray[np.int64]:
    pages = np.maximum(align.astype(np.uint64) // np.uint64(page_size), 1)
    return np.asarray(np.log2(pages.astype(np.float64)), np.int64)


class _Areas:
    """Areas that are live in a recording: gives slots, and finds what cannot be."""

    def __init__(self, path: Path, page_size: int) -> None:
        self._path, self._size = path, page_size
        self._live: dict[int, tuple[int, int]] = {}
        self.slots = 0

    def allocate(self, page: int, pages: int, line: int) -> int:
        """Note an allocation; return its slot."""
        if page in self._live:
            raise FileError(
                self._path,
                "an address is allocated that is in use",
                line=line,
                value=f"{page * self._size:#x}",
            )
        slot = self.slots
        self._live[page] = (slot, pages)
        self.slots += 1
        return slot

    def free(self, page: int, line: int) -> int:
        """Note a free; return the slot."""
        found = self._live.pop(page, None)
        if found is None:
            raise FileError(
                self._path,
                "free of an address that was not allocated",
                line=line,
                value=f"{page * self._size:#x}",
                allowed="recordings that begin with the boot of the kernel",
            )
        return found[0]


def _check_overlaps(path: Path, table: dict[str, npt.NDArray[Any]], page_size: int) -> None:
    """Refuse areas that overlap while both are live: no allocator can have given them."""
    frees = np.flatnonzero(table["op"] == ev.FREE)
    starts: list[int] = []
    held: dict[int, tuple[int, int]] = {}
    deaths = {int(k): int(slot) for k, slot in zip(frees, table["slot"][frees], strict=True)}
    page_of: dict[int, int] = {}
    births = set(np.flatnonzero(table["op"] == ev.ALLOC).tolist())
    for k in range(len(table["op"])):
        if k in births:
            page, pages = int(table["page"][k]), int(table["pages"][k])
            i = bisect.bisect_left(starts, page)
            for near in starts[max(i - 1, 0) : i + 1]:
                if near < page + pages and page < near + held[near][0]:
                    raise FileError(
                        path,
                        f"an area overlaps the one of line {held[near][1]:,}, which is in use",
                        line=int(table["line"][k]),
                        value=f"{page * page_size:#x}",
                    )
            starts.insert(i, page)
            held[page] = (pages, int(table["line"][k]))
            page_of[int(table["slot"][k])] = page
        elif k in deaths:
            page = page_of.pop(deaths[k])
            starts.pop(bisect.bisect_left(starts, page))
            del held[page]


def _events(columns: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.void]:
    table = np.zeros(len(columns["op"]), ev.EVENT)
    for name in ev.EVENT.names or ():
        table[name] = columns[name]
    return table


def _from_ftrace(run: Run, vmallocinfo: Sequence[str | Path]) -> Recorded:
    trace = ftrace.read_ftrace(run.path)
    size = run.page_size
    rows = trace.events
    # An attempt that found nothing is followed by a purge and by another attempt.
    rows = rows[~((rows["kind"] == ftrace.ALLOC) & rows["failed"])]
    alloc, free = rows["kind"] == ftrace.ALLOC, rows["kind"] == ftrace.FREE
    n = len(rows)
    page = np.where(alloc | free, rows["start"] // np.uint64(size), 0).astype(np.int64)
    pages = (rows["size"] // np.uint64(size)).astype(np.int64)
    areas = _Areas(run.path, size)
    slot = np.zeros(n, np.int64)
    lines = rows["line"]
    for k in np.flatnonzero(alloc | free).tolist():
        if alloc[k]:
            slot[k] = areas.allocate(int(page[k]), int(pages[k]), int(lines[k]))
        else:
            slot[k] = areas.free(int(page[k]), int(lines[k]))
    windows, window = _windows(rows["vstart"], rows["vend"], alloc, run)
    guard = alloc & (rows["size"] != rows["align"])  # only blocks of vm_map_ram have none
    table: dict[str, npt.NDArray[Any]] = {
        "op": np.select([alloc, free], [ev.ALLOC, ev.FREE], ev.PURGE),
        "flags": np.where(guard, ev.GUARD, 0),
        "window": window,
        "order": np.where(alloc, _orders(rows["align"], size), 0),
        "cpu": rows["cpu"].astype(np.int64),
        "slot": slot,
        "pages": np.where(alloc, pages, 0),
        "line": lines.astype(np.int64),
        "page": np.where(alloc, page, _NO_ADDRESS),
        "count": np.where(alloc, -1, rows["count"]),
    }
    _check_overlaps(run.path, table, size)
    missing = missing_areas(vmallocinfo, table["page"], table["line"], size)
    for area in missing.per_cpu:
        table = _with_per_cpu(table, area.after_line, area.page, area.pages, areas)
    return Recorded(
        run,
        _events(table),
        table["line"],
        table["page"],
        table["count"],
        windows,
        missing,
    )


def _windows(
    vstart: npt.NDArray[Any], vend: npt.NDArray[Any], alloc: npt.NDArray[np.bool_], run: Run
) -> tuple[tuple[tuple[int, int], ...], npt.NDArray[np.int64]]:
    """Windows in pages, the standard one first, and the number of each event's."""
    size = run.page_size
    found = {run.window: 0}
    pairs = zip(vstart[alloc].tolist(), vend[alloc].tolist(), strict=True)
    numbers = [found.setdefault(pair, len(found)) for pair in pairs]
    window = np.zeros(len(alloc), np.int64)
    window[alloc] = numbers
    # an inclusive end (x86_64) does not end a page, so its last page is cut off here
    return tuple((first // size, end // size) for first, end in found), window


def _with_per_cpu(
    table: dict[str, npt.NDArray[Any]], after_line: int, page: int, pages: int, areas: _Areas
) -> dict[str, npt.NDArray[Any]]:
    """Put the event of a per-CPU area behind a line."""
    at = int(np.searchsorted(table["line"], after_line, side="right"))
    order = min(page & -page, pages & -pages).bit_length() - 1
    row = {
        "op": ev.PCPU,
        "flags": 0,
        "window": 0,
        "order": order,
        "cpu": table["cpu"][max(at - 1, 0)],
        "slot": areas.slots,
        "pages": pages,
        "line": after_line,
        "page": page,
        "count": -1,
    }
    areas.slots += 1
    return {name: np.insert(column, at, row[name]) for name, column in table.items()}


def _from_oplog(run: Run) -> Recorded:
    size = run.page_size
    log = read_oplog(run.path).with_row_index("line", offset=2)
    config = log.row(0, named=True)
    searches = log.filter(pl.col("op") == "tree_alloc").select("seq", "addr", "vstart", "vend")
    wanted = ("alloc_done", "lazy_add", "purge_begin", "pcpu_area", "shrink")
    rows = (
        log.filter(pl.col("op").is_in(wanted))
        .drop("vstart", "vend")
        .join_asof(searches, on="seq", by="addr", strategy="backward", check_sortedness=False)
    )
    windows = {run.window: 0}
    areas = _Areas(run.path, size)
    table: dict[str, list[int]] = {
        name: [] for name in (*(ev.EVENT.names or ()), "line", "page", "count")
    }
    ops = {"alloc_done": ev.ALLOC, "lazy_add": ev.FREE, "pcpu_area": ev.PCPU, "shrink": ev.SHRINK}
    for row in rows.iter_rows(named=True):
        op = ops.get(row["op"], ev.PURGE)
        line, flag = int(row["line"]), int(row["flag"] or 0)
        page, pages = int(row["addr"] or 0) // size, int(row["size"] or 0) // size
        slot = window = order = flags = 0
        if op in (ev.ALLOC, ev.PCPU):
            slot = areas.allocate(page, pages, line)
            order = order_of(int(row["align"] or 1), size)
            if op == ev.ALLOC:
                flags = 0 if flag & VM_MAP_RAM else ev.GUARD
                if flag & NOT_STANDARD_WINDOW:
                    window = windows.setdefault((row["vstart"], row["vend"]), len(windows))
        elif op == ev.FREE:
            slot = areas.free(page, line)
        values = {
            "op": op,
            "flags": flags,
            "window": window,
            "order": order,
            "cpu": row["cpu"],
            "slot": slot,
            "pages": pages if op in (ev.ALLOC, ev.PCPU) else 0,
            "line": line,
            "page": page if op in (ev.ALLOC, ev.PCPU) else _NO_ADDRESS,
            "count": -1,
        }
        for name, value in values.items():
            table[name].append(value)
    columns = {name: np.array(column, np.int64) for name, column in table.items()}
    if int(config["node"]) > run.cpus:
        raise FileError(run.path, "more nodes than CPUs", line=2, value=config["node"])
    return Recorded(
        run,
        _events(columns),
        columns["line"],
        columns["page"],
        columns["count"],
        tuple((first // size, end // size) for first, end in windows),
        Missing((), ()),
    )
