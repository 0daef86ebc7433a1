"""Chapter *Pinning*: the sentences and printed tables of what is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.studies.pinning import FOREVER, PARTS
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, cpus_text, share_text, size_text
from vmalloc_model.workloads import WORKLOADS

__all__ = [
    "failed",
    "grid_summary",
    "occupancy_summary",
    "say_grid",
    "say_held",
    "say_occupancy",
    "say_pinned",
    "say_streams",
    "say_without",
    "shown_ends",
    "shown_without",
]

_Row = Mapping[str, Any]

_MOST: Final = 0.9
"""Share of a grid's chunks that the caption calls nearly all."""


def failed(table: pl.DataFrame) -> str:
    """Tell how many requests failed, column ``failures``: their areas are not there to hold."""
    count = sum(table["failures"].to_list())
    return f" Requests that failed for lack of room: {count_text(count)}." if count else ""


def say_grid(table: pl.DataFrame, policy: str, chunk_size: int) -> str:
    """Word the caption of ``fig-pinning-grid``: how thin the chunks are, and the most held."""
    text = (
        f"Address space in replaced chunks of {size_text(chunk_size)} at the end, under {policy}, "
        "and below it the share of these chunks with fewer than 1 % of their pages live. "
    )
    used = table.filter(pl.col("chunks") > 0)
    if not used.height:
        return text + "Nothing is held here."
    nearly = used.filter(pl.col("share") >= _MOST)
    shares = used["share"].to_list()
    if 2 * nearly.height > used.height:
        text += (
            f"The share is {share_text(_MOST)} or more in {nearly.height} of {used.height} cells "
            "that hold anything: what varies is how many chunks are held, more than how empty they "
            "are."
        )
    else:
        text += (
            f"The share goes from {share_text(min(shares))} to {share_text(max(shares))} over "
            f"{used.height} cells that hold anything."
        )
    most = used.sort("held", descending=True, maintain_order=True).row(0, named=True)
    stays = most["stays"] if most["lifetime"] == FOREVER else f"for {most['stays']} allocations"
    return text + (
        f" The most: {size_text(most['held'])} for {size_text(most['live'])} of live areas, with "
        f"{most['long']} living {stays}; "
        f"{count_text(most['chunks'])} of {count_text(most['installed'])} chunks ever installed. "
        "No cell: fewer than one such area lives at a time." + failed(table)
    )


def grid_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print the grid, one row for each lifetime."""
    shown = table.with_columns(pair=pl.struct("held", "share"))
    columns = table.sort("pinned")["long"].unique(maintain_order=True).to_list()
    return wide(shown, ["stays"], "long", "pair", _cell).select("stays", *columns)


def _cell(pair: _Row) -> str:
    thin = "" if pair["share"] is None else f"; {share_text(pair['share'])}"
    return f"{size_text(pair['held'])}{thin}"


def say_streams(ends: pl.DataFrame, platform: str, cpus: int) -> str:
    """Word the list of streams."""
    words = []
    for row in ends.unique("stream", maintain_order=True).iter_rows(named=True):
        title = "recorded requests" if row["recorded"] else WORKLOADS[row["stream"]].title
        words.append(f"{row['stream']}: {title}")
    return f"Synthetic streams run on {platform} with {cpus_text(cpus)}. {'; '.join(words)}."


def say_occupancy(table: pl.DataFrame, ends: pl.DataFrame) -> str:
    """Word the caption of ``fig-pinning-occupancy``: the classes, and the share of thin chunks."""
    meanings = "; ".join(f"*{name}*, {meaning}" for name, meaning in PARTS.items())
    text = (
        f"Chunks that are not released at the end, by the part of their pages that is live: "
        f"{meanings}. Counted by address, so that all policies are alike."
    )
    if ends.filter(~pl.col("overlay")).height:
        text += (
            " A policy without chunks has bars for stretches of the same size below its "
            "high-water mark."
        )
    chunks = ends.filter("overlay")
    for policy in chunks["policy"].unique(maintain_order=True).to_list():
        rows = chunks.filter(pl.col("policy") == policy)
        held, thin, empty = (sum(rows[name].to_list()) for name in ("chunks", "thin", "empty"))
        if held:
            text += (
                f" {policy}: of {count_text(held)} replaced chunks in all panels, "
                f"{share_text(thin / held)} are thin and {share_text(empty / held)} empty."
            )
    total = sum(table["chunks"].to_list())
    return text + f" The bars hold {count_text(total)} chunks and stretches together."


def occupancy_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print chunks by class, one row for each stream and policy."""
    return wide(table, ["stream", "policy"], "part", "chunks", count_text)


def shown_ends(ends: pl.DataFrame) -> pl.DataFrame:
    """Print what is held (``tab-pinning-held``)."""
    rows = [
        (
            row["stream"],
            row["policy"],
            count_text(row["chunks"]) if row["overlay"] else f"({count_text(row['chunks'])})",
            "-" if row["share"] is None else share_text(row["share"]),
            _ratio(row["times"]),
            size_text(row["high_water"]),
            size_text(row["live_all"]),
            count_text(row["holes"]),
            size_text(row["largest_hole"]),
        )
        for row in ends.iter_rows(named=True)
    ]
    names = ["stream", "policy", "chunks", "thin", "times", "high_water", "live", "holes", "hole"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _ratio(times: float | None) -> str:
    if times is None:
        return "-"
    return f"{times:.3g}" if times < 999.5 else count_text(times)


def say_held(ends: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-pinning-held``: the worst ratio, and mainline beside it."""
    text = (
        "What replaced chunks hold for the areas that live in them. In brackets: stretches of "
        f"{size_text(chunk_size)}, where there are no chunks. A hole is a free range below the "
        "highest mark; it can be used by whatever fits. *Held*: replaced chunks; *thin*: the share "
        "of them below 1 % live; *ratio*: bytes held for each live byte in them."
    )
    rows = ends.filter(pl.col("overlay") & pl.col("times").is_not_null())
    if not rows.height:
        return text
    worst = rows.sort("times", descending=True, maintain_order=True).row(0, named=True)
    text += (
        f" The most is held on *{worst['stream']}* under {worst['policy']}: "
        f"{size_text(worst['held'])} for {size_text(worst['live'])}, "
        f"{_ratio(worst['times'])} bytes for each live one"
    )
    plain = ends.filter(~pl.col("overlay") & (pl.col("stream") == worst["stream"]))
    if plain.height:
        row = plain.row(0, named=True)
        text += (
            f"; {row['policy']} reaches {size_text(row['high_water'])} with the same "
            f"{size_text(row['live_all'])} of live areas"
        )
    return text + "." + failed(ends)


def say_pinned(ends: pl.DataFrame, policy: str) -> str:
    """Word the verdict: on how many streams thin chunks are the rule under a policy."""
    every = ends.filter(pl.col("policy") == policy)
    if not every.height:
        return f"{policy} is not among the policies compared here."
    rows = every.filter(pl.col("chunks") > 0)
    if not rows.height:
        return f"Under {policy} no replaced chunk is held at the end of any stream."
    thin = rows.filter(pl.col("thin") * 2 > pl.col("chunks"))
    names = ", ".join(thin["stream"].to_list())
    held, live = sum(rows["held"].to_list()), sum(rows["live"].to_list())
    some = f": {names}" if names else ""
    ratio = f"{_ratio(held / live)} bytes of address space for each live one" if live else "no area"
    return (
        f"Under {policy}, chunks with fewer than 1 % of their pages live are the majority of the "
        f"replaced chunks on {thin.height} of {rows.height} streams that hold any{some}. Over all "
        f"of them, replaced chunks hold {ratio}."
    )


def shown_without(table: pl.DataFrame) -> pl.DataFrame:
    """Print what the mix holds without each of its parts (``tab-pinning-without``)."""
    rows = [
        (
            row["without"] or "(whole mix)",
            count_text(row["chunks"]),
            count_text(row["thin"]),
            size_text(row["held"]),
            size_text(row["live"]),
            _ratio(row["times"]),
        )
        for row in table.iter_rows(named=True)
    ]
    names = ["without", "chunks", "thin", "held", "live", "times"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_without(table: pl.DataFrame, policy: str) -> str:
    """Word the caption of ``tab-pinning-without``: which part holds the most thin chunks."""
    whole = table.row(0, named=True)
    parts = table.tail(table.height - 1)
    least = parts.sort("thin", maintain_order=True).row(0, named=True)
    rest = [
        row["thin"] for row in parts.iter_rows(named=True) if row["without"] != least["without"]
    ]
    text = (
        f"The mix under {policy}, and the same number of events without one part at a time. "
        "*Thin*: below 1 % live; *ratio*: bytes held for each live byte in them. "
        f"The whole mix leaves {_thin(whole)}. "
    )
    if least["thin"] >= whole["thin"]:
        return text + "No part can be left out to have fewer." + failed(table)
    return text + (
        f"Without *{least['without']}* it is {_thin(least)}; without any one of the others, "
        f"{_span(rest)}." + failed(table)
    )


def _thin(row: _Row) -> str:
    noun = "chunk" if row["thin"] == 1 else "chunks"
    return f"{count_text(row['thin'])} thin {noun} of {count_text(row['chunks'])}"


def _span(values: Sequence[int]) -> str:
    low, high = count_text(min(values)), count_text(max(values))
    return low if low == high else f"{low} to {high}"
