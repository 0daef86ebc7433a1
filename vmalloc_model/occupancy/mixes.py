"""Named mixes: what some callers and tests of the kernel ask for, on a platform.

Sizes have their guard page unless the entry says otherwise. Where a mix has several sizes, their
weights are the kernel test's own, or an assumption that the title states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from vmalloc_model.allocator.machine import block_pages_of
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.occupancy.mix import Kind, Mix, mix_of
from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.requests import allocator_size
from vmalloc_model.units import KIB

__all__ = ["MIXES", "Named", "find_mix", "find_named"]

Kinds = Iterator[Kind]

_XFS_BYTES: Final = (73_728, 1_048_576)
"""Smallest and largest shadow buffer of the XFS log that was reported."""

_DOUBLE_ALIGN: Final = ("arm64", "riscv64")
"""Architectures that align stacks to twice their size (``THREAD_ALIGN``)."""


@dataclass(frozen=True, slots=True)
class Named:
    """An entry of `MIXES`.

    Attributes
    ----------
    name, title, source : str
        Title: one line. Source: where sizes, alignments and weights come from.
    kinds : callable
        Makes the kinds for a platform.
    """

    name: str
    title: str
    source: str
    kinds: Callable[[Platform], Kinds]


def find_named(name: str, where: str = "mix") -> Named:
    """Look a named mix up; an unknown name lists the known ones, nearest first."""
    if name not in MIXES:
        raise InputError(where, "no such mix", value=name, allowed=", ".join(nearest(name, MIXES)))
    return MIXES[name]


def find_mix(name: str, platform: str = "x86_64-4level") -> Mix:
    """Make a named mix for a platform.

    Parameters
    ----------
    name : str
        One of `MIXES`.
    platform : str
        Id of ``data/platforms.csv``: its page size, pointer size and architecture are used.

    Raises
    ------
    InputError
        If one of them is unknown.

    Examples
    --------
    >>> find_mix("stack_x86").size.tolist(), find_mix("stack_x86", "arm64-48bit-64k").size.tolist()
    ([20480], [131072])
    """
    named, machine = find_named(name), find_platform(platform, "platform")
    return mix_of(named.name, named.title, machine.page_size, named.kinds(machine))


def _kind(machine: Platform, payload: int, align: int = 1, weight: float = 1) -> Kind:
    size = int(allocator_size(payload, machine.page_size))
    return weight, size, align, machine.page_size


def _pages(machine: Platform, pages: int, align: int = 1, weight: float = 1) -> Kind:
    return _kind(machine, pages * machine.page_size, align, weight)


def _thread_size(machine: Platform) -> int:
    return max(16 * KIB, machine.page_size)


def _one_page(machine: Platform) -> Kinds:
    yield _pages(machine, 1)


def _stack_x86(machine: Platform) -> Kinds:
    yield _kind(machine, _thread_size(machine), _thread_size(machine))


def _stack_arm64(machine: Platform) -> Kinds:
    yield _kind(machine, _thread_size(machine), 2 * _thread_size(machine))


def _huge(machine: Platform) -> Kinds:
    huge = machine.page_size * (machine.page_size // machine.pointer_size)
    yield _kind(machine, huge, huge)


def _vmap_block(machine: Platform) -> Kinds:
    pages = block_pages_of(machine.page_size, machine.pointer_size, machine.nr_cpus_default)
    yield 1, pages * machine.page_size, pages * machine.page_size, 0


def _xfs(machine: Platform) -> Kinds:
    least, most = _XFS_BYTES
    for payload in range(least, most + 1, 4 * KIB):
        yield _kind(machine, payload)


def _xfs_log(machine: Platform) -> Kinds:
    least, most = (size // (4 * KIB) for size in _XFS_BYTES)
    for pages in range(least, most + 1):
        yield _kind(machine, pages * 4 * KIB, weight=math.log1p(1 / pages))


def _random_size(machine: Platform) -> Kinds:
    for pages in range(1, 101):
        yield _pages(machine, pages)


def _fix_align(machine: Platform) -> Kinds:
    thread_align = _thread_size(machine) << (machine.arch in _DOUBLE_ALIGN)
    yield _pages(machine, 5, 2 * thread_align)


def _random_size_align(machine: Platform) -> Kinds:
    for byte in range(256):
        yield _pages(machine, byte % 10 + 1, 1 << byte % 23)


def _long_busy_list(machine: Platform) -> Kinds:
    yield _pages(machine, 100)
    yield _pages(machine, 1)


def _stack_and_page(machine: Platform) -> Kinds:
    yield from _stack_x86(machine)
    yield from _one_page(machine)


_TEST: Final = "Linux 6.12 lib/test_vmalloc.c"

_ALL: Final = (
    Named(
        "one_page",
        "one page and its guard: vmalloc(PAGE_SIZE), a BPF program, fix_size_alloc_test",
        "Linux 6.12 mm/vmalloc.c: __get_vm_area_node; kernel/bpf/core.c: bpf_prog_alloc_no_stats",
        _one_page,
    ),
    Named(
        "stack_x86",
        "kernel stacks of 16 KiB aligned to their size (x86_64, s390x); one page if that is more",
        "Linux 6.12 kernel/fork.c: alloc_thread_stack_node; include/linux/thread_info.h: "
        "THREAD_ALIGN",
        _stack_x86,
    ),
    Named(
        "stack_arm64",
        "kernel stacks of 16 KiB aligned to twice their size (arm64, riscv64); one page if more",
        "Linux 6.12 arch/arm64/include/asm/memory.h and arch/riscv/include/asm/thread_info.h: "
        "THREAD_ALIGN",
        _stack_arm64,
    ),
    Named(
        "huge",
        "mappings of one huge page (2 MiB with 4K pages) aligned to it",
        "Linux 6.12 mm/vmalloc.c: __vmalloc_node_range_noprof, VM_ALLOW_HUGE_VMAP",
        _huge,
    ),
    Named(
        "vmap_block",
        "vmap blocks, aligned to their size, without guard; NR_CPUS is the platform's default",
        "Linux 6.12 mm/vmalloc.c: new_vmap_block, VMAP_BBMAP_BITS",
        _vmap_block,
    ),
    Named(
        "xfs",
        "XFS log buffers of 72 KiB to 1 MiB, every number of 4K pages as often (our assumption)",
        "range: U. Rezki, mails of 2023 on vmap contention; Linux 6.12 fs/xfs/xfs_log_cil.c",
        _xfs,
    ),
    Named(
        "xfs_log",
        "the same range, every doubling as often (our assumption)",
        "as xfs",
        _xfs_log,
    ),
    Named(
        "random_size",
        "random_size_alloc_test: 1 to 100 pages",
        f"{_TEST}: random_size_alloc_test",
        _random_size,
    ),
    Named(
        "fix_align",
        "fix_align_alloc_test: 5 pages at twice the alignment of a stack",
        f"{_TEST}: fix_align_alloc_test",
        _fix_align,
    ),
    Named(
        "random_size_align",
        "random_size_align_alloc_test: 1 to 10 pages at 1 byte to 4 MiB, from one random byte",
        f"{_TEST}: random_size_align_alloc_test",
        _random_size_align,
    ),
    Named(
        "long_busy_list",
        "long_busy_list_alloc_test, its loop: 100 pages or 1 page (the test takes turns)",
        f"{_TEST}: long_busy_list_alloc_test",
        _long_busy_list,
    ),
    Named(
        "stack_and_page",
        "stack_x86 and one_page, as often as each other (our assumption)",
        "as stack_x86 and one_page",
        _stack_and_page,
    ),
)

MIXES: Final = {named.name: named for named in _ALL}
"""Name -> entry."""
