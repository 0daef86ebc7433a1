"""The closed forms, each against the plain reading of what it counts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model import constraints as c
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.requests import LARGEST

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
P = 4096

page_sizes = st.sampled_from([4096, 16384, 65536])
guards = st.integers(0, 2)
payloads = st.integers(1, 64 * MIB)
chunk_pages = st.integers(1, 40_000)


def area(payload: int, page: int, guard: int) -> int:
    return math.ceil(payload / page) * page + guard * page


def plain_count(chunk: int, payload: int, page: int, guard: int, align: int, base: int) -> int:
    """Move a bump pointer until the next request no longer fits."""
    size = area(payload, page, guard)
    if size > chunk // 2 or align > chunk // 2:
        return 0
    bump, served = base, 0
    while True:
        at = math.ceil(bump / align) * align
        if at + size > base + chunk:
            return served
        bump, served = at + size, served + 1


# ---------------------------------------------------------------------------------- coverage


@given(chunk_pages, page_sizes, guards)
def test_largest_eligible_is_the_border(pages, page, guard):
    chunk = pages * page
    largest = int(c.largest_eligible(chunk, page, guard))
    assert area(largest + 1, page, guard) > chunk // 2
    assert largest == 0 or area(largest, page, guard) <= chunk // 2


@given(payloads, page_sizes, guards, st.integers(0, 26).map(lambda n: 1 << n))
def test_smallest_chunk_is_the_border(payload, page, guard, align):
    chunk = int(c.smallest_chunk(payload, page, guard, align))
    assert area(payload, page, guard) <= chunk // 2
    assert max(align, page) <= chunk // 2
    less = chunk - page
    assert area(payload, page, guard) > less // 2 or max(align, page) > less // 2
    power = int(c.smallest_power_of_two_chunk(payload, page, guard, align))
    assert power & (power - 1) == 0
    assert power // 2 < chunk <= power


@given(payloads, page_sizes, guards)
def test_smallest_chunk_and_largest_eligible_are_inverse(payload, page, guard):
    largest = int(c.largest_eligible(c.smallest_chunk(payload, page, guard), page, guard))
    assert largest == math.ceil(payload / page) * page


sizes_and_aligns = st.lists(
    st.tuples(st.integers(1, 1000), st.integers(0, 20).map(lambda n: 1 << n)), min_size=1
)


@given(sizes_and_aligns, st.lists(st.integers(1, 3000), min_size=1))
def test_eligible_share_counts(requests, chunks):
    sizes, aligns = zip(*requests, strict=True)
    by_count = c.eligible_share(sizes, chunks)
    by_bytes = c.eligible_share(sizes, chunks, weights="bytes")
    with_aligns = c.eligible_share(sizes, chunks, aligns=aligns)
    assert by_count.shape == (len(chunks),)
    for i, chunk in enumerate(chunks):
        small = [size for size in sizes if size <= chunk // 2]
        assert by_count[i] == len(small) / len(sizes)
        assert by_bytes[i] == sum(small) / sum(sizes)
        both = [1 for size, align in requests if size <= chunk // 2 and align <= chunk // 2]
        assert with_aligns[i] == len(both) / len(sizes)


# ------------------------------------------------------------------------------ amortisation


@given(
    st.integers(1, 600),
    st.integers(1, 40 * 4096),
    page_sizes,
    guards,
    st.integers(0, 24).map(lambda n: 1 << n),
    st.integers(0, 700),
)
def test_allocations_per_refill_equals_a_moving_pointer(pages, payload, page, guard, align, offset):
    chunk, base = pages * page, offset * page
    got = int(c.allocations_per_refill(chunk, payload, page, guard, align, base))
    assert got == plain_count(chunk, payload, page, guard, align, base)


@given(chunk_pages, payloads, page_sizes, guards)
def test_count_is_the_floor_of_the_ratio(pages, payload, page, guard):
    chunk = pages * page
    count = c.allocations_per_refill(chunk, payload, page, guard)
    assert count == np.floor(c.allocations_per_refill_ratio(chunk, payload, page, guard))


def test_counts_that_were_worked_out_by_hand():
    per_refill = c.allocations_per_refill
    # 64 MiB, guard page: payloads of 4 KiB, 64 KiB, 72 KiB, 1 MiB
    assert per_refill(64 * MIB, [4 * KIB, 64 * KIB, 73_728, MIB], P).tolist() == [
        8192,
        963,
        862,
        63,
    ]
    # one page of payload on 16K and 64K pages
    assert per_refill(64 * MIB, 1, [16384, 65536]).tolist() == [2048, 512]
    # stacks of arm64: aligned chunk, and one that starts a page past the alignment
    assert per_refill(64 * MIB, 16384, P, 1, 32768, [0, P]).tolist() == [2048, 2047]
    # huge mappings of 2 and 4 MiB, aligned to 2 MiB
    assert per_refill(64 * MIB, [2 * MIB, 4 * MIB], P, 1, 2 * MIB).tolist() == [16, 10]


@given(chunk_pages, payloads, page_sizes, guards)
def test_doubling_gain_is_the_difference_of_two_visits(pages, payload, page, guard):
    chunk = pages * page

    def visits(size: int) -> float:
        # plain_count without walking: no alignment, so whole areas from the start
        served = (
            size // area(payload, page, guard) if area(payload, page, guard) <= size // 2 else 0
        )
        return 1 / served if served else 1.0

    assert c.global_visits_per_allocation(chunk, payload, page, guard) == visits(chunk)
    gain = c.doubling_gain(chunk, payload, page, guard)
    assert gain.saved == visits(chunk) - visits(2 * chunk)
    assert gain.ratio == visits(chunk) / visits(2 * chunk)
    assert c.barely_improves(chunk, payload, page, guard, threshold=5.0) == (
        1000 * float(gain.saved) < 5.0
    )


def test_the_ratio_of_doubling_stays_while_the_saving_halves():
    gain = c.doubling_gain(np.array([16, 32, 64, 128]) * MIB, 4096, P)
    assert gain.ratio.tolist() == [2, 2, 2, 2]
    assert (gain.saved[:-1] / gain.saved[1:]).tolist() == [2, 2, 2]


def test_not_eligible_visits_every_time():
    assert c.allocations_per_refill(64 * MIB, 32 * MIB, P) == 0
    assert c.allocations_per_refill_ratio(64 * MIB, 32 * MIB, P) == 0
    assert c.global_visits_per_allocation(64 * MIB, 32 * MIB, P) == 1
    assert c.allocations_per_refill(64 * MIB, 4096, P, 1, 64 * MIB) == 0


# -------------------------------------------------------------------------------------- cost


@given(st.integers(1, 1 << 40), st.integers(0, 1 << 22), st.integers(1, 1 << 62))
def test_reserved_is_exact(chunk, cpus, size):
    assert int(c.reserved(chunk, cpus)) == chunk * cpus
    # float64 holds 53 bits: beyond that numerator and denominator are rounded before the division
    assert math.isclose(c.reserved_share(chunk, cpus, size), chunk * cpus / size, rel_tol=2**-51)
    assert int(c.chunk_slots(chunk, size)) == size // chunk


def test_reserved_stops_where_int64_would_wrap():
    assert int(c.reserved(LARGEST, 1)) == LARGEST
    # each factor pairs with its own partner only: no product is too large here
    assert c.reserved([1 << 40, 1], [1, 1 << 40]).tolist() == [1 << 40, 1 << 40]
    with pytest.raises(InputError, match="CPUs x chunk size is too large to stay exact: 8388608;"):
        c.reserved([1, 1 << 40], [1, 1 << 23])
    with pytest.raises(InputError, match="too large to stay exact"):
        c.reserved_share(1 << 62, [[1], [2]], [1, 2])


shares = st.floats(1e-9, 50) | st.sampled_from([0.01, 0.1, 1.0, 0.3, 0.7])


@given(shares, st.integers(12, 36).map(lambda n: 1 << n), st.integers(MIB, 1 << 54))
def test_cpus_at_share_is_the_border(share, chunk, size):
    cpus = int(c.cpus_at_share(share, chunk, size))
    assert cpus >= 1
    assert c.reserved_share(chunk, cpus, size) >= share
    assert cpus == 1 or c.reserved_share(chunk, cpus - 1, size) < share


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_cpus_at_share_inverts_reserved_share(cpus, megabytes):
    share = c.reserved_share(64 * MIB, cpus, megabytes * MIB)
    assert c.cpus_at_share(share, 64 * MIB, megabytes * MIB) == cpus
    just_above = np.nextafter(share, np.inf)
    assert c.cpus_at_share(just_above, 64 * MIB, megabytes * MIB) == cpus + 1


def test_metadata_and_page_tables_by_counting():
    for page, pointer, pages in itertools.product(
        [4096, 16384, 65536], [4, 8], [1, 512, 16384, 777]
    ):
        chunk = pages * page
        assert int(c.backpointer_bytes(chunk, page, pointer)) == sum(pointer for _ in range(pages))
        assert float(c.backpointer_share(page, pointer)) == pointer / page
        tables = {index // (page // pointer) for index in range(pages)}  # one entry per page
        assert int(c.page_table_bytes(chunk, page, pointer)) == len(tables) * page
    assert int(c.page_table_bytes(64 * MIB, 4096, 8)) == 32 * 4096  # 2 MiB for each table
    assert int(c.page_table_bytes(64 * MIB, 4096, 4)) == 16 * 4096  # 4 MiB on 32-bit
    arm = find_platform("arm")
    assert int(c.page_table_bytes(64 * MIB, 4096, 4, arm.entry_copies)) == 32 * 4096  # 2 MiB
    assert c.page_table_share(4096, 8) == c.page_table_bytes(GIB, 4096, 8) / GIB


# ---------------------------------------------------------------------------------- feasible

feasible_inputs = st.tuples(
    st.integers(1, 200 * P),  # largest payload
    guards,
    st.integers(1, 20 * P),  # mean
    st.integers(1, 40),  # allocations per refill
    st.floats(0, 2),  # budget
    st.integers(1, 40),  # CPUs
    st.integers(1, 4000 * P),  # range
)


@given(feasible_inputs)
def test_interval_is_what_trying_every_chunk_finds(inputs):
    largest, guard, mean, least, budget, cpus, size = inputs
    got = c.feasible_interval(largest, P, guard, mean, least, budget, cpus, size)
    chunks = [pages * P for pages in range(8001)]
    admitting = next(
        chunk
        for chunk in chunks[2:]
        if area(largest, P, guard) <= chunk // 2 and plain_enough(chunk, mean, guard, least)
    )
    affordable = [chunk for chunk in chunks if cpus * chunk <= int(budget * size)][-1]
    assert int(got.low) == admitting
    assert int(got.high) == affordable
    assert bool(got.empty) == (admitting > affordable)
    assert int(got.low) == max(int(got.coverage), int(got.amortisation))
    assert bool(got.coverage_binds) == (int(got.low) == int(got.coverage))


@given(st.integers(1, 20 * P), guards, st.integers(1, 5))
def test_amortising_chunk_is_the_border(mean, guard, least):
    chunk = int(c.smallest_amortising_chunk(mean, least, P, guard))
    assert plain_enough(chunk, mean, guard, least)
    assert not plain_enough(chunk - P, mean, guard, least)


def plain_enough(chunk: int, mean: int, guard: int, least: int) -> bool:
    size = area(mean, P, guard)
    return size <= chunk // 2 and chunk // size >= least


def test_which_argument_sets_the_lower_end():
    got = c.feasible_interval(32 * MIB, P, 0, 4096, [1000, 16384, 16385], 1.0, 1, TIB)
    assert got.coverage_binds.tolist() == [True, True, False]
    assert got.low.tolist() == [64 * MIB, 64 * MIB, 64 * MIB + P]
    assert got.high.shape == got.coverage.shape == (3,)


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_powers_of_two_are_all_of_them(low, high):
    found = [1 << n for n in range(63) if low <= 1 << n <= high]
    got = c.feasible_powers_of_two(low, high)
    assert int(got.number) == len(found)
    assert int(got.smallest) == (found[0] if found else 0)
    assert int(got.largest) == (found[-1] if found else 0)


# -------------------------------------------------------------------------------------- grid

axis = st.integers(1, 4)


@given(axis, axis, axis, axis, st.integers(1, 200), st.integers(0, 17), guards)
def test_tiles_cover_the_grid_once_and_equal_the_plain_points(
    a, b, d, e, tile_points, align_order, guard
):
    cpus = [n * n for n in range(a)]
    ranges = [(n + 1) * 120 * MIB for n in range(b)]
    pages = [(4096, 16384, 65536)[n % 3] for n in range(b)]
    chunks = [3 * KIB << 6 + n for n in range(d)]  # not powers of two: one may be all that fits
    sizes = [1 + 9999 * n * n for n in range(e)]
    align = 1 << align_order
    seen = np.zeros((a, b, d, e), dtype=int)
    for tile in c.evaluate_grid(cpus, ranges, chunks, sizes, pages, guard, align, tile_points):
        seen[tile.where] += 1
        shape = seen[tile.where].shape
        assert tile.eligible.shape == tile.allocations.shape == tile.reserved_share.shape == shape
        assert tile.eligible.size <= tile_points
        first = [part.start for part in tile.where]
        for index in np.ndindex(shape):
            i, j, k, m = (start + step for start, step in zip(first, index, strict=True))
            count = plain_count(chunks[k], sizes[m], pages[j], guard, align, 0)
            fits = area(sizes[m], pages[j], guard) <= chunks[k] // 2 and align <= chunks[k] // 2
            assert tile.allocations[index] == count
            assert tile.eligible[index] == fits
            assert tile.reserved_share[index] == cpus[i] * chunks[k] / ranges[j]
    assert seen.min() == seen.max() == 1


def test_an_empty_axis_has_no_tiles():
    assert list(c.evaluate_grid([], [TIB], [MIB], [4096])) == []


# ------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: c.largest_eligible(0, P), "$.chunk_size: too small: 0"),
        (lambda: c.smallest_chunk(1 << 62, P), "$.payload: needs a chunk too large to stay exact"),
        (lambda: c.smallest_power_of_two_chunk(1 << 61, P), "$.payload: needs a power of two too"),
        (lambda: c.eligible_share([], [MIB]), "$.sizes: no requests to take a share of: (0,)"),
        (lambda: c.eligible_share([1], [MIB], "pages"), "$.weights: unknown weights: 'pages'"),
        (lambda: c.allocations_per_refill(MIB, 1, P, base=1), "$.base: not a multiple of the page"),
        (lambda: c.doubling_gain(1 << 62, 1, P), "$.chunk_size: too large to double"),
        (lambda: c.reserved(MIB, -1), "$.cpus: too small: -1; allowed: 0 or more"),
        (lambda: c.reserved_share(MIB, 1, 0), "$.range_size: too small: 0"),
        (lambda: c.reserved_share(MIB, 1, 1 << 63), "$.range_size: too large to stay exact"),
        (lambda: c.cpus_at_share(0.0, MIB, TIB), "$.share: not a positive share: 0.0"),
        (lambda: c.cpus_at_share(math.nan, MIB, TIB), "$.share: not a positive share: nan"),
        (lambda: c.cpus_at_share(9, MIB, 1 << 62), "$.share: too large to stay exact: 9"),
        (lambda: c.backpointer_share(P, 6), "$.pointer_size: not a power of two: 6"),
        (lambda: c.feasible_interval(1, P, 1, 1, 1, -0.1, 1, 1), "$.budget: not a share: -0.1"),
        (lambda: c.feasible_interval(1, P, 1, 1, 1, 1e9, 1, 1 << 60), "$.budget: too large to"),
        (lambda: c.feasible_interval(1, P, 1, 1, 1, 1, 0, 1), "$.cpus: too small: 0"),
        (
            lambda: c.smallest_amortising_chunk(P, 1 << 60, P),
            "$.min_allocations: needs a chunk too",
        ),
        (lambda: c.feasible_powers_of_two(LARGEST, 1), "$.low: too large to stay exact"),
        (
            lambda: c.evaluate_grid([[1]], [1], [1], [1]),
            "$: an axis of the grid has the wrong shape",
        ),
        (lambda: c.evaluate_grid([1], [1], [1], [1], tile_points=0), "$.tile_points: too small: 0"),
    ],
)
def test_bad_numbers_name_the_place(call, text):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(text)


def test_a_bad_grid_is_refused_before_the_first_tile():
    with pytest.raises(InputError, match=r"\$\.cpus"):
        c.evaluate_grid([-1], [TIB], [MIB], [4096])


def test_results_broadcast():
    assert c.reserved_share([[MIB], [2 * MIB]], [1, 2, 3], TIB).shape == (2, 3)
    assert c.allocations_per_refill([[MIB], [2 * MIB]], [1, 2, 3], P).shape == (2, 3)
