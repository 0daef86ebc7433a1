"""The twin of the exact occupancy: every way to fill a tiny chunk, in fractions."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple


class Plain(NamedTuple):
    """A chunk in expectation; sizes in pages, `law` has the probability of each count."""

    requests: Fraction
    variance: Fraction
    padding: Fraction
    tail: Fraction
    first: list[Fraction]
    law: dict[int, Fraction]


def start_of(x: int, align: int, base: int) -> int:
    at = base + x
    while at % align:
        at += 1
    return at - base


def from_first(kinds, pages, base):
    """For each kind that comes first: (count, tail, padding, closing kind) -> probability."""

    @cache
    def rest(x):
        ways: dict[tuple[int, int, int, int], Fraction] = {}
        for k, (share, size, align) in enumerate(kinds):
            start = start_of(x, align, base)
            if start + size > pages:
                more = {(0, pages - x, 0, k): Fraction(1)}
            else:
                more = {
                    (n + 1, tail, padding + start - x, closing): p
                    for (n, tail, padding, closing), p in rest(start + size).items()
                }
            for way, p in more.items():
                ways[way] = ways.get(way, 0) + share * p
        return ways

    chunks = []
    for _, size, align in kinds:
        start = start_of(0, align, base)
        chunks.append(
            {
                (n + 1, tail, padding + start, closing): p
                for (n, tail, padding, closing), p in rest(start + size).items()
            }
        )
    return chunks


def solved(rows):
    """Law that the Markov chain with these rows reproduces, by elimination."""
    n = len(rows)
    equations = [[rows[i][j] - (i == j) for i in range(n)] + [Fraction(0)] for j in range(n - 1)]
    equations.append([Fraction(1)] * (n + 1))
    for column in range(n):
        pivot = next(i for i in range(column, n) if equations[i][column])
        equations[column], equations[pivot] = equations[pivot], equations[column]
        lead = equations[column][column]
        equations[column] = [value / lead for value in equations[column]]
        for i in range(n):
            if i != column and equations[i][column]:
                factor = equations[i][column]
                equations[i] = [
                    a - factor * b for a, b in zip(equations[i], equations[column], strict=True)
                ]
    return [row[-1] for row in equations]


def plain_occupancy(kinds, pages, base=0, first=None) -> Plain:
    """Occupancy of a chunk; kinds are (share, size, align), pages; stationary unless `first`."""
    chunks = from_first(kinds, pages, base)
    if first is None:
        rows = [
            [sum(p for (*_, j), p in ways.items() if j == k) for k in range(len(kinds))]
            for ways in chunks
        ]
        first = solved(rows)
    law: dict[int, Fraction] = {}
    tail = padding = Fraction(0)
    for share, ways in zip(first, chunks, strict=True):
        for (n, left, skipped, _), p in ways.items():
            law[n] = law.get(n, 0) + share * p
            tail += share * p * left
            padding += share * p * skipped
    mean = sum(n * p for n, p in law.items())
    variance = sum((n - mean) ** 2 * p for n, p in law.items())
    return Plain(mean, variance, padding, tail, first, law)
