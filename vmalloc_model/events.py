"""One event format for recorded and synthetic runs: what callers ask of the allocator, in order.

A run is a sequence of records of `EVENT`, handed out in blocks so that a long one needs little
memory. Sizes are pages of the run's page size, guard page included: the size that
``alloc_vmap_area`` is called with. Areas are named by *slots*: a free names the slot its allocation
named, and a slot may be used again after its free.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import FileError, InputError

__all__ = [
    "ALLOC",
    "BLOCK_EVENTS",
    "EVENT",
    "FREE",
    "GUARD",
    "MAP_RAM",
    "NODE",
    "OPERATIONS",
    "PCPU",
    "PURGE",
    "SHRINK",
    "Stream",
    "load_stream",
    "save_stream",
]

ALLOC: Final = 1
FREE: Final = 2
MAP_RAM: Final = 3
PCPU: Final = 4
PURGE: Final = 5
SHRINK: Final = 6

OPERATIONS: Final = {
    ALLOC: "alloc",
    FREE: "free",
    MAP_RAM: "map_ram",
    PCPU: "pcpu",
    PURGE: "purge",
    SHRINK: "shrink",
}
"""What an event may be.

``alloc``    ``alloc_vmap_area()`` on ``cpu``: ``pages`` at an alignment of ``2**order`` pages in
             window ``window``; the area is named ``slot``
``free``     the area, the mapping or the per-CPU area named ``slot`` is given back, on ``cpu``
``map_ram``  ``vm_map_ram()`` of ``pages`` pages on ``cpu``: from a block up to
             ``VMAP_MAX_ALLOC`` pages, else an area without guard page
``pcpu``     one per-CPU area of ``pages`` at ``2**order`` from the top of the window
``purge``    ``vm_unmap_aliases()``: purge all lazy areas now, pools decay as usual
``shrink``   the shrinker: all pools are emptied
"""

GUARD: Final = 1
"""Bit of ``flags``: the last page of the area is a guard page, which nothing is mapped to."""
NODE: Final = 2
"""Bit of ``flags``: the request names a NUMA node."""

EVENT: Final = np.dtype(
    [
        ("op", "u1"),
        ("flags", "u1"),
        ("window", "u1"),
        ("order", "u1"),
        ("cpu", "u4"),
        ("slot", "u4"),
        ("pages", "u4"),
    ]
)
"""One event, 16 bytes; columns that its operation does not use are 0.

==========  ================================================================================
``op``      one of `OPERATIONS`
``flags``   `GUARD`, `NODE`
``window``  index into the windows of the machine; 0 is the standard one
``order``   log2 of the alignment in pages; 0 for any alignment up to a page
``cpu``     CPU that asks
``slot``    name of the area, below ``Stream.slots``
``pages``   size in pages, guard page included
==========  ================================================================================
"""

BLOCK_EVENTS: Final = 1 << 16
"""Events per block, more or less."""


@dataclass(frozen=True)
class Stream:
    """A run of events that can be read any number of times, from its beginning.

    Attributes
    ----------
    name : str
        Name of the workload or of the recording.
    page_size : int
        Bytes.
    cpus : int
        CPUs of the machine; every event's ``cpu`` is below.
    slots : int
        Every event's ``slot`` is below.
    blocks : callable
        Returns a fresh iterator over arrays of `EVENT`; the same arrays each time.
    events : int or None
        Number of events, where it is known beforehand.
    windows : tuple of (int, int), or None
        Address windows ``[start, end)`` in bytes of a recorded run; None: those of the machine.
    parameters : dict
        What the stream was made with.
    """

    name: str
    page_size: int
    cpus: int
    slots: int
    blocks: Callable[[], Iterator[npt.NDArray[np.void]]]
    events: int | None = None
    windows: tuple[tuple[int, int], ...] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def all(self) -> npt.NDArray[np.void]:
        """Return all events in one array; for streams that fit into memory."""
        parts = list(self.blocks())
        return np.concatenate(parts) if parts else np.empty(0, EVENT)


_META: Final = "stream.json"
_BLOCK: Final = "block-{:08d}.npy"


def save_stream(stream: Stream, path: str | Path) -> int:
    """Write a stream to an ``.npz`` file, block by block; return the number of events.

    The file appears under its name when it is whole.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    count = 0
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number, block in enumerate(stream.blocks()):
                with archive.open(_BLOCK.format(number), "w") as file:
                    np.lib.format.write_array(file, np.ascontiguousarray(block))
                count += len(block)
            meta = {
                "name": stream.name,
                "page_size": stream.page_size,
                "cpus": stream.cpus,
                "slots": stream.slots,
                "events": count,
                "windows": stream.windows,
                "parameters": stream.parameters,
            }
            archive.writestr(_META, json.dumps(meta))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def load_stream(path: str | Path) -> Stream:
    """Open a stream that `save_stream` wrote; blocks are read when they are asked for.

    Raises
    ------
    FileError
        If the file is missing, is no such archive, or a block of it does not hold events.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read(_META))
            names = sorted(name for name in archive.namelist() if name != _META)
        windows = meta["windows"]
        return Stream(
            name=str(meta["name"]),
            page_size=int(meta["page_size"]),
            cpus=int(meta["cpus"]),
            slots=int(meta["slots"]),
            events=int(meta["events"]),
            windows=windows and tuple((int(start), int(end)) for start, end in windows),
            parameters=dict(meta["parameters"]),
            blocks=lambda: _read_blocks(path, names),
        )
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise FileError(
            path, f"not a run of events ({error})", allowed="an .npz written by save_stream"
        ) from None


def _read_blocks(path: Path, names: list[str]) -> Iterator[npt.NDArray[np.void]]:
    with zipfile.ZipFile(path) as archive:
        for name in names:
            try:
                with archive.open(name) as file:
                    block = np.lib.format.read_array(file, allow_pickle=False)
            except (ValueError, EOFError, zipfile.BadZipFile) as error:
                raise FileError(path, f"{name} is damaged ({error})") from None
            if block.dtype != EVENT:
                raise InputError(str(path), f"{name} holds no events", value=str(block.dtype))
            yield block
