"""Tables and sentences of the chapter on address-space cost (argument 3 and the metadata).

Every function computes one table from ``data/`` and the notebook's parameters; its ``say_...``
partner words the finding, so that a caption stays true when either changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from vmalloc_model.constraints import (
    backpointer_bytes,
    cpus_at_share,
    page_table_bytes,
    reserved,
    reserved_share,
)
from vmalloc_model.platforms import find_platform, load_platforms
from vmalloc_model.premises import load_premises
from vmalloc_model.studies.platform_rows import chosen, listed, range_text
from vmalloc_model.units import cpus_text, share_text, size_text

__all__ = [
    "OWN_RANGE",
    "calculator_ranges",
    "cpu_limits",
    "cpu_limits_summary",
    "metadata",
    "reserved_over_cpus",
    "reserved_summary",
    "say_calculator",
    "say_cpu_limits",
    "say_metadata",
    "say_reserved",
    "say_small",
    "small_ranges",
]

OWN_RANGE: Final = "own"
"""Row of `calculator_ranges` whose size is the reader's."""


def reserved_over_cpus(
    ids: Sequence[str] | None,
    cpu_counts: Sequence[int],
    chunk_size: int,
    shares: Sequence[float] = (0.01, 0.1, 1.0),
) -> pl.DataFrame:
    """Share of each range that one chunk on every CPU takes.

    Parameters
    ----------
    ids : sequence of str or None
        As in `platform_table`.
    cpu_counts : sequence of int
        CPUs that hold a chunk.
    chunk_size : int
        Bytes.
    shares : sequence of float
        Limits between the bands, each above 0.

    Returns
    -------
    polars.DataFrame
        One row per platform and count: platform, range, cpus, reserved (bytes), share, share_text,
        band ("below 1 %", "1 % to 10 %", ...; a limit belongs to the band above it), band_index
        (0 is the lowest), chunks_fit, overfull_from (first number of CPUs, shown or not, whose
        chunks are more than the range), and possible: whether NR_CPUS can be that large.
    """
    platforms, counts = chosen(ids), sorted(cpu_counts)
    count = np.array(counts, dtype=np.int64)
    limits = np.array(sorted(shares))
    names = np.array(_bands(sorted(shares)))
    frames = []
    for one in platforms:
        share = reserved_share(chunk_size, count, one.size)
        band = np.searchsorted(limits, share, side="right")
        frames.append(
            pl.DataFrame(
                {
                    "platform": [one.id] * len(counts),
                    "range": [range_text(one)] * len(counts),
                    "cpus": count,
                    "reserved": reserved(chunk_size, count),
                    "share": share,
                    "share_text": [share_text(value) for value in share],
                    "band": names[band],
                    "band_index": band,
                    "chunks_fit": [one.slots(chunk_size)] * len(counts),
                    "overfull_from": [one.size // chunk_size + 1] * len(counts),
                    "possible": count <= one.nr_cpus_max,
                }
            )
        )
    return pl.concat(frames)


def reserved_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Reduce `reserved_over_cpus` to a row per platform: every third count, or "-"."""
    counts = table["cpus"].unique().sort().to_list()[::3]
    shown = table.filter(pl.col("cpus").is_in(counts)).select(
        "platform",
        "range",
        pl.format("at {}", "cpus").alias("at"),
        pl.when("possible").then("share_text").otherwise(pl.lit("-")).alias("text"),
    )
    return shown.pivot(on="at", index=["platform", "range"], values="text")


def _bands(shares: Sequence[float]) -> list[str]:
    texts = [share_text(share) for share in shares]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(texts)]
    return [f"below {texts[0]}", *between, f"{texts[-1]} or more"]


def say_reserved(table: pl.DataFrame, chunk_size: int) -> str:
    """Word what `reserved_over_cpus` shows, for CPU counts a kernel can be built for."""
    possible = table.filter("possible")
    if possible.is_empty():
        return "No platform shown can be built for any of these CPU counts."
    overfull = possible.filter(pl.col("share") > 1)
    small = [
        f"{name} (from {cpus_text(cpus)} on)"
        for name, cpus in overfull.select("platform", "overfull_from")
        .unique(maintain_order=True)
        .iter_rows()
    ]
    worst = possible.sort("share", "platform", descending=[True, False]).row(0, named=True)
    if not small:
        return (
            f"One {size_text(chunk_size)} chunk per CPU fits every range shown at every CPU count "
            f"shown; it takes most on {worst['platform']}, {worst['share_text']} with "
            f"{cpus_text(worst['cpus'])}."
        )
    fits = possible.join(overfull, on="platform", how="anti")
    text = (
        f"One {size_text(chunk_size)} chunk per CPU is more than the whole range on "
        f"{listed(small)}."
    )
    if fits.is_empty():
        return text
    most = fits.sort("share", "platform", descending=[True, False]).row(0, named=True)
    return (
        f"{text} On the other {fits['platform'].n_unique()} platforms shown it is at most "
        f"{most['share_text']} at the CPU counts shown ({most['platform']}, "
        f"{cpus_text(most['cpus'])})."
    )


def cpu_limits(
    ids: Sequence[str] | None, chunk_size: int, shares: Sequence[float] = (0.01, 0.1, 1.0)
) -> pl.DataFrame:
    """Smallest number of CPUs whose chunks take given shares of each range.

    Parameters
    ----------
    ids, chunk_size, shares
        As in `reserved_over_cpus`.

    Returns
    -------
    polars.DataFrame
        One row per platform and share: platform, range, share, share_text, cpus, nr_cpus_default,
        nr_cpus_max, and reached: "by default", "at most" (within the maximum of NR_CPUS only) or
        "never".
    """
    rows = []
    for one in chosen(ids):
        for share in sorted(shares):
            cpus = int(cpus_at_share(share, chunk_size, one.size))
            rows.append(
                {
                    "platform": one.id,
                    "range": range_text(one),
                    "share": float(share),
                    "share_text": share_text(share),
                    "cpus": cpus,
                    "nr_cpus_default": one.nr_cpus_default,
                    "nr_cpus_max": one.nr_cpus_max,
                    "reached": "by default"
                    if cpus <= one.nr_cpus_default
                    else "at most"
                    if cpus <= one.nr_cpus_max
                    else "never",
                }
            )
    return pl.DataFrame(rows)


def say_cpu_limits(table: pl.DataFrame, chunk_size: int) -> str:
    """Word what `cpu_limits` shows: which platforms reach each share, and by which NR_CPUS."""
    total = table["platform"].n_unique()
    parts = []
    for (share,), rows in table.group_by("share_text", maintain_order=True):
        default = rows.filter(pl.col("reached") == "by default").height
        most = rows.filter(pl.col("reached") != "never").height
        parts.append(
            f"{share} on {default} with the default NR_CPUS and on {most} with its maximum"
        )
    return (
        f"Of {total} platforms shown, one {size_text(chunk_size)} chunk per CPU reaches "
        + "; ".join(parts)
        + "."
    )


def cpu_limits_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Reduce `cpu_limits` to a row per platform, with a column per share."""
    index = ["platform", "range", "nr_cpus_default", "nr_cpus_max"]
    return table.pivot(on="share_text", index=index, values="cpus")


def small_ranges(chunk_size: int) -> pl.DataFrame:
    """List the 32-bit platforms: how many chunks an empty range holds, and for how many CPUs.

    Returns
    -------
    polars.DataFrame
        platform, range, chunks_fit, left (bytes beside them), nr_cpus_default, nr_cpus_max,
        without_chunk (CPUs that get none with the default NR_CPUS).
    """
    rows = []
    for one in chosen(None):
        if one.pointer_size != 4:
            continue
        fit = one.slots(chunk_size)
        rows.append(
            {
                "platform": one.id,
                "range": range_text(one),
                "chunks_fit": fit,
                "left": size_text(one.size - fit * chunk_size),
                "nr_cpus_default": one.nr_cpus_default,
                "nr_cpus_max": one.nr_cpus_max,
                "without_chunk": max(one.nr_cpus_default - fit, 0),
            }
        )
    return pl.DataFrame(rows)


def say_small(table: pl.DataFrame, chunk_size: int) -> str:
    """Word what `small_ranges` shows."""
    short = table.filter(pl.col("without_chunk") > 0)
    names = [
        f"{row['platform']} {row['chunks_fit']:,} for {cpus_text(row['nr_cpus_default'])}"
        for row in short.iter_rows(named=True)
    ]
    if not names:
        return (
            f"With the default NR_CPUS, every 32-bit range holds a {size_text(chunk_size)} chunk "
            "for each CPU."
        )
    rest = table.height - short.height
    return (
        f"With the default NR_CPUS, chunks of {size_text(chunk_size)} are fewer than the CPUs: "
        f"{listed(names)}"
        + (
            f"; {rest} other 32-bit range{'s hold' if rest > 1 else ' holds'} enough."
            if rest
            else "."
        )
    )


def metadata(chunk_size: int, page_sizes: Sequence[int]) -> pl.DataFrame:
    """Memory that goes with one chunk: the array of back-pointers and the page tables it touches.

    Parameters
    ----------
    chunk_size : int
        Bytes.
    page_sizes : sequence of int
        Bytes. 32-bit rows are given for the page sizes that a 32-bit platform has.

    Returns
    -------
    polars.DataFrame
        label, page_size, pointer_size, what ("back-pointers" or "page tables"), bytes, bytes_text,
        share (of the chunk), share_text.
    """
    narrow = {one.page_size for one in load_platforms().values() if one.pointer_size == 4}
    rows = []
    for pointer, bits in ((8, "64-bit"), (4, "32-bit")):
        for page in sorted(page_sizes):
            if pointer == 4 and page not in narrow:
                continue
            for what, size in (
                ("back-pointers", int(backpointer_bytes(chunk_size, page, pointer))),
                ("page tables", int(page_table_bytes(chunk_size, page, pointer))),
            ):
                rows.append(
                    {
                        "label": f"{bits}, {size_text(page)} pages",
                        "page_size": page,
                        "pointer_size": pointer,
                        "what": what,
                        "bytes": size,
                        "bytes_text": size_text(size),
                        "share": size / chunk_size,
                        "share_text": share_text(size / chunk_size),
                    }
                )
    return pl.DataFrame(rows)


def say_metadata(table: pl.DataFrame, chunk_size: int) -> str:
    """Word what `metadata` shows."""
    arrays = table.filter(pl.col("what") == "back-pointers")
    parts = [
        f"{row['bytes_text']} ({row['share_text']}) with {row['label']}"
        for row in arrays.iter_rows(named=True)
    ]
    text = f"The back-pointers of one {size_text(chunk_size)} chunk take {listed(parts)}. "
    tables = table.filter(pl.col("what") == "page tables")
    wide = tables.filter(tables["bytes"] > arrays["bytes"])
    if wide.is_empty():
        return text + "The page tables that the chunk touches take the same again."
    kinds = [f"{row['label']} ({row['bytes_text']})" for row in wide.iter_rows(named=True)]
    return text + (
        "The page tables that the chunk touches take as much again, but never less than one "
        f"table: with {listed(kinds)} a chunk fills only part of it."
    )


def calculator_ranges() -> pl.DataFrame:
    """List the ranges a reader can choose in the calculator.

    Returns
    -------
    polars.DataFrame
        platform (id; the mail's two and `OWN_RANGE` besides), label, range_size and usable_size
        (bytes; null for `OWN_RANGE`), nr_cpus_default, nr_cpus_max (null where not known).
    """
    stated = load_premises()["as-stated"]
    rows: list[tuple[str, str, int | None, int | None, int | None, int | None]] = [
        (
            one.id,
            f"{one.id}: {range_text(one)}",
            one.size,
            one.usable_size,
            one.nr_cpus_default,
            one.nr_cpus_max,
        )
        for one in load_platforms().values()
    ]
    for id, arch, size in (
        ("mail-x86_64", "x86_64", stated.x86_64_range),
        ("mail-arm64", "arm64", stated.arm64_52_range),
    ):
        rows.append((id, f"the mail, {arch}: {size_text(size)}", size, size, None, None))
    rows.append((OWN_RANGE, "a range of your own", None, None, None, None))
    names = ["platform", "label", "range_size", "usable_size", "nr_cpus_default", "nr_cpus_max"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def say_calculator(platform: str, cpus: int, chunk_size: int) -> str:
    """Word what the calculator shows before a reader moves anything."""
    one = find_platform(platform)
    share = float(reserved_share(chunk_size, cpus, one.size))
    return (
        f"With {cpus_text(cpus)}, chunks of {size_text(chunk_size)} reserve "
        f"{size_text(int(reserved(chunk_size, cpus)))}, which is {share_text(share)} of the "
        f"{size_text(one.size)} of {platform}. Move the sliders, or choose another range, for "
        "another answer."
    )
