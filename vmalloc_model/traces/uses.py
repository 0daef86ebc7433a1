"""What a recording can be used for, and what it lacks for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vmalloc_model.traces.about import About
from vmalloc_model.traces.events import ALLOC, FORMATS, FREE, PURGE
from vmalloc_model.units import cpus_text, many_text

__all__ = ["USES", "Check", "checks_of", "uses_of"]

USES: Final = {
    "sizes of requests (coverage)": ("allocations", "addresses in clear"),
    "order of requests (amortisation)": ("allocations", "addresses in clear", "no losses"),
    "lifetimes (fitted workload)": ("allocations", "frees", "addresses in clear", "no losses"),
    "replay (validation)": (
        "allocations",
        "frees",
        "purges",
        "addresses in clear",
        "no losses",
        "begins with the boot",
    ),
    "replay that is sure of every address": (
        "allocations",
        "frees",
        "purges",
        "addresses in clear",
        "no losses",
        "begins with the boot",
        "lock order",
        "vmallocinfo",
    ),
}
"""What a recording is used for -> the checks it must pass."""

_BIGGER: Final = "make the buffer larger (buffer_size_kb) and record again"
_BOOT: Final = "boot with trace_event=vmalloc:* and trace_buf_size=16M"


@dataclass(frozen=True)
class Check:
    """One check of a recording: its name, whether it passed, what was found, and how to mend it."""

    name: str
    passed: bool
    found: str
    mend: str = ""

    def line(self) -> str:
        """Return the check as one line of text."""
        mend = f" (to mend: {self.mend})" if self.mend and not self.passed else ""
        return f"{'ok' if self.passed else 'missing':<8} {self.name}: {self.found}{mend}"


def checks_of(about: About) -> list[Check]:
    """Check a recording; of a copy of vmallocinfo there is nothing to check."""
    if about.kind == "oplog":
        names = dict.fromkeys(name for needed in USES.values() for name in needed)
        return [Check(name, True, "an operation log has it") for name in names]
    return list(_trace_checks(about)) if about.kind == "ftrace" else []


def uses_of(about: About) -> dict[str, list[str]]:
    """Return what a recording may be used for -> the checks that it fails for that."""
    failed = {check.name for check in checks_of(about) if not check.passed}
    if about.kind == "vmallocinfo":
        return {use: ["requests in their order"] for use in USES}
    return {use: [name for name in needed if name in failed] for use, needed in USES.items()}


def _trace_checks(about: About) -> Iterator[Check]:
    counts = {kind: about.events[name] for kind, (name, _) in FORMATS.items()}
    enable = "enable all three events: vmalloc:*"
    for kind, name in ((ALLOC, "allocations"), (FREE, "frees"), (PURGE, "purges")):
        yield Check(name, counts[kind] > 0, f"{counts[kind]:,} events", enable)
    yield Check(
        "addresses in clear",
        not about.outside,
        f"{about.outside:,} areas lie outside of the window they name: hashed or blanked out"
        if about.outside
        else "every area lies in its window",
        "boot with no_hash_pointers, record as root",
    )
    yield _losses(about)
    boot = not about.unknown_frees and counts[FREE] > 0
    yield Check(
        "begins with the boot",
        boot,
        "every address was allocated before it was freed"
        if boot
        else f"{about.unknown_frees:,} frees of addresses that were not allocated in it",
        _BOOT,
    )
    yield _lock_order(about)
    yield Check(
        "vmallocinfo",
        bool(about.snapshots),
        f"{len(about.snapshots)} copies"
        if about.snapshots
        else "areas of the per-CPU allocator have no event",
        "copy /proc/vmallocinfo as root, give it with --vmallocinfo",
    )
    yield Check(
        "phases",
        len(about.phases) > 1,
        f"{len(about.phases) - 1} marks" if len(about.phases) > 1 else "no marks",
        'echo "MARK name" > /sys/kernel/tracing/trace_marker, where a phase begins',
    )


def _lock_order(about: About) -> Check:
    earlier = f"{many_text(about.backwards, 'event')} earlier than the one before"
    if about.cpus > 1:
        found = f"{cpus_text(about.cpus)}, and events are printed after their lock was dropped"
        found += f"; {earlier}" if about.backwards else ""
        mend = "boot with nr_cpus=1; else replay takes over the addresses that it misses"
    elif about.backwards:
        found = f"{cpus_text(about.cpus)}, but {earlier}"
        mend = "give the trace of one boot, its lines in the order in which they were printed"
    else:
        found, mend = "one CPU: the order of the text is that of the locks", ""
    return Check("lock order", about.cpus == 1 and not about.backwards, found, mend)


def _losses(about: About) -> Check:
    mend, written, there = _BIGGER, about.entries_in_buffer or 0, about.entries_found
    if there is not None and there < written:
        found = f"the header says {written:,} entries, the file has {there:,}"
        mend = "take the whole file; stop tracing (tracing_on) before it is copied"
    elif about.lost:
        found = f"{about.lost:,} events lost"
    elif about.taken_twice:
        found = f"{about.taken_twice:,} addresses allocated again without a free between"
    elif about.entries_written is not None:
        found = "as many entries in the buffer as were written"
    else:
        found = "none reported"
    return Check("no losses", not about.lost and not about.taken_twice, found, mend)
