"""Chapter *Edges*: a range that is full, and per-CPU areas that meet chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.experiments import edges
from vmalloc_model.experiments.play import inputs as play_inputs
from vmalloc_model.experiments.play import play
from vmalloc_model.platforms import find_platform
from vmalloc_model.studies.edges_words import by_value
from vmalloc_model.studies.growth import PARTS
from vmalloc_model.studies.platform_rows import chosen, listed
from vmalloc_model.studies.wide import wide
from vmalloc_model.sweep import grid, sweep
from vmalloc_model.units import count_text, share_text, size_text

__all__ = [
    "DISTANCES",
    "LARGER",
    "SMALLEST_64",
    "fillable",
    "full_parts",
    "full_summary",
    "full_table",
    "meeting_shown",
    "meeting_table",
    "say_full",
    "say_limit",
    "say_meeting",
]

SMALLEST_64: Final = "riscv64-sv39"
"""A 64-bit platform with a range that can be filled in a moment."""

LARGER: Final = (SMALLEST_64, "arm64-39bit-4k", "arm64-48bit-4k")
"""64-bit platforms, for `meeting_table`."""

DISTANCES: Final = (0.25, 0.5, 0.75)
"""Distance of the first from the last per-CPU area of a chunk, as a share of the range. Above 0.75
the kernel refuses the layout and maps its first chunk page by page instead."""

_RATE: Final = 100_000
"""Requests a second, for a sense of time."""


def fillable(platforms: Sequence[str]) -> list[str]:
    """Keep the platforms whose range can be filled in a moment, and add `SMALLEST_64`."""
    most = find_platform(SMALLEST_64).size
    small = [id for id in platforms if find_platform(id).size <= most]
    return list(dict.fromkeys([*small, SMALLEST_64]))


def full_table(
    platforms: Sequence[str], cpus: int, policies: Sequence[str], chunk_size: int, seed: int
) -> pl.DataFrame:
    """Fill ranges until the first allocation fails (``fig-edges-full``).

    Returns
    -------
    polars.DataFrame
        ``platform``, ``policy``, ``allocations`` before the failure, ``searches`` of the global
        free space by the request that failed, ``purges`` (overflow purges by then); in bytes:
        ``window``, ``request``, ``largest`` (gap), and each of `PARTS` of the window;
        ``live_share``.
    """
    points = grid(
        platform=platforms, cpus=[cpus], policy=policies, chunk_size=[chunk_size], seed=[seed]
    )
    rows = []
    results = sweep(edges.full, points, inputs=edges.inputs, title="full ranges")
    for point, told in zip(points, results, strict=True):
        names = ("window", "request", "largest", *PARTS)
        rows.append(
            {name: point[name] for name in ("platform", "policy")}
            | {name: told[name] for name in ("allocations", "searches", "purges")}
            | {name: told[name] * told["page_size"] for name in names}
            | {"live_share": told["live"] / told["window"]}
        )
    return pl.DataFrame(rows)


def full_parts(full: pl.DataFrame) -> pl.DataFrame:
    """Make `full_table` long.

    Returns
    -------
    polars.DataFrame
        ``stream`` (the platform), ``recorded`` (False), ``policy``, ``part`` (of `PARTS`),
        ``share`` (of the window).
    """
    shares = full.select(
        stream="platform",
        recorded=pl.lit(False),
        policy="policy",
        **{part: pl.col(part) / pl.col("window") for part in PARTS},
    )
    index = ["stream", "recorded", "policy"]
    return shares.unpivot(list(PARTS), index=index, variable_name="part", value_name="share")


def full_summary(full: pl.DataFrame) -> pl.DataFrame:
    """Print the live share at the first failure: a row for each platform."""
    return wide(full, ["platform"], "policy", "live_share", share_text)


def say_full(full: pl.DataFrame) -> str:
    """Word the caption of ``fig-edges-full``: how full a range gets, and what is out of reach."""
    text = [
        "Areas of 1 to 256 pages are allocated, one of three is freed again, until an allocation "
        "fails: the range at that moment."
    ]
    for platform in full["platform"].unique(maintain_order=True).to_list():
        rows = full.filter(platform=platform)
        shares = by_value(rows.select("policy", "live_share").iter_rows(), share_text)
        text.append(f"Live on *{platform}*: {shares}.")
    out = full.with_columns(out=(pl.col("room") + pl.col("held")) / pl.col("window"))
    worst = out.sort("out", descending=True, maintain_order=True).row(0, named=True)
    if worst["out"] > 0:
        text.append(
            f"Free, but inside chunks where this request cannot have it: up to "
            f"{share_text(worst['out'])} of a range ({worst['policy']} on {worst['platform']}: "
            f"{share_text(worst['room'] / worst['window'])} room in current chunks, "
            f"{share_text(worst['held'] / worst['window'])} freed and held)."
        )
    plain = full.filter(policy="mainline")["searches"].to_list()
    others = full.filter(pl.col("policy").is_in(["rfc10", "rfc11", "rfc12"]))["searches"].to_list()
    if plain and others:
        text.append(
            f"The request that fails has searched {count_text(max(plain))} times under mainline, "
            f"before and after a purge that empties the pools, and {count_text(max(others))} times "
            "under the overlay: each time for a chunk as well. Neither search looks into other "
            "CPUs' chunks."
        )
    return " ".join(text)


def meeting_table(
    platforms: Sequence[str],
    policy: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Count the chunks below the lowest per-CPU area, and how soon they are used up.

    The areas of one chunk of per-CPU memory lie at fixed distances from each other; the highest
    ends at the end of the range, so the lowest begins the distance below it.

    Parameters
    ----------
    platforms : sequence of str
        Ids; the smallest range first.
    policy : str
        Whose refills are counted, on each platform, under ``churn`` with its defaults.
    cpus, chunk_size, events, seed : int
        Of that stream.

    Returns
    -------
    polars.DataFrame
        ``platform``, ``distance`` (share of the range), ``below`` (bytes), ``chunks`` that fit
        there; ``page_tables`` (bytes of the lowest level that map as much);
        ``requests_per_refill``, ``requests`` until then, ``seconds`` at 100,000 requests a
        second; the last three are null where the stream made no refill or a request failed.
    """
    ids = [platform.id for platform in chosen(list(dict.fromkeys(platforms)))]
    points = grid(
        stream=["churn"],
        platform=ids,
        policy=[policy],
        cpus=[cpus],
        chunk_size=[chunk_size],
        events=[events],
        seed=[seed],
    )
    rows = []
    results = sweep(play, points, inputs=play_inputs, title="refills")
    for id, told in zip(ids, results, strict=True):
        steady = told["refills"] and not told["failures"] and not told["refill_failures"]
        each = told["requests"] / told["refills"] if steady else None
        platform = find_platform(id)
        page, usable = platform.page_size, platform.usable_size
        for distance in DISTANCES:
            below = int(usable * (1 - distance))
            chunks = below // chunk_size
            requests = chunks * each if each is not None else None
            rows.append(
                {
                    "platform": id,
                    "distance": distance,
                    "below": below,
                    "chunks": chunks,
                    "page_tables": below // (page // platform.pointer_size),
                    "requests_per_refill": each,
                    "requests": requests,
                    "seconds": None if requests is None else requests / _RATE,
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def meeting_shown(table: pl.DataFrame) -> pl.DataFrame:
    """Print `meeting_table`."""
    return pl.DataFrame(
        {
            "platform": table["platform"],
            "distance": [share_text(share) for share in table["distance"]],
            "below": [size_text(size) for size in table["below"]],
            "chunks": [count_text(number) for number in table["chunks"]],
            "tables": [size_text(size) for size in table["page_tables"]],
            "requests": [_number(number) for number in table["requests"]],
            "time": [_time(seconds) for seconds in table["seconds"]],
        }
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1e6:.3g} million" if value >= 1e6 else count_text(value)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, length in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def say_meeting(table: pl.DataFrame, policy: str) -> str:
    """Word the caption of ``tab-edges-meeting``: where chunks from below meet areas from above."""
    known = table.filter(pl.col("requests").is_not_null())
    text = [
        "Per-CPU areas of one chunk of per-CPU memory keep the distances that the machine's memory "
        "nodes have, and are placed from the top; the further they are apart, the lower the lowest "
        "one lies, and the fewer chunks fit below it. Distances are shares of the range."
    ]
    most = table.filter(distance=DISTANCES[-1])
    words = [
        f"{platform} {count_text(chunks)}"
        for platform, chunks in most.select("platform", "chunks").iter_rows()
    ]
    text.append(f"At {share_text(DISTANCES[-1])}: {listed(words)} chunks.")
    if known.height:
        text.append(
            f"Requests and time until they meet take the refills of {policy} under churn in "
            f"the model, as if no address were ever used again, at "
            f"{count_text(_RATE)} requests a second."
        )
    return " ".join(text)


def say_limit() -> str:
    """Print the largest distance of per-CPU areas that the kernel accepts."""
    return share_text(DISTANCES[-1])
