"""What commands print and write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from vmalloc_model.errors import FileError
from vmalloc_model.wholefiles import new_file

__all__ = ["aligned", "check_target", "progress", "shown_path", "write_whole"]


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Set rows of cells in columns as wide as they need; those listed in `right` end together."""
    if not rows:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def check_target(path: Path) -> None:
    """Make sure, before work begins, that a file can be written; FileError if it cannot."""
    if path.is_dir():
        raise FileError(path, "is a folder", allowed="the name of a file")
    folder = path.parent
    if not folder.is_dir():
        raise FileError(path, "its folder does not exist")
    if path.exists() and not path.is_file():
        raise FileError(path, "cannot be written")
    try:
        # Rights alone do not tell: root has them in /proc too.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from None


def write_whole(path: Path, content: str | bytes) -> None:
    """Give a file this text (UTF-8) or these bytes, whole or not at all."""
    with new_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def shown_path(path: Path) -> str:
    """Path as the user would type it, from the current folder where it lies below."""
    here = Path.cwd()
    return os.fspath(path.relative_to(here) if path.is_relative_to(here) else path)


def progress(line: str) -> None:
    """Tell how it goes on, on standard error: it depends on what was computed before."""
    click.echo(line, err=True)
