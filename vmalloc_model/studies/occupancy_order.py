"""Chapter *Occupancy*: recorded requests in their order, beside independent ones as frequent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.occupancy.counts import distribution
from vmalloc_model.occupancy.stationary import Occupancy, deviation, stationary
from vmalloc_model.studies.occupancy import digits
from vmalloc_model.studies.occupancy_cases import recorded_mix
from vmalloc_model.studies.streams import fill_stream, streams
from vmalloc_model.units import count_text, share_text, size_text

__all__ = [
    "Played",
    "counts_summary",
    "counts_table",
    "order_table",
    "play",
    "say_counts",
    "say_order",
]

_ENDS: Final = 1e-4
"""Probability on either side at which the curve of independent requests ends."""
_POINTS: Final = 120
"""Points of that curve, at most."""

_COUNTS: Final = {
    "stream": pl.String,
    "what": pl.String,
    "requests": pl.Int64,
    "below": pl.Float64,
}


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """A recorded stream in its order, and the exact occupancy by independent requests.

    Attributes
    ----------
    stream : str
        Run and order.
    counts, padding, tail : ndarray of int64, shape (chunks,)
        Requests, and bytes, of each chunk that was given up.
    exact : Occupancy
        Of the requests that the chunks served, as if independent.
    deviation : float
        Standard deviation that belongs to `exact`.
    """

    stream: str
    counts: npt.NDArray[np.int64]
    padding: npt.NDArray[np.int64]
    tail: npt.NDArray[np.int64]
    exact: Occupancy
    deviation: float


def play(runs: Sequence[str], chunk_size: int) -> list[Played]:
    """Fill chunks with recorded streams, each CPU its own.

    Parameters
    ----------
    runs : sequence of str
        Ids or files, as for `vmalloc_model.runs.find_run`. Streams that close no chunk are left
        out.
    chunk_size : int
        Bytes.
    """
    return list(_played(runs, chunk_size))


def _played(runs: Sequence[str], chunk_size: int) -> Iterator[Played]:
    for run, order, requests in streams(runs):
        served, _, filling = fill_stream(requests, chunk_size, run.page_size, order)
        closed = filling.chunk_closed
        if not closed.any():
            continue
        name = f"{run.id}, {order}"
        used = filling.chunk_used[closed]
        exact = stationary(recorded_mix(name, served, run.page_size), chunk_size)
        yield Played(
            stream=name,
            counts=filling.chunk_requests[closed],
            padding=used - filling.chunk_requested[closed],
            tail=chunk_size - used,
            exact=exact,
            deviation=deviation(exact),
        )


def counts_table(played: Sequence[Played]) -> pl.DataFrame:
    """How many requests a chunk serves (``fig-occupancy-counts``).

    Returns
    -------
    polars.DataFrame
        ``stream``, ``what`` (``recorded order``, or ``independent`` for the exact law),
        ``requests`` in a chunk, ``below`` (share of chunks that serve so many or fewer), ascending.
        Of each run only the first order, as in its kernel.
    """
    rows: list[tuple[object, ...]] = []
    for one in _drawn(played):
        numbers = np.unique(one.counts)
        below = np.searchsorted(np.sort(one.counts), numbers, side="right") / one.counts.size
        points = [("recorded order", *pair) for pair in zip(numbers, below, strict=True)]
        law = np.cumsum(distribution(one.exact, _ENDS))
        first = max(int(np.searchsorted(law, _ENDS)) - 1, 0)
        step = max((law.size - first) // _POINTS, 1)
        points += [("independent", k, law[k]) for k in range(first, law.size, step)]
        rows += [(one.stream, what, int(k), float(share)) for what, k, share in points]
    return pl.DataFrame(rows, schema=_COUNTS, orient="row")


def _drawn(played: Sequence[Played]) -> list[Played]:
    """Of each run the first order."""
    first: dict[str, Played] = {}
    for one in played:
        first.setdefault(one.stream.split(", ")[0], one)
    return list(first.values())


def counts_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print the requests in a chunk that 10, 50 and 90 % of the chunks do not exceed."""
    rows = []
    for (stream, what), points in table.group_by("stream", "what", maintain_order=True):
        reached = [points.filter(pl.col("below") >= share) for share in (0.1, 0.5, 0.9)]
        numbers = [count_text(one["requests"][0]) if one.height else "-" for one in reached]
        rows.append((stream, what, *numbers))
    return pl.DataFrame(rows, schema=["stream", "what", "10 %", "50 %", "90 %"], orient="row")


def order_table(played: Sequence[Played]) -> pl.DataFrame:
    """Put recorded order and independent requests side by side (``tab-occupancy-order``).

    Returns
    -------
    polars.DataFrame
        Text: ``stream``, ``chunks`` that were given up; for each of ``requests`` (mean),
        ``deviation`` (standard, from chunk to chunk), ``padding`` and ``tail`` (shares of those
        chunks) the recorded value and the exact one, ``recorded | independent``; ``median`` of the
        recorded requests in a chunk.
    """
    rows = []
    for one in played:
        exact, size = one.exact, one.exact.chunk_size
        spread = f"{_deviation(one):,.1f} | {one.deviation:,.1f}"
        rows.append(
            (
                one.stream,
                count_text(one.counts.size),
                f"{digits(float(one.counts.mean()))} | {digits(exact.requests)}",
                digits(float(np.median(one.counts))),
                spread,
                f"{share_text(one.padding.mean() / size)} | {share_text(exact.padding / size)}",
                f"{share_text(one.tail.mean() / size)} | {share_text(exact.tail / size)}",
            )
        )
    names = ["stream", "chunks", "requests", "median", "deviation", "padding", "tail"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _deviation(one: Played) -> float:
    return float(one.counts.std(ddof=1)) if one.counts.size > 1 else 0.0


def say_counts(played: Sequence[Played], chunk_size: int) -> str:
    """Word the caption of ``fig-occupancy-counts``: how wide, and what the middle chunk serves."""
    words = [
        f"*{one.stream}*: mean {digits(float(one.counts.mean()))}, median "
        f"{digits(float(np.median(one.counts)))}, standard deviation {_deviation(one):,.1f} over "
        f"{count_text(one.counts.size)} chunks; independent requests have a mean of "
        f"{digits(one.exact.requests)} and a standard deviation of {one.deviation:,.1f}"
        for one in _drawn(played)
        if one.counts.size > 1
    ]
    if not words:
        return f"No recorded stream closes two chunks of {size_text(chunk_size)}."
    return f"Requests in a chunk of {size_text(chunk_size)}. {'. '.join(words)}."


def say_order(played: Sequence[Played], chunk_size: int) -> str:
    """Word the caption of ``tab-occupancy-order``: what the order changes, and what it does not."""
    if not played:
        return f"No recorded stream closes a chunk of {size_text(chunk_size)}."
    means = [abs(float(one.counts.mean()) / one.exact.requests - 1) for one in played]
    spreads = [_deviation(one) / max(one.deviation, 1e-9) for one in played]
    worst = played[int(np.argmax(means))].stream
    return (
        "Closed chunks in the recorded order, and the same requests as if independent (recorded | "
        "independent). In the mean number of requests the two differ by at most "
        f"{share_text(max(means))} (*{worst}*). The standard deviation from chunk to chunk is "
        f"{_times(spreads)} that of independent requests."
    )


def _times(ratios: Sequence[float]) -> str:
    low, high = f"{min(ratios):.2g}", f"{max(ratios):.2g}"
    return f"{low} times" if low == high else f"{low} to {high} times"
