"""Read a block of ftrace lines at once, those of exactly the usual shape.

The characters ``: = [ ]`` and the line end are the landmarks of a block. Counted back from its line
end, each landmark of an event's line has one meaning, because nothing behind the bracketed CPU
contains another one. So the places of all numbers are known without looking at lines one by one,
and what must stand between them is compared for all lines together. A line is taken only if every
character of its tail is as expected; all others are left to `vmalloc_model.traces.ftrace`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.traces.events import EVENT, FORMATS, LARGEST
from vmalloc_model.traces.fields import PADDING, Block, words

__all__ = ["read_block"]

_Places = npt.NDArray[np.int64]
_Columns = dict[str, npt.NDArray[Any]]

_LANDMARKS: Final = b"\n:=[]"


class _Shape:
    """The shape of one event's line."""

    def __init__(self, kind: int) -> None:
        name, fields = FORMATS[kind]
        self.kind = kind
        self.title = words(f": {name}:")
        self.columns = []
        for column, before, base in reversed(fields):
            landmark = max(before.find("="), before.find(":"))
            self.columns.append((column, base, words(before), len(before), len(before) - landmark))
        self.last = self.columns[0][2], self.columns[0][4]

    def candidates(self, block: Block, places: _Places, ends: _Places) -> _Places:
        """Return the rows whose last field is this event's."""
        keyword, behind = self.last
        return np.flatnonzero(block.reads(places[ends - 1] + behind, keyword))

    def read(
        self, block: Block, places: _Places, ends: _Places
    ) -> tuple[npt.NDArray[np.bool_], _Columns]:
        """Read the lines whose line ends are ``places[ends]``.

        Returns
        -------
        good : ndarray of bool
            Where the whole line had the expected shape; only there the columns count.
        columns : dict of str to ndarray
        """
        title = ends - len(self.columns) - 1
        good, columns = self._head(block, places, title)
        # From the last field to the first: each ends where the text before the next one begins.
        end = places[ends]
        for back, (column, base, keyword, length, behind) in enumerate(self.columns, 1):
            begin = places[ends - back] + behind
            good &= block.reads(begin, keyword)
            read = block.decimal if base == 10 else block.hexadecimal
            columns[column], fine = read(end, end - begin)
            good &= fine
            if column in LARGEST:
                good &= columns[column] <= np.uint64(LARGEST[column])
            end = begin - length
        gap = end - places[title] - 1
        good &= block.blank(end, gap) & (gap >= 1)
        return good, columns

    def _head(
        self, block: Block, places: _Places, title: _Places
    ) -> tuple[npt.NDArray[np.bool_], _Columns]:
        """Read `` [cpu] anything seconds.fraction: event:``."""
        characters = block.characters
        good = block.reads(places[title] + 1, self.title)
        time, right, left = places[title - 1], places[title - 2], places[title - 3]
        good &= (characters[left] == ord("[")) & (characters[right] == ord("]"))
        good &= (characters[left - 1] == ord(" ")) & (right - left <= 6)
        cpu, fine = block.decimal(right, right - left - 1)
        good &= fine
        dot = np.where(characters[time - 7] == ord("."), time - 7, time - 10)
        good &= characters[dot] == ord(".")
        fraction, fine = block.decimal(time, time - dot - 1)
        good &= fine
        fraction = np.where(time - dot == 7, fraction, fraction // np.uint64(1000))
        seconds, length = block.digits_before(dot)
        good &= (length > 0) & (characters[dot - length - 1] == ord(" "))
        return good, {"cpu": cpu, "time": seconds * np.uint64(1_000_000) + fraction}


_SHAPES: Final = [_Shape(kind) for kind in FORMATS]


def read_block(data: bytes) -> tuple[npt.NDArray[np.void], _Places, _Places]:
    r"""Read the lines of a block that have exactly the shape of an event.

    Parameters
    ----------
    data : bytes
        Whole lines, each ending in ``\n``.

    Returns
    -------
    events : ndarray of `EVENT`
        One record per line, all 0 where the line was not read; lines and phases are not set.
    others : ndarray of int64
        The rows that were not read, ascending.
    starts : ndarray of int64
        Offset in ``data`` of each line, and at the end the length of ``data``.
    """
    block = Block(data)
    # The padding's line ends stand in for landmarks before the first line.
    places = block.places_of(_LANDMARKS)
    ends = np.flatnonzero(block.characters[places] == ord("\n"))[PADDING:]
    starts = np.concatenate(([0], places[ends] - PADDING + 1))
    events = np.zeros(len(ends), dtype=EVENT)
    for shape in _SHAPES:
        rows = shape.candidates(block, places, ends)
        good, columns = shape.read(block, places, ends[rows])
        rows = rows[good]
        events["kind"][rows] = shape.kind
        for column, values in columns.items():
            events[column][rows] = values[good]
    return events, np.flatnonzero(events["kind"] == 0), starts
