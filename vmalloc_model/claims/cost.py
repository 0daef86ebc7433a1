"""Checks of argument 3, address-space cost, and of the metadata paragraph."""

from __future__ import annotations

from typing import Final

from vmalloc_model.claims.claim import Claim, Finding, Verdict, check, listed, percent_text
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.constraints import (
    backpointer_bytes,
    backpointer_share,
    cpus_at_share,
    reserved,
    reserved_share,
)
from vmalloc_model.platforms import Platform
from vmalloc_model.units import (
    KIB,
    count_text,
    power_of_two_at_least,
    power_of_two_at_most,
    share_text,
    size_text,
)

NEGLIGIBLE: Final = 0.001
"""Share of the range below which a cost counts as negligible here; the mail gives no number."""

_HALF_DIGIT: Final = 0.0005
"""The mail prints percentages with one decimal: half of its last digit, as a share."""


@check("pinned-chunks")
def pinned_chunks(claim: Claim, evidence: Evidence) -> Finding:
    """Compare the chunks that a recorded kernel reserved with its CPUs."""
    run, chunk = evidence.overlay, evidence.chunk_size
    verdict: Verdict = "holds" if run.reserves <= run.cpus else "holds with conditions"
    return Finding(
        verdict,
        {"CPUs": run.cpus, "chunks reserved": run.reserves, "in bytes": run.reserves * chunk},
        f"That is the least a CPU holds. In the recorded run {run.cpus} CPUs reserved "
        f"{run.reserves} chunks, {size_text(run.reserves * chunk)}, at {run.distinct_bases} "
        f"different addresses.",
    )


@check("x86-range")
def x86_range(claim: Claim, evidence: Evidence) -> Finding:
    """Compare the stated range with the headers of x86_64."""
    stated = int(claim.stated["range"])
    usual = evidence.premises["as-checked"].premises["x86_64_range"].platform
    found = [p for p in evidence.platforms.values() if p.arch == "x86_64"]
    main = next(p for p in found if p.id == usual)
    same = [p.name for p in found if p.size == stated]
    numbers = {f"{p.id} bytes": p.size for p in found}
    if main.size == stated:
        return Finding("holds", numbers, f"{main.name}: {size_text(main.size)}.")
    others = [f"{size_text(p.size)} ({p.name})" for p in found if p is not main]
    guess = evidence.fact_size("vmalloc_space", "guess_64bit")
    origin = (
        " VMALLOC_SPACE in mm/vmalloc.c is the stated figure, by reading; it is a guess that only "
        "sizes the blocks of vm_map_ram."
    )
    return Finding(
        "holds with conditions" if same else "contradicted",
        numbers,
        f"{main.name}: {size_text(main.size)}, {main.size / stated:,.4g} times the stated "
        f"{size_text(stated)}; else {listed(others)}." + (origin if guess == stated else ""),
    )


@check("reserved-bytes")
def reserved_bytes(claim: Claim, evidence: Evidence) -> Finding:
    """Multiply CPUs by the chunk."""
    cpus, stated = int(claim.stated["cpus"]), int(claim.stated["reserved"])
    found = int(reserved(evidence.chunk_size, cpus))
    return Finding(
        "holds" if found == stated else "contradicted",
        {"reserved bytes": found},
        f"{cpus} chunks of {size_text(evidence.chunk_size)} are {size_text(found)}.",
    )


@check("reserved-share")
def share_of_the_range(claim: Claim, evidence: Evidence) -> Finding:
    """Divide by the stated range and by the real one."""
    return _share(claim, evidence, evidence.chunk_size)


@check("doubled-share")
def doubled_share(claim: Claim, evidence: Evidence) -> Finding:
    """Do the same with the doubled chunk."""
    return _share(claim, evidence, int(claim.stated["chunk"]))


def _share(claim: Claim, evidence: Evidence, chunk: int) -> Finding:
    cpus, stated = int(claim.stated["cpus"]), float(claim.stated["share"])
    own = float(reserved_share(chunk, cpus, int(claim.stated["range"])))
    real = float(reserved_share(chunk, cpus, evidence.machine.size))
    numbers = {"of the stated range share": own, "of the real range share": real}
    text = (
        f"{cpus} chunks of {size_text(chunk)} are {percent_text(own)} of the stated "
        f"{size_text(int(claim.stated['range']))} and {percent_text(real)} of the "
        f"{size_text(evidence.machine.size)} of {evidence.machine.name}."
    )
    if abs(real - stated) <= _HALF_DIGIT:
        return Finding("holds", numbers, text)
    if abs(own - stated) <= _HALF_DIGIT:
        return Finding("holds with conditions", numbers, f"The division is right: {text}")
    if abs(own - stated) <= 2 * _HALF_DIGIT:  # one unit of the last digit: rounded too early
        half = round(1000 * own / 2) / 1000
        slip = " The stated figure is twice a rounded one." if 2 * half == stated else ""
        return Finding("holds with conditions", numbers, f"Nearly: {text}{slip}")
    return Finding("contradicted", numbers, text)


def _arm64_52(evidence: Evidence) -> list[Platform]:
    return [p for p in evidence.platforms.values() if p.arch == "arm64" and p.va_bits == 52]


@check("arm64-range")
def arm64_range(claim: Claim, evidence: Evidence) -> Finding:
    """Compare the stated range with the headers of arm64, for each page size."""
    stated, found = int(claim.stated["range"]), _arm64_52(evidence)
    same = [p for p in found if p.size == stated]
    least, most = min(p.size for p in found), max(p.size for p in found)
    narrower = [
        p.size for p in evidence.platforms.values() if p.arch == "arm64" and p.va_bits == 48
    ]
    growth = (
        " No page size gets more than the largest range with 48 bits."
        if most <= max(narrower, default=0)
        else ""
    )
    verdict: Verdict = "contradicted"
    if same:
        verdict = "holds" if len(same) == len(found) else "holds with conditions"
    return Finding(
        verdict,
        {f"{p.id} bytes": p.size for p in found},
        f"With 52-bit addresses arm64 has {size_text(least)} to {size_text(most)}, depending on "
        f"the page size; the stated {size_text(stated)} is {stated / most:,.0f} to "
        f"{stated / least:,.0f} times that.{growth}",
    )


@check("arm64-share")
def arm64_share(claim: Claim, evidence: Evidence) -> Finding:
    """Divide by the real ranges of arm64 with 52-bit addresses."""
    cpus = int(claim.stated["cpus"])
    shares = {
        p.id: float(reserved_share(evidence.chunk_size, cpus, p.size)) for p in _arm64_52(evidence)
    }
    worst = max(shares.values())
    few = [name for name, share in shares.items() if share < NEGLIGIBLE]
    verdict: Verdict = "contradicted"
    if few:
        verdict = "holds" if len(few) == len(shares) else "holds with conditions"
    return Finding(
        verdict,
        {f"{name} share": share for name, share in shares.items()},
        f"{cpus} CPUs take at most {share_text(worst)} of the real ranges; below "
        f"{share_text(NEGLIGIBLE)} counts as negligible here.",
    )


@check("doubling-many-cpus")
def doubling_many_cpus(claim: Claim, evidence: Evidence) -> Finding:
    """Find where the doubled chunk takes the share that the mail calls acceptable."""
    chunk, share, machine = int(claim.stated["chunk"]), claim.stated["share"], evidence.machine
    needed = int(cpus_at_share(share, chunk, machine.size))
    others = [p for p in evidence.platforms.values() if p.id != machine.id]
    above = [p.id for p in others if reserved_share(chunk, p.nr_cpus_max, p.size) > share]
    numbers = {
        "CPUs needed": needed,
        "most CPUs": machine.nr_cpus_max,
        "other platforms": len(above),
    }
    text = (
        f"On {machine.name}, chunks of {size_text(chunk)} reach {share_text(share)} at "
        f"{count_text(needed)} CPUs; Kconfig allows {count_text(machine.nr_cpus_max)}."
    )
    elsewhere = (
        f" With the most CPUs of Kconfig, {len(above)} of {len(others)} other platforms reach it."
    )
    if needed <= machine.nr_cpus_max:
        return Finding("holds", numbers, text + elsewhere)
    return Finding("holds with conditions" if above else "contradicted", numbers, text + elsewhere)


@check("metadata-array")
def metadata_array(claim: Claim, evidence: Evidence) -> Finding:
    """Look for the array in the diff."""
    patch, since = evidence.patch, evidence.fact("first_seen", "page_va")
    words = patch.struct("vmap_bump_chunk").count("unsigned long")
    numbers = {"words per chunk in the diff": words}
    if patch.names("page_va"):
        return Finding("holds", numbers, "The diff adds the array.")
    return Finding(
        "holds with conditions",
        numbers,
        f"Not yet: this diff keeps {words} words per CPU and no array. It comes with {since}, by "
        f"reading.",
    )


@check("metadata-bytes")
def metadata_bytes(claim: Claim, evidence: Evidence) -> Finding:
    """Evaluate the formula, and what the allocator makes of it."""
    stated, pointer = int(claim.stated["metadata"]), evidence.machine.pointer_size
    found = int(backpointer_bytes(evidence.chunk_size, evidence.page_size, pointer))
    usual = int(backpointer_bytes(evidence.chunk_size, 4 * KIB, 8))
    head = int(evidence.fact("descriptor", "bytes_before_array"))
    taken = int(power_of_two_at_least(found + head))
    verdict: Verdict = "holds" if found == stated else "contradicted"
    if found != stated and usual == stated:
        verdict = "holds with conditions"
    return Finding(
        verdict,
        {"array bytes": found, "descriptor bytes": found + head, "kmalloc bytes": taken},
        f"The array has {size_text(found)} with {size_text(evidence.page_size)} pages. With the "
        f"{head} bytes before it, by reading of {evidence.fact('descriptor', 'since')}, kmalloc "
        f"needs {size_text(taken)}.",
    )


@check("metadata-share")
def metadata_share(claim: Claim, evidence: Evidence) -> Finding:
    """Evaluate the share for every page and pointer size there is."""
    stated = float(claim.stated["share"])
    kinds = sorted({(p.page_size, p.pointer_size) for p in evidence.platforms.values()})
    shares = {
        f"{size_text(page)} pages, {8 * pointer}-bit": float(backpointer_share(page, pointer))
        for page, pointer in kinds
    }
    right = [name for name, share in shares.items() if abs(share - stated) <= _HALF_DIGIT]
    verdict: Verdict = "contradicted"
    if right:
        verdict = "holds" if len(right) == len(shares) else "holds with conditions"
    return Finding(
        verdict,
        {f"{name} share": share for name, share in shares.items()},
        f"The share does not depend on the chunk size. It depends on page and pointer: "
        f"{share_text(stated)} fits {'; '.join(right) or 'none'}. Over all platforms it is "
        f"{share_text(min(shares.values()))} to {share_text(max(shares.values()))}.",
    )


@check("upper-bound")
def upper_bound(claim: Claim, evidence: Evidence) -> Finding:
    """Ask every platform how large a chunk its most CPUs could have if chunks took all of it."""
    chunk, machine = evidence.chunk_size, evidence.machine
    room = {p.id: p.usable_size // p.nr_cpus_max for p in evidence.platforms.values()}
    broken = [name for name, most in room.items() if most < chunk]
    own = room[machine.id]
    return Finding(
        "holds with conditions" if broken else "holds",
        {
            f"{machine.id} most bytes": own,
            "platforms": len(room),
            "platforms without room": len(broken),
        },
        f"The mail names no share that would be too much. If the most CPUs of Kconfig may fill the "
        f"range, {machine.name} allows chunks up to {size_text(power_of_two_at_most(own).item())}"
        + (
            f"; on {len(broken)} of {len(room)} platforms ({listed(broken)}) {size_text(chunk)} "
            f"are too much already."
            if broken
            else "."
        ),
    )


@check("chunk-slots")
def chunk_slots(claim: Claim, evidence: Evidence) -> Finding:
    """Count the chunks that fit the stated range and the real one."""
    stated, machine = int(claim.stated["range"]), evidence.machine
    slots = stated // evidence.chunk_size
    real = machine.slots(evidence.chunk_size)
    used = evidence.overlay.reserves
    verdict: Verdict = "contradicted"
    if slots >= 1000:
        verdict = "holds" if real >= 1000 else "holds with conditions"
    return Finding(
        verdict,
        {"stated range": slots, machine.id: real, "recorded run used": used},
        f"{size_text(stated)} hold {count_text(slots)} chunks of {size_text(evidence.chunk_size)}, "
        f"{machine.name} {count_text(real)}. How fast they are used is another question: the "
        f"recorded run took {used}.",
    )
