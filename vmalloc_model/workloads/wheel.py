"""Areas whose lifetimes are drawn at their birth: a wheel of what is due at which event."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled
from vmalloc_model.units import power_of_two_at_least
from vmalloc_model.workloads.objects import CPU_SHIFT, SLOT_SHIFT
from vmalloc_model.workloads.random import GOLDEN, below, chance, low_below, scramble

__all__ = ["play_wheel", "wheel_state"]

_NONE: Final = -1


def wheel_state(slots: int, longest: int) -> tuple[Any, ...]:
    """Return the arrays that `play_wheel` keeps its state in.

    They are: the first slot due at each event, the next slot of each in its list, the CPU of each,
    and: slot that waits first and last, first unused slot, areas for ever, and events so far.
    """
    wheel = np.full(int(power_of_two_at_least(longest + 1)), _NONE, np.int32)
    following = np.arange(1, slots + 1, dtype=np.int32)
    return wheel, following, np.zeros(slots, np.int32), np.array([_NONE, _NONE, 0, 0, 0], np.int64)


@compiled
def play_wheel(
    out: Any,
    births: Any,
    death: Any,
    kinds: Any,
    groups: Any,
    quantiles: Any,
    places: Any,
    wheel: Any,
    following: Any,
    owners: Any,
    state: Any,
    random: Any,
    longest: int,
    forever: int,
    cpus: int,
    away: Any,
    events: int,
) -> Any:
    """Fill `out`; one event at each time, so that time is the number of events.

    Parameters
    ----------
    out, births, death : ndarray
        Rows of two words: what is filled; the allocation of each kind; the free.
    kinds, groups : ndarray
        Kind and group of lifetimes of each draw; all draws are equally frequent.
    quantiles : ndarray
        Lifetimes of each group, equally frequent; 0: for ever.
    places : ndarray
        CPUs, equally frequent.
    wheel, following, owners, state
        From `wheel_state`.
    random : ndarray
        The state of random numbers.
    longest : int
        The longest lifetime.
    forever : int
        So many areas may live for ever; more live `longest`.
    cpus, away
        CPUs, and the odds of a free on another than the allocation's.
    events : int
        Length of the stream.
    """
    first, last, unused, kept, now = state
    counter = random[0]
    limit = min(len(out), events - now)
    turn = len(wheel) - 1
    for count in range(limit):
        due = np.int64(wheel[now & turn])
        if due >= 0:
            wheel[now & turn] = _NONE
            if first < 0:
                first = due
            else:
                following[last] = due
            last = due
            while following[last] >= 0:
                last = np.int64(following[last])
        counter += GOLDEN
        bits = scramble(counter)
        if first >= 0:
            slot = first
            cpu = np.int64(owners[slot])
            if chance(bits, away):
                cpu = (cpu + 1 + below(bits, cpus - 1)) % cpus
            out[count, 0] = death[0, 0] | (np.uint64(cpu) << CPU_SHIFT)
            out[count, 1] = death[0, 1] | (np.uint64(slot) << SLOT_SHIFT)
            first = np.int64(following[slot])
            following[slot] = unused
            unused = slot
        else:
            slot = unused
            unused = np.int64(following[slot])
            draw = below(bits, len(kinds))
            kind = kinds[draw]
            time = quantiles[groups[draw], low_below(bits, quantiles.shape[1])]
            counter += GOLDEN
            cpu = np.int64(places[below(scramble(counter), len(places))])
            owners[slot] = cpu
            if time == 0 and kept < forever:
                kept += 1
            else:
                time = longest if time == 0 else time
                following[slot] = wheel[(now + time) & turn]
                wheel[(now + time) & turn] = slot
            out[count, 0] = births[kind, 0] | (np.uint64(cpu) << CPU_SHIFT)
            out[count, 1] = births[kind, 1] | (np.uint64(slot) << SLOT_SHIFT)
        now += 1
    state[0], state[1], state[2], state[3], state[4] = first, last, unused, kept, now
    random[0] = counter
    return limit
