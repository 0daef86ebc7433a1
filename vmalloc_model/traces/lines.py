"""Read the lines of a trace: events, marks, and what a recording says about itself.

A line is::

    kworker/0:1-12  (     12) [000] d..1.     8.547991: free_vmap_area_noflush: va_start=0x...

that is, from its end: fields, event, time, anything, CPU in brackets, task. The task is not looked
at: it may contain every character that the rest is recognised by. ``perf script`` puts the system
before the event (``vmalloc:free_vmap_area_noflush``) and may print a period before that.

The regular expressions here read every line and define the format. They are slow, so lines of
exactly the usual shape are read by ``native/lines/lines.c``, which leaves all others to them.

Sources: ``kernel/trace/trace_output.c`` and ``trace.c`` for ftrace; ``process_event()`` in
``tools/perf/builtin-script.c`` for ``perf script``, of which no recording was at hand.
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import FileError
from vmalloc_model.native import library
from vmalloc_model.traces.events import EVENT, FORMATS, LARGEST
from vmalloc_model.traces.textio import TextFile, excerpt

__all__ = ["HOW_TO_RECORD", "LineReader", "read_usual"]

HOW_TO_RECORD: Final = "`vmalloc-model record` says how to record"

SHORTEST: Final = 50
"""Bytes: no line of an event is shorter."""

_EVENT: Final = re.compile(
    rb"(?:.* )?\[(\d{1,5})\][^\[\]:=]* (\d{1,12})\.(\d{6}|\d{9}): +(?:\d+ +)?"
    rb"(?:vmalloc:(?=\S))?([^ :]+(?::[^ :]+)?):(?: +(.*))?"
)
_MARK: Final = re.compile(rb"MARK +(.*)")
_KERNEL: Final = re.compile(rb"KERNEL +(.*)|# os release : (.*)")
_PRINT: Final = re.compile(rb"(?:\S+: +)?(.*)")  # trace-cmd: print: tracing_mark_write: MARK x
_ENTRIES: Final = re.compile(rb"# entries-in-buffer/entries-written: (\d+)/(\d+) +#P:(\d+)")
_CPUS: Final = re.compile(rb"cpus=(\d+)|# nrcpus online : (\d+)")
_LOST: Final = re.compile(
    rb"CPU:\d+ \[(?:LOST )?(\d*) ?EVENTS(?: DROPPED)?\]"  # ftrace
    rb"|.*PERF_RECORD_LOST(?:_SAMPLES)? lost (\d+)"
    rb"|Lost (\d+) events"  # bpftrace
)
# Also stacks: those of ftrace, and addresses with symbols in `perf script`.
_IGNORED: Final = re.compile(
    rb"#.*|version = \d+|CPU \d+ is empty|Attaching \d+ probes\.*"
    rb"| => .*|\s+[0-9a-f]+ \S+ \(.*\)|"
)
_STACK: Final = re.compile(rb".*: <stack trace>")
_DIGITS: Final = {10: "([0-9]+)", 16: "([0-9a-f]+)"}
_FIELDS: Final = {
    name.encode(): (
        kind,
        fields,
        re.compile("".join(re.escape(text) + _DIGITS[base] for _, text, base in fields).encode()),
    )
    for kind, (name, fields) in FORMATS.items()
}


def read_usual(
    data: bytes, at: int, line: int, phase: int, events: npt.NDArray[np.void]
) -> tuple[int, int]:
    r"""Read lines from an offset on, up to the first that has not exactly the shape of an event.

    Parameters
    ----------
    data : bytes
        Whole lines, each ending in ``\n``.
    at : int
        Offset of a line.
    line, phase : int
        Number of that line and of its phase, for the events.
    events : ndarray of `EVENT`
        Room for the events; filled from its beginning.

    Returns
    -------
    count : int
        Events, one for each line read.
    at : int
        Offset of the line that was not read, or the length of ``data``.
    """
    offset, number = ctypes.c_int64(at), ctypes.c_int64(line)
    count = _function()(
        data, len(data), ctypes.byref(offset), ctypes.byref(number), phase, events.ctypes.data
    )
    return count, offset.value


@cache
def _function() -> Any:
    function = library("lines").lines_read
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    function.argtypes = [ctypes.c_char_p, number, pointer, pointer, ctypes.c_int32, pointer]
    function.restype = number
    return function


class LineReader:
    """Reads the lines of a text, knows every form, and says what is wrong with the others.

    Attributes
    ----------
    phases : list of str
        ``""``, then the name of each mark.
    cpus : int or None
        As the text says.
    entries_in_buffer, entries_written : int or None
        As the header says; the sum of several, as in files that were joined.
    entries_found : int or None
        Entries behind a header, events and marks of all kinds, but no more than it says.
    lost : int
        Events reported as lost between the lines.
    kernel : str
        Release of the kernel; ``""`` when the text does not say.
    others : Counter of str
        Events that are not read, by name.
    """

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self.phases = [""]
        self.cpus: int | None = None
        self.entries_in_buffer: int | None = None
        self.entries_written: int | None = None
        self._promised = 0  # by the last header
        self._entries = 0  # since then
        self._found_before = 0  # behind the headers before it
        self.lost = 0
        self.kernel = ""
        self.others: Counter[str] = Counter()

    @property
    def entries_found(self) -> int | None:
        """See the class."""
        if self.entries_in_buffer is None:
            return None
        return self._found_before + min(self._entries, self._promised)

    def read(self, data: bytes) -> npt.NDArray[np.void]:
        """Read the next block of the text; return its events.

        Raises
        ------
        FileError
            At the first line that is of no known form, and at an event without a line end: a number
            that was cut off is still one.
        """
        events = np.empty(len(data) // SHORTEST + 1, EVENT)
        at, count, line = 0, 0, self._text.lines + 1
        while True:
            found, at = read_usual(data, at, line, len(self.phases) - 1, events[count:])
            count, line = count + found, line + found
            self._entries += found
            if at == len(data):
                break
            end = data.index(b"\n", at)
            count += self._read_line(data[at:end].rstrip(), line, events, count)
            at, line = end + 1, line + 1
        if self._text.cut and _EVENT.fullmatch(data.rstrip()):  # it is a block of its own
            allowed = "whole lines; if this one is, a line feed behind it"
            raise self._broken(data, self._text.lines + 1, allowed)
        return events[:count]

    def _read_line(self, line: bytes, number: int, events: npt.NDArray[np.void], row: int) -> int:
        """Note what a line says; the number of events in it, which go into ``events[row]``."""
        if match := _EVENT.fullmatch(line):
            cpu, seconds, fraction, name, fields = match.groups(b"")
            self._entries += 1
            if name in _FIELDS:
                events[row] = np.zeros((), EVENT)
                event = events[row]
                event["line"], event["phase"], event["cpu"] = number, len(self.phases) - 1, int(cpu)
                event["time"] = int(seconds) * 1_000_000 + int(fraction[:6])
                self._read_fields(name, fields, line, number, event)
                return 1
            if any(known in name for known in _FIELDS):
                raise self._broken(line, number, "event: fields")
            self._read_other(name, fields)
        elif match := _ENTRIES.match(line):
            self._begin(*map(int, match.groups()))
        elif match := _CPUS.fullmatch(line):
            self.cpus = int(match[1] or match[2])
        elif match := _LOST.fullmatch(line):
            self.lost += int(next(filter(None, match.groups()), 1))
        elif match := _KERNEL.fullmatch(line):
            self.kernel = (match[1] or match[2]).decode("utf-8", "replace")
        elif _STACK.fullmatch(line):
            self._entries += 1  # a stack is an entry of its own
        elif not _IGNORED.fullmatch(line):
            raise self._broken(line, number, "task-pid [cpu] seconds.microseconds: event: fields")
        return 0

    def _begin(self, in_buffer: int, written: int, cpus: int) -> None:
        """Begin what a header is the head of."""
        self._found_before = self.entries_found or 0
        self.entries_in_buffer = (self.entries_in_buffer or 0) + in_buffer
        self.entries_written = (self.entries_written or 0) + written
        self.cpus = max(self.cpus or 0, cpus)
        self._promised, self._entries = in_buffer, 0

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

    def _read_other(self, name: bytes, text: bytes) -> None:
        if name == b"print" and (match := _PRINT.fullmatch(text)):
            text = match[1]
        elif name != b"tracing_mark_write":
            self.others[name.decode("utf-8", "replace")] += 1
            return
        if mark := _MARK.fullmatch(text):
            self.phases.append(mark[1].decode("utf-8", "replace"))
        elif kernel := _KERNEL.fullmatch(text):
            self.kernel = (kernel[1] or b"").decode("utf-8", "replace")

    def _broken(self, line: bytes, number: int, allowed: str) -> FileError:
        # What follows the last line end is a line of its own only if the file was cut off there.
        last = self._text.cut and number == self._text.lines + 1
        problem = "the file ends in the middle of a line" if last else "broken line"
        return FileError(
            self._text.path,
            problem,
            line=number,
            value=excerpt(line),
            allowed=f"{allowed}; {HOW_TO_RECORD}",
        )
