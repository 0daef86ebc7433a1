"""Finished figures and tables: where they lie, and what their plain text shows.

The plain text is read back rather than the CSV: its table is the compact form that the chapter
chose, with units, and every number is printed as the report prints it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmalloc_model.errors import InputError, nearest
from vmalloc_model.report.plaintext import read_table
from vmalloc_model.report.project import Project

__all__ = ["Result", "Table", "known_results", "read_result"]


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes
    ----------
    headers : tuple of str
        Headings of the columns.
    rows : tuple of tuples of str
        Cells in ASCII, as wide as they are.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Result:
    """A finished figure or table.

    Attributes
    ----------
    id, notebook, label, caption, digest : str
        As in ``meta.json``; the caption is MyST.
    parameters : mapping
        Every parameter of the run.
    table : Table
        The table of ``text.txt``.
    """

    id: str
    notebook: str
    label: str
    caption: str
    digest: str
    parameters: Mapping[str, Any]
    table: Table


def known_results(project: Project) -> dict[str, str]:
    """Id of every figure and table -> its notebook.

    They are looked up in the finished results and, for a chapter without, in the committed ones.
    """
    found: dict[str, str] = {}
    for name in project.names():
        ids = sorted(path.parent.name for path in (project.runs / name).glob("*/meta.json"))
        if not ids:
            committed = sorted((project.committed / name).glob("*-*.csv"))
            ids = [path.stem for path in committed]
        found |= dict.fromkeys(ids, name)
    return found


def read_result(folder: Path) -> Result:
    """Read the result that lies in `folder`, named by its id.

    Raises
    ------
    InputError
        If there is no such result; the ids beside it are listed, nearest first.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        text = (folder / "text.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        there = nearest(
            folder.name, sorted(path.parent.name for path in folder.parent.glob("*/meta.json"))
        )
        allowed = ", ".join(there) or None
        raise InputError(
            "id", "not among the results", value=folder.name, allowed=allowed
        ) from None
    headings, rows = read_table(text)
    return Result(
        id=meta["id"],
        notebook=meta["notebook"],
        label=meta["label"],
        caption=meta["caption"],
        digest=meta["digest"],
        parameters=meta["parameters"],
        table=Table(tuple(headings), tuple(map(tuple, rows))),
    )
