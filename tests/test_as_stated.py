"""The mail's own premises must give the mail's own numbers; then what each checked premise moves.

The first words of each docstring name the sentence of the commit message of 10/12.
"""

from __future__ import annotations

import numpy as np
import pytest

from vmalloc_model import constraints as c
from vmalloc_model.premises import load_premises
from vmalloc_model.requests import allocator_size, eligible

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


@pytest.fixture(scope="module")
def stated():
    return load_premises()["as-stated"]


@pytest.fixture(scope="module")
def checked():
    return load_premises()["as-checked"]


# ---------------------------------------------------------------- argument 1, as stated


def test_smallest_power_of_two(stated):
    """Argument 1: "smallest power-of-two value" that admits modules of up to ~32 MB."""
    least = c.smallest_power_of_two_chunk(
        stated.largest_request, stated.page_size, stated.guard_pages
    )
    assert least == stated.chunk_size == 64 * MIB


def test_all_of_these_stay_on_the_fast_path(stated):
    """Argument 1: 64 MB "keeps all of these on the bump fast path"."""
    wanted = [stated.largest_request, stated.bpf_jit_largest]
    sizes = allocator_size(wanted, stated.page_size, stated.guard_pages)
    admitted = eligible(sizes, 1, stated.modules_in_window, stated.chunk_size, stated.page_size)
    assert admitted.tolist() == [True, True]


def test_half_the_chunk_puts_modules_off(stated):
    """Argument 1: "halving the chunk to 32 MB would push module loads to the slow path"."""
    sizes = allocator_size(
        [stated.largest_request, stated.bpf_jit_largest], stated.page_size, stated.guard_pages
    )
    admitted = eligible(sizes, 1, True, stated.chunk_size // 2, stated.page_size)
    assert admitted.tolist() == [False, True]


# ---------------------------------------------------------------- argument 2, as stated


def test_allocations_per_lock(stated):
    """Argument 2: "~16,000 fast-path allocations" at 4 KB; "at avg = 1 MB, ~64 per lock"."""
    means = [stated.small_mean, stated.large_mean]
    arguments = (stated.chunk_size, means, stated.page_size, stated.guard_pages)
    assert c.allocations_per_refill(*arguments).tolist() == [16_384, 64]
    assert c.allocations_per_refill_ratio(*arguments).tolist() == [16_384.0, 64.0]
    assert round(16_384, -3) == 16_000  # the mail's "~16,000" is this, rounded to thousands


def test_doubling_barely_improves(stated):
    """Argument 2: "Doubling the chunk size beyond 64 MB barely improves this ratio".

    The ratio itself doubles. What is small is the absolute saving, for the small mean only.
    """
    means = [stated.small_mean, stated.large_mean]
    arguments = (stated.chunk_size, means, stated.page_size, stated.guard_pages)
    twice = (stated.doubled_chunk_size, means, stated.page_size, stated.guard_pages)
    before, after = (c.allocations_per_refill_ratio(*a) for a in (arguments, twice))
    assert (after / before).tolist() == [2.0, 2.0]
    gain = c.doubling_gain(*arguments)
    assert gain.ratio.tolist() == [2.0, 2.0]
    assert (1000 * gain.saved).tolist() == [1000 / 32_768, 1000 / 128]  # 0.03 and 7.8
    assert c.barely_improves(*arguments, threshold=1.0).tolist() == [True, False]


# ---------------------------------------------------------------- argument 3, as stated


def test_reservation_on_x86_64(stated):
    """Argument 3: "32 * 64 MB = 2 GB = 1.6 % of the range"."""
    assert c.reserved(stated.chunk_size, stated.cpus) == 2 * GIB
    share = 100 * float(c.reserved_share(stated.chunk_size, stated.cpus, stated.x86_64_range))
    assert share == 1.5625
    assert round(share, 1) == 1.6


def test_reservation_after_doubling(stated):
    """Argument 3: "Doubling to 128 MB pushes the x86_64 reservation to 3.2 %".

    3.2 is twice the rounded 1.6; the share itself rounds to 3.1.
    """
    once = 100 * float(c.reserved_share(stated.chunk_size, stated.cpus, stated.x86_64_range))
    twice = 100 * float(
        c.reserved_share(stated.doubled_chunk_size, stated.cpus, stated.x86_64_range)
    )
    assert round(once, 1) * 2 == 3.2
    assert twice == 3.125
    assert round(twice, 1) == 3.1


def test_reservation_on_arm64(stated):
    """Argument 3: on arm64 with 256 PB "the cost is negligible"."""
    share = c.reserved_share(stated.chunk_size, stated.cpus, stated.arm64_52_range)
    assert share == 2**-27  # 2 GiB of 256 PiB


# ------------------------------------------------------------------- metadata, as stated


def test_metadata(stated):
    """Metadata: "a constant 0.2 % overhead"; "At 64 MB this is 128 KB per chunk"."""
    arguments = (stated.page_size, stated.pointer_size)
    assert c.backpointer_bytes(stated.chunk_size, *arguments) == 128 * KIB
    assert round(100 * float(c.backpointer_share(*arguments)), 1) == 0.2
    sizes = np.array([16, 64, 256]) * MIB
    shares = c.backpointer_bytes(sizes, *arguments) / sizes
    assert shares.tolist() == [float(c.backpointer_share(*arguments))] * 3  # "regardless"


# --------------------------------------------------------------------- the same, as checked


def test_checked_guard_moves_the_smallest_power_of_two(stated, checked):
    """Argument 1: with the guard page, 32 MiB of payload is off the fast path at 64 MB."""
    page, guard = checked.page_size, checked.guard_pages
    size = allocator_size(stated.largest_request, page, guard)
    assert not eligible(size, 1, True, checked.chunk_size, page)
    assert c.largest_eligible(checked.chunk_size, page, guard) == 32 * MIB - 4 * KIB
    assert c.smallest_chunk(stated.largest_request, page, guard) == 64 * MIB + 8 * KIB
    assert c.smallest_power_of_two_chunk(stated.largest_request, page, guard) == 128 * MIB


def test_checked_window_excludes_modules_for_every_chunk_size(checked):
    """Argument 1: on x86_64 module sections come from another window, so no size admits them."""
    chunks = np.array([16, 64, 1024]) * MIB
    admitted = eligible(8192, 1, checked.modules_in_window, chunks, checked.page_size)
    assert admitted.tolist() == [False, False, False]


def test_checked_bpf_alone_needs_16_mib(stated, checked):
    """Argument 1: 4 MiB and its guard need 8 MiB and two pages."""
    arguments = (stated.bpf_jit_largest, checked.page_size, checked.guard_pages)
    assert c.smallest_chunk(*arguments) == 8 * MIB + 8 * KIB
    assert c.smallest_power_of_two_chunk(*arguments) == 16 * MIB


def test_checked_guard_halves_the_small_mean(checked):
    """Argument 2: 8,192 and 63, not 16,384 and 64."""
    means = [checked.small_mean, checked.large_mean]
    arguments = (checked.chunk_size, means, checked.page_size, checked.guard_pages)
    assert c.allocations_per_refill(*arguments).tolist() == [8_192, 63]
    tail = checked.chunk_size - 63 * int(allocator_size(checked.large_mean, checked.page_size))
    assert tail == 790_528


def test_checked_range_of_x86_64(checked):
    """Argument 3: 2 GiB of 32 TiB; the mail's 1.5625 % is what 8,192 CPUs take."""
    assert checked.x86_64_range == 32 * TIB
    share = 100 * float(c.reserved_share(checked.chunk_size, checked.cpus, checked.x86_64_range))
    assert round(share, 4) == 0.0061
    assert 100 * c.reserved_share(checked.chunk_size, 8192, checked.x86_64_range) == 1.5625


def test_checked_range_of_arm64_is_smaller_and_still_negligible(stated, checked):
    """Argument 3: a range some 2,100 times smaller changes the number, not the conclusion."""
    assert 2_100 < stated.arm64_52_range / checked.arm64_52_range < 2_120
    share = c.reserved_share(checked.chunk_size, checked.cpus, checked.arm64_52_range)
    assert round(100 * float(share), 4) == 0.0016


def test_checked_metadata_depends_on_the_page(checked):
    """Metadata: constant over the chunk size, not over the page size."""
    shares = 100 * c.backpointer_share([4096, 16384, 65536], checked.pointer_size)
    assert shares.round(3).tolist() == [0.195, 0.049, 0.012]
