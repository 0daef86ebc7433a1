"""Read ``/proc/vmallocinfo``.

The format is that of ``vmalloc_info_show()`` and ``show_purge_info()`` in ``mm/vmalloc.c`` of Linux
6.12: areas in address order per vmap node, and after them all areas that are freed but not purged.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import polars as pl

from vmalloc_model.errors import FileError
from vmalloc_model.traces.stored import is_stored, read_copies
from vmalloc_model.traces.textio import TextFile, excerpt

__all__ = ["areas_of", "is_vmallocinfo", "read_vmallocinfo"]

_SCHEMA: Final = {
    "line": pl.Int64,
    "start": pl.UInt64,
    "end": pl.UInt64,
    "size": pl.Int64,
    "kind": pl.String,
    "flags": pl.String,
    "caller": pl.String,
    "pages": pl.Int64,
    "phys": pl.UInt64,
}
_POINTER: Final = r"(?:0x)?([0-9a-f]{8,16}|\(_*ptrval_*\))"
_RANGE: Final = re.compile(rf"{_POINTER}-{_POINTER} +(\d+)( .*)?")
_DETAILS: Final = re.compile(
    r"(?: (?P<caller>(?:[^ ]+\+0x[0-9a-f]+/0x[0-9a-f]+|0x[0-9a-f]+)(?: \[[^\]]*\])?))?"
    r"(?: pages=(?P<pages>\d+))?"
    r"(?: phys=0x(?P<phys>[0-9a-f]+))?"
    r"(?P<flags>(?: (?:ioremap|sparse|vmalloc|vmap|user|dma-coherent|vpages))*)"
    r"(?: N\d+=\d+)*"
)
# Lines of /proc/meminfo, which recordings often carry along.
_MEMINFO: Final = re.compile(r"Vmalloc(?:Total|Used|Chunk): +\d+ kB|")
_WITHOUT_DETAILS: Final = (" vm_map_ram", " unpurged vm_area")
_HASHED: Final = (
    "a copy made by root after `sysctl kernel.kptr_restrict=1`, or of a kernel booted with "
    "no_hash_pointers"
)


def read_vmallocinfo(path: str | Path) -> pl.DataFrame:
    """Read a copy of ``/proc/vmallocinfo``.

    Parameters
    ----------
    path : str or Path
        Plain, gzip or zstd; or a stored run, whose copies are read as one.

    Returns
    -------
    DataFrame
        One row per area in the order of the file. ``line`` (1-based); ``start``, ``end``
        (addresses, half open); ``size`` (bytes, guard page included); ``kind``: the first of the
        kernel's words for it (``ioremap``, ``sparse``, ``vmalloc``, ``vmap``, ``user``,
        ``dma-coherent``), or ``vm_map_ram``, or ``unpurged`` for a freed area, or ``""``;
        ``flags``: all the words; ``caller`` (null when not printed); ``pages`` (0 when not
        printed); ``phys`` (physical address, null when not printed).

    Raises
    ------
    FileError
        If the file cannot be read, is empty, has a line of another form, or its addresses are
        hashed or blanked out as the kernel does for ``%pK``.
    """
    if is_stored(path):
        return areas_of(Path(path), read_copies(path))
    text = TextFile(path)
    return areas_of(text.path, text.text())


def is_vmallocinfo(head: bytes) -> bool:
    """Tell from its beginning whether a text is a copy of ``/proc/vmallocinfo``."""
    return (
        _RANGE.fullmatch(head.partition(b"\n")[0].decode("utf-8", "replace").rstrip()) is not None
    )


def areas_of(path: Path, data: bytes) -> pl.DataFrame:
    """Read the text of a copy; `path` is named in errors. See `read_vmallocinfo`."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        line = line.rstrip()
        match = _RANGE.fullmatch(line)
        details = match and _details(match[4] or "")
        if match and details is not None:
            rows.append({"line": number} | _addresses(path, number, line, match) | details)
        elif not _MEMINFO.fullmatch(line):
            raise FileError(
                path,
                "not a line of vmallocinfo",
                line=number,
                value=excerpt(line.encode()),
                allowed="0xSTART-0xEND SIZE caller pages=N phys=0xN kinds N0=N",
            )
    if not rows:
        raise FileError(path, "no areas in it", allowed="a copy of /proc/vmallocinfo")
    return pl.DataFrame(rows, schema=_SCHEMA)


def _details(text: str) -> dict[str, Any] | None:
    if text in _WITHOUT_DETAILS:
        kind = text.split()[0]
        return {"kind": kind, "flags": "", "caller": None, "pages": 0, "phys": None}
    match = _DETAILS.fullmatch(text)
    if match is None:
        return None
    flags = match["flags"].split()
    return {
        "kind": flags[0] if flags else "",
        "flags": " ".join(flags),
        "caller": match["caller"],
        "pages": int(match["pages"] or 0),
        "phys": int(match["phys"], 16) if match["phys"] else None,
    }


def _addresses(path: Path, number: int, line: str, match: re.Match[str]) -> dict[str, int]:
    start, end, size = match[1], match[2], int(match[3])
    readable = "(" not in start + end
    # Each pointer is hashed by itself, so a hashed range is not as long as the size beside it.
    if not readable or int(end, 16) - int(start, 16) != size or not int(end, 16):
        raise FileError(
            path,
            "the addresses are hashed or blanked out",
            line=number,
            value=excerpt(line.encode()),
            allowed=_HASHED,
        )
    return {"start": int(start, 16), "end": int(end, 16), "size": size}
