"""Chapter *Edges*: words that its captions share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.units import count_text, share_text

__all__ = ["by_value", "cases_text", "span_text"]


def by_value(values: Iterable[tuple[str, Any]], text: Callable[[Any], str]) -> str:
    """Print names with their values; names whose values print alike stand together.

    Examples
    --------
    >>> by_value([("mainline", 2.0), ("rfc10", 1.0), ("rfc12", 1.0)], str)
    'mainline 2.0; rfc10 and rfc12 1.0'
    """
    groups: dict[str, list[str]] = {}
    for name, value in values:
        groups.setdefault(text(value), []).append(name)
    return "; ".join(f"{listed(names)} {printed}" for printed, names in groups.items())


def cases_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Name the platforms, policies and numbers of CPUs of rows, alike ones together.

    Examples
    --------
    >>> rows = [{"platform": "arm", "policy": "rfc10", "cpus": n} for n in (2, 4)]
    >>> cases_text(rows)
    'rfc10 on arm with 2/4 CPUs'
    """
    counts: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        counts.setdefault((row["platform"], row["policy"]), []).append(count_text(row["cpus"]))
    groups: dict[tuple[str, str], list[str]] = {}
    for (platform, policy), cpus in counts.items():
        noun = "CPU" if cpus == ["1"] else "CPUs"
        groups.setdefault((platform, f"{'/'.join(cpus)} {noun}"), []).append(policy)
    return "; ".join(
        f"{listed(policies)} on {platform} with {cpus}"
        for (platform, cpus), policies in groups.items()
    )


def span_text(shares: Sequence[float]) -> str:
    """Print the lowest and the highest of some shares, or the one they all print as.

    Examples
    --------
    >>> span_text([0.5, 0.25]), span_text([1, 0.9999])
    ('25 % to 50 %', '100 %')
    """
    low, high = share_text(min(shares)), share_text(max(shares))
    return low if low == high else f"{low} to {high}"
