"""Where the report's input data lies, and reading the small tables in it."""

from __future__ import annotations

import csv
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from vmalloc_model.errors import FileError

__all__ = ["CARRIED", "ROOT", "data_path", "read_csv", "read_toml"]

CARRIED: Final = "_checkout"
"""Folder in an installed package for what lies beside the package in a checkout."""


def _root() -> Path:
    package = Path(__file__).resolve().parent
    carried = package / CARRIED
    return carried if carried.is_dir() else package.parent


ROOT: Final = _root()
"""The folder that holds ``data/``, ``notebooks/`` and ``book/``: the checkout, or what an installed
package carries. The latter is to be read only."""


def data_path(name: str) -> Path:
    """Path of an input file below ``data/``.

    Parameters
    ----------
    name : str
        Relative to ``data/`` (or to the folder named by ``VMALLOC_MODEL_DATA``).

    Raises
    ------
    FileError
        If there is no such file.
    """
    base = Path(os.environ.get("VMALLOC_MODEL_DATA", ROOT / "data"))
    path = base / name
    if not path.is_file():
        raise FileError(path, "no such data file")
    return path


def read_toml(name: str) -> dict[str, Any]:
    """Read a TOML file below ``data/``; a syntax error names file and line."""
    path = data_path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise FileError(path, f"not valid TOML ({error})") from None


def read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file as text, each with the number of its line.

    Parameters
    ----------
    path : Path
        The file; its first line names the columns.
    columns : tuple of str
        The columns it must have, in any order, and no others.

    Raises
    ------
    FileError
        If the file cannot be read, is not CSV, or has other columns or cells than it should.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            header = list(reader.fieldnames or ())
            for column in columns:
                if header.count(column) != 1:
                    problem = "column twice" if column in header else "missing column"
                    raise FileError(path, problem, line=1, value=column)
            for column in header:
                if column not in columns:
                    allowed = ", ".join(columns)
                    raise FileError(path, "unknown column", line=1, value=column, allowed=allowed)
            for cells in reader:
                if "" in cells or None in cells.values():
                    raise FileError(path, "too many or too few cells", line=reader.line_num)
                yield reader.line_num, cells
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
    except csv.Error as error:
        # the broken row begins behind the last good one
        raise FileError(path, f"not CSV ({error})", line=reader.line_num + 1) from None
    except UnicodeDecodeError as error:
        raise FileError(path, f"not UTF-8 text ({error.reason})") from None
