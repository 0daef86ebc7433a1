"""``vmalloc-model claims``: what the mail claims or may seem to, and what the checks find."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import click

from vmalloc_model.cli import completing
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.units import many_text

if TYPE_CHECKING:
    from vmalloc_model.citing.claims import Checked

__all__ = ["command"]


@click.command()
@click.argument("id", required=False, shell_complete=completing.claims)
@click.option("--verdict", help="Only claims with this verdict, such as contradicted.")
@click.option("--topic", help="Only claims of this topic, such as cost.")
@click.option(
    "form",
    "--format",
    type=click.Choice(("text", "json", "csv")),
    default="text",
    show_default=True,
)
def command(id: str | None, verdict: str | None, topic: str | None, form: str) -> None:
    """List claims with their verdicts, or one claim in full.

    Claims are those of the mail, and some that the mail does not make but its reader may take for
    granted.

    Verdicts are computed now, by the check of each claim: holds, holds with conditions,
    contradicted, cannot be checked.

    \b
    Examples:
      vmalloc-model claims
      vmalloc-model claims --verdict contradicted --topic cost
      vmalloc-model claims allocations-at-4kb
      vmalloc-model claims --format csv
    """  # noqa: D301
    from vmalloc_model.citing.claims import Evaluation, find_claim
    from vmalloc_model.claims.claim import TOPICS, VERDICTS, load_claims

    for where, value, known in (("--verdict", verdict, VERDICTS), ("--topic", topic, TOPICS)):
        if value is not None and value not in known:
            allowed = ", ".join(nearest(value, known))
            raise InputError(where, f"no such {where[2:]}", value=value, allowed=allowed)
    if id is not None and (verdict or topic):
        raise InputError("claims", "wants a claim, or a choice of them", allowed="one of the two")
    evaluation = Evaluation()
    chosen = [find_claim(id)] if id else load_claims()
    found = [evaluation.check(claim) for claim in chosen if topic in (None, claim.topic)]
    found = [one for one in found if verdict in (None, one.finding.verdict)]
    if form == "text":
        click.echo(_full(found[0]) if id else _list(found))
        return
    objects = [_object(one) for one in found]
    if form == "json":
        click.echo(json.dumps(objects[0] if id else objects, indent=2))
        return
    text = io.StringIO()
    columns = list(_COLUMNS)
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(objects)
    click.echo(text.getvalue(), nl=False)


_COLUMNS = ("id", "part", "place", "topic", "claim", "verdict", "label", "because", "result")


def _list(found: list[Checked]) -> str:
    from vmalloc_model.claims.claim import BEYOND
    from vmalloc_model.cli.output import aligned

    whose = ["(not in the mail) " if one.claim.part == BEYOND else "" for one in found]
    rows = [
        [one.claim.id, one.finding.verdict, words + one.claim.text]
        for one, words in zip(found, whose, strict=True)
    ]
    others = sum(map(bool, whose))
    count = many_text(len(found), "claim")
    return "\n".join([*aligned(rows), count + (f", {others} not in the mail" if others else "")])


def _full(one: Checked) -> str:
    from textwrap import fill

    from vmalloc_model.citing.claims import SHOWN
    from vmalloc_model.claims.claim import numbers_text
    from vmalloc_model.report.plaintext import WIDTH, ascii_text

    claim, finding = one.claim, one.finding
    rows = {
        "claim": claim.id,
        "place": f"{claim.part}, {claim.place}",
        "quote": claim.quote,
        "stated": claim.text,
        "verdict": finding.verdict,
        "reason": finding.because,
        "numbers": numbers_text(finding.numbers),
        "evidence": f"{one.label}: {'; '.join(one.seen())}",
        "shown by": ", ".join(SHOWN[claim.topic]),
        "cite": f"vmalloc-model cite {claim.id}",
    }
    later = " " * 10
    return "\n".join(
        fill(ascii_text(text), WIDTH, initial_indent=f"{name:10}", subsequent_indent=later)
        for name, text in rows.items()
        if text
    )


def _object(one: Checked) -> dict[str, Any]:
    claim, finding = one.claim, one.finding
    return {
        "id": claim.id,
        "part": claim.part,
        "place": claim.place,
        "topic": claim.topic,
        "claim": claim.text,
        "quote": claim.quote,
        "stated": dict(claim.stated),
        "verdict": finding.verdict,
        "numbers": dict(finding.numbers),
        "because": finding.because,
        "label": one.label,
        "result": one.digest,
    }
