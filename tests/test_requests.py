"""Requests: the kernel's arithmetic, written out in plain integers, is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.errors import InputError
from vmalloc_model.requests import (
    LARGEST,
    NUMA_NO_NODE,
    RULES,
    WhyNot,
    allocator_size,
    eligible,
    ioremap_align,
    powers_of_two,
    slack_at_most,
    stride,
    whole_numbers,
    why_not,
)

MIB = 1 << 20
C = 64 * MIB

page_sizes = st.sampled_from([4096, 8192, 16384, 65536])
powers = st.integers(0, 40).map(lambda order: 1 << order)


def kernel_align(value: int, step: int) -> int:
    """ALIGN() for a power of two, as include/vdso/align.h masks it."""
    return (value + step - 1) & ~(step - 1)


def plain_why_not(size, align, in_window, chunk, page, rule, node):
    """Each rule spelled out on its own, in the order of its source."""
    if not in_window:
        return WhyNot.WINDOW
    if size == 0:
        return WhyNot.ZERO_SIZE
    if size > chunk // 2:
        return WhyNot.OVER_HALF
    if rule == "code":
        return WhyNot.ALIGN if align > chunk // 2 else WhyNot.ELIGIBLE
    if rule == "comment":
        return WhyNot.ALIGN if align > page else WhyNot.ELIGIBLE
    if size & (page - 1):
        return WhyNot.UNALIGNED_SIZE
    if align == 0:
        return WhyNot.ZERO_ALIGN
    if rule == "rfc12":
        return WhyNot.ALIGN if align > chunk // 2 else WhyNot.ELIGIBLE
    if align > page:
        return WhyNot.ALIGN
    return WhyNot.ELIGIBLE if node == NUMA_NO_NODE else WhyNot.NODE


@given(st.integers(1, 1 << 45), page_sizes, st.integers(0, 3))
def test_allocator_size_is_whole_pages_plus_guard(payload, page, guard):
    assert allocator_size(payload, page, guard) == kernel_align(payload, page) + guard * page


def test_allocator_size_of_recorded_requests():
    # recorded on x86_64: one page, a .ko file of 80 pages, a 16 KiB stack
    assert allocator_size([1, 4096, 80 * 4096, 16384], 4096).tolist() == [8192, 8192, 331776, 20480]


@given(st.integers(1, 1 << 45), page_sizes, st.integers(0, 40))
def test_ioremap_align_is_the_clamped_order(size, page, max_order):
    order = (size - 1).bit_length()  # get_count_order_long
    page_shift = page.bit_length() - 1
    clamped = min(max(order, page_shift), max_order)  # clamp_t(int, order, low, high)
    assert ioremap_align(size, page, max_order) == 1 << clamped


@given(powers, page_sizes, st.integers(0, 1 << 20))
def test_slack_is_a_bound_and_is_reached(align, page, pages):
    bump = pages * page
    most = int(slack_at_most(align, page))
    assert kernel_align(bump, align) - bump <= most
    assert kernel_align(page, align) - page == most


@given(st.integers(1, 1 << 30), powers, st.integers(0, 1 << 20))
def test_stride_is_the_distance_of_the_next_request(size, align, steps):
    at = steps * align
    assert kernel_align(at + size, align) - at == stride(size, align)


requests = st.tuples(
    st.integers(0, 2 * C) | st.integers(0, 40).map(lambda n: n * 4096) | st.just(C // 2),
    st.integers(0, 27).map(lambda order: 1 << order) | st.just(0),
    st.booleans() | st.just(True),
    st.integers(12, 27).map(lambda order: 1 << order),
    page_sizes,
    st.sampled_from([NUMA_NO_NODE, 0, 3]),
)


@given(requests, st.sampled_from(RULES))
def test_rules_equal_their_plain_reading(request_, rule):
    size, align, window, chunk, page, node = request_
    wanted = plain_why_not(size, align, window, chunk, page, rule, node)
    assert why_not(size, align, window, chunk, page, rule, node) == wanted
    assert eligible(size, align, window, chunk, page, rule, node) == (wanted == WhyNot.ELIGIBLE)


def test_rules_broadcast():
    sizes = np.arange(0, 40 * MIB, 4096 * 511)
    aligns = np.array([1, 4096, 16384, C])
    windows = np.array([True, False])
    got = why_not(sizes[:, None, None], aligns[:, None], windows, C, 4096, "message")
    assert got.shape == (sizes.size, 4, 2)
    assert got.dtype == np.int8
    for i, j, k in np.ndindex(got.shape):
        plain = plain_why_not(int(sizes[i]), int(aligns[j]), windows[k], C, 4096, "message", -1)
        assert got[i, j, k] == plain


def test_where_the_rules_differ():
    def says(size, align, node=NUMA_NO_NODE):
        return {rule: bool(eligible(size, align, True, C, 4096, rule, node)) for rule in RULES}

    everybody = dict.fromkeys(RULES, True)
    assert says(8192, 1) == everybody
    # kernel stacks: the comment and the message leave them out, the code takes them
    assert says(20480, 16384) == {**everybody, "comment": False, "message": False}
    # a NUMA node: only the message objects
    assert says(8192, 1, node=0) == {**everybody, "message": False}
    # not a page multiple: cannot get that far in the kernel, but only two of the rules say so
    assert says(8191, 1) == {**everybody, "message": False, "rfc12": False}


def test_guard_page_puts_32_mib_off():
    assert eligible(allocator_size(32 * MIB, 4096, 0), 1, True, C, 4096)
    assert not eligible(allocator_size(32 * MIB, 4096), 1, True, C, 4096)
    assert eligible(allocator_size(32 * MIB - 4096, 4096), 1, True, C, 4096)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: allocator_size(0, 4096), "$.payload: too small: 0; allowed: 1 or more"),
        (lambda: allocator_size(1, 4095), "$.page_size: not a power of two: 4095"),
        (lambda: allocator_size(1, 0), "$.page_size: too small: 0"),
        (lambda: allocator_size(1, 4096, -1), "$.guard_pages: too small: -1"),
        (lambda: allocator_size(1.5, 4096), "$.payload: not a whole number: 1.5"),
        (lambda: allocator_size([True], 4096), "$.payload: not a whole number: 'bool array'"),
        (lambda: allocator_size("4K", 4096), "$.payload: not a whole number: '4K'"),
        (lambda: allocator_size(LARGEST, 4096), "$.payload: too large to stay exact"),
        (lambda: allocator_size(1 << 70, 4096), "$.payload: too large to stay exact"),
        (lambda: allocator_size(1 << 63, 4096), "$.payload: too large to stay exact"),
        (lambda: stride(4096, 3), "$.align: not a power of two: 3"),
        (lambda: powers_of_two([4, 6], "$.x"), "$.x: not a power of two: 6"),
        (lambda: ioremap_align(4096, 4096, 63), "$.max_order: too large: 63"),
        (lambda: why_not(1, 1, True, C, 4096, "rfc10"), "$.rule: unknown rule: 'rfc10'; allowed: "),
        (lambda: why_not(1, 1, True, C, 4096, node=-2), "$.node: too small: -2"),
    ],
)
def test_bad_numbers_name_the_place(call, text):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(text)


def test_whole_numbers_takes_every_integer_type():
    for dtype in (np.int8, np.uint16, np.int32, np.uint64):
        got = whole_numbers(np.array([1, 2], dtype=dtype), "$.x")
        assert (got.dtype, got.tolist()) == (np.int64, [1, 2])
    assert whole_numbers(LARGEST, "$.x") == LARGEST
