"""Evaluate every claim."""

from __future__ import annotations

# imported for their checks
import vmalloc_model.claims.admission
import vmalloc_model.claims.amortisation
import vmalloc_model.claims.cost
import vmalloc_model.claims.coverage
import vmalloc_model.claims.mechanism
import vmalloc_model.claims.over_time
import vmalloc_model.claims.text  # noqa: F401
from vmalloc_model.claims.claim import CHECKS, VERDICTS, Claim, Finding, load_claims
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError

__all__ = ["run_checks"]


def run_checks(evidence: Evidence | None = None) -> list[tuple[Claim, Finding]]:
    """Evaluate every claim of ``data/claims.toml``.

    Parameters
    ----------
    evidence : Evidence, optional
        What the checks look at; by default 4 KiB pages, one guard page, x86_64 and recorded runs.

    Returns
    -------
    list of (Claim, Finding)
        In the order of the file.

    Raises
    ------
    FileError
        If a claim names a check that there is not.
    """
    seen = evidence or Evidence()
    findings = []
    for claim in load_claims():
        if claim.check not in CHECKS:
            raise FileError(
                data_path("claims.toml"),
                f"claim {claim.id}: no such check",
                value=claim.check,
                allowed=", ".join(sorted(CHECKS)),
            )
        finding = CHECKS[claim.check](claim, seen)
        assert finding.verdict in VERDICTS, finding.verdict
        findings.append((claim, finding))
    return findings
