"""Reading what a run of a notebook left behind.

The whole book reads ``_build/notebooks/<notebook>/``, a small one the folders that its setting
``report_results`` names. Every file that is read is noted as a dependency of the page. So is one
that should be there and is not: the page is then read at every build until it appears.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx.environment import BuildEnvironment

from report_pages.elsewhere import MARK, committed_number

__all__ = ["MissingResult", "Result", "find_number", "find_result", "notebook_of"]


class MissingResult(Exception):
    """A page asks for a figure, table or number that no notebook made."""


@dataclass(frozen=True)
class Result:
    """The files of one figure or table.

    Attributes
    ----------
    folder : Path
        Where they lie; its name is the id.
    meta : dict
        ``meta.json``: caption, description, label, notebook, parameters, command and so on.
    text : str
        ``text.txt``: the plain-text form.
    """

    folder: Path
    meta: dict[str, Any]
    text: str

    @property
    def id(self) -> str:
        """The id, which is also the anchor on the page."""
        return self.folder.name

    @property
    def downloads(self) -> dict[str, Path]:
        """Ending of a download -> the file it is a copy of."""
        files = {"csv": "data.csv", "svg": "chart.svg", "txt": "text.txt"}
        return {
            ending: self.folder / name
            for ending, name in files.items()
            if (self.folder / name).is_file()
        }

    def spec(self) -> dict[str, Any]:
        """Read the Vega-Lite specification of a figure's chart."""
        spec: dict[str, Any] = json.loads(_read(self.folder / "chart.vl.json"))
        return spec

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Read the data: names of the columns, and the rows as text."""
        with (self.folder / "data.csv").open(encoding="utf-8", newline="") as lines:
            names, *rows = csv.reader(lines)
        return names, rows


def notebook_of(docname: str) -> str | None:
    """Name of the notebook a page was made from, None for a prose page."""
    folder, _, name = docname.rpartition("/")
    return name if folder == "notebooks" else None


def find_result(env: BuildEnvironment, id: str, kind: str) -> Result:
    """Find a figure or table of the notebook whose page is being read.

    Raises
    ------
    MissingResult
        If the page is no notebook, or its notebook made no such figure or table.
    """
    notebook = notebook_of(env.docname)
    if notebook is None:
        raise MissingResult(f"{kind} {id!r}: only the page of a notebook can show one")
    run = _run(env, notebook)
    folder = run / id
    env.note_dependency(str(folder / "meta.json"))
    if not (folder / "meta.json").is_file():
        known = sorted(path.parent.name for path in run.glob("*/meta.json"))
        raise MissingResult(f"no {kind} {id!r} in the results of {notebook}" + _hint(id, known))
    meta = json.loads(_read(folder / "meta.json"))
    if meta["kind"] != kind:
        raise MissingResult(f"{id!r} of {notebook} is a {meta['kind']}, not a {kind}")
    for path in folder.iterdir():
        env.note_dependency(str(path))
    return Result(folder, meta, _read(folder / "text.txt"))


def find_number(env: BuildEnvironment, name: str) -> str:
    """Find a number of the prose as it prints.

    Parameters
    ----------
    env : BuildEnvironment
        Knows the page that is being read.
    name : str
        ``id`` for a number of the page's own notebook, ``notebook/id`` for any other.

    Raises
    ------
    MissingResult
        If there is no such number.
    """
    notebook, _, id = name.rpartition("/")
    notebook = notebook or notebook_of(env.docname) or ""
    if not notebook:
        raise MissingResult(f"number {name!r}: a prose page writes notebook/id")
    committed = committed_number(env, notebook, id)
    if committed is not None:
        return committed + MARK
    path = _run(env, notebook) / "numbers.json"
    env.note_dependency(str(path))
    numbers = json.loads(_read(path)) if path.is_file() else {}
    if id not in numbers:
        raise MissingResult(f"no number {id!r} in the results of {notebook}" + _hint(id, numbers))
    return str(numbers[id]["text"])


def _run(env: BuildEnvironment, notebook: str) -> Path:
    own = env.config.report_results.get(notebook)
    return Path(own) if own else Path(env.srcdir).parent / "_build" / "notebooks" / notebook


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _hint(id: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(id, list(known), n=3)
    return f"; nearest: {', '.join(near)}" if near else ""
