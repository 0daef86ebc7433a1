"""Read an operation log: what a kernel with logging inside its critical sections did, in order.

One row per operation, written while the lock that serialises it was held, so the order of the
rows is the order in which the allocator's state changed. ``data/runs/README.md`` explains each
operation.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import polars as pl

from vmalloc_model.errors import FileError
from vmalloc_model.traces.stored import is_stored, read_oplog_text
from vmalloc_model.traces.textio import TextFile, excerpt

__all__ = [
    "BUMP",
    "GLOBAL",
    "HEADER",
    "NOT_STANDARD_WINDOW",
    "OPERATIONS",
    "PATHS",
    "POOL",
    "SERVED_BY",
    "VM_MAP_RAM",
    "check_oplog",
    "is_oplog",
    "read_oplog",
]

SCHEMA: Final = {
    "seq": pl.Int64,
    "op": pl.String,
    "cpu": pl.Int64,
    "task": pl.Int64,
    "node": pl.Int64,
    "addr": pl.UInt64,
    "size": pl.UInt64,
    "align": pl.Int64,
    "vstart": pl.UInt64,
    "vend": pl.UInt64,
    "value": pl.UInt64,
    "flag": pl.Int64,
    "caller": pl.String,
}
HEADER: Final = ",".join(SCHEMA)
"""The first line of every log."""

# The flag of an alloc_done: who served it, whether in another window, whether for vm_map_ram; the
# bits above are the id of the node that the area belongs to, plus 1.
SERVED_BY: Final = 7
GLOBAL: Final = 0
POOL: Final = 1
BUMP: Final = 2
NOT_STANDARD_WINDOW: Final = 8
VM_MAP_RAM: Final = 16

PATHS: Final = {GLOBAL: "global", POOL: "pool", BUMP: "bump"}
"""Who serves an allocation: the global allocator, a node pool, or the overlay's chunk."""

# Operation: the columns that the model reads and that must therefore be there.
OPERATIONS: Final[dict[str, tuple[str, ...]]] = {
    "config": ("node", "size", "vstart", "vend", "value", "flag"),
    "init_free": ("addr", "size"),
    "init_busy": ("addr", "size"),
    "tree_alloc": ("size", "align", "vstart", "vend"),
    "chunk_reserve": ("size", "align", "vstart", "vend"),
    "tree_free": ("addr", "size"),
    "pool_hit": ("addr", "size"),
    "pool_rotate": ("addr", "size"),
    "pool_miss": ("size", "flag"),
    "pool_add": ("addr", "size"),
    "lazy_add": ("addr", "size"),
    "lazy_detach": (),
    "purge_begin": (),
    "purge_area": ("addr", "size"),
    "purge_end": (),
    "decay_detach": (),
    "decay_area": ("addr", "size"),
    "decay_attach": (),
    "alloc_done": ("addr", "size", "align", "flag"),
    "alloc_fail": ("size", "align"),
    "pcpu_area": ("addr", "size"),
    "block_alloc": ("addr", "size"),
    "block_free": ("addr", "size"),
    "block_purge": (),
    "bump_hit": ("addr", "size", "value"),
    "bump_miss": ("size", "align"),
    "bump_ineligible": ("size", "align", "vstart", "vend", "flag"),
    "refill": ("addr", "size", "value"),
    "refill_fail": (),
    "shrink": (),
}
"""Every operation a log may contain, with the columns that must not be empty in it."""

_ALWAYS: Final = ("seq", "cpu")
_HEXADECIMAL: Final = ("addr", "vstart", "vend")
_DECIMAL: Final = ("seq", "cpu", "task", "node", "size", "align", "flag")


def read_oplog(path: str | Path) -> pl.DataFrame:
    """Read an operation log.

    Parameters
    ----------
    path : str or Path
        CSV with the header `HEADER`, plain, gzip or zstd; or a stored run.

    Returns
    -------
    DataFrame
        One row per operation, row ``i`` from line ``i + 2``. ``seq``, ``cpu``, ``task``, ``node``,
        ``align`` (bytes) and ``flag`` are Int64; ``addr``, ``size`` (bytes), ``vstart``, ``vend``
        and ``value`` are UInt64, because the free space at the start is almost 2**64 bytes long and
        a value may be an address; ``op`` and ``caller`` are strings. Empty fields are null.

    Raises
    ------
    FileError
        If the file cannot be read, its header differs, a line has another number of fields or a
        field that is no number, an operation is unknown, one of its columns (`OPERATIONS`) is
        empty, the sequence numbers do not ascend, or the log does not begin with ``config``.
    """
    if is_stored(path):
        return check_oplog(Path(path), read_oplog_text(path))
    text = TextFile(path)
    data = text.text()
    return check_oplog(text.path, data, cut=text.cut)


def is_oplog(head: bytes) -> bool:
    """Tell from its beginning whether a text is an operation log.

    A header with columns missing is one of a log too, so that `read_oplog` says which.
    """
    names = head.partition(b"\n")[0].strip().split(b",")
    return len(names) > 1 and not {b"seq", b"op", b"addr"}.isdisjoint(names)


def check_oplog(path: Path, data: bytes, *, cut: bool = False) -> pl.DataFrame:
    """Read the text of a log; `cut`: it does not end with a line. See `read_oplog`."""
    head, _, body = data.partition(b"\n")
    if head.rstrip() != HEADER.encode():
        columns = head.decode("utf-8", "replace").strip().split(",")
        missing = [name for name in SCHEMA if name not in columns]
        found = len(missing) < len(SCHEMA)
        problem = f"missing column {', '.join(missing)}" if found and missing else "not its header"
        raise FileError(
            path,
            problem if found else "not an operation log",
            line=1,
            value=excerpt(head),
            allowed=HEADER,
        )
    _check_fields(path, body, cut)
    raw = pl.read_csv(
        io.BytesIO(body),
        has_header=False,
        schema=dict.fromkeys(SCHEMA, pl.String),
        quote_char=None,
        encoding="utf8-lossy",
    )
    log = raw.select(
        pl.col(name).pipe(_number, name).alias(name) if dtype != pl.String else pl.col(name)
        for name, dtype in SCHEMA.items()
    )
    _check(path, raw, log)
    return log


def _number(column: pl.Expr, name: str) -> pl.Expr:
    decimal = column.cast(SCHEMA[name], strict=False)
    if name in _DECIMAL:
        return decimal
    digits = pl.when(column.str.starts_with("0x")).then(column.str.slice(2))
    hexadecimal = digits.str.to_integer(base=16, dtype=pl.UInt64, strict=False)
    return hexadecimal if name in _HEXADECIMAL else pl.coalesce(hexadecimal, decimal)


def _check_fields(path: Path, body: bytes, cut: bool) -> None:
    """Refuse lines with another number of fields: a CSV reader fills up or cuts silently."""
    if not body:
        raise FileError(path, "no operations in it", line=1)
    lines = body.splitlines()
    for number, line in enumerate(lines, 2):
        if line.count(b",") != len(SCHEMA) - 1:
            last = cut and number == len(lines) + 1
            raise FileError(
                path,
                "the file ends in the middle of a line" if last else "wrong number of fields",
                line=number,
                value=excerpt(line),
                allowed=f"{len(SCHEMA)} fields: {HEADER}",
            )


def _check(path: Path, raw: pl.DataFrame, log: pl.DataFrame) -> None:
    """Report the first bad field, in the order of the lines."""
    problems: list[tuple[int, str, str, str | None, str]] = []

    def note(bad: pl.Series, column: str, problem: str, allowed: str) -> None:
        if (row := bad.arg_max()) is not None and bad[row]:
            problems.append((row, column, problem, raw[column][row], allowed))

    for name, dtype in SCHEMA.items():
        if dtype != pl.String:
            form = "0x and hexadecimal digits" if name in _HEXADECIMAL else "a whole number"
            note(log[name].is_null() & raw[name].is_not_null(), name, "not a number", form)
            needing = [op for op, columns in OPERATIONS.items() if name in (*_ALWAYS, *columns)]
            empty = raw[name].is_null() & log["op"].is_in(needing)
            note(empty, name, "empty", f"a number in {', '.join(needing)}")
    known = ", ".join(OPERATIONS)
    note(~log["op"].is_in(list(OPERATIONS)).fill_null(False), "op", "unknown operation", known)
    note((log["seq"].diff() <= 0).fill_null(False), "seq", "out of order", "ascending numbers")
    if log["op"][0] != "config":
        problems.append((0, "op", "the configuration must come first", log["op"][0], "config"))
    if problems:
        row, column, problem, value, allowed = min(problems, key=lambda found: found[0])
        raise FileError(
            path, f"column {column}: {problem}", line=row + 2, value=value, allowed=allowed
        )
