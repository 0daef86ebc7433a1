"""Recorded runs of real kernels, by id or as the reader's own file: what each is.

``data/runs/runs.toml`` lists the runs, ``data/runs/README.md`` says how they were made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError, InputError, nearest
from vmalloc_model.traces.importing import examine
from vmalloc_model.traces.oplog import is_oplog
from vmalloc_model.traces.stored import is_stored, read_about, read_copies
from vmalloc_model.traces.textio import TextFile
from vmalloc_model.traces.vmallocinfo import is_vmallocinfo

__all__ = ["KINDS", "Run", "Window", "find_run", "load_runs", "located", "run_id"]

Window = tuple[int, int]
"""``vstart`` and ``vend`` as the kernel prints them; on x86_64 the end is inclusive."""

KINDS: Final = ("ftrace", "oplog")
_MANIFEST: Final = "runs/runs.toml"


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


def located(name: str | Path) -> tuple[str, Path, Window | None]:
    """Say what kind a recorded run is, where it is, and its window; an own file is not read.

    The window of an own file is None: only reading tells it. Parameters and errors as `find_run`.
    """
    known = load_runs().get(str(name))
    if known is not None:
        return known.kind, known.path, known.window
    path = _own_file(name, "run")
    return _kind_of(path), path, None


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
