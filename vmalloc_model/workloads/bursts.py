"""``bursts``: so many areas are allocated on one CPU, then all of them are freed.

The next burst is on another CPU, drawn uniformly. A stream ends with a whole allocation or free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled
from vmalloc_model.events import Stream
from vmalloc_model.workloads.base import Parameter, Setup, Words, Workload, log_uniform
from vmalloc_model.workloads.objects import CPU_SHIFT, SLOT_SHIFT, area_kinds
from vmalloc_model.workloads.random import GOLDEN, below, low_below, scramble

__all__ = ["ORDER", "WORKLOADS"]

ORDER: Final = 80
_ORDERS: Final = ("forward", "reverse", "random")


def _make(setup: Setup) -> Stream:
    burst = min(setup.whole("burst"), setup.events)
    payloads = log_uniform(*setup.bounds("min_pages", "max_pages"))
    kinds, draws = area_kinds(payloads, np.zeros_like(payloads), setup.page_size)
    order = _ORDERS.index(setup.text("order"))

    def start() -> Callable[[Words], int]:
        random = setup.random()
        state = np.zeros(6, np.int64)
        areas = np.zeros(burst, np.int32)
        queue = np.arange(burst, dtype=np.int32)

        def fill(out: Words) -> int:
            count: int = _play(
                *(out, kinds.steps, kinds.bounds, draws, areas, queue, state, random),
                *(kinds.slots, order, setup.cpus, setup.events),
            )
            return count

        return fill

    return setup.stream("bursts", burst * kinds.slots, start)


@compiled
def _play(
    out: Any,
    steps: Any,
    bounds: Any,
    draws: Any,
    areas: Any,
    queue: Any,
    state: Any,
    random: Any,
    stride: int,
    order: int,
    cpus: int,
    events: int,
) -> int:
    """Fill `out`; an area is its kind, and `queue` says in which order areas are freed."""
    place, end, slot, cpu, done, emitted = state
    burst = len(areas)
    counter = random[0]
    limit = len(out)
    count = 0
    while count < limit:
        if place == end:
            if emitted + count >= events:
                break
            counter += GOLDEN
            bits = scramble(counter)
            if done % burst == 0 and done < burst:
                cpu = low_below(bits, cpus)
            if done < burst:
                one = done
                kind = draws[below(bits, len(draws))]
                areas[one] = kind
                place, end = bounds[kind, 0], bounds[kind, 1]
            else:
                freed = done - burst
                one = freed
                if order == 1:
                    one = burst - 1 - freed
                elif order == 2:
                    other = freed + below(bits, burst - freed)
                    one = np.int64(queue[other])
                    queue[other], queue[freed] = queue[freed], queue[other]
                kind = areas[one]
                place, end = bounds[kind, 2], bounds[kind, 3]
            done = done + 1 if done + 1 < 2 * burst else 0
            slot = one * stride
        out[count, 0] = steps[place, 0] | (np.uint64(cpu) << CPU_SHIFT)
        out[count, 1] = steps[place, 1] + (np.uint64(slot) << SLOT_SHIFT)
        place += 1
        count += 1
    state[0], state[1], state[2], state[3] = place, end, slot, cpu
    state[4], state[5] = done, emitted + count
    random[0] = counter
    return count


WORKLOADS: Final = (
    Workload(
        name="bursts",
        title="Bursts of allocations on one CPU, then all of them are freed",
        parameters={
            "burst": Parameter(default=1000, meaning="areas of a burst", least=1, most=1 << 28),
            "order": Parameter(
                default="forward",
                meaning="frees in the order of the allocations, in reverse, or at random",
                choices=_ORDERS,
            ),
            "min_pages": Parameter(
                default=1, meaning="smallest area in pages, no guard", least=1, most=1 << 18
            ),
            "max_pages": Parameter(
                default=64, meaning="largest; log-uniform", least=1, most=1 << 18
            ),
        },
        make=_make,
    ),
)
