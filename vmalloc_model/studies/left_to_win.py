"""Chapter *What is left to win*: visits to locks with and without pools and overlay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import polars as pl

from vmalloc_model.errors import InputError
from vmalloc_model.experiments.lock_visits import CAUSES, LOCKS, inputs, lock_visits
from vmalloc_model.experiments.scene import stream_name
from vmalloc_model.sweep import Point, sweep

__all__ = [
    "ASKED",
    "CPU_WORKLOADS",
    "ENOUGH",
    "GROWS",
    "SMALL",
    "SWEPT",
    "VARIANTS",
    "Variant",
    "chunk_table",
    "counted",
    "cpus_table",
    "knee_table",
    "visits_table",
]


@dataclass(frozen=True, slots=True)
class Variant:
    """One allocator of the ablation.

    Attributes
    ----------
    policy : str
        Policy of the model.
    pools : bool
        Whether there are several vmap nodes, and so pools.
    title : str
        What it is.
    """

    policy: str
    pools: bool
    title: str


VARIANTS: Final = {
    "no pools": Variant("mainline", False, "one vmap node: before 6.9, 32-bit, or one CPU"),
    "pools only": Variant("mainline", True, "mainline"),
    "overlay only": Variant("rfc10", False, "10/12 without pools"),
    "10/12": Variant("rfc10", True, "pools first, then the chunk"),
    "chunk first": Variant("rfc10-chunk-first", True, "10/12 in the order of 11/12; no patch"),
    "11/12": Variant("rfc11", True, "chunk first, whole chunks go back; any miss refills"),
    "12/12": Variant("rfc12", True, "chunk first, whole chunks go back"),
}
"""Name -> variant, in the order of tables."""

SWEPT: Final = ("10/12", "12/12")
"""Variants that meet all chunk sizes: the two that patches propose to keep."""

CPU_WORKLOADS: Final = ("stacks", "random_size", "xfs", "mixed")
"""Workloads of the comparison by CPUs: one size; any of 100; large ones; several kinds at once."""

ASKED: Final = ("pools only", "10/12", "12/12")
"""Variants of that comparison."""

GROWS: Final = 0.1
"""A live set grows that gains more than this many areas per allocation of the half."""

SMALL: Final = 0.01
"""Share of all visits below which those for chunks are few."""

ENOUGH: Final = 4
"""Refills for each CPU from which on their number tells something."""

_TOLD: Final = ("pool_hits", "bump_hits", "failures", "refill_failures")

_CHUNKS: Final = ("refill", "release")
"""Causes that there are no visits of without chunks."""


def counted(
    streams: Sequence[str],
    platform: str,
    cpus: int,
    chunk_size: int,
    chunk_sizes: Sequence[int],
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Run all streams through all variants, and those of `SWEPT` with all chunk sizes too.

    Parameters
    ----------
    streams : sequence of str
        Recorded runs and workloads. A run keeps its machine and length.
    platform : str
        Id of the platform of the workloads, and of runs whose platform is not known.
    cpus, events, seed : int
        Of the workloads.
    chunk_size : int
        Bytes; the chunk of the comparison of variants.
    chunk_sizes : sequence of int
        Bytes, each the double of the one before.

    Returns
    -------
    polars.DataFrame
        One row for each stream, variant, chunk size and half: ``stream``, ``variant``, and what
        `vmalloc_model.experiments.lock_visits.lock_visits` counts.

    Raises
    ------
    InputError
        If a chunk size is none of the platform's or not the double of the one before.
    """
    for place, (one, two) in enumerate(pairwise(chunk_sizes), 1):
        if two != 2 * one:
            where, problem = f"$.chunk_sizes[{place}]", "not the double of the one before"
            raise InputError(where, problem, value=two, allowed=f"{2 * one:,}")
    every = sorted({chunk_size, *chunk_sizes})
    sizes = {name: every if name in SWEPT else [chunk_size] for name in VARIANTS}
    points = [
        {
            "stream": stream,
            "platform": platform,
            "cpus": cpus,
            "events": events,
            "seed": seed,
            "cases": _cases(sizes),
        }
        for stream in streams
    ]
    return _rows(points, list(VARIANTS))


def _cases(sizes: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """Cases of variants, with their chunk sizes."""
    found = {name: VARIANTS[name] for name in sizes}
    return [
        {"policy": one.policy, "pools": one.pools, "chunk_sizes": list(sizes[name])}
        for name, one in found.items()
    ]


def _rows(points: Sequence[Point], variants: Sequence[str]) -> pl.DataFrame:
    """Run the points; the names of the variants are those of the cases."""
    done = sweep(lock_visits, points, inputs=inputs, title="lock visits")
    rows = [
        {"stream": stream_name(point["stream"]), "variant": variants[row["case"]], **row}
        for point, result in zip(points, done, strict=True)
        for row in result["rows"]
    ]
    return pl.DataFrame(rows).drop("case")


def _per_1000(column: str) -> pl.Expr:
    return 1000 * pl.col(column) / pl.max_horizontal("requests", pl.lit(1))


def visits_table(rows: pl.DataFrame, chunk_size: int) -> pl.DataFrame:
    """Visits per 1,000 allocations at one chunk size (``fig-left-visits``, ``fig-left-causes``).

    Parameters
    ----------
    rows : polars.DataFrame
        Of `counted`.
    chunk_size : int
        Bytes.

    Returns
    -------
    polars.DataFrame
        One row for each stream, variant and half: ``stream``, ``variant``, ``half``, ``requests``,
        ``grows`` (whether the live set grows); per 1,000 allocations ``visits`` to the global lock
        and of these one column for each of `CAUSES`; the other `LOCKS` as ``lock_NAME``; and
        ``pool_hits``, ``bump_hits``, ``failures``, ``refill_failures``. The streams that pools
        alone leave most visits in their second half come first.
    """
    table = rows.filter(pl.col("chunk_size") == chunk_size).select(
        "stream",
        "variant",
        "half",
        "requests",
        grows=pl.col("grown") > GROWS * pl.col("requests"),
        visits=_per_1000("lock_global"),
        **{name: _per_1000(name) for name in CAUSES},
        **{f"lock_{name}": _per_1000(f"lock_{name}") for name in LOCKS if name != "global"},
        **{name: _per_1000(name) for name in _TOLD},
    )
    most = table.filter((pl.col("variant") == "pools only") & (pl.col("half") == 2))
    order = most.sort("visits", descending=True, maintain_order=True)["stream"].to_list()
    rank = {stream: place for place, stream in enumerate(order)}
    return table.sort(pl.col("stream").replace_strict(rank), maintain_order=True)


def chunk_table(rows: pl.DataFrame, streams: Sequence[str]) -> pl.DataFrame:
    """Visits per 1,000 allocations of the second half against chunk size (``fig-left-chunk``).

    Parameters
    ----------
    rows : polars.DataFrame
        Of `counted`.
    streams : sequence of str
        In the order of the table.

    Returns
    -------
    polars.DataFrame
        One row for each stream, variant of `SWEPT` and chunk size: ``stream``, ``variant``,
        ``chunk_size`` (bytes), ``visits``; of these ``chunks`` (refills and releases) and ``rest``
        (all others); ``refill`` (refills alone); ``saved`` by twice the chunk, null where that is
        not in the table; ``share`` of ``chunks`` in the visits; ``told``: whether there were
        `ENOUGH` refills for each CPU in the half, so that the share means something.
    """
    rank = {stream: place for place, stream in enumerate(streams)}
    one = ("stream", "variant")
    table = rows.filter(pl.col("variant").is_in(SWEPT) & (pl.col("half") == 2)).sort(
        pl.col("stream").replace_strict(rank), "variant", "chunk_size", maintain_order=True
    )
    size, visits = pl.col("chunk_size"), pl.col("lock_global")
    doubled = size.shift(-1).over(one) == 2 * size
    return table.with_columns(
        chunks=pl.sum_horizontal(_CHUNKS), fewer=visits - visits.shift(-1).over(one)
    ).select(
        *one,
        "chunk_size",
        visits=_per_1000("lock_global"),
        chunks=_per_1000("chunks"),
        rest=1000 * (visits - pl.col("chunks")) / pl.max_horizontal("requests", pl.lit(1)),
        refill=_per_1000("refill"),
        saved=pl.when(doubled).then(_per_1000("fewer")),
        share=pl.col("chunks") / pl.max_horizontal("lock_global", pl.lit(1)),
        told=pl.col("refill") >= ENOUGH * pl.col("cpus"),
    )


def knee_table(table: pl.DataFrame, barely: float, chunk_size: int) -> pl.DataFrame:
    """Find where larger chunks stop to help (``fig-left-knee``, ``tab-left-knee``).

    Parameters
    ----------
    table : polars.DataFrame
        Of `chunk_table`.
    barely : float
        Visits per 1,000 allocations below which a saving is small.
    chunk_size : int
        Bytes.

    Returns
    -------
    polars.DataFrame
        One row for each stream and variant: ``stream``, ``variant``; ``knee``, the smallest chunk
        from which on every doubling saves less than `barely`; ``few``, the smallest from which on
        the visits for chunks are below `SMALL` of all (both in bytes, null where no chunk of the
        table is one); ``told``, the largest chunk whose share is told, null where none is;
        ``visits`` and ``refill`` at the chunk, ``doubled`` and ``refill_doubled`` at twice as much,
        null where those are not in the table; ``rest`` at the largest chunk.
    """
    found = []
    for (stream, variant), rows in table.group_by("stream", "variant", maintain_order=True):
        sizes, told = rows["chunk_size"].to_list(), rows.filter("told")
        saved, share = rows["saved"].to_list(), told["share"].to_list()
        at = {row["chunk_size"]: row for row in rows.iter_rows(named=True)}
        here, twice = at.get(chunk_size, {}), at.get(2 * chunk_size, {})
        found.append(
            {
                "stream": stream,
                "variant": variant,
                "knee": _from_here_on(sizes[:-1], [one < barely for one in saved[:-1]]),
                "few": _from_here_on(told["chunk_size"].to_list(), [one < SMALL for one in share]),
                "told": told["chunk_size"].max(),
                "visits": here.get("visits"),
                "doubled": twice.get("visits"),
                "refill": here.get("refill"),
                "refill_doubled": twice.get("refill"),
                "rest": at[sizes[-1]]["rest"],
            }
        )
    numbers = ("visits", "doubled", "refill", "refill_doubled", "rest")
    kinds: dict[str, Any] = dict.fromkeys(("knee", "few", "told"), pl.Int64)
    return pl.DataFrame(found, schema_overrides=kinds | dict.fromkeys(numbers, pl.Float64))


def _from_here_on(sizes: Sequence[int], holds: Sequence[bool]) -> int | None:
    """Smallest size from which on something holds at every size."""
    found = None
    for size, held in zip(reversed(sizes), reversed(holds), strict=True):
        if not held:
            break
        found = size
    return found


def cpus_table(
    platform: str, cpu_counts: Sequence[int], chunk_size: int, events: int, seed: int
) -> pl.DataFrame:
    """Compare machines of several sizes (``tab-left-cpus``).

    Parameters
    ----------
    platform, chunk_size, events, seed
        As for `counted`.
    cpu_counts : sequence of int
        CPUs of the machines.

    Returns
    -------
    polars.DataFrame
        One row for each of `CPU_WORKLOADS`, number of CPUs and variant of `ASKED`, second half:
        ``stream``, ``cpus``, ``variant``; per 1,000 allocations ``visits``, and one column for
        each of `CAUSES`.
    """
    cases = _cases({name: [chunk_size] for name in ASKED})
    own = {"platform": platform, "events": events, "seed": seed, "cases": cases}
    points = [
        {"stream": stream, "cpus": cpus, **own} for stream in CPU_WORKLOADS for cpus in cpu_counts
    ]
    return (
        _rows(points, ASKED)
        .filter(half=2)
        .select(
            "stream",
            "cpus",
            "variant",
            visits=_per_1000("lock_global"),
            **{name: _per_1000(name) for name in CAUSES},
        )
    )
