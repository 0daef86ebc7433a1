"""Chapter *Leaks and exhaustion*: sequences on one CPU that empty a range, under each policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.errors import InputError
from vmalloc_model.experiments.leaks_sequences import AFTER, KEEPING, SEQUENCES, exhaust
from vmalloc_model.platforms import find_platform
from vmalloc_model.studies.leaks_time import VERSIONS, time_text
from vmalloc_model.sweep import sweep
from vmalloc_model.units import count_text, size_text

__all__ = [
    "emptied_table",
    "installed_table",
    "say_emptied",
    "say_installed",
    "say_pressure",
    "say_sequences",
    "say_worst",
    "sequences_table",
    "shown_emptied",
    "shown_installed",
    "shown_sequences",
]

TOLD: Final = ("aligned", "plain", "random", "keep")
"""Sequences that are run until a range is empty."""

FASTEST: Final = "aligned"

MANY: Final = 1 << 14
"""Chunks of a range from which only the fastest sequence is run, and only under the versions."""

FEW: Final = 3
"""A range of fewer chunks is left out: there a refill fails without any loss."""

_ROUNDS: Final = 4
_EXTRA: Final = 40_000
_RATE: Final = 10**5
_KINDS: Final = {"refill_failed": pl.Int64, "request_failed": pl.Int64}
_ENOUGH: Final = 100


def sequences_table(
    platforms: Sequence[str], policies: Sequence[str], cpus: int, chunk_size: int, seed: int
) -> pl.DataFrame:
    """Run the sequences on one of the platforms under each policy (``tab-leaks-sequences``).

    It is the one with the fewest chunks of those that have a hundred; else the one with the most.

    Returns
    -------
    polars.DataFrame
        ``platform``, ``policy``, ``sequence``, ``chunks`` (that fit the range), ``most``
        (allocations after which a run ends), and the columns of
        `vmalloc_model.experiments.leaks_sequences.exhaust`.
    """
    chunks = {name: find_platform(name).slots(chunk_size) for name in platforms}
    enough = [name for name in platforms if chunks[name] >= _ENOUGH]
    one = min(enough, key=chunks.__getitem__) if enough else max(platforms, key=chunks.__getitem__)
    return _run([one], policies, TOLD, cpus, chunk_size, seed)


def emptied_table(
    platforms: Sequence[str], policies: Sequence[str], cpus: int, chunk_size: int, seed: int
) -> pl.DataFrame:
    """Run the fastest sequence on each platform (``tab-leaks-emptied``); columns as above."""
    return _run(platforms, policies, [FASTEST], cpus, chunk_size, seed)


def _run(
    platforms: Sequence[str],
    policies: Sequence[str],
    sequences: Sequence[str],
    cpus: int,
    chunk_size: int,
    seed: int,
) -> pl.DataFrame:
    points: list[dict[str, Any]] = []
    heads = []
    for platform in platforms:
        chunks = find_platform(platform).slots(chunk_size)
        if chunks < FEW:
            continue
        most = chunks + chunks // 8 if chunks >= MANY else _ROUNDS * chunks + _EXTRA
        large = chunks >= MANY
        for sequence in [FASTEST] if large else sequences:
            for policy in [one for one in policies if not large or one in VERSIONS]:
                heads.append((platform, policy, sequence, chunks, most))
                points.append(
                    {
                        "platform": platform,
                        "policy": policy,
                        "sequence": sequence,
                        "cpus": cpus,
                        "chunk_size": chunk_size,
                        "seed": seed,
                        "most": most,
                    }
                )
    if not points:
        problem, value = "no range of enough chunks", ", ".join(platforms)
        raise InputError("$.platforms", problem, value=value, allowed=f"{FEW} chunks or more")
    names = ("platform", "policy", "sequence", "chunks", "most")
    rows = [
        {**dict(zip(names, head, strict=True)), **row}
        for head, row in zip(heads, sweep(exhaust, points, title="sequences"), strict=True)
    ]
    return pl.DataFrame(rows, schema_overrides=_KINDS)


def shown_sequences(table: pl.DataFrame) -> pl.DataFrame:
    """Print `sequences_table`: a row for each policy, a column for each sequence."""
    sequences = table["sequence"].unique(maintain_order=True).to_list()
    rows = []
    for policy in table["policy"].unique(maintain_order=True).to_list():
        of = table.filter(pl.col("policy") == policy)
        rows.append((policy, *(_cell(of.row(k, named=True)) for k in range(of.height))))
    return pl.DataFrame(rows, schema=["policy", *sequences], orient="row")


def _cell(row: dict[str, Any]) -> str:
    failed = row["refill_failed"]
    if failed is None:
        return "not emptied"
    return f"{count_text(failed)} ({failed / max(row['chunks'], 1):.2f} a chunk)"


def say_sequences(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-leaks-sequences``: what the sequences are, who withstands which."""
    platform, chunks, most = table.select("platform", "chunks", "most").row(0)
    meanings = [
        f"*{name}*, {SEQUENCES[name]}"
        for name in table["sequence"].unique(maintain_order=True).to_list()
    ]
    text = [
        f"Allocations until no chunk can be had any more, on {platform}, whose range is "
        f"{count_text(chunks)} chunks; all on one CPU. {_capital('; '.join(meanings))}. "
        f"Not emptied: a run ends after {count_text(most)} allocations."
    ]
    bare = table.filter(~pl.col("sequence").is_in(KEEPING))
    for policy in table["policy"].unique(maintain_order=True).to_list():
        rows = bare.filter(pl.col("policy") == policy)
        if rows.height and rows["refill_failed"].null_count() == rows.height:
            kept = table.filter(
                (pl.col("policy") == policy)
                & pl.col("sequence").is_in(KEEPING)
                & pl.col("refill_failed").is_not_null()
            )
            but = ""
            if kept.height:
                live = kept["live_pages"].to_list()[0] * kept["page_size"].to_list()[0]
                but = f", but *{kept['sequence'].to_list()[0]}* does, with {size_text(live)} live"
            text.append(f"Nothing that is freed at once empties {policy}{but}.")
    return " ".join(text)


def _capital(text: str) -> str:
    return text if text.startswith("*") else text[:1].upper() + text[1:]


def say_worst(table: pl.DataFrame) -> str:
    """Word the bound on all sequences, and whether the fastest reaches it."""
    rows = table.filter(
        (pl.col("sequence") == FASTEST)
        & pl.col("refill_failed").is_not_null()
        & (pl.col("chunks") > 8)
    )
    bound = (
        "A request refills at most once, so no sequence can use up more than one chunk with each "
        "allocation."
    )
    if not rows.height:
        return f"{bound} Here none of the policies comes near it."
    per = [row["refills"] / row["allocations"] for row in rows.iter_rows(named=True)]
    names = rows["policy"].to_list()
    best = names[per.index(max(per))]
    area = rows["page_size"].to_list()[0] * 257
    return (
        f"{bound} *{FASTEST}* comes to {max(per):.3f} under {best}, with areas of "
        f"{size_text(area)}: its period is a single allocation, so nothing shorter or faster is "
        "possible."
    )


def say_pressure(table: pl.DataFrame) -> str:
    """Word what the purge before a failure gives back, where nothing is live."""
    dead = table.filter(
        ~pl.col("sequence").is_in(KEEPING)
        & pl.col("request_failed").is_not_null()
        & (pl.col("request_failed") == pl.col("refill_failed"))
    )
    if not dead.height:
        return "On no sequence that frees everything does the request fail with the refill."
    by_policy: dict[str, list[str]] = {}
    for policy, sequence in dead.select("policy", "sequence").rows():
        by_policy.setdefault(policy, []).append(f"*{sequence}*")
    where = "; ".join(f"{policy} on {', '.join(names)}" for policy, names in by_policy.items())
    most = max(dead["live_pages"].to_list()) * dead["page_size"].to_list()[0]
    return (
        f"Nothing comes back under {where}: the request whose refill fails first fails itself, "
        "after the kernel has purged all that is lazy and emptied the pools, with "
        f"{size_text(most)} live."
    )


def shown_emptied(table: pl.DataFrame) -> pl.DataFrame:
    """Print `emptied_table` for the policies that lose the range on some platform."""
    lost = table.filter(pl.col("refill_failed").is_not_null())["policy"].unique().to_list()
    rows = []
    for row in table.filter(pl.col("policy").is_in(lost)).iter_rows(named=True):
        page, failed = row["page_size"], row["refill_failed"]
        rows.append(
            (
                row["platform"],
                row["policy"],
                count_text(row["chunks"]),
                "-" if failed is None else count_text(failed),
                "-" if failed is None else time_text(failed / _RATE),
                count_text(row["refills"]),
                count_text(row["released"]),
                size_text(row["live_pages"] * page),
                size_text(row["largest_gap"] * page),
                _requests(row),
            )
        )
    names = ["platform", "policy", "chunks", "failed", "time", "refills", "released", "live"]
    names += ["hole", "requests"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _requests(row: dict[str, Any]) -> str:
    if row["refill_failed"] is None:
        return "-"
    if row["request_failed"] is None:
        return f"go on for {count_text(AFTER)}"
    return f"fail after {count_text(row['request_failed'] - row['refill_failed'])}"


def say_emptied(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-leaks-emptied``: how far each range got, who is immune."""
    text = [
        f"The sequence *{FASTEST}* run until a refill fails: allocations done by then, with the "
        f"time they take at {count_text(_RATE)} per second; what is live at that moment, and the "
        "largest hole left to everybody else. What it asks for is freed at once; one CPU."
    ]
    largest = table.sort("chunks", descending=True, maintain_order=True)
    top = largest.filter(pl.col("refill_failed").is_not_null())
    if top.height:
        row = top.row(0, named=True)
        page = row["page_size"]
        text.append(
            f"The largest range that was emptied for real is that of {row['platform']}, "
            f"{count_text(row['chunks'])} chunks, under {row['policy']}: "
            f"{count_text(row['refill_failed'])} allocations, "
            f"{size_text(row['live_pages'] * page)} live, and no hole above "
            f"{size_text(row['largest_gap'] * page)}."
        )
    safe = [
        policy
        for policy in table["policy"].unique(maintain_order=True).to_list()
        if table.filter(pl.col("policy") == policy)["refill_failed"].is_null().all()
    ]
    if safe:
        text.append(f"No platform is emptied under {', '.join(safe)}.")
    if max(table["chunks"].to_list()) >= MANY:
        text.append(f"Ranges of {count_text(MANY)} chunks or more are run under the versions only.")
    return " ".join(text)


def installed_table(
    platform: str,
    policies: Sequence[str],
    cpus: int,
    chunk_size: int,
    seed: int,
    allocations: int,
) -> pl.DataFrame:
    """Run two sequences for a number of allocations (``tab-leaks-installed``).

    Sizes at random and sizes that grow, in the manner of Roman Pen's tables of 2015, which compare
    blocks that were allocated with blocks that were freed.

    Returns
    -------
    polars.DataFrame
        ``sequence``, ``policy`` and the columns of
        `vmalloc_model.experiments.leaks_sequences.exhaust`.
    """
    points = [
        {
            "platform": platform,
            "policy": policy,
            "sequence": sequence,
            "cpus": cpus,
            "chunk_size": chunk_size,
            "seed": seed,
            "most": allocations,
        }
        for sequence in ("random", "growing")
        for policy in policies
    ]
    rows = [
        {"sequence": point["sequence"], "policy": point["policy"], **row}
        for point, row in zip(points, sweep(exhaust, points, title="sequences"), strict=True)
    ]
    return pl.DataFrame(rows, schema_overrides=_KINDS)


def shown_installed(table: pl.DataFrame) -> pl.DataFrame:
    """Print `installed_table`: chunks installed and given back, and the mark."""
    rows = [
        (
            row["sequence"],
            row["policy"],
            count_text(row["allocations"]),
            count_text(row["refills"]),
            count_text(row["released"]),
            count_text(row["lost"]),
            size_text(row["high_water"] * row["page_size"]),
        )
        for row in table.iter_rows(named=True)
    ]
    names = ["sequence", "policy", "allocations", "refills", "released", "lost", "high_water"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_installed(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-leaks-installed``: chunks installed against chunks given back."""
    words = []
    for sequence in table["sequence"].unique(maintain_order=True).to_list():
        rows = table.filter((pl.col("sequence") == sequence) & (pl.col("refills") > 0))
        none = rows.filter(pl.col("released") == 0)["policy"].to_list()
        most = rows.filter(pl.col("released") >= 0.9 * pl.col("refills"))["policy"].to_list()
        words.append(
            f"*{sequence}*: no chunk comes back under {', '.join(none) or 'none of them'}; at "
            f"least nine in ten do under {', '.join(most) or 'none of them'}"
        )
    return (
        "Chunks installed against chunks given back, sizes at random from a seed and sizes that "
        f"grow, each area freed at once. {'; '.join(words)}. In rfc10 a chunk's addresses may "
        "return area by area; whether a refill could use them, its mark shows."
    )
