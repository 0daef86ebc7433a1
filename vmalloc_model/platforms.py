"""The vmalloc ranges of the architectures: ``data/platforms.csv``, validated.

A platform is an architecture with its page size and number of address bits. Every row names the
kernel header its size comes from and gives the header's arithmetic as a formula.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from vmalloc_model.datafiles import data_path, read_csv
from vmalloc_model.errors import FileError, InputError, nearest

__all__ = ["BOUNDS", "Platform", "find_platform", "load_platforms"]

BOUNDS: Final = ("exact", "at most", "at least", "default")
"""What a size is: fixed by the headers; its upper limit; its lower limit unless the command line
says otherwise; or the value without options on the machine that the row's note describes."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A vmalloc range ``[start, end)`` and what the configuration allows around it.

    Attributes
    ----------
    id, name, arch : str
        Key, title, and architecture (the one that `vmalloc_model.callers.ARCHES` names).
    va_bits : int
        Bits of a kernel virtual address that the page tables reach.
    page_size, pointer_size : int
        Bytes.
    start : int or None
        ``VMALLOC_START`` without address-space randomisation; None where it depends on the machine.
    size : int
        Bytes from ``VMALLOC_START`` to the end of the range, a multiple of `page_size`.
    end_inclusive : bool
        Whether the header's ``VMALLOC_END`` is the last byte (x86_64) instead of the first byte
        behind the range.
    bound : str
        One of `BOUNDS`.
    nr_cpus_default, nr_cpus_max : int
        ``CONFIG_NR_CPUS``: its default and the largest value Kconfig accepts.
    formula : str
        The header's arithmetic for `size`; the names it uses are listed in ``data/README.md``.
    source, note : str
        Kernel version, files and symbols; conditions and what is not covered.
    """

    id: str
    name: str
    arch: str
    va_bits: int
    page_size: int
    pointer_size: int
    start: int | None
    size: int
    end_inclusive: bool
    bound: str
    nr_cpus_default: int
    nr_cpus_max: int
    formula: str
    source: str
    note: str

    @property
    def end(self) -> int | None:
        """First address behind the range, or None when `start` is; ``2**64`` is possible."""
        return None if self.start is None else self.start + self.size

    @property
    def entry_copies(self) -> int:
        """Copies of each entry that a page of last-level tables holds.

        Two on 32-bit arm, the hardware's and Linux's own (arch/arm/include/asm/pgtable-2level.h).
        """
        return 2 if self.arch == "arm" else 1

    @property
    def usable_size(self) -> int:
        """Bytes that an allocation can reach.

        Where ``VMALLOC_END`` is the last byte, the allocator still treats it as a limit that an
        area must not pass (``va_alloc`` in mm/vmalloc.c), so the page that contains it is never
        handed out and the usable size is one page less.
        """
        return self.size - self.page_size if self.end_inclusive else self.size

    def slots(self, chunk_size: int) -> int:
        """Most disjoint chunks of `chunk_size` bytes that the empty range can hold.

        Chunks are page aligned only, so they pack without gaps from the first byte on.

        Raises
        ------
        InputError
            If `chunk_size` is below 1.
        """
        if chunk_size < 1:
            raise InputError("$.chunk_size", "too small", value=chunk_size, allowed="1 or more")
        return self.usable_size // chunk_size


_COLUMNS: Final = tuple(field.name for field in fields(Platform))


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table; every getter checks its cell and names line and column."""

    path: Path
    line: int
    cells: dict[str, str]

    def error(self, column: str, problem: str, allowed: str | None = None) -> FileError:
        return FileError(
            self.path,
            f"column {column}: {problem}",
            line=self.line,
            value=self.cells[column],
            allowed=allowed,
        )

    def text(self, column: str) -> str:
        if not self.cells[column].strip():
            raise self.error(column, "empty", "some text")
        return self.cells[column]

    def choice(self, column: str, allowed: tuple[str, ...]) -> str:
        if self.cells[column] not in allowed:
            raise self.error(column, "unknown value", ", ".join(allowed))
        return self.cells[column]

    def number(self, column: str, least: int, most: int) -> int:
        # 20 digits hold every 64-bit number; longer ones are refused before they are converted
        if not re.fullmatch(r"\d{1,20}", self.cells[column], re.ASCII):
            raise self.error(column, "not a whole number", "decimal digits")
        value = int(self.cells[column])
        if not least <= value <= most:
            raise self.error(column, "out of range", f"{least:,} to {most:,}")
        return value

    def address(self, column: str) -> int | None:
        if not self.cells[column]:
            return None
        if not re.fullmatch(r"0x[0-9a-fA-F]{1,16}", self.cells[column], re.ASCII):
            raise self.error(column, "not an address", "empty, or 0x and up to 16 hex digits")
        return int(self.cells[column], 16)


def _platform(row: _Row) -> Platform:
    pointer_size = int(row.choice("pointer_size", ("4", "8")))
    space = 1 << (8 * pointer_size)
    page_size = row.number("page_size", 1, 1 << 30)
    if page_size & (page_size - 1):
        raise row.error("page_size", "not a power of two")
    size = row.number("size", 1, space)
    if size % page_size:
        raise row.error("size", "not whole pages", f"a multiple of {page_size:,}")
    start = row.address("start")
    if start is not None and start % page_size:
        raise row.error("start", "not page aligned", f"a multiple of {page_size:,}")
    if start is not None and start + size > space:
        raise row.error(
            "size", f"the range ends beyond 2**{8 * pointer_size}", f"at most {space - start:,}"
        )
    nr_cpus_max = row.number("nr_cpus_max", 1, 1 << 20)
    return Platform(
        id=row.text("id"),
        name=row.text("name"),
        arch=row.text("arch"),
        va_bits=row.number("va_bits", 1, 8 * pointer_size),
        page_size=page_size,
        pointer_size=pointer_size,
        start=start,
        size=size,
        end_inclusive=row.choice("end_inclusive", ("0", "1")) == "1",
        bound=row.choice("bound", BOUNDS),
        nr_cpus_default=row.number("nr_cpus_default", 1, nr_cpus_max),
        nr_cpus_max=nr_cpus_max,
        formula=row.text("formula"),
        source=row.text("source"),
        note=row.cells["note"],
    )


def load_platforms(path: str | Path | None = None) -> dict[str, Platform]:
    """Read and check the table of platforms.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns of ``data/platforms.csv`` in any order; that file by default.

    Returns
    -------
    dict of str to Platform
        By id, in the order of the file.

    Raises
    ------
    FileError
        If the file cannot be read, a column is missing or unknown, a cell is not what its column
        holds, a range does not fit the address space, or an id occurs twice. Line and column are
        named.
    """
    platforms: dict[str, Platform] = {}
    table = data_path("platforms.csv") if path is None else Path(path)
    for line, cells in read_csv(table, _COLUMNS):
        row = _Row(table, line, cells)
        platform = _platform(row)
        if platform.id in platforms:
            raise row.error("id", "used twice", "one row for each id")
        platforms[platform.id] = platform
    return platforms


def find_platform(id: Any, where: str = "$.platform") -> Platform:
    """Platform with the given id.

    Parameters
    ----------
    id : str
        Such as ``x86_64-4level`` or ``arm64-52bit-64k``.
    where : str
        Place named in the error.

    Raises
    ------
    InputError
        If no row has this id; the message lists the known ones, the most similar first.
    """
    platforms = load_platforms()
    if isinstance(id, str) and id in platforms:
        return platforms[id]
    known = ", ".join(nearest(str(id), platforms))
    raise InputError(where, "unknown platform", value=id, allowed=known)
