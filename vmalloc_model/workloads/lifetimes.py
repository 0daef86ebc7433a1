"""How long the areas of a recorded run lived, counted in events."""

from __future__ import annotations

import polars as pl

from vmalloc_model.runs import Run
from vmalloc_model.traces.ftrace import FREE, read_ftrace
from vmalloc_model.traces.oplog import read_oplog

__all__ = ["frees_of", "lifetimes_of", "survival", "windows_of"]


def windows_of(requests: pl.DataFrame, run: Run) -> pl.DataFrame:
    """All windows with their numbers: the standard one is 0, then the most frequent first."""
    start, end = run.window
    standard = (pl.col("vstart") == start) & (pl.col("vend") == end)
    found = requests.group_by("vstart", "vend").agg(count=pl.len()).filter(~standard)
    first = pl.DataFrame(
        {"vstart": [start], "vend": [end]}, schema=dict.fromkeys(("vstart", "vend"), pl.UInt64)
    )
    others = found.sort("count", "vstart", "vend", descending=[True, False, False])
    return (
        pl.concat([first, others.select("vstart", "vend")])
        .with_row_index("window")
        .with_columns(pl.col("window").cast(pl.Int64))
    )


def frees_of(run: Run) -> pl.DataFrame:
    """``line``, ``cpu`` and ``addr`` of every free."""
    if run.kind == "oplog":
        log = read_oplog(run.path).with_row_index("line", offset=2)
        return log.filter(op="lazy_add").select(pl.col("line").cast(pl.Int64), "cpu", "addr")
    events = read_ftrace(run.path).events
    events = events[events["kind"] == FREE]
    frame = pl.DataFrame({"line": events["line"], "cpu": events["cpu"], "addr": events["start"]})
    return frame.with_columns(pl.col("cpu").cast(pl.Int64))


def lifetimes_of(requests: pl.DataFrame, frees: pl.DataFrame) -> pl.DataFrame:
    """Find the free of each allocation: the next event with its address, if that is one.

    Parameters
    ----------
    requests, frees : polars.DataFrame
        Both with ``line``, ``cpu`` and ``addr``.

    Returns
    -------
    polars.DataFrame
        `requests` with ``freed`` (whether it was), ``freed_on`` (CPU) and ``lifetime``: events
        from the allocation to its free, or to the end of the recording.
    """
    both = pl.concat(
        [requests.with_columns(free=False), frees.with_columns(free=True)], how="diagonal"
    )
    both = both.sort("line").with_row_index("time").with_columns(pl.col("time").cast(pl.Int64))
    following = pl.col("time", "cpu", "free").shift(-1).over("addr").name.prefix("next_")
    freed = pl.col("next_free").fill_null(False)
    return (
        both.with_columns(following)
        .filter(~pl.col("free"))
        .with_columns(
            freed=freed,
            freed_on=pl.when(freed).then("next_cpu"),
            lifetime=pl.when(freed).then("next_time").otherwise(both.height) - pl.col("time"),
        )
        .drop("free", "time", "next_time", "next_cpu", "next_free")
    )


def survival(areas: pl.DataFrame) -> pl.DataFrame:
    """Kaplan-Meier estimate of the lifetimes in each group.

    Parameters
    ----------
    areas : polars.DataFrame
        ``group``, ``lifetime`` and ``freed``; an area that was not freed lived longer.

    Returns
    -------
    polars.DataFrame
        As `Fit.lifetimes`; ascending by group and lifetime, lifetimes without deaths left out.
    """
    return (
        areas.group_by("group", "lifetime")
        .agg(deaths=pl.col("freed").sum().cast(pl.Int64), ended=pl.len().cast(pl.Int64))
        .sort("group", "lifetime")
        .with_columns(risk=pl.col("ended").cum_sum(reverse=True).over("group"))
        .with_columns(
            survival=(1 - pl.col("deaths") / pl.col("risk")).cum_prod().over("group"),
        )
        .filter(pl.col("deaths") > 0)
        .select("group", "lifetime", "risk", "deaths", "survival")
    )
