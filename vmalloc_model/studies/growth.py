"""Chapter *Growth*: the same streams under every policy, and the address space they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.simulate import stranded
from vmalloc_model.studies.growth_cases import Case, play

__all__ = [
    "BASELINE",
    "CHUNK_STATES",
    "LOST",
    "PARTS",
    "Case",
    "chunk_states",
    "end_table",
    "parts_of",
    "parts_table",
    "play",
    "series_table",
]

BASELINE: Final = "mainline"

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
    """Tell what lies below the high-water mark at the end (``fig-growth-lost``).

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
    """Put what each stream came to under each policy, losses and gains, into one row.

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
