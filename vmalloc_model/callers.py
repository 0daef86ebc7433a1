"""Who asks vmalloc for what, and in which window: ``data/callers.csv`` and the module sizes.

A caller is *standard* on an architecture when it asks for exactly the range from ``VMALLOC_START``
to ``VMALLOC_END``; only such a request can be served from a per-CPU chunk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from vmalloc_model.datafiles import data_path, read_csv
from vmalloc_model.errors import FileError

__all__ = [
    "ARCHES",
    "PAYLOAD_KINDS",
    "SECTIONS",
    "WINDOWS",
    "load_callers",
    "load_modules",
    "module_sections",
    "windows",
]

ARCHES: Final = (
    "x86_64",
    "i386",
    "arm64",
    "arm",
    "riscv64",
    "riscv32",
    "powerpc64",
    "s390x",
    "loongarch64",
    "mips64",
)
"""Architectures the data knows, in the order of the tables."""

PAYLOAD_KINDS: Final = ("fixed", "max", "typical", "measured")
"""What a payload is: the same for every such request; the most there can be; the size in the case
that the row describes; or read off a real system."""

WINDOWS: Final = ("standard", "own", "fallback", "none")
"""Where a caller looks: in the standard window; elsewhere; elsewhere first and in the standard
window when there is no room; nowhere, because it does not exist on the architecture."""

SECTIONS: Final = (
    "text",
    "data",
    "rodata",
    "ro_after_init",
    "init_text",
    "init_data",
    "init_rodata",
)
"""The parts of a module that the kernel allocates one by one (``enum mod_mem_type``)."""

_CALLER_NUMBERS: Final = ("payload", "align", "guard")
_CALLER_TEXTS: Final = ("id", "who", "limit", "source")
_WINDOW_COLUMNS: Final = tuple(f"window_{arch}" for arch in ARCHES)
_CALLER_COLUMNS: Final = (
    *("id", "who", "payload", "payload_kind", "align", "guard"),
    *_WINDOW_COLUMNS,
    *("limit", "source", "note"),
)
_SECTION_COLUMNS: Final = tuple(f"{section}_bytes" for section in SECTIONS)
_MODULE_PAGE: Final = 4096  # of the kernel whose modules were measured


class _Table:
    """A CSV file as text, and checks of whole columns that name the first bad line."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self.path = path
        self.lines: list[int] = []
        rows: list[dict[str, str]] = []
        for line, cells in read_csv(path, columns):
            rows.append(cells)
            self.lines.append(line)
        self.frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))

    def check(self, column: str, good: pl.Expr, problem: str, allowed: str) -> None:
        """Raise for the first row where `good` is false (or null)."""
        bad = self.frame.select((~good.fill_null(False)).arg_true()).to_series()
        if len(bad):
            row = int(bad[0])
            raise FileError(
                self.path,
                f"column {column}: {problem}",
                line=self.lines[row],
                value=self.frame[column][row],
                allowed=allowed,
            )

    def texts(self, *columns: str) -> None:
        for column in columns:
            filled = pl.col(column).str.strip_chars() != ""
            self.check(column, filled, "empty", "some text")

    def choices(self, allowed: tuple[str, ...], *columns: str) -> None:
        for column in columns:
            good = pl.col(column).is_in(allowed)
            self.check(column, good, "unknown value", ", ".join(allowed))

    def numbers(self, least: int, *columns: str) -> None:
        """Turn columns of decimal digits into int64."""
        for column in columns:
            # 18 digits always fit; no request is near that size
            digits = pl.col(column).str.contains(r"^[0-9]{1,18}$")
            self.check(column, digits, "not a whole number", "decimal digits")
            number = pl.col(column).cast(pl.Int64)
            self.check(column, number >= least, "too small", f"{least:,} or more")
            self.frame = self.frame.with_columns(number)

    def unique(self, column: str) -> None:
        first = pl.col(column).is_first_distinct()
        self.check(column, first, "used twice", "one row for each")


def load_callers(path: str | Path | None = None) -> pl.DataFrame:
    """Read and check the table of callers.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns of ``data/callers.csv`` in any order; that file by default.

    Returns
    -------
    polars.DataFrame
        One row for each caller. ``payload`` (bytes without guard), ``align`` (bytes, a power of
        two, 1 for none) and ``guard`` (pages) are int64; ``payload_kind`` is one of
        `PAYLOAD_KINDS`; the columns ``window_<arch>`` hold `WINDOWS` for each of `ARCHES`; ``id``,
        ``who``, ``limit``, ``source`` and ``note`` are text.

    Raises
    ------
    FileError
        If the file cannot be read, a column is missing or unknown, a cell is not what its column
        holds, or an id occurs twice. Line and column are named.
    """
    table = _Table(data_path("callers.csv") if path is None else Path(path), _CALLER_COLUMNS)
    table.texts(*_CALLER_TEXTS)
    table.unique("id")
    table.numbers(0, "guard")
    table.numbers(1, "payload", "align")
    power = pl.col("align").bitwise_count_ones() == 1
    table.check("align", power, "not a power of two", "1, 2, 4, 8, ...")
    table.choices(PAYLOAD_KINDS, "payload_kind")
    table.choices(WINDOWS, *_WINDOW_COLUMNS)
    return table.frame


def windows(callers: pl.DataFrame | None = None) -> pl.DataFrame:
    """Window of each caller on each architecture, one row for each pair.

    Parameters
    ----------
    callers : polars.DataFrame, optional
        As from `load_callers`, which is called by default.

    Returns
    -------
    polars.DataFrame
        Columns ``caller`` (id), ``arch``, ``window`` (one of `WINDOWS`) and ``standard``: True or
        False where it is certain, null where it depends on how full the caller's own window is
        (``fallback``) and where there is no such caller (``none``). Callers vary slowest; both
        orders are those of the data.
    """
    wide = load_callers() if callers is None else callers
    place = pl.col("arch").replace_strict(list(ARCHES), range(len(ARCHES)))
    return (
        wide.with_row_index("row")
        .unpivot(_WINDOW_COLUMNS, index=["row", "id"], variable_name="arch", value_name="window")
        .with_columns(pl.col("arch").str.strip_prefix("window_"))
        .sort("row", place)
        .select(
            caller="id",
            arch="arch",
            window="window",
            standard=pl.when(pl.col("window").is_in(["standard", "own"])).then(
                pl.col("window") == "standard"
            ),
        )
    )


def load_modules(path: str | Path | None = None) -> pl.DataFrame:
    """Read and check the sizes of a distribution's modules.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns of ``data/modules-debian-6.12.117-amd64.csv`` in any order; that
        file by default.

    Returns
    -------
    polars.DataFrame
        One row for each module: ``module`` (name), ``file_bytes`` (size of the uncompressed ``.ko``
        file) and, for each of `SECTIONS`, ``<section>_bytes``: what the loader allocates for it,
        whole pages of 4 KiB without guard, 0 where the module has no such section. int64.

    Raises
    ------
    FileError
        As `load_callers`; and if a section is not whole pages.
    """
    default = "modules-debian-6.12.117-amd64.csv"
    table = _Table(
        data_path(default) if path is None else Path(path),
        ("module", "file_bytes", *_SECTION_COLUMNS),
    )
    table.texts("module")
    table.unique("module")
    table.numbers(1, "file_bytes")
    table.numbers(0, *_SECTION_COLUMNS)
    for column in _SECTION_COLUMNS:
        whole = pl.col(column) % _MODULE_PAGE == 0
        table.check(column, whole, "not whole pages", f"a multiple of {_MODULE_PAGE:,}")
    return table.frame


def module_sections(modules: pl.DataFrame) -> pl.DataFrame:
    """List the requests that loading every module once makes for its sections.

    Parameters
    ----------
    modules : polars.DataFrame
        As from `load_modules`.

    Returns
    -------
    polars.DataFrame
        Columns ``module``, ``section`` (one of `SECTIONS`) and ``bytes`` (int64, without guard).
        Empty sections, for which nothing is allocated, are left out. Modules vary slowest, in the
        order given; sections are in the order in which the loader allocates them.

    Notes
    -----
    Source: Linux 6.12 include/linux/module.h ``enum mod_mem_type`` and kernel/module/main.c
    ``move_module``. The copy of the symbol table that the loader appends is not in the sizes.
    """
    order = pl.col("section").replace_strict(list(SECTIONS), range(len(SECTIONS)))
    return (
        modules.with_row_index("row")
        .unpivot(
            _SECTION_COLUMNS, index=["row", "module"], variable_name="section", value_name="bytes"
        )
        .with_columns(pl.col("section").str.strip_suffix("_bytes"))
        .filter(pl.col("bytes") > 0)
        .sort("row", order)
        .select("module", "section", "bytes")
    )
