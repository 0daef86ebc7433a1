"""Chapter *Pinning*: what a free has to look at, and what it may release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.experiments.pinning import inputs, lookups, residents
from vmalloc_model.experiments.play import inputs as play_inputs
from vmalloc_model.experiments.play import play
from vmalloc_model.experiments.scene import stream_name
from vmalloc_model.sweep import Point, Result, sweep

__all__ = [
    "BUSY",
    "OWNERS",
    "REPAIRED",
    "SPREAD",
    "VERSIONS",
    "cpus_table",
    "frees_table",
    "list_table",
    "owners_table",
]

REPAIRED: Final = ("rfc12", "release-at-refill")
"""The last version, which leaves drained chunks on the list, and the repair that does not."""

SPREAD: Final = ("stacks", "xfs", "producer_consumer", "mixed")
"""Workloads that differ in how many frees come from other CPUs."""

VERSIONS: Final = ("rfc11", "rfc12")
"""A chunk's owner is the CPU that frees; the CPU that installed it."""

BUSY: Final = 15_001
"""Areas of ``long_busy_list_alloc_test`` that stay until its loop is over: 15,000 and their array.
Source: Linux 6.12 lib/test_vmalloc.c."""

_FULL: Final = 128
"""From so many CPUs on streams grow with the CPUs: else their chunks would hardly be used."""

OWNERS: Final[tuple[tuple[str, str, Mapping[str, int]], ...]] = (
    ("one waiting", "producer_consumer", {"depth": 1}),
    ("1,000 waiting", "producer_consumer", {}),
    ("10 threads", "stacks", {"live": 10}),
    ("1,000 threads", "stacks", {}),
    ("mixed", "mixed", {}),
)
"""Name, workload and parameters of the streams in which frees come from other CPUs."""


def cpus_table(
    policy: str,
    workloads: Sequence[str],
    platform: str,
    cpu_counts: Sequence[int],
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Count the steps of the lookup in a free against CPUs (``fig-pinning-lookup``).

    Parameters
    ----------
    policy : str
        One whose chunks own their areas.
    workloads : sequence of str
    platform : str
    cpu_counts : sequence of int
    chunk_size : int
        Bytes.
    events : int
        Of each stream; more with many CPUs, in proportion.
    seed : int

    Returns
    -------
    polars.DataFrame
        What `frees_table` has; ``own`` and ``walk`` are not told.
    """
    points: list[Point] = [
        {
            "stream": workload,
            "policy": policy,
            "platform": platform,
            "cpus": cpus,
            "chunk_size": chunk_size,
            "events": max(events, events * cpus // _FULL),
            "seed": seed,
        }
        for workload in workloads
        for cpus in cpu_counts
    ]
    found = sweep(play, points, inputs=play_inputs, title="pinning: CPUs")
    told = [{**one, "own": None, "listed": one["chunks"] - one["chunks_released"]} for one in found]
    return _rows(points, told)


def frees_table(
    policy: str,
    run: str,
    workloads: Sequence[str],
    platform: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Tell where frees find their areas (``tab-pinning-frees``).

    Returns
    -------
    polars.DataFrame
        ``stream``, ``cpus``, ``frees``, ``rejected`` (share outside the bounds of all chunks, which
        is known at once), ``remote`` (share on another CPU than the allocation), ``own`` (share
        of the frees that were not rejected whose area is in the current chunk of the CPU that
        frees; null where it cannot be told), ``steps`` (chunks looked at, for each free that was
        not rejected; null if there is none), ``walk`` (chunks of the list that were looked at, for
        each of those not found in the own chunk; null if there is none), ``listed`` (chunks on the
        list at the end), ``failures`` (requests that found no room).
    """
    size = {"platform": platform, "chunk_size": chunk_size, "cpus": cpus}
    points: list[Point] = [
        {"stream": stream, "policy": policy, "events": events, "seed": seed, **size}
        for stream in (run, *workloads)
    ]
    return _rows(points, sweep(lookups, points, inputs=inputs, title="pinning: lookups"))


def _rows(points: Sequence[Point], found: Sequence[Result]) -> pl.DataFrame:
    kinds = dict.fromkeys(("rejected", "remote", "own", "steps", "walk"), pl.Float64)
    rows = [
        {
            "stream": stream_name(point["stream"]),
            "cpus": one.get("cpus", point["cpus"]),
            **_looked_up(one),
        }
        for point, one in zip(points, found, strict=True)
    ]
    return pl.DataFrame(rows, schema_overrides=kinds)


def _looked_up(one: Result) -> dict[str, Any]:
    frees, looked, steps, own = (one[k] for k in ("frees", "lookups", "lookup_steps", "own"))
    others = None if own is None else looked - own
    return {
        "frees": frees,
        "rejected": 1 - looked / frees if frees else None,
        "remote": one["remote_frees"] / frees if frees else None,
        "own": None if own is None or not looked else own / looked,
        "steps": steps / looked if looked else None,
        # each looks at the own chunk first
        "walk": (steps - looked) / others if others else None,
        "listed": one["listed"],
        "failures": one["failures"],
    }


def list_table(
    policies: Sequence[str],
    loops: Sequence[int],
    platform: str,
    chunk_size: int,
    seed: int,
) -> pl.DataFrame:
    """Let drained chunks pile up, then free what is older (``tab-pinning-list``).

    ``long_busy_list_alloc_test`` on one CPU, once through: `BUSY` areas, the loop, their frees.

    Returns
    -------
    polars.DataFrame
        ``policy``, ``loops``, ``frees``, ``listed`` (chunks on the list at the end), ``steps``
        (chunks looked at in all frees), ``failures``, ``walked`` (those of the list, for each area
        that stayed; the loop's own frees add at most two for each refill).
    """
    points: list[Point] = [
        {
            "stream": "long_busy_list",
            "policy": policy,
            "platform": platform,
            "cpus": 1,
            "chunk_size": chunk_size,
            "events": 4 * count + 2 * BUSY,
            "seed": seed,
            "parameters": {"loops": count},
        }
        for policy in policies
        for count in loops
    ]
    found = sweep(play, points, inputs=play_inputs, title="pinning: the list")
    rows = []
    for point, one in zip(points, found, strict=True):
        rows.append(
            {
                "policy": point["policy"],
                "loops": point["parameters"]["loops"],
                "frees": one["frees"],
                "listed": one["chunks"] - one["chunks_released"],
                "steps": one["lookup_steps"],
                "failures": one["failures"],
                "walked": (one["lookup_steps"] - one["lookups"]) / BUSY,
            }
        )
    return pl.DataFrame(rows)


def owners_table(
    policies: Sequence[str], platform: str, cpus: int, chunk_size: int, events: int, seed: int
) -> pl.DataFrame:
    """Count frees on other CPUs, and what they release (``tab-pinning-owners``).

    Returns
    -------
    polars.DataFrame
        ``name`` (of `OWNERS`), ``policy``, ``frees``, ``remote`` (share), ``installed``,
        ``released``, ``in_use`` (released while some CPU still allocated from them), ``drained``
        (replaced, empty, never looked at again), ``missed`` (frees whose chunk was gone),
        ``failures``.
    """
    cells: list[tuple[str, str, str, Mapping[str, int]]] = [
        (name, workload, policy, extra) for name, workload, extra in OWNERS for policy in policies
    ]
    points: list[Point] = [
        {
            "stream": workload,
            "policy": policy,
            "platform": platform,
            "cpus": cpus,
            "chunk_size": chunk_size,
            "events": events,
            "seed": seed,
            "parameters": dict(extra),
        }
        for _, workload, policy, extra in cells
    ]
    found = sweep(residents, points, inputs=inputs, title="pinning: owners")
    rows = [
        {
            "name": name,
            "policy": policy,
            "frees": one["frees"],
            "remote": one["remote_frees"] / max(one["frees"], 1),
            "installed": one["refills"],
            "released": one["chunks_released"],
            "in_use": one["released_while_current"],
            "drained": one["chunks_lost"],
            "missed": one["lost_frees"],
            "failures": one["failures"],
        }
        for (name, _, policy, _), one in zip(cells, found, strict=True)
    ]
    return pl.DataFrame(rows)
