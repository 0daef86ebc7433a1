"""Claims of the reviewed mail: their findings, and on which kinds of evidence each rests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import vmalloc_model.claims.evaluation  # noqa: F401 (registers the checks)
from vmalloc_model.citing.assumptions import assumptions_of
from vmalloc_model.citing.results import Table
from vmalloc_model.citing.snippet import Snippet
from vmalloc_model.claims.claim import (
    BEYOND,
    CHECKS,
    Claim,
    Finding,
    Number,
    load_claims,
    numbers_text,
    percent_text,
)
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.parameters import VOCABULARY, checked, literal
from vmalloc_model.report.plaintext import ascii_text
from vmalloc_model.units import count_text, size_text

__all__ = ["PARAMETERS", "SHOWN", "Checked", "Evaluation", "find_claim", "read_overrides"]

PARAMETERS: Final = {one.name: one.default for one in fields(Evidence) if one.name in VOCABULARY}
"""Parameters of the checks -> default; sizes in bytes."""

_RECORDED: Final = {"overlay", "mainline", "modules", "sections"}
_REPLAYED: Final = {"stream"}
_COMPUTED: Final = {
    *("premises", "callers", "platforms", "platform", "page_size", "guard_pages"),
    *("played", "policy", "bound"),
}
"""Parts of the evidence that make a finding MEASURED, MODEL on MEASURED requests, or MODEL; what
rests on none of them is SOURCE."""

_SEEN: Final = {
    "patch": "the mail and its diff",
    "chunk_size": "the mail and its diff",
    "fact": "sources named in data/kernel-facts.toml",
    "platforms": "data/platforms.csv",
    "platform": "platform {platform}",
    "callers": "data/callers.csv",
    "premises": "data/premises.toml",
    "modules": "module sizes of Debian 6.12 (MEASURED)",
    "sections": "module sizes of Debian 6.12 (MEASURED)",
    "stream": "requests of recorded run {run} (MEASURED)",
    "overlay": "recorded run {overlay_run} (MEASURED)",
    "mainline": "recorded run {mainline_run} (MEASURED)",
    "page_size": "arithmetic on sizes and pages (MODEL)",
    "policy": "the allocator model, {policy} (MODEL)",
}


SHOWN: Final = {
    "coverage": ("tab-claims", "tab-coverage-stated", "fig-eligible"),
    "amortisation": ("tab-claims", "tab-amortisation-stated", "fig-refills"),
    "cost": ("tab-claims", "tab-cost-stated", "fig-reserved"),
    "mechanism": ("tab-claims", "tab-variants", "tab-disagreements"),
    "text": ("tab-claims", "tab-disagreements"),
    "over time": ("tab-beyond",),
}
"""Topic -> the figures and tables that show its claims."""

_DEFAULTS: Final = Evidence()


@dataclass(frozen=True)
class Checked:
    """A claim, what its check found, and which parts of the evidence the check looked at."""

    claim: Claim
    finding: Finding
    used: frozenset[str]

    @property
    def label(self) -> str:
        """The kind of evidence, as figures have it."""
        computed = bool(self.used & _COMPUTED)
        if self.used & _REPLAYED:
            return "MODEL on MEASURED requests"
        if self.used & _RECORDED:
            return "MODEL and MEASURED" if computed else "MEASURED"
        return "MODEL" if computed else "SOURCE"

    @property
    def digest(self) -> str:
        """First 12 digits of the SHA-256 of verdict, numbers and reason."""
        finding = self.finding
        found = [self.claim.id, finding.verdict, dict(finding.numbers), finding.because]
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]

    def seen(self, evidence: Evidence = _DEFAULTS) -> list[str]:
        """Say what the check looked at."""
        texts = [text for name, text in _SEEN.items() if name in self.used]
        return [text.format_map(vars(evidence)) for text in dict.fromkeys(texts)]


class _Watched(Evidence):
    """Evidence that notes which of its parts are looked at."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.__dict__["_open"] = []
        self.__dict__["_behind"] = {}

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name not in _PARTS:
            return super().__getattribute__(name)
        behind: dict[str, set[str]] = self.__dict__["_behind"]
        opened: list[set[str]] = self.__dict__["_open"]
        if name not in behind:  # a cached part looks at others only once
            opened.append(set())
            try:
                super().__getattribute__(name)
            finally:
                behind[name] = opened.pop()
        for one in opened:
            one.update({name}, behind[name])
        return super().__getattribute__(name)

    def watch(self, claim: Claim) -> Checked:
        """Check a claim."""
        used: set[str] = set()
        self.__dict__["_open"].append(used)
        try:
            finding = CHECKS[claim.check](claim, self)
        finally:
            self.__dict__["_open"].pop()
        return Checked(claim, finding, frozenset(used))


_PARTS: Final = frozenset(
    name for name in [*Evidence.__annotations__, *vars(Evidence)] if not name.startswith("_")
)


def read_overrides(given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read parameters of the checks from text.

    Returns
    -------
    dict
        Those that differ from `PARAMETERS`, checked; sizes in bytes.

    Raises
    ------
    InputError
        Unknown name, given twice, or a value that is not allowed.
    """
    read: dict[str, Any] = {}
    for name, text in given:
        if name not in PARAMETERS:
            known = ", ".join(nearest(name, PARAMETERS))
            raise InputError("the claims", "unknown parameter", value=name, allowed=known)
        if name in read:
            raise InputError(f"$.{name}", "given twice", value=text)
        read[name] = literal(name, text)
    values = dict(checked(**read))
    return {name: value for name, value in values.items() if value != PARAMETERS[name]}


def find_claim(id: str) -> Claim:
    """Find a claim by its id; an unknown one lists the known ones, nearest first."""
    claims = {claim.id: claim for claim in load_claims()}
    if id not in claims:
        raise InputError("claim", "no such claim", value=id, allowed=", ".join(nearest(id, claims)))
    return claims[id]


class Evaluation:
    """Claims checked on one body of evidence.

    Parameters
    ----------
    overrides : mapping
        Parameters with other values than `PARAMETERS`, as `read_overrides` gives them.
    """

    def __init__(self, overrides: Mapping[str, Any] | None = None) -> None:
        self._overrides = dict(overrides or {})
        self._evidence = _Watched(**self._overrides)

    def check(self, claim: Claim) -> Checked:
        """Check a claim."""
        return self._evidence.watch(claim)

    def snippet(self, claim: Claim) -> Snippet:
        """Write the citation of a claim.

        Raises
        ------
        InputError
            If the claim's check does not depend on one of the parameters.
        """
        found = self.check(claim)
        used = [name for name in PARAMETERS if name in found.used]
        for name in self._overrides:
            if name not in used:
                where, allowed = f"claim {claim.id}", ", ".join(used) or "none"
                raise InputError(where, "does not depend on", value=name, allowed=allowed)
        return _snippet(found, Evidence(**self._overrides), self._overrides)


def _snippet(found: Checked, evidence: Evidence, overrides: Mapping[str, Any]) -> Snippet:
    claim, finding = found.claim, found.finding
    known = {one.name for one in fields(Evidence)}
    values = {name: getattr(evidence, name) for name in PARAMETERS if name in found.used}
    of = claim.place if claim.part == BEYOND else f"{claim.part}, {claim.place}"
    whose = "Not in the mail" if claim.part == BEYOND else "The mail"
    said = f"{whose} ({of}): {claim.text} {finding.verdict.upper()}: {finding.because}"
    rows: list[tuple[str, str]] = [("verdict", finding.verdict)]
    rows += [(f"{name}, as stated", _stated(name, value)) for name, value in claim.stated.items()]
    rows += [_computed(name, value) for name, value in finding.numbers.items()]
    return Snippet(
        id=claim.id,
        label=found.label,
        notebook="summary",
        digest=found.digest,
        finding=ascii_text(said),
        table=Table(("quantity", "value"), tuple(rows)),
        seen=tuple(found.seen(evidence)),
        assumptions=assumptions_of(
            {"claim": claim.id, "topic": claim.topic},
            {name: getattr(evidence, name) for name in known & found.used},
            known - found.used,
        ),
        parameters=values,
        overrides=overrides,
        anchor="tab-beyond" if claim.part == BEYOND else "tab-claims",
    )


def _stated(name: str, value: float) -> str:
    if name in ("cpus", "lines", "allocations"):
        return count_text(value)
    return percent_text(value) if name == "share" else size_text(value)


def _computed(name: str, value: Number) -> tuple[str, str]:
    """Name and value of one number, ASCII, as the report prints them together."""
    shown = name.removesuffix(" bytes")
    return ascii_text(shown), ascii_text(numbers_text({name: value}).removeprefix(f"{shown} "))
