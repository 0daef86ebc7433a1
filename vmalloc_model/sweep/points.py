"""One function at many points: those that are not finished are computed, then all are read."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from tqdm import tqdm

from vmalloc_model.errors import ModelError
from vmalloc_model.sweep.executors import Executor, Outcome, threads
from vmalloc_model.sweep.store import Function, Inputs, Point, Result, Store

__all__ = ["Attempt", "attempt", "grid", "sweep"]


class Attempt(NamedTuple):
    """What became of points.

    Attributes
    ----------
    results : list of dict or Exception
        In the order of the points: the result, or what was raised.
    found : int
        Points that were finished before.
    """

    results: list[Result | Exception]
    found: int


def grid(**axes: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination of values, the last name changing fastest.

    Examples
    --------
    >>> grid(cpus=[1, 2], policy=["rfc10"])
    [{'cpus': 1, 'policy': 'rfc10'}, {'cpus': 2, 'policy': 'rfc10'}]
    """
    points: list[dict[str, Any]] = [{}]
    for name, values in axes.items():
        points = [{**point, name: value} for point in points for value in values]
    return points


def sweep(
    function: Function,
    points: Sequence[Point],
    *,
    inputs: Inputs | None = None,
    workers: int | None = None,
    title: str = "sweep",
) -> list[Result]:
    """Compute a function at every point, in threads; the first failure is the end.

    Parameters
    ----------
    function : callable
        A function of a module of the package, at its top level: point in, result out. The same
        point gives the same result.
    points : sequence of mapping
        Points; one that is there twice is computed once.
    inputs : callable, optional
        Data files that the function reads at a point. None if it reads none.
    workers : int, optional
        Threads; as many as there are cores if not given.
    title : str
        Of the progress bar, which shows on a terminal only.

    Returns
    -------
    list of dict
        The results in the order of the points, as they come back from JSON whether they were
        computed now or earlier.

    Raises
    ------
    InputError
        If there is less than one worker.
    FileError
        If a finished point cannot be kept.
    Exception
        What the function raises at the first point that fails; points finished by then stay
        finished. An interrupt likewise.
    """
    run = threads(workers)
    store = Store(function, inputs)
    names = [store.name(point) for point in points]
    with closing(_settle(store, dict(zip(names, points, strict=True)), run, title)) as settled:
        for _, error in settled:
            if error is not None:
                raise error
    return [store.read(name) for name in names]


def attempt(
    function: Function,
    points: Sequence[Point],
    *,
    inputs: Inputs | None = None,
    executor: Executor | None = None,
    title: str = "sweep",
) -> Attempt:
    """Compute a function at every point; a point that fails is told, and the others go on.

    Parameters
    ----------
    function, points, inputs, title
        As for `sweep`.
    executor : Executor, optional
        `threads` on all cores if not given.

    Returns
    -------
    Attempt
        A point that failed is not finished: the next sweep tries it again, because the reason may
        lie in the machine (its memory, a file), and what is wrong with a point itself shows at
        once.

    Raises
    ------
    FileError
        If a finished point cannot be kept.
    ModelError, KeyboardInterrupt
        What ended the executor. A note of the exception tells how many points are finished.
    """
    store = Store(function, inputs)
    names = [_name(store, point) for point in points]
    wanted = {
        name: point for name, point in zip(names, points, strict=True) if isinstance(name, str)
    }
    outcomes: dict[str, Exception | None] = {}
    before = [isinstance(name, str) and store.has(name) for name in names]
    try:
        with closing(_settle(store, wanted, executor or threads(), title)) as settled:
            outcomes.update(settled)
    except (ModelError, KeyboardInterrupt) as stopped:
        kept = sum(isinstance(name, str) and store.has(name) for name in names)
        stopped.add_note(f"{kept:,} of {len(points):,} points are finished and kept")
        raise
    results: list[Result | Exception] = [
        name if isinstance(name, Exception) else outcomes.get(name) or store.read(name)
        for name in names
    ]
    return Attempt(results, sum(before))


def _name(store: Store, point: Point) -> str | Exception:
    """Name of a point, or why it has none: a data file that is not there, for example."""
    try:
        return store.name(point)
    except Exception as error:
        return error


def _settle(
    store: Store, wanted: Mapping[str, Point], run: Executor, title: str
) -> Generator[Outcome, None, None]:
    """Settle the points that are not finished, behind a bar on a terminal."""
    todo = {name: point for name, point in wanted.items() if not store.has(name)}
    quiet = not sys.stderr.isatty()
    with (
        closing(run(store, todo)) as settled,
        tqdm(total=len(todo), desc=title, unit="point", disable=quiet) as bar,
    ):
        for outcome in settled:
            bar.update()
            yield outcome
