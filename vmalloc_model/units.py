"""Sizes in bytes and pages: reading them, printing them, and powers of two.

All prefixes are binary, as in the kernel and on its lists: ``64M``, ``64MB`` and ``64 MiB`` are the
same 67,108,864 bytes. Printed sizes always say ``KiB``, ``MiB`` and so on.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.errors import InputError

__all__ = [
    "GIB",
    "KIB",
    "MIB",
    "PIB",
    "TIB",
    "count_text",
    "cpus_text",
    "is_power_of_two",
    "many_text",
    "pages_for",
    "parse_size",
    "power_of_two_at_least",
    "power_of_two_at_most",
    "round_up",
    "share_text",
    "size_text",
]

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40
PIB: Final = 1 << 50

_SHIFTS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTPE]?)(?:i?B)?\s*", re.ASCII | re.IGNORECASE)
_ALLOWED: Final = "bytes, or a number with K, M, G, T, P or E (powers of 1,024), such as 64M"


def parse_size(value: str | int, where: str = "size") -> int:
    """Read a size in bytes.

    Parameters
    ----------
    value : str or int
        An int is bytes already. A string is a number with an optional binary prefix; ``B`` and
        ``iB`` behind it change nothing.
    where : str
        Place named in the error.

    Returns
    -------
    int
        Size in bytes, 0 or more.

    Raises
    ------
    InputError
        If the text is not a size, is negative, or is not a whole number of bytes.

    Examples
    --------
    >>> parse_size("64M") == parse_size("64 MiB") == parse_size(67108864)
    True
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, np.integer)):
        raise InputError(where, "not a size", value=value, allowed=_ALLOWED)
    if not isinstance(value, str):
        if value < 0:
            raise InputError(where, "negative size", value=int(value), allowed=_ALLOWED)
        return int(value)
    match = _SIZE.fullmatch(value)
    if match is None:
        raise InputError(where, "not a size", value=value, allowed=_ALLOWED)
    number, prefix = match.groups()
    whole, _, fraction = number.partition(".")
    scaled = int(whole + fraction) << _SHIFTS[prefix.upper()]
    size, rest = divmod(scaled, 10 ** len(fraction))
    if rest:
        raise InputError(where, "not a whole number of bytes", value=value, allowed=_ALLOWED)
    return int(size)


def size_text(size: float) -> str:
    """Print a size with the largest binary prefix that keeps it at 1 or more.

    Exact multiples print without decimals, others with three significant decimals at most.

    Examples
    --------
    >>> size_text(64 * MIB), size_text(138_535_235_485_696), size_text(8191)
    ('64 MiB', '125.997 TiB', '7.999 KiB')
    """
    for prefix, unit in (("PiB", PIB), ("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= unit * (1 - 0.5e-3 / 1024):  # what would round to 1,024 of the next smaller
            return f"{size / unit:.3f}".rstrip("0").rstrip(".") + f" {prefix}"
    return f"{size:.0f} B"


def count_text(count: float) -> str:
    """Print a count with thousands separators, rounded to a whole number."""
    return f"{count:,.0f}"


def many_text(count: float, noun: str) -> str:
    """Print a count and what is counted.

    Examples
    --------
    >>> many_text(1, "chapter"), many_text(8192, "event")
    ('1 chapter', '8,192 events')
    """
    return f"{count_text(count)} {noun}" + ("" if count == 1 else "s")


def cpus_text(cpus: int) -> str:
    """Print a number of CPUs.

    Examples
    --------
    >>> cpus_text(0), cpus_text(1), cpus_text(8192)
    ('no CPU', '1 CPU', '8,192 CPUs')
    """
    return many_text(cpus, "CPU") if cpus else "no CPU"


def share_text(share: float) -> str:
    """Print a share of 1 as a percentage with two significant digits, more from 1 % on.

    Examples
    --------
    >>> share_text(2 / 128), share_text(2 / 32768), share_text(0.5), share_text(4.2667)
    ('1.56 %', '0.0061 %', '50 %', '427 %')
    """
    percent = 100 * float(share)
    if not np.isfinite(percent):
        return "undefined"
    digits = 2 if abs(percent) < 1 else 3
    text = np.format_float_positional(
        percent, precision=digits, unique=False, fractional=False, trim="-"
    )
    whole, _, fraction = text.partition(".")
    return f"{int(whole):,}" + (f".{fraction}" if fraction else "") + " %"


def is_power_of_two(value: npt.ArrayLike) -> Any:
    """Tell elementwise whether integers are powers of two (0 is not one)."""
    number = np.asarray(value)
    return (number > 0) & ((number & (number - 1)) == 0)


def power_of_two_at_least(value: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Smallest power of two >= each value; values of 1 or less give 1.

    Exact for whole numbers up to 2**62, which a logarithm in floating point is not.
    """
    number = np.maximum(np.ceil(np.asarray(value)).astype(np.int64), 1) - 1
    for shift in (1, 2, 4, 8, 16, 32):
        number = number | (number >> shift)
    return np.asarray(number + 1)


def power_of_two_at_most(value: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Largest power of two <= each value; values below 1 give 0."""
    number = np.floor(np.asarray(value)).astype(np.int64)
    up = power_of_two_at_least(number)
    return np.asarray(np.where(number < 1, 0, np.where(up == number, up, up >> 1)))


def round_up(value: npt.ArrayLike, multiple: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Round whole numbers up to a multiple, as the kernel's ``ALIGN`` (any multiple > 0)."""
    step = np.asarray(multiple, dtype=np.int64)
    return np.asarray(-(-np.asarray(value, dtype=np.int64) // step) * step)


def pages_for(size: npt.ArrayLike, page_size: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Pages needed to hold ``size`` bytes."""
    return np.asarray(-(-np.asarray(size, dtype=np.int64) // np.asarray(page_size, dtype=np.int64)))
