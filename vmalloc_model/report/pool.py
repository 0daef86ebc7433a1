"""Several notebooks at a time, each in a process of its own, with nothing left behind."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from vmalloc_model.errors import ModelError, NotebookError
from vmalloc_model.report.job import Job

__all__ = ["run_jobs"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _Running:
    job: Job
    process: Any
    connection: Connection
    error: ModelError | None


def run_jobs(
    jobs: Sequence[Job],
    cell_done: Callable[[], object],
    finished: Callable[[Job, ModelError | None], None],
) -> None:
    """Run notebooks, as many at a time as there are CPUs.

    Parameters
    ----------
    jobs : sequence of Job
        In the order in which they start.
    cell_done : callable
        Called after each cell of any notebook.
    finished : callable
        Called with each job as it ends, and with its error or None. A failing notebook does not
        keep the others from running.

    Notes
    -----
    Whatever ends this call (Ctrl-C, an exception in a callback), no worker and no kernel survives.
    """
    context = _context()
    waiting = list(jobs)
    running: dict[Any, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < _cpus():
                job = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(job, theirs), name=job.name)
                unspoken = ModelError(f"notebook {job.name}: its process died")
                running[ours] = _Running(job, process, ours, unspoken)
                with _signals_held():
                    process.start()
                theirs.close()
            for ready in wait(list(running)):
                one = running[ready]
                try:
                    message = one.connection.recv()
                except EOFError:
                    one.process.join()
                    del running[ready]
                    finished(one.job, one.error)
                    continue
                if message is None:
                    cell_done()
                else:
                    one.error = _error(*message)
    finally:
        for one in running.values():
            _kill(one.process.pid)


def _context() -> multiprocessing.context.ForkServerContext:
    """Start the server that workers are forked from, so that papermill is loaded once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["papermill", "jupytext"])
    with _signals_held():
        forkserver.ensure_running()
    return context


@contextmanager
def _signals_held() -> Iterator[None]:
    """Take notice of signals afterwards only: a process that is half started cannot be killed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _work(job: Job, connection: Connection) -> None:
    """Run a job in a worker; send None for each cell, and at the end how it went."""
    from vmalloc_model.report.execution import execute

    # Signals to the whole group are for the main process, which has to find the kernels to kill.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        execute(job, lambda: connection.send(None))
    except NotebookError as error:
        connection.send(("notebook", error.notebook, error.cell, error.first_line, error.error))
    except ModelError as error:
        connection.send(("other", str(error)))
    except BrokenPipeError:
        # The main process is gone; so is everybody who would read of it.
        return
    else:
        connection.send(("fine",))


def _error(kind: str, *fields: Any) -> ModelError | None:
    """Make the error that a worker told of; exceptions with several fields do not pickle."""
    if kind == "notebook":
        return NotebookError(*fields)
    return ModelError(*fields) if kind == "other" else None


def _cpus() -> int:
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def _kill(pid: int | None) -> None:
    """Kill a worker and the kernel it has started, which lives in a session of its own."""
    import psutil  # type: ignore[import-untyped]

    try:
        worker = psutil.Process(pid) if pid else None
        family = [*worker.children(recursive=True), worker] if worker else []
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=5)
