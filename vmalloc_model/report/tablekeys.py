"""Rows of two tables with the same columns, paired by what names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Paired", "pair_rows"]

Row = Sequence[str]


class Paired(NamedTuple):
    """Rows of two tables.

    Attributes
    ----------
    key : int
        How many of the first columns name a row.
    both : list of (Row, Row)
        Rows that both tables have, in the order of the first.
    left, right : list of Row
        Rows that only one of them has.
    """

    key: int
    both: list[tuple[Row, Row]]
    left: list[Row]
    right: list[Row]


def pair_rows(left: Sequence[Row], right: Sequence[Row]) -> Paired:
    """Pair rows of two tables by their first columns, as many as it takes.

    A table of the report has what names a row in front: stream, policy, chunk size. The key is the
    fewest first columns that no two rows of one table share. Where whole rows are alike, the first
    of one table goes with the first of the other.

    Parameters
    ----------
    left, right : sequence of rows
        Cells as text; all rows have the same length.
    """
    width = max(map(len, [*left, *right]), default=0)
    key = next((n for n in range(1, width) if _tells(left, n) and _tells(right, n)), width)
    named, others = _named(left, key), _named(right, key)
    return Paired(
        key,
        [(row, others[name]) for name, row in named.items() if name in others],
        [row for name, row in named.items() if name not in others],
        [row for name, row in others.items() if name not in named],
    )


def _tells(rows: Sequence[Row], key: int) -> bool:
    return len({tuple(row[:key]) for row in rows}) == len(rows)


def _named(rows: Sequence[Row], key: int) -> dict[tuple[object, ...], Row]:
    seen: Counter[tuple[str, ...]] = Counter()
    named: dict[tuple[object, ...], Row] = {}
    for row in rows:
        name = tuple(row[:key])
        named[(*name, seen[name])] = row
        seen[name] += 1
    return named
