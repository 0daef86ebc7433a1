"""Turn a recording into a ``run.npz``, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vmalloc_model.errors import FileError, InputError
from vmalloc_model.traces.about import FORMS, About
from vmalloc_model.traces.ftrace import TraceText
from vmalloc_model.traces.oplog import check_oplog, is_oplog
from vmalloc_model.traces.stored import Writer, is_stored, read_about
from vmalloc_model.traces.survey import Survey
from vmalloc_model.traces.textio import LONGEST_LINE, TextFile
from vmalloc_model.traces.vmallocinfo import areas_of, is_vmallocinfo
from vmalloc_model.wholefiles import new_file

__all__ = ["examine", "import_recording"]

Progress = Callable[[int], object]


def import_recording(
    source: str | Path,
    target: Path,
    vmallocinfo: Sequence[Path] = (),
    progress: Progress | None = None,
) -> About:
    """Write a recording as ``run.npz``, whole or not at all.

    Parameters
    ----------
    source : str or Path
        Text, plain, gzip or zstd, or `vmalloc_model.traces.textio.STDIN`.
    target : Path
        The new file.
    vmallocinfo : sequence of Path
        Copies of ``/proc/vmallocinfo`` from the same run.
    progress : callable, optional
        Gets the number of bytes of the source read since its last call.

    Returns
    -------
    About
        What was found.

    Raises
    ------
    FileError
        If the source or a copy cannot be used, or the target cannot be written.
    InputError
        If copies are given with a recording that takes none.

    Notes
    -----
    A trace of any length takes less than 200 MB of memory. An operation log or a copy of
    vmallocinfo is read as a whole.
    """
    copies = [_snapshot(path) for path in vmallocinfo]
    with new_file(target) as file, Writer(file) as writer:
        text = TextFile(source, progress=progress, digest=True)
        about = _read(text, writer)
        if copies and about.kind != "ftrace":
            raise InputError("--vmallocinfo", "only with a trace", value=about.form)
        for _, _, content in copies:
            writer.add_copy(content)
        about = replace(about, snapshots={name: sha256 for name, sha256, _ in copies})
        writer.finish(about)
    return about


def examine(
    source: str | Path, vmallocinfo: Sequence[Path] = (), progress: Progress | None = None
) -> About:
    """Look a recording through without writing anything; parameters as `import_recording`.

    A ``run.npz`` may be given too.
    """
    copies = [_snapshot(path) for path in vmallocinfo]
    if is_stored(source):
        about = read_about(source)
    else:
        about = _read(TextFile(source, progress=progress, digest=True), None)
    return replace(about, snapshots={**about.snapshots, **{one[0]: one[1] for one in copies}})


def _read(text: TextFile, writer: Writer | None) -> About:
    head = text.head()
    if is_oplog(head) or is_vmallocinfo(head):
        return _read_text(text, writer)
    trace, survey = TraceText(text), Survey()
    for events in trace.events():
        survey.add(events)
        if writer is not None:
            writer.add_events(events)
    facts, said = survey.facts(), trace.said()
    if not facts["page_size"]:
        raise FileError(text.path, "no allocation that succeeded")
    cpus = said["cpus"] or facts["cpus"]
    return About(kind="ftrace", snapshots={}, **{**facts, **said, "cpus": cpus})


def _read_text(text: TextFile, writer: Writer | None) -> About:
    """Read what is small by nature as a whole."""
    content = text.text()
    if is_oplog(content[:LONGEST_LINE]):
        facts = {"kind": "oplog", "form": FORMS[4]} | _oplog_facts(text, content)
        keep = Writer.add_oplog
    else:
        facts = {"kind": "vmallocinfo", "form": FORMS[5]} | _vmallocinfo_facts(text, content)
        keep = Writer.add_copy
    if writer is not None:
        keep(writer, content)
    return About(
        source=text.path.name,
        sha256=text.sha256,
        lines=text.lines,
        others={},
        snapshots={},
        **facts,
    )


def _oplog_facts(text: TextFile, content: bytes) -> dict[str, Any]:
    log = check_oplog(text.path, content, cut=text.cut)
    config = log.row(0, named=True)
    sizes = log.filter(op="alloc_done")["size"].to_numpy()
    if not len(sizes):
        raise FileError(text.path, "no allocation that succeeded")
    divisor = 0
    for size in sizes.tolist():
        divisor |= size  # the lowest bit that any size has is that of their common divisor
    return {
        "events": dict(sorted(log["op"].value_counts().iter_rows())),
        "cpus": max(config["node"], int(log["cpu"].max()) + 1),  # type: ignore[arg-type]
        "page_size": divisor & -divisor,
        "window": (config["vstart"], config["vend"]),
    }


def _vmallocinfo_facts(text: TextFile, content: bytes) -> dict[str, Any]:
    areas = areas_of(text.path, content)
    kinds = Counter(kind or "other" for kind in areas["kind"].to_list())
    return {"events": dict(sorted(kinds.items()))}


def _snapshot(path: Path) -> tuple[str, str, bytes]:
    """Name, SHA-256 and text of a copy of vmallocinfo that is sound."""
    text = TextFile(path)
    content = text.text()
    areas_of(text.path, content)
    return path.name, hashlib.sha256(content).hexdigest(), content
