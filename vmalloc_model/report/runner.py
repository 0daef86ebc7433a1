"""Bringing the results of notebooks up to date: only what changed runs, and the rest stays."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vmalloc_model.errors import InputError, ModelError
from vmalloc_model.report.files import Digests, exclusive, replace_folder, write_if_different
from vmalloc_model.report.job import Job
from vmalloc_model.report.pool import run_jobs
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import stale_because

__all__ = ["Say", "Target", "bring_up_to_date", "defaults", "run_stale"]

Say = Callable[[str], None]
"""Takes a line for the user."""


@dataclass(frozen=True, eq=False)
class Target:
    """Results that shall be up to date.

    Attributes
    ----------
    name : str
        The notebook; each stands once among the targets of one call.
    folder, work : Path
        Where the results belong, and an unfinished folder on the same file system.
    overrides : dict
        Parameters with other values than the notebook's own.
    """

    name: str
    folder: Path
    work: Path
    overrides: dict[str, Any] = field(default_factory=dict)


def bring_up_to_date(project: Project, say: Say) -> list[ModelError]:
    """Run the notebooks whose results are not up to date, and renew the book's copies.

    Parameters
    ----------
    project : Project
        The checkout.
    say : callable
        Told, per notebook, that it is up to date or why it runs, and when it is done.

    Returns
    -------
    list of ModelError
        One for each notebook that failed; its last good results are still in place.

    Raises
    ------
    InputError
        If there are no notebooks, or a notebook's parameters are not usable.
    """
    names = project.names()
    if not names:
        raise InputError(str(project.notebooks), "holds no notebooks", allowed="*.md")
    with exclusive(project.build):
        shutil.rmtree(project.scratch, ignore_errors=True)
        _remove_orphans(project, names, say)
        targets = [Target(name, project.runs / name, project.scratch / name) for name in names]
        errors = run_stale(project, targets, say)
        for name in names:
            finished = project.runs / name / f"{name}.ipynb"
            if finished.exists():
                copy = project.book / "notebooks" / finished.name
                write_if_different(copy, finished.read_bytes())
    return list(errors.values())


def defaults(project: Project, name: str) -> dict[str, Any]:
    """Parameters of a notebook with their own values, in the order of its parameters cell."""
    from vmalloc_model.report import notebooks

    source = project.source(name)
    return notebooks.parameters(notebooks.read(source), source)


def run_stale(
    project: Project, targets: Sequence[Target], say: Say, fresh: str = "up to date"
) -> dict[str, ModelError]:
    """Run those targets that are not up to date, several at a time.

    Parameters
    ----------
    project : Project
        The checkout.
    targets : sequence of Target
        Each notebook once.
    say : callable
        As in `bring_up_to_date`.
    fresh : str
        What is said of results that are up to date.

    Returns
    -------
    dict
        The error of each notebook that failed; its folder is as it was.

    Raises
    ------
    InputError
        If the parameters of a notebook are not usable; then none has run.
    """
    digests = Digests()
    reasons = {
        target: stale_because(project, target.name, target.folder, target.overrides, digests)
        for target in targets
    }
    stale = [target for target in targets if reasons[target]]
    with tempfile.TemporaryDirectory(prefix="vmalloc-report-") as private:
        jobs = [_job(project, target, Path(private)) for target in stale]
        for target, reason in reasons.items():
            say(f"{target.name}: " + (f"runs: {reason}" if reason else fresh))
        if not jobs:
            return {}
        try:
            return _run(jobs, {target.name: target.folder for target in stale}, say)
        finally:
            for job in jobs:
                shutil.rmtree(job.work, ignore_errors=True)


def _job(project: Project, target: Target, private: Path) -> Job:
    """Prepare a run; its parameters are checked before any kernel starts."""
    from vmalloc_model import parameters

    values = defaults(project, target.name) | target.overrides
    try:
        with chdir(project.root):  # where its kernel runs: names of files are relative to it
            parameters.checked(**values)
    except InputError as error:
        if target.overrides:
            raise
        raise InputError(
            f"{project.label(project.source(target.name))}: {error.where}",
            error.problem,
            value=error.value,
            allowed=error.allowed,
        ) from None
    return Job(project, target.name, values, target.overrides, target.work, private / target.name)


def _run(jobs: Sequence[Job], folders: Mapping[str, Path], say: Say) -> dict[str, ModelError]:
    from tqdm import tqdm

    errors: dict[str, ModelError] = {}
    started = time.monotonic()
    for job in jobs:
        job.work.mkdir(parents=True)
        job.private.mkdir()
    total = sum(_count_cells(job) + bool(job.overrides) for job in jobs)
    with tqdm(total=total, unit="cell", leave=False, disable=not sys.stderr.isatty()) as bar:

        def tell(line: str) -> None:
            with bar.external_write_mode(file=sys.stderr):
                say(line)

        def finished(job: Job, error: ModelError | None) -> None:
            if error is None:
                replace_folder(job.results, folders[job.name])
                tell(f"{job.name}: done after {time.monotonic() - started:.1f} s")
                return
            if job.raw.exists():
                job.project.failed.mkdir(parents=True, exist_ok=True)
                kept = job.raw.replace(job.project.failed / f"{job.name}.ipynb")
                error.add_note(f"kept as {_from_here(kept)}")
            errors[job.name] = error
            tell(f"{job.name}: failed")

        run_jobs(jobs, bar.update, finished)
    return {job.name: errors[job.name] for job in jobs if job.name in errors}


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _count_cells(job: Job) -> int:
    text = job.project.source(job.name).read_text(encoding="utf-8")
    return sum(line.startswith("```{code-cell}") for line in text.splitlines())


def _remove_orphans(project: Project, names: Sequence[str], say: Say) -> None:
    """Remove results and book copies of notebooks that are no more."""
    folders = project.runs.iterdir() if project.runs.exists() else ()
    for path in [*folders, *(project.book / "notebooks").glob("*.ipynb")]:
        if path.stem not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            say(f"{path.stem}: removed {project.label(path)}, its notebook is gone")
