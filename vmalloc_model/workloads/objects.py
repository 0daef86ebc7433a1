"""A population of objects that is kept at its target: one dies at random, another is born.

An object is one area, or several that are taken and given back together: an area and the array of
its pages, or all of a module. Its *kind* says which steps its birth and its death are made of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.compiled import compiled
from vmalloc_model.events import ALLOC, EVENT, FREE, GUARD, PURGE, Stream
from vmalloc_model.units import pages_for
from vmalloc_model.workloads.base import POINTER, Setup, Steps, Words, step
from vmalloc_model.workloads.random import GOLDEN, below, chance, low_below, odds, scramble

__all__ = ["CPU_SHIFT", "SLOT_SHIFT", "Kinds", "area_kinds", "churn_stream", "kinds_of", "words_of"]

_LITTLE: Final = sys.byteorder == "little"
CPU_SHIFT: Final = np.uint64(32 if _LITTLE else 0)
"""Place of ``cpu`` in the first word of an event."""
SLOT_SHIFT: Final = np.uint64(0 if _LITTLE else 32)
"""Place of ``slot`` in the second."""
_PURGE: Final = np.uint64(step(PURGE).view(np.uint64)[0])
_32: Final = np.uint64(32)
_ORDERS: Final = 64
"""More than any order of an alignment."""


def words_of(steps: Steps) -> Words:
    """View steps as rows of two words."""
    return np.ascontiguousarray(steps).view(np.uint64).reshape(-1, 2)


@dataclass(frozen=True)
class Kinds:
    """Kinds of objects.

    Attributes
    ----------
    steps : ndarray
        All births and deaths, one after the other, as rows of two words.
    bounds : ndarray of int64
        One row per kind: where its birth begins and ends, where its death begins and ends.
    slots : int
        Slots that one object takes, of any kind.
    """

    steps: Words
    bounds: npt.NDArray[np.int64]
    slots: int


def kinds_of(births: Sequence[Steps], deaths: Sequence[Steps]) -> Kinds:
    """Put kinds together from the steps of their births and deaths."""
    parts = [part for pair in zip(births, deaths, strict=True) for part in pair]
    ends = np.cumsum([len(part) for part in parts])
    steps = np.concatenate(parts)
    starts = np.concatenate([[0], ends[:-1]])
    bounds = np.stack([starts, ends], axis=1).reshape(-1, 4).astype(np.int64)
    return Kinds(words_of(steps), bounds, int(steps["slot"].max()) + 1)


def area_kinds(
    payloads: npt.NDArray[np.int64], orders: npt.NDArray[np.int64], page_size: int
) -> tuple[Kinds, npt.NDArray[np.int32]]:
    """Kinds for ``vmalloc`` of so many payload pages at such an order, and the kind of each draw.

    Parameters
    ----------
    payloads, orders : ndarray
        Of each draw; all draws are equally frequent.
    page_size : int
        Bytes.
    """
    # one number for each pair: sorting rows is thirty times as slow
    keys, kinds = np.unique(payloads * _ORDERS + orders, return_inverse=True)
    pairs = np.stack(np.divmod(keys, _ORDERS), axis=1)
    # The chain of areas of every pair at once: what `area_chain` says of each.
    chain = [pairs[:, 0] + 1]
    while ((array := (chain[-1] - 1) * POINTER) > page_size).any():
        chain.append(np.where(array > page_size, pages_for(array, page_size) + 1, 1))
    pages = np.stack(chain, axis=1)
    rows, levels = np.nonzero(pages > 1)
    steps = np.zeros((2, len(rows)), EVENT)
    steps["slot"] = levels
    steps["op"] = [[ALLOC], [FREE]]
    steps["flags"][0] = GUARD
    steps["pages"][0] = pages[rows, levels]
    steps["order"][0] = np.where(levels == 0, pairs[rows, 1], 0)
    ends = np.searchsorted(rows, np.arange(len(pairs)), side="right")
    starts = np.concatenate([[0], ends[:-1]])
    bounds = np.stack([starts, ends, starts + len(rows), ends + len(rows)], axis=1)
    table = Kinds(words_of(steps.reshape(-1)), bounds.astype(np.int64), len(chain))
    return table, kinds.reshape(-1).astype(np.int32)


def churn_stream(
    name: str,
    setup: Setup,
    kinds: Kinds,
    draws: npt.NDArray[np.int32],
    live: int,
    remote: float = 0.0,
) -> Stream:
    """Make a stream of births until `live` objects live, then of a death and a birth in turn.

    Who dies is drawn uniformly from all that live, so lifetimes are geometric, with a mean of
    ``live`` births. The CPU of a birth is drawn uniformly. A birth or death that has begun when
    the stream is long enough is finished.

    Parameters
    ----------
    name, setup
        Of the stream.
    kinds, draws
        The kinds of objects, and the kind of each draw; all draws are equally frequent.
    live : int
        Objects, at most 2**32.
    remote : float
        Probability that an object dies on another CPU than that of its birth.
    """
    live = min(live, setup.events)

    def start() -> Callable[[Words], int]:
        random = setup.random()
        state = np.zeros(len(_STATE), np.int64)
        state[_VICTIM] = -1
        objects = np.zeros(live, np.uint64)
        away = odds(remote)

        def fill(out: Words) -> int:
            count: int = _churn(
                *(out, kinds.steps, kinds.bounds, draws, objects, random, state),
                *(kinds.slots, setup.cpus, away, setup.events),
            )
            return count

        return fill

    exact = bool((np.diff(kinds.bounds)[:, ::2] == 1).all())
    return setup.stream(name, live * kinds.slots, start, setup.events if exact else None)


_STATE: Final = ("place", "end", "slot", "cpu", "filled", "victim", "emitted")
_VICTIM: Final = _STATE.index("victim")


@compiled
def _churn(
    out: Any,
    steps: Any,
    bounds: Any,
    draws: Any,
    objects: Any,
    random: Any,
    state: Any,
    stride: int,
    cpus: int,
    away: Any,
    events: int,
) -> int:
    """Fill `out`; an object is its kind, and its CPU 32 bits up."""
    place, end, slot, cpu, filled, victim, emitted = state
    counter = random[0]
    limit = len(out)
    count = 0
    while count < limit:
        if place == end:
            if emitted + count >= events:
                break
            counter += GOLDEN
            bits = scramble(counter)
            if victim >= 0 or filled < len(objects):
                one = victim
                if victim < 0:
                    one = filled
                    filled += 1
                victim = -1
                kind = np.int64(draws[below(bits, len(draws))])
                cpu = low_below(bits, cpus)
                objects[one] = np.uint64(kind) | (np.uint64(cpu) << _32)
                place, end = bounds[kind, 0], bounds[kind, 1]
            else:
                one = victim = below(bits, len(objects))
                kind = np.int64(objects[one] & np.uint64(0xFFFFFFFF))
                cpu = np.int64(objects[one] >> _32)
                if chance(bits, away):
                    counter += GOLDEN
                    cpu = (cpu + 1 + below(scramble(counter), cpus - 1)) % cpus
                place, end = bounds[kind, 2], bounds[kind, 3]
            slot = one * stride
        stop = min(end, place + limit - count)
        while place < stop:
            head, tail = steps[place, 0], steps[place, 1]
            if head != _PURGE:
                tail += np.uint64(slot) << SLOT_SHIFT
            out[count, 0] = head | (np.uint64(cpu) << CPU_SHIFT)
            out[count, 1] = tail
            place += 1
            count += 1
    state[0], state[1], state[2], state[3] = place, end, slot, cpu
    state[4], state[5], state[6] = filled, victim, emitted + count
    random[0] = counter
    return count
