"""The simulation of single visits: against a plain twin, its own identities, and the queue."""

import heapq

import numpy as np
import pytest

from vmalloc_model.contention.events import RUNS, observe, serve
from vmalloc_model.contention.queueing import Lock, throughput
from vmalloc_model.errors import InputError


def plain(thinks, works, holds, cpus, on_grant):
    """One event at a time from a heap of arrivals."""
    drawn = cpus
    arrivals = [(thinks[cpu], cpu) for cpu in range(cpus)]
    heapq.heapify(arrivals)
    queue, ends, responses = [], [], []
    now, left, rate, granted = 0.0, 0.0, 1.0, 0
    while len(ends) < len(works):
        end = now + left / rate if queue else float("inf")
        coming = arrivals[0][0] if arrivals else float("inf")
        if coming < end:
            left -= (coming - now) * rate if queue else 0.0
            now, cpu = heapq.heappop(arrivals)
            queue.append((cpu, now))
            if len(queue) == 1:
                left, granted, waited = works[granted], granted + 1, False
        else:
            now = end
            cpu, since = queue.pop(0)
            ends.append(now)
            responses.append(now - since)
            heapq.heappush(arrivals, (now + thinks[drawn], cpu))
            drawn += 1
            if queue and granted < len(works):
                left, granted, waited = works[granted], granted + 1, True
        if queue:
            here = max(len(queue), 2) if waited else 1
            rate = 1 / holds[here - 1 if on_grant else len(queue) - 1]
    return np.array(ends), np.array(responses)


@pytest.mark.parametrize("on_grant", [False, True])
@pytest.mark.parametrize("cpus", [1, 2, 3, 7])
def test_it_is_the_plain_simulation(cpus, on_grant):
    random = np.random.default_rng(cpus)
    thinks, works = random.exponential(3.0, 600 + cpus), random.exponential(1.0, 600)
    holds = Lock(1.0, 2.0).holds(max(cpus, 2))
    ends, responses, *_ = serve(thinks, works, holds, cpus, on_grant)
    expected = plain(thinks, works, holds, cpus, on_grant)
    assert ends == pytest.approx(expected[0], rel=1e-9)
    assert responses == pytest.approx(expected[1], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("holding", ["exponential", "constant"])
@pytest.mark.parametrize("cpus", [1, 3, 16])
def test_little_and_utilisation(cpus, holding):
    seen = observe(cpus, 7.0, Lock(1.0), 100_000, 5, holding)
    # CPUs at the lock = rate x response; the lock is busy for the work of the visits
    assert seen.present == pytest.approx(seen.rate * seen.response, rel=2e-3)
    assert seen.busy == pytest.approx(seen.rate * 1.0, rel=2e-3)
    # and a CPU is either thinking or at the lock
    assert cpus == pytest.approx(seen.present + 7.0 * seen.rate, rel=5e-3)


@pytest.mark.parametrize("lock", [Lock(1.0), Lock(1.0, 2.0), Lock(1.0, 0.5, 0.25)])
@pytest.mark.parametrize("cpus", [1, 2, 8, 24])
def test_exponential_holding_agrees_with_the_queue_within_a_five_hundredth(cpus, lock):
    seen = observe(cpus, 7.0, lock, 400_000, 3)
    exact = throughput(cpus, 7.0, lock)
    assert abs(seen.rate / exact - 1) < 0.002
    assert abs(seen.rate - exact) < 4 * seen.error + 1e-4 * exact
    assert seen.error < 0.001 * exact


def test_a_wrong_holding_time_is_noticed():
    seen = observe(8, 7.0, Lock(1.02), 400_000, 3)
    assert abs(seen.rate / throughput(8, 7.0, Lock(1.0)) - 1) > 0.004


def test_constant_holding_waits_less_and_most_so_at_the_knee():
    bias = {}
    for cpus in (1, 2, 8, 32):
        seen = observe(cpus, 7.0, Lock(1.0), 100_000, 3, "constant")
        bias[cpus] = seen.rate / throughput(cpus, 7.0, Lock(1.0)) - 1
    assert abs(bias[1]) < 1e-3
    assert abs(bias[32]) < 1e-3
    assert 0.003 < bias[2] < bias[8]
    assert 0.04 < bias[8] < 0.06


def test_where_the_hand_over_is_paid_matters_little():
    exact = throughput(4, 7.0, Lock(1.0, 2.0))
    seen = observe(4, 7.0, Lock(1.0, 2.0), 400_000, 3, on_grant=True)
    assert 0 < abs(seen.rate / exact - 1) < 0.02


def test_the_same_seed_gives_the_same_numbers():
    assert observe(3, 2.0, Lock(1.0), 30_000, 9) == observe(3, 2.0, Lock(1.0), 30_000, 9)
    assert observe(3, 2.0, Lock(1.0), 30_000, 9) != observe(3, 2.0, Lock(1.0), 30_000, 8)


def test_bad_input():
    with pytest.raises(InputError, match="too few visits"):
        observe(8, 1.0, Lock(1.0), 800 * RUNS - 1, 0)
    with pytest.raises(InputError, match="holding"):
        observe(1, 1.0, Lock(1.0), 10_000, 0, "uniform")
