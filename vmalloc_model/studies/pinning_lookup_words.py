"""Chapter *Pinning*: the sentences and printed tables of lookups and owners."""

from __future__ import annotations

from typing import Final

import polars as pl

from vmalloc_model.studies.pinning_words import failed
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, cpus_text, share_text

__all__ = [
    "TENS",
    "lookup_summary",
    "say_frees",
    "say_list",
    "say_lookup",
    "say_owners",
    "say_steps",
    "shown_frees",
    "shown_list",
    "shown_owners",
]

TENS: Final = 99
"""The most that is still "in the tens"."""


def say_lookup(table: pl.DataFrame, policy: str) -> str:
    """Word the caption of ``fig-pinning-lookup``: steps at the most CPUs, and from where on."""
    last = max(table["cpus"].to_list(), default=0)
    rows = table.filter((pl.col("cpus") == last) & pl.col("steps").is_not_null())
    words = [
        f"{_number(steps)} on *{name}*" for name, steps in rows.select("stream", "steps").rows()
    ]
    text = f"Chunks that a free looks at under {policy}, on average. At {cpus_text(last)}: "
    text += f"{', '.join(words) or 'no free looks for a chunk'}. "
    above = [
        f"*{name}* at {cpus_text(cpus)}"
        for name, cpus, steps in table.select("stream", "cpus", "steps").rows()
        if steps is not None and steps > TENS
    ]
    return (
        text
        + (
            f"Beyond the tens: {', '.join(above)}."
            if above
            else "All averages are within the tens."
        )
        + failed(table)
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 999.5 else count_text(value)


def _share(value: float | None) -> str:
    return "-" if value is None else share_text(value)


def lookup_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print steps for each free, and chunks on the list at the end, one row for each CPU count."""
    shown = table.with_columns(pair=pl.struct("steps", "listed"))
    return wide(
        shown,
        ["cpus"],
        "stream",
        "pair",
        lambda pair: f"{_number(pair['steps'])}; {count_text(pair['listed'])} listed",
    )


def shown_frees(table: pl.DataFrame) -> pl.DataFrame:
    """Print where frees find their areas (``tab-pinning-frees``)."""
    rows = [
        (
            row["stream"],
            count_text(row["frees"]),
            _share(row["rejected"]),
            _share(row["remote"]),
            _share(row["own"]),
            _number(row["steps"]),
            _number(row["walk"]),
            count_text(row["listed"]),
        )
        for row in table.iter_rows(named=True)
    ]
    names = ["stream", "frees", "rejected", "remote", "own", "steps", "walk", "listed"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_frees(table: pl.DataFrame, policy: str) -> str:
    """Word the caption of ``tab-pinning-frees``: who is rejected, who finds its own chunk."""
    used = table.filter(pl.col("frees") > 0)
    some = used.filter(pl.col("rejected") >= 0.01)
    words = [f"{share_text(r)} on *{s}*" for s, r in some.select("stream", "rejected").rows()]
    own = used.filter(pl.col("own").is_not_null()).sort("own", maintain_order=True)
    text = (
        f"Where frees find their areas under {policy}. Rejected at once: "
        + (", ".join(words) + "; " if words else "")
        + f"fewer than 1 % on {used.height - some.height} of {used.height} streams."
    )
    if own.height:
        low, high = own.row(0, named=True), own.row(-1, named=True)
        text += (
            f" In the own chunk: from {share_text(low['own'])} (*{low['stream']}*) to "
            f"{share_text(high['own'])} (*{high['stream']}*) of the others."
        )
    return (
        f"{text} *Rejected*: by the bounds; *remote*: not on the CPU that allocated; *looked at*: "
        "chunks for each free; *walked*: chunks of the list, if not in the own chunk; *listed*: "
        f"chunks on the list at the end.{failed(table)}"
    )


def say_steps(table: pl.DataFrame) -> str:
    """Word the verdict on the lookup: the averages at the most CPUs, against the list."""
    last = max(table["cpus"].to_list(), default=0)
    rows = table.filter((pl.col("cpus") == last) & pl.col("steps").is_not_null())
    if not rows.height:
        return "No free looked for a chunk."
    steps, listed = rows["steps"].to_list(), rows["listed"].to_list()
    return (
        f"With {cpus_text(last)} a free looks at {_number(min(steps))} to {_number(max(steps))} "
        f"chunks on average, of {_number(min(listed))} to {_number(max(listed))} on the list."
    )


def shown_list(table: pl.DataFrame) -> pl.DataFrame:
    """Print how the list of drained chunks grows (``tab-pinning-list``)."""
    rows = [
        (
            row["policy"],
            count_text(row["loops"]),
            count_text(row["listed"]),
            _number(row["walked"]),
            count_text(row["steps"]),
            _number(row["steps"] / max(row["frees"], 1)),
        )
        for row in table.iter_rows(named=True)
    ]
    names = ["policy", "loops", "listed", "walked", "steps", "each"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_list(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-pinning-list``: what the longest loop leaves, by policy."""
    loops = max(table["loops"].to_list())
    words = [
        f"{name} {count_text(listed)} {'chunk' if listed == 1 else 'chunks'}, "
        f"{_number(walked)} of the list looked at for each area that stayed"
        for name, listed, walked in table.filter(pl.col("loops") == loops)
        .select("policy", "listed", "walked")
        .rows()
    ]
    return (
        "`long_busy_list_alloc_test`, one worker: 15,000 areas and their array stay while a loop "
        "allocates and frees two more, then they are freed. The list at the end of "
        f"{count_text(loops)} iterations: {'; '.join(words)}. That includes what the loop's own "
        "frees add, at most two for each refill. *Listed*: chunks on the list; *walked*: of them, "
        "for each area that stayed; *looked at*: by all frees, and by each." + failed(table)
    )


def shown_owners(table: pl.DataFrame) -> pl.DataFrame:
    """Print what frees on other CPUs release (``tab-pinning-owners``)."""
    counts = ("installed", "released", "in_use", "missed", "drained")
    rows = [
        (
            row["name"],
            row["policy"],
            share_text(row["remote"]),
            *(count_text(row[name]) for name in counts),
        )
        for row in table.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=["name", "policy", "remote", *counts], orient="row")


def say_owners(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-pinning-owners``: what is released while in use, by policy."""
    words = []
    for policy in table["policy"].unique(maintain_order=True).to_list():
        rows = table.filter((pl.col("policy") == policy) & (pl.col("in_use") > 0))
        names = ", ".join(rows["name"].to_list())
        gone, missed = sum(rows["in_use"].to_list()), sum(rows["missed"].to_list())
        words.append(
            f"{policy} releases {count_text(gone)} chunks from which a CPU still allocates "
            f"({names}), and {count_text(missed)} later frees do not find their chunk"
            if rows.height
            else f"{policy} releases none that is in use"
        )
    return (
        f"Frees on another CPU than the allocation (*remote*): {'; '.join(words)}. *Drained*: "
        f"chunks that nothing will release.{failed(table)}"
    )
