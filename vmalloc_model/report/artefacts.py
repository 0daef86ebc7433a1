"""What a notebook leaves behind: the files of each figure and table, and the numbers of the prose.

A run of a notebook owns one folder. The runner names it, and the rest a caption needs, in the
environment; a notebook opened by hand gets ``_build/by-hand`` instead.

============================== ====================================================
``VMALLOC_REPORT_OUT``         folder of this run
``VMALLOC_REPORT_NOTEBOOK``    name of the notebook
``VMALLOC_REPORT_PARAMETERS``  its parameters, as JSON
``VMALLOC_REPORT_COMMAND``     the command that makes this run again
============================== ====================================================

Files of a figure: ``<id>/data.csv``, ``chart.vl.json``, ``chart.svg``, ``text.txt``,
``meta.json``; of a table the same without the chart. ``numbers.json`` holds every number by id.
All are the single source for the book's pages, its downloads, ``data/results/`` and the check.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

import polars as pl

from vmalloc_model.datafiles import ROOT
from vmalloc_model.errors import InputError
from vmalloc_model.report.plaintext import ascii_table, wrapped

__all__ = ["Label", "Shown", "figure", "number", "table"]

Label = Literal["MODEL", "MEASURED", "SOURCE", "MODEL on MEASURED requests", "MODEL and MEASURED"]
"""What kind of evidence a figure is: computed by the model, read off a real kernel's record, taken
from a named source, the model fed with requests that a real kernel recorded, or rows of both
kinds, each marked."""

_ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Shown:
    """A figure or table as a cell displays it.

    The book reads the Markdown form, a directive that draws from the artefact files; Jupyter draws
    the chart itself.
    """

    def __init__(self, markdown: str, text: str, spec: dict[str, Any] | None = None) -> None:
        self._bundle: dict[str, Any] = {"text/markdown": markdown, "text/plain": text}
        if spec is not None:
            self._bundle["application/vnd.vegalite.v6+json"] = spec

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._bundle


def figure(
    id: str,
    chart: Any,
    data: pl.DataFrame,
    *,
    caption: str,
    description: str,
    label: Label = "MODEL",
    summary: pl.DataFrame | None = None,
) -> Shown:
    """Show a figure and write its artefacts.

    Parameters
    ----------
    id : str
        Stable id, ``fig-...``; also its anchor in the book.
    chart : altair chart
        Drawn from `data`; if that has no rows, the words "nothing to show" are drawn instead.
    data : polars.DataFrame
        Everything the figure shows; becomes ``data.csv``.
    caption : str
        The finding, in MyST; its numbers come from `data`.
    description : str
        What the chart looks like, for readers who cannot see it.
    label : str
        The kind of evidence, see `Label`.
    summary : polars.DataFrame, optional
        A compact form of `data` for the plain text, where the tidy form would be long.

    Returns
    -------
    Shown
        For display as the last value of a cell.

    Raises
    ------
    InputError
        If the id is malformed or used twice, or caption or description are empty.
    """
    import vl_convert

    folder = _begin(id, "fig-", caption, description, label)
    # A chart without rows may have no size: a facet without a panel, an axis without a value.
    spec = (_nothing() if data.is_empty() else chart).to_dict()
    spec.setdefault("description", wrapped(description, 10_000))
    svg = vl_convert.vegalite_to_svg(spec)
    _write(folder / "chart.vl.json", json.dumps(spec, indent=1, sort_keys=True) + "\n")
    _write(folder / "chart.svg", svg if svg.endswith("\n") else svg + "\n")
    text = _finish(folder, "figure", data, caption, description, label, summary, None)
    return Shown(f"```{{report-figure}} {id}\n```", text, spec)


def table(
    id: str,
    data: pl.DataFrame,
    *,
    caption: str,
    description: str = "",
    label: Label = "MODEL",
    headers: Mapping[str, str] | None = None,
) -> Shown:
    """Show a table and write its artefacts.

    Parameters
    ----------
    id : str
        Stable id, ``tab-...``; also its anchor in the book.
    data : polars.DataFrame
        The table as it is shown; text cells are MyST in the book.
    caption, description, label
        As in `figure`; a table needs no description.
    headers : mapping, optional
        Column name -> heading; columns without one show their name.
    """
    folder = _begin(id, "tab-", caption, description or caption, label)
    text = _finish(
        folder, "table", data, caption, description or caption, label, None, dict(headers or {})
    )
    return Shown(f"```{{report-table}} {id}\n```", text)


def number(id: str, value: int | float | str, text: str | None = None) -> None:
    """Record a number of the prose, which reads it with the role ``{num}`id```.

    Parameters
    ----------
    id : str
        Id within the notebook: lower-case words joined by ``-``.
    value : int, float or str
        The value itself, kept for the check.
    text : str, optional
        How the prose prints it; by default whole numbers with thousands separators.

    Raises
    ------
    InputError
        If the id is malformed or already stands for another value.
    """
    if not _ID.fullmatch(id):
        raise InputError("number id", "malformed", value=id, allowed="words joined by '-'")
    value = value.item() if hasattr(value, "item") else value
    if text is None:
        text = f"{value:,}" if isinstance(value, int) else str(value)
    path = _out() / "numbers.json"
    numbers = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entry = {"value": value, "text": text}
    if _by_runner() and numbers.get(id, entry) != entry:
        raise InputError("number id", "already stands for another value", value=id)
    numbers[id] = entry
    _write(path, json.dumps(numbers, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _nothing() -> Any:
    """Draw the words that stand in the place of a chart, with what theme there is."""
    import altair as alt

    words = alt.Chart(pl.DataFrame({"text": ["nothing to show"]}))
    return words.mark_text().encode(text="text:N").properties(width=460, height=80)


def _by_runner() -> bool:
    return "VMALLOC_REPORT_OUT" in os.environ


def _out() -> Path:
    folder = Path(os.environ.get("VMALLOC_REPORT_OUT", ROOT / "_build" / "by-hand"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _begin(id: str, prefix: str, caption: str, description: str, label: str) -> Path:
    if not id.startswith(prefix) or not _ID.fullmatch(id):
        raise InputError("figure or table id", "malformed", value=id, allowed=f"{prefix}words")
    if not caption.strip() or not description.strip():
        raise InputError(id, "has no caption or no description", allowed="one sentence or more")
    if label not in get_args(Label):
        raise InputError(id, "unknown label", value=label, allowed=", ".join(get_args(Label)))
    folder = _out() / id
    if _by_runner() and folder.exists():
        raise InputError(id, "shown twice in one notebook")
    folder.mkdir(exist_ok=True)
    return folder


def _finish(
    folder: Path,
    kind: str,
    data: pl.DataFrame,
    caption: str,
    description: str,
    label: str,
    summary: pl.DataFrame | None,
    headers: dict[str, str] | None,
) -> str:
    csv = _flat(data).write_csv()
    digest = hashlib.sha256(csv.encode()).hexdigest()[:12]
    command = os.environ.get("VMALLOC_REPORT_COMMAND", "")
    text = (
        f"{label}\n{wrapped(caption)}\n\n"
        f"{ascii_table(data if summary is None else summary, headers)}\n\n"
        f"id: {folder.name}   result: {digest}\n" + (f"again: {command}\n" if command else "")
    )
    meta = {
        "id": folder.name,
        "kind": kind,
        "label": label,
        "caption": caption,
        "description": description,
        "notebook": os.environ.get("VMALLOC_REPORT_NOTEBOOK", ""),
        "parameters": json.loads(os.environ.get("VMALLOC_REPORT_PARAMETERS", "{}")),
        "command": command,
        "headers": headers or {},
        "columns": data.columns,
        "numeric": [name for name, dtype in data.schema.items() if dtype.is_numeric()],
        "rows": data.height,
        "digest": digest,
    }
    _write(folder / "data.csv", csv)
    _write(folder / "text.txt", text)
    _write(
        folder / "meta.json",
        json.dumps(meta, indent=1, sort_keys=True, ensure_ascii=False) + "\n",
    )
    return text


def _flat(data: pl.DataFrame) -> pl.DataFrame:
    """Join list cells: CSV has no lists."""
    lists = [name for name, dtype in data.schema.items() if isinstance(dtype, pl.List)]
    return (
        data.with_columns(pl.col(lists).cast(pl.List(pl.String)).list.join(" ")) if lists else data
    )


def _write(path: Path, text: str) -> None:
    """Write whole or not at all: readers never see half a file."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
