"""Million events a second of free-space indexes, side by side on the same streams of churn.

Every competitor replays the same events; those that follow the same rule must give the same
addresses, event by event (without alignment all rules are one). The fill-up is not timed. Slow
competitors get the first part of the churn only, at the sizes at which they finish within seconds;
the column ``events`` says how much. Bytes are those of the index at its end, or of as many nodes as
there ever were at once, without what remembers the live areas.

Run it alone, with the sizes wanted, for the table only::

    python benchmarks/bench_freespace.py 1000 100000
"""

from __future__ import annotations

import functools
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from ctree import CTree, NoCompilerError, library
from sorted_freespace import SortedFreeSpace
from streams import ALLOC, Churn, churn, replay_on

GAPS = [(1, 2**52 - 1)]
VSTART, VEND = 0xFFFFC90000000000 >> 12, 0xFFFFE8FFFFFFFFFF >> 12
"""The window of x86_64 with 4 levels, whose end is the last byte of a page: without that page."""
LIVE = (10**3, 10**5, 10**6)
EVENTS = {10**3: 10**6, 10**5: 10**6, 10**6: 2 * 10**6}
ROUNDS = {10**3: 7, 10**5: 5, 10**6: 3}

Measured = tuple[np.ndarray, float, int]  # addresses, seconds, bytes


class LeftOut(Exception):
    """A competitor that cannot take part here; says why."""


@dataclass(frozen=True)
class Competitor:
    """One index: how it replays, and what it is compared with.

    ``load`` returns the function that replays a stream, or raises `LeftOut`. ``rule`` names the
    search: those with the same rule agree in every address. ``events`` of the churn are replayed,
    None for all, ``most`` is the largest number of live areas.
    """

    name: str
    rule: str
    load: Callable[[], Callable[[Churn], Measured]]
    events: int | None = None
    most: int = 10**9


def _ctree() -> Callable[[Churn], Measured]:
    try:
        library()
    except NoCompilerError as error:
        raise LeftOut(str(error)) from None

    def replay(stream: Churn) -> Measured:
        tree = CTree(GAPS)
        addresses, seconds = tree.replay(*stream[:5], VSTART, VEND, stream.skip)
        assert tree.valid()
        return addresses, seconds, tree.peak_bytes()

    return replay


def _plain(module: str, name: str, *rest: str) -> Callable[[], Callable[[Churn], Measured]]:
    """Make a loader of a free space of ours that is written in plain Python."""

    def load() -> Callable[[Churn], Measured]:
        try:
            space_type = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise LeftOut(f"no {module}.{name} ({error})") from None
        return functools.partial(_replay_python, lambda: space_type(GAPS, *rest))

    return load


def _replay_python(make: Callable[[], object], stream: Churn) -> Measured:
    space = make()
    addresses, seconds = replay_on(space, *stream[:5], VSTART, VEND, stream.skip)
    return addresses, seconds, _deep_bytes(space)


def _deep_bytes(thing: object) -> int:
    """Bytes of an object and of all that it refers to, classes and functions aside."""
    seen: set[int] = set()
    total, queue = 0, [thing]
    while queue:
        one = queue.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, dict):
            queue += [*one.keys(), *one.values()]
        if isinstance(one, list | tuple):
            queue += one
        queue += getattr(one, "__dict__", {}).values()
        for kind in type(one).__mro__:
            slots = getattr(kind, "__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(one, name):
                    queue.append(getattr(one, name))
    return total


def _compiled(kind: str) -> Callable[[], Callable[[Churn], Measured]]:
    """Make a loader of a compiled index of ours; it is compiled before anything is timed."""

    def load() -> Callable[[Churn], Measured]:
        try:
            bench_replay = importlib.import_module("vmalloc_model.freespace").bench_replay
        except (ImportError, AttributeError) as error:
            raise LeftOut(f"no vmalloc_model.freespace.bench_replay ({error})") from None

        def replay(stream: Churn) -> Measured:
            return bench_replay(kind, *stream[:5], stream.skip, VSTART, VEND)

        replay(churn(10, 100, seed=1, aligned=True))
        return replay

    return load


_PACKAGE = "vmalloc_model.freespace"
COMPETITORS = [
    Competitor("C tree", "kernel", _ctree),
    Competitor("rbtree", "kernel", _compiled("rbtree")),
    Competitor("gaps", "padded", _compiled("gaps")),
    Competitor(
        "sortedcontainers",
        "lowest",
        lambda: functools.partial(_replay_python, lambda: SortedFreeSpace(GAPS)),
        events=20_000,
        most=10**5,
    ),
    Competitor(
        "plain tree", "kernel", _plain(f"{_PACKAGE}.plaintree", "TreeFreeSpace"), 20_000, 10**5
    ),
    Competitor(
        "plain list", "lowest", _plain(f"{_PACKAGE}.reference", "LinearFreeSpace"), 2_000, 10**3
    ),
    Competitor(
        "padded list",
        "padded",
        _plain(f"{_PACKAGE}.reference", "LinearFreeSpace", "padded"),
        2_000,
        10**3,
    ),
]


@dataclass(frozen=True)
class Row:
    """What one competitor did on one stream."""

    name: str
    rule: str
    live: int
    aligned: bool
    events: int
    rate: float
    slowest: float
    fastest: float
    bytes_each: float

    def __str__(self) -> str:
        return (
            f"{self.name:<17}{self.rule:<8}{self.live:>9,}{'half' if self.aligned else 'none':>9}"
            f"{self.events:>11,}{self.rate:>10.3g}{self.slowest:>9.3g} – {self.fastest:<7.3g}"
            f"{self.bytes_each:>10.1f}"
        )


HEADER = (
    f"{'competitor':<17}{'rule':<8}{'live':>9}{'aligned':>9}{'events':>11}{'M/s':>10}"
    f"{'slowest – fastest':>18}{'B per live':>11}"
)


def compete(live: int, aligned: bool, competitors: list[Competitor] = COMPETITORS):
    """Let all replay one stream, round by round in turn; return the rows and who was left out."""
    whole = churn(live, EVENTS.get(live, 2 * live), seed=1, aligned=aligned)
    entered, out = [], []
    for one in competitors:
        if live > one.most:
            out.append(f"{one.name}: too slow for {live:,} live areas")
            continue
        try:
            entered.append((one, one.load(), whole.prefix(one.events)))
        except LeftOut as reason:
            out.append(f"{one.name}: {reason}")
    seconds: dict[str, list[float]] = {one.name: [] for one, _, _ in entered}
    addresses, memory = {}, {}
    for number in range(ROUNDS.get(live, 3)):
        for one, replay, stream in entered:
            if one.events is not None and number >= 3:
                continue  # the slow ones: three rounds are enough
            found, spent, memory[one.name] = replay(stream)
            seconds[one.name].append(spent)
            before = addresses.setdefault(one.name, found)
            assert np.array_equal(before, found), f"{one.name}: not the same in every round"
    compare([(one, addresses[one.name]) for one, _, _ in entered], whole, aligned)
    rows = []
    for one, _, stream in entered:
        events = len(stream.ops) - stream.skip
        rates = [events / spent / 1e6 for spent in seconds[one.name]]
        low, middle, high = min(rates), statistics.median(rates), max(rates)
        each = memory[one.name] / live
        rows.append(Row(one.name, one.rule, live, aligned, events, middle, low, high, each))
    return rows, out


def compare(found: list[tuple[Competitor, np.ndarray]], stream: Churn, aligned: bool) -> None:
    """Demand the same addresses of all that follow one rule, as far as both went.

    Without alignment all rules are one. Sizes are what they are, so no two live areas may overlap:
    that is looked at in the longest run.
    """
    longest: dict[str, tuple[Competitor, np.ndarray]] = {}
    for one, addresses in sorted(found, key=lambda pair: -len(pair[1])):
        other, theirs = longest.setdefault(one.rule if aligned else "", (one, addresses))
        common = len(addresses)
        differ = np.flatnonzero(addresses != theirs[:common])
        assert not differ.size, (
            f"{one.name} and {other.name} differ from event {differ[0]} on: "
            f"{addresses[differ[0]]:#x}, {theirs[differ[0]]:#x}"
        )
    for one, addresses in longest.values():
        _check_last_state(one.name, addresses, stream)


def _check_last_state(name: str, addresses: np.ndarray, stream: Churn) -> None:
    """Verify that the areas live at the end are in the window, aligned and disjoint."""
    stop = len(addresses)
    last = np.full(stream.slots, -1)
    last[stream.slot[:stop]] = np.arange(stop)  # the last event of each slot counts
    last = last[(last >= 0) & (stream.ops[last] == ALLOC)]
    order = last[np.argsort(addresses[last])]
    start, pages = addresses[order], stream.pages[order].astype(np.int64)
    assert start[0] >= VSTART, name
    assert start[-1] + pages[-1] <= VEND, name
    assert (start[:-1] + pages[:-1] <= start[1:]).all(), f"{name}: areas overlap"
    assert not (start & ((1 << stream.order[order].astype(np.int64)) - 1)).any(), name


def table(rows: list[Row], out: list[str]) -> str:
    """Set the rows, fastest first, and what is missing."""
    lines = [HEADER, *map(str, sorted(rows, key=lambda row: -row.rate))]
    return "\n".join([*lines, *(f"left out: {reason}" for reason in out)])


@pytest.mark.parametrize("aligned", [False, True], ids=["unaligned", "aligned"])
@pytest.mark.parametrize("live", LIVE)
def test_churn(benchmark, capsys, live, aligned):
    rows, out = benchmark.pedantic(compete, (live, aligned), rounds=1)
    for row in rows:
        benchmark.extra_info[f"{row.name}: million events per second"] = row.rate
    with capsys.disabled():
        print(f"\n{table(rows, out)}")


def main() -> None:
    for live in [int(word) for word in sys.argv[1:]] or LIVE:
        for aligned in (False, True):
            begin = time.perf_counter()
            print(table(*compete(live, aligned)))
            print(f"{time.perf_counter() - begin:.0f} s in all\n", flush=True)


if __name__ == "__main__":
    main()
