"""Million events a second of whole policies: 8 CPUs, churn with 100,000 live areas.

The events are made beforehand, so that only `Allocator.run` is timed. The first blocks, in which
the areas are allocated, are not timed.

Run it alone, with the policies wanted, for the table only::

    python benchmarks/bench_allocator.py rfc10 rfc12
"""

from __future__ import annotations

import statistics
import sys
import time
from functools import cache

import pytest

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.platforms import find_platform
from vmalloc_model.workloads import make

POLICIES = ("mainline", "rfc10", "rfc12", "release-after-purge")
CPUS, LIVE, EVENTS = 8, 100_000, 1_500_000
ROUNDS = 5


@cache
def _events():
    """Blocks of events: those of the fill-up, and those of the churn."""
    stream = make("churn", page_size=4096, cpus=CPUS, events=EVENTS, seed=1, live=LIVE)
    fill, churn, done = [], [], 0
    for block in stream.blocks():
        (fill if done < LIVE else churn).append(block)
        done += len(block)
    return fill, churn


def filled(policy):
    """An allocator with all areas."""
    allocator = Allocator(machine_of(find_platform("x86_64-4level"), CPUS), policy)
    for block in _events()[0]:
        allocator.run(block)
    return allocator


def run(allocator):
    for block in _events()[1]:
        allocator.run(block)
    return allocator


@pytest.mark.parametrize("policy", POLICIES)
def test_policy(benchmark, policy):
    done = benchmark.pedantic(run, setup=lambda: ((filled(policy),), {}), rounds=ROUNDS)
    assert done.measures()["live_areas"] == LIVE
    done.check()
    events = sum(len(block) for block in _events()[1])
    benchmark.extra_info["million events per second"] = events / benchmark.stats["median"] / 1e6
    benchmark.extra_info["at best"] = events / benchmark.stats["min"] / 1e6


def main() -> None:
    events = sum(len(block) for block in _events()[1])
    print(f"{'policy':<22}{'M events/s':>12}{'slowest – fastest':>20}{'gaps':>10}{'chunks':>9}")
    for policy in sys.argv[1:] or POLICIES:
        rates = []
        for _ in range(ROUNDS):
            allocator = filled(policy)
            start = time.perf_counter()
            run(allocator)
            rates.append(events / (time.perf_counter() - start) / 1e6)
        found, middle = allocator.measures(), statistics.median(rates)
        spread = f"{min(rates):.2f} – {max(rates):.2f}"
        counts = f"{found['gaps']:>10,}{found['chunks']:>9,}"
        print(f"{policy:<22}{middle:>12.2f}{spread:>20}{counts}", flush=True)


if __name__ == "__main__":
    main()
