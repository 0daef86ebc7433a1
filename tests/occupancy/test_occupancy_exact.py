"""Exact occupancy: against all ways to fill a tiny chunk, the identity, closed forms, limits."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_occupancy import plain_occupancy

from vmalloc_model.constraints import allocations_per_refill
from vmalloc_model.errors import InputError, ModelError
from vmalloc_model.occupancy import counts, fill
from vmalloc_model.occupancy import stationary as module
from vmalloc_model.occupancy.counts import distribution
from vmalloc_model.occupancy.mix import mix_of
from vmalloc_model.occupancy.mixes import find_mix
from vmalloc_model.occupancy.passes import backward, forward
from vmalloc_model.occupancy.stationary import (
    deviation,
    fresh,
    requests_per_refill,
    stationary,
)

P = 4096
MIB = 1 << 20


def mix_from(kinds):
    """Mix of (weight, pages, alignment in pages)."""
    return mix_of("some", "some", P, [(w, s * P, a * P, 0) for w, s, a in kinds])


@st.composite
def tiny(draw):
    """Kinds that are eligible for a chunk of 4 to 16 pages, the chunk's pages, a base."""
    pages = 1 << draw(st.integers(2, 4))
    kind = st.tuples(
        st.integers(1, 9),
        st.integers(1, pages // 2),
        st.sampled_from([1 << n for n in range(pages.bit_length() - 1)]),
    )
    kinds = draw(st.lists(kind, min_size=1, max_size=4, unique_by=lambda one: one[1:]))
    return sorted(kinds, key=lambda one: (one[2], one[1])), pages, draw(st.integers(0, pages - 1))


def shares(kinds):
    total = sum(weight for weight, _, _ in kinds)
    return [(Fraction(weight, total), size, align) for weight, size, align in kinds]


def same(found, wanted):
    close = {"rel": 1e-9, "abs": 1e-9}
    assert found.requests == pytest.approx(float(wanted.requests), **close)
    assert found.padding / P == pytest.approx(float(wanted.padding), **close)
    assert found.tail / P == pytest.approx(float(wanted.tail), **close)
    assert found.first == pytest.approx([float(one) for one in wanted.first], **close)
    assert deviation(found) ** 2 == pytest.approx(float(wanted.variance), **close)
    # all by transforms, and none; in windows, and whole
    for few, whole in product((0, counts._FEW), (1, counts._WHOLE)):
        with patch.object(counts, "_FEW", few), patch.object(counts, "_WHOLE", whole):
            got = distribution(found)
        law = [float(wanted.law.get(n, 0)) for n in range(got.size)]
        assert got == pytest.approx(law, abs=1e-9)


@settings(deadline=None)
@given(tiny())
def test_tiny_chunks_are_filled_in_every_way(case):
    kinds, pages, base = case
    mix = mix_from(kinds)
    same(stationary(mix, pages * P, base * P), plain_occupancy(shares(kinds), pages, base))
    plain = shares(kinds)
    first = [share for share, _, _ in plain]
    same(fresh(mix, pages * P, base * P), plain_occupancy(plain, pages, base, first))


@settings(deadline=None)
@given(tiny())
def test_the_fractions_satisfy_the_identity(case):
    """The proof of `stationary` in numbers without any rounding."""
    kinds, pages, base = case
    plain = plain_occupancy(shares(kinds), pages, base)
    mean = sum(share * size for share, size, _ in shares(kinds))
    assert plain.requests * mean + plain.tail + plain.padding == pages


@st.composite
def mixes(draw):
    """Mix of up to 12 kinds, all eligible for a chunk, and that chunk's bytes."""
    pages = 1 << draw(st.integers(5, 11))
    kind = st.tuples(
        st.floats(1e-6, 1.0),
        st.integers(1, pages // 2),
        st.sampled_from([1 << n for n in range(pages.bit_length() - 1)]),
    )
    return mix_from(draw(st.lists(kind, min_size=1, max_size=12))), pages * P


@settings(deadline=None)
@given(mixes(), st.integers(0, 40))
def test_parts_sum_to_the_chunk(case, base):
    mix, chunk_size = case
    found = stationary(mix, chunk_size, base * P)
    assert abs(found.error) < 1e-9
    total = found.payload + found.guard + found.padding + found.tail
    assert total == pytest.approx(chunk_size, rel=1e-9)
    assert found.closing.sum() == pytest.approx(1.0)
    assert found.closing == pytest.approx(found.first, abs=1e-11)


@settings(deadline=None)
@given(mixes())
def test_both_passes_count_the_same_requests(case):
    mix, chunk_size = case
    found = stationary(mix, chunk_size)
    mean, _ = module._Model(mix, chunk_size, 0).moments(found.first)
    assert mean == pytest.approx(found.requests, rel=1e-11)
    law = distribution(found)
    assert law.sum() == pytest.approx(1.0, abs=1e-10)
    assert np.arange(law.size) @ law == pytest.approx(found.requests, rel=1e-8)


@pytest.mark.parametrize("base", [0, P])
@pytest.mark.parametrize("name", ["random_size", "xfs", "stack_and_page"])
def test_the_law_looks_only_where_the_pointer_may_be(name, base):
    """Else the law of a chunk of 1 GiB takes minutes; what is not looked at is below 1e-9."""
    found, looked_at = stationary(find_mix(name), 16 * MIB, base), []

    def watched(*args):
        origin, offsets = window(*args)
        looked_at.append(offsets.size / 4096)
        return origin, offsets

    window, whole = counts._window, distribution(found)
    with patch.object(counts, "_WHOLE", 1), patch.object(counts, "_window", watched):
        law = distribution(found)
    assert np.mean(looked_at) < 0.7
    assert np.pad(law, (0, whole.size - law.size)) == pytest.approx(whole, abs=1e-9)


@settings(deadline=None)
@given(mixes())
def test_the_first_chunk_serves_no_fewer_if_it_is_larger(case):
    """The same stream into a chunk of twice the size; the mix must stay the same."""
    mix, chunk_size = case
    assert fresh(mix, 2 * chunk_size).requests >= fresh(mix, chunk_size).requests * (1 - 1e-12)


@given(
    st.integers(1, 300),
    st.integers(0, 6),
    st.integers(5, 10),
    st.integers(0, 40),
)
def test_equal_requests_give_the_closed_form(pages, align_order, chunk_order, base):
    chunk, align = P << chunk_order, P << align_order
    mix = mix_of("equal", "equal", P, [(1, pages * P, align, P)])
    wanted = int(allocations_per_refill(chunk, pages * P, P, 0, align, base * P))
    if not wanted:
        with pytest.raises(InputError, match="no request of equal is eligible"):
            stationary(mix, chunk, base * P)
        return
    found = stationary(mix, chunk, base * P)
    assert found.requests == wanted == requests_per_refill(mix, chunk, base * P)
    assert deviation(found) == 0.0
    filled = fill([pages * P] * (wanted + 1), align, chunk, P, base=base * P)
    assert filled.refills == 2
    assert found.tail == filled.tail
    assert found.padding == int(filled.chunk_used[0] - filled.chunk_requested[0])


def test_a_chunk_without_end_takes_its_first_request_by_size():
    """Feller: the interval that covers a point is picked in proportion to its length."""
    found = stationary(find_mix("xfs"), 256 * MIB)
    by_size = found.mix.share * found.mix.size
    assert found.first == pytest.approx(by_size / by_size.sum(), rel=1e-9)
    pages = found.mix.size / P
    limit = float(found.mix.share @ (pages * (pages - 1))) / (2 * float(found.mix.share @ pages))
    assert found.tail / P == pytest.approx(limit, rel=1e-9)


def test_a_large_chunk_of_stacks_loses_its_padding_and_three_pages():
    found = stationary(find_mix("stack_x86"), 64 * MIB)
    assert (found.requests, found.tail) == (2048.0, 3 * P)
    assert found.padding == 2047 * 3 * P


def test_small_requests_move_into_the_padding_of_aligned_ones():
    stack, both = (stationary(find_mix(name), 64 * MIB) for name in ("stack_x86", "stack_and_page"))
    assert both.padding < 0.7 * stack.padding


def test_sizes_far_apart_and_close_together_are_the_same_to_the_passes():
    """Runs fill gaps of up to eight pages with kinds that never occur."""
    kinds = [(3, 1, 1), (2, 2, 1), (1, 10, 1), (1, 40, 1), (2, 41, 1), (1, 3, 4), (1, 60, 4)]
    mix = mix_from(kinds)
    runs = module._Model(mix, 512 * P, 0)._kinds
    assert runs[2].tolist() == [1, 40, 3, 60]
    assert runs[0].sum() == pytest.approx(1.0)
    found = stationary(mix, 512 * P)
    with patch.object(module, "_GAP", 0):
        alone = stationary(mix, 512 * P)
    assert alone.requests == pytest.approx(found.requests, rel=1e-12)
    assert alone.tail == pytest.approx(found.tail, rel=1e-12)
    assert alone.first == pytest.approx(found.first, abs=1e-12)


def test_passes_of_one_kind_by_hand():
    one = np.ones(1)
    kinds = (one, np.array([2]), np.array([3]), np.array([0, 1]))
    visits, refused, padding, tail = forward(*kinds, one, 8, 0)
    assert visits.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0]
    assert (refused.tolist(), padding, tail) == ([1.0], 1.0, 1.0)
    assert backward(*kinds, one, visits, 8, 0) == (2.0, 0.0)


def test_requests_that_are_not_eligible_are_left_out():
    mix = mix_from([(3, 2, 1), (1, 9, 1), (1, 1, 16)])
    assert mix.eligible_share(16 * P) == pytest.approx(0.6)
    assert stationary(mix, 16 * P).requests == 8.0
    assert mix.eligible_share(64 * P) == 1.0


@pytest.mark.parametrize(
    ("chunk_size", "base", "text"),
    [
        (48 * MIB, 0, "$.chunk_size: not a power of two"),
        (64 * MIB, 5, "$.base: not a page-aligned address: 5"),
        (2 * P, 0, "$.chunk_size: no request of stack_x86 is eligible: 8192; allowed: 40,960"),
    ],
)
def test_bad_numbers_name_the_place(chunk_size, base, text):
    with pytest.raises(InputError) as caught:
        stationary(find_mix("stack_x86"), chunk_size, base)
    assert str(caught.value).startswith(text)


def test_a_law_that_does_not_settle_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "_ROUNDS", 1)
    with pytest.raises(ModelError, match="first request of xfs: no law after 1 rounds"):
        stationary(find_mix("xfs"), 4 * MIB)
