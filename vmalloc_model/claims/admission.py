"""Checks of who takes the overlay and who falls through to the ordinary path."""

from __future__ import annotations

import re

from vmalloc_model.claims.claim import Claim, Finding, Verdict, check, listed
from vmalloc_model.claims.evidence import CHUNK, Evidence
from vmalloc_model.units import count_text, share_text


@check("ineligible-requests")
def ineligible_requests(claim: Claim, evidence: Evidence) -> Finding:
    """Read both tests, and follow the recorded requests that failed one."""
    body, run = evidence.patch.function("vmap_bump_alloc"), evidence.overlay
    tests = [
        f"size > {CHUNK} / 2" in body,
        "vstart != VMALLOC_START || vend != VMALLOC_END" in body,
    ]
    right = all(tests) and run.ineligible == run.tree_allocations
    verdict: Verdict = "contradicted"
    if any(tests):
        verdict = "holds" if right else "holds with conditions"
    return Finding(
        verdict,
        {"refused": run.ineligible, "served by the global allocator": run.tree_allocations},
        f"The diff has {sum(tests)} of the two tests. In the recorded run the overlay refused "
        f"{count_text(run.ineligible)} requests, and the global allocator served "
        f"{count_text(run.tree_allocations)}.",
    )


@check("unaligned-requests")
def unaligned_requests(claim: Claim, evidence: Evidence) -> Finding:
    """Ask whether such requests exist, and what happens to a large alignment."""
    refused, run = bool(evidence.fact("sizes", "refuses_part_pages")), evidence.overlay
    return Finding(
        "holds with conditions" if refused else "contradicted",
        {"hits aligned above a page": run.aligned_hits},
        "By reading, alloc_vmap_area refuses such sizes before either path, so there are none. If "
        "alignments above a page are meant, they do take the overlay: "
        f"{count_text(run.aligned_hits)} of {count_text(run.hits)} hits in the recorded run."
        if refused
        else "Such sizes take the overlay as any other: the diff does not test for whole pages.",
    )


@check("numa-requests")
def numa_requests(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the node among what the overlay is told."""
    arguments = evidence.patch.arguments("vmap_bump_alloc")
    there = "node" in arguments
    return Finding(
        "holds" if there else "contradicted",
        {"arguments": ", ".join(arguments)},
        "The overlay is told the node."
        if there
        else f"The overlay is told {listed(arguments)}, so a request for a node takes it like any "
        f"other. Neither path chooses an address by node.",
    )


@check("standard-window")
def standard_window(claim: Claim, evidence: Evidence) -> Finding:
    """Read the test, and look for served requests of another window."""
    body, run = evidence.patch.function("vmap_bump_alloc"), evidence.overlay
    tested = "vstart != VMALLOC_START || vend != VMALLOC_END" in body
    return Finding(
        "holds" if tested and not run.outside_window_hits else "contradicted",
        {"refused for the window": run.outside_window, "served": run.outside_window_hits},
        f"The window must be exactly the standard one. In the recorded run the overlay refused "
        f"{count_text(run.outside_window)} requests for another window and served "
        f"{run.outside_window_hits}.",
    )


@check("comment-align")
def comment_align(claim: Claim, evidence: Evidence) -> Finding:
    """Read the test of the alignment, and count recorded hits above a page."""
    body, run = evidence.patch.function("vmap_bump_alloc"), evidence.overlay
    code = re.search(r"align > (\w+(?: / 2)?)", body)
    limit = code.group(1) if code else "nothing"
    right = limit == "PAGE_SIZE" and not run.aligned_hits
    return Finding(
        "holds" if right else "contradicted",
        {"hits aligned above a page": run.aligned_hits, "hits": run.hits},
        f"The code compares align with {limit}. In the recorded run "
        f"{share_text(run.aligned_hits / run.hits)} of the hits are aligned to more than a page.",
    )
