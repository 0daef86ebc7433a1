"""Checks of what the mail says of itself and of the two kinds of tree."""

from __future__ import annotations

import re

from vmalloc_model.claims.claim import Claim, Finding, Verdict, check
from vmalloc_model.claims.evidence import CHUNK, Evidence
from vmalloc_model.units import MIB, size_text


@check("bare-range")
def bare_range(claim: Claim, evidence: Evidence) -> Finding:
    """Ask a kernel with an rb-tree whether it reserved chunks."""
    run, allocator = evidence.overlay, evidence.fact("overlay_run", "allocator")
    object_needed = bool(evidence.fact("free_tree", "release_needs_object"))
    done = run.reserves > 0 and "rb-tree" in allocator
    return Finding(
        "contradicted" if done else "cannot be checked",
        {"chunks reserved by an rb-tree": run.reserves if done else 0},
        f"The recorded kernel reserved {run.reserves} chunks from the {allocator}. That tree holds "
        f"{evidence.fact('free_tree', 'holds')}, by reading: a reserved range is simply not in it."
        + (" Giving a chunk back would need one object for it." if object_needed else "")
        if done
        else "No recorded kernel has the overlay on an rb-tree.",
    )


@check("sentinel")
def sentinel(claim: Claim, evidence: Evidence) -> Finding:
    """Count the state that the overlay adds on an rb-tree."""
    run, allocator = evidence.overlay, evidence.fact("overlay_run", "allocator")
    words = evidence.patch.struct("vmap_bump_chunk").count("unsigned long")
    state = words * evidence.machine.pointer_size
    done = run.reserves > 0 and "rb-tree" in allocator
    return Finding(
        "contradicted" if done else "cannot be checked",
        {"state per CPU bytes": state},
        f"On the {allocator} the overlay ran with what the diff itself adds, {size_text(state)} "
        f"and a lock per CPU; no entry stands for a reserved chunk. To release chunks, 11/12 adds "
        f"a record for each, by reading."
        if done
        else "No recorded kernel has the overlay on an rb-tree.",
    )


@check("lowest-gap")
def lowest_gap(claim: Claim, evidence: Evidence) -> Finding:
    """Compare with what mas_empty_area was read to do."""
    facts = {key: bool(evidence.fact("gap_search", key)) for key in ("lowest_gap", "climbs")}
    pads = bool(evidence.fact("gap_search", "pads_for_alignment"))
    verdict: Verdict = "contradicted"
    if facts["lowest_gap"]:
        verdict = "holds with conditions" if facts["climbs"] or pads else "holds"
    return Finding(
        verdict,
        {"source": evidence.fact("gap_search", "source")},
        "By reading: it finds the lowest gap of a length"
        + (", may climb and descend again" if facts["climbs"] else "")
        + (
            ", and knows no alignment: above a page the series asks for size + align - 1, so a "
            "smaller gap that fits is passed over."
            if pads
            else "."
        ),
    )


@check("lookup-lock-free")
def lookup_lock_free(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the lookup in the diff, else where it was read."""
    there = evidence.patch.function("vmap_chunk_lookup")
    since = evidence.fact("chunk_lookup", "since")
    locks = "spin_lock(" in there if there else bool(evidence.fact("chunk_lookup", "takes_lock"))
    verdict: Verdict = "contradicted"
    if not locks:
        verdict = "holds" if there else "holds with conditions"
    return Finding(
        verdict,
        {"vmap_chunk_lookup in the diff": "yes" if there else "no"},
        f"The lookup {'takes a lock' if locks else 'takes no lock'}"
        + ("." if there else f", by reading of {since}; this diff has no lookup."),
    )


@check("lookup-structure")
def lookup_structure(claim: Claim, evidence: Evidence) -> Finding:
    """Ask what the lookup walks."""
    walks, since = evidence.fact("chunk_lookup", "walks"), evidence.fact("chunk_lookup", "since")
    maple = "maple" in walks
    return Finding(
        "holds" if maple else "contradicted",
        {"walks": walks},
        f"By reading of {since}, vmap_chunk_lookup walks a {walks} of all chunks under RCU"
        + ("." if maple else ", no maple tree; an rb-tree allocator could have the same list."),
    )


@check("added-structures")
def added_structures(claim: Claim, evidence: Evidence) -> Finding:
    """Count the structures and per-CPU variables that the diff adds."""
    code = evidence.patch.code
    structs = len(re.findall(r"^struct \w+ \{", code, re.MULTILINE))
    variables = len(re.findall(r"^static DEFINE_PER_CPU\(", code, re.MULTILINE))
    listed = "vmap_bump_chunks" in evidence.patch.message
    return Finding(
        "contradicted" if structs or variables else "holds",
        {"structures": structs, "per-CPU variables": variables},
        f"The diff adds {structs} structure and {variables} per-CPU variables"
        + (", and the message itself names a list of chunks" if listed else "")
        + ". It adds no second tree of ranges.",
    )


@check("tunable-constant")
def tunable_constant(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the constant and for a way to set it."""
    code = evidence.patch.code
    defined = f"#define {CHUNK}" in code
    switch = re.search(r"CONFIG_|module_param|early_param|__setup|sysctl", code) is not None
    return Finding(
        "holds" if defined else "contradicted",
        {"size bytes": evidence.chunk_size if defined else 0},
        "It is a #define at the top of the added code"
        + (" with a switch." if switch else "; tuning means editing the source."),
    )


@check("added-lines")
def added_lines(claim: Claim, evidence: Evidence) -> Finding:
    """Count the lines."""
    added, removed = len(evidence.patch.added), len(evidence.patch.removed)
    return Finding(
        "holds" if added == claim.stated["lines"] else "contradicted",
        {"added": added, "removed": removed},
        f"The diff adds {added} lines and removes {removed}.",
    )


@check("comment-chunk-size")
def comment_chunk_size(claim: Claim, evidence: Evidence) -> Finding:
    """Compare the comment with the constant below it."""
    found = re.search(r"With (\d+) MB chunks", evidence.patch.part("comment"))
    said = int(found.group(1)) * MIB if found else 0
    return Finding(
        "holds" if said == evidence.chunk_size else "contradicted",
        {"in the comment bytes": said, "in the code bytes": evidence.chunk_size},
        f"The comment says {size_text(said)}, the constant {size_text(evidence.chunk_size)}.",
    )


@check("vmap-area-size")
def vmap_area_size(claim: Claim, evidence: Evidence) -> Finding:
    """Add up the members, without those that the series drops."""
    members = evidence.fact("vmap_area", "members")
    dropped = evidence.fact("vmap_area", "dropped_by_series")
    before = sum(members.values())
    after = before - sum(members[name] for name in dropped)
    grown = bool(evidence.patch.struct("vmap_area"))
    return Finding(
        "holds" if after == claim.stated["vmap_area"] and not grown else "contradicted",
        {"Linux 6.12 bytes": before, "with the series bytes": after},
        f"By reading: {before} bytes in Linux 6.12, {after} without {', '.join(dropped)}, which "
        f"04/12 drops. This diff adds no member.",
    )
