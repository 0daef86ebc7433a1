"""Recorded requests as streams into chunks: which of them reach a chunk, and what they fill.

Streams keep what was recorded: sizes with their guard pages, the order on each CPU, and the page
size of the kernel that ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from vmalloc_model.occupancy import Filling, fill
from vmalloc_model.requests import eligible
from vmalloc_model.runs import Run
from vmalloc_model.studies.recorded import recorded

__all__ = ["ORDERS", "fill_stream", "guarded", "orders_of", "streams"]

ORDERS: Final = {
    "no pools": "one CPU has no node pools: every request reaches the chunk",
    "after pools": "10/12: only requests that the node pools did not answer reach the chunk",
    "before pools": "11/12 and 12/12: every request reaches the chunk",
}
"""Which requests of a recorded run reach the chunk, by the order in which kernels ask."""


def orders_of(requests: pl.DataFrame, cpus: int) -> list[str]:
    """Orders (`ORDERS`) that can be told apart for a recorded run.

    Parameters
    ----------
    requests : polars.DataFrame
        As from `vmalloc_model.runs.read_requests`.
    cpus : int
        CPUs of the recorded machine.
    """
    if cpus == 1:
        return ["no pools"]
    known = requests.filter("in_window")["reached_overlay"].null_count() == 0
    return ["after pools", "before pools"] if known else ["before pools"]


def fill_stream(
    requests: pl.DataFrame, chunk_size: int, page_size: int, order: str
) -> tuple[pl.DataFrame, int, Filling]:
    """Fill chunks with the requests of one recorded run.

    Parameters
    ----------
    requests : polars.DataFrame
        As from `vmalloc_model.runs.read_requests`.
    chunk_size, page_size : int
        Bytes; the page size of the run.
    order : str
        One of `ORDERS`.

    Returns
    -------
    served : polars.DataFrame
        The requests that the chunks served.
    too_large : int
        Requests that reach the chunk but are above half of it, by size or alignment.
    filling : Filling
        Of `served`.
    """
    asked = requests.filter("in_window")
    if order == "after pools":
        asked = asked.filter("reached_overlay")
    fits = eligible(
        asked["size"].to_numpy(), asked["align"].to_numpy(), True, chunk_size, page_size
    )
    served = asked.filter(pl.Series(fits))
    filling = fill(
        served["size"].to_numpy(),
        served["align"].to_numpy(),
        chunk_size,
        page_size,
        served["cpu"].to_numpy(),
    )
    return served, asked.height - served.height, filling


def streams(runs: Sequence[str]) -> Iterator[tuple[Run, str, pl.DataFrame]]:
    """Yield each run, each order that can be told for it, and the run's requests."""
    for name in runs:
        run, requests = recorded(name)
        for order in orders_of(requests, run.cpus):
            yield run, order, requests


def guarded() -> pl.Expr:
    """Tell which requests carry a guard page: all but those of vm_map_ram.

    ftrace text does not tell which these are. There a request whose size is its alignment is taken
    for a vm_map_ram block: with a guard page no request can be.
    """
    block = (pl.col("size") == pl.col("align")).fill_null(False)
    return ~pl.col("vm_map_ram").fill_null(block)
