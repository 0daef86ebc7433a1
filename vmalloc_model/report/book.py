"""Building the book, as pages or as plain text, from prose and finished notebooks.

The last good one stays until a new one is whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vmalloc_model.dependencies import PACKAGE
from vmalloc_model.errors import ModelError
from vmalloc_model.report.files import (
    Digests,
    exclusive,
    files_below,
    replace_folder,
    write_if_different,
)
from vmalloc_model.report.project import Project
from vmalloc_model.report.runner import Say

__all__ = ["BookError", "build_book", "build_text", "render"]

SHOWN: Final = 20
"""Warnings shown of a failed build; the log has all."""

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_TOP_LEVEL: Final = ("*.md", "*.yml", "*.cff", "LICENSE*", "requirements.txt")


class BookError(ModelError):
    """The book could not be built; the message holds the warnings."""


@dataclass(frozen=True)
class _Form:
    """A form of the book: a name for the user, its files, and the Sphinx builder that makes it."""

    title: str
    name: str
    builder: str
    first: str


_PAGES: Final = _Form("book", "book", "html", "index.html")
_TEXT: Final = _Form("plain text", "text", "text", "report.txt")


def build_book(project: Project, say: Say) -> Path:
    """Build the book if anything it is made of has changed.

    Parameters
    ----------
    project : Project
        The checkout; its notebooks are up to date.
    say : callable
        Told that the book is up to date, or why it is built, and when it is done.

    Returns
    -------
    Path
        Its first page.

    Raises
    ------
    BookError
        On any warning, such as an unknown reference or number. The book that was there before
        stays, and ``_build/book.log`` has the whole output.
    """
    return _bring_up_to_date(project, _PAGES, say)


def build_text(project: Project, say: Say) -> Path:
    """Build the plain-text edition of the book in the same way; its log is ``_build/text.log``.

    Returns
    -------
    Path
        ``report.txt``, which holds everything; beside it lies one file per page.
    """
    return _bring_up_to_date(project, _TEXT, say)


def _bring_up_to_date(project: Project, form: _Form, say: Say) -> Path:
    target, record = project.build / form.builder, project.build / f"{form.name}.json"
    with exclusive(project.build):
        inputs = _inputs(project)
        reason = _stale_because(target, record, inputs)
        say(f"{form.title}: " + (f"building: {reason}" if reason else "up to date"))
        if reason:
            started = time.monotonic()
            made = _make(project, form)
            record.unlink(missing_ok=True)
            replace_folder(made, target)
            shutil.rmtree(_stage(project))
            state = {"inputs": inputs, "pages": _labelled(target, files_below(target))}
            write_if_different(record, json.dumps(state, indent=1).encode())
            say(f"{form.title}: done after {time.monotonic() - started:.1f} s")
    return target / form.first


def _stage(project: Project) -> Path:
    return project.build / "stage"


def _make(project: Project, form: _Form) -> Path:
    """Build from nothing in a folder aside; return the folder of the pages.

    From nothing, because Sphinx does not repeat the warnings of pages that it does not read again,
    and keeps pages that are no more.
    """
    stage, log = _stage(project), project.build / f"{form.name}.log"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    return render(project, project.book, stage, log, form.builder)


def render(
    project: Project, source: Path, stage: Path, log: Path, builder: str = _PAGES.builder
) -> Path:
    """Have Jupyter Book make pages.

    Parameters
    ----------
    project : Project
        The checkout; its package is what the pages' extension imports.
    source : Path
        Folder of the pages' sources, the configuration beside it.
    stage : Path
        Folder that the pages are made in.
    log : Path
        File for the whole output.
    builder : str
        Sphinx's name of the form: ``html`` or ``text``.

    Returns
    -------
    Path
        Folder of the pages.

    Raises
    ------
    BookError
        On any warning.
    """
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += [str(source), "--path-output", str(stage), "-W", "-n", "--keep-going"]
    if builder != _PAGES.builder:
        command += ["--builder", "custom", "--custom-builder", builder]
    search = [str(project.root), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
        "PYTHONHASHSEED": "0",
    }
    with log.open("wb") as output:
        status = subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=project.root, env=environment
        ).returncode
    log.write_text(_COLOUR.sub("", log.read_text(encoding="utf-8", errors="replace")), "utf-8")
    pages = stage / "_build" / builder
    if status or not pages.is_dir():
        raise BookError(_explanation(project, source, log))
    return pages


def _explanation(project: Project, source: Path, log: Path) -> str:
    lines = log.read_text(encoding="utf-8").splitlines()
    telling = [line for line in lines if any(word in line for word in ("WARNING:", "ERROR:"))]
    # The last line of an exception, where no warning was printed before it.
    telling = (
        list(dict.fromkeys(telling))
        or [line for line in lines if re.search(r"Error: *\S", line)][-1:]
    )
    shown = [line.replace(f"{source.parent}{os.sep}", "") for line in telling[:SHOWN]]
    more = [f"{len(telling) - SHOWN} more"] if len(telling) > SHOWN else []
    head = f"the book was not built, see {project.label(log)}"
    return "\n  ".join([head, *shown, *more])


def _inputs(project: Project) -> dict[str, str | None]:
    """Everything the book may be made of, by digest: rather too much than too little."""
    generated = project.book / "notebooks"
    folders = [project.book, project.data, project.root / PACKAGE, project.runs]
    files = [path for folder in folders for path in files_below(folder)]
    files += [path for pattern in _TOP_LEVEL for path in project.root.glob(pattern)]
    return _labelled(project.root, [p for p in files if not p.is_relative_to(generated)])


def _labelled(folder: Path, files: list[Path]) -> dict[str, str | None]:
    digests = Digests()
    return {
        (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix(): digests.of(
            path
        )
        for path in files
    }


def _stale_because(html: Path, record: Path, inputs: dict[str, str | None]) -> str | None:
    try:
        state = json.loads(record.read_text(encoding="utf-8"))
        known_inputs, known_pages = state["inputs"], state["pages"]
    except (OSError, ValueError, KeyError):
        return "no earlier book"
    for label in sorted(inputs.keys() | known_inputs.keys()):
        if inputs.get(label) != known_inputs.get(label):
            return f"{label} changed"
    if not html.is_dir() or _labelled(html, files_below(html)) != known_pages:
        return "its pages were altered"
    return None
