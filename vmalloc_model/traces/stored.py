"""``run.npz``: one file that stands for a recording, its copies of vmallocinfo included.

It is a zip archive of ``.npy`` arrays, for ``numpy.load`` as for this module:

``about``
    JSON as bytes: ``format`` (1), ``package`` (version that wrote it), ``about`` (`About`)
``events/NNNNNN/COLUMN``
    the columns of `vmalloc_model.traces.events.EVENT`, in blocks of at most `BLOCK` events
``oplog``
    of an operation log: its text as bytes
``vmallocinfo/NNNNNN``
    text of copies of vmallocinfo: those of a trace, or the one that is all there is

The same recording gives the same bytes: no times, no folders. Names of tasks are not kept.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import numpy as np
import numpy.typing as npt

from vmalloc_model import __version__
from vmalloc_model.errors import FileError
from vmalloc_model.traces.about import KINDS, About
from vmalloc_model.traces.events import EVENT

__all__ = [
    "BLOCK",
    "FORMAT",
    "Writer",
    "is_stored",
    "read_about",
    "read_copies",
    "read_events",
    "read_oplog_text",
]

FORMAT: Final = 1
BLOCK: Final = 1 << 18
"""Events of a block, at most."""

_MAGIC: Final = b"PK\x03\x04"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_ALLOWED: Final = "a file that `vmalloc-model import` made"
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,  # an archive with a password
    TypeError,
    ValueError,
)


def is_stored(path: str | Path) -> bool:
    """Tell by its first bytes whether a file is a ``run.npz``, or another archive."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


class Writer:
    """Writes a ``run.npz`` piece by piece, in a ``with``; it never holds more than two blocks.

    A thread packs one block of events while the next is read: packing takes as long as reading.

    Parameters
    ----------
    file : BinaryIO
        New, opened for writing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._packer = ThreadPoolExecutor(1, "packer")
        self._packing: Future[None] | None = None
        self._events = np.empty(BLOCK, EVENT)
        self._waiting = self._blocks = self._copies = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._packer.shutdown()
        # After a failure nobody wants the file, and its end may not be writable either.
        with suppress(OSError) if kind else nullcontext():
            self._archive.close()

    def add_events(self, events: npt.NDArray[np.void]) -> None:
        """Append events."""
        while len(events):
            taken = events[: BLOCK - self._waiting]
            self._events[self._waiting : self._waiting + len(taken)] = taken
            self._waiting += len(taken)
            events = events[len(taken) :]
            if self._waiting == BLOCK:
                self._flush()

    def add_oplog(self, text: bytes) -> None:
        """Write the text of an operation log."""
        self._settle()
        self._add("oplog", np.frombuffer(text, np.uint8))

    def add_copy(self, text: bytes) -> None:
        """Append the text of a copy of vmallocinfo."""
        self._settle()
        self._add(f"vmallocinfo/{self._copies:06}", np.frombuffer(text, np.uint8))
        self._copies += 1

    def finish(self, about: About) -> None:
        """Write what is left, and what the recording says about itself."""
        self._flush()
        self._settle()
        record = {"format": FORMAT, "package": __version__, "about": about.record()}
        text = json.dumps(record, indent=1, ensure_ascii=False)
        self._add("about", np.frombuffer(text.encode(), np.uint8))

    def _flush(self) -> None:
        self._settle()
        if self._waiting:
            events = self._events[: self._waiting]
            self._packing = self._packer.submit(self._pack, self._blocks, events)
            self._events = np.empty(BLOCK, EVENT)
        self._blocks += 1
        self._waiting = 0

    def _pack(self, block: int, events: npt.NDArray[np.void]) -> None:
        for column in EVENT.names or ():  # columns pack better than rows
            self._add(f"events/{block:06}/{column}", np.ascontiguousarray(events[column]))

    def _settle(self) -> None:
        """Wait until the archive is nobody's; raise what went wrong in the thread."""
        if self._packing is not None:
            self._packing.result()
            self._packing = None

    def _add(self, name: str, array: npt.NDArray[Any]) -> None:
        info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)  # without the time of writing
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        content = io.BytesIO()
        np.lib.format.write_array(content, array, (1, 0), allow_pickle=False)
        self._archive.writestr(info, content.getbuffer(), compresslevel=1)


def read_about(path: str | Path) -> About:
    """Read what a ``run.npz`` says about itself.

    Raises
    ------
    FileError
        If it is damaged, of a newer format, or something else. So do all readers here.
    """
    with _opened(path) as archive:
        return _about(Path(path), archive)


def read_events(path: str | Path) -> tuple[About, Iterator[npt.NDArray[np.void]]]:
    """Read the events of a ``run.npz``: what it says about itself, and arrays of `EVENT`.

    Raises
    ------
    FileError
        Also if it has no such events.
    """
    about = read_about(path)
    if about.kind != "ftrace":
        raise FileError(path, f"no trace, but a recording of kind {about.kind}")
    return about, _events(Path(path), sum(about.events.values()))


def read_oplog_text(path: str | Path) -> bytes:
    """Read the text of the operation log in a ``run.npz``.

    Raises
    ------
    FileError
        Also if it is of another kind.
    """
    with _opened(path) as archive:
        about = _about(Path(path), archive)
        if about.kind != "oplog":
            raise FileError(path, f"no operation log, but a recording of kind {about.kind}")
        return _array(archive, "oplog.npy", np.uint8).tobytes()


def read_copies(path: str | Path) -> bytes:
    """Read the copies of vmallocinfo in a ``run.npz``, one text behind the other."""
    with _opened(path) as archive:
        _about(Path(path), archive)
        names = sorted(name for name in archive.namelist() if name.startswith("vmallocinfo/"))
        return b"".join(_array(archive, name, np.uint8).tobytes() for name in names)


def _events(path: Path, total: int) -> Iterator[npt.NDArray[np.void]]:
    with _opened(path) as archive:
        known, count = set(archive.namelist()), 0
        for block in range(-(-total // BLOCK)):
            events = np.empty(min(BLOCK, total - count), EVENT)
            for column in EVENT.names or ():
                name = f"events/{block:06}/{column}.npy"
                if name not in known:
                    raise ValueError(f"{name} is missing")
                events[column] = _array(archive, name, EVENT[column])
            count += len(events)
            yield events


@contextmanager
def _opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileError:
        raise
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
    except _BROKEN as error:
        what = f"not a recorded run, or damaged ({error})"
        raise FileError(path, what, allowed=_ALLOWED) from None


def _about(path: Path, archive: zipfile.ZipFile) -> About:
    if "about.npy" not in archive.namelist():
        raise FileError(path, "not a recorded run", allowed=_ALLOWED)
    record = json.loads(_array(archive, "about.npy", np.uint8).tobytes())
    if record["format"] != FORMAT:
        raise FileError(
            path,
            f"written by version {record['package']} of the package, in a format that this "
            f"version ({__version__}) does not know",
            value=record["format"],
            allowed=str(FORMAT),
        )
    about = About.of(record["about"])
    if about.kind not in KINDS:
        raise ValueError(about.kind)
    return about


def _array(archive: zipfile.ZipFile, name: str, dtype: Any) -> npt.NDArray[Any]:
    # All bytes first: that checks their sum, and nothing is believed about their number.
    content = io.BytesIO(archive.read(name))
    array: npt.NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(f"{name} has the wrong type")
    return array
