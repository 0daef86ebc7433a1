"""Metrics at many points, as a table: a row each, with numbers or with the error of the point."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import polars as pl

from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.errors import ModelError
from vmalloc_model.experiments.play import inputs, play
from vmalloc_model.experiments.scene import run_named
from vmalloc_model.metrics.registry import Case, Metric
from vmalloc_model.metrics.settings import SETTINGS, Settings
from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.sweep import Executor, Point, attempt
from vmalloc_model.workloads import find_workload

__all__ = ["Survey", "survey"]


class Survey(NamedTuple):
    """What a sweep found.

    Attributes
    ----------
    table : DataFrame
        One row per point in the order of the points: its settings (`SETTINGS`' columns, then the
        parameters of the workload), the metrics, and ``error``: null, or one line; then all metrics
        are null.
    failed, found : int
        Points with an error; points whose simulation had been done before.
    """

    table: pl.DataFrame
    failed: int
    found: int


def survey(
    points: Sequence[Settings], metrics: Sequence[Metric], executor: Executor | None = None
) -> Survey:
    """Compute metrics at every point.

    Parameters
    ----------
    points : sequence of dict
        Of `vmalloc_model.metrics.settings.settings_of`.
    metrics : sequence of Metric
        Each once.
    executor : Executor, optional
        Runs the simulations: `vmalloc_model.sweep.threads` if not given. Closed forms are computed
        here.

    Raises
    ------
    FileError, ModelError, KeyboardInterrupt
        As `vmalloc_model.sweep.attempt`.
    """
    counted: list[Any] = [{}] * len(points)
    found = 0
    if any(one.simulated for one in metrics):
        # in the order of their streams, each of which is made once for all points that follow
        order = sorted(range(len(points)), key=lambda place: _stream(points[place]))
        played = [_point(points[place]) for place in order]
        results, found = attempt(play, played, inputs=inputs, executor=executor)
        for place, result in zip(order, results, strict=True):
            counted[place] = result
    rows = [_row(point, metrics, result) for point, result in zip(points, counted, strict=True)]
    table = pl.DataFrame(rows, schema=_schema(points, metrics), orient="row")
    return Survey(table, table.height - table["error"].null_count(), found)


def _stream(point: Settings) -> str:
    """Sort by what the stream follows from."""
    names = ("run", "workload", "platform", "cpus", "events", "seed", "parameters")
    return repr([point.get(name) for name in names])


def _point(point: Settings) -> Point:
    """Name what `play` runs at a point."""
    played: dict[str, Any] = {
        name: point[name]
        for name in ("policy", "platform", "cpus", "events", "seed", "nodes")
        if name in point
    }
    rules = find_policy(point["policy"])
    if rules.overlay and not rules.scaled:  # else the chunk size changes nothing
        played["chunk_size"] = point["chunk"]
    if "run" in point:
        return {"stream": point["run"], **played}
    parameters = dict(point.get("parameters", {}))
    if "bits" in find_workload(point["workload"]).parameters:
        parameters.setdefault("bits", str(8 * _platform(point["platform"]).pointer_size))
    return {"stream": point["workload"], **played, "parameters": parameters}


def _row(point: Settings, metrics: Sequence[Metric], counted: Any) -> list[Any]:
    own = dict(point)
    if "run" in point:
        run = run_named(point["run"])
        own["cpus"], own["platform"] = run.cpus, run.platform or point["platform"]
    head = [own.get(name) for name in SETTINGS if name in own]
    head += point.get("parameters", {}).values()
    try:
        if isinstance(counted, Exception):
            raise counted
        case = _case(own, counted)
        return [*head, *(one.of(case) for one in metrics), None]
    except Exception as error:
        said = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
        return [*head, *(None for _ in metrics), " ".join(said.split())]


def _case(point: Settings, counted: dict[str, int]) -> Case:
    """Describe a point to metrics.

    Raises
    ------
    InputError
        If the platform cannot have such chunks.
    """
    policy = find_policy(point["policy"]) if "policy" in point else None
    platform = _platform(point.get("platform", SETTINGS["platform"].default))
    cpus = point.get("cpus", SETTINGS["cpus"].default)
    chunk = point.get("chunk")
    if policy is not None and not policy.overlay:
        chunk = None
    elif chunk is not None:
        if policy is not None and policy.scaled:
            machine = machine_of(platform, cpus).scaled()
        else:
            machine = machine_of(platform, cpus, chunk_size=chunk)
        chunk = machine.chunk_pages * machine.page_size or None
    return Case(
        platform=platform,
        cpus=cpus,
        chunk=chunk,
        payload=point.get("payload", SETTINGS["payload"].default),
        guard_pages=point.get("guard_pages", SETTINGS["guard_pages"].default),
        policy=policy,
        counted=counted,
    )


@cache
def _platform(name: str) -> Platform:
    return find_platform(name)


def _schema(points: Sequence[Settings], metrics: Sequence[Metric]) -> dict[str, Any]:
    """Types of the columns; one of floats is one of floats however few rows have a number."""
    first = points[0]
    names = [name for name in SETTINGS if name in first or (name == "cpus" and "run" in first)]
    texts = ("policy", "workload", "run", "platform")
    schema: dict[str, Any] = {
        SETTINGS[name].column: pl.String
        if name in texts
        else pl.UInt64
        if name == "seed"
        else pl.Int64
        for name in names
    }
    kinds = {str: pl.String, float: pl.Float64, int: pl.Int64}
    for name, value in first.get("parameters", {}).items():
        schema[name] = kinds[type(value)]
    for one in metrics:
        schema[one.name] = pl.Float64 if one.fraction else pl.Int64
    return schema | {"error": pl.String}
