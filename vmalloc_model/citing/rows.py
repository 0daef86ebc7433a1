"""Which rows of a long table a mail gets: never only the good ones.

No rule can know which direction is bad. So both ends of every column count: the rows that hold its
least and its greatest number and, where a column has a few different words such as verdicts, one
row for each of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final

__all__ = ["choose_rows", "ends", "number"]

_NUMBER: Final = re.compile(
    r"(?:at least |at most |over |below |above |about |~|[<>]=?)?"
    r"([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?) ?([A-Za-z%]+)?"
)
_BYTES: Final = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40, "PiB": 50}
_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "hours": 3600.0,
    "days": 86_400.0,
    "years": 365.25 * 86_400,
}
_UNITS: Final = {"%": 1.0} | {unit: 2.0**power for unit, power in _BYTES.items()} | _SECONDS

_FEW: Final = 4
"""Different words of a column up to which each is shown."""

_MOSTLY: Final = 0.5
"""Share of a column's cells from which on its numbers are compared."""


@functools.lru_cache(maxsize=10_000)
def number(cell: str) -> float | None:
    """Value of a cell that is a number, with its unit: bytes, seconds or percent; None otherwise.

    Examples
    --------
    >>> number("7.5 KiB"), number("over 8,192"), number("10 us"), number("rfc12")
    (7680.0, 8192.0, 1e-05, None)
    """
    match = _NUMBER.fullmatch(cell)
    if match is None or (match[2] or "%") not in _UNITS:
        return None
    return float(match[1].replace(",", "")) * _UNITS[match[2] or "%"]


def ends(rows: Sequence[Sequence[str]]) -> list[set[int]]:
    """Find the sets of rows of which each should show at least one.

    Returns
    -------
    list of set of int
        For each column of numbers the rows with its least and those with its greatest; for each
        column of few words the rows of each word. Columns with a single value ask for nothing.
    """
    wanted: list[set[int]] = []
    for column in zip(*rows, strict=True):
        values = {row: number(cell) for row, cell in enumerate(column)}
        numbers = {row: value for row, value in values.items() if value is not None}
        groups: dict[float | str, set[int]] = {}
        if len(numbers) >= _MOSTLY * len(column):
            for row, value in numbers.items():
                groups.setdefault(value, set()).add(row)
            least, most = min(numbers.values()), max(numbers.values())
            chosen = [groups[least], groups[most]] if least < most else []
        else:
            for row, cell in enumerate(column):
                groups.setdefault(cell, set()).add(row)
            chosen = list(groups.values()) if 1 < len(groups) <= _FEW else []
        wanted += [one for one in chosen if one not in wanted]
    return wanted


def choose_rows(rows: Sequence[Sequence[str]], most: int) -> list[int]:
    """Choose at most `most` rows, the most telling first.

    Parameters
    ----------
    rows : sequence of rows of cells
        All rows.
    most : int
        At least 1.

    Returns
    -------
    list of int
        Rows that show as many ends (see `ends`) as possible, found greedily; then those that share
        their first cell with the first of them, for comparison; then the first and the last row,
        and the others in order.
    """
    wanted = ends(rows)
    chosen: list[int] = []
    while wanted and len(chosen) < most:
        shows = [sum(row in one for one in wanted) for row in range(len(rows))]
        best = shows.index(max(shows))
        chosen.append(best)
        wanted = [one for one in wanted if best not in one]
    everything = list(range(len(rows)))
    leading = rows[chosen[0]][0] if chosen else None
    alike = [row for row in everything if rows[row][0] == leading]
    order = dict.fromkeys([*chosen, *alike, *everything[:1], *everything[-1:], *everything])
    return list(order)[:most]
