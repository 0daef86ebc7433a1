"""``bpf``: programs, the packs that their machine code lies in, and maps.

A program is one page of ``__vmalloc`` and a part of a *pack*, an area of 2 MiB in the modules'
window. Programs are put into packs first fit by size alone, in units of 64 bytes; a pack is made
when none has room, and given back, with a purge, when it is empty. Making one purges too, because
its pages become executable. Maps are areas of random sizes, larger than what ``kmalloc`` is asked
for first. Programs and maps die at random, and events of both kinds are interleaved at random. Not
modelled: the areas that the verifier holds while a program is loaded.

Source: Linux 6.12 kernel/bpf/core.c ``bpf_prog_alloc_no_stats``, ``bpf_prog_pack_alloc``,
``bpf_prog_pack_free``; kernel/bpf/syscall.c ``__bpf_map_area_alloc``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, FREE, GUARD, PURGE, Stream
from vmalloc_model.units import MIB
from vmalloc_model.workloads.base import Parameter, Setup, Words, Workload, log_uniform, step
from vmalloc_model.workloads.mixing import mixed_stream
from vmalloc_model.workloads.objects import area_kinds, churn_stream, words_of
from vmalloc_model.workloads.pending import NO_BOX, find_box, put
from vmalloc_model.workloads.random import GOLDEN, below, low_below, scramble

__all__ = ["ORDER", "PACK", "WORKLOADS"]

ORDER: Final = 50
PACK: Final = 2 * MIB
_UNIT: Final = 64  # BPF_PROG_CHUNK_SIZE
_WINDOW: Final = 1


def _programs(setup: Setup) -> Stream:
    live = min(setup.whole("programs"), setup.events)
    sizes = -(-log_uniform(*setup.bounds("min_code", "max_code")) // _UNIT)
    units = setup.whole("pack") // _UNIT
    largest = int(sizes[-1])
    # A pack is made when each of the others has less room than the largest program.
    packs = live * largest // (units - largest + 1) + 2
    pages = setup.whole("pack") // setup.page_size + 1
    words = words_of(
        np.concatenate(
            [
                step(ALLOC, 0, 2, flags=GUARD),
                step(ALLOC, 0, pages, window=_WINDOW, flags=GUARD),
                step(FREE),
                step(PURGE),
            ]
        )
    )

    def start() -> Callable[[Words], int]:
        random = setup.random()
        state = np.array([0, 0, 0, -1, 0], np.int64)
        boxes = np.zeros(2, np.int64)
        room = np.full(packs, NO_BOX, np.int64)
        programs = np.zeros((live, 2), np.int32)
        pending = np.zeros((4, 2), np.uint64)

        def fill(out: Words) -> int:
            count: int = _play(
                *(out, words, sizes, programs, room, boxes, pending, state, random),
                *(units, setup.cpus, setup.events),
            )
            return count

        return fill

    return setup.stream("bpf", live + packs, start)


@compiled
def _play(
    out: Any,
    words: Any,
    sizes: Any,
    programs: Any,
    room: Any,
    boxes: Any,
    pending: Any,
    state: Any,
    random: Any,
    units: int,
    cpus: int,
    events: int,
) -> int:
    """Fill `out`; a program is its pack and its size in units."""
    taken, waiting, filled, victim, emitted = state
    live = len(programs)
    counter = random[0]
    limit = len(out)
    count = 0
    while count < limit:
        if taken == waiting:
            if emitted + count >= events:
                break
            taken = waiting = 0
            counter += GOLDEN
            bits = scramble(counter)
            cpu = low_below(bits, cpus)
            if filled == live and victim < 0:
                victim = below(bits, live)
                pack, size = programs[victim, 0], programs[victim, 1]
                room[pack] += size
                boxes[0] = min(boxes[0], pack)
                if room[pack] == units:
                    room[pack] = NO_BOX
                    waiting = put(pending, waiting, words[2, 0], words[2, 1], cpu, live + pack)
                    waiting = put(pending, waiting, words[3, 0], words[3, 1], cpu, 0)
                waiting = put(pending, waiting, words[2, 0], words[2, 1], cpu, victim)
            else:
                one = victim
                if victim < 0:
                    one = filled
                    filled += 1
                victim = -1
                size = sizes[below(bits, len(sizes))]
                waiting = put(pending, waiting, words[0, 0], words[0, 1], cpu, one)
                pack = find_box(room, boxes, size, 1)
                if room[pack] == NO_BOX:
                    room[pack] = units
                    waiting = put(pending, waiting, words[1, 0], words[1, 1], cpu, live + pack)
                    waiting = put(pending, waiting, words[3, 0], words[3, 1], cpu, 0)
                room[pack] -= size
                programs[one, 0], programs[one, 1] = pack, size
        while taken < waiting and count < limit:
            out[count, 0], out[count, 1] = pending[taken, 0], pending[taken, 1]
            taken += 1
            count += 1
    state[0], state[1], state[2], state[3] = taken, waiting, filled, victim
    state[4] = emitted + count
    random[0] = counter
    return count


def _maps(setup: Setup) -> Stream:
    payloads = log_uniform(*setup.bounds("min_pages", "max_pages"))
    kinds, draws = area_kinds(payloads, np.zeros_like(payloads), setup.page_size)
    return churn_stream("bpf", setup, kinds, draws, setup.whole("maps"))


def _make(setup: Setup) -> Stream:
    share = setup.number("map_share")
    if setup.whole("pack") % setup.page_size:
        pack, page = setup.whole("pack"), f"a multiple of {setup.page_size:,}"
        raise InputError("$.pack", "not whole pages", value=pack, allowed=page)
    parts = [(1 - share, _programs), (share, _maps)]
    return mixed_stream("bpf", setup, [(weight, make, setup.values) for weight, make in parts])


WORKLOADS: Final = (
    Workload(
        name="bpf",
        title="BPF programs of one page with code in packs of 2 MiB, and maps of random sizes",
        parameters={
            "programs": Parameter(
                default=1000, meaning="programs that live", least=1, most=1 << 24
            ),
            "min_code": Parameter(
                default=128,
                meaning="smallest machine code in bytes",
                least=1,
                most=1 << 20,
                size=True,
            ),
            "max_code": Parameter(
                default=16384,
                meaning="largest; log-uniform, rounded up to 64 bytes",
                least=1,
                most=1 << 20,
                size=True,
            ),
            "pack": Parameter(
                default=PACK,
                meaning="size of a pack in bytes, 2 MiB for each possible NUMA node",
                least=PACK,
                most=1 << 30,
                size=True,
            ),
            "maps": Parameter(default=200, meaning="maps that live", least=1, most=1 << 24),
            "min_pages": Parameter(
                default=9, meaning="smallest map in pages, no guard", least=1, most=1 << 18
            ),
            "max_pages": Parameter(
                default=1024, meaning="largest; log-uniform", least=1, most=1 << 18
            ),
            "map_share": Parameter(
                default=0.5, meaning="share of the events that is of maps", least=0, most=1
            ),
        },
        make=_make,
    ),
)
