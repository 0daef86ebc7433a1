"""Platforms as rows of the chapters' tables, and the small words that captions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vmalloc_model.platforms import Platform, find_platform, load_platforms
from vmalloc_model.units import parse_size, size_text

__all__ = ["chosen", "end_text", "listed", "range_text"]

_BOUND: Final = {"exact": "", "at least": "at least ", "at most": "at most ", "default": ""}


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> listed(["i386"]), listed(["i386", "arm", "s390x"])
    ('i386', 'i386, arm and s390x')
    """
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + f" and {words[-1]}"


def range_text(platform: Platform) -> str:
    """Size of a platform's range in words, with its bound: ``at least 120 MiB``."""
    return _BOUND[platform.bound] + size_text(platform.size)


def chosen(ids: Sequence[str] | None) -> list[Platform]:
    """Platforms by id, all of them for None, smallest range first."""
    known = load_platforms()
    found = list(known.values()) if ids is None else [find_platform(one) for one in ids]
    return sorted(found, key=lambda platform: (platform.size, platform.id))


def end_text(size: int) -> str:
    """Size in words; where rounding for print would make it a round size, on which side it is.

    Examples
    --------
    >>> end_text(64 << 20), end_text(58_621_952), end_text((8 << 30) + 4096)
    ('64 MiB', '55.906 MiB', 'just over 8 GiB')
    """
    text = size_text(size)
    printed = parse_size(text.replace(",", "")) if "." not in text else size
    if printed == size:
        return text
    return f"just {'over' if size > printed else 'under'} {text}"
