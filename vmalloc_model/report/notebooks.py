"""Chapters as notebooks: reading the MyST source, its parameters, and the form that is kept.

An executed notebook is kept without anything that differs from run to run (times, random cell ids,
paths), so that the same inputs give the same bytes.
"""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import Any, Final

import jupytext
import nbformat
from nbformat import NotebookNode

from vmalloc_model.errors import FileError, NotebookError

__all__ = [
    "code_cells",
    "first_line",
    "kept_form",
    "one_line",
    "parameters",
    "parameters_index",
    "problem",
    "read",
]

_INJECTED: Final = "injected-parameters"


def read(path: Path) -> NotebookNode:
    """Read a notebook from its MyST Markdown source; cells get ids by their place.

    Raises
    ------
    FileError
        If the file is no MyST notebook.
    """
    try:
        notebook: NotebookNode = jupytext.read(path, fmt="md:myst")  # type: ignore[no-untyped-call]
    except Exception as error:
        # jupytext hands on whatever its parsers raise: YAML, Markdown, JSON and encoding errors.
        raise FileError(path, f"not a MyST notebook ({one_line(error)})") from None
    _number(notebook)
    return notebook


def code_cells(notebook: NotebookNode) -> list[str]:
    """List the sources of the code cells, in order."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def parameters_index(notebook: NotebookNode, path: Path) -> int:
    """Index of the one cell tagged ``parameters``.

    Raises
    ------
    FileError
        If there is none or more than one.
    """
    tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in _tags(cell)]
    if len(tagged) != 1:
        raise FileError(
            path, "wrong number of cells tagged 'parameters'", value=len(tagged), allowed="one"
        )
    return tagged[0]


def parameters(notebook: NotebookNode, path: Path) -> dict[str, Any]:
    """Defaults of a notebook's parameters.

    Parameters
    ----------
    notebook : NotebookNode
        As `read` gives it.
    path : Path
        Its source, to name places in errors.

    Returns
    -------
    dict
        Name -> value, in the order of the cell: int, float, str, bool or a list of these.

    Raises
    ------
    FileError
        If the parameters cell holds anything but assignments of such literals to names.
    """
    source = notebook.cells[parameters_index(notebook, path)].source
    text = path.read_text(encoding="utf-8")
    above = text[: text.find(source)].count("\n") if source in text else None
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        line = None if above is None else above + (error.lineno or 1)
        raise FileError(
            path, f"parameters cell is not valid Python ({error.msg})", line=line
        ) from None
    found: dict[str, Any] = {}
    for statement in statements:
        line = None if above is None else above + statement.lineno
        name, value = _assigned(statement)
        if name is None:
            raise FileError(
                path,
                "not a parameter",
                line=line,
                value=ast.unparse(statement),
                allowed="name = number, text, True, False or a list of these",
            )
        if name in found:
            raise FileError(path, "parameter assigned twice", line=line, value=name)
        found[name] = value
    return found


def kept_form(notebook: NotebookNode) -> bytes:
    """Bytes of an executed notebook without what differs from run to run.

    Values that papermill injected stay, in a cell that the book does not show.
    """
    notebook = copy.deepcopy(notebook)
    for name in ("papermill", "jupytext"):
        notebook.metadata.pop(name, None)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        tags = _tags(cell) + (["remove-cell"] if _INJECTED in _tags(cell) else [])
        cell.metadata.pop("tags", None)
        if tags:
            cell.metadata["tags"] = tags
    _number(notebook)
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return (text.rstrip("\n") + "\n").encode()


def problem(name: str, notebook: NotebookNode) -> NotebookError | None:
    """Find what disqualifies an executed notebook, although its kernel did not stop.

    A cell may have left by ``sys.exit()``, been allowed to raise, or written to the standard error
    stream. The latter would put paths of this machine and unread warnings on a page of the book.
    """
    sources = [cell for cell in notebook.cells if _INJECTED not in _tags(cell)]
    for number, cell in enumerate(sources, start=1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        outputs = {output.output_type: output for output in cell.outputs}
        if "error" in outputs:
            error = f"{outputs['error'].ename}: {outputs['error'].evalue}"
            return NotebookError(name, number, first_line(cell.source), one_line(error))
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                error = f"wrote to stderr: {one_line(output.text)}"
                return NotebookError(name, number, first_line(cell.source), error)
        if cell.execution_count is None:
            return NotebookError(name, number, first_line(cell.source), "was not run")
    return None


def first_line(source: str) -> str:
    """First line of a cell, to find it by."""
    return source.strip().partition("\n")[0].strip()


def _assigned(statement: ast.stmt) -> tuple[str | None, Any]:
    """Name and value of ``name = literal``; the name is None for anything else."""
    if (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
    ):
        try:
            value = ast.literal_eval(statement.value)
        except ValueError:
            return None, None
        if all(type(one) in (int, float, str, bool) for one in _each(value)):
            return statement.targets[0].id, value
    return None, None


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _number(notebook: NotebookNode) -> None:
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i:03d}"


def one_line(error: object) -> str:
    """First line of an error that says anything."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else "no message"
