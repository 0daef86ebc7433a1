"""A table within the columns of a mail: as a grid, or row by row where a grid would be too wide."""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from vmalloc_model.citing.results import Table
from vmalloc_model.citing.rows import choose_rows, ends, number
from vmalloc_model.report.plaintext import WIDTH

__all__ = ["INDENT", "Fitted", "fit"]

INDENT: Final = "  "
ROWS: Final = 12
"""Most rows of a grid."""

_LINES: Final = (16, 24)
"""Lines that a table may take; and where less would hide an end of a column."""

_LEAST: Final = 4
"""Rows from which on a grid is better than rows one after the other."""

_REASONS: Final = ("why", "moved by", "what makes the difference", "probable reason")
"""Headings of columns that explain; they go first when room is short."""

_GAP: Final = 2
_ROOM: Final = WIDTH - len(INDENT)
_SHORT: Final = 40
"""Heading and cell up to this length stay on one line."""

_TIE: Final = "\0"
_PIECES: Final = re.compile(r"[^\s_-]*[_-]+|[^\s_-]+|\s+")


@dataclass(frozen=True)
class Fitted:
    """A table that fits.

    Attributes
    ----------
    lines : tuple of str
        At most `WIDTH` columns each, indented, without trailing blanks.
    rows : int
        How many rows it shows.
    without : tuple of str
        Headings of the columns that are left out.
    complete : bool
        Whether both ends of each column are shown, see `vmalloc_model.citing.rows.ends`.
    """

    lines: tuple[str, ...]
    rows: int
    without: tuple[str, ...]
    complete: bool


def fit(table: Table) -> Fitted:
    """Lay out as much of a table as a mail can take, with both ends of each column that is shown.

    Parameters
    ----------
    table : Table
        With any number of rows and columns.

    Returns
    -------
    Fitted
        A grid, if the columns can be made narrow enough by breaking headings and texts; else a grid
        without its column of reasons; else the rows one after the other, each cell with its
        heading.
        Sources, and values that stand a second time with a unit, are left out.
    """
    plain = [place for place, name in enumerate(table.headers) if not _aside(table, name)]
    bare = [place for place in plain if table.headers[place].lower() not in _REASONS]
    choices = [(_grid, plain), (_grid, bare), (_records, plain), (_records, bare)]
    best: Fitted | None = None
    for most in _LINES:
        for draw, columns in choices:
            fitted = _fitted(table, draw, columns, most)
            if fitted is not None and fitted.complete:
                return fitted
            if fitted is not None and (best is None or fitted.rows > best.rows):
                best = fitted
    assert best is not None  # one row after the other always fits
    return best


def _aside(table: Table, name: str) -> bool:
    return name.lower() == "source" or f"{name}_text" in table.headers


def _fitted(
    table: Table, draw: Callable[..., list[str] | None], columns: Sequence[int], most: int
) -> Fitted | None:
    """Draw as many rows as there is room for; None if the columns do not fit."""
    rows = [[row[place] for place in columns] for row in table.rows]
    headers = [table.headers[place] for place in columns]
    without = tuple(name for place, name in enumerate(table.headers) if place not in columns)
    order = choose_rows(rows, ROWS)
    least = min(len(rows), _LEAST) if draw is _grid else min(len(rows), 1)
    for count in range(len(order), least - 1, -1):
        shown = sorted(order[:count])
        lines = draw(headers, [rows[row] for row in shown])
        if lines is None:
            return None
        if len(lines) <= most or (count == 1 and draw is _records):
            complete = all(one & set(shown) for one in ends(rows))
            return Fitted(tuple(INDENT + line for line in lines), count, without, complete)
    return None


def _grid(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str] | None:
    """Draw headings, a ruler and rows; None if that is too wide."""
    columns = [[row[place] for row in rows] for place in range(len(headers))]
    numeric = [
        all(number(cell) is not None or cell in ("", "-") for cell in one) for one in columns
    ]
    least = [
        max([_longest(name), *map(_longest, cells)])
        for name, cells in zip(headers, columns, strict=True)
    ]
    widths = [max([low, *map(len, cells)]) for low, cells in zip(least, columns, strict=True)]
    while sum(widths) + _GAP * (len(widths) - 1) > _ROOM:
        spare = [width - low for width, low in zip(widths, least, strict=True)]
        if not any(spare):
            return None
        widest = max(range(len(widths)), key=lambda place: (spare[place] > 0, widths[place]))
        widths[widest] -= 1
    heading = _headings(headers, widths)
    height = max(map(len, heading))
    blocks = [[[""] * (height - len(one)) + one for one in heading]]
    blocks += [
        [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows
    ]
    drawn = [_drawn(block, widths, numeric) for block in blocks]
    ruler = (" " * _GAP).join("-" * width for width in widths)
    return [*drawn[0], ruler, *(line for block in drawn[1:] for line in block)]


def _headings(headers: Sequence[str], widths: list[int]) -> list[list[str]]:
    """Break the headings; room that is left goes to the tallest."""
    left = _ROOM - sum(widths) - _GAP * (len(widths) - 1)
    for _ in range(left):
        heights = [len(_wrap(name, width)) for name, width in zip(headers, widths, strict=True)]
        if max(heights) > 1:
            widths[heights.index(max(heights))] += 1
    return [_wrap(name, width) for name, width in zip(headers, widths, strict=True)]


def _drawn(
    block: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]
) -> list[str]:
    height = max(map(len, block))
    lines = []
    for place in range(height):
        cells = [one[place] if place < len(one) else "" for one in block]
        set_ = [
            cell.rjust(width) if aligned else cell.ljust(width)
            for cell, width, aligned in zip(cells, widths, right, strict=True)
        ]
        lines.append((" " * _GAP).join(set_).rstrip())
    return lines


def _records(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Draw each row as a line with its first cell, and below it the others with their headings."""
    lines: list[str] = []
    for row in rows:
        head = f"{headers[0]}: {row[0]}" if headers[0] else row[0]
        pairs = [f"{name}: {cell or '-'}" for name, cell in zip(headers[1:], row[1:], strict=True)]
        tied = [pair.replace(" ", _TIE) if len(pair) <= _SHORT else pair for pair in pairs]
        lines += textwrap.wrap(head, _ROOM, subsequent_indent=INDENT)
        body = textwrap.wrap(
            "; ".join(tied),
            _ROOM,
            initial_indent=INDENT,
            subsequent_indent=INDENT,
            break_on_hyphens=False,
        )
        lines += [line.replace(_TIE, " ").rstrip() for line in body]
    return lines


def _longest(text: str) -> int:
    return max((len(piece) for piece in _pieces(text) if piece.strip()), default=1)


@functools.lru_cache(maxsize=10_000)  # a table is drawn with fewer and fewer rows
def _pieces(text: str) -> tuple[str, ...]:
    """Cut where a line may end; a number stays with its unit."""
    tied = re.sub(r"(\d) (?=(%|\w+)$)", rf"\g<1>{_TIE}", text)
    return tuple(piece.replace(_TIE, " ") for piece in _PIECES.findall(tied))


def _wrap(text: str, width: int) -> list[str]:
    """Break at blanks, and after hyphens and underscores."""
    lines, line = list[str](), ""
    for piece in _pieces(text):
        if len(line) + len(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line or piece.strip() else ""
    return [*lines, line.rstrip()] if line.strip() or not lines else lines
