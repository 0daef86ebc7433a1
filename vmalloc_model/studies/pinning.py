"""Chapter *Pinning*: which chunks a few live pages hold, by lifetime and by workload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.errors import InputError
from vmalloc_model.experiments.pinning import inputs, residents
from vmalloc_model.experiments.scene import stream_name
from vmalloc_model.studies.pinning_law import one_in
from vmalloc_model.sweep import Point, Result, sweep
from vmalloc_model.units import count_text
from vmalloc_model.workloads import WORKLOADS

__all__ = [
    "FOREVER",
    "PARTS",
    "ends_table",
    "grid_table",
    "occupancy_table",
    "play",
    "without_table",
]

FOREVER: Final = 0
"""Lifetime of areas that are never freed."""

PARTS: Final = {
    "current": "some CPU's current chunk",
    "empty": "no live page",
    "thin": "below 1 % of its pages live",
    "low": "1 to 10 %",
    "part": "10 to 50 %",
    "most": "50 to 90 %",
    "full": "90 % and more",
}
"""Class of a chunk that is not released -> meaning."""

Row = tuple[str, str, Result]
"""Stream, policy, and what came of it."""


def grid_table(
    pinned: Sequence[float],
    lifetimes: Sequence[int],
    policy: str,
    platform: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Vary how many areas live long, and how long (``fig-pinning-grid``).

    The other areas have 1 to 256 pages and live for about 100 allocations; the long-lived ones have
    1 to 4 pages. Where fewer than one of them would live at a time there is no row.

    Parameters
    ----------
    pinned : sequence of float
        Shares of the allocations that live long.
    lifetimes : sequence of int
        How many allocations they live, on average; they also stay for ever.
    policy : str
        One with chunks.
    platform, cpus, chunk_size, events, seed
        Of machine and stream; bytes.

    Returns
    -------
    polars.DataFrame
        ``pinned``, ``lifetime`` (allocations; `FOREVER`), ``long`` and ``stays`` (their texts),
        ``installed`` (chunks ever), ``chunks`` (replaced, not released), ``thin`` (of these, with
        fewer than 1 % of their pages live, but some), ``empty``, ``share`` (thin ones of
        ``chunks``; null if there are none), ``held`` (bytes of ``chunks``), ``live`` (bytes of live
        areas in them), ``times`` (their ratio; null without live ones), ``failures`` (requests that
        found no room).

    Raises
    ------
    InputError
        If the policy has no chunks.
    """
    if not find_policy(policy).overlay:
        raise InputError("$.policy", "has no chunks", value=policy, allowed="a version or a repair")
    cells = [
        (share, lifetime)
        for lifetime in (*lifetimes, FOREVER)
        for share in pinned
        if lifetime == FOREVER or share * lifetime >= 1
    ]
    points = [
        {
            "stream": "pinning",
            "policy": policy,
            "platform": platform,
            "cpus": cpus,
            "chunk_size": chunk_size,
            "events": events,
            "seed": seed,
            "parameters": {"pinned": share, "pinned_live": round(share * lifetime)},
        }
        for share, lifetime in cells
    ]
    found = sweep(residents, points, inputs=inputs, title="pinning: lifetimes")
    rows = [
        {
            "pinned": share,
            "lifetime": lifetime,
            "long": one_in(share),
            "stays": "for ever" if lifetime == FOREVER else count_text(lifetime),
            **_held(one),
        }
        for (share, lifetime), one in zip(cells, found, strict=True)
    ]
    kinds = {"share": pl.Float64, "times": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _held(one: Result) -> dict[str, Any]:
    """Tell what replaced chunks hold."""
    chunks, page = sum(one["classes"]), one["page_size"]
    empty, thin = one["classes"][:2]
    held, live = chunks * one["chunk_pages"] * page, one["in_others"] * page
    return {
        "installed": one["refills"],
        "chunks": chunks,
        "thin": thin,
        "empty": empty,
        "share": thin / chunks if chunks else None,
        "held": held,
        "live": live,
        "times": held / live if live else None,
        "failures": one["failures"],
    }


def play(
    run: str,
    workloads: Sequence[str],
    policies: Sequence[str],
    platform: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
) -> list[Row]:
    """Run a recorded run and workloads through policies: stream, policy, and what came of it.

    Parameters
    ----------
    run : str
        It keeps its own CPUs and windows.
    workloads, policies : sequence of str
    platform, cpus, chunk_size, events, seed
        Of the workloads' machine and streams; bytes.
    """
    size = {"platform": platform, "cpus": cpus, "events": events, "seed": seed}
    points: list[Point] = [
        {"stream": stream, "policy": policy, "chunk_size": chunk_size, **size}
        for stream in (run, *workloads)
        for policy in policies
    ]
    found = sweep(residents, points, inputs=inputs, title="pinning: workloads")
    return [
        (stream_name(point["stream"]), str(point["policy"]), one)
        for point, one in zip(points, found, strict=True)
    ]


def occupancy_table(rows: Sequence[Row]) -> pl.DataFrame:
    """Chunks by the share of their pages that live at the end (``fig-pinning-occupancy``).

    Returns
    -------
    polars.DataFrame
        ``stream``, ``recorded``, ``policy``, ``part`` (of `PARTS`), ``chunks``. Their sum is the
        number of chunks that are not released; for policies without chunks, of stretches of the
        same size below the high-water mark.
    """
    cells = [
        (stream, stream not in WORKLOADS, policy, part, chunks)
        for stream, policy, one in rows
        for part, chunks in zip(PARTS, (one["current"], *one["classes"]), strict=True)
    ]
    names = ["stream", "recorded", "policy", "part", "chunks"]
    return pl.DataFrame(cells, schema=names, orient="row")


def ends_table(rows: Sequence[Row]) -> pl.DataFrame:
    """Tell what is held at the end, and the holes, one row for each stream and policy.

    Returns
    -------
    polars.DataFrame
        ``stream``, ``recorded``, ``policy``, ``overlay`` (whether it has chunks), ``resident``
        (whether they own their areas); what `grid_table` has of the chunks; ``high_water``,
        ``live_all`` (all live areas), ``largest_hole`` (bytes), ``holes``.
    """
    table = []
    for stream, policy, one in rows:
        rules, page = find_policy(policy), one["page_size"]
        table.append(
            {
                "stream": stream,
                "recorded": stream not in WORKLOADS,
                "policy": policy,
                "overlay": rules.overlay,
                "resident": rules.resident,
                **_held(one),
                "high_water": one["high_water"] * page,
                "live_all": one["live_pages"] * page,
                "holes": one["holes"],
                "largest_hole": one["largest_hole"] * page,
            }
        )
    kinds = {"share": pl.Float64, "times": pl.Float64}
    return pl.DataFrame(table, schema_overrides=kinds)


def without_table(
    policy: str, platform: str, cpus: int, chunk_size: int, events: int, seed: int
) -> pl.DataFrame:
    """Leave one part of the ``mixed`` workload out at a time (``tab-pinning-without``).

    Returns
    -------
    polars.DataFrame
        ``without`` (the part; empty for the whole mix), and what `grid_table` has of the chunks.
    """
    parts = ("", "stacks", "bpf", "xfs", "modules", "small", "large")
    points: list[Point] = [
        {
            "stream": "mixed",
            "policy": policy,
            "platform": platform,
            "cpus": cpus,
            "chunk_size": chunk_size,
            "events": events,
            "seed": seed,
            "parameters": {part: 0.0} if part else {},
        }
        for part in parts
    ]
    found = sweep(residents, points, inputs=inputs, title="pinning: parts of the mix")
    rows = [{"without": part, **_held(one)} for part, one in zip(parts, found, strict=True)]
    kinds = {"share": pl.Float64, "times": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)
