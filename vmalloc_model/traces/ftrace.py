"""Read the kernel's vmalloc trace events from ftrace text.

The text may come from ``/sys/kernel/tracing/trace``, from ``trace_pipe`` or from ``trace-cmd
report``, with or without the columns for the thread group and for the interrupt state. A line is::

    kworker/0:1-12  (     12) [000] d..1.     8.547991: free_vmap_area_noflush: va_start=0x...

that is, from its end: fields, event, time, anything, CPU in brackets, task. The task is not looked
at: it may contain every character that the rest is recognised by. Lines of the usual shape are
read many at a time (`vmalloc_model.traces.fastlines`); the regular expressions here read all
others and are what defines the format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import FileError
from vmalloc_model.traces.events import ALLOC, EVENT, FORMATS, FREE, LARGEST, PURGE
from vmalloc_model.traces.fastlines import read_block
from vmalloc_model.traces.textio import TextFile, excerpt

__all__ = ["ALLOC", "EVENT", "FREE", "PURGE", "Trace", "read_ftrace"]

# Copying records as opaque bytes is ten times as fast as column by column.
_RECORD: Final = np.dtype((np.void, EVENT.itemsize))
_HOW_TO_RECORD: Final = (
    "record with trace_event=vmalloc:* on the kernel command line or with trace-cmd -e vmalloc"
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
        From the header of ``trace``; None in texts without it.
    lost : int
        Events known to be missing: those written but no longer in the buffer, or, if more, those
        reported between the lines (a report without a number counts as 1).
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
        Text, plain or gzip.

    Returns
    -------
    Trace

    Raises
    ------
    FileError
        If the file cannot be read, is empty or binary, has a line that is neither a vmalloc event
        nor a mark nor one of the known headers, or no vmalloc event at all.

    Notes
    -----
    Linear in the length of the text; besides the result it holds a few blocks of about 2 MiB.
    """
    text = TextFile(path)
    odd = _LineReader(text)
    events = np.empty(0, dtype=EVENT)
    for data in text.blocks():
        part, others, starts = read_block(data)
        first = text.lines + 1
        for row in others.tolist():
            odd.read(data[starts[row] : starts[row + 1] - 1], first + row, part[row])
        part["line"] = np.arange(first, first + len(part))
        part["phase"] = np.searchsorted(np.asarray(odd.mark_lines), part["line"])
        found = part.view(_RECORD)[part["kind"] > 0]
        # In place: joining a list of parts at the end would hold the result twice.
        known = len(events)
        events.resize(known + len(found), refcheck=False)
        events.view(_RECORD)[known:] = found
    if not len(events):
        raise FileError(
            text.path,
            f"no vmalloc events in {text.lines:,} lines",
            allowed=f"a trace with vmalloc events; {_HOW_TO_RECORD}",
        )
    overwritten = (odd.entries_written or 0) - (odd.entries_in_buffer or 0)
    return Trace(
        path=text.path,
        events=events,
        phases=("", *odd.mark_names),
        lines=text.lines,
        cpus=odd.cpus or int(events["cpu"].max()) + 1,
        entries_in_buffer=odd.entries_in_buffer,
        entries_written=odd.entries_written,
        lost=max(overwritten, odd.lost),
    )


_EVENT: Final = re.compile(
    rb".* \[(\d{1,5})\][^\[\]:=]* (\d{1,12})\.(\d{6}|\d{9}): +([^ :]+):(?: +(.*))?"
)
_MARK: Final = re.compile(rb"MARK +(.*)")
_PRINT: Final = re.compile(rb"(?:\S+: +)?(.*)")  # trace-cmd: print: tracing_mark_write: MARK x
_ENTRIES: Final = re.compile(rb"# entries-in-buffer/entries-written: (\d+)/(\d+) +#P:(\d+)")
_CPUS: Final = re.compile(rb"cpus=(\d+)")
_LOST: Final = re.compile(rb"CPU:\d+ \[(?:LOST )?(\d*) ?EVENTS(?: DROPPED)?\]")
_IGNORED: Final = re.compile(rb"#.*|version = \d+|CPU \d+ is empty|")
_DIGITS: Final = {10: "([0-9]+)", 16: "([0-9a-f]+)"}
_FIELDS: Final = {
    name.encode(): (
        kind,
        fields,
        re.compile("".join(re.escape(text) + _DIGITS[base] for _, text, base in fields).encode()),
    )
    for kind, (name, fields) in FORMATS.items()
}


class _LineReader:
    """Reads one line at a time, knows every form, and says what is wrong with the others."""

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self.mark_lines: list[int] = []
        self.mark_names: list[str] = []
        self.cpus: int | None = None
        self.entries_in_buffer: int | None = None
        self.entries_written: int | None = None
        self.lost = 0

    def read(self, line: bytes, number: int, event: Any) -> None:
        """Note what a line says; an event's columns go into ``event``, one record of `EVENT`."""
        line = line.rstrip()
        if match := _EVENT.fullmatch(line):
            cpu, seconds, fraction, name, fields = match.groups(b"")
            if name in _FIELDS:
                event["time"] = int(seconds) * 1_000_000 + int(fraction[:6])
                event["cpu"] = int(cpu)
                self._read_fields(name, fields, line, number, event)
            else:
                self._read_mark(name, fields, number)
        elif match := _ENTRIES.match(line):
            self.entries_in_buffer, self.entries_written, self.cpus = map(int, match.groups())
        elif match := _CPUS.fullmatch(line):
            self.cpus = int(match[1])
        elif match := _LOST.fullmatch(line):
            self.lost += int(match[1] or 1)
        elif not _IGNORED.fullmatch(line):
            raise self._broken(line, number, "task-pid [cpu] seconds.microseconds: event: fields")

    def _read_fields(self, name: bytes, text: bytes, line: bytes, number: int, event: Any) -> None:
        kind, fields, pattern = _FIELDS[name]
        match = pattern.fullmatch(text)
        for group, (column, _, base) in enumerate(fields, 1):
            value = int(match[group], base) if match else 2**64
            if value > LARGEST.get(column, 2**64 - 1):
                form = "".join(f"{before}N" for _, before, _ in fields)
                raise self._broken(line, number, f"{name.decode()}: {form}, N up to 64 bits")
            event[column] = value
        event["kind"] = kind

    def _read_mark(self, name: bytes, text: bytes, number: int) -> None:
        if name == b"print" and (match := _PRINT.fullmatch(text)):
            text = match[1]
        elif name != b"tracing_mark_write":
            raise FileError(
                self._text.path,
                "unknown event",
                line=number,
                value=excerpt(name),
                allowed=f"{', '.join(known.decode() for known in _FIELDS)} and tracing_mark_write; "
                f"{_HOW_TO_RECORD}, or leave the other lines out",
            )
        if mark := _MARK.fullmatch(text):
            self.mark_lines.append(number)
            self.mark_names.append(mark[1].decode("utf-8", "replace"))

    def _broken(self, line: bytes, number: int, allowed: str) -> FileError:
        cut = self._text.cut and number == self._text.lines + 1
        problem = "the file ends in the middle of a line" if cut else "broken line"
        return FileError(
            self._text.path, problem, line=number, value=excerpt(line), allowed=allowed
        )
