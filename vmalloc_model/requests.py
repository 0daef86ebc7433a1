"""From a caller's payload to the request the allocator sees, and who may use the chunk.

Everything is elementwise over numpy arrays and broadcasts; results are arrays, of shape ``()`` for
plain numbers. Sizes are bytes and must stay below 2**63.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError
from vmalloc_model.units import is_power_of_two, power_of_two_at_least, round_up

__all__ = [
    "LARGEST",
    "NUMA_NO_NODE",
    "RULES",
    "WhyNot",
    "allocator_size",
    "eligible",
    "ioremap_align",
    "powers_of_two",
    "slack_at_most",
    "stride",
    "whole_numbers",
    "why_not",
]

LARGEST: Final = 2**63 - 1
"""Largest number of bytes the closed forms represent exactly (int64)."""

NUMA_NO_NODE: Final = -1
"""The kernel's value for a request without a NUMA node."""

RULES: Final = ("code", "comment", "message", "rfc12")
"""Who may use the chunk, according to: the diff of 10/12; the comment in that diff; the commit
message of 10/12; the diff of 12/12."""


class WhyNot(IntEnum):
    """First condition a request fails, in the order in which the diff tests them."""

    ELIGIBLE = 0
    WINDOW = 1
    """The window is not exactly the standard one."""
    ZERO_SIZE = 2
    OVER_HALF = 3
    """The size, guard included, is more than half a chunk."""
    UNALIGNED_SIZE = 4
    """The size is no multiple of the page size."""
    ZERO_ALIGN = 5
    ALIGN = 6
    """The alignment is above the rule's limit."""
    NODE = 7
    """The request names a NUMA node."""


def whole_numbers(value: npt.ArrayLike, where: str, least: int = 0) -> npt.NDArray[np.int64]:
    """Turn whole numbers into an int64 array of the same shape.

    Parameters
    ----------
    value : array_like of int
        Python or numpy integers, any shape.
    where : str
        Place named in the error.
    least : int
        Smallest value allowed.

    Raises
    ------
    InputError
        If a value is no integer, is below `least`, or does not fit 63 bits.
    """
    number = np.asarray(value)
    if number.dtype == np.int64:
        exact = number
    elif number.size == 0:  # numpy calls an empty list float64
        exact = number.astype(np.int64)
    elif number.dtype.kind == "O" and all(isinstance(one, int) for one in number.flat):
        # numpy keeps Python integers beyond 64 bits as objects
        raise InputError(where, "too large to stay exact", allowed=f"at most {LARGEST:,}")
    elif number.dtype.kind not in "iu":
        shown = value if number.ndim == 0 else f"{number.dtype} array"
        raise InputError(where, "not a whole number", value=shown, allowed="integers")
    elif number.size and int(number.max()) > LARGEST:
        raise InputError(
            where,
            "too large to stay exact",
            value=int(number.max()),
            allowed=f"at most {LARGEST:,}",
        )
    else:
        exact = number.astype(np.int64)
    if exact.size and int(exact.min()) < least:
        raise InputError(where, "too small", value=int(exact.min()), allowed=f"{least:,} or more")
    return exact


def powers_of_two(value: npt.ArrayLike, where: str) -> npt.NDArray[np.int64]:
    """Turn powers of two into an int64 array; anything else is an `InputError` at `where`."""
    number = whole_numbers(value, where, 1)
    wrong = ~is_power_of_two(number)
    if np.any(wrong):
        shown = int(number[wrong].flat[0]) if number.ndim else int(number)
        raise InputError(where, "not a power of two", value=shown, allowed="1, 2, 4, 8, ...")
    return number


def allocator_size(
    payload: npt.ArrayLike, page_size: npt.ArrayLike, guard_pages: npt.ArrayLike = 1
) -> npt.NDArray[np.int64]:
    """Size of the area that the allocator is asked for: whole pages plus the guard.

    Parameters
    ----------
    payload : array_like of int
        Bytes the caller asked for, 1 or more (the kernel refuses 0 before it gets here).
    page_size : array_like of int
        Bytes, a power of two.
    guard_pages : array_like of int
        1 in the kernel unless the area is marked ``VM_NO_GUARD``; 0 for the mail's arithmetic.

    Returns
    -------
    ndarray of int64
        Bytes, broadcast shape of the inputs.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c, ``__get_vm_area_node``.

    Examples
    --------
    >>> int(allocator_size(4096, 4096)), int(allocator_size(32 << 20, 4096)) - (32 << 20)
    (8192, 4096)
    """
    page = powers_of_two(page_size, "$.page_size")
    guard = whole_numbers(guard_pages, "$.guard_pages") * page
    size = whole_numbers(payload, "$.payload", 1)
    # one page of head room is for the rounding
    if np.any(size > LARGEST - guard - page):
        raise InputError(
            "$.payload",
            "too large to stay exact",
            value=int(size.max()),
            allowed=f"at most {LARGEST:,} bytes with guard",
        )
    return np.asarray(round_up(size, page) + guard)


def ioremap_align(
    size: npt.ArrayLike, page_size: npt.ArrayLike, max_order: npt.ArrayLike
) -> npt.NDArray[np.int64]:
    """Alignment of an I/O mapping: its size rounded up to a power of two, within limits.

    Parameters
    ----------
    size : array_like of int
        Bytes in whole pages, without guard (the kernel computes this before it adds the guard).
    page_size : array_like of int
        Bytes, a power of two; the lower limit.
    max_order : array_like of int
        ``IOREMAP_MAX_ORDER`` of the architecture: the upper limit is ``2**max_order`` bytes. It is
        30 on x86_64.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c, ``__get_vm_area_node``, the ``VM_IOREMAP`` branch.

    Examples
    --------
    >>> ioremap_align([4096, 12288, 1 << 40], 4096, 30).tolist()
    [4096, 16384, 1073741824]
    """
    page = powers_of_two(page_size, "$.page_size")
    order = whole_numbers(max_order, "$.max_order")
    if np.any(order > 62):
        raise InputError("$.max_order", "too large", value=int(order.max()), allowed="62 or less")
    wanted = power_of_two_at_least(whole_numbers(size, "$.size", 1))
    return np.asarray(np.minimum(np.maximum(wanted, page), np.int64(1) << order))


def slack_at_most(align: npt.ArrayLike, page_size: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Most bytes that ``ALIGN`` can skip at a page-aligned bump pointer.

    The pointer is a multiple of the page size, so the distance to the next multiple of a larger
    alignment is at most ``align - page_size``; up to one page nothing is skipped.

    Examples
    --------
    >>> slack_at_most([1, 4096, 16384], 4096).tolist()
    [0, 0, 12288]
    """
    page = powers_of_two(page_size, "$.page_size")
    return np.asarray(np.maximum(powers_of_two(align, "$.align") - page, 0))


def stride(size: npt.ArrayLike, align: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Distance between successive equal requests in one chunk.

    Parameters
    ----------
    size : array_like of int
        Bytes as the allocator sees them, guard included.
    align : array_like of int
        Bytes, a power of two.

    Notes
    -----
    From an aligned start ``a`` the pointer moves to ``a + size`` and the next request starts at the
    next multiple of `align`. Source: ``vmap_bump_alloc`` in the diff of 10/12.

    Examples
    --------
    >>> int(stride(20480, 16384))  # a kernel stack of 16 KiB with its guard page on x86_64
    32768
    """
    return round_up(whole_numbers(size, "$.size", 1), powers_of_two(align, "$.align"))


def why_not(
    size: npt.ArrayLike,
    align: npt.ArrayLike,
    in_window: npt.ArrayLike,
    chunk_size: npt.ArrayLike,
    page_size: npt.ArrayLike,
    rule: str = "code",
    node: npt.ArrayLike = NUMA_NO_NODE,
) -> npt.NDArray[np.int8]:
    """First condition of a rule that each request fails.

    Parameters
    ----------
    size : array_like of int
        Bytes as the allocator sees them, guard included; 0 or more.
    align : array_like of int
        Bytes; 0 or more.
    in_window : array_like of bool
        Whether the request's window is exactly ``[VMALLOC_START, VMALLOC_END)``.
    chunk_size, page_size : array_like of int
        Bytes.
    rule : {"code", "comment", "message", "rfc12"}
        See `RULES`. All four want the standard window and ``0 < size <= chunk_size / 2``. Further:

        ========= ============== ======================== ===========
        rule      size           align                    NUMA node
        ========= ============== ======================== ===========
        code      --             ``<= chunk_size / 2``    not tested
        comment   --             ``<= page_size``         not tested
        message   page multiple  ``> 0, <= page_size``    none
        rfc12     page multiple  ``> 0, <= chunk_size/2`` not tested
        ========= ============== ======================== ===========
    node : array_like of int
        NUMA node of the request, `NUMA_NO_NODE` for none. Only ``message`` looks at it.

    Returns
    -------
    ndarray of int8
        `WhyNot` values, broadcast shape of all inputs.

    Raises
    ------
    InputError
        If the rule is unknown or a number is out of range.

    Notes
    -----
    Source: ``vmap_bump_alloc`` and its comment in the diff of 10/12, the last paragraph of its
    commit message, and ``vmap_bump_eligible`` of 12/12. Integer division, as in C.

    Examples
    --------
    >>> WhyNot(int(why_not(8192, 16384, True, 64 << 20, 4096, rule="comment"))).name
    'ALIGN'
    """
    if rule not in RULES:
        raise InputError("$.rule", "unknown rule", value=rule, allowed=", ".join(RULES))
    bytes_ = whole_numbers(size, "$.size")
    alignment = whole_numbers(align, "$.align")
    half = whole_numbers(chunk_size, "$.chunk_size", 1) // 2
    page = powers_of_two(page_size, "$.page_size")
    standard = np.asarray(in_window, dtype=bool)
    numa = whole_numbers(node, "$.node", NUMA_NO_NODE)

    failed: list[tuple[WhyNot, Any]] = [
        (WhyNot.WINDOW, ~standard),
        (WhyNot.ZERO_SIZE, bytes_ == 0),
        (WhyNot.OVER_HALF, bytes_ > half),
    ]
    if rule in ("message", "rfc12"):
        failed += [
            (WhyNot.UNALIGNED_SIZE, bytes_ % page != 0),
            (WhyNot.ZERO_ALIGN, alignment == 0),
        ]
    failed += [(WhyNot.ALIGN, alignment > (page if rule in ("comment", "message") else half))]
    if rule == "message":
        failed += [(WhyNot.NODE, numa != NUMA_NO_NODE)]

    shape = np.broadcast_shapes(
        bytes_.shape, alignment.shape, half.shape, page.shape, standard.shape, numa.shape
    )
    reason = np.zeros(shape, dtype=np.int8)
    for code, test in reversed(failed):  # the earliest failure is written last and stays
        np.copyto(reason, np.int8(code), where=test)
    return reason


def eligible(
    size: npt.ArrayLike,
    align: npt.ArrayLike,
    in_window: npt.ArrayLike,
    chunk_size: npt.ArrayLike,
    page_size: npt.ArrayLike,
    rule: str = "code",
    node: npt.ArrayLike = NUMA_NO_NODE,
) -> npt.NDArray[np.bool_]:
    """Tell which requests may use the chunk; parameters, errors and sources as in `why_not`.

    Examples
    --------
    >>> eligible([32 << 20, (32 << 20) + 4096], 1, True, 64 << 20, 4096).tolist()
    [True, False]
    """
    reason = why_not(size, align, in_window, chunk_size, page_size, rule, node)
    return np.asarray(reason == WhyNot.ELIGIBLE)
