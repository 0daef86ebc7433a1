"""Chapter *Occupancy*: the exact expectations against chunks that are filled at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.occupancy import fill
from vmalloc_model.occupancy.stationary import fresh, stationary
from vmalloc_model.studies.occupancy_cases import Case
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, size_text

__all__ = ["BAND", "MEASURES", "check_summary", "check_table", "say_check", "sizes_checked"]

MEASURES: Final = ("requests", "padding", "tail")
"""What is compared, each the mean over chunks."""

BAND: Final = 3.0
"""Standard errors within which exact and simulated means are said to agree."""

_BATCHES: Final = 100
_EACH: Final = 20
"""Chunks of a batch, at most."""
_LEAST: Final = 10
"""Batches below which a standard error is not worth its name."""

_CHECK: Final = {
    "mix": pl.String,
    "group": pl.String,
    "chunk_size": pl.Int64,
    "measure": pl.String,
    "chunks": pl.Int64,
    "batches": pl.Int64,
    "exact": pl.Float64,
    "simulated": pl.Float64,
    "error": pl.Float64,
    "z": pl.Float64,
    "unbiased_z": pl.Float64,
}


def sizes_checked(chunk_size: int) -> list[int]:
    """List the chunk sizes at which exact and simulated are compared: three, a factor 8 apart."""
    return [chunk_size // 64, chunk_size // 8, chunk_size]


def check_table(
    cases: Sequence[Case], chunk_sizes: Sequence[int], events: int, seed: int
) -> pl.DataFrame:
    """Compare exact and simulated means (``fig-occupancy-check``).

    Each mix and chunk size gets its own stream of independent requests, `events` of them or enough
    for some 2,000 chunks, which `vmalloc_model.occupancy.fill` puts into chunks one by one. Chunks
    follow each other, so their counts are not quite independent: they are averaged in up to 100
    batches of successive chunks, and the standard error is that of the batches' mean. One batch
    before them, and the chunk that is current at the end, are left out.

    Parameters
    ----------
    cases : sequence of Case
        The mixes.
    chunk_sizes : sequence of int
        Bytes.
    events, seed : int
        Requests in each stream, at most; what their choice depends on.

    Returns
    -------
    polars.DataFrame
        ``mix``, ``group``, ``chunk_size`` (bytes), ``measure`` (of `MEASURES`), ``chunks`` and
        ``batches`` behind the simulated mean, ``exact`` and ``simulated`` (a count, or bytes),
        ``error`` (standard error), ``z`` (simulated less exact, in standard errors; null where all
        batches are equal), and ``unbiased_z``: the same for the theory in which the first request
        of a chunk is drawn as all others. Streams of fewer than ten chunks have no rows.
    """
    rows: list[tuple[object, ...]] = []
    for number, case in enumerate(cases):
        for chunk in chunk_sizes:
            if not case.mix.fits(chunk).any():
                continue
            random = np.random.default_rng([seed, number, chunk])
            exact, unbiased = stationary(case.mix, chunk), fresh(case.mix, chunk)
            kinds = exact.mix
            # where all chunks are equal a few will do
            chunks = (_BATCHES + 1) * _EACH if kinds.size.size > 1 else _LEAST + 1
            length = min(events, math.ceil(chunks * exact.requests) + 1)
            drawn = random.choice(kinds.size.size, size=length, p=kinds.share)
            filling = fill(kinds.size[drawn], kinds.align[drawn], chunk, kinds.page_size)
            counted = (
                filling.chunk_requests,
                filling.chunk_used - filling.chunk_requested,
                chunk - filling.chunk_used,
            )
            for measure, values in zip(MEASURES, counted, strict=True):
                means, each = _batches(values[:-1])
                if means.size < _LEAST:
                    continue
                wanted, naive = getattr(exact, measure), getattr(unbiased, measure)
                mean, error = float(means.mean()), float(means.std(ddof=1) / means.size**0.5)
                found = (means.size * each, means.size, wanted, mean, error)
                scores = [(mean - one) / error if error else None for one in (wanted, naive)]
                rows.append((case.name, case.group, chunk, measure, *found, *scores))
    return pl.DataFrame(rows, schema=_CHECK, orient="row")


def _batches(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], int]:
    """Means of batches of successive chunks without the first batch, and the chunks in each."""
    each = min(max(values.size // (_BATCHES + 1), 1), _EACH)
    count = values.size // each
    return values[: count * each].reshape(count, each).mean(axis=1)[1:][:_BATCHES], each


def check_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print standard errors between exact and simulated, one row for each mix and chunk size."""
    named = table.with_columns(chunk=pl.col("chunk_size").map_elements(size_text, pl.String))
    return wide(
        named, ["mix", "chunk"], "measure", "z", lambda z: "equal" if z is None else f"{z:+.2f}"
    )


def say_check(table: pl.DataFrame, events: int, seed: int) -> str:
    """Word the caption of ``fig-occupancy-check``: the largest z, and which theory is rejected."""
    random = table.filter(pl.col("z").is_not_null())
    if random.is_empty():
        return "No mix shown is random at these chunk sizes."
    scores = [abs(z) for z in random["z"].to_list()]
    largest, beyond = max(scores), sum(z > BAND for z in scores)
    chunks = [size_text(one) for one in sorted(set(random["chunk_size"].to_list()))]
    text = (
        f"{_agreement(largest, beyond)} {len(scores)} means, of {_mixes(random)} "
        f"in chunks of {listed(chunks)}, each over at most {count_text(events)} requests (seed "
        f"{seed}). "
        f"Beyond 2 are {sum(z > 2 for z in scores)}; if all were independent, "
        f"{len(scores) * math.erfc(2 / math.sqrt(2)):.1f} would be expected there and "
        f"{len(scores) * math.erfc(BAND / math.sqrt(2)):.1f} beyond {BAND:g}."
    )
    wrong = random.with_columns(pl.col("unbiased_z").abs()).sort(
        "unbiased_z", descending=True, maintain_order=True
    )
    worst = wrong.row(0, named=True)
    rejected = sum(z > BAND for z in wrong["unbiased_z"].to_list())
    return (
        f"{text} A theory that draws the first request of a chunk as all others fails: "
        f"{rejected} of its means are beyond {BAND:g}, {worst['measure']} of *{worst['mix']}* in "
        f"chunks of {size_text(worst['chunk_size'])} by {worst['unbiased_z']:,.0f}."
        if rejected
        else text
    )


def _mixes(table: pl.DataFrame) -> str:
    count = table["mix"].n_unique()
    return "1 mix" if count == 1 else f"{count} mixes"


def _agreement(largest: float, beyond: int) -> str:
    shown = f"The largest |z| is {largest:.2f}"
    return (
        f"{shown}: {beyond} beyond {BAND:g}, among"
        if beyond
        else (f"{shown}, below {BAND:g}, among")
    )
