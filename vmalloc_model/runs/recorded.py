"""What recorded runs hold: the stream of requests, and what the overlay did."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.errors import FileError, InputError
from vmalloc_model.runs.described import Window, located
from vmalloc_model.traces.ftrace import ALLOC, read_ftrace
from vmalloc_model.traces.oplog import (
    NOT_STANDARD_WINDOW,
    POOL,
    SERVED_BY,
    VM_MAP_RAM,
    read_oplog,
)
from vmalloc_model.traces.overlay import OverlaySummary, summarise_overlay

__all__ = ["REQUESTS", "measured_overlay", "read_requests"]

REQUESTS: Final = {
    "line": pl.Int64,
    "cpu": pl.Int64,
    "addr": pl.UInt64,
    "size": pl.Int64,
    "align": pl.Int64,
    "vstart": pl.UInt64,
    "vend": pl.UInt64,
    "in_window": pl.Boolean,
    "phase": pl.String,
    "reached_overlay": pl.Boolean,
    "vm_map_ram": pl.Boolean,
    "caller": pl.String,
}
"""Columns of `read_requests`; see there."""


def read_requests(run: str | Path, *, window: Window | None = None) -> pl.DataFrame:
    """Read the requests that an allocator saw, in the order of the recording.

    Parameters
    ----------
    run : str or Path
        As for `vmalloc_model.runs.find_run`.
    window : Window, optional
        The standard window; by default that of the run.

    Returns
    -------
    DataFrame
        One row per allocation that succeeded, columns as in `REQUESTS`:

        ``line`` (1-based line of the recording), ``cpu``, ``addr`` (address that was returned),
        ``size`` (bytes with the guard page, if the request has one), ``align`` (bytes),
        ``vstart``, ``vend`` (as recorded), ``in_window`` (both equal the standard window's),
        ``phase`` (name of the last mark, ``""`` before the first and in operation logs),
        ``reached_overlay`` (no node pool served it, so the overlay of patch 10/12, which comes
        after the pools, was asked or would have been; null in ftrace text, which does not tell
        pool hits), ``vm_map_ram`` (a block or a large area of it; null in ftrace text), ``caller``
        (kernel symbol; null in ftrace text and where the log has none).

    Raises
    ------
    InputError, FileError
        As `vmalloc_model.runs.find_run`, and if the recording cannot be read.

    Notes
    -----
    A request that finds nothing prints a failed event, purges and tries again; it is counted once,
    by the event of the attempt that succeeded. One that fails for good is not counted. Areas that
    the per-CPU allocator carves from the top of the range print no event and are not requests of
    this kind; the operation log has them as ``pcpu_area``.
    """
    kind, path, own = located(run)
    read = _read_oplog if kind == "oplog" else _read_ftrace
    requests = read(path, window or own)
    if requests.is_empty():
        raise FileError(path, "no allocation that succeeded")
    return requests


def measured_overlay(run: str | Path) -> OverlaySummary:
    """Sum up what the overlay did in a recorded run.

    Parameters
    ----------
    run : str or Path
        As for `vmalloc_model.runs.find_run`; an operation log of a kernel with the overlay
        switched on.

    Raises
    ------
    InputError
        If the run is not an operation log, or the overlay was off.
    FileError
        If the log cannot be read.
    """
    kind, path, _ = located(run)
    summary = summarise_overlay(read_oplog(path)) if kind == "oplog" else None
    if summary is None:
        raise InputError(
            "run",
            "no overlay in this run",
            value=str(run),
            allowed="an operation log of a kernel with the overlay switched on, as oplog-rfc10",
        )
    return summary


def _read_ftrace(path: Path, window: Window | None) -> pl.DataFrame:
    trace = read_ftrace(path)
    events = trace.events[(trace.events["kind"] == ALLOC) & ~trace.events["failed"]]
    window = window or _commonest(events["vstart"], events["vend"])
    columns = {name: events[name] for name in ("line", "cpu", "size", "align", "vstart", "vend")}
    frame = pl.DataFrame(columns).with_columns(
        addr=pl.Series(events["start"]),
        phase=pl.Series(trace.phases, dtype=pl.String).gather(events["phase"]),
    )
    return _complete(frame, window)


def _read_oplog(path: Path, window: Window | None) -> pl.DataFrame:
    log = read_oplog(path).with_row_index("line", offset=2)
    config = log.row(0, named=True)
    window = window or (config["vstart"], config["vend"])
    # The end of an allocation does not repeat its window; the search that served it has it.
    searches = log.filter(op="tree_alloc").select("seq", "addr", "vstart", "vend")
    standard = pl.col("flag") & NOT_STANDARD_WINDOW == 0
    frame = (
        log.filter(op="alloc_done")
        .drop("vstart", "vend")
        .join_asof(searches, on="seq", by="addr", strategy="backward", check_sortedness=False)
        .with_columns(
            vstart=pl.when(standard).then(config["vstart"]).otherwise("vstart"),
            vend=pl.when(standard).then(config["vend"]).otherwise("vend"),
            phase=pl.lit(""),
            reached_overlay=pl.col("flag") & SERVED_BY != POOL,
            vm_map_ram=pl.col("flag") & VM_MAP_RAM != 0,
        )
    )
    unserved = frame.filter(pl.col("vstart").is_null())
    if len(unserved):
        raise FileError(
            path, "alloc_done without the tree_alloc that served it", line=unserved.item(0, "line")
        )
    return _complete(frame, window)


def _complete(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    first, last = (pl.lit(edge, pl.UInt64) for edge in window)
    frame = frame.with_columns(in_window=(pl.col("vstart") == first) & (pl.col("vend") == last))
    return frame.select(
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in REQUESTS.items()
    )


def _commonest(vstart: npt.NDArray[np.uint64], vend: npt.NDArray[np.uint64]) -> Window:
    windows, counts = np.unique(np.stack([vstart, vend]), axis=1, return_counts=True)
    if not counts.size:
        return 0, 0
    first, last = windows[:, counts.argmax()].tolist()
    return first, last
