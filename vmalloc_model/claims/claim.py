"""What a claim and a finding are, and the registry that ties each claim to its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.claims.patch import PARTS
from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError
from vmalloc_model.units import count_text, parse_size, share_text, size_text

__all__ = [
    "BEYOND",
    "CHECKS",
    "TOPICS",
    "VERDICTS",
    "Claim",
    "Finding",
    "Verdict",
    "check",
    "counted",
    "guard_text",
    "listed",
    "load_claims",
    "numbers_text",
    "percent_text",
]

Verdict = Literal["holds", "holds with conditions", "contradicted", "cannot be checked"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
TOPICS: Final = ("coverage", "amortisation", "cost", "mechanism", "text", "over time")
"""The three arguments; how the overlay works; what the mail says of itself and of other code; what
becomes of chunks over time, which the arguments leave out."""

BEYOND: Final = "beyond"
"""Part of a claim that is not in the mail: its reader may take it for granted, or a later mail says
it. Such a claim has the topic ``over time``, no quote, and its place is where it comes from."""

Number = int | float | str


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable statement: of the mail, or one that its reader may take for granted.

    Attributes
    ----------
    id : str
        Stable, lower-case words joined by ``-``.
    part, place : str
        One of `PARTS` or `BEYOND`, and the place within it in words.
    text : str
        The statement in the report's own words.
    quote : str
        A few words of the mail to find it by; empty beyond it.
    topic, check : str
        One of `TOPICS`; name of the check in `CHECKS`.
    stated : mapping of str to number
        Figures that the mail states, by name. Sizes are bytes; shares are of 1.
    """

    id: str
    part: str
    place: str
    text: str
    quote: str
    topic: str
    check: str
    stated: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes
    ----------
    verdict : str
        One of `VERDICTS`.
    numbers : mapping of str to number
        What was computed. The last word of a name is its unit: names ending in ``bytes`` and
        ``share`` print as sizes and percentages, others as they are.
    because : str
        One or two sentences: which premise fails, and what is right.
    """

    verdict: Verdict
    numbers: Mapping[str, Number]
    because: str


Check = Callable[[Claim, Evidence], Finding]
CHECKS: Final[dict[str, Check]] = {}
"""Name -> check, filled by the decorator `check` when the topic modules are imported."""


def check(name: str) -> Callable[[Check], Check]:
    """Register a function as the check of that name."""

    def register(function: Check) -> Check:
        if name in CHECKS:
            raise ValueError(f"two checks are called {name!r}")
        CHECKS[name] = function
        return function

    return register


def numbers_text(numbers: Mapping[str, Number]) -> str:
    """Print the numbers of a finding on one line.

    Examples
    --------
    >>> numbers_text({"range bytes": 2**45, "chunk share": 1 / 512, "refills": 71})
    'range 32 TiB; chunk share 0.2 %; refills 71'
    """
    return "; ".join(_one_text(name, value) for name, value in numbers.items())


def percent_text(share: float) -> str:
    """Print a share of 1 as a percentage, from 1 % to 10 % with up to four decimals.

    The mail rounds to one decimal, so what it rounded must be visible.

    Examples
    --------
    >>> percent_text(0.03125), percent_text(1 / 512)
    ('3.125 %', '0.2 %')
    """
    if 0.01 <= share < 0.1:
        return f"{100 * share:.4f}".rstrip("0").rstrip(".") + " %"
    return share_text(share)


def guard_text(pages: int) -> str:
    """Print a number of guard pages: ``no guard page``, ``one guard page``, ``2 guard pages``."""
    return {0: "no guard page", 1: "one guard page"}.get(pages, f"{pages} guard pages")


def counted(number: int, noun: str) -> str:
    """Print a count with its noun: ``1 section``, ``4,230 sections``."""
    return f"{count_text(number)} {noun}" + ("" if number == 1 else "s")


def listed(words: Sequence[str], empty: str = "none") -> str:
    """Join words as in a sentence.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"]), listed([])
    ('a', 'a, b and c', 'none')
    """
    if len(words) < 2:
        return words[0] if words else empty
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _one_text(name: str, value: Number) -> str:
    if isinstance(value, str):
        return f"{name} {value}"
    if name.endswith(" bytes"):
        return f"{name.removesuffix(' bytes')} {size_text(value)}"
    if name.endswith(" share"):
        return f"{name} {percent_text(value)}"
    return f"{name} {count_text(value) if isinstance(value, int) else f'{value:,.4g}'}"


_TEXTS: Final = ("id", "part", "place", "text", "quote", "topic", "check")


def load_claims() -> tuple[Claim, ...]:
    """Read the claims below ``data/``, in the order of the mail.

    Raises
    ------
    FileError
        If a key is missing or unknown, an id stands twice, or a part or topic is unknown.
    """
    path = data_path("claims.toml")
    claims: list[Claim] = []
    for i, entry in enumerate(read_toml("claims.toml").get("claim", [])):
        where = f"$.claim[{i}]"
        for key in entry:
            if key not in (*_TEXTS, "stated"):
                raise FileError(path, f"{where}: unknown key", value=key, allowed=", ".join(_TEXTS))
        for key in _TEXTS:
            empty = key == "quote" and entry.get("part") == BEYOND
            if not isinstance(entry.get(key), str) or bool(entry[key].strip()) == empty:
                problem = "not empty, though beyond the mail" if empty else "missing or not a text"
                raise FileError(path, f"{where}.{key}: {problem}")
        for key, allowed in (("part", (*PARTS, BEYOND)), ("topic", TOPICS)):
            if entry[key] not in allowed:
                raise FileError(
                    path, f"{where}.{key}: unknown", value=entry[key], allowed=", ".join(allowed)
                )
        if any(entry["id"] == claim.id for claim in claims):
            raise FileError(path, f"{where}.id: stands twice", value=entry["id"])
        claims.append(Claim(**{**entry, "stated": _stated(entry.get("stated", {}))}))
    if not claims:
        raise FileError(path, "holds no claims", allowed="[[claim]] tables")
    return tuple(claims)


def _stated(table: Mapping[str, Any]) -> Mapping[str, int | float]:
    return MappingProxyType(
        {
            name: parse_size(value) if isinstance(value, str) else value
            for name, value in table.items()
        }
    )
