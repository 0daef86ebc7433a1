"""Sweeps: one function at many points, on all cores; what is finished stays finished.

Each point's result is a file of its own, named by a digest of all that it follows from: the point,
the sources of the function and of every room of the package that it reaches, and the data files it
reads. So a sweep that was stopped goes on where it was, a second one of the same points computes
nothing, and an old result is never taken for a new one.

The points run in threads of this process: the compiled code they spend their time in holds no lock
of the interpreter.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from vmalloc_model.caches import cache_folder
from vmalloc_model.datafiles import ROOT
from vmalloc_model.dependencies import PACKAGE, module_files
from vmalloc_model.errors import InputError

__all__ = ["Point", "Result", "grid", "sweep"]

Point = Mapping[str, Any]
"""Name -> value; values are what JSON can hold."""

Result = dict[str, Any]
"""Name -> value; values are what JSON can hold."""

_LIBRARIES: Final = ("numpy", "numba", "polars", "ziglang")


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
    function: Callable[[Point], Result],
    points: Sequence[Point],
    *,
    inputs: Callable[[Point], Iterable[Path]] | None = None,
    workers: int | None = None,
    title: str = "sweep",
) -> list[Result]:
    """Compute a function at every point.

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
        If there are less than one worker.
    Exception
        What the function raises at the first point that fails; points finished by then stay
        finished. An interrupt likewise.
    """
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if workers < 1:
        raise InputError("$.workers", "out of range", value=workers, allowed="1 or more")
    folder = cache_folder("sweep") / f"{function.__module__}.{function.__qualname__}"
    folder.mkdir(parents=True, exist_ok=True)
    code = _code_digest(function.__module__)
    files = [folder / f"{_digest(code, point, inputs)}.json" for point in points]
    todo = {file: point for file, point in zip(files, points, strict=True) if not file.exists()}
    bar = tqdm(total=len(todo), desc=title, unit="point", disable=not sys.stderr.isatty())
    pool = ThreadPoolExecutor(workers)
    try:
        running = [pool.submit(_compute, function, point, file) for file, point in todo.items()]
        for done in as_completed(running):
            _finish(done)
            bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _finish(done: Future[None]) -> None:
    error = done.exception()
    if error is not None:
        raise error


def _compute(function: Callable[[Point], Result], point: Point, file: Path) -> None:
    text = json.dumps(function(point))
    handle, part = tempfile.mkstemp(dir=file.parent, prefix=".part-")
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    Path(part).replace(file)  # whole or not there


def _digest(code: str, point: Point, inputs: Callable[[Point], Iterable[Path]] | None) -> str:
    parts = hashlib.sha256(code.encode())
    parts.update(json.dumps(point, sort_keys=True).encode())
    for path in sorted(inputs(point)) if inputs is not None else ():
        parts.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return parts.hexdigest()[:32]


@cache
def _code_digest(module: str) -> str:
    """Digest the sources of a module and of all rooms it reaches.

    A room counts as a whole: some load their files by name, and the engine's are not Python.
    """
    rooms = {
        path.relative_to(ROOT / PACKAGE).parts[0]
        for path in module_files(ROOT, (), [module])
        if path.parent != ROOT / PACKAGE or path.name != "__init__.py"
    }
    parts = hashlib.sha256(sys.version.encode())
    parts.update(repr([(name, metadata.version(name)) for name in _LIBRARIES]).encode())
    for room in sorted(rooms):
        place = ROOT / PACKAGE / room
        files = [place] if place.is_file() else sorted(place.rglob("*.[pch]*"))
        for file in files:
            if file.suffix in (".py", ".c", ".h"):
                parts.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
                parts.update(hashlib.sha256(file.read_bytes()).digest())
    return parts.hexdigest()
