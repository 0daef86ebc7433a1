"""Bringing the results of notebooks up to date: only what changed runs, and the rest stays."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vmalloc_model.errors import InputError, ModelError, nearest
from vmalloc_model.report.files import (
    Digests,
    exclusive,
    files_below,
    replace_folder,
    write_if_different,
)
from vmalloc_model.report.job import Job
from vmalloc_model.report.pool import run_jobs
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import RECORD, read_record, stale_because

__all__ = ["Say", "bring_up_to_date", "defaults", "run_one"]

Say = Callable[[str], None]
"""Takes a line for the user."""


@dataclass(frozen=True, eq=False)
class _Target:
    """Results that shall be up to date: of which notebook, with which parameters, and where."""

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
        targets = [_Target(name, project.runs / name, project.scratch / name) for name in names]
        errors = _bring(project, targets, say)
        for name in names:
            finished = project.runs / name / f"{name}.ipynb"
            if finished.exists():
                copy = project.book / "notebooks" / finished.name
                write_if_different(copy, finished.read_bytes())
    return errors


def run_one(
    project: Project, name: str, given: Sequence[tuple[str, str]], out: Path, say: Say
) -> list[ModelError]:
    """Run one notebook with other parameters into a folder of its own.

    Parameters
    ----------
    project : Project
        The checkout; its book is left alone.
    name : str
        The notebook.
    given : sequence of (str, str)
        Names and values of parameters, as text.
    out : Path
        New folder, or that of an earlier run of this notebook, which is replaced.
    say : callable
        As in `bring_up_to_date`.

    Returns
    -------
    list of ModelError
        The error if the notebook failed; `out` is then as it was before.

    Raises
    ------
    InputError
        Unknown notebook or parameter, a value that is not allowed, or a folder with other things.
    """
    overrides = _overrides(project, name, given)
    out = out.resolve()
    _check_out(project, name, out)
    work = out.with_name(f".{out.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    return _bring(project, [_Target(name, out, work, overrides)], say)


def defaults(project: Project, name: str) -> dict[str, Any]:
    """Parameters of a notebook with their own values, in the order of its parameters cell."""
    from vmalloc_model.report import notebooks

    source = project.source(name)
    return notebooks.parameters(notebooks.read(source), source)


def _bring(project: Project, targets: Sequence[_Target], say: Say) -> list[ModelError]:
    digests = Digests()
    reasons = {
        target: stale_because(project, target.name, target.folder, target.overrides, digests)
        for target in targets
    }
    stale = [target for target in targets if reasons[target]]
    with tempfile.TemporaryDirectory(prefix="vmalloc-report-") as private:
        jobs = [_job(project, target, Path(private)) for target in stale]
        for target, reason in reasons.items():
            say(f"{target.name}: " + (f"runs: {reason}" if reason else "up to date"))
        if not jobs:
            return []
        try:
            return _run(jobs, {target.name: target.folder for target in stale}, say)
        finally:
            for job in jobs:
                shutil.rmtree(job.work, ignore_errors=True)


def _job(project: Project, target: _Target, private: Path) -> Job:
    """Prepare a run; its parameters are checked before any kernel starts."""
    from vmalloc_model import parameters

    values = defaults(project, target.name) | target.overrides
    try:
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


def _run(jobs: Sequence[Job], folders: Mapping[str, Path], say: Say) -> list[ModelError]:
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
                error.add_note(f"kept as {job.project.label(kept)}")
            errors[job.name] = error
            tell(f"{job.name}: failed")

        run_jobs(jobs, bar.update, finished)
    return [errors[job.name] for job in jobs if job.name in errors]


def _count_cells(job: Job) -> int:
    text = job.project.source(job.name).read_text(encoding="utf-8")
    return sum(line.startswith("```{code-cell}") for line in text.splitlines())


def _overrides(project: Project, name: str, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read parameters from text; keep, in the notebook's order, those that change something."""
    from vmalloc_model import parameters

    own = defaults(project, name)
    read: dict[str, Any] = {}
    for parameter, text in given:
        if parameter not in own:
            known = ", ".join(nearest(parameter, own))
            raise InputError(
                f"notebook {name}", "unknown parameter", value=parameter, allowed=known
            )
        if parameter in read:
            raise InputError(f"$.{parameter}", "given twice", value=text)
        read[parameter] = _from_root(project, parameters.literal(parameter, text))
    return {key: read[key] for key in own if key in read and read[key] != own[key]}


def _from_root(project: Project, value: Any) -> Any:
    """Make names of existing files independent of the folder in which the user typed them."""
    if isinstance(value, list):
        return [_from_root(project, one) for one in value]
    if not isinstance(value, str) or not Path(value).is_file():
        return value
    path = Path(value).resolve()
    return str(path.relative_to(project.root) if path.is_relative_to(project.root) else path)


def _check_out(project: Project, name: str, out: Path) -> None:
    """Refuse a folder in which this run would delete something that is not its own."""
    if out.is_relative_to(project.runs) or project.root.is_relative_to(out):
        raise InputError("--out", "is a folder of the project", value=str(out), allowed="another")
    if not out.exists():
        _check_writable(out)
        return
    if not out.is_dir():
        raise InputError("--out", "is not a folder", value=str(out))
    files = [path.relative_to(out).as_posix() for path in files_below(out)]
    record = read_record(out)
    known = [RECORD, *record["outputs"]] if record and record["notebook"] == name else []
    other = sorted(set(files) - set(known))
    if other:
        raise InputError(
            "--out",
            f"folder holds {other[0]}, which is not of an earlier run of {name}",
            value=str(out),
            allowed="a new folder, or that of such a run",
        )


def _check_writable(out: Path) -> None:
    """Refuse a new folder that cannot be made, before a notebook runs for nothing."""
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


def _remove_orphans(project: Project, names: Sequence[str], say: Say) -> None:
    """Remove results and book copies of notebooks that are no more."""
    folders = project.runs.iterdir() if project.runs.exists() else ()
    for path in [*folders, *(project.book / "notebooks").glob("*.ipynb")]:
        if path.stem not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            say(f"{path.stem}: removed {project.label(path)}, its notebook is gone")
