"""Chapter *Edges*: CPUs that stop allocating, and CPUs that share a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.allocator.machine import MAX_NODES, ZONE_PAGES
from vmalloc_model.constraints import backpointer_bytes
from vmalloc_model.experiments import edges
from vmalloc_model.platforms import find_platform
from vmalloc_model.studies.edges_words import by_value
from vmalloc_model.studies.wide import wide
from vmalloc_model.sweep import grid, sweep
from vmalloc_model.units import count_text, cpus_text, share_text, size_text

__all__ = [
    "MASKS",
    "nodes_shown",
    "nodes_table",
    "say_most_nodes",
    "say_nodes",
    "say_stopped",
    "stopped_shown",
    "stopped_table",
]

_AREAS: Final = 100
"""Allocations of each CPU before it stops, of 3 pages and a guard page."""

MASKS: Final = (
    (32, 1, 32),
    (128, 1, 128),
    (256, 1, 256),
    (512, 1, 512),
    (4096, 1, 4096),
    (8192, 1, 8192),
    (64, 2, 64),
    (32, 128, 4096),
)
"""CPUs in use, distance of their ids, possible CPUs; what a kernel cannot be built for is left
out."""

_ROUNDS: Final = 8


def stopped_table(
    platform: str, cpus: int, policies: Sequence[str], chunk_size: int
) -> pl.DataFrame:
    """Let half of the CPUs stop, and tell what is kept for them after each event.

    Returns
    -------
    polars.DataFrame
        ``stage`` (of `vmalloc_model.experiments.edges.STAGES`), ``policy``, ``kept`` (bytes that
        nobody uses and nobody can get), ``stopped`` (CPUs), ``current`` (of these, with a current
        chunk at the end).
    """
    points = grid(
        platform=[platform],
        cpus=[cpus],
        policy=policies,
        chunk_size=[chunk_size],
        areas=[_AREAS],
    )
    results = sweep(edges.stopped, points, inputs=edges.inputs, title="CPUs that stop")
    rows = [
        {
            "stage": stage,
            "policy": point["policy"],
            "kept": told[stage] * told["page_size"],
            "stopped": told["stopped"],
            "current": told["current"],
        }
        for stage in edges.STAGES
        for point, told in zip(points, results, strict=True)
    ]
    return pl.DataFrame(rows)


def stopped_shown(table: pl.DataFrame) -> pl.DataFrame:
    """Print `stopped_table`: a row for each event, a column for each policy."""
    named = table.with_columns(pl.col("stage").replace_strict(edges.STAGES))
    return wide(named, ["stage"], "policy", "kept", size_text)


def say_stopped(table: pl.DataFrame, platform: str, chunk_size: int) -> str:
    """Word the caption of ``tab-edges-stopped``: what no event gives back."""
    stopped = int(table["stopped"].to_list()[0])
    last = table.filter(pl.col("stage") == list(edges.STAGES)[-1])
    text = [
        f"Address space that is kept although nobody uses it: {cpus_text(stopped)} freed "
        f"all they had and stopped."
    ]
    gone = last.filter(pl.col("kept") == 0)["policy"].to_list()
    if gone:
        text.append(f"All of it is back at the end under {', '.join(gone)}.")
    stays = last.filter(pl.col("kept") > 0)
    if stays.height:
        kept = by_value(stays.select("policy", "kept").iter_rows(), size_text)
        own = find_platform(platform)
        pointers = int(backpointer_bytes(chunk_size, own.page_size, own.pointer_size))
        text.append(
            f"No purge, no shrinker and no failed allocation gives a current chunk back: "
            f"{kept} at the end. From 11/12 on each chunk also keeps "
            f"{size_text(pointers)} of back-pointers, as memory."
        )
    return " ".join(text)


def nodes_table(platform: str, policies: Sequence[str], chunk_size: int, seed: int) -> pl.DataFrame:
    """Let all CPUs that are used do the same, for the sets of CPUs that are possible (`MASKS`).

    Returns
    -------
    polars.DataFrame
        ``used`` (CPUs), ``stride`` (of their ids), ``possible`` (CPUs), ``policy``, ``apart``
        (whether pointers into chunks were set apart first), ``nodes``, ``requests``, ``chunks``,
        ``pool`` and ``lazy``: the busiest node's share of the visits to pools and to lazy lists;
        ``own_chunk``: visits to a CPU's own chunk for each request.
    """
    most = find_platform(platform).nr_cpus_max
    points = [
        {
            "platform": platform,
            "policy": policy,
            "chunk_size": chunk_size,
            "cpus": used,
            "stride": stride,
            "possible": possible,
            "rounds": _ROUNDS,
            "apart": apart,
            "seed": seed,
        }
        for used, stride, possible in MASKS
        if possible <= most
        for policy in policies
        for apart in (False, True)
    ]
    results = sweep(edges.shared, points, inputs=edges.inputs, title="nodes")
    rows = []
    for point, told in zip(points, results, strict=True):
        shares = {
            name: told[f"{name}_busiest"] / max(told[f"{name}_visits"], 1)
            for name in ("pool", "lazy")
        }
        rows.append(
            {"used": point["cpus"]}
            | {name: point[name] for name in ("stride", "possible", "policy", "apart")}
            | {name: told[name] for name in ("nodes", "requests", "chunks")}
            | shares
            | {"own_chunk": told["chunk_visits"] / told["requests"]}
        )
    return pl.DataFrame(rows)


def nodes_shown(table: pl.DataFrame) -> pl.DataFrame:
    """Print `nodes_table`: a row for each set of CPUs.

    Returns
    -------
    polars.DataFrame
        ``cpus`` (in use, with the distance of their ids), ``nodes``, ``chunks`` (most of any
        policy), ``even`` (an even share of the nodes), and the busiest node's shares: ``pools`` of
        mainline, and ``lazy``, ``step``, ``apart``: of lazy lists, mainline, and 12/12 with
        pointers that keep step and that do not.
    """
    rows = []
    masks = table.select("used", "stride", "possible").unique(maintain_order=True)
    for used, stride, possible in masks.iter_rows():
        own = table.filter(used=used, stride=stride, possible=possible)
        text = f"{count_text(used)} of {count_text(possible)}"
        rows.append(
            {
                "cpus": text + (f", every {_ordinal(stride)} id" if stride > 1 else ""),
                "nodes": count_text(own["nodes"].to_list()[0]),
                "even": share_text(1 / own["nodes"].to_list()[0]),
                "pools": _share(own, "mainline", False, "pool"),
                "lazy": _share(own, "mainline", False, "lazy"),
                "step": _share(own, "rfc12", False, "lazy"),
                "apart": _share(own, "rfc12", True, "lazy"),
                "chunks": count_text(max(own["chunks"].to_list())),
            }
        )
    return pl.DataFrame(rows)


def _ordinal(number: int) -> str:
    return "2nd" if number == 2 else f"{count_text(number)}th"


def _share(rows: pl.DataFrame, policy: str, apart: bool, column: str) -> str:
    found = rows.filter(policy=policy, apart=apart)[column].to_list()
    return share_text(found[0]) if found else "-"


def say_nodes(table: pl.DataFrame, platform: str, chunk_size: int) -> str:
    """Word the caption of ``tab-edges-nodes``: who shares a node, and why."""
    text = (
        "All CPUs in use, of the possible ones, do the same: the busiest node's share of the "
        "visits, beside an even share. *Pools* and *lazy lists* are mainline's; the last two "
        "shares are those of the lazy lists of rfc12."
    )
    if max(table["nodes"]) == 1:
        return f"{text} Kernels of {platform} have a single node and no pools: all share it."
    return f"{text}{_say_numbers(table)}{_say_addresses(table, platform, chunk_size)}"


def _say_numbers(table: pl.DataFrame) -> str:
    """Word how mainline's nodes follow from the numbers of CPUs."""
    rows = table.filter((pl.col("policy") == "mainline") & ~pl.col("apart"))
    if not rows.height:
        return ""
    text = (
        " Mainline takes a node by the number of the CPU modulo the nodes, "
        f"{MAX_NODES} at most. From there "
        "on CPUs share, evenly while the ids are dense"
    )
    holes = rows.filter(pl.col("stride") > 1).sort("pool", descending=True, maintain_order=True)
    if not holes.height:
        return f"{text}."
    worst = holes.row(0, named=True)
    return (
        f"{text}; where {count_text(worst['used'])} CPUs have every {_ordinal(worst['stride'])} id,"
        f" the busiest node gets {share_text(worst['pool'])}."
    )


def _say_addresses(table: pl.DataFrame, platform: str, chunk_size: int) -> str:
    """Word how the nodes of areas in chunks follow from their addresses."""
    rows = table.filter(policy="rfc12")
    if not rows.height:
        return ""
    step = max(rows.filter(~pl.col("apart"))["lazy"])
    many = rows.filter("apart").sort("used", descending=True, maintain_order=True)
    used, apart = many.select("used", "lazy").row(0)
    stripe = ZONE_PAGES * find_platform(platform).page_size
    turn = stripe * max(table["nodes"])
    why = (
        f"A chunk of {size_text(chunk_size)} is a whole number of these turns, so CPUs whose "
        "pointers stand at the same place in their chunks share a node"
        if chunk_size % turn == 0
        else "So the node depends on where pointers stand"
    )
    return (
        " Under rfc12 an allocation asks the CPU's own chunk and no pool, whatever the ids are. "
        "But its areas have no node of their own, and a free goes to the node of the address: "
        f"stripes of {size_text(stripe)}, one node after the other, and from the start again after "
        f"{size_text(turn)}. {why}: up to {share_text(step)} of the visits where all keep step, "
        f"{share_text(apart)} with {count_text(used)} CPUs whose pointers were set apart at random."
    )


def say_most_nodes() -> str:
    """Print how many nodes there are at most."""
    return count_text(MAX_NODES)
