"""Checks of argument 2, refill amortisation."""

from __future__ import annotations

from typing import Final

from vmalloc_model.claims.claim import Claim, Finding, Verdict, check, guard_text, listed
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.constraints import allocations_per_refill, barely_improves, doubling_gain
from vmalloc_model.units import count_text, size_text

ABOUT: Final = 0.05
"""How far a computed figure may be from one that the mail gives as "about"."""


def _about(found: float, stated: float) -> bool:
    return abs(found / stated - 1) <= ABOUT


@check("lock-per-refill")
def lock_per_refill(claim: Claim, evidence: Evidence) -> Finding:
    """Compare the mail's quotient with what a recorded kernel did."""
    run = evidence.overlay
    quotient = evidence.chunk_size / run.mean_payload
    measured = run.hits / run.reserves
    other = run.tree_allocations + run.tree_frees
    verdict: Verdict = "contradicted"
    if 0.5 <= measured / quotient <= 2:
        verdict = "holds" if _about(measured, quotient) and not other else "holds with conditions"
    return Finding(
        verdict,
        {
            "chunk / mean payload": round(quotient, 1),
            "measured per refill": round(measured, 1),
            "answered by node pools": run.pool_hits,
            "other visits": other,
        },
        f"In the recorded run a refill paid for {measured:,.1f} allocations; the quotient, which "
        f"leaves out guard pages, alignment and tails, gives {quotient:,.1f}. Ineligible requests "
        f"and purges changed the global free space {count_text(other)} times besides.",
    )


@check("lower-bound")
def lower_bound(claim: Claim, evidence: Evidence) -> Finding:
    """Compare the stated mean with the sizes of a recorded run."""
    stated, stream = int(claim.stated["mean"]), evidence.stream
    numbers = {
        "smallest area bytes": stream.smallest,
        "median area bytes": stream.median,
        "mean area bytes": round(stream.mean),
    }
    text = (
        f"In run {stream.run} the smallest area is {size_text(stream.smallest)}, the median "
        f"{size_text(stream.median)}, the mean {size_text(round(stream.mean))}, with guard pages"
    )
    if stream.smallest == stated:
        return Finding("holds", numbers, f"{text}.")
    if stream.smallest - evidence.guard_pages * evidence.page_size == stated:
        return Finding(
            "holds with conditions",
            numbers,
            f"As a payload {size_text(stated)} is the least there is; the chunk pays for the guard "
            f"page too. {text}.",
        )
    return Finding("contradicted", numbers, f"{text}.")


@check("allocations-at-a-mean")
def allocations_at_a_mean(claim: Claim, evidence: Evidence) -> Finding:
    """Count equal requests that fill one chunk, with and without guard pages."""
    mean, stated = int(claim.stated["mean"]), int(claim.stated["allocations"])
    page, guard = evidence.page_size, evidence.guard_pages
    found = int(allocations_per_refill(evidence.chunk_size, mean, page, guard))
    bare = int(allocations_per_refill(evidence.chunk_size, mean, page, 0))
    text = (
        f"A chunk serves {count_text(found)} requests of {size_text(mean)} with "
        f"{guard_text(guard)} each, {count_text(bare)} without."
    )
    verdict: Verdict = "contradicted"
    if _about(found, stated):
        verdict = "holds"
    elif _about(bare, stated):
        text += f" The stated {count_text(stated)} leaves the guard out."
    return Finding(verdict, {"with guard": found, "without guard": bare}, text)


@check("doubling")
def doubling(claim: Claim, evidence: Evidence) -> Finding:
    """Measure what doubling changes: the ratio, and the visits that are saved."""
    premises = evidence.premises["as-stated"]
    means = (premises.small_mean, premises.large_mean)
    args = (evidence.chunk_size, list(means), evidence.page_size, evidence.guard_pages)
    gain = doubling_gain(*args)
    small = barely_improves(*args, threshold=evidence.barely)
    saved = [1000 * float(one) for one in gain.saved]
    ratio = float(gain.ratio.min())
    numbers = {"ratio grows by": round(ratio, 3)} | {
        f"saved per 1,000 at {size_text(mean)}": round(one, 3)
        for mean, one in zip(means, saved, strict=True)
    }
    verdict: Verdict = "contradicted"
    if small.any():
        verdict = "holds" if ratio < 1 + ABOUT and small.all() else "holds with conditions"
    each = listed(
        [
            f"{one:.3g} at a mean of {size_text(mean)}"
            for mean, one in zip(means, saved, strict=True)
        ]
    )
    met = listed([size_text(mean) for mean, yes in zip(means, small, strict=True) if yes])
    return Finding(
        verdict,
        numbers,
        f"The ratio grows {ratio:.3g}-fold. What is saved is small: visits per 1,000 allocations, "
        f"{each}. Below {evidence.barely:g} counts as barely here; met at: {met}.",
    )
