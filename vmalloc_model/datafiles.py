"""Where the report's input data lies, and reading the small tables in it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Final

from vmalloc_model.errors import FileError

__all__ = ["ROOT", "data_path", "read_toml"]

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout: the folder that holds ``vmalloc_model/``, ``data/`` and ``notebooks/``."""


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
