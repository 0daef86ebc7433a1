"""Chapter *Summary*: the claims with their verdicts, and the sentences about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.claims.claim import TOPICS, VERDICTS, Claim, Finding, load_claims, numbers_text
from vmalloc_model.claims.evaluation import run_checks
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.errors import InputError
from vmalloc_model.units import count_text, share_text

__all__ = [
    "TITLES",
    "beyond",
    "claims",
    "of_mail",
    "reason",
    "right",
    "say_beyond",
    "say_budget",
    "say_claims",
    "say_gain",
    "say_right",
    "say_verdicts",
    "shown",
    "verdicts",
]

TITLES: Final = {
    "coverage": "1 coverage",
    "amortisation": "2 amortisation",
    "cost": "3 address space",
    "mechanism": "how it works",
    "text": "trees, comments, size",
    "over time": "over time",
}
"""Topic of a claim -> what the tables call it."""


def claims(evidence: Evidence) -> pl.DataFrame:
    """Every claim with its verdict: those of the mail, then those beyond it.

    Returns
    -------
    polars.DataFrame
        id, topic, claim (in our words, with its place), verdict, numbers, because; in the order
        of the mail.
    """
    rows = [_row(claim, finding) for claim, finding in run_checks(evidence)]
    return pl.DataFrame(rows)


def of_mail(table: pl.DataFrame) -> pl.DataFrame:
    """Claims of `claims` that the mail makes."""
    return table.filter(pl.col("topic") != TITLES["over time"])


def beyond(table: pl.DataFrame) -> pl.DataFrame:
    """Claims of `claims` that the mail does not make: claim, verdict, numbers, because."""
    found = table.filter(pl.col("topic") == TITLES["over time"])
    place = pl.col("claim").str.replace("(beyond, ", "(", literal=True)
    return shown(found.with_columns(claim=place))


def say_beyond(table: pl.DataFrame) -> str:
    """Word the caption of `beyond`."""
    found = table.filter(pl.col("topic") == TITLES["over time"])
    return (
        "What a reader of the mail may take for granted, checked with the allocator model on small "
        f"synthetic streams: of {found.height} statements, {_counts(found)}. The chapters on what "
        "the arguments leave out look closer."
    )


def _row(claim: Claim, finding: Finding) -> dict[str, str]:
    return {
        "id": claim.id,
        "topic": TITLES[claim.topic],
        "claim": f"{claim.text} ({claim.part}, {claim.place})",
        "verdict": finding.verdict,
        "numbers": numbers_text(finding.numbers),
        "because": finding.because,
    }


def shown(table: pl.DataFrame) -> pl.DataFrame:
    """Narrow `claims` to a page: claim (with its id), verdict, numbers, because."""
    claim = pl.col("id") + ": " + pl.col("claim")
    return table.select(claim.alias("claim"), "verdict", "numbers", "because")


def verdicts(table: pl.DataFrame) -> pl.DataFrame:
    """Count the verdicts of `claims` by topic; the last row sums them up.

    Returns
    -------
    polars.DataFrame
        topic, one column per verdict, claims.
    """
    rows = []
    present = set(table["topic"])
    for topic in [TITLES[one] for one in TOPICS if TITLES[one] in present] + ["all"]:
        part = table if topic == "all" else table.filter(pl.col("topic") == topic)
        counts: dict[str, int] = {one: int((part["verdict"] == one).sum()) for one in VERDICTS}
        rows.append({"topic": topic, **counts, "claims": part.height})
    return pl.DataFrame(rows)


def say_verdicts(table: pl.DataFrame) -> str:
    """Word the counts of the claims of the mail."""
    return f"Of {table.height} claims of the mail, {_counts(table)}."


def _counts(table: pl.DataFrame) -> str:
    total = verdicts(table).row(-1, named=True)
    return _joined(
        [f"{total[one]} {_VERBS[one][total[one] != 1]}" for one in VERDICTS if total[one]]
    )


_VERBS: Final = {
    "holds": ("holds", "hold"),
    "holds with conditions": ("holds with conditions", "hold with conditions"),
    "contradicted": ("is contradicted", "are contradicted"),
    "cannot be checked": ("cannot be checked", "cannot be checked"),
}
"""Verdict -> the verb for one claim and for several."""


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def say_budget(budget: float) -> str:
    """Word where the budget comes from: from the mail if it is the share that it accepts."""
    accepted = next(one.stated["share"] for one in load_claims() if one.id == "share-doubled")
    if budget == accepted:
        return f"The budget, {share_text(budget)}, is the largest share that the mail accepts."
    return (
        f"The budget, {share_text(budget)}, is a parameter of this run; the mail accepts "
        f"{share_text(accepted)}."
    )


def say_claims(table: pl.DataFrame) -> str:
    """Word the caption of the table of claims."""
    return (
        f"{say_verdicts(table)} Each verdict is computed by a check of that claim. "
        '"By reading" marks what rests on a named source and was not run.'
    )


def right(table: pl.DataFrame) -> pl.DataFrame:
    """Claims of `claims` that hold as they stand, other than on the text: id, claim, because."""
    found = table.filter(pl.col("verdict") == "holds", pl.col("topic") != TITLES["text"])
    return found.select("id", "claim", "because")


def say_right(table: pl.DataFrame) -> str:
    """Word the caption of `right`."""
    whole, here = int((table["verdict"] == "holds").sum()), right(table).height
    text = f"What the mail gets right: {here} of the {whole} claims that hold without conditions"
    if here == whole:
        return f"{text}."
    rest = whole - here
    return f'{text}; the other {rest} {"is" if rest == 1 else "are"} under "{TITLES["text"]}".'


_HARDLY: Final = 0.05
"""Share by which a count may differ and still hardly change."""


def say_gain(evidence: Evidence) -> str:
    """Word what the overlay saves in the recorded workload, and what it does not."""
    stock, run = evidence.mainline, evidence.overlay
    before = 1000 * stock.searches / stock.allocations
    after = 1000 * (run.tree_allocations + run.reserves) / run.allocations
    cuts = (
        f"cuts searches of the global free space from {count_text(before)} to {count_text(after)}"
        if after < before
        else f"does not cut searches of the global free space, {count_text(before)} before and "
        f"{count_text(after)} after"
    )
    little = abs(run.tree_frees - stock.returns) <= _HARDLY * stock.returns
    return (
        f"The overlay {cuts} per 1,000 allocations (MEASURED, same workload and binary); ranges "
        f"given back by purges {'hardly change' if little else 'change'}: "
        f"{count_text(stock.returns)} and {count_text(run.tree_frees)}."
    )


def reason(table: pl.DataFrame, id: str) -> str:
    """Reason for the verdict on one claim.

    Raises
    ------
    InputError
        If there is no such claim.
    """
    found = table.filter(pl.col("id") == id)
    if found.is_empty():
        raise InputError("claim", "no such claim", value=id, allowed=", ".join(table["id"]))
    return str(found["because"][0])
