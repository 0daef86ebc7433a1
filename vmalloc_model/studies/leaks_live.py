"""Chapter *Leaks and exhaustion*: lost and held chunks against the number of areas that live."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.experiments import leaks
from vmalloc_model.studies.wide import wide
from vmalloc_model.sweep import grid, sweep
from vmalloc_model.units import count_text, cpus_text, many_text, share_text, size_text

__all__ = ["LIVES", "empty_chance", "live_summary", "live_table", "say_live", "say_overlap"]

LIVES: Final = (1, 2, 4, 10, 30, 100, 1_000, 10_000)
"""Numbers of areas that live; with 1, each is freed before the next is allocated."""

PAYLOAD: Final = 64
"""Pages of each area, without guard page: few fit a chunk, so there are many refills to count."""


def empty_chance(live: int, cpus: int) -> float:
    """Probability that a chunk is empty when it is replaced, for areas replaced at random.

    Parameters
    ----------
    live : int
        Areas that live, the one included that is freed before the next is allocated.
    cpus : int
        CPUs; each area is allocated on one of them at random.

    Notes
    -----
    When a request finds no room, ``live - 1`` areas live. The chunk is empty if each of them was
    allocated on another CPU: ``(1 - 1/cpus) ** (live - 1)``. That takes all of them to lie in
    current chunks, so it holds as long as far fewer areas live than a chunk holds.
    """
    return float((1 - 1 / cpus) ** (live - 1))


def live_table(
    policy: str,
    platform: str,
    cpu_counts: Sequence[int],
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Play equal areas beside others that live, of which one is replaced, or none ever.

    The latter only with the last of the numbers of CPUs, and every second number of areas.

    Returns
    -------
    polars.DataFrame
        ``shape`` (of `vmalloc_model.experiments.leaks.SHAPES`), ``cpus``, ``live``; ``refills``,
        ``replaced`` (chunks that were replaced), ``empty`` (of these, those that were empty then),
        ``share`` (of the replaced; null without any), ``formula`` (`empty_chance`; null for areas
        that stand); at the end, in bytes: ``lost`` (chunks that are drained for good), ``held``
        (chunks that areas hold), ``in_use`` (areas).
    """
    points = grid(
        shape=["replaced"],
        cpus=list(cpu_counts),
        live=[live for live in LIVES if live <= events // 4],
        payload=[PAYLOAD],
        policy=[policy],
        platform=[platform],
        chunk_size=[chunk_size],
        events=[events],
        seed=[seed],
    )
    last = [point for point in points if point["cpus"] == cpu_counts[-1]]
    points += [{**point, "shape": "standing"} for point in last[::2]]
    rows = []
    for point, row in zip(points, sweep(leaks.live_set, points, title="live sets"), strict=True):
        replaced = row["refills"] - row["chunks_current"]
        page, chunk = row["page_size"], row["chunk_size"]
        empty = row["chunks_drained_at_refill"]
        rows.append(
            {
                "shape": point["shape"],
                "cpus": point["cpus"],
                "live": point["live"],
                "refills": row["refills"],
                "replaced": replaced,
                "empty": empty,
                "share": empty / replaced if replaced > 0 else None,
                "formula": empty_chance(point["live"], point["cpus"])
                if point["shape"] == "replaced"
                else None,
                "lost": page * row["stranded_drained"],
                "held": chunk * row["chunks_live"],
                "in_use": page * row["live_pages"],
            }
        )
    return pl.DataFrame(rows, schema_overrides={"share": pl.Float64, "formula": pl.Float64})


def live_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Share of replaced chunks that were empty, by shape and number of areas."""
    name = pl.concat_str("cpus", pl.lit(" CPUs")).replace({"1 CPUs": "1 CPU"})
    return wide(table, ["shape", "live"], name, "share", _share)


def _share(value: float | None) -> str:
    return "-" if value is None else share_text(value)


def say_live(table: pl.DataFrame, policy: str) -> str:
    """Word the caption of ``fig-leaks-live``: how the loss falls, and the formula's errors."""
    moving = table.filter((pl.col("shape") == "replaced") & pl.col("share").is_not_null())
    text = [f"Chunks that are empty when they are replaced, and so lost under {policy}."]
    words = []
    for cpus in moving["cpus"].unique(maintain_order=True).to_list():
        rows = moving.filter(pl.col("cpus") == cpus)
        gone = rows.filter(pl.col("share") < _FEW)["live"].to_list()
        ends = (
            f"below {share_text(_FEW)} from {count_text(min(gone))} areas on"
            if gone
            else f"{share_text(rows['share'].to_list()[-1])} with {count_text(rows['live'][-1])}"
        )
        words.append(
            f"{cpus_text(cpus)}: {share_text(rows['share'].to_list()[0])} with 1 area, {ends}"
        )
    text.append("Areas that are replaced at random, " + "; ".join(words) + ".")
    away = [
        abs(row["share"] - row["formula"]) / math.sqrt(spread / row["replaced"])
        for row in moving.iter_rows(named=True)
        if (spread := row["formula"] * (1 - row["formula"])) * row["replaced"] >= 1
    ]
    if away:
        text.append(
            "The lines are (1 - 1/N) to the power L - 1, for N CPUs and L areas; the points are "
            f"simulated and at most {max(away):.1f} standard errors away from them."
        )
    still = table.filter((pl.col("shape") == "standing") & pl.col("share").is_not_null())
    if still.height:
        values = still["share"].to_list()
        low, high = min(values), max(values)
        span = share_text(low) if low == high else f"{share_text(low)} to {share_text(high)}"
        text.append(f"Beside areas that stand, however many, {span} of the chunks are lost.")
    return " ".join(text)


_FEW: Final = 0.01


def say_overlap(table: pl.DataFrame, cpus: int) -> str:
    """Word what overlap costs in exchange: chunks that areas hold, at the end, on so many CPUs."""
    rows = table.filter((pl.col("shape") == "replaced") & (pl.col("cpus") == cpus))
    few, many = rows.row(0, named=True), rows.row(rows.height - 1, named=True)
    return (
        f"With {cpus_text(cpus)}, {many_text(few['live'], 'live area')} "
        f"{'leaves' if few['live'] == 1 else 'leave'} {_size(few['lost'])} lost "
        f"and {_size(few['held'])} held after {count_text(few['refills'])} refills; "
        f"{count_text(many['live'])} live areas leave {_size(many['lost'])} lost, and their "
        f"{size_text(many['in_use'])} hold {_size(many['held'])}."
    )


def _size(size: int) -> str:
    return size_text(size) if size else "nothing"
