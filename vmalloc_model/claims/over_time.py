"""Checks of what becomes of chunks over time: with the allocator model, on small synthetic streams.

The mail does not claim these things; who reads it may take them for granted. The chapters behind
*All three together* look closer and at more streams.
"""

from __future__ import annotations

from typing import Final

from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.claims.claim import Claim, Finding, Verdict, check, listed
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.experiments.edges import inputs as platform_file
from vmalloc_model.experiments.edges import stopped
from vmalloc_model.interleavings.explore import explore
from vmalloc_model.interleavings.programs import programs_of
from vmalloc_model.interleavings.setting import KERNELS, Setting, variant_of
from vmalloc_model.occupancy.mixes import MIXES, find_mix
from vmalloc_model.occupancy.stationary import stationary
from vmalloc_model.sweep import Result, sweep
from vmalloc_model.units import count_text, share_text, size_text

_STREAMS: Final = ("fix_size", "random_size", "long_busy_list", "stacks", "xfs", "churn")
_HALF: Final = 0.5
_TENTH: Final = 0.1
_TENS: Final = 99
_DAY: Final = 86_400
_YEAR: Final = 365 * _DAY
_RATE: Final = 300_000
_BUFFER_PAGES: Final = 18
"""XFS, machine-wide: several hundred thousand times a second, 18 pages and more (D. Chinner and
U. Rezki in the thread of May 2023)."""


def _of_all(good: int, every: int) -> Verdict:
    if good == every:
        return "holds"
    return "holds with conditions" if good else "contradicted"


def _visits(row: Result) -> float:
    """Visits to the lock of the global free space per 1,000 requests."""
    return float(1000 * row["lock_global"] / row["requests"])


@check("saves-beyond-pools")
def saves_beyond_pools(claim: Claim, evidence: Evidence) -> Finding:
    """Compare visits to the global lock with mainline's."""
    before = {name: _visits(evidence.played(name, "mainline")) for name in _STREAMS}
    after = {name: _visits(evidence.played(name)) for name in _STREAMS}
    halved = [name for name in _STREAMS if after[name] <= _HALF * before[name]]
    others = [name for name in _STREAMS if name not in halved]
    return Finding(
        _of_all(len(halved), len(_STREAMS)),
        {"halved": len(halved), "of": len(_STREAMS)},
        f"MODEL, {evidence.policy}: visits fall to half or less on {listed(halved)}"
        + (f"; not on {listed(others)}." if others else ": every stream that was tried."),
    )


@check("knee")
def knee(claim: Claim, evidence: Evidence) -> Finding:
    """Look at a quarter of the chunk, the chunk, and four times it."""
    size = evidence.chunk_size
    knees, early, late = list[str](), list[str](), list[str]()
    for name in _STREAMS:
        below, here, above = (
            _visits(evidence.played(name, chunk_size=one)) for one in (size // 4, size, 4 * size)
        )
        if below - here <= evidence.barely:
            early.append(name)
        elif here - above > evidence.barely:
            late.append(name)
        else:
            knees.append(name)
    parts = [
        (early, f"a quarter of {size_text(size)} does as well"),
        (late, "four times as much still saves"),
        (knees, "the knee is between"),
    ]
    told = "; ".join(f"on {listed(names)} {words}" for names, words in parts if names)
    return Finding(
        _of_all(len(knees), len(_STREAMS)),
        {"knees": len(knees), "early": len(early), "late": len(late)},
        f"MODEL, {evidence.policy}, steps of more than {count_text(evidence.barely)} per 1,000: "
        f"{told}.",
    )


@check("little-skipped")
def little_skipped(claim: Claim, evidence: Evidence) -> Finding:
    """Fill chunks with each named mix of requests, in expectation."""
    shares = {}
    for name in MIXES:
        mix = find_mix(name, evidence.platform)
        if mix.eligible_share(evidence.chunk_size) > 0:
            filled = stationary(mix.eligible(evidence.chunk_size), evidence.chunk_size)
            shares[name] = (filled.padding + filled.tail) / evidence.chunk_size
    worse = [name for name, share in shares.items() if share > _TENTH]
    most = max(shares, key=lambda name: shares[name])
    good = len(shares) - len(worse)
    return Finding(
        _of_all(good if good > len(shares) / 2 else 0, len(shares)),
        {"mixes": len(shares), "above": len(worse), "most share": shares[most]},
        f"MODEL, chunks of {size_text(evidence.chunk_size)}: "
        + (
            f"{share_text(shares[most])} with {most}; more than {share_text(_TENTH)} with "
            f"{listed(worse)}."
            if worse
            else f"at most {share_text(shares[most])}, with {most}."
        ),
    )


@check("chunks-come-back")
def chunks_come_back(claim: Claim, evidence: Evidence) -> Finding:
    """Allocate a page, free it, and so on; count what nothing will look at again."""
    row = evidence.played("fix_size", nodes=1)
    lost = _lost(row)
    whole = row["stranded_drained"] * row["page_size"] // evidence.chunk_size
    return Finding(
        "contradicted" if lost else "holds",
        {"chunks": row["refills"], "lost": whole, "lost bytes": lost},
        f"MODEL, {evidence.policy}, one area at a time: "
        + (
            f"{size_text(lost)} are lost, {count_text(whole)} whole chunks of "
            f"{count_text(row['refills'])}. A chunk that is empty when it is replaced is not "
            "looked at again."
            if lost
            else f"of {count_text(row['refills'])} chunks, no page is lost."
        ),
    )


def _lost(row: Result) -> int:
    """Bytes that nothing will look at again, on a stream that keeps nothing."""
    pages: int = sum(row[f"stranded_{name}"] for name in ("pinned", "tail", "drained", "padding"))
    return pages * int(row["page_size"])


@check("range-lasts")
def range_lasts(claim: Claim, evidence: Evidence) -> Finding:
    """Extrapolate the loss of one buffer after the other to the range."""
    if evidence.machine.pointer_size < 8:
        return Finding("cannot be checked", {}, f"{evidence.machine.name} is not 64-bit.")
    row = evidence.played("fix_size", nodes=1, parameters={"nr_pages": _BUFFER_PAGES})
    lost = _lost(row)
    rate = _RATE * lost / row["requests"]
    seconds = evidence.machine.usable_size / rate if rate else float("inf")
    verdict: Verdict = "holds" if seconds >= _YEAR else "holds with conditions"
    if seconds < _DAY:
        verdict = "contradicted"
    return Finding(
        verdict,
        {"lost per second bytes": round(rate), "hours": round(seconds / 3600, 1)},
        f"MODEL, {evidence.policy}, extrapolated: at {count_text(_RATE)} buffers of "
        f"{_BUFFER_PAGES} pages a second, one at a time, {size_text(rate)} a second are lost; "
        f"{size_text(evidence.machine.usable_size)} end after {seconds / 3600:,.1f} hours. Buffers "
        "that overlap in time, or come from node pools, lose less."
        if rate
        else f"MODEL, {evidence.policy}: nothing is lost on this stream.",
    )


@check("pins-little")
def pins_little(claim: Claim, evidence: Evidence) -> Finding:
    """Compare what chunks hold back with what lives in them."""
    row = evidence.played("pinning", parameters={"pinned": 0.001})
    held, live = row["stranded_pinned"] + row["stranded_tail"], row["live_pages"]
    times = held / max(live, 1)
    verdict: Verdict = "holds" if times <= 1 else "holds with conditions"
    if times > 10:
        verdict = "contradicted"
    return Finding(
        verdict,
        {
            "held bytes": held * row["page_size"],
            "live bytes": live * row["page_size"],
            "times": round(times, 1),
        },
        f"MODEL, {evidence.policy}: with one allocation in 1,000 that stays, "
        f"{size_text(held * row['page_size'])} wait for {size_text(live * row['page_size'])} of "
        "live areas.",
    )


@check("no-address-twice")
def no_address_twice(claim: Claim, evidence: Evidence) -> Finding:
    """Search all orders of small programs for an address that two areas have."""
    return _searched(evidence, ("twice",), "an address that is in use is handed out again")


@check("flush-before-reuse")
def flush_before_reuse(claim: Claim, evidence: Evidence) -> Finding:
    """Search them for an address that is handed out before it is unmapped or flushed."""
    told = "an address is handed out before it is unmapped and flushed"
    return _searched(evidence, ("mapped", "flushed"), told)


def _searched(evidence: Evidence, invariants: tuple[str, ...], told: str) -> Finding:
    variant = variant_of(evidence.policy)
    states = 0
    for kernel in KERNELS.values():
        ways = []
        for program in programs_of(tasks=2):
            search = explore(Setting(variant, kernel, program, cpus=2), evidence.bound)
            states += search.states
            ways += [search.found[one] for one in invariants if one in search.found]
        if ways:
            moves = min(map(len, ways))
            return Finding(
                "contradicted",
                {"states": states, "moves": moves},
                f"MODEL, {evidence.policy}, {kernel.title}: after {moves} moves {told}.",
            )
    return Finding(
        "holds",
        {"states": states},
        f"MODEL, {evidence.policy}: in none of {count_text(states)} states of small programs, on "
        f"no kernel.",
    )


@check("stopped-cpu-returns")
def stopped_cpu_returns(claim: Claim, evidence: Evidence) -> Finding:
    """Let half of the CPUs free all they have and stop; purge, shrink, and fail an allocation."""
    point = {
        "platform": evidence.platform,
        "cpus": evidence.cpus,
        "chunk_size": evidence.chunk_size,
        "policy": evidence.policy,
        "areas": 100,
    }
    [row] = sweep(stopped, [point], inputs=platform_file)
    kept = row["overflow"] * row["page_size"]
    return Finding(
        "contradicted" if kept else "holds",
        {"CPUs": row["stopped"], "kept bytes": kept},
        f"MODEL, {evidence.policy}: {row['stopped']} CPUs that freed everything and stopped keep "
        f"{size_text(kept)} through a purge, the shrinker and a failed allocation.",
    )


@check("tens-of-chunks")
def tens_of_chunks(claim: Claim, evidence: Evidence) -> Finding:
    """Count the chunks on the list at the end of two tests of the kernel's test module."""
    if not find_policy(evidence.policy).resident:
        return Finding("cannot be checked", {}, f"{evidence.policy} has no list of chunks.")
    counts = {}
    for name in ("fix_size", "long_busy_list"):
        row = evidence.played(name, nodes=1, events=10 * evidence.events)
        counts[name] = row["chunks"] - row["chunks_released"]
    good = sum(count <= _TENS for count in counts.values())
    told = listed([f"{count_text(count)} after {name}" for name, count in counts.items()])
    return Finding(
        _of_all(good, len(counts)),
        dict(counts),
        f"MODEL, {evidence.policy}, {count_text(10 * evidence.events)} events: {told} are on the "
        "list. It grows with each chunk that is lost.",
    )


@check("chunk-for-each-cpu")
def chunk_for_each_cpu(claim: Claim, evidence: Evidence) -> Finding:
    """Divide every range by the chunk and compare with the default number of CPUs."""
    short = [
        one.id
        for one in evidence.platforms.values()
        if one.usable_size // evidence.chunk_size < one.nr_cpus_default
    ]
    wide = [one for one in short if evidence.platforms[one].pointer_size == 8]
    every = len(evidence.platforms)
    return Finding(
        _of_all(every - len(short), every) if not wide else "contradicted",
        {"platforms": every, "too small": len(short)},
        f"Too small for a chunk of {size_text(evidence.chunk_size)} on each CPU of the default "
        f"configuration: {listed(short)}.",
    )
