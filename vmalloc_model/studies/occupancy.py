"""Chapter *Occupancy*: requests per refill and where a chunk's bytes go, exactly, for each mix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.occupancy.stationary import deviation, requests_per_refill, stationary
from vmalloc_model.studies.occupancy_cases import Case
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import share_text, size_text

__all__ = [
    "IDENTITY",
    "PARTS",
    "chunk_table",
    "digits",
    "identity_error",
    "mix_table",
    "parts_summary",
    "parts_table",
    "requests_summary",
    "tail_summary",
]

PARTS: Final = {
    "payload": "what callers asked for, in whole pages",
    "guard": "guard pages",
    "padding": "skipped for alignment",
    "tail": "behind the pointer when a request did not fit",
}
"""Where the bytes of a chunk are -> meaning; their sum is the chunk."""

IDENTITY: Final = 1e-9
"""Relative error up to which the parts are said to sum to the chunk."""

_CHUNK: Final = {
    "mix": pl.String,
    "group": pl.String,
    "chunk_size": pl.Int64,
    "eligible": pl.Float64,
    "mean": pl.Float64,
    "requests": pl.Float64,
    "visits_per_1000": pl.Float64,
    **dict.fromkeys(PARTS, pl.Float64),
}


def chunk_table(
    cases: Sequence[Case], chunk_sizes: Sequence[int], chunk_size: int | None = None
) -> pl.DataFrame:
    """Occupancy against chunk size (``fig-occupancy``, ``fig-occupancy-tail``).

    Parameters
    ----------
    cases : sequence of Case
        The mixes.
    chunk_sizes : sequence of int
        Bytes; those below two pages of a mix are left out.
    chunk_size : int, optional
        One more, in bytes.

    Returns
    -------
    polars.DataFrame
        ``mix``, ``group``, ``chunk_size`` (bytes); ``eligible`` (share of the mix), ``mean`` (bytes
        of an eligible request); ``requests`` per refill; ``visits_per_1000`` requests of any kind
        to the global allocator, refills and requests that are not eligible; of a chunk in bytes,
        `PARTS`. A chunk size for which nothing of a mix is eligible has no row.
    """
    rows = []
    for case in cases:
        for chunk in sorted({*chunk_sizes, *([chunk_size] if chunk_size else [])}):
            if not case.mix.fits(chunk).any():
                continue
            found = stationary(case.mix, chunk)
            eligible = case.mix.eligible_share(chunk)
            visits = 1000 * (1 - eligible + eligible / found.requests)
            parts = [getattr(found, part) for part in PARTS]
            measures = (eligible, found.mix.mean, found.requests, visits, *parts)
            rows.append((case.name, case.group, chunk, *measures))
    return pl.DataFrame(rows, schema=_CHUNK, orient="row")


def identity_error(table: pl.DataFrame) -> float:
    """Largest relative error, over the rows of a `chunk_table`, of the sum of the parts."""
    error = (pl.sum_horizontal(*PARTS) / pl.col("chunk_size") - 1).abs().max()
    return float(table.select(error).item() or 0.0)


def parts_table(table: pl.DataFrame, chunk_size: int) -> pl.DataFrame:
    """Where the bytes of a chunk go (``fig-occupancy-bytes``).

    Parameters
    ----------
    table : polars.DataFrame
        As from `chunk_table`.
    chunk_size : int
        Bytes, one of the table's.

    Returns
    -------
    polars.DataFrame
        ``mix``, ``group``, ``part`` (of `PARTS`), ``bytes``, ``share`` of the chunk.
    """
    here = table.filter(pl.col("chunk_size") == chunk_size)
    rows = [
        (row["mix"], row["group"], part, row[part], row[part] / chunk_size)
        for row in here.iter_rows(named=True)
        for part in PARTS
    ]
    kinds = [pl.String, pl.String, pl.String, pl.Float64, pl.Float64]
    names = ["mix", "group", "part", "bytes", "share"]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def mix_table(cases: Sequence[Case], chunk_size: int) -> pl.DataFrame:
    """Say what a chunk comes to for each mix, as text for readers (``tab-occupancy``).

    Returns
    -------
    polars.DataFrame
        ``mix``, ``eligible`` (share), ``mean`` (eligible request), ``quotient`` (chunk size divided
        by the mean), ``requests`` per refill, their standard ``deviation`` from chunk to chunk,
        ``shifted`` (requests per refill if chunks begin one page above a multiple of their size),
        ``padding`` and ``tail`` of a chunk in bytes, ``payload`` as a share of it.
    """
    rows: list[tuple[str, ...]] = []
    for case in cases:
        if not case.mix.fits(chunk_size).any():
            rows.append((case.name, share_text(0), *["-"] * 8))
            continue
        found = stationary(case.mix, chunk_size)
        numbers = (
            chunk_size / found.mix.mean,
            found.requests,
            deviation(found),
            requests_per_refill(case.mix, chunk_size, case.mix.page_size),
        )
        rows.append(
            (
                case.name,
                share_text(case.mix.eligible_share(chunk_size)),
                size_text(found.mix.mean),
                *map(digits, numbers),
                size_text(found.padding),
                size_text(found.tail),
                share_text(found.payload / chunk_size),
            )
        )
    names = ("mix", "eligible", "mean", "quotient", "requests", "deviation", "shifted")
    return pl.DataFrame(rows, schema=[*names, "padding", "tail", "payload"], orient="row")


def digits(value: float) -> str:
    """Print a count that need not be whole: one decimal, two below ten, none where it is whole.

    Examples
    --------
    >>> digits(8192.0), digits(317.4885), digits(6.7987), digits(2047.99999)
    ('8,192', '317.5', '6.80', '2,048')
    """
    if abs(value - round(value)) < 5e-5 * max(value, 1.0) / 100:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def requests_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print requests per refill, one row for each mix."""
    return _by_chunk(table, "requests")


def tail_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print tails as shares of the chunk, one row for each mix."""
    return _by_chunk(table.with_columns(share=pl.col("tail") / pl.col("chunk_size")), "share")


def _by_chunk(table: pl.DataFrame, column: str) -> pl.DataFrame:
    named = table.sort("chunk_size", maintain_order=True).with_columns(
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String)
    )
    made = wide(named, ["mix"], "chunk", column, share_text if column == "share" else digits)
    order = table["mix"].unique(maintain_order=True).to_list()
    return made.sort(pl.col("mix").replace_strict({mix: i for i, mix in enumerate(order)}))


def parts_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print shares of the parts, one row for each mix."""
    return wide(table, ["mix"], "part", "share", share_text)
