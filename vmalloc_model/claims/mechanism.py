"""Checks of how the overlay works: what the diff does, and what a kernel with it was seen to do.

Where the diff does the opposite of what the message says, the claim is contradicted. Where the diff
merely lacks what a later mail of the series adds, the claim holds with that condition.
"""

from __future__ import annotations

import re
from typing import Final

from vmalloc_model.claims.claim import Claim, Finding, Verdict, check, listed
from vmalloc_model.claims.evidence import CHUNK, Evidence
from vmalloc_model.units import count_text, share_text, size_text

_PINNED: Final = ("preempt_disable", "migrate_disable", "get_cpu_ptr", "get_cpu_var", "local_lock")
"""Ways to stay on a CPU between choosing its data and using them."""


@check("common-shape")
def common_shape(claim: Claim, evidence: Evidence) -> Finding:
    """Look at what the diff tests, and at how long recorded areas lived."""
    tested = evidence.patch.arguments("vmap_bump_alloc")
    run = evidence.overlay
    share = run.freed_hits / run.hits
    whole = bool(evidence.fact("sizes", "refuses_part_pages"))
    verdict: Verdict = "contradicted"
    if share > 0.5:
        selects = bool(set(tested) - {"size", "align", "vstart", "vend"}) and not whole
        verdict = "holds" if selects else "holds with conditions"
    return Finding(
        verdict,
        {"served": run.hits, "freed while recorded": run.freed_hits, "freed share": share},
        f"The shape is common: {share_text(share)} of the areas served in the recorded run were "
        f"freed before it ended. The diff does not select it: it tests {listed(tested)}, no "
        f"lifetime"
        + (", and every request consists of whole pages anyway, by reading." if whole else "."),
    )


@check("visits")
def visits(claim: Claim, evidence: Evidence) -> Finding:
    """Compare searches of the global free space with and without the overlay."""
    stock, run = evidence.mainline, evidence.overlay
    before = 1000 * stock.searches / stock.allocations
    after = 1000 * (run.tree_allocations + run.reserves) / run.allocations
    verdict: Verdict = "contradicted"
    if after < before:
        verdict = "holds" if after < before / 2 else "holds with conditions"
    return Finding(
        verdict,
        {"without per 1,000": round(before, 1), "with per 1,000": round(after, 1)},
        f"MEASURED, the same workload and binary: of 1,000 allocations {before:,.0f} search the "
        f"global free space without the overlay, {after:,.0f} with it. Purges gave back "
        f"{count_text(stock.returns)} ranges without it and {count_text(run.tree_frees)} with it.",
    )


@check("time")
def time(claim: Claim, evidence: Evidence) -> Finding:
    """Ask for measured times of both paths."""
    times = evidence.times()
    if times is None:
        return Finding(
            "cannot be checked",
            {},
            "No time was measured: the mail gives none for this patch alone, and the recorded runs "
            "are from an emulator, whose times mean nothing.",
        )
    bump, ordinary = times
    return Finding(
        "holds" if bump < ordinary else "contradicted",
        {"bump ns": bump, "ordinary ns": ordinary},
        f"MEASURED: {bump:g} ns against {ordinary:g} ns.",
    )


@check("chunk-from-the-allocator")
def chunk_from_the_allocator(claim: Claim, evidence: Evidence) -> Finding:
    """Read the refill, and compare with the recorded reservations."""
    patch, run, stated = evidence.patch, evidence.overlay, int(claim.stated["chunk"])
    asks = f"__alloc_vmap_area({CHUNK}" in patch.function("vmap_bump_refill")
    per_cpu = "DEFINE_PER_CPU(struct vmap_bump_chunk" in patch.code
    right = asks and per_cpu and evidence.chunk_size == stated and run.chunk_sizes == (stated,)
    return Finding(
        "holds" if right else "contradicted",
        {"chunk bytes": evidence.chunk_size, "recorded reservations": run.reserves},
        f"The refill asks __alloc_vmap_area for {size_text(evidence.chunk_size)}, from the first "
        f"miss of a CPU on; the {run.reserves} recorded reservations have that size."
        if right
        else "The diff or the recording reserves something else.",
    )


@check("global-operations")
def global_operations(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the drain, and count what else touched the global free space."""
    run = evidence.overlay
    drain = re.search("drain", evidence.patch.code) is not None
    others = run.tree_allocations + run.tree_frees
    return Finding(
        "contradicted" if others else "holds",
        {
            "refills": run.reserves,
            "other allocations": run.tree_allocations,
            "ranges returned": run.tree_frees,
        },
        f"The diff has {'a' if drain else 'no'} drain. In the recorded run the global free space "
        f"changed {run.reserves} times for refills, {count_text(run.tree_allocations)} times for "
        f"ineligible requests and {count_text(run.tree_frees)} times when purges gave ranges back. "
        f"A hit does not touch it.",
    )


@check("work-per-cpu")
def work_per_cpu(claim: Claim, evidence: Evidence) -> Finding:
    """Ask the comment where an area is entered, and the recording in whose node that is."""
    run = evidence.overlay
    inserted = "inserted into the per-node busy.mt" in evidence.patch.part("comment")
    share = run.away_hits / run.hits
    return Finding(
        "contradicted" if inserted or run.away_hits else "holds",
        {"served": run.hits, "in another node": run.away_hits, "in another node share": share},
        f"Choosing the address does. But each area is entered in the busy tree of a node, and the "
        f"node follows from the address, in stripes of {evidence.fact('nodes', 'stripe_pages')} "
        f"pages: in the recorded run {share_text(share)} of the areas went to another CPU's node.",
    )


@check("chunk-release")
def chunk_release(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the function, and for what the comment says."""
    since = evidence.fact("first_seen", "vmap_bump_unlink")
    there = evidence.patch.names("vmap_bump_unlink")
    leaks = "chunks leak" in evidence.patch.part("comment")
    verdict: Verdict = "holds with conditions"
    if there:
        verdict = "holds"
    elif leaks:
        verdict = "contradicted"
    return Finding(
        verdict,
        {"vmap_bump_unlink in the diff": "yes" if there else "no"},
        f"The diff has {'a' if there else 'neither a counter nor that'} function"
        + (", and its comment says that chunks leak" if leaks else "")
        + f". It comes with {since}, by reading.",
    )


@check("range-primitives")
def range_primitives(claim: Claim, evidence: Evidence) -> Finding:
    """Look for both names in the diff, and where the series calls them."""
    names = ("occupied_mt_store_range_locked", "occupied_mt_erase_range_locked")
    there = [name for name in names if evidence.patch.names(name)]
    reservation = {
        key: evidence.fact("reservation", key)
        for key in ("stored_by", "stored_since", "erased_by", "erased_since")
    }
    return Finding(
        "holds" if len(there) == 2 else "holds with conditions",
        {"of the two in the diff": len(there)},
        f"This diff names {len(there)} of the two. By reading, {reservation['stored_by']} stores "
        f"the range since {reservation['stored_since']}, and {reservation['erased_by']} of "
        f"{reservation['erased_since']} erases it.",
    )


@check("preempt-disable")
def preempt_disable(claim: Claim, evidence: Evidence) -> Finding:
    """Count both in the diff's code."""
    code = evidence.patch.code
    disabled = len(re.findall(r"\bpreempt_disable\(", code))
    locked = len(re.findall(r"\bspin_lock\(", code))
    since = evidence.fact("first_seen", "preempt_disable")
    verdict: Verdict = "contradicted" if locked else "holds"
    return Finding(
        verdict,
        {"preempt_disable": disabled, "spin_lock": locked},
        f"The diff takes a spinlock per CPU in {locked} places and disables preemption in "
        f"{disabled}. {since} does what the message says, by reading."
        if locked
        else f"The diff disables preemption in {disabled} places and takes no spinlock.",
    )


@check("owner-only")
def owner_only(claim: Claim, evidence: Evidence) -> Finding:
    """Follow the order of choosing the lock, taking it and choosing the chunk."""
    bodies = [evidence.patch.function(n) for n in ("vmap_bump_alloc", "vmap_bump_refill")]
    pinned = any(word in evidence.patch.code for word in _PINNED)
    late = sum(
        body.find("this_cpu_ptr(&vmap_bump_lock)")
        < body.find("spin_lock(lock)")
        < body.find("this_cpu_ptr(&vmap_bump)")
        for body in bodies
    )
    numbers = {"functions": len(bodies), "lock chosen before it is taken": late}
    if pinned:
        return Finding("holds", numbers, "The diff pins the task to its CPU.")
    if late == len(bodies):
        return Finding(
            "holds with conditions",
            numbers,
            "The chunk is chosen after spin_lock, which disables preemption unless the kernel is "
            "PREEMPT_RT; there two tasks may change one chunk. The lock is chosen before and can "
            "be another CPU's; a refill installs its chunk on the CPU the task has moved to.",
        )
    return Finding("contradicted", numbers, "A chunk is chosen while its CPU can change.")


@check("chunk-list")
def chunk_list(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the list in the diff."""
    there = evidence.patch.names("vmap_bump_chunks")
    since = evidence.fact("first_seen", "vmap_bump_chunks")
    return Finding(
        "holds" if there else "holds with conditions",
        {"vmap_bump_chunks in the diff": "yes" if there else "no"},
        "The diff adds the list."
        if there
        else f"Not yet: this diff has no list of chunks. It comes with {since}, by reading.",
    )


@check("hit-path")
def hit_path(claim: Claim, evidence: Evidence) -> Finding:
    """List what a hit calls, and compare recorded searches with ineligible requests."""
    body, run = evidence.patch.function("vmap_bump_alloc"), evidence.overlay
    called = sorted(set(re.findall(r"\b(\w+)\(", body.partition("{")[2])) - {"if"})
    free = "free_vmap_area_lock" not in body and "__alloc_vmap_area" not in called
    exact = run.tree_allocations == run.ineligible
    verdict: Verdict = "contradicted"
    if free:
        verdict = "holds" if exact else "holds with conditions"
    return Finding(
        verdict,
        {"hits": run.hits, "refills": run.reserves, "other searches": run.tree_allocations},
        f"A hit calls {listed(called)}. In the recorded run {count_text(run.hits)} hits caused "
        f"{run.reserves} searches; the {count_text(run.tree_allocations)} others were for "
        f"{count_text(run.ineligible)} ineligible requests.",
    )


@check("vfree-unchanged")
def vfree_unchanged(claim: Claim, evidence: Evidence) -> Finding:
    """Look for changed lines outside the allocation path."""
    patch, run = evidence.patch, evidence.overlay
    touched = [hunk for hunk in patch.hunks if re.search(r"free|find_|unlink|remove", hunk)]
    return Finding(
        "holds" if not touched and not patch.removed else "contradicted",
        {"lines removed": len(patch.removed), "freed while recorded": run.freed_hits},
        f"The diff removes {len(patch.removed)} lines and touches no function that looks up or "
        f"frees. In the recorded run {count_text(run.freed_hits)} areas from chunks were freed the "
        f"ordinary way."
        if not touched and not patch.removed
        else f"The diff changes {', '.join(touched) or 'existing lines'}.",
    )


@check("chunks-leak")
def chunks_leak(claim: Claim, evidence: Evidence) -> Finding:
    """Look for a release in the diff, and for a chunk address that came twice."""
    run = evidence.overlay
    released = evidence.patch.names("vmap_bump_unlink")
    again = run.reserves - run.distinct_bases
    verdict: Verdict = "contradicted"
    if not released:
        verdict = "holds with conditions" if again else "holds"
    return Finding(
        verdict,
        {"refills": run.reserves, "at an address used before": again},
        f"The diff {'gives' if released else 'does not give'} chunks back; {again} of "
        f"{run.reserves} recorded refills got an address that was a chunk before. Areas of a chunk "
        f"do return to the free space one by one.",
    )


@check("tail")
def tail(claim: Claim, evidence: Evidence) -> Finding:
    """Add up what the recorded refills left behind."""
    run = evidence.overlay
    total = run.reserves * evidence.chunk_size
    return Finding(
        "holds" if run.tails else "contradicted",
        {
            "tails bytes": run.tails,
            "padding bytes": run.padding,
            "of the chunks share": run.tails / total,
        },
        f"The recorded run lost {size_text(run.tails)} in tails, {share_text(run.tails / total)} "
        f"of its chunks. What ALIGN skips is lost as well, {size_text(run.padding)}; the comment "
        f"does not name it.",
    )


@check("fallback")
def fallback(claim: Claim, evidence: Evidence) -> Finding:
    """Read the two tries and what follows them, and count recorded second misses."""
    patch, run = evidence.patch, evidence.overlay
    tries = len(re.findall(r"= vmap_bump_alloc\(", patch.code))
    once = len(re.findall(r"vmap_bump_refill\(gfp_mask\) == 0", patch.code)) == 1
    follows = any(line.startswith("preload_this_cpu_lock(") for line in patch.context)
    second = run.misses - run.reserves
    return Finding(
        "holds" if tries == 2 and once and follows else "contradicted",
        {"misses": run.misses, "refills": run.reserves, "second misses": second},
        f"The diff tries {tries} times around one refill, and the ordinary path follows. In the "
        f"recorded run each of {run.misses} misses was served after its refill."
        if second == 0
        else f"The diff tries {tries} times around one refill; the recorded run has {run.misses} "
        f"misses and {run.reserves} refills.",
    )
