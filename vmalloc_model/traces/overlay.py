"""What the overlay did in a run, summed up from its operation log: measured, not modelled."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from vmalloc_model.traces.oplog import BUMP, GLOBAL, POOL, SERVED_BY

__all__ = ["OverlaySummary", "summarise_overlay"]


@dataclass(frozen=True)
class OverlaySummary:
    """Counts and sizes (bytes) of one run with the overlay of patch 10/12.

    Attributes
    ----------
    chunk_size : int
        Bytes of every chunk.
    requests : int
        Allocations that succeeded, in any window; `hits`, `pool_hits` and `global_allocations` are
        those served by a chunk, by a node pool, and by the global allocator.
    hits, pool_hits, global_allocations : int
    misses : int
        Times the bump pointer had no room (or no chunk yet); each led to a refill or a failed one.
    ineligible_window, ineligible_other : int
        Requests that were refused because of their window, and for any other reason.
    refills, failed_refills : int
    reused : int
        Refills whose chunk overlaps an earlier one: 0 means that no address was reserved twice.
    high_water : int
        Bytes from the beginning of the standard window to the end of the highest chunk.
    touched : int
        Bytes from the beginning of the standard window to the end of the highest area in a chunk.
    tail : int
        Bytes behind the last area of replaced chunks, lost with them.
    padding : int
        Bytes skipped for alignment before areas, in all chunks.
    chunks : DataFrame
        One row per refill, in order: ``line``; ``cpu``; ``base`` (address); ``hits``; ``allocated``
        (bytes of the areas); ``used`` (bytes from ``base`` to the end of the last area);
        ``padding`` (``used - allocated``); ``current`` (still installed at the end of the log);
        ``tail`` (bytes behind ``used``, lost; 0 while the chunk is current).
    """

    chunk_size: int
    requests: int
    hits: int
    pool_hits: int
    global_allocations: int
    misses: int
    ineligible_window: int
    ineligible_other: int
    refills: int
    failed_refills: int
    reused: int
    high_water: int
    touched: int
    tail: int
    padding: int
    chunks: pl.DataFrame


def summarise_overlay(log: pl.DataFrame) -> OverlaySummary | None:
    """Sum up the overlay's part of an operation log.

    Parameters
    ----------
    log : DataFrame
        As `vmalloc_model.traces.oplog.read_oplog` returns it.

    Returns
    -------
    OverlaySummary or None
        None if the overlay was off or no chunk was ever installed.
    """
    config = log.row(0, named=True)
    reserved = log.filter(op="chunk_reserve")["size"]
    if config["flag"] != 1 or not len(reserved):
        return None
    chunk_size = int(reserved[0])
    chunks = _chunks(log.with_row_index("line", offset=2), chunk_size)
    ends = chunks["base"] + chunk_size
    counts = dict(log["op"].value_counts().iter_rows())
    done = log.filter(op="alloc_done")
    served = dict((done["flag"] & SERVED_BY).value_counts().iter_rows())
    window_mismatch = log.filter((pl.col("op") == "bump_ineligible") & (pl.col("flag") == 1)).height
    return OverlaySummary(
        chunk_size=chunk_size,
        requests=done.height,
        hits=served.get(BUMP, 0),
        pool_hits=served.get(POOL, 0),
        global_allocations=served.get(GLOBAL, 0),
        misses=counts.get("bump_miss", 0),
        ineligible_window=window_mismatch,
        ineligible_other=counts.get("bump_ineligible", 0) - window_mismatch,
        refills=chunks.height,
        failed_refills=counts.get("refill_fail", 0),
        reused=_overlapping(chunks["base"].to_list(), chunk_size),
        high_water=int(ends.max()) - config["vstart"],  # type: ignore[arg-type]
        touched=int((chunks["base"] + chunks["used"]).max()) - config["vstart"],  # type: ignore[arg-type]
        tail=int(chunks["tail"].sum()),
        padding=int(chunks["padding"].sum()),
        chunks=chunks,
    )


def _chunks(log: pl.DataFrame, chunk_size: int) -> pl.DataFrame:
    refills = log.filter(op="refill").select("seq", "line", "cpu", base="addr", replaced="value")
    areas = (
        log.filter(op="bump_hit")
        .with_columns(base="value")
        # A base may come back, so an area belongs to the last refill of its base.
        .join_asof(
            refills.select("seq", "line", "base"),
            on="seq",
            by="base",
            suffix="_refill",
            check_sortedness=False,
        )
        .group_by(line="line_refill")
        .agg(
            hits=pl.len(),
            allocated=pl.col("size").sum(),
            used=(pl.col("addr") + pl.col("size") - pl.col("base")).max(),
        )
    )
    # Likewise the chunk that a refill replaces.
    replaced = refills.select("seq", base="replaced").join_asof(
        refills.drop("replaced"),
        on="seq",
        by="base",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    gone = pl.col("line").is_in(replaced["line"].drop_nulls().implode())
    return (
        refills.join(areas, on="line", how="left")
        .sort("line")
        .with_columns(pl.col("hits", "allocated", "used").fill_null(0).cast(pl.Int64))
        .select(
            "line",
            "cpu",
            "base",
            "hits",
            "allocated",
            "used",
            padding=pl.col("used") - pl.col("allocated"),
            current=~gone,
            tail=pl.when(gone).then(chunk_size - pl.col("used")).otherwise(0),
        )
    )


def _overlapping(bases: list[int], chunk_size: int) -> int:
    """Count the chunks that overlap one listed before them."""
    return sum(
        any(abs(base - earlier) < chunk_size for earlier in bases[:number])
        for number, base in enumerate(bases)
    )
