"""Chapter *Refill amortisation*: refills of recorded streams, beside those that a kernel logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from vmalloc_model.runs import Run
from vmalloc_model.studies.streams import fill_stream, streams
from vmalloc_model.studies.wide import wide
from vmalloc_model.traces.oplog import read_oplog
from vmalloc_model.units import count_text, size_text

__all__ = ["Logged", "logged_refills", "refills_summary", "refills_table", "say_refills"]

_REFILLS: Final = {
    "run": pl.String,
    "order": pl.String,
    "what": pl.String,
    "chunk_size": pl.Int64,
    "requests": pl.Int64,
    "too_large": pl.Int64,
    "refills": pl.Int64,
    "compared": pl.Int64,
    "agree": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Logged:
    """What a kernel with the overlay logged, beside the model given the same requests.

    Attributes
    ----------
    chunk_size, refills : int
        Bytes; chunks that the kernel reserved.
    compared, agree : int
        Chunks that the kernel gave up; those of them of which the model uses exactly as many bytes.
    """

    chunk_size: int
    refills: int
    compared: int
    agree: int


def logged_refills(run: Run, requests: pl.DataFrame) -> Logged | None:
    """Compare the model with the refills in an operation log, chunk by chunk.

    Parameters
    ----------
    run : Run
        A recorded run.
    requests : polars.DataFrame
        Its requests.

    Returns
    -------
    Logged or None
        None where nothing was logged: a run without the overlay, or ftrace text.
    """
    if run.kind != "oplog":
        return None
    log = read_oplog(run.path)
    sizes = log.filter(op="chunk_reserve")["size"].unique().to_list()
    if len(sizes) != 1:
        return None
    chunk_size = int(sizes[0])
    filling = fill_stream(requests, chunk_size, run.page_size, "after pools")[2]
    refills = log.filter(op="refill").select("addr", "value", "size").rows()
    number: dict[int, int] = {}
    compared = agree = 0
    for count, (base, old, used) in enumerate(refills):
        if old in number:
            compared += 1
            k = number[old]
            agree += k < filling.refills and int(filling.chunk_used[k]) == used
        number[base] = count
    return Logged(chunk_size, len(refills), compared, agree)


def refills_table(
    runs: Sequence[str], chunk_sizes: Sequence[int], chunk_size: int | None = None
) -> pl.DataFrame:
    """Refills of recorded request streams against chunk size (``fig-refills``).

    Parameters
    ----------
    runs : sequence of str
        Ids or files, as for `vmalloc_model.runs.find_run`.
    chunk_sizes : sequence of int
        Bytes.
    chunk_size : int, optional
        One more, in bytes.

    Returns
    -------
    polars.DataFrame
        ``run``, ``order`` (of `vmalloc_model.studies.streams.ORDERS`), ``what`` (``model``, or
        ``measured`` for refills that a kernel logged), ``chunk_size`` (bytes), ``requests``
        (standard window, as far as they reach the chunk), ``too_large`` (of these, above half a
        chunk), ``refills``; of measured ones ``compared`` and ``agree`` (`Logged`), else null;
        ``visits`` to the global allocator (refills and too large ones) and ``visits_per_1000``
        requests.
    """
    rows: list[tuple[object, ...]] = []
    for run, order, requests in streams(runs):
        for chunk in sorted({*chunk_sizes, *([chunk_size] if chunk_size else [])}):
            served, too_large, filling = fill_stream(requests, chunk, run.page_size, order)
            asked = served.height + too_large
            rows.append(
                (run.id, order, "model", chunk, asked, too_large, filling.refills, None, None)
            )
        logged = logged_refills(run, requests) if order == "after pools" else None
        if logged:
            chunk = logged.chunk_size
            served, too_large, _ = fill_stream(requests, chunk, run.page_size, order)
            asked, counts = served.height + too_large, (logged.compared, logged.agree)
            rows.append(
                (run.id, order, "measured", chunk, asked, too_large, logged.refills, *counts)
            )
    return pl.DataFrame(rows, schema=_REFILLS, orient="row").with_columns(
        visits=pl.col("refills") + pl.col("too_large"),
        visits_per_1000=1000 * (pl.col("refills") + pl.col("too_large")) / pl.col("requests"),
    )


def refills_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Put the refills of `refills_table` into one row per chunk size."""
    stream = pl.concat_str("run", pl.lit(", "), "order")
    named = table.with_columns(
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
        stream=pl.when(pl.col("what") == "model")
        .then(stream)
        .otherwise(pl.concat_str("run", pl.lit(", measured"))),
    )
    return wide(named, ["chunk"], "stream", "refills", count_text)


def say_refills(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-refills``: how often, what a doubling changes, what was logged."""
    model = table.filter(pl.col("what") == "model")
    rates = model.filter(pl.col("chunk_size") == chunk_size)["visits_per_1000"].to_list()
    text = (
        f"With chunks of {size_text(chunk_size)} the recorded streams visit the global allocator "
        f"{_span(rates, '.3g')} times per 1,000 requests, refills and requests above half a chunk "
        "together."
    )
    steps = [
        f"from {size_text(small)} to {size_text(2 * small)} divides that by {_span(falls, '.3g')}"
        for small in (chunk_size // 2, chunk_size)
        if (falls := _falls(model, small))
    ]
    if steps:
        text += f" Going {'; going '.join(steps)}."
    for row in table.filter(pl.col("what") == "measured").iter_rows(named=True):
        same = model.filter(
            (pl.col("run") == row["run"])
            & (pl.col("order") == row["order"])
            & (pl.col("chunk_size") == row["chunk_size"])
        )["refills"].to_list()
        says = f", the model says {count_text(same[0])}" if same else ""
        text += (
            f" The kernel of {row['run']} logged {count_text(row['refills'])} refills at "
            f"{size_text(row['chunk_size'])}{says}; {count_text(row['agree'])} of the "
            f"{count_text(row['compared'])} chunks it gave up are used to the same byte."
        )
    return text + _saved_by_pools(model, chunk_size)


def _saved_by_pools(model: pl.DataFrame, chunk_size: int) -> str:
    """Word what asking the node pools first does to the refills, where a run tells it."""
    here = model.filter(pl.col("chunk_size") == chunk_size)
    both = here.filter(pl.col("order") == "after pools").join(
        here.filter(pl.col("order") == "before pools"),
        on="run",
        suffix="_before",
        maintain_order="left",
    )
    return "".join(
        f" In {row['run']} the pools answer "
        f"{count_text(row['requests_before'] - row['requests'])} of "
        f"{count_text(row['requests_before'])} requests when they are asked first; refills are "
        f"then {count_text(row['refills'])} instead of {count_text(row['refills_before'])}."
        for row in both.iter_rows(named=True)
    )


def _falls(model: pl.DataFrame, chunk_size: int) -> list[float]:
    """Visits with one chunk size to those with twice of it, by stream; empty if unknown."""
    keys = ["run", "order"]
    small = model.filter(pl.col("chunk_size") == chunk_size)
    large = model.filter(pl.col("chunk_size") == 2 * chunk_size)
    both = small.join(large, on=keys, suffix="_large", maintain_order="left")
    return (both["visits"] / both["visits_large"]).to_list()


def _span(values: Sequence[float], form: str) -> str:
    """Smallest and largest of some numbers: ``4.9 to 12``."""
    texts = [format(value, form) for value in (min(values), max(values))]
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"
