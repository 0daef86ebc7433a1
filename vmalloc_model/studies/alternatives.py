"""Chapter *Alternatives*: designs and chunk sizes by what they visit and what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.errors import InputError
from vmalloc_model.experiments.scene import stream_name
from vmalloc_model.experiments.settled import BOTH, DESIGNS, NO_POOLS, inputs, settle
from vmalloc_model.pareto import on_front
from vmalloc_model.runs import find_run
from vmalloc_model.sweep import Result, sweep
from vmalloc_model.workloads import WORKLOADS

__all__ = ["BASELINE", "HELD", "designs_of", "first_that_fits", "points_of", "points_table"]

BASELINE: Final = "mainline"

HELD: Final = {
    "room": "behind the pointers of current chunks",
    "idle": "freed or skipped, in current chunks",
    "pinned": "freed or skipped, in replaced chunks with live areas",
    "tail": "behind the pointers of replaced chunks",
    "padding": "skipped for alignment and lost",
    "drained": "whole chunks that nothing will look at again",
}
"""Part of the chunks that nobody uses and that no request anywhere can have -> meaning."""

_FILLS: Final = 2
"""A CPU that began a chunk so many times has used one up."""


def designs_of(policies: Sequence[str]) -> list[str]:
    """List the designs to compare: mainline, no pools, the policies, and both repairs at once."""
    chosen = [name for name in policies if name not in (BASELINE, "pools-only")]
    return [BASELINE, NO_POOLS, *chosen, BOTH]


def _points(
    streams: Sequence[Mapping[str, Any]], designs: Sequence[str], chunk_sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """List the points to compute, those together that share a stream."""
    return [
        {**stream, "design": design, "chunk_size": size}
        for stream in streams
        for design in designs
        for size in (chunk_sizes if DESIGNS[design].sized else chunk_sizes[:1])
    ]


def points_table(
    platforms: Sequence[str],
    cpus: int,
    chunk_size: int,
    chunk_sizes: Sequence[int],
    policies: Sequence[str],
    workloads: Sequence[str],
    run: str,
    events: int,
    seed: int,
    horizon: int,
) -> pl.DataFrame:
    """Compute every design at every chunk size on every platform and stream.

    The recorded run is played on its own platform only, or on the first if that is unknown. Where
    mainline cannot serve a stream, no other design is tried.

    Parameters
    ----------
    platforms : sequence of str
        Ids.
    cpus : int
        CPUs of the workloads' machines.
    chunk_size : int
        Bytes: one more chunk size, if it is not among the others.
    chunk_sizes : sequence of int
        Bytes.
    policies, workloads : sequence of str
        Names.
    run : str
        A recorded run.
    events, seed : int
        Of the workloads' streams.
    horizon : int
        Allocations after which held space is judged.

    Returns
    -------
    polars.DataFrame
        ``platform``, ``stream``, ``recorded``, ``design``, ``asked`` (the chunk size that was
        chosen, in bytes; 0 where nobody chooses), ``chunk_size`` (that there was; 0 without
        chunks), ``early``, ``range`` (bytes), ``requests``, ``failures``, ``refills``,
        ``visits`` (to the global lock, per 1,000 requests of the second half); in bytes ``held``
        (`HELD`, at the end), ``lost`` (of that, never given back), ``later`` (held after `horizon`
        allocations), ``high_water``, ``page_tables``, ``peak``; ``lost_per_million`` requests
        (bytes); ``twice`` (areas handed out in a range that had gone back); ``fits`` (mainline
        serves all requests of the stream there), ``filled`` (the stream is long enough for this
        chunk), ``usable`` (both, and no request failed), ``front`` (not dominated in visits and
        held among usable points), ``safe_front`` (among those of them that are not early), and
        ``mark_front`` (likewise, in visits and high-water mark).
    """
    sizes = sorted({chunk_size, *chunk_sizes})
    own = find_run(run).platform or platforms[0]
    streams = [
        {"platform": platform, "stream": stream, "cpus": cpus, "events": events, "seed": seed}
        for platform in platforms
        for stream in (*workloads, *([run] if platform == own else []))
    ]
    return points_of(streams, designs_of(policies), sizes, horizon)


def points_of(
    streams: Sequence[Mapping[str, Any]],
    designs: Sequence[str],
    chunk_sizes: Sequence[int],
    horizon: int,
    title: str = "alternatives",
) -> pl.DataFrame:
    """Compute some designs at some chunk sizes on some streams.

    Parameters
    ----------
    streams : sequence of mapping
        Points of `vmalloc_model.experiments.settled.settle`, without design and chunk size.
    designs : sequence of str
        Names; `BASELINE` first.
    chunk_sizes : sequence of int
        Bytes.
    horizon : int
        Allocations after which held space is judged.
    title : str
        Of the progress bars.

    Returns
    -------
    polars.DataFrame
        As `points_table`.
    """
    points = _points(streams, [BASELINE], chunk_sizes)
    plain = sweep(settle, points, inputs=inputs, title=f"{title}: mainline")
    fitting = [one for one, result in zip(streams, plain, strict=True) if not result["failures"]]
    more = _points(fitting, designs[1:], chunk_sizes)
    rest = sweep(settle, more, inputs=inputs, title=title)
    rows = [
        _row(point, result, horizon)
        for point, result in zip(points + more, plain + rest, strict=True)
    ]
    table = pl.DataFrame(rows).with_columns(recorded=~pl.col("stream").is_in(list(WORKLOADS)))
    parts = table.partition_by("platform", "stream", maintain_order=True)
    return pl.concat(_with_fronts(part) for part in parts)


def first_that_fits(table: pl.DataFrame) -> str:
    """Return the first platform on which mainline serves a stream.

    Raises
    ------
    InputError
        If there is none: then there is nothing to compare.
    """
    fitting: list[str] = table.filter("fits")["platform"].to_list()
    if not fitting:
        named = ", ".join(table["stream"].unique(maintain_order=True).to_list())
        problem = "mainline serves none of them on any of the platforms"
        raise InputError("$.workloads", problem, value=named, allowed="smaller workloads")
    return fitting[0]


def _row(point: dict[str, Any], result: Result, horizon: int) -> dict[str, Any]:
    design, page = DESIGNS[point["design"]], result["page_size"]
    requests = max(result["requests"], 1)
    told = {name: result[f"stranded_{name}"] * page for name in HELD}
    held = sum(told.values())
    lost = told["drained"] + (0 if design.rules.resident else told["tail"] + told["padding"])
    # a chunk counts as used up where its CPU began another, or the same one again
    begun = result["refills"] + result["rewinds"]
    unused = result["chunk_size"] == 0 or result["late_hits"] == 0
    return {
        "platform": point["platform"],
        "stream": stream_name(point["stream"]),
        "design": point["design"],
        "asked": point["chunk_size"] if design.sized else 0,
        "chunk_size": result["chunk_size"],
        "early": design.early,
        "range": result["range"],
        **{name: result[name] for name in ("requests", "failures", "refills")},
        "visits": 1000 * result["late_visits"] / max(result["late_requests"], 1),
        "held": held,
        "lost": lost,
        "later": held - lost + lost * max(horizon, requests) // requests,
        **{name: result[name] * page for name in ("high_water", "page_tables")},
        "peak": result["peak_pages"] * page,
        "lost_per_million": 1e6 * lost / requests,
        "twice": result["stale_handouts"],
        "filled": unused or result["refill_failures"] > 0 or begun >= _FILLS * result["cpus"],
    }


def _with_fronts(table: pl.DataFrame) -> pl.DataFrame:
    """Tell what is usable for one stream on one platform, and mark the fronts."""
    fits = table.row(0, named=True)["failures"] == 0  # mainline's
    usable = pl.col("filled") & (pl.col("failures") == 0)
    table = table.with_columns(fits=pl.lit(fits), usable=usable & fits)
    among = table["usable"].to_numpy()
    safe = among & ~table["early"].to_numpy()
    fronts = {
        "front": ("held", among),
        "safe_front": ("held", safe),
        "mark_front": ("high_water", safe),
    }
    marked = {}
    for name, (space, some) in fronts.items():
        mask = some.copy()
        mask[some] = on_front(table[space].to_numpy()[some], table["visits"].to_numpy()[some])
        marked[name] = pl.Series(name, mask)
    return table.with_columns(**marked)
