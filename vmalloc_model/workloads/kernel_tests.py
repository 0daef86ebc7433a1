"""The tests of the kernel's test module ``lib/test_vmalloc.c``, event for event.

``loops`` is its ``test_loop_count``, ``threads`` its ``nr_threads``; every worker repeats the test
as long as the stream lasts, and finishes the iteration it is in. Sizes, counts and orders are those
of Linux 6.12; ``no_block`` is newer. The test ``pcpu_alloc`` has a file of its own.

``align_shift`` goes on after an allocation that fails, and frees it, where the kernel's test stops:
who replays it leaves out the free of what it could not allocate.

``kvfree_rcu`` frees a batch when it is complete, in the order of allocation and on the CPU that
filled it. The kernel collects pointers in one page per CPU and frees them all after the next grace
period, while the test goes on; a longer grace period is a larger batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from vmalloc_model.errors import InputError
from vmalloc_model.events import FREE, GUARD, MAP_RAM, NODE, Stream
from vmalloc_model.units import KIB, MIB, is_power_of_two
from vmalloc_model.workloads.base import (
    Parameter,
    Setup,
    Steps,
    Workload,
    alloc_steps,
    free_steps,
    step,
)
from vmalloc_model.workloads.scripts import WORKERS, Phase, script_stream

__all__ = ["BITS", "ORDER", "WORKLOADS", "pointer_size", "vfree", "vmalloc"]

ORDER: Final = 10

_BUSY: Final = 15_000  # areas that stay, and pointers in their array
_LAZY_UNIT: Final = 32 * MIB  # lazy_max_pages() is so much for each binary digit of the CPUs
_SHIFTS: Final = 23
_BYTES: Final = 256  # values of get_random_u8()


def _life(
    setup: Setup, *payloads: int, order: int = 0, flags: int = GUARD, first: int = 0
) -> Steps:
    """Allocate areas of so many payload pages one after the other, then free them in that order."""
    births, deaths = [], []
    for payload in payloads:
        births.append(vmalloc(setup, first, payload, order=order, flags=flags))
        deaths.append(vfree(setup, first, payload))
        first += len(births[-1])
    return np.concatenate(births + deaths)


def vmalloc(setup: Setup, slot: int, payload: int, *, order: int = 0, flags: int = GUARD) -> Steps:
    """``vmalloc`` of so many pages, by the setup's page size and word."""
    pointer = pointer_size(setup)
    return alloc_steps(
        slot, payload, setup.page_size, order=order, flags=flags, pointer_size=pointer
    )


def vfree(setup: Setup, slot: int, payload: int) -> Steps:
    """Its ``vfree``."""
    return free_steps(slot, payload, setup.page_size, pointer_size(setup))


def pointer_size(setup: Setup) -> int:
    """Bytes of a pointer."""
    return int(setup.text("bits")) // 8


def _order(align: int, page_size: int) -> int:
    """Order of an alignment in bytes, a power of two."""
    return max(align.bit_length() - page_size.bit_length(), 0)


def _loop(setup: Setup, *variants: Steps) -> Phase:
    return Phase(variants, setup.whole("loops"))


def _fix_size(setup: Setup) -> list[Phase]:
    page, pages, order = setup.page_size, setup.whole("nr_pages"), 0
    huge = page // pointer_size(setup)  # pages that one page of the page table maps
    if setup.text("use_huge") == "yes" and pages >= huge:
        pages, order = -(-pages // huge) * huge, huge.bit_length() - 1
    return [_loop(setup, _life(setup, pages, order=order))]


def _full_fit(setup: Setup) -> list[Phase]:
    length = setup.cpus.bit_length() * _LAZY_UNIT // setup.page_size
    array = -(-length * pointer_size(setup) // setup.page_size)
    arrays = [vmalloc(setup, 0, array), vfree(setup, 0, array)]
    each = len(arrays[0])  # slots of one array; its areas stay at the slots from 2 * each on
    first, second = 2 * each, 2 * each + 1
    return [
        Phase([np.concatenate([arrays[0], vmalloc(setup, each, array)])]),
        Phase([np.concatenate([vmalloc(setup, first, 1), vmalloc(setup, second, 1)])], length, 2),
        Phase([vfree(setup, second, 1)], length, 2),
        # the slot of the first junk area is free again
        _loop(setup, _life(setup, 1, first=second)),
        Phase([vfree(setup, first, 1)], length, 2),
        Phase([np.concatenate([arrays[1], vfree(setup, each, array)])]),
    ]


def _long_busy_list(setup: Setup) -> list[Phase]:
    array = -(-_BUSY * pointer_size(setup) // setup.page_size)
    return [
        Phase([vmalloc(setup, 0, array)]),
        Phase([vmalloc(setup, 1, 1)], _BUSY, 1),
        _loop(setup, _life(setup, 100, 1, first=1 + _BUSY)),
        Phase([vfree(setup, 1, 1)], _BUSY, 1),
        Phase([vfree(setup, 0, array)]),
    ]


def _random_size(setup: Setup) -> list[Phase]:
    return [_loop(setup, *(_life(setup, pages) for pages in range(1, 101)))]


def _fix_align(setup: Setup) -> list[Phase]:
    align = 2 * setup.whole("thread_align")
    if not is_power_of_two(align):
        raise InputError(
            "$.thread_align", "not a power of two", value=align // 2, allowed="4K, 8K, 16K, ..."
        )
    order = _order(align, setup.page_size)
    return [_loop(setup, _life(setup, 5, order=order, flags=GUARD | NODE))]


def _random_size_align(setup: Setup) -> list[Phase]:
    variants = [
        _life(
            setup,
            byte % 10 + 1,
            order=_order(1 << byte % _SHIFTS, setup.page_size),
            flags=GUARD | NODE,
        )
        for byte in range(_BYTES)
    ]
    return [_loop(setup, *variants)]


def _align_shift(setup: Setup) -> list[Phase]:
    lives = [
        _life(setup, 1, order=_order(1 << shift, setup.page_size), flags=GUARD | NODE)
        for shift in range(8 * pointer_size(setup))
    ]
    return [Phase([one]) for one in lives]


def _kvfree_rcu(setup: Setup) -> list[Phase]:
    batch, loops = setup.whole("batch"), setup.whole("loops")
    batches, rest = divmod(loops, batch)
    born, dead = [vmalloc(setup, 0, 1)], [vfree(setup, 0, 1)]
    full = batch if batches else 0
    return [
        Phase(born, full, 1),
        Phase(dead, full, 1, back=0, times=batches),
        Phase(born, rest, 1),
        Phase(dead, rest, 1),
    ]


def _vm_map_ram(setup: Setup) -> list[Phase]:
    pages = setup.whole("nr_pages")
    return [_loop(setup, np.concatenate([step(MAP_RAM, 0, pages), step(FREE, 0)]))]


def _no_block(setup: Setup) -> list[Phase]:
    return [_loop(setup, _life(setup, 1))]


BITS: Final = Parameter(
    default="64", meaning="bits of a pointer, of which arrays are made", choices=("64", "32")
)
_LOOPS: Final = Parameter(
    default=1_000_000, meaning="iterations of the test's loop", least=1, most=1 << 40
)
_NR_PAGES: Final = Parameter(
    default=1, meaning="size in pages, without guard page", least=1, most=1 << 18
)
_USE_HUGE: Final = Parameter(
    default="no",
    meaning="aligned to a huge page, and whole ones, where it is at least one",
    choices=("no", "yes"),
)
_THREAD_ALIGN: Final = Parameter(
    default=16 * KIB,
    meaning="half the alignment in bytes; 16 KiB on x86, 32 KiB on arm64 and riscv",
    least=4 * KIB,
    most=MIB,
    size=True,
)
_BATCH: Final = Parameter(
    default=507,
    meaning="areas that are freed together; so many pointers fit a page of the kernel's lists",
    least=1,
    most=1_000_000,
)


def _test(
    name: str, title: str, program: Callable[[Setup], list[Phase]], **parameters: Parameter
) -> Workload:
    def make(setup: Setup) -> Stream:
        return script_stream(name, setup, program(setup))

    return Workload(name, title, {**parameters, "bits": BITS, **WORKERS}, make)


WORKLOADS: Final = (
    _test(
        "fix_size",
        "fix_size_alloc_test: allocate an area of fixed size, free it",
        _fix_size,
        loops=_LOOPS,
        nr_pages=_NR_PAGES,
        use_huge=_USE_HUGE,
    ),
    _test(
        "full_fit",
        "full_fit_alloc_test: a hole of two pages between any two areas, then one page in a loop",
        _full_fit,
        loops=_LOOPS,
    ),
    _test(
        "long_busy_list",
        "long_busy_list_alloc_test: 15,000 areas stay, 100 pages and 1 page in a loop",
        _long_busy_list,
        loops=_LOOPS,
    ),
    _test(
        "random_size",
        "random_size_alloc_test: 1 to 100 pages, freed at once",
        _random_size,
        loops=_LOOPS,
    ),
    _test(
        "fix_align",
        "fix_align_alloc_test: 5 pages at twice the alignment of a thread's stack",
        _fix_align,
        loops=_LOOPS,
        thread_align=_THREAD_ALIGN,
    ),
    _test(
        "random_size_align",
        "random_size_align_alloc_test: 1 to 10 pages at 1 byte to 4 MiB, from one random byte",
        _random_size_align,
        loops=_LOOPS,
    ),
    _test(
        "align_shift",
        "align_shift_alloc_test: one page at every power of two; allocations may fail",
        _align_shift,
    ),
    _test(
        "kvfree_rcu_1",
        "kvfree_rcu_1_arg_vmalloc_test: one page, freed later, in batches",
        _kvfree_rcu,
        loops=_LOOPS,
        batch=_BATCH,
    ),
    _test(
        "kvfree_rcu_2",
        "kvfree_rcu_2_arg_vmalloc_test: the same with the structure inside the area",
        _kvfree_rcu,
        loops=_LOOPS,
        batch=_BATCH,
    ),
    _test(
        "vm_map_ram",
        "vm_map_ram_test: map pages and unmap them",
        _vm_map_ram,
        loops=_LOOPS,
        nr_pages=_NR_PAGES,
    ),
    _test(
        "no_block",
        "no_block_alloc_test: one page under a spin lock, freed outside it",
        _no_block,
        loops=_LOOPS,
    ),
)
