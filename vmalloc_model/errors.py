"""The errors a user can cause: one line each, with the place, the value, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["FileError", "InputError", "ModelError", "NotebookError", "nearest"]


class ModelError(Exception):
    """Base of every error the package raises on purpose; ``str()`` is one line for the user."""


class InputError(ModelError, ValueError):
    """A value that was given from outside is not usable.

    Parameters
    ----------
    where : str
        The place: a parameter (``$.chunk_size``), a column, an option.
    problem : str
        What is wrong with it, without the value.
    value : object, optional
        The value as it was given.
    allowed : str, optional
        What would have been accepted.
    """

    def __init__(
        self, where: str, problem: str, *, value: Any = None, allowed: str | None = None
    ) -> None:
        self.where, self.problem, self.value, self.allowed = where, problem, value, allowed
        text = f"{where}: {problem}"
        if value is not None:
            text += f": {value!r}"
        if allowed:
            text += f"; allowed: {allowed}"
        super().__init__(text)


class FileError(InputError):
    """A file cannot be used; the place is its path and, where there is one, the line.

    Parameters
    ----------
    path : str or Path
        The file as the user named it.
    problem : str
        What is wrong with it, without the value.
    line : int, optional
        1-based line number in the (decompressed) text.
    value, allowed
        As in `InputError`.
    """

    def __init__(
        self,
        path: str | Path,
        problem: str,
        *,
        line: int | None = None,
        value: Any = None,
        allowed: str | None = None,
    ) -> None:
        self.path, self.line = Path(path), line
        where = str(path) if line is None else f"{path}, line {line:,}"
        super().__init__(where, problem, value=value, allowed=allowed)


class NotebookError(ModelError):
    """A cell of a notebook failed.

    Parameters
    ----------
    notebook : str
        Name of the notebook.
    cell : int
        1-based number of the cell, counting all cells of the source.
    first_line : str
        First line of the cell's source, to find it by.
    error : str
        ``Type: message`` of the exception.
    """

    def __init__(self, notebook: str, cell: int, first_line: str, error: str) -> None:
        self.notebook, self.cell, self.first_line, self.error = notebook, cell, first_line, error
        name, _, said = error.partition(": ")
        self.from_input = name in (InputError.__name__, FileError.__name__)
        """Whether an unusable input made the cell fail; then its own words come first."""
        if self.from_input:
            super().__init__(f"{said} (in notebook {notebook}, cell {cell})")
        else:
            super().__init__(f"notebook {notebook}, cell {cell} ({first_line}): {error}")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """List all `known` names, those that look like `name` first: for the "allowed" of an error."""
    names = list(known)
    alike = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    return alike + [other for other in names if other not in alike]
