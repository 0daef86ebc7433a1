"""Points of a sweep on a dask cluster: another executor, same results, kept in the same store.

A worker computes with its own installation of the package and its own data files. It tells by which
digest it would keep a point, which follows from all of them; an answer with another digest than
ours ends the sweep.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from vmalloc_model.errors import InputError, ModelError
from vmalloc_model.sweep import Executor, Function, Inputs, Outcome, Point, Store

__all__ = ["Answer", "answer", "connected"]

PATIENCE: Final = 8.0
"""Seconds for a scheduler to answer."""

LOST: Final = 20.0
"""Seconds without a scheduler or any worker after which a cluster counts as lost."""

Client = Any
Future = Any
"""Of `distributed`, which need not be installed."""

_INSTALL: Final = "pip install 'vmalloc-model[distributed]'"


class Answer(NamedTuple):
    """What a worker says of a point.

    Attributes
    ----------
    name : str
        Digest of the point there; empty if it could not be told.
    text : str or None
        The result, as `Store.keep` takes it.
    error : Exception or None
        What was raised instead.
    """

    name: str
    text: str | None
    error: Exception | None


def answer(function: Function, inputs: Inputs | None, point: Point, compute: bool = True) -> Answer:
    """Compute a point on a worker, or just its digest."""
    name = ""
    try:
        store = _store(function, inputs)
        name = store.name(point)
        return Answer(name, store.compute(point) if compute else None, None)
    except Exception as error:
        return Answer(name, None, _portable(error))


@cache
def _store(function: Function, inputs: Inputs | None) -> Store:
    """Keep digests for the life of a worker, as long as the code and the data in its memory."""
    return Store(function, inputs)


def _portable(error: BaseException) -> ModelError:
    """Turn an exception into one that can be sent whatever it holds; the words stay the same."""
    said = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
    return ModelError(said)


@contextmanager
def connected(address: str, where: str = "$.scheduler") -> Iterator[Executor]:
    """Connect to a cluster for the time of a block.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.7:8786``.
    where : str
        Place that errors name.

    Yields
    ------
    Executor
        Computes points on the cluster and keeps them here as they arrive. It raises `ModelError` if
        the cluster is lost or a worker runs another model.

    Raises
    ------
    InputError
        If the library is missing, nothing answers at the address within `PATIENCE`, or it is no
        scheduler.
    ModelError
        If the cluster has no workers.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ModuleNotFoundError:
        raise InputError(where, "needs the library distributed", allowed=_INSTALL) from None
    _silence()
    allowed = "the address of a dask scheduler, such as tcp://10.0.0.7:8786"
    try:
        asyncio.run(asyncio.wait_for(_identity(address), PATIENCE))
    except ValueError as error:
        raise InputError(where, str(error), value=address, allowed=allowed) from None
    except Exception:  # nothing there, silence, or bytes that are no answer of a scheduler
        problem = "no scheduler answers there"
        raise InputError(where, problem, value=address, allowed=allowed) from None
    client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    try:
        yield _executor(client, address)
    finally:
        with suppress(Exception):
            client.close(timeout=2)


def _silence() -> None:
    """Switch the library's logs off: we tell what matters, in one line."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


async def _identity(address: str) -> None:
    """Ask a scheduler who it is; a client by itself would wait for an answer without end."""
    core = importlib.import_module("distributed.core")
    async with core.rpc(address, timeout=PATIENCE / 2) as scheduler:
        told = await scheduler.identity()
        if told["type"] != "Scheduler":
            raise ValueError(f"answers as a {told['type'].lower()}, not as a scheduler")


def _executor(client: Client, address: str) -> Executor:
    def settle(store: Store, points: Mapping[str, Point]) -> Generator[Outcome, None, None]:
        if not points:
            return
        name, point = next(iter(points.items()))
        _check_workers(client, store, name, point, address)
        arrived: SimpleQueue[Future] = SimpleQueue()
        waiting = {}  # futures are held: the cluster forgets what nobody holds
        for name, point in points.items():
            future = client.submit(answer, store.function, store.inputs, point, pure=False)
            waiting[future.key] = name, future
            future.add_done_callback(arrived.put)
        while waiting:
            name, future = waiting.pop(_next(client, arrived, address).key)
            yield _settled(store, name, future, address)

    return settle


def _check_workers(client: Client, store: Store, name: str, point: Point, address: str) -> None:
    """Make sure, before work begins, that there are workers and that all run this model."""
    with suppress(Exception):
        client.wait_for_workers(1, timeout=PATIENCE)
    try:
        told = client.run(
            answer, store.function, store.inputs, point, compute=False, on_error="return"
        )
    except Exception:
        raise _lost(address) from None
    if not told:
        raise ModelError(f"the cluster at {address} has no workers")
    for worker, said in sorted(told.items()):
        error = said if isinstance(said, BaseException) else said.error
        if error is not None and "No module named 'vmalloc_model" in str(error):  # in its own words
            raise ModelError(f"worker {worker} has no vmalloc-model, or another version")
        if error is not None:
            raise ModelError(f"worker {worker} cannot compute points: {_portable(error)}")
        _same(said.name, name, worker)


def _same(theirs: str, ours: str, worker: str) -> None:
    if theirs != ours:
        raise ModelError(
            f"worker {worker} runs another version of vmalloc-model, of its libraries or of its "
            "data than here; install the same there and start it again"
        )


def _lost(address: str) -> ModelError:
    return ModelError(f"the cluster at {address} is lost")


def _next(client: Client, arrived: SimpleQueue[Future], address: str) -> Future:
    """Wait for a future; raise when the cluster has been without scheduler or worker too long."""
    last_seen = time.monotonic()
    while True:
        try:
            return arrived.get(timeout=1)
        except Empty:
            if _alive(client):
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > LOST:
                raise _lost(address) from None


def _alive(client: Client) -> bool:
    if client.status != "running":
        return False
    with suppress(Exception):
        return bool(client.scheduler_info(n_workers=-1)["workers"])
    return False


def _settled(store: Store, name: str, future: Future, address: str) -> Outcome:
    if future.status == "finished":
        try:
            told = future.result(timeout=LOST)
        except Exception:
            raise _lost(address) from None
        _same(told.name, name, "that computed a point")
        if told.error is not None:
            return name, told.error
        store.keep(name, told.text)
        return name, None
    if future.status == "error":
        return name, _portable(future.exception())
    raise _lost(address)
