"""The machine an allocator runs on: CPUs, nodes, windows, and the sizes that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from vmalloc_model.errors import InputError
from vmalloc_model.platforms import Platform
from vmalloc_model.units import (
    GIB,
    MIB,
    is_power_of_two,
    power_of_two_at_least,
    power_of_two_at_most,
)

__all__ = [
    "LARGEST_POOLED_PAGES",
    "MAX_NODES",
    "ZONE_PAGES",
    "Decay",
    "Machine",
    "Span",
    "block_pages_of",
    "machine_of",
]

Span = tuple[int, int]
"""Pages ``[first, end)``; page numbers are addresses divided by the page size."""

Decay = Literal["6.12", "6.16"]

MAX_NODES: Final = 128
"""``vmap_init_nodes``: at most so many vmap nodes."""

LARGEST_POOLED_PAGES: Final = 256
"""``MAX_VA_SIZE_PAGES``: larger areas have no pool."""

ZONE_PAGES: Final = 16
"""``vmap_zone_size`` in pages where there is more than one node."""

_X86_MODULES: Final = (0xFFFFFFFFC0000000, 0xFFFFFFFFFF000000)
"""``MODULES_VADDR`` and ``MODULES_END`` of x86_64 with address-space randomisation configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What an allocator model is built for.

    Attributes
    ----------
    page_size : int
        Bytes, a power of two.
    cpus : int
        Possible CPUs, all of them online.
    nodes : int
        vmap nodes; with one there are no pools.
    zone_pages : int
        Pages of a stripe of addresses that belong to one node's busy tree.
    space : Span
        Everything the allocator may hold free; the windows lie inside.
    windows : tuple of Span
        Windows of requests; the first is the standard window. Where the kernel's end is inclusive,
        the last page is not part of it here.
    lazy_max_pages : int
        ``lazy_max_pages()``: more lazy pages than this start a purge.
    block_pages : int
        Pages of a vm_map_ram block.
    block_max_pages : int
        ``VMAP_MAX_ALLOC``: larger mappings get an area of their own.
    chunk_pages : int
        Pages of a chunk; 0 switches the overlay off.
    possible_share : float
        For scaled chunks: the share of the standard window that all CPUs' chunks may hold.
    decay : {"6.12", "6.16"}
        How many areas leave a pool of ``n`` at a purge: ``n // 4``, but all when that is 0 (up to
        6.15); or just ``n // 4``.
    busy : tuple of Span
        Areas that exist before the allocator starts.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c: ``vmap_init_nodes``, ``lazy_max_pages``,
    ``decay_va_pool_node``; its later form by Baoquan He in 6.16.
    """

    page_size: int
    cpus: int
    nodes: int
    zone_pages: int
    space: Span
    windows: tuple[Span, ...]
    lazy_max_pages: int
    block_pages: int
    block_max_pages: int
    chunk_pages: int
    possible_share: float = 1 / 64
    decay: Decay = "6.12"
    busy: tuple[Span, ...] = ()

    def scaled(self) -> Machine:
        """Return the machine with the chunk size of the ``scaled-chunk`` repair.

        The largest power of two such that the chunks of all CPUs hold at most `possible_share` of
        the standard window, at most 64 MiB; below 4 MiB the overlay is off.
        """
        first, end = self.windows[0]
        share = int((end - first) * self.page_size * self.possible_share) // self.cpus
        size = min(int(power_of_two_at_most(share)), 64 * MIB)
        return replace(self, chunk_pages=0 if size < 4 * MIB else size // self.page_size)


def block_pages_of(page_size: int, pointer_size: int, nr_cpus: int) -> int:
    """Pages of a vm_map_ram block (``VMAP_BBMAP_BITS``).

    Parameters
    ----------
    page_size, pointer_size : int
        Bytes.
    nr_cpus : int
        ``CONFIG_NR_CPUS``.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c. The range it divides is a guess of the kernel's own: 128 GiB
    on 64-bit, 128 MiB on 32-bit.
    """
    guess = (128 * GIB if pointer_size == 8 else 128 * MIB) // page_size
    most_alloc = 8 * pointer_size
    least = 2 * most_alloc
    return max(least, min(1024, guess // int(power_of_two_at_least(nr_cpus)) // 16))


def machine_of(
    platform: Platform,
    cpus: int,
    *,
    chunk_size: int = 64 * MIB,
    nr_cpus: int | None = None,
    nodes: int | None = None,
    decay: Decay = "6.12",
    possible_share: float = 1 / 64,
) -> Machine:
    """Describe a machine of a platform.

    Parameters
    ----------
    platform : Platform
        Range, page size and pointer size.
    cpus : int
        Possible CPUs, all online.
    chunk_size : int
        Bytes, a power of two and at least two pages.
    nr_cpus : int, optional
        ``CONFIG_NR_CPUS``, which the size of vm_map_ram blocks depends on; the platform's default
        if not given.
    nodes : int, optional
        vmap nodes; by the kernel's rule if not given.
    decay : {"6.12", "6.16"}
        Rule of the pools' decay.
    possible_share : float
        For the ``scaled-chunk`` policy.

    Raises
    ------
    InputError
        If a number is out of range.

    Notes
    -----
    A range whose start depends on the machine begins at the middle of the address space here. On
    x86_64 the second window is that of modules; elsewhere it is the standard window again.
    """
    page = platform.page_size
    if not 1 <= cpus <= 1 << 20:
        raise InputError("$.cpus", "out of range", value=cpus, allowed="1..1,048,576")
    if not is_power_of_two(chunk_size) or chunk_size < 2 * page:
        raise InputError(
            "$.chunk_size",
            "not a chunk size",
            value=chunk_size,
            allowed=f"a power of two, at least {2 * page:,} bytes",
        )
    if decay not in ("6.12", "6.16"):
        raise InputError("$.decay", "unknown rule", value=decay, allowed="6.12, 6.16")
    if not 0 < possible_share <= 1:
        raise InputError("$.possible_share", "out of range", value=possible_share, allowed="0..1")
    wide = platform.pointer_size == 8
    by_rule = min(cpus, MAX_NODES) if wide else 1
    if nodes is None:
        nodes = by_rule
    elif not 1 <= nodes <= MAX_NODES:
        raise InputError("$.nodes", "out of range", value=nodes, allowed=f"1..{MAX_NODES}")
    start = platform.start if platform.start is not None else 1 << (8 * platform.pointer_size - 1)
    standard = (start // page, (start + platform.usable_size) // page)
    modules = (
        (_X86_MODULES[0] // page, _X86_MODULES[1] // page)
        if platform.arch == "x86_64"
        else standard
    )
    return Machine(
        page_size=page,
        cpus=cpus,
        nodes=nodes,
        zone_pages=ZONE_PAGES if nodes > 1 else 1,
        space=(1, (1 << (8 * platform.pointer_size)) // page - 1),
        windows=(standard, modules),
        lazy_max_pages=cpus.bit_length() * 32 * MIB // page,
        block_pages=block_pages_of(
            page, platform.pointer_size, nr_cpus or platform.nr_cpus_default
        ),
        block_max_pages=8 * platform.pointer_size,
        chunk_pages=chunk_size // page,
        possible_share=possible_share,
        decay=decay,
    )
