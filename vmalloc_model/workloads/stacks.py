"""``stacks``: threads come and go, and with them their kernel stacks.

Each CPU keeps two stacks of threads that have ended on it, and a new thread takes one of those of
its CPU if there is any: that is no event. Otherwise its stack is allocated, and freed when it ends
on a CPU that keeps two already. First `live` threads are made; then the next thing is a new thread
with the probability ``live / (live + threads)``, else any of the threads ends, so their number
stays around `live`. The CPU of a new thread is drawn uniformly; it ends there, or elsewhere. Not
modelled: that a stack is given back a grace period after its thread.

Source: Linux 6.12 kernel/fork.c ``alloc_thread_stack_node``, ``try_release_thread_stack_to_cache``,
``NR_CACHED_STACKS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, FREE, GUARD, Stream
from vmalloc_model.units import KIB, MIB, is_power_of_two
from vmalloc_model.workloads.base import Parameter, Setup, Words, Workload, step
from vmalloc_model.workloads.objects import CPU_SHIFT, SLOT_SHIFT, words_of
from vmalloc_model.workloads.random import GOLDEN, below, chance, low_below, odds, scramble

__all__ = ["ORDER", "WORKLOADS"]

ORDER: Final = 20
_SPARE: Final = 16
"""Threads are at most twice `live` and so many: more than a CPU keeps, lest it keep them all."""
_KEPT: Final = 4


def _make(setup: Setup) -> Stream:
    align = setup.whole("thread_align")
    if not is_power_of_two(align):
        allowed = "4K, 8K, 16K, ..."
        raise InputError("$.thread_align", "not a power of two", value=align, allowed=allowed)
    pages = -(-setup.whole("thread_size") // setup.page_size) + 1
    order = max(align // setup.page_size, 1).bit_length() - 1
    words = words_of(np.concatenate([step(ALLOC, 0, pages, order=order, flags=GUARD), step(FREE)]))
    live, kept = setup.whole("live"), setup.whole("cached")
    most = 2 * live + _SPARE
    slots = min(most + kept * setup.cpus, setup.events)

    masks = np.arange(1 << kept)
    lowest = np.array([(masks & -masks), (~masks & (masks + 1))])
    # By what a CPU keeps, as a mask of places: the first place that is taken, the first that is
    # free, or `kept` if there is none.
    firsts = np.minimum(np.log2(np.maximum(lowest, 1)), kept).astype(np.int64)
    firsts[0, 0] = kept

    def start() -> Callable[[Words], int]:
        random = setup.random()
        threads = np.zeros((min(most, slots + 1), 2), np.int32)
        masks = np.zeros(setup.cpus, np.int64)
        # Slots that no stack has, the lowest on top; from there on, those that the CPUs keep.
        store = np.zeros(slots + 1 + kept * setup.cpus, np.int32)
        store[:slots] = np.arange(slots)[::-1]
        state = np.array([0, 0, slots, 0], np.int64)
        away = odds(setup.number("remote"))

        def fill(out: Words) -> int:
            count: int = _play(
                *(out, words, threads, masks, firsts, store, state, random),
                *(slots + 1, kept, live, most, setup.cpus, away, setup.events),
            )
            return count

        return fill

    return setup.stream("stacks", slots, start, setup.events)


@compiled
def _play(
    out: Any,
    words: Any,
    threads: Any,
    masks: Any,
    firsts: Any,
    store: Any,
    state: Any,
    random: Any,
    base: int,
    kept: int,
    live: int,
    most: int,
    cpus: int,
    away: Any,
    events: int,
) -> int:
    """Fill `out`; a thread is its slot and its CPU.

    Most threads make no event, and which do is not predictable: so there are few branches. Every
    thread writes its event, and the next one overwrites it unless it counts (`miss` is 1).
    """
    running, filled, free, emitted = state
    counter = random[0]
    limit = min(len(out), events - emitted)
    count = 0
    while count < limit:
        counter += GOLDEN
        bits = scramble(counter)
        if filled == 0 or (running < most and below(bits, live + running) < live):
            ends = 0
            cpu = low_below(bits, cpus)
            mask = masks[cpu]
            place = firsts[0, mask]
            miss = np.int64(place == kept)
            free -= miss
            slot = store[miss * free + (1 - miss) * (base + cpu * kept + place)]
            threads[running, 0], threads[running, 1] = slot, cpu
            running += 1
            filled |= int(running == live)
        else:
            ends = 1
            counter += GOLDEN
            bits = scramble(counter)
            one = below(bits, running)
            slot, cpu = threads[one, 0], np.int64(threads[one, 1])
            running -= 1
            threads[one, 0], threads[one, 1] = threads[running, 0], threads[running, 1]
            cpu += np.int64(chance(bits, away)) * (1 + below(scramble(~counter), cpus - 1))
            cpu -= np.int64(cpu >= cpus) * cpus
            mask = masks[cpu]
            place = firsts[1, mask]
            miss = np.int64(place == kept)
            store[miss * free + (1 - miss) * (base + cpu * kept + place)] = slot
            free += miss
        masks[cpu] = mask ^ ((1 - miss) << place)
        out[count, 0] = words[ends, 0] | (np.uint64(cpu) << CPU_SHIFT)
        out[count, 1] = words[ends, 1] | (np.uint64(slot) << SLOT_SHIFT)
        count += int(miss)
    state[0], state[1], state[2], state[3] = running, filled, free, emitted + count
    random[0] = counter
    return count


WORKLOADS: Final = (
    Workload(
        name="stacks",
        title="Threads start and end: stacks of 16 KiB with guard page, two kept by each CPU",
        parameters={
            "live": Parameter(default=1000, meaning="threads", least=1, most=1 << 24),
            "thread_size": Parameter(
                default=16 * KIB,
                meaning="size of a stack in bytes, no guard",
                least=4 * KIB,
                most=MIB,
                size=True,
            ),
            "thread_align": Parameter(
                default=16 * KIB,
                meaning="alignment in bytes; 16 KiB on x86, 32 KiB on arm64 and riscv",
                least=4 * KIB,
                most=MIB,
                size=True,
            ),
            "cached": Parameter(
                default=2, meaning="stacks that each CPU keeps", least=0, most=_KEPT
            ),
            "remote": Parameter(
                default=0.25,
                meaning="probability that a thread ends on another CPU",
                least=0,
                most=1,
            ),
        },
        make=_make,
    ),
)
