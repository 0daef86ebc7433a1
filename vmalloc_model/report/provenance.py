"""What made a folder of results: inputs by digest, parameters, versions, and the command.

The record holds no time, no host and no path of this machine except that of a file which lies
outside the checkout, so two clean runs write the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import vmalloc_model
from vmalloc_model.report.files import Digests, files_below
from vmalloc_model.report.project import Project

__all__ = ["RECORD", "read_record", "record_of", "stale_because"]

RECORD: Final = "provenance.json"
_CHANGED_WHILE_RUNNING: Final = "changed while the notebook ran"


def record_of(
    project: Project,
    name: str,
    results: Path,
    *,
    parameters: Mapping[str, Any],
    overrides: Mapping[str, Any],
    command: str,
    modules: Iterable[Path],
    data: Iterable[Path],
    started: int,
) -> dict[str, Any]:
    """Describe a run that has just ended.

    Parameters
    ----------
    project : Project
        The checkout.
    name : str
        The notebook.
    results : Path
        Folder with its finished outputs.
    parameters, overrides : mapping
        All values, and those among them that differ from the notebook's own.
    command : str
        What makes the run again.
    modules, data : iterable of Path
        Files of the package, and other files and folders, that the run used.
    started : int
        Time of its start by the clock of the file system, in ns. An input that was written later
        is recorded as unknown, because the run may have seen what it held before.

    Returns
    -------
    dict
        For JSON; inputs and outputs as label -> SHA-256.
    """
    digests = Digests()

    def inputs(paths: Iterable[Path]) -> dict[str, str | None]:
        return {
            label: (
                _CHANGED_WHILE_RUNNING
                if path.exists() and path.stat().st_mtime_ns > started
                else digests.of(path)
            )
            for label, path in sorted((project.label(path), path) for path in paths)
        }

    return {
        "notebook": name,
        "command": command,
        "parameters": dict(parameters),
        "overrides": dict(overrides),
        "inputs": {
            "notebook": inputs([project.source(name)]),
            "lock file": inputs([project.lock_file]),
            "modules": inputs(modules),
            "data": inputs(data),
        },
        "outputs": {
            path.relative_to(results).as_posix(): digests.of(path) for path in files_below(results)
        },
        "versions": {
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "vmalloc-model": vmalloc_model.__version__,
            **{name: version(name) for name in ("altair", "numpy", "polars", "vl-convert-python")},
        },
    }


def read_record(results: Path) -> dict[str, Any] | None:
    """Read the record of a results folder; None if there is none that can be used."""
    try:
        record = json.loads((results / RECORD).read_text(encoding="utf-8"))
        usable = all(isinstance(record[key], dict) for key in ("inputs", "outputs", "overrides"))
        return record if usable and isinstance(record["notebook"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stale_because(
    project: Project, name: str, results: Path, overrides: Mapping[str, Any], digests: Digests
) -> str | None:
    """Tell why a results folder is not what a run would make now; None if it is.

    Parameters
    ----------
    project : Project
        The checkout.
    name : str
        The notebook.
    results : Path
        Folder of an earlier run, or of none.
    overrides : mapping
        Parameter values that differ from the notebook's own.
    digests : Digests
        Shared by the checks of several notebooks, so that no file is read twice.
    """
    record = read_record(results)
    if record is None or record["notebook"] != name:
        return "no earlier results"
    for files in record["inputs"].values():
        for label, digest in files.items():
            now = digests.of(project.located(label))
            if now != digest:
                return f"{label} {_change(digest, now)}"
    if record["overrides"] != overrides:
        return "parameters changed"
    return _spoilt(results, record["outputs"])


def _spoilt(results: Path, outputs: Mapping[str, str]) -> str | None:
    """Compare the files of a results folder with the record of what was written."""
    digests = Digests()
    files = {path.relative_to(results).as_posix(): path for path in files_below(results)}
    files.pop(RECORD)
    for label, digest in outputs.items():
        if label not in files:
            return f"output {label} is missing"
        if digests.of(files.pop(label)) != digest:
            return f"output {label} was altered"
    return f"output {min(files)} is not from a run" if files else None


def _change(before: str | None, now: str | None) -> str:
    if before == _CHANGED_WHILE_RUNNING:
        return before
    return "is new" if before is None else "is gone" if now is None else "changed"
