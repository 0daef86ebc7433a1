"""Checks of argument 1, eligibility coverage, and of what the mail concludes from it."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from vmalloc_model.claims.claim import Claim, Finding, Verdict, check, counted, guard_text, listed
from vmalloc_model.claims.evidence import CHUNK, Evidence
from vmalloc_model.constraints import (
    allocations_per_refill,
    barely_improves,
    eligible_share,
    largest_eligible,
    smallest_power_of_two_chunk,
)
from vmalloc_model.requests import slack_at_most
from vmalloc_model.units import count_text, share_text, size_text

FEW: Final = 0.01
"""Share of the modules below which "module loads" is too much said."""


@check("three-constraints")
def three_constraints(claim: Claim, evidence: Evidence) -> Finding:
    """Rebuild the chunk from the mail's own premises, and ask which argument fixes it."""
    stated = evidence.premises["as-stated"]
    page, need = evidence.page_size, stated.largest_request or 1
    bare = int(smallest_power_of_two_chunk(need, stated.page_size, stated.guard_pages))
    real = int(smallest_power_of_two_chunk(need, page, evidence.guard_pages))
    knees = {mean: _knee(mean, evidence) for mean in (stated.small_mean, stated.large_mean)}
    verdict: Verdict = "contradicted"
    if bare == claim.stated["chunk"]:
        verdict = "holds" if real == bare else "holds with conditions"
    second = listed([f"{knee} at a mean of {size_text(mean)}" for mean, knee in knees.items()])
    return Finding(
        verdict,
        {"argument 1 as stated bytes": bare, "with guard bytes": real}
        | {f"argument 2 at {size_text(mean)}:": knee for mean, knee in knees.items()},
        f"From the mail's premises argument 1 alone gives {size_text(bare)}; with "
        f"{guard_text(evidence.guard_pages)} the same {size_text(need)} need {size_text(real)}. "
        f"Argument 2 names no threshold (doubling saves less than {evidence.barely:g} "
        f"visit{'' if evidence.barely == 1 else 's'} per 1,000 allocations from {second} on), "
        f"argument 3 no budget.",
    )


def _knee(mean: int, evidence: Evidence) -> str:
    """Smallest power of two that serves the mean and whose doubling barely improves, as text."""
    powers = 2 ** np.arange(20, 41)
    layout = evidence.page_size, evidence.guard_pages
    small = barely_improves(powers, mean, *layout, threshold=evidence.barely)
    # a chunk that admits no request saves nothing by doubling, but serves nothing either
    found = powers[small & (allocations_per_refill(powers, mean, *layout) > 0)]
    return size_text(int(found[0])) if found.size else f"more than {size_text(powers[-1])}"


@check("half-chunk-test")
def half_chunk_test(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the test in the diff."""
    body = evidence.patch.function("vmap_bump_alloc")
    tested = f"size > {CHUNK} / 2" in body
    named = evidence.patch.names("vmap_bump_eligible")
    since = evidence.fact("first_seen", "vmap_bump_eligible")
    name = "" if named else f" A function of the mail's name comes with {since}, by reading."
    return Finding(
        "holds" if tested else "contradicted",
        {"limit bytes": evidence.chunk_size // 2},
        f"vmap_bump_alloc {'refuses' if tested else 'does not refuse'} more than "
        f"{size_text(evidence.chunk_size // 2)}, guard page included.{name}",
    )


@check("single-request-fits")
def single_request_fits(claim: Claim, evidence: Evidence) -> Finding:
    """Put the worst eligible request at the worst page-aligned place of a fresh chunk."""
    chunk, page = evidence.chunk_size, evidence.page_size
    limited = f"align > {CHUNK} / 2" in evidence.patch.function("vmap_bump_alloc")
    largest = chunk // 2 if limited else chunk
    aligns = 2 ** np.arange(int(largest).bit_length())
    worst = int(slack_at_most(aligns, page).max()) + chunk // 2
    run = evidence.overlay
    return Finding(
        "holds" if worst <= chunk else "contradicted",
        {"worst end bytes": worst, "chunk bytes": chunk, "failed after a refill": run.failures},
        f"Size and alignment of half a chunk each end {size_text(chunk - worst)} before the end of "
        f"a fresh chunk."
        if worst <= chunk
        else f"The worst eligible request ends {size_text(worst - chunk)} behind a fresh chunk.",
    )


_NAMED: Final = {"module-section": "module sections", "bpf-jit-pack": "BPF packs"}
"""What the mail means by module loader and BPF JIT, by caller id."""


def _inside(evidence: Evidence) -> list[str]:
    """Those of `_NAMED` that ask for the standard window on the machine's architecture."""
    window = f"window_{evidence.machine.arch}"
    rows = evidence.callers.filter(pl.col(window) == "standard", pl.col("id").is_in(list(_NAMED)))
    return [_NAMED[one] for one in rows["id"]]


@check("largest-callers")
def largest_callers(claim: Claim, evidence: Evidence) -> Finding:
    """Compare windows and sizes of all known callers on the machine's architecture."""
    window, inside = f"window_{evidence.machine.arch}", _inside(evidence)
    section = int(evidence.sections["bytes"].max())  # type: ignore[arg-type]
    standard = evidence.callers.filter(pl.col(window) == "standard")
    file = not standard.filter(pl.col("id") == "module-file").is_empty()
    ours = pl.col("id").str.contains("^(module|bpf-jit)-")
    larger = standard.filter(pl.col("payload") > section, ~ours).sort("payload", descending=True)
    run = evidence.overlay
    verdict: Verdict = "contradicted"
    if len(inside) == len(_NAMED):
        verdict = "holds" if larger.is_empty() else "holds with conditions"
    seen = listed([f"{name} ({count_text(n)})" for name, n in run.callers_outside.items()])
    return Finding(
        verdict,
        {
            "of the two in the standard range": len(inside),
            "larger callers there": larger.height,
            "recorded in other windows": run.outside_window,
        },
        f"On {evidence.machine.arch}, in the standard range: {listed(inside)} of the two"
        + (", but the buffer a module file is read into" if file else "")
        + f". {counted(larger.height, 'other caller')} there can ask for more than the largest "
        f"section, {size_text(section)}{_named(larger['id'].to_list())}. Recorded in other "
        f"windows: {seen}.",
    )


def _named(ids: list[str], most: int = 3) -> str:
    """Name callers in brackets, the largest of them if there are more than `most`."""
    largest = "the largest: " if len(ids) > most else ""
    return f" ({largest}{listed(ids[:most])})" if ids else ""


@check("module-size")
def module_size(claim: Claim, evidence: Evidence) -> Finding:
    """Compare with every module of a distribution: sections, their sum, the file."""
    stated = int(claim.stated["modules"])
    section = int(evidence.sections["bytes"].max())  # type: ignore[arg-type]
    total = int(evidence.sections.group_by("module").agg(pl.col("bytes").sum())["bytes"].max())  # type: ignore[arg-type]
    file = int(evidence.modules["file_bytes"].max())  # type: ignore[arg-type]
    verdict: Verdict = "holds with conditions"
    if total > stated:
        verdict = "contradicted"
    elif total >= 0.9 * stated:
        verdict = "holds"
    return Finding(
        verdict,
        {
            "largest section bytes": section,
            "largest module bytes": total,
            "largest file bytes": file,
        },
        f"Of {counted(evidence.modules.height, 'module')} of Debian 6.12 the largest has "
        f"{size_text(total)} in all sections; the largest section, which is one request, has "
        f"{size_text(section)}. The largest file is read into a buffer of {size_text(file)}.",
    )


@check("bpf-cap")
def bpf_cap(claim: Claim, evidence: Evidence) -> Finding:
    """Compare with the size of a pack and with what the source does with larger images."""
    stated = int(claim.stated["bpf"])
    per_node = evidence.fact_size("bpf_pack", "bytes_per_node")
    most = per_node * int(evidence.fact("bpf_pack", "most_nodes_x86_64"))
    larger = evidence.fact("bpf_pack", "larger_images")
    verdict: Verdict = "contradicted"
    if most <= stated:
        verdict = "holds" if larger == "refused" else "holds with conditions"
    return Finding(
        verdict,
        {"pack per node bytes": per_node, "most for a pack bytes": most},
        f"By reading: programs share packs of {size_text(per_node)} per possible node, so a pack "
        f"has {size_text(stated)} with {stated // per_node} nodes and up to {size_text(most)}. A "
        f"larger program is {larger}.",
    )


@check("all-on-fast-path")
def all_on_fast_path(claim: Claim, evidence: Evidence) -> Finding:
    """Ask for window and size of what the mail names, and of what was recorded."""
    modules, bpf = int(claim.stated["modules"]), int(claim.stated["bpf"])
    chunk, page, guard = evidence.chunk_size, evidence.page_size, evidence.guard_pages
    limit, inside = int(largest_eligible(chunk, page, guard)), _inside(evidence)
    stream = evidence.stream
    share = float(
        eligible_share(stream.sizes.to_numpy(), [chunk], aligns=stream.aligns.to_numpy())[0]
    )
    verdict: Verdict = "contradicted"
    if len(inside) == len(_NAMED):
        verdict = "holds" if max(modules, bpf) <= limit else "holds with conditions"
    short = (
        f", {size_text(modules - limit)} short of {size_text(modules)}" if modules > limit else ""
    )
    return Finding(
        verdict,
        {
            "largest eligible payload bytes": limit,
            "of the two in the standard range": len(inside),
            f"eligible in {stream.run} share": share,
            f"other windows in {stream.run}": stream.ineligible,
        },
        f"On {evidence.machine.arch} the fast path can see {listed(inside)} of {listed(_TWO)}. The "
        f"largest eligible payload is {size_text(limit)}{short}. Of the requests in the standard "
        f"range {share_text(share)} are eligible in run {stream.run}.",
    )


_TWO: Final = tuple(_NAMED.values())


@check("halving")
def halving(claim: Claim, evidence: Evidence) -> Finding:
    """Count the modules that lose the fast path with half the chunk."""
    page, guard = evidence.page_size, evidence.guard_pages
    low = int(largest_eligible(int(claim.stated["chunk"]), page, guard))
    high = int(largest_eligible(evidence.chunk_size, page, guard))
    files = evidence.modules.filter(pl.col("file_bytes").is_between(low, high, closed="right"))
    sections = evidence.sections.filter(pl.col("bytes").is_between(low, high, closed="right"))
    moved = pl.concat([files["module"], sections["module"]]).n_unique()
    total = evidence.modules.height
    share = moved / total
    verdict: Verdict = "holds"
    if share <= 0.5:
        verdict = "contradicted" if share < FEW else "holds with conditions"
    names = f" ({listed(files['module'].to_list())})" if 0 < files.height <= 3 else ""
    return Finding(
        verdict,
        {"file buffers": files.height, "sections": sections.height, "modules": total},
        f"The largest eligible payload falls to {size_text(low)}. Of {counted(total, 'module')} of "
        f"Debian 6.12, {counted(files.height, 'file buffer')}{names} and "
        f"{counted(sections.height, 'section')} would lose the fast path; less than "
        f"{share_text(FEW)} of the modules counts as contradicted here.",
    )


@check("minimum-chunk")
def minimum_chunk(claim: Claim, evidence: Evidence) -> Finding:
    """Compute the chunk that each reading of "the largest callers" needs."""
    page, guard = evidence.page_size, evidence.guard_pages
    stated = int(claim.stated["chunk"])
    sets = {
        "the stated modules": int(claim.stated["modules"]),
        "module files": int(evidence.modules["file_bytes"].max()),  # type: ignore[arg-type]
        "module sections": int(evidence.sections["bytes"].max()),  # type: ignore[arg-type]
        "BPF packs of two nodes": 2 * evidence.fact_size("bpf_pack", "bytes_per_node"),
    }
    needs = {
        name: int(smallest_power_of_two_chunk(payload, page, guard))
        for name, payload in sets.items()
    }
    run = evidence.stream
    # recorded sizes have their guard page already
    needs[f"requests of run {run.run}"] = int(
        smallest_power_of_two_chunk(max(run.largest, int(run.aligns.max())), page, 0)  # type: ignore[arg-type]
    )
    same = [name for name, need in needs.items() if need == stated]
    others = [f"{size_text(need)} ({name})" for name, need in needs.items() if need != stated]
    verdict: Verdict = "contradicted"
    if same:
        verdict = "holds" if len(same) == len(needs) else "holds with conditions"
    return Finding(
        verdict,
        {f"{name} bytes": need for name, need in needs.items()},
        f"It depends on whose requests must fit. {size_text(stated)} follows from {listed(same)}"
        + (f"; others need {listed(others)}" if others else "")
        + f". Each area has {guard_text(guard)}.",
    )
