"""Recorded runs of real kernels, by id or as the reader's own file, as a stream of requests.

``data/runs/runs.toml`` lists the runs, ``data/runs/README.md`` says how they were made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError, InputError, nearest
from vmalloc_model.traces.ftrace import ALLOC, read_ftrace
from vmalloc_model.traces.importing import examine
from vmalloc_model.traces.oplog import (
    NOT_STANDARD_WINDOW,
    POOL,
    SERVED_BY,
    VM_MAP_RAM,
    is_oplog,
    read_oplog,
)
from vmalloc_model.traces.overlay import OverlaySummary, summarise_overlay
from vmalloc_model.traces.stored import is_stored, read_about, read_copies
from vmalloc_model.traces.textio import TextFile
from vmalloc_model.traces.vmallocinfo import is_vmallocinfo

__all__ = [
    "KINDS",
    "REQUESTS",
    "OverlaySummary",
    "Run",
    "Window",
    "find_run",
    "load_runs",
    "measured_overlay",
    "read_requests",
    "run_id",
]

Window = tuple[int, int]
"""``vstart`` and ``vend`` as the kernel prints them; on x86_64 the end is inclusive."""

KINDS: Final = ("ftrace", "oplog")
_MANIFEST: Final = "runs/runs.toml"

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


@dataclass(frozen=True)
class Run:
    """A recorded run.

    Attributes
    ----------
    id : str
        Key in the manifest, or the name of a file of the reader's own: what tables and charts call
        the run.
    kind : str
        One of `KINDS`.
    file : str
        Name below ``data/runs/``, or the path of an own file.
    vmallocinfo : tuple of str
        Copies of ``/proc/vmallocinfo`` from the same run, below ``data/runs/``.
    kernel : str
        What ran; ``""`` when not known.
    modified : bool or None
        Whether the allocator was changed or instrumented; None when not known.
    cpus : int
        CPUs of the machine; of an own file: as it says, else the highest CPU in it plus 1.
    page_size : int
        Bytes; of an own file: the largest power of two that divides the size of every request.
    platform : str or None
        Id in ``data/platforms.csv``; None when not known.
    window : Window
        The standard window ``VMALLOC_START``, ``VMALLOC_END`` as this kernel prints it; of an own
        trace: the window that most requests name.
    in_order : bool or None
        Whether the order of the file is the order in which the allocator's state changed; None
        when not known.
    description, source : str
        The workload; how it was recorded.
    own : bool
        Whether it is a file of the reader's own, not one of the manifest.
    """

    id: str
    kind: str
    file: str
    vmallocinfo: tuple[str, ...]
    kernel: str
    modified: bool | None
    cpus: int
    page_size: int
    platform: str | None
    window: Window
    in_order: bool | None
    description: str
    source: str
    own: bool = False

    @property
    def key(self) -> str:
        """What `find_run` finds it by."""
        return self.file if self.own else self.id

    @property
    def path(self) -> Path:
        """Where the recording is."""
        return Path(self.file) if self.own else data_path(f"runs/{self.file}")

    @property
    def copies(self) -> tuple[Path, ...]:
        """Where copies of vmallocinfo from the same run are: a ``run.npz`` may hold some itself."""
        if not self.own:
            return tuple(data_path(f"runs/{name}") for name in self.vmallocinfo)
        return (self.path,) if is_stored(self.path) and read_copies(self.path) else ()


def load_runs() -> dict[str, Run]:
    """Read the manifest of the recorded runs; no recording is opened.

    Raises
    ------
    FileError
        If an entry lacks a key, has an unknown one, or a value of the wrong type.
    """
    return {name: _manifest_run(name, entry) for name, entry in read_toml(_MANIFEST).items()}


def find_run(name: str | Path, where: str = "run") -> Run:
    """Find a recorded run, or describe a file of the reader's own (which is read for it).

    Parameters
    ----------
    name : str or Path
        An id of the manifest, or a path: the text of a trace, an operation log, or the ``run.npz``
        that `vmalloc_model.traces.importing` made of one.
    where : str
        Place named in the error.

    Raises
    ------
    InputError
        If it is neither; the known ids are listed, the nearest first.
    FileError
        If it is a file that cannot be used.
    """
    known = load_runs().get(str(name))
    return known or _own_run(_own_file(name, where))


def run_id(name: str | Path) -> str:
    """Say what ``find_run(name).id`` is; the file is not opened, nor need it be there.

    A file that is called as a run of the manifest keeps its path: no two runs may look alike.
    """
    known, file = load_runs(), Path(name).name
    return str(name) if str(name) in known or file in known else file


def read_requests(run: str | Path, *, window: Window | None = None) -> pl.DataFrame:
    """Read the requests that an allocator saw, in the order of the recording.

    Parameters
    ----------
    run : str or Path
        As for `find_run`.
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
        As `find_run`, and if the recording cannot be read.

    Notes
    -----
    A request that finds nothing prints a failed event, purges and tries again; it is counted once,
    by the event of the attempt that succeeded. One that fails for good is not counted. Areas that
    the per-CPU allocator carves from the top of the range print no event and are not requests of
    this kind; the operation log has them as ``pcpu_area``.
    """
    known = load_runs().get(str(run))
    if known:
        return _read(known.kind, known.path, window or known.window).requests
    path = _own_file(run, "run")
    return _read(_kind_of(path), path, window).requests


def measured_overlay(run: str | Path) -> OverlaySummary:
    """Sum up what the overlay did in a recorded run.

    Parameters
    ----------
    run : str or Path
        As for `find_run`; an operation log of a kernel with the overlay switched on.

    Raises
    ------
    InputError
        If the run is not an operation log, or the overlay was off.
    FileError
        If the log cannot be read.
    """
    known = load_runs().get(str(run))
    path = known.path if known else _own_file(run, "run")
    kind = known.kind if known else _kind_of(path)
    summary = summarise_overlay(read_oplog(path)) if kind == "oplog" else None
    if summary is None:
        raise InputError(
            "run",
            "no overlay in this run",
            value=str(run),
            allowed="an operation log of a kernel with the overlay switched on, as oplog-rfc10",
        )
    return summary


class _Recording(NamedTuple):
    requests: pl.DataFrame
    window: Window
    cpus: int


def _read(kind: str, path: Path, window: Window | None) -> _Recording:
    read = _read_oplog if kind == "oplog" else _read_ftrace
    recording = read(path, window)
    if not len(recording.requests):
        raise FileError(path, "no allocation that succeeded")
    return recording


def _read_ftrace(path: Path, window: Window | None) -> _Recording:
    trace = read_ftrace(path)
    events = trace.events[(trace.events["kind"] == ALLOC) & ~trace.events["failed"]]
    window = window or _commonest(events["vstart"], events["vend"])
    columns = {name: events[name] for name in ("line", "cpu", "size", "align", "vstart", "vend")}
    frame = pl.DataFrame(columns).with_columns(
        addr=pl.Series(events["start"]),
        phase=pl.Series(trace.phases, dtype=pl.String).gather(events["phase"]),
    )
    return _Recording(_complete(frame, window), window, trace.cpus)


def _read_oplog(path: Path, window: Window | None) -> _Recording:
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
    cpus = max(config["node"], log.select(pl.col("cpu").max()).item() + 1)
    return _Recording(_complete(frame, window), window, cpus)


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


def _own_file(name: str | Path, where: str) -> Path:
    path = Path(name)
    if not path.is_file():
        known = ", ".join(nearest(str(name), load_runs()))
        raise InputError(
            where,
            "no such recorded run, and no such file",
            value=str(name),
            allowed=f"{known}, or the path of a trace",
        )
    return path


def _kind_of(path: Path) -> str:
    if is_stored(path):
        kind = read_about(path).kind
    else:
        head = TextFile(path).head()
        kind = "vmallocinfo" if is_vmallocinfo(head) else "oplog" if is_oplog(head) else "ftrace"
    if kind not in KINDS:
        raise FileError(
            path,
            "a copy of vmallocinfo has the areas that live, not requests in their order",
            allowed="a trace or an operation log; copies go with a trace, as --vmallocinfo",
        )
    return kind


def _own_run(path: Path) -> Run:
    kind = _kind_of(path)
    about = examine(path)
    return Run(
        id=run_id(path),
        kind=kind,
        file=str(path),
        vmallocinfo=(),
        kernel=about.kernel,
        modified=None,
        cpus=about.cpus,
        page_size=about.page_size,
        platform=None,
        window=about.window,
        in_order=True if kind == "oplog" else None,
        description=path.name,
        source="",
        own=True,
    )


_TYPES: Final = {
    "kind": str,
    "file": str,
    "vmallocinfo": list,
    "kernel": str,
    "modified": bool,
    "cpus": int,
    "page_size": int,
    "platform": str,
    "window": list,
    "in_order": bool,
    "description": str,
    "source": str,
}


def _manifest_run(name: str, entry: Any) -> Run:
    path = data_path(_MANIFEST)
    if not isinstance(entry, dict) or entry.keys() != _TYPES.keys():
        raise FileError(path, f"run {name}: wrong keys", value=entry, allowed=", ".join(_TYPES))
    for key, kind in _TYPES.items():
        if type(entry[key]) is not kind:
            raise FileError(
                path, f"run {name}: wrong {key}", value=entry[key], allowed=kind.__name__
            )
    if entry["kind"] not in KINDS:
        raise FileError(
            path, f"run {name}: wrong kind", value=entry["kind"], allowed=", ".join(KINDS)
        )
    try:
        first, last = (int(edge, 16) for edge in entry["window"])
    except (TypeError, ValueError):
        raise FileError(
            path,
            f"run {name}: wrong window",
            value=entry["window"],
            allowed="[start, end] as 0x...",
        ) from None
    others = {key: value for key, value in entry.items() if key not in ("vmallocinfo", "window")}
    return Run(id=name, vmallocinfo=tuple(entry["vmallocinfo"]), window=(first, last), **others)
