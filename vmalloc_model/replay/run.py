"""Replay a recording of either kind."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path

from vmalloc_model.errors import InputError
from vmalloc_model.replay.oplog import replay_oplog
from vmalloc_model.replay.result import Replay
from vmalloc_model.replay.text import replay_text
from vmalloc_model.runs import Run, find_run

__all__ = ["replay"]


def replay(
    recording: str | Path,
    vmallocinfo: Sequence[str | Path] = (),
    policy: str | None = None,
    decay: str = "6.12",
    progress: Callable[[int], object] | None = None,
) -> Replay:
    """Replay a recorded run.

    Parameters
    ----------
    recording : str or Path
        An id of ``data/runs/runs.toml``, or a file: ftrace text or an operation log, plain,
        gzip or zstd, or a stored run.
    vmallocinfo : sequence of str or Path
        Copies of ``/proc/vmallocinfo`` from the same run, for areas without events; only for
        ftrace text. Without any, files beside ``NAME.ftrace.txt`` that are called
        ``NAME.vmallocinfo*`` are taken for such copies.
    policy : str, optional
        By default what the recording says: ``rfc10`` for a log with the overlay on, else
        ``mainline``.
    decay : {"6.12", "6.16"}
        Rule of the pools' decay.
    progress : callable, optional
        As for `replay_text`.

    Raises
    ------
    InputError, FileError
        If the recording or an option cannot be used.
    """
    if decay not in ("6.12", "6.16"):
        raise InputError("$.decay", "unknown rule", value=decay, allowed="6.12, 6.16")
    run = find_run(recording, "FILE")
    infos = list(vmallocinfo) or _beside(run)
    if run.kind == "oplog":
        if vmallocinfo:
            raise InputError(
                "--vmallocinfo", "an operation log has every area", allowed="only with ftrace text"
            )
        return replay_oplog(run, policy, decay)
    return replay_text(run, infos, policy or "mainline", decay, progress)


def _beside(run: Run) -> list[Path]:
    """Find copies of vmallocinfo that lie beside a trace and are named after it."""
    name, mark, _ = run.path.name.partition(".ftrace")
    if run.copies or not mark:
        return []  # the manifest knows them, or the name says nothing
    return sorted(run.path.parent.glob(f"{glob.escape(name)}.vmallocinfo*"))
