"""Chapter *Edges*: areas out of sight, addresses that can be foretold, and purges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.experiments import edges
from vmalloc_model.experiments.edges_addresses import addresses
from vmalloc_model.studies.edges_words import by_value, span_text
from vmalloc_model.sweep import grid, sweep
from vmalloc_model.units import count_text, share_text, size_text

__all__ = [
    "STREAMS",
    "purges_shown",
    "say_purges",
    "say_seen",
    "say_shadow",
    "seen_shown",
    "seen_table",
]

STREAMS: Final = ("stacks", "churn", "xfs")
"""Workloads of areas in the standard window."""

_SHADOW: Final = 8
"""Bytes of memory for which KASAN keeps one byte of shadow."""


def seen_table(
    platform: str,
    cpus: int,
    policies: Sequence[str],
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Run the streams, and tell what their addresses show.

    Returns
    -------
    polars.DataFrame
        ``stream``, ``policy``; ``live`` areas at the end, ``hidden`` of these; ``following``: share
        of allocations that lie directly behind the one before on their CPU; ``purges``,
        ``per_purge`` (areas, mean), ``most`` (areas), and in bytes ``purged`` (a purge, mean),
        ``span`` (of a flush, median) and ``widest``.
    """
    points = grid(
        stream=STREAMS,
        policy=policies,
        platform=[platform],
        cpus=[cpus],
        chunk_size=[chunk_size],
        events=[events],
        seed=[seed],
    )
    rows = []
    results = sweep(addresses, points, inputs=edges.inputs, title="addresses")
    for point, told in zip(points, results, strict=True):
        page = told["page_size"]
        rows.append(
            {name: point[name] for name in ("stream", "policy")}
            | {name: told[name] for name in ("live", "hidden", "purges", "most")}
            | {"following": told["following"] / max(told["pairs"], 1)}
            | {"per_purge": told["purged"] / max(told["purges"], 1)}
            | {"purged": told["pages"] * page}
            | {name: told[name] * page for name in ("span", "widest")}
        )
    return pl.DataFrame(rows)


def seen_shown(table: pl.DataFrame) -> pl.DataFrame:
    """Print what is hidden and what can be foretold."""
    return pl.DataFrame(
        {
            "stream": table["stream"],
            "policy": table["policy"],
            "live": [count_text(number) for number in table["live"]],
            "hidden": [
                f"{count_text(hidden)} ({share_text(hidden / max(live, 1))})"
                for hidden, live in table.select("hidden", "live").iter_rows()
            ],
            "following": [share_text(share) for share in table["following"]],
        }
    )


def say_seen(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-edges-seen``."""
    some = table.filter(pl.col("hidden") > 0)
    if some.height:
        shares = [hidden / live for hidden, live in some.select("hidden", "live").iter_rows()]
        names = ", ".join(some["policy"].unique(maintain_order=True).to_list())
        hidden = span_text(shares)
        text = f"Live areas that are in no busy tree at the end: {hidden} of all under {names}."
    else:
        text = "Every live area is in a busy tree."
    shares = [
        (policy, span_text(table.filter(policy=policy)["following"].to_list()))
        for policy in table["policy"].unique(maintain_order=True).to_list()
    ]
    return (
        f"{text} Allocations that begin where the one before on their CPU ended: "
        f"{by_value(shares, str)}."
    )


def purges_shown(table: pl.DataFrame) -> pl.DataFrame:
    """Print the purges; those of streams without one are left out."""
    rows = table.filter(pl.col("purges") > 0)
    return pl.DataFrame(
        {
            "stream": rows["stream"],
            "policy": rows["policy"],
            "purges": [count_text(number) for number in rows["purges"]],
            "areas": [
                f"{count_text(mean)} (most {count_text(most)})"
                for mean, most in rows.select("per_purge", "most").iter_rows()
            ],
            "purged": [size_text(size) for size in rows["purged"]],
            "span": [size_text(size) for size in rows["span"]],
            "widest": [size_text(size) for size in rows["widest"]],
        }
    )


def say_purges(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-edges-purges``: the same areas, over a wider span."""
    rows = table.filter(pl.col("purges") > 0)
    if not rows.height:
        return "No purge in these streams: fewer pages are lazy than its limit."
    text = [
        "What one purge takes. The limit in pages is the same for all policies, and as long as no "
        "allocation fails, so are the areas. The flush covers everything from the "
        "lowest to the highest address of them."
    ]
    for stream in rows["stream"].unique(maintain_order=True).to_list():
        own = rows.filter(stream=stream)
        spans = own.select("policy", "span").iter_rows()
        text.append(f"*{stream}*: {by_value(spans, size_text)}.")
    return " ".join(text)


def say_shadow(chunk_size: int) -> str:
    """Print the bytes of KASAN's shadow for a chunk."""
    return size_text(chunk_size // _SHADOW)
