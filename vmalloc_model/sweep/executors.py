"""What computes points. An executor settles each: afterwards it is in the store, or it failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed

from vmalloc_model.errors import InputError
from vmalloc_model.sweep.store import Point, Store

__all__ = ["Executor", "Outcome", "threads"]

Outcome = tuple[str, Exception | None]
"""Name of a point that is settled, and the exception if its function raised one."""

Executor = Callable[[Store, Mapping[str, Point]], Generator[Outcome, None, None]]
"""Settles points, which it is given by their names in the store. What it raises itself is the end
of the sweep; closing it early is too."""


def threads(workers: int | None = None) -> Executor:
    """Compute points in threads of this process.

    The compiled code that points spend their time in holds no lock of the interpreter.

    Parameters
    ----------
    workers : int, optional
        Threads; as many as there are cores if not given.

    Returns
    -------
    Executor
        When it is closed early, the points that are running are finished and kept.

    Raises
    ------
    InputError
        If there is less than one worker.
    """
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    if count < 1:
        raise InputError("$.workers", "out of range", value=workers, allowed="1 or more")

    def settle(store: Store, points: Mapping[str, Point]) -> Generator[Outcome, None, None]:
        def one(name: str, point: Point) -> Exception | None:
            try:
                text = store.compute(point)
            except Exception as error:
                return error
            store.keep(name, text)
            return None

        pool = ThreadPoolExecutor(count)
        try:
            running = {pool.submit(one, name, point): name for name, point in points.items()}
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)

    return settle
