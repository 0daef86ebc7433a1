"""Churn: a number of live areas, and one after another is freed and allocated anew."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

ALLOC, FREE = 1, 2

LARGEST = 256
"""Pages of the largest payload."""
STACK_PAGES, STACK_ORDER = 5, 2
"""A kernel stack of 16 KiB, guard page included, at an alignment of 16 KiB."""

# P(payload >= n) is 1 - log(n) / log(257): log-uniform. In 32 bits, so that the stream does not
# depend on the last digit of a logarithm.
_LIMITS = np.array(
    [round(2**32 * math.log(n) / math.log(LARGEST + 1)) for n in range(2, LARGEST + 1)], np.uint32
)


class Churn(NamedTuple):
    """One column per field of an event; ``skip`` events fill up before the churn begins.

    ``pages`` and ``order`` are 0 where the event is a free.
    """

    ops: np.ndarray
    pages: np.ndarray
    order: np.ndarray
    slot: np.ndarray
    slots: int
    skip: int

    def prefix(self, churn: int | None) -> Churn:
        """Keep the fill-up and the first `churn` events after it; all of them for None."""
        stop = None if churn is None else self.skip + churn
        return Churn(*(column[:stop] for column in self[:4]), self.slots, self.skip)


def churn(live: int, events: int, seed: int, aligned: bool = False) -> Churn:
    """Make a stream of `live` allocations and then `events` events, free and alloc in turn.

    Each free takes a live slot at random, all equally likely, and the alloc after it goes into
    that slot. A payload has 1 to `LARGEST` pages, log-uniformly, and a guard page; with `aligned`
    one allocation in two is a stack. The stream is the same on every machine.
    """
    random = np.random.default_rng(seed)
    allocations = live + events // 2
    drawn = random.integers(2**32, size=allocations, dtype=np.uint32)
    size = (np.searchsorted(_LIMITS, drawn, "right") + 2).astype(np.uint32)  # 1 more, and a guard
    align = np.zeros(allocations, np.uint8)
    if aligned:
        stack = random.integers(2, size=allocations, dtype=np.uint8).astype(bool)
        size[stack] = STACK_PAGES
        align[stack] = STACK_ORDER
    chosen = random.integers(live, size=(events + 1) // 2, dtype=np.uint32)

    ops = np.full(live + events, ALLOC, np.uint8)
    pages = np.zeros(live + events, np.uint32)
    order = np.zeros(live + events, np.uint8)
    slot = np.empty(live + events, np.uint32)
    ops[live::2] = FREE
    pages[ops == ALLOC] = size
    order[ops == ALLOC] = align
    slot[:live] = np.arange(live, dtype=np.uint32)
    slot[live:] = np.repeat(chosen, 2)[:events]
    return Churn(ops, pages, order, slot, live, live)


def replay_on(space, ops, pages, order, slot, slots, vstart, vend, skip=0):
    """Replay events on any free space with ``reserve`` and ``release``, in plain Python.

    Returns
    -------
    addresses : ndarray of int64
        First page of what an alloc took or a free gave back; -1 where there was nothing.
    seconds : float
        From event `skip` on.
    """
    addresses = np.empty(len(ops), np.int64)
    held: list[tuple[int, int] | None] = [None] * slots
    reserve, release, seconds = space.reserve, space.release, 0.0
    for begin, end in ((0, skip), (skip, len(ops))):
        columns = (column[begin:end].tolist() for column in (ops, pages, order, slot))
        events, got = list(zip(*columns, strict=True)), []
        start_time = time.perf_counter()
        for op, size, align, name in events:
            if op == ALLOC:
                start = reserve(size, align, vstart, vend)
                held[name] = None if start is None else (start, size)
                got.append(-1 if start is None else start)
            elif held[name] is None:
                got.append(-1)
            else:
                start, size = held[name]
                release(start, size)
                held[name] = None
                got.append(start)
        seconds = time.perf_counter() - start_time
        addresses[begin:end] = got
    return addresses, seconds
