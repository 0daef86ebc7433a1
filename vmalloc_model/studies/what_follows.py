"""What follows from one chunk size or another: who fits, how often it refills, what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.callers import load_modules
from vmalloc_model.constraints import (
    allocations_per_refill,
    global_visits_per_allocation,
    largest_eligible,
    reserved_share,
)
from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.studies.platform_rows import chosen, end_text, listed
from vmalloc_model.studies.refills import refills_table
from vmalloc_model.studies.together import Criteria
from vmalloc_model.units import cpus_text, share_text, size_text

__all__ = ["say_what_follows", "what_follows"]

_WORTH_SHOWING: Final = 0.01
"""Share of a range from which `what_follows` gives a platform its own row."""


def what_follows(
    chunk_sizes: Sequence[int],
    platform: str,
    ids: Sequence[str] | None,
    criteria: Criteria,
    mean_sizes: Sequence[int],
    runs: Sequence[str],
) -> pl.DataFrame:
    """List what follows from each chunk size.

    Parameters
    ----------
    chunk_sizes : sequence of int
        Bytes.
    platform : str
        Page size and CPUs of the first rows.
    ids : sequence of str or None
        Platforms whose reserved share is given, each in a row of its own where one of the chunk
        sizes takes a noticeable part with the maximum of NR_CPUS.
    criteria : Criteria
        CPUs and guard pages.
    mean_sizes : sequence of int
        Payloads in bytes.
    runs : sequence of str
        Recorded runs that are filled into chunks.

    Returns
    -------
    polars.DataFrame
        consequence, and one text column per chunk size, named by it.
    """
    one, guard = find_platform(platform), criteria.guard_pages
    chunks = np.array(sorted(chunk_sizes), dtype=np.int64)
    page, most = one.page_size, largest_eligible(chunks, one.page_size, guard)
    files = load_modules()["file_bytes"].to_numpy()
    rows: list[tuple[str, list[str]]] = [
        ("largest eligible payload", [end_text(size) for size in most]),
        (
            ".ko files whose buffer is not eligible",
            [f"{(files > size).sum():,} of {files.size:,}" for size in most],
        ),
    ]
    for mean in mean_sizes:
        served = allocations_per_refill(chunks, mean, page, guard)
        visits = 1000 * global_visits_per_allocation(chunks, mean, page, guard)
        rows += [
            (
                f"served by one refill, payload {size_text(mean)}",
                [f"{count:,} requests" for count in served],
            ),
            (
                f"visits to the global allocator for 1,000 of {size_text(mean)}",
                [f"{value:,.3g}" for value in visits],
            ),
        ]
    rows += _shares(chunks, one, ids, criteria.cpus)
    if runs:
        filled = refills_table(runs, chunk_sizes, chunk_sizes[0]).filter(pl.col("what") == "model")
        for (run, order), part in filled.group_by("run", "order", maintain_order=True):
            rows.append(
                (
                    f"recorded run {run} ({order})",
                    [
                        f"{refills:,} refills" + (f", {large:,} too large" if large else "")
                        for refills, large in part.sort("chunk_size")
                        .select("refills", "too_large")
                        .iter_rows()
                    ],
                )
            )
    names = [size_text(size) for size in chunks.tolist()]
    return pl.DataFrame(
        {"consequence": [label for label, _ in rows]}
        | {name: [values[n] for _, values in rows] for n, name in enumerate(names)}
    )


def _shares(
    chunks: npt.NDArray[np.int64],
    platform: Platform,
    ids: Sequence[str] | None,
    cpus: int,
) -> list[tuple[str, list[str]]]:
    """Rows of reserved shares: `platform` at `cpus`, the others at the maximum of NR_CPUS."""
    count = min(cpus, platform.nr_cpus_max)
    rows = [
        (
            f"reserved on {platform.id}, {cpus_text(count)}",
            [share_text(share) for share in reserved_share(chunks, count, platform.size)],
        )
    ]
    rest = []
    for one in chosen(ids):
        share = reserved_share(chunks, one.nr_cpus_max, one.size)
        if share[-1] < _WORTH_SHOWING and one.id != platform.id:
            rest.append(share)
            continue
        rows.append(
            (
                f"reserved on {one.id}, {one.nr_cpus_max:,} CPUs (maximum)",
                [share_text(value) for value in share],
            )
        )
    if rest:
        worst = np.max(rest, axis=0)
        rows.append(
            (
                f"reserved on the other {len(rest)} platforms, at their maximum",
                [f"at most {share_text(value)}" for value in worst],
            )
        )
    return rows


def say_what_follows(table: pl.DataFrame, platform: str) -> str:
    """Word the range of consequences between the smallest and the largest chunk."""
    names = [name for name in table.columns if name != "consequence"]
    if len(names) < 2:
        return f"What follows from a chunk of {names[0]}, on {platform} unless said otherwise."
    lost = table.filter(pl.col("consequence").str.starts_with(".ko files")).row(0, named=True)
    counts = [f"{lost[name]} with {name}" for name in names]
    return (
        "The reserved share grows in proportion to the chunk; the visits to the global allocator "
        f"fall about as fast. .ko files whose buffer is not eligible: {listed(counts)}. All of it "
        f"on {platform} unless said otherwise."
    )
