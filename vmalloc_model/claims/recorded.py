"""What the recorded runs say to the claims: sizes of requests, and what the overlay did."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from vmalloc_model.errors import InputError
from vmalloc_model.runs import Run, find_run, read_requests, run_id
from vmalloc_model.traces.oplog import (
    BUMP,
    NOT_STANDARD_WINDOW,
    SERVED_BY,
    VM_MAP_RAM,
    read_oplog,
)
from vmalloc_model.traces.overlay import summarise_overlay

__all__ = ["Mainline", "Overlay", "Stream", "read_mainline", "read_overlay", "read_stream"]


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of a recorded run for the standard window. Sizes are bytes, guard page included.

    Attributes
    ----------
    run : str
        Id of the run.
    requests, ineligible : int
        Requests in the standard window; requests for other windows.
    smallest, median, largest : int
        Of the requests in the standard window.
    mean : float
        Likewise.
    sizes, aligns : polars.Series of int
        Likewise, in the order of the run.
    """

    run: str
    requests: int
    ineligible: int
    smallest: int
    median: int
    largest: int
    mean: float
    sizes: pl.Series
    aligns: pl.Series


@dataclass(frozen=True, slots=True)
class Mainline:
    """What the allocator did in a recorded run without the overlay.

    Attributes
    ----------
    run : str
        Id of the run.
    allocations, searches, returns : int
        Allocations; searches of the global free space; ranges that came back to it.
    """

    run: str
    allocations: int
    searches: int
    returns: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """What the overlay of 10/12 did in a recorded run. Sizes are bytes, guard page included.

    Attributes
    ----------
    run : str
        Id of the run.
    cpus, nodes : int
        CPUs of the machine; vmap nodes.
    allocations, hits, misses, reserves, failures : int
        Allocations of every kind; requests served from a chunk; requests that found no room;
        chunks reserved; reservations that failed.
    distinct_bases : int
        Different addresses among the chunks reserved.
    chunk_sizes : tuple of int
        Sizes of the chunks reserved, each once.
    mean_payload : float
        Mean of the requests served, without their guard page.
    aligned_hits : int
        Hits whose alignment is above a page.
    freed_hits : int
        Hits whose area was freed before the recording ended.
    away_hits : int
        Hits whose area went to the busy tree of another node than that of their CPU.
    tails, padding : int
        Bytes behind the pointer of chunks that were given up; bytes skipped by ALIGN.
    pool_hits : int
        Requests that a node pool answered before the overlay was asked.
    ineligible, outside_window, outside_window_hits : int
        Requests the overlay refused; those of them for another window; requests for another window
        that it served.
    callers_outside : dict of str to int
        Callers of the requests for other windows, as the log names them.
    tree_allocations, tree_frees : int
        Searches of the global free space that were no refill; ranges that came back to it.
    """

    run: str
    cpus: int
    nodes: int
    allocations: int
    hits: int
    misses: int
    reserves: int
    failures: int
    distinct_bases: int
    chunk_sizes: tuple[int, ...]
    mean_payload: float
    aligned_hits: int
    freed_hits: int
    away_hits: int
    tails: int
    padding: int
    pool_hits: int
    ineligible: int
    outside_window: int
    outside_window_hits: int
    callers_outside: dict[str, int]
    tree_allocations: int
    tree_frees: int


def read_stream(run: str) -> Stream:
    """Summarise the requests of a recorded run.

    Raises
    ------
    InputError
        If the run is unknown or asked for nothing in the standard window.
    """
    requests = read_requests(run)
    inside = requests.filter("in_window")
    if inside.is_empty():
        raise InputError("$.run", "no request in the standard window", value=run)
    size = inside["size"]
    middle = size.quantile(0.5, "lower")
    return Stream(
        run=run_id(run),
        requests=inside.height,
        ineligible=requests.height - inside.height,
        smallest=int(size.min()),  # type: ignore[arg-type]
        median=int(middle),  # type: ignore[arg-type]
        largest=int(size.max()),  # type: ignore[arg-type]
        mean=float(size.mean()),  # type: ignore[arg-type]
        sizes=size,
        aligns=inside["align"],
    )


def read_overlay(run: str) -> Overlay:
    """Summarise the operation log of a kernel with the overlay.

    Raises
    ------
    InputError
        If the run is unknown, is no operation log, or reserved no chunk.
    """
    found, log = _log(run)
    page_size, config = found.page_size, log.row(0, named=True)
    overlay = summarise_overlay(log)
    hits = _of(log, "bump_hit")
    reserves = _of(log, "chunk_reserve").drop_nulls("addr")
    if overlay is None or hits.is_empty() or reserves.is_empty():
        raise InputError("$.run", "no chunk was reserved in it", value=run)
    ineligible = _of(log, "bump_ineligible")
    outside = ineligible.filter(pl.col("flag") & 1 == 1)
    served = _of(log, "alloc_done").filter(pl.col("flag") & SERVED_BY == BUMP)["flag"]
    # blocks of vm_map_ram have no guard page
    guarded = hits.height - int((served & VM_MAP_RAM != 0).sum())
    requested = int(hits["size"].sum())
    home = pl.col("addr") // config["value"] % config["node"]
    return Overlay(
        run=run_id(run),
        cpus=found.cpus,
        nodes=int(config["node"]),
        allocations=_of(log, "alloc_done").height,
        hits=overlay.hits,
        misses=overlay.misses,
        reserves=reserves.height,
        failures=overlay.failed_refills,
        distinct_bases=reserves["addr"].n_unique(),
        chunk_sizes=tuple(int(size) for size in reserves["size"].unique().sort()),
        mean_payload=(requested - guarded * page_size) / hits.height,
        aligned_hits=hits.filter(pl.col("align") > page_size).height,
        freed_hits=_freed(log, hits),
        away_hits=hits.filter(home != pl.col("cpu") % config["node"]).height,
        tails=overlay.tail,
        padding=overlay.padding,
        pool_hits=overlay.pool_hits,
        ineligible=ineligible.height,
        outside_window=outside.height,
        outside_window_hits=int((served & NOT_STANDARD_WINDOW != 0).sum()),
        callers_outside=dict(outside["caller"].value_counts(sort=True).iter_rows()),
        tree_allocations=_of(log, "tree_alloc").height,
        tree_frees=_of(log, "tree_free").height,
    )


def read_mainline(run: str) -> Mainline:
    """Summarise the operation log of a kernel without the overlay; errors as `read_overlay`."""
    _, log = _log(run)
    return Mainline(
        run=run_id(run),
        allocations=_of(log, "alloc_done").height,
        searches=_of(log, "tree_alloc").height,
        returns=_of(log, "tree_free").height,
    )


def _log(run: str) -> tuple[Run, pl.DataFrame]:
    found = find_run(run)
    if found.kind != "oplog":
        raise InputError("$.run", "no operation log", value=run, allowed="a run of kind oplog")
    return found, read_oplog(found.path)


def _of(log: pl.DataFrame, operation: str) -> pl.DataFrame:
    return log.filter(pl.col("op") == operation)


def _freed(log: pl.DataFrame, hits: pl.DataFrame) -> int:
    """Count hits for which an area at their address became lazy afterwards."""
    freed = _of(log, "lazy_add").select("addr", freed=pl.col("seq"))
    later = (
        hits.select("addr", "seq").join(freed, on="addr").filter(pl.col("freed") > pl.col("seq"))
    )
    return later["seq"].n_unique()
