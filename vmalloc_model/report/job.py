"""One notebook to run: with which parameters, and in which folders."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmalloc_model.report.project import Project

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """A notebook to run.

    Attributes
    ----------
    project : Project
        The checkout; the kernel runs in its root.
    name : str
        The notebook.
    parameters, overrides : dict
        All values, and those among them that differ from the notebook's own.
    work : Path
        Empty folder on the file system of the finished results. The run leaves its results in
        ``results/`` there; ``raw.ipynb`` is the notebook as far as it got.
    private : Path
        Empty folder with a short path, for the kernel's sockets and settings.
    """

    project: Project
    name: str
    parameters: dict[str, Any]
    overrides: dict[str, Any]
    work: Path
    private: Path

    @property
    def results(self) -> Path:
        """Folder the results are written to."""
        return self.work / "results"

    @property
    def raw(self) -> Path:
        """The notebook as papermill saves it after each cell."""
        return self.work / "raw.ipynb"

    @property
    def command(self) -> str:
        """What makes this run again."""
        words = ["vmalloc-model", "run", self.name]
        for parameter, value in self.overrides.items():
            values = value if isinstance(value, list) else [value]
            words += ["-p", f"{parameter}={','.join(str(one) for one in values)}"]
        return shlex.join(words)
