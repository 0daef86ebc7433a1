"""``pcpu_alloc``: the test of that name in the kernel's ``lib/test_vmalloc.c``.

A worker takes a ``vmalloc`` array for 35,000 pointers and as many objects of 1 byte to a quarter of
a page of per-CPU memory; then it frees the objects in the same order, and the array. Objects come
from *chunks*, which all workers share, and only a new chunk reaches the allocator of areas: up to
three areas of metadata, then the chunk's own from the top of the window.

Simplified: an object goes to the first chunk in which the free bytes, together, are enough;
alignment, and which bytes are next to each other, do not count (so there are no more chunks than
in the kernel). The chunk made at boot is full. No chunk is made ahead of need, and an empty one is
given back at once if another is empty already. A machine has one NUMA node.

The stream ends after the allocation or free with which it is long enough. Hundreds of those make no
event, so this stream is slow: some 100,000 events a second.

Source: Linux 6.12 mm/percpu.c ``pcpu_alloc``, ``pcpu_alloc_chunk``, ``pcpu_balance_free``,
``pcpu_build_alloc_info``; mm/percpu-vm.c ``pcpu_create_chunk``, ``pcpu_destroy_chunk``; sizes of
the metadata as in the recorded run ``oplog-stock``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, FREE, GUARD, PCPU, Stream
from vmalloc_model.units import KIB, MIB, is_power_of_two
from vmalloc_model.workloads.base import Parameter, Setup, Steps, Words, Workload, step
from vmalloc_model.workloads.kernel_tests import BITS, pointer_size, vfree, vmalloc
from vmalloc_model.workloads.objects import words_of
from vmalloc_model.workloads.pending import LEFT, NO_BOX, find_box, put
from vmalloc_model.workloads.random import GOLDEN, below, chance, low_below, odds, scramble
from vmalloc_model.workloads.scripts import WORKERS

__all__ = ["ORDER", "WORKLOADS", "chunk_steps", "unit_size"]

ORDER: Final = 11
_OBJECTS: Final = 1 << 29
_GRAIN: Final = 4  # PCPU_MIN_ALLOC_SIZE
_BLOCK: Final = 32  # sizeof(struct pcpu_block_md)


def unit_size(cpus: int, atom: int, least: int, page_size: int) -> tuple[int, int]:
    """Return the bytes that each CPU has in a chunk, and the bytes of a chunk's area.

    Parameters
    ----------
    cpus : int
        Possible CPUs, all on one node.
    atom : int
        Bytes; alignment and granularity of areas.
    least : int
        Bytes that the kernel's own per-CPU variables and the first objects need.
    page_size : int
        Bytes.

    Notes
    -----
    Source: Linux 6.12 mm/percpu.c ``pcpu_build_alloc_info``: as many CPUs share an atom as fit, as
    long as the units that are left over are at most a third of the CPUs.
    """
    least = -(-max(least, 32 * KIB) // page_size) * page_size
    size = -(-least // atom) * atom
    shared, fewest = 1, cpus
    for units in range(size // least, 0, -1):
        if size % units or size // units % page_size:
            continue
        atoms = -(-cpus // units)
        if atoms * units - cpus > cpus // 3:
            continue
        if atoms > fewest:
            break
        shared, fewest = units, atoms
    return size // shared, fewest * size


def chunk_steps(unit: int, area: int, atom: int, page_size: int, word: int) -> tuple[Steps, Steps]:
    """Take the steps of making a chunk and of destroying it; slot 0 is the chunk's.

    Parameters
    ----------
    unit, area, atom : int
        Bytes, as in `unit_size`.
    page_size, word : int
        Bytes.
    """
    grains = unit // _GRAIN
    maps = [-(-bits // (8 * word)) * word for bits in (grains, grains + 1)]
    sizes = (*maps, unit // page_size * _BLOCK)
    metadata = [-(-size // page_size) for size in sizes if size > page_size]
    made = [step(ALLOC, slot, pages + 1, flags=GUARD) for slot, pages in enumerate(metadata, 1)]
    order = max(atom // page_size, 1).bit_length() - 1
    made.append(step(PCPU, 0, area // page_size, order=order))
    freed = [step(FREE, slot) for slot in (0, *range(len(metadata), 0, -1))]
    return np.concatenate(made), np.concatenate(freed)


def _make(setup: Setup) -> Stream:
    page, word, threads = setup.page_size, pointer_size(setup), setup.whole("threads")
    objects, atom = setup.whole("objects"), setup.whole("atom")
    if not is_power_of_two(atom) or atom < page:
        allowed = f"a power of two, {page:,} or more"
        raise InputError("$.atom", "not an alignment", value=atom, allowed=allowed)
    unit, area = unit_size(setup.cpus, atom, setup.whole("min_unit"), page)
    chunk = [words_of(steps) for steps in chunk_steps(unit, area, atom, page, word)]
    pages = -(-objects * word // page)
    array = [words_of(vmalloc(setup, 0, pages)), words_of(vfree(setup, 0, pages))]
    largest = page // 4
    if threads * objects > _OBJECTS:
        allowed = f"threads * objects up to {_OBJECTS:,}"
        raise InputError("$.objects", "too many objects", value=objects, allowed=allowed)
    # A chunk is made when each of the others has less room than the largest object.
    chunks = min(threads * objects * largest // (unit - largest + 1), setup.events) + 2

    def start() -> Callable[[Words], int]:
        random = setup.random()
        state = np.zeros(5, np.int64)
        workers = np.zeros((threads, 2), np.int64)
        workers[:, 1] = np.arange(threads) % setup.cpus
        places = np.zeros((threads, objects), np.int32)
        sizes = np.zeros((threads, objects), np.int16)
        room = np.full(chunks, NO_BOX, np.int64)
        boxes = np.zeros(2, np.int64)
        pending = np.zeros((max(map(len, (*chunk, *array))), 2), np.uint64)
        turns = setup.text("interleave") == "round-robin"
        move = odds(setup.number("migrate"))

        def fill(out: Words) -> int:
            arrays: list[Any] = [*array, *chunk, workers, places, sizes, room, boxes, pending]
            limits = [unit, largest, setup.cpus, turns, move, setup.events]
            count: int = _play(out, *[*arrays, state, random, *limits])
            return count

        return fill

    return setup.stream("pcpu_alloc", threads * len(array[0]) + chunks * len(chunk[0]), start)


@compiled
def _play(
    out: Any,
    array_made: Any,
    array_freed: Any,
    chunk_made: Any,
    chunk_freed: Any,
    workers: Any,
    places: Any,
    sizes: Any,
    room: Any,
    boxes: Any,
    pending: Any,
    state: Any,
    random: Any,
    unit: int,
    largest: int,
    cpus: int,
    turns: bool,
    move: Any,
    events: int,
) -> int:
    """Fill `out`; a worker is the number of its next action in the test, and its CPU."""
    taken, waiting, turn, spare, emitted = state
    threads, objects = places.shape
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
            one = turn
            if turns:
                turn = turn + 1 if turn + 1 < threads else 0
            else:
                one = below(bits, threads)
            action, cpu = workers[one]
            if move > 0 and action <= objects:
                counter += GOLDEN
                bits = scramble(counter)
                if chance(bits, move):
                    cpu = workers[one, 1] = (cpu + 1 + below(bits, cpus - 1)) % cpus
                counter += GOLDEN
                bits = scramble(counter)
            workers[one, 0] = action + 1 if action < 2 * objects + 1 else 0
            steps, slot = array_made, one * len(array_made)
            steps = steps[:0] if 0 < action <= 2 * objects else steps
            if action == 2 * objects + 1:
                steps = array_freed
            elif 0 < action <= objects:
                size = (1 + low_below(bits, largest) + _GRAIN - 1) // _GRAIN * _GRAIN
                box = find_box(room, boxes, size, _GRAIN)
                if room[box] == NO_BOX:
                    room[box] = unit
                    steps, slot = chunk_made, threads * len(array_made) + box * len(chunk_made)
                elif room[box] == unit:
                    spare = 0
                room[box] -= size
                places[one, action - 1], sizes[one, action - 1] = box, size
            elif action > objects:
                box, size = places[one, action - 1 - objects], sizes[one, action - 1 - objects]
                room[box] += size
                boxes[LEFT] = min(boxes[LEFT], box)
                if room[box] == unit:
                    if spare:
                        room[box] = NO_BOX
                        steps, slot = chunk_freed, threads * len(array_made) + box * len(chunk_made)
                    spare = 1
            for place in range(len(steps)):
                head, tail = steps[place, 0], steps[place, 1]
                waiting = put(pending, waiting, head, tail, cpu, slot)
        while taken < waiting and count < limit:
            out[count, 0], out[count, 1] = pending[taken, 0], pending[taken, 1]
            taken += 1
            count += 1
    state[0], state[1], state[2], state[3] = taken, waiting, turn, spare
    state[4] = emitted + count
    random[0] = counter
    return count


WORKLOADS: Final = (
    Workload(
        name="pcpu_alloc",
        title="pcpu_alloc_test: 35,000 objects of per-CPU memory, of which new chunks are events",
        parameters={
            "objects": Parameter(
                default=35_000, meaning="objects of a test", least=1, most=1 << 20
            ),
            "atom": Parameter(
                default=2 * MIB,
                meaning="alignment of chunks in bytes; 2 MiB on x86, elsewhere a page",
                least=4 * KIB,
                most=16 * MIB,
                size=True,
            ),
            "min_unit": Parameter(
                default=248 * KIB,
                meaning="least size of a CPU's part of a chunk in bytes",
                least=32 * KIB,
                most=64 * MIB,
                size=True,
            ),
            "bits": BITS,
            **WORKERS,
        },
        make=_make,
    ),
)
