"""A sweep of 1,000 simulations by one thread and by a thread on every core.

Churn with 10,000 live areas on 1 to 256 CPUs, 10 seeds, chunks of 1 MiB to 512 MiB, 2 policies,
100,000 events a point. Nothing is taken from earlier sweeps. CPU seconds (user and system) tell
what a busy machine does to the clock.

Run it alone for the table only, with events a point if others are wanted::

    python benchmarks/bench_sweep.py 20000
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from unittest import mock

import pytest

from vmalloc_model.experiments.play import inputs, play
from vmalloc_model.native import warm_up
from vmalloc_model.sweep import attempt, grid, threads

EVENTS = 100_000
CORES = len(os.sched_getaffinity(0))


def points(events):
    own = {"stream": "churn", "platform": "x86_64-4level", "events": events}
    axes = grid(
        cpus=[1, 4, 16, 64, 256],
        seed=list(range(10)),
        chunk_size=[1 << power for power in range(20, 30)],
        policy=["rfc10", "rfc12"],
    )
    return [own | point for point in axes]


def swept(workers, events=EVENTS):
    """All points, in an empty store."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {"VMALLOC_MODEL_CACHE": folder}),
    ):
        return attempt(play, points(events), inputs=inputs, executor=threads(workers))


@pytest.fixture(scope="module", autouse=True)
def compiled():
    warm_up()
    play(points(1000)[0])


@pytest.mark.parametrize("workers", sorted({1, CORES}))
def test_sweep(benchmark, workers):
    told = benchmark.pedantic(swept, args=(workers,), rounds=1)
    assert told.found == 0
    assert all(isinstance(one, dict) for one in told.results)
    benchmark.extra_info["points per second"] = 1000 / benchmark.stats["median"]


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    warm_up()
    play(points(1000)[0])
    print(f"1,000 points of {events:,} events, {CORES} cores")
    print(f"{'threads':>8}{'seconds':>9}{'CPU seconds':>13}{'speed-up':>10}")
    alone = 0.0
    for workers in sorted({1, CORES}):
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        swept(workers, events)
        took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        alone = alone or took
        print(f"{workers:>8}{took:>9.2f}{used:>13.2f}{alone / took:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
