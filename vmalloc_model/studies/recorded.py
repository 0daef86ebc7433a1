"""Recorded runs, each read once for all tables of a chapter."""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from vmalloc_model.runs import Run, find_run, read_requests

__all__ = ["recorded"]


def recorded(name: str) -> tuple[Run, pl.DataFrame]:
    """Describe a recorded run and read its requests, unless the file was read before.

    Parameters
    ----------
    name : str
        As for `vmalloc_model.runs.find_run`.

    Returns
    -------
    run : Run
    requests : polars.DataFrame
        As from `vmalloc_model.runs.read_requests`.
    """
    run = find_run(name)
    state = run.path.stat()
    return run, _requests(name, str(run.path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _requests(name: str, path: str, changed: int, size: int) -> pl.DataFrame:
    """Read the requests; path, time and size are there to notice another file."""
    return read_requests(name)
