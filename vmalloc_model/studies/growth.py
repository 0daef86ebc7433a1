"""Chapter *Growth*: the same streams under every policy, and the address space they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from vmalloc_model.allocator.machine import Machine, machine_of
from vmalloc_model.events import ALLOC, FREE, MAP_RAM, PCPU, Stream
from vmalloc_model.platforms import find_platform
from vmalloc_model.replay.streams import recorded_stream
from vmalloc_model.runs import find_run
from vmalloc_model.simulate import Simulation, simulate, stranded
from vmalloc_model.workloads import make

__all__ = ["CHUNK_STATES", "PARTS", "Case", "chunk_states", "end_table", "parts_table", "play"]

BASELINE: Final = "mainline"
SAMPLES: Final = 64

PARTS: Final = {
    "live": "areas in use",
    "free": "free again: holes, lazy lists, node pools, chunks that wait for a purge",
    "room": "behind the pointers of current chunks, not used yet",
    "held": "freed or skipped, in current chunks and in chunks with live areas",
    "tail": "behind the pointers of chunks that were replaced",
    "padding": "skipped for alignment and lost for good",
    "drained": "whole chunks without areas that nothing will look at again",
}
"""Part of the address space below the high-water mark -> meaning; their sum is the mark."""

LOST: Final = ("held", "tail", "padding", "drained")
"""Parts that no request can get, although nobody uses them."""

CHUNK_STATES: Final = {
    "current": "some CPU's current chunk",
    "live": "replaced, with live areas",
    "purge": "empty; the next purge releases it",
    "drained": "empty; nothing will look at it again",
    "forgotten": "replaced; its areas return one by one, and nothing knows the chunk",
    "released": "its whole range went back",
}
"""State of a chunk at the end -> meaning."""


@dataclass(frozen=True, eq=False)
class Case:
    """A stream under a policy.

    Attributes
    ----------
    stream : str
        Name of the workload or of the recorded run.
    recorded : bool
        Whether the requests were recorded.
    page_size, region_size : int
        Bytes; of what one page-table page maps.
    elsewhere : int
        Pages that live at the end outside the part of the standard window that fills from below.
    simulation : Simulation
        What came of it.
    """

    stream: str
    recorded: bool
    page_size: int
    region_size: int
    elsewhere: int
    simulation: Simulation

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.simulation.policy.name


def play(
    run: str,
    workloads: Sequence[str],
    policies: Sequence[str],
    platform: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
    samples: int = SAMPLES,
) -> list[Case]:
    """Run the requests of a recorded run and of workloads through policies.

    Parameters
    ----------
    run : str
        A recorded run. It keeps the CPUs, pages and windows of its machine.
    workloads, policies : sequence of str
        Names.
    platform : str
        Id of the platform that the workloads run on.
    cpus : int
        CPUs of their machine.
    chunk_size : int
        Bytes.
    events, seed : int
        Of the workloads' streams.
    samples : int
        Rows of each series.

    Returns
    -------
    list of Case
        All policies of the recorded run, then those of each workload.

    Raises
    ------
    InputError
        If the chunk size is none of the platform's or of the run's machine.
    """
    recorded = find_run(run)
    own = machine_of(
        find_platform(recorded.platform or platform), recorded.cpus, chunk_size=chunk_size
    )
    machine = machine_of(find_platform(platform), cpus, chunk_size=chunk_size)
    todo: list[tuple[Stream, Machine, bool]] = [(recorded_stream(run), own, True)]
    todo += [
        (
            make(name, page_size=machine.page_size, cpus=cpus, events=events, seed=seed),
            machine,
            False,
        )
        for name in workloads
    ]
    cases = []
    for stream, used, real in todo:
        whole = _kept(stream)
        elsewhere = _elsewhere(whole)
        for policy in policies:
            # a recording says itself when the kernel purged
            done = simulate(whole, used, policy, samples=samples, auto_purge=not real)
            size = used.page_size
            region = size * (size // (8 if used.block_max_pages == 64 else 4))
            cases.append(Case(stream.name, real, size, region, elsewhere, done))
    return cases


def _kept(stream: Stream) -> Stream:
    """Keep a stream's blocks, so that it is made once for all policies."""
    blocks = list(stream.blocks())
    return Stream(
        name=stream.name,
        page_size=stream.page_size,
        cpus=stream.cpus,
        slots=stream.slots,
        blocks=lambda: iter(blocks),
        events=sum(map(len, blocks)),
        windows=stream.windows,
        parameters=stream.parameters,
    )


def _elsewhere(stream: Stream) -> int:
    """Pages left at the end in other windows, and of per-CPU areas at the top of the window."""
    pages = np.zeros(stream.slots, np.int64)
    for block in stream.blocks():
        known = block[np.isin(block["op"], (ALLOC, FREE, MAP_RAM, PCPU))]
        away = ((known["op"] == ALLOC) & (known["window"] > 0)) | (known["op"] == PCPU)
        # where a slot is there several times, the last one counts
        pages[known["slot"]] = np.where(away, known["pages"], 0)
    return int(pages.sum())


def series_table(cases: Sequence[Case]) -> pl.DataFrame:
    """High-water marks over the events (``fig-growth``).

    Returns
    -------
    polars.DataFrame
        ``stream``, ``recorded``, ``policy``, ``event`` (how many were done), ``high_water``,
        ``peak`` (most live bytes so far), both in bytes.
    """
    return pl.concat(
        case.simulation.series.select(
            stream=pl.lit(case.stream),
            recorded=pl.lit(case.recorded),
            policy=pl.lit(case.policy),
            event="event",
            high_water=pl.col("high_water") * case.page_size,
            peak=pl.col("peak_pages") * case.page_size,
        )
        for case in cases
    )


def parts_of(case: Case) -> dict[str, int]:
    """Split the address space below the high-water mark at the end; `PARTS`, in pages."""
    measures, told = case.simulation.measures, stranded(case.simulation)
    parts = dict.fromkeys(PARTS, 0)
    parts["live"] = measures["live_pages"] - case.elsewhere
    for name in ("room", "tail", "padding", "drained"):
        parts[name] = told[name]
    parts["held"] = told["idle"] + told["pinned"]
    parts["free"] = measures["high_water"] - sum(parts.values())
    return parts


def parts_table(cases: Sequence[Case]) -> pl.DataFrame:
    """What lies below the high-water mark at the end (``fig-growth-lost``).

    Returns
    -------
    polars.DataFrame
        ``stream``, ``recorded``, ``policy``, ``part`` (of `PARTS`), ``bytes``, ``high_water``
        (bytes, the sum over the parts).
    """
    rows = [
        (
            case.stream,
            case.recorded,
            case.policy,
            part,
            pages * case.page_size,
            case.simulation.measures["high_water"] * case.page_size,
        )
        for case in cases
        for part, pages in parts_of(case).items()
    ]
    names = ["stream", "recorded", "policy", "part", "bytes", "high_water"]
    return pl.DataFrame(rows, schema=names, orient="row")


def chunk_states(cases: Sequence[Case]) -> pl.DataFrame:
    """Chunks by their state at the end (``fig-growth-chunks``).

    Returns
    -------
    polars.DataFrame
        ``stream``, ``recorded``, ``policy``, ``state`` (of `CHUNK_STATES`), ``chunks``. Policies
        without an overlay have no rows.
    """
    rows: list[tuple[object, ...]] = []
    for case in cases:
        if not case.simulation.policy.overlay:
            continue
        every = case.simulation.chunks
        left = every.filter(~pl.col("released"))
        old = left.filter(~pl.col("current"))
        empty = old.filter(pl.col("live") == 0)
        resident = case.simulation.policy.resident
        counts = {
            "current": left.height - old.height,
            "live": old.height - empty.height,
            "purge": int(empty["waiting"].sum()),
            "drained": empty.height - int(empty["waiting"].sum()) if resident else 0,
            "forgotten": 0 if resident else old.height,
            "released": every.height - left.height,
        }
        rows += [(case.stream, case.recorded, case.policy, *pair) for pair in counts.items()]
    names = ["stream", "recorded", "policy", "state", "chunks"]
    kinds = [pl.String, pl.Boolean, pl.String, pl.String, pl.Int64]
    schema = dict(zip(names, kinds, strict=True))
    return pl.DataFrame(rows, schema=schema, orient="row")


def end_table(cases: Sequence[Case]) -> pl.DataFrame:
    """What each stream came to under each policy: losses and gains in one row.

    Returns
    -------
    polars.DataFrame
        ``stream``, ``recorded``, ``policy``, ``events``, ``requests``, ``failures``; ``peak``,
        ``high_water`` and ``half`` (the mark after half of the events), in bytes; ``times`` (mark
        to peak); ``page_tables`` (pages), ``page_table_bytes``, ``region_size`` (bytes that one of
        them maps); ``refills``, ``global_visits``, ``visits_per_1000`` requests; ``lost`` (bytes
        at the end, see `LOST`), ``lost_per_million`` requests; ``twice`` (areas that a pool handed
        out after their range had gone back with its chunk).
    """
    rows = []
    for case in cases:
        counters, measures = case.simulation.counters, case.simulation.measures
        requests = max(counters["requests"], 1)
        series, size = case.simulation.series, case.page_size
        before = series.filter(pl.col("event") <= case.simulation.events / 2)["high_water"]
        lost = size * sum(parts_of(case)[part] for part in LOST)
        rows.append(
            {
                "stream": case.stream,
                "recorded": case.recorded,
                "policy": case.policy,
                "events": case.simulation.events,
                "requests": counters["requests"],
                "failures": counters["failures"],
                "peak": measures["peak_pages"] * size,
                "high_water": measures["high_water"] * size,
                "half": (int(before[-1]) if len(before) else 0) * size,
                "times": measures["high_water"] / max(measures["peak_pages"], 1),
                "page_tables": measures["page_tables"],
                "page_table_bytes": measures["page_tables"] * size,
                "region_size": case.region_size,
                "refills": counters["refills"],
                "global_visits": counters["lock_global"],
                "visits_per_1000": 1000 * counters["lock_global"] / requests,
                "lost": lost,
                "lost_per_million": 1e6 * lost / requests,
                "twice": counters["stale_handouts"],
            }
        )
    return pl.DataFrame(rows)
