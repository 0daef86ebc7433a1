"""Read the kernel's vmalloc trace events from the text of a trace.

The text may come from ``/sys/kernel/tracing/trace``, from ``trace_pipe``, from ``trace-cmd report``
with or without the columns for the thread group and for the interrupt state, or from ``perf
script``. `vmalloc_model.traces.lines` has the format of the lines. A ``run.npz`` that was made from
such a text stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import FileError
from vmalloc_model.traces import stored
from vmalloc_model.traces.about import FORMS
from vmalloc_model.traces.events import ALLOC, EVENT, FREE, PURGE
from vmalloc_model.traces.lines import HOW_TO_RECORD, LineReader
from vmalloc_model.traces.textio import TextFile

__all__ = ["ALLOC", "EVENT", "FREE", "PURGE", "Trace", "TraceText", "read_ftrace"]

# Copying records as opaque bytes is ten times as fast as column by column.
_RECORD: Final = np.dtype((np.void, EVENT.itemsize))
_SAID: Final = ("phases", "lines", "cpus", "entries_in_buffer", "entries_written", "lost")
_SIGNS: Final = (
    (FORMS[1], re.compile(rb"^cpus=\d+$", re.MULTILINE)),
    (FORMS[2], re.compile(rb"\.\d{6,9}: +(?:\d+ +)?[a-z0-9_]+:[a-z0-9_]+: ")),
    (FORMS[3], re.compile(rb"^Attaching \d+ probes", re.MULTILINE)),
)


@dataclass(frozen=True)
class Trace:
    """Everything a trace's text says.

    Attributes
    ----------
    path : Path
        The file.
    events : ndarray of `EVENT`
        In the order of the text, which with several CPUs is not the order of the locks.
    phases : tuple of str
        ``""`` for what comes before the first mark, then the name of each mark
        (``MARK <name>`` written to ``trace_marker``) in order.
    lines : int
        Lines of the text, all kinds.
    cpus : int
        As the header says; without one, the highest CPU seen, plus 1.
    entries_in_buffer, entries_written : int or None
        From the header of ``trace``, the sum if there are several; None in texts without it.
    lost : int
        Events known to be missing: those written but no longer in the buffer or not in the text,
        or, if more, those reported between the lines (a report without a number counts as 1).
    """

    path: Path
    events: npt.NDArray[np.void]
    phases: tuple[str, ...]
    lines: int
    cpus: int
    entries_in_buffer: int | None
    entries_written: int | None
    lost: int


def read_ftrace(path: str | Path) -> Trace:
    """Read the vmalloc events of a trace.

    Parameters
    ----------
    path : str or Path
        Text, plain, gzip or zstd; or a ``run.npz``.

    Returns
    -------
    Trace

    Raises
    ------
    FileError
        If the file cannot be read, is empty or binary, has a line that is neither an event nor a
        mark nor one of the known headers, ends in an event without a line end, or has no vmalloc
        event at all.

    Notes
    -----
    Linear in the length of the text; besides the result, 90 bytes for each event, it holds a few
    blocks of about 2 MiB.
    """
    if stored.is_stored(path):
        about, blocks = stored.read_events(path)
        said = {name: getattr(about, name) for name in _SAID}
        return Trace(path=Path(path), events=_joined(blocks), **said)
    text = TraceText(TextFile(path))
    events = _joined(text.events())
    said = text.said()
    cpus = said["cpus"] or int(events["cpu"].max()) + 1
    return Trace(
        path=text.path, events=events, **{name: said[name] for name in _SAID} | {"cpus": cpus}
    )


class TraceText:
    """The text of a trace, read once from its beginning to its end, in bounded memory."""

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self._lines = LineReader(text)
        head = text.head()
        self._form = next((form for form, sign in _SIGNS if sign.search(head)), FORMS[0])
        self.path = text.path

    def events(self) -> Iterator[npt.NDArray[np.void]]:
        """Yield the events in arrays of `EVENT`; errors as for `read_ftrace`."""
        found = 0
        for data in self._text.blocks():
            events = self._lines.read(data)
            found += len(events)
            yield events
        if not found:
            there = ", ".join(f"{name} ({n:,})" for name, n in self._lines.others.most_common(5))
            raise FileError(
                self.path,
                f"no vmalloc events in {self._text.lines:,} lines",
                value=f"events there: {there}" if there else None,
                allowed=f"a trace with vmalloc:* events; {HOW_TO_RECORD}",
            )

    def said(self) -> dict[str, Any]:
        """Return what the text says besides its events, once they have all been read.

        Named as in `vmalloc_model.traces.about.About`; ``cpus`` is 0 where the text does not say.
        """
        lines = self._lines
        missing = (lines.entries_written or 0) - (lines.entries_found or 0)
        return {
            "form": self._form,
            "source": self.path.name,
            "sha256": self._text.sha256,
            "lines": self._text.lines,
            "others": dict(sorted(lines.others.items())),
            "kernel": lines.kernel,
            "cpus": lines.cpus or 0,
            "phases": tuple(lines.phases),
            "entries_in_buffer": lines.entries_in_buffer,
            "entries_written": lines.entries_written,
            "entries_found": lines.entries_found,
            "lost": max(missing, lines.lost),
        }


def _joined(blocks: Iterator[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    events = np.empty(0, dtype=EVENT)
    for block in blocks:
        # In place: joining a list of parts at the end would hold the result twice.
        known = len(events)
        events.resize(known + len(block), refcheck=False)
        events.view(_RECORD)[known:] = block.view(_RECORD)
    return events
