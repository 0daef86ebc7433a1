"""The metrics: numbers of a simulation, and closed forms, by name.

A name ends with its unit: ``_bytes``, ``_pages``, ``_share`` (of 1), ``_per_1000`` (allocations);
other names are numbers of things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vmalloc_model import constraints as closed
from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.allocator.rules import Rules
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.platforms import Platform
from vmalloc_model.simulate import MEASURES, STRANDED

__all__ = ["METRICS", "Case", "Metric", "find_metric"]

Value = int | float | None


@dataclass(frozen=True, slots=True)
class Case:
    """One point of a sweep, as metrics see it.

    Attributes
    ----------
    platform : Platform
    cpus : int
        CPUs that hold a chunk; of a simulation: possible CPUs.
    chunk : int or None
        Bytes; None where the policy has no chunks.
    payload : int
        Bytes of each request of a closed form, without guard.
    guard_pages : int
        Of each such request.
    policy : Rules or None
        None without a simulation, unless it is given.
    counted : dict
        What `vmalloc_model.experiments.play.play` tells; empty without a simulation.
    """

    platform: Platform
    cpus: int
    chunk: int | None
    payload: int
    guard_pages: int
    policy: Rules | None = None
    counted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a sweep can ask for.

    Attributes
    ----------
    name, unit, meaning : str
        The unit is ``""`` for a number of things.
    uses : tuple of str
        Settings that a closed form depends on; none: the number is one of a simulation.
    of : callable
        Tells the value; None where there is none: a share of no allocations, a closed form of
        chunks under a policy without chunks.
    """

    name: str
    unit: str
    meaning: str
    uses: tuple[str, ...]
    of: Callable[[Case], Value]

    @property
    def simulated(self) -> bool:
        """Whether it takes a simulation."""
        return not self.uses

    @property
    def fraction(self) -> bool:
        """Whether it is a float; else it is an int."""
        return self.name.endswith(("_share", "_per_1000")) or self.name == "steps_per_lookup"


def find_metric(name: str, where: str = "$.metric") -> Metric:
    """Find a metric by its name.

    Raises
    ------
    InputError
        If there is none; the nearest names are listed.
    """
    if name not in METRICS:
        known = ", ".join(nearest(name, METRICS)[:8])
        raise InputError(
            where, "no such metric", value=name, allowed=f"{known}, ... (--list-metrics)"
        )
    return METRICS[name]


def _unit(name: str) -> str:
    for unit, words in (("bytes", "bytes"), ("pages", "pages"), ("share", "share of 1")):
        if name.endswith(f"_{unit}"):
            return words
    return "per 1,000 allocations" if name.endswith("_per_1000") else ""


def _simulated(name: str, meaning: str, of: Callable[[Case], Value]) -> Metric:
    return Metric(name, _unit(name), meaning, (), of)


def _closed(name: str, meaning: str, uses: str, of: Callable[[Case, int], Any]) -> Metric:
    """Make a metric of a closed form of case and chunk; it gives an array of one number."""

    def value(case: Case) -> Value:
        found: Value = None if case.chunk is None else of(case, case.chunk).item()
        return found

    return Metric(name, _unit(name), meaning, tuple(uses.split()), value)


def _own(name: str) -> Callable[[Case], Value]:
    return lambda case: case.counted[name]


def _in_bytes(*names: str) -> Callable[[Case], Value]:
    return lambda case: sum(case.counted[name] for name in names) * case.counted["page_size"]


def _of_requests(name: str, factor: int = 1) -> Callable[[Case], Value]:
    def of(case: Case) -> Value:
        requests = case.counted["requests"]
        return factor * case.counted[name] / requests if requests else None

    return of


def _steps_per_lookup(case: Case) -> Value:
    lookups = case.counted["lookups"]
    return case.counted["lookup_steps"] / lookups if lookups else None


def _high_water_share(case: Case) -> Value:
    return case.counted["high_water"] * case.counted["page_size"] / case.platform.size


def _lost_bytes(case: Case) -> Value:
    resident = case.policy is not None and case.policy.resident
    names = ("drained",) if resident else ("tail", "padding")
    return sum(case.counted[f"stranded_{name}"] for name in names) * case.counted["page_size"]


def _derived() -> Iterable[Metric]:
    for lock, what in {
        "global": "the lock of the global free space",
        "pool": "the locks of node pools",
        "lazy": "the locks of lazy lists",
        "busy": "the locks of busy trees",
        "chunk": "a CPU's own chunk",
        "list": "the lock of the list of chunks",
    }.items():
        of = _of_requests(f"lock_{lock}", 1000)
        yield _simulated(f"lock_{lock}_per_1000", f"visits to {what}", of)
    yield _simulated("refills_per_1000", "chunks installed", _of_requests("refills", 1000))
    for name, counter, what in (
        ("chunk_hits_share", "bump_hits", "a CPU's chunk"),
        ("pool_hits_share", "pool_hits", "a node pool"),
        ("block_hits_share", "block_hits", "a vm_map_ram block"),
        ("global_hits_share", "global_hits", "the global allocator"),
    ):
        yield _simulated(name, f"allocations that {what} served", _of_requests(counter))
    yield _simulated("failures_share", "allocations that failed", _of_requests("failures"))
    yield _simulated(
        "steps_per_lookup", "chunks looked at by a free that looks for its chunk", _steps_per_lookup
    )
    yield _simulated(
        "high_water_bytes",
        "from the range's start to the end of what was ever taken",
        _in_bytes("high_water"),
    )
    yield _simulated("high_water_share", "the same, of the vmalloc range", _high_water_share)
    yield _simulated(
        "touched_high_bytes",
        "from the range's start to the highest page that was ever mapped",
        _in_bytes("touched_high"),
    )
    yield _simulated("live_bytes", "areas in use at the end", _in_bytes("live_pages"))
    yield _simulated("peak_bytes", "most live bytes at any time", _in_bytes("peak_pages"))
    yield _simulated("largest_gap_bytes", "largest free range at the end", _in_bytes("largest_gap"))
    yield _simulated(
        "page_tables_bytes",
        "page tables needed, one copy of each entry; they are never freed",
        _in_bytes("page_tables"),
    )
    yield _simulated(
        "chunk_used_bytes",
        "chunk size that was used: 0 without chunks",
        lambda case: case.counted["chunk_size"],
    )
    yield _simulated(
        "chunks_held_bytes",
        "chunks not released at the end; in 10/12 a page counts as often as a chunk got it",
        _in_bytes("stranded_chunk_pages"),
    )
    yield _simulated(
        "chunks_lost_bytes",
        "of these, lost for good: in chunks nothing looks at again; in 10/12 tail and padding",
        _lost_bytes,
    )
    for part, meaning in STRANDED.items():
        if part != "chunk_pages":
            yield _simulated(
                f"chunks_{part}_bytes", f"pages of chunks: {meaning}", _in_bytes(f"stranded_{part}")
            )


def _raw() -> Iterable[Metric]:
    """Counters and measures under their own names, but for those whose name hides the unit."""
    for name, meaning in {**COUNTERS, **MEASURES}.items():
        if name not in ("largest_gap", "high_water", "touched_high"):
            yield _simulated(name, meaning, _own(name))


def _forms() -> Iterable[Metric]:
    yield _closed(
        "reserved_bytes",
        "address space that one chunk on every CPU holds",
        "cpus chunk",
        lambda case, chunk: closed.reserved(chunk, case.cpus),
    )
    yield _closed(
        "reserved_share",
        "the same, of the vmalloc range",
        "platform cpus chunk",
        lambda case, chunk: closed.reserved_share(chunk, case.cpus, case.platform.size),
    )
    yield _closed(
        "chunk_slots",
        "chunks that fit side by side into the empty range",
        "platform chunk",
        lambda case, chunk: closed.chunk_slots(chunk, case.platform.usable_size),
    )
    yield _closed(
        "largest_eligible_bytes",
        "largest request, without guard, that a chunk admits; 0: none",
        "platform chunk guard_pages",
        lambda case, chunk: closed.largest_eligible(
            chunk, case.platform.page_size, case.guard_pages
        ),
    )
    request = "platform chunk payload guard_pages"
    yield _closed(
        "allocations_per_refill",
        "equal requests that a fresh chunk serves; 0: not eligible",
        request,
        lambda case, chunk: closed.allocations_per_refill(
            chunk, case.payload, case.platform.page_size, case.guard_pages
        ),
    )
    yield _closed(
        "global_visits_per_1000",
        "visits to the global allocator for equal requests, pools left out; 1,000: not eligible",
        request,
        lambda case, chunk: (
            1000
            * closed.global_visits_per_allocation(
                chunk, case.payload, case.platform.page_size, case.guard_pages
            )
        ),
    )
    yield _closed(
        "doubling_saves_per_1000",
        "of these visits, saved by a chunk of twice the size",
        request,
        lambda case, chunk: (
            1000
            * closed.doubling_gain(
                chunk, case.payload, case.platform.page_size, case.guard_pages
            ).saved
        ),
    )
    yield Metric(
        "smallest_chunk_bytes",
        "bytes",
        "smallest power of two that admits the request as a chunk",
        ("platform", "payload", "guard_pages"),
        lambda case: closed.smallest_power_of_two_chunk(
            case.payload, case.platform.page_size, case.guard_pages
        ).item(),
    )
    yield _closed(
        "chunk_backpointers_bytes",
        "array of one pointer per page of a chunk",
        "platform chunk",
        lambda case, chunk: closed.backpointer_bytes(
            chunk, case.platform.page_size, case.platform.pointer_size
        ),
    )
    yield _closed(
        "chunk_page_tables_bytes",
        "last-level page tables of a chunk that has been handed out",
        "platform chunk",
        lambda case, chunk: closed.page_table_bytes(
            chunk,
            case.platform.page_size,
            case.platform.pointer_size,
            case.platform.entry_copies,
        ),
    )


METRICS: Final = {one.name: one for one in (*_derived(), *_raw(), *_forms())}
"""Name -> metric: what most readers want first, then all that a simulation counts, closed forms."""
