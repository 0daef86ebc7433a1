"""*Your machine*: the chapters that take a recorded run, for one run, as a folder with pages.

A chapter's parameter ``run`` becomes this run; in ``runs`` it stands before the chapter's own,
which stay for comparison. Where the run tells page size or platform, the chapter gets these too.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

import vmalloc_model
from vmalloc_model.errors import InputError, ModelError, nearest
from vmalloc_model.platforms import find_platform
from vmalloc_model.report.findings import findings
from vmalloc_model.report.project import Project
from vmalloc_model.report.runner import defaults
from vmalloc_model.run_platforms import check_run
from vmalloc_model.runs import Run, find_run, measured_overlay, read_requests
from vmalloc_model.units import count_text, share_text, size_text

__all__ = ["TITLE", "Machine", "chapters"]

TITLE: Final = "Your machine"

_MEASURED: Final = "address-space"
"""Chapter that cannot do without a log of a kernel with the overlay."""

_REPLAYED: Final = "validation"
"""Chapter that shows the run alone, as each is replayed step by step; it too has a part about such
a log, and keeps the report's there."""


def chapters(project: Project) -> list[str]:
    """Name the chapters that take a recorded run, in the order of the report."""
    import yaml

    taking = [name for name in project.names() if {"run", "runs"} & set(defaults(project, name))]
    contents = yaml.safe_load((project.book / "_toc.yml").read_text(encoding="utf-8"))
    listed = [contents["root"]]
    listed += [one["file"] for part in contents["parts"] for one in part["chapters"]]
    names = [place.removeprefix("notebooks/") for place in listed]
    return [name for name in names if name in taking]


@dataclass(frozen=True)
class Machine:
    """A recorded run for which chapters are made.

    Attributes
    ----------
    project : Project
        The checkout.
    run : Run
        As the chapters see it; the path of an own file is absolute.
    requests : polars.DataFrame
        As from `vmalloc_model.runs.read_requests`.
    platform : str or None
        For the chapters that have this parameter; None leaves their own.
    cpus : int or None
        The same.
    """

    project: Project
    run: Run
    requests: pl.DataFrame
    platform: str | None = None
    cpus: int | None = None

    @classmethod
    def of(
        cls, project: Project, name: str, platform: str | None = None, cpus: int | None = None
    ) -> Machine:
        """Find and read a recording.

        Parameters
        ----------
        project : Project
            The checkout.
        name : str
            An id of ``data/runs/runs.toml``, or the path of a recording.
        platform : str, optional
            Id of a platform; by default that of the run, where it is known.
        cpus : int, optional
            CPUs of the machine that the chapters compute for.

        Raises
        ------
        InputError, FileError
            If there is no such run, or it cannot be used.
        """
        if platform is not None:
            find_platform(platform, "--platform")
        path = Path(name)
        run = find_run(str(path.resolve()) if path.is_file() else name, "RUN")
        if platform is not None:
            check_run(run.key, find_platform(platform))
        return cls(project, run, read_requests(run.key), platform or run.platform, cpus)

    def overrides(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Say with which parameters chapters run: notebook -> those that differ from its own.

        Raises
        ------
        InputError
            If a notebook is none of `chapters`.
        """
        known = chapters(self.project)
        for name in names:
            if name not in known:
                allowed = ", ".join(nearest(name, known))
                raise InputError("--chapter", "takes no recorded run", value=name, allowed=allowed)
        return {name: self._overrides(name) for name in names}

    def _overrides(self, name: str) -> dict[str, Any]:
        own = defaults(self.project, name)
        others = [one for one in own.get("runs", ()) if one != self.run.key]
        wanted: dict[str, Any] = {
            "run": self.run.key,
            "runs": [self.run.key, *([] if name == _REPLAYED else others)],
            "page_size": size_text(self.run.page_size).removesuffix("iB").replace(" ", ""),
            "platform": self.platform,
            "cpus": self.cpus,
        }
        if name == _REPLAYED and not self._has_overlay():
            del wanted["run"]
        return {
            key: wanted[key]
            for key in own
            if wanted.get(key) is not None and wanted[key] != own[key]
        }

    def _has_overlay(self) -> bool:
        try:
            measured_overlay(self.run.key)
        except InputError:
            return False
        return True

    def cannot(self, name: str) -> str | None:
        """Say why a chapter cannot take the run, None if it can."""
        if name == _MEASURED and not self._has_overlay():
            return "it takes an operation log of a kernel with the overlay, and this run is none"
        return None

    def front(
        self, folders: Mapping[str, Path], left_out: Mapping[str, str], command: Sequence[str]
    ) -> str:
        """Write the first page: what was recorded, what was found, how to cite.

        Parameters
        ----------
        folders : mapping
            Notebook -> folder of its finished results.
        left_out : mapping
            Notebook -> why it is not there.
        command : sequence of str
            What makes the pages again.

        Returns
        -------
        str
            MyST.
        """
        found = findings(folders, self.run.id) + self._pools()
        lines = [
            "The chapters of the vmalloc chunk report that take a recorded run, for this run. A",
            "chapter that shows several runs has this one first; the report's own follow.",
            "Prose that names the report's runs or machines was written for those. Numbers marked",
            "*(report)* are of chapters that were not made for this run.",
            "",
            "## What was recorded",
            "",
            "| What | Value |",
            "|---|---|",
            *(f"| {key} | {value} |" for key, value in self._recorded().items()),
            "",
            "What is missing:",
            "",
            *(f"* {one}" for one in self._missing() or ["Nothing that the chapters ask for."]),
            "",
            "## What was found",
            "",
            "MODEL on MEASURED requests: the recorded requests, in the model of the allocator.",
            "",
            *(
                f"* {one}"
                for one in found or ["The chapters below say it; none is summed up here."]
            ),
            "",
            "## The chapters",
            "",
            *(f"* {{doc}}`notebooks/{name}`" for name in folders),
            *(f"* `{name}` is left out: {why}" for name, why in left_out.items()),
            "",
            "## How to cite",
            "",
            "Name the recording, the version and the command; the digest of a figure's data stands",
            "below it. A number of these pages is of this run, not of the report.",
            "",
            "```text",
            f"recording: {self.run.path.name}, SHA-256 {self._digest()}",
            f"model: vmalloc_model {vmalloc_model.__version__}",
            f"command: {shlex.join(command)}",
            "```",
        ]
        return "\n".join(lines) + "\n"

    def _recorded(self) -> dict[str, str]:
        run, asked = self.run, self.requests
        inside = int(asked["in_window"].sum())
        told = {
            "Recording": f"`{run.path.name}`, {run.kind}",
            "Workload": run.description if run.description != run.path.name else "",
            "Kernel": run.kernel,
            "CPUs": count_text(run.cpus),
            "Page size": size_text(run.page_size),
            "Platform": self.platform or "",
            "Standard window": f"`{run.window[0]:#x}` to `{run.window[1]:#x}`",
            "Allocations": f"{count_text(len(asked))}, {count_text(inside)} of them in the window",
            "Largest": size_text(int(asked["size"].max())),  # type: ignore[arg-type]
        }
        return {key: value for key, value in told.items() if value}

    def _missing(self) -> list[str]:
        run, asked = self.run, self.requests
        lacks = {
            "The kernel's version.": not run.kernel,
            "The platform: chapters keep their own (`--platform` says it).": self.platform is None,
            "Which requests node pools answered.": asked["reached_overlay"].null_count() > 0,
            "Who asked (callers).": asked["caller"].null_count() == len(asked),
            "Copies of `/proc/vmallocinfo`: areas without an event cannot be added in a replay.": (
                run.kind == "ftrace" and not run.vmallocinfo
            ),
            "Whether the order of the file is the order in which the allocator changed.": (
                run.in_order is None
            ),
            "The order in which the allocator changed: CPUs overtake each other in the file.": (
                run.in_order is False
            ),
        }
        return [text for text, lacking in lacks.items() if lacking]

    def _pools(self) -> list[str]:
        inside = self.requests.filter("in_window")["reached_overlay"]
        if not len(inside) or inside.null_count():
            return []
        hits = len(inside) - int(inside.sum())
        share = share_text(hits / len(inside))
        return [
            f"Node pools answered {count_text(hits)} of {count_text(len(inside))} requests in the "
            f"standard window ({share}) when this was recorded: MEASURED."
        ]

    def _digest(self) -> str:
        with self.run.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def reasons(errors: Sequence[ModelError], names: Sequence[str]) -> dict[str, str]:
    """Pair the chapters that failed with one line about why."""
    return {name: " ".join(str(error).split()) for name, error in zip(names, errors, strict=True)}
