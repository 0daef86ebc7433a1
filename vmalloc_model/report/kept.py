"""Results of notebooks with any parameters, each computed once and kept in the build folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from vmalloc_model.errors import ModelError
from vmalloc_model.report.files import Digests, exclusive
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import stale_because
from vmalloc_model.report.runner import Say, Target, run_stale

__all__ = ["Kept", "keep", "results"]


class Kept(NamedTuple):
    """What became of a call of `keep`.

    Attributes
    ----------
    folders : dict
        Notebook -> folder of its finished results, in the order of the call; without those that
        failed.
    errors : list of ModelError
        One for each notebook that failed.
    """

    folders: dict[str, Path]
    errors: list[ModelError]


def keep(project: Project, wanted: Mapping[str, Mapping[str, Any]], say: Say) -> Kept:
    """Run notebooks whose results with these parameters are not there yet, and keep the results.

    Parameters
    ----------
    project : Project
        The checkout; its book and the results of the book are left alone.
    wanted : mapping
        Notebook -> parameters that differ from its own, as `vmalloc_model.report.overrides` reads
        them.
    say : callable
        Told, per notebook, that it is up to date or why it runs, and when it is done.

    Returns
    -------
    Kept
        The folders are the cache itself: to be read, not changed.

    Raises
    ------
    InputError
        If the parameters of a notebook are not usable; then none has run.

    Notes
    -----
    Each notebook's results are in place as soon as it has finished, so a call that is interrupted
    goes on where it was.
    """
    digests = Digests()
    folders: dict[str, Path] = {}
    targets: list[Target] = []
    for name, overrides in wanted.items():
        book = project.runs / name
        if not overrides and stale_because(project, name, book, {}, digests) is None:
            say(f"{name}: already computed, for the book")
            folders[name] = book
            continue
        text = json.dumps(overrides, sort_keys=True)
        folder = project.kept / name / hashlib.sha256(text.encode()).hexdigest()[:16]
        folders[name] = folder
        targets.append(Target(name, folder, folder.with_suffix(".part"), dict(overrides)))
    with ExitStack() as stack:
        for target in sorted(targets, key=lambda one: one.folder):
            stack.enter_context(exclusive(target.folder.with_suffix(".lock")))
            shutil.rmtree(target.work, ignore_errors=True)
        errors = run_stale(project, targets, say, fresh="already computed with these parameters")
    good = {name: path for name, path in folders.items() if name not in errors}
    return Kept(good, list(errors.values()))


def results(project: Project, wanted: Mapping[str, Mapping[str, Any]], say: Say) -> dict[str, Path]:
    """Like `keep`, but the first notebook that fails raises its error."""
    kept = keep(project, wanted, say)
    if kept.errors:
        raise kept.errors[0]
    return kept.folders
