"""The folder a user gets from a run: results, pictures, pages, and the record of it all.

===================== ==============================================================
``index.html``        leads to ``html/``, a small book of the chapters; opens offline
``<notebook>/``       executed notebook, ``numbers.json``, ``provenance.json``, and per figure and
                      table ``data.csv``, ``text.txt``, ``meta.json``, ``chart.svg``, ``chart.png``,
                      ``chart.vl.json``
``compare.txt, .csv`` this run beside another one, if that was asked for
``provenance.json``   command, parameters, versions, and every file by its digest
===================== ==============================================================
"""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import vmalloc_model
from vmalloc_model.dependencies import PACKAGE
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.report.files import Digests, files_below, replace_folder
from vmalloc_model.report.pictures import png_of
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import RECORD, read_record
from vmalloc_model.report.runner import Say

__all__ = ["Other", "RunFolder", "run_folders"]

_INDEX: Final = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=html/index.html">
<title>A run of the vmalloc chunk report</title>
<a href="html/index.html">The chapters of this run</a>
</html>
"""


@dataclass(frozen=True)
class Other:
    """What a run is compared with: a name for it, and its folders of results by notebook."""

    name: str
    folders: Mapping[str, Path]


@dataclass(frozen=True)
class RunFolder:
    """A run to be laid out for the user.

    Attributes
    ----------
    project : Project
        The checkout.
    target : Path
        Absolute path of the folder.
    folders : mapping
        Notebook -> folder of its finished results.
    overrides : mapping
        Notebook -> parameters that differ from its own.
    command : sequence of str
        What makes the folder again.
    html : bool
        Whether it has pages.
    other : Other, optional
        Another run to compare with.
    title, front : str
        Title of the pages, and text of the first one; ``""``: which parameters the chapters have.
    """

    project: Project
    target: Path
    folders: Mapping[str, Path]
    overrides: Mapping[str, Mapping[str, Any]]
    command: Sequence[str]
    html: bool = True
    other: Other | None = None
    title: str = "A run of the vmalloc chunk report"
    front: str = ""
    _digests: Digests = field(default_factory=Digests)

    def check(self) -> None:
        """Refuse, before anything runs, a target in which something else would be deleted.

        Raises
        ------
        InputError
            If the target is part of the project, cannot be written, or holds other things.
        """
        out, project = self.target, self.project
        if out.is_relative_to(project.build) or project.root.is_relative_to(out):
            raise InputError(
                "--out", "is a folder of the project", value=str(out), allowed="another"
            )
        if not out.exists():
            _check_writable(out)
            return
        if not out.is_dir():
            raise InputError("--out", "is not a folder", value=str(out))
        record = _read(out)
        known = {RECORD, *(record["outputs"] if record else ())}
        others = [
            name
            for name in (path.relative_to(out).as_posix() for path in files_below(out))
            if name not in known
        ]
        if others:
            raise InputError(
                "--out",
                f"folder holds {others[0]}, which is not of an earlier run",
                value=str(out),
                allowed="a new folder, or that of a run",
            )
        _check_writable(out)

    def lay_out(self, say: Say) -> None:
        """Fill the target, whole or not at all; an earlier run in it is replaced.

        Parameters
        ----------
        say : callable
            Told what happens: the pages take a few seconds.

        Raises
        ------
        BookError
            If the pages cannot be built.
        OSError
            If the disk is full; the target is then as it was.
        """
        made_of = self._made_of()
        if self._current(made_of):
            say("folder: up to date")
            return
        part = self.target.with_name(f".{self.target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            self._fill(part, say)
            outputs = {
                path.relative_to(part).as_posix(): self._digests.of(path)
                for path in files_below(part)
            }
            record = {**made_of, "outputs": outputs}
            (part / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            replace_folder(part, self.target)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _fill(self, part: Path, say: Say) -> None:
        part.mkdir(parents=True)
        for name, folder in self.folders.items():
            shutil.copytree(folder, part / name)
            for picture in sorted((part / name).glob("*/chart.svg")):
                picture.with_suffix(".png").write_bytes(png_of(picture))
        front = self.front or _front(self)
        if self.other is not None:
            from vmalloc_model.report.comparison import compare

            comparison = compare(self.other.folders, self.folders)
            (part / "compare.txt").write_text(comparison.text(), encoding="utf-8")
            (part / "compare.csv").write_text(comparison.csv(), encoding="utf-8")
            front += "\n" + comparison.page()
        if self.html:
            from vmalloc_model.report.pages import build_pages

            say("pages: building (a few seconds)")
            build_pages(self.project, self.folders, part / "html", title=self.title, front=front)
            (part / "index.html").write_text(_INDEX, encoding="utf-8")

    def _made_of(self) -> dict[str, Any]:
        """Everything the folder follows from, by digest."""
        makers = files_below(self.project.root / PACKAGE / "report")
        if self.html:
            own = self.project.book / "notebooks"
            makers += [p for p in files_below(self.project.book) if not p.is_relative_to(own)]
            makers.append(self.project.root / "_config.yml")
        return {
            "command": shlex.join(self.command),
            "version": vmalloc_model.__version__,
            "pages": [self.title, self.front],
            "overrides": {name: dict(self.overrides.get(name, {})) for name in self.folders},
            "results": self._records(self.folders),
            "compared with": self._records(self.other.folders) if self.other else None,
            "made by": {self.project.label(path): self._digests.of(path) for path in makers},
        }

    def _records(self, folders: Mapping[str, Path]) -> dict[str, str | None]:
        return {name: self._digests.of(folder / RECORD) for name, folder in folders.items()}

    def _current(self, made_of: Mapping[str, Any]) -> bool:
        record = _read(self.target)
        if record is None or any(record.get(key) != value for key, value in made_of.items()):
            return False
        files = {p.relative_to(self.target).as_posix(): p for p in files_below(self.target)}
        files.pop(RECORD)
        now = {name: self._digests.of(path) for name, path in files.items()}
        return bool(record["outputs"] == now)


def run_folders(out: Path, where: str) -> dict[str, Path]:
    """Find the results that a run left in a folder: notebook -> folder.

    Raises
    ------
    FileError
        If it is not the folder of a run.
    """
    found = {}
    for record in sorted(out.glob(f"*/{RECORD}")):
        told = read_record(record.parent)
        if told is not None and told["notebook"] == record.parent.name:
            found[record.parent.name] = record.parent
    if not found:
        allowed = "a folder that `vmalloc-model run` made, or the word book"
        raise FileError(out, f"{where}: holds no results of a run", allowed=allowed)
    return found


def _read(out: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        return record if isinstance(record["outputs"], dict) and "made by" in record else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _front(run: RunFolder) -> str:
    """Say on the first page what this run is."""
    lines = [
        "Chapters of the vmalloc chunk report, run again with other parameters. What a page says",
        "follows from this run; sentences that other chapters' numbers appear in say so.",
        "",
        "```sh",
        shlex.join(run.command),
        "```",
        "",
    ]
    for name in run.folders:
        changed = run.overrides.get(name) or {}
        values = "; ".join(f"`{key}` = `{_text(value)}`" for key, value in changed.items())
        lines.append(f"* {{doc}}`notebooks/{name}`: {values or 'its own parameters'}")
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_writable(out: Path) -> None:
    """Refuse a folder that cannot be made, before a notebook runs for nothing."""
    parent = next(one for one in out.parents if one.exists())
    try:
        tempfile.TemporaryDirectory(dir=parent).cleanup()
    except OSError as error:
        raise InputError(
            "--out",
            f"cannot be written ({error.strerror})",
            value=str(out),
            allowed="a folder in which you may write",
        ) from None
