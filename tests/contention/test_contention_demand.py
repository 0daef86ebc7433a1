import math

import pytest

from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.contention.counted import NO_POOLS, counted
from vmalloc_model.contention.demand import (
    Costs,
    Demand,
    between,
    demand_of,
    knee_of,
    limits,
    pair_time,
)
from vmalloc_model.contention.queueing import repairman
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.simulate import simulate
from vmalloc_model.workloads import make

MIB = 1 << 20
COSTS = Costs(pair=576, area=100, handover=459)


def point(**given):
    return {
        "workload": "fix_size",
        "design": "rfc12",
        "platform": "x86_64-4level",
        "cpus": 4,
        "chunk_size": MIB,
        "events": 40_000,
        "seed": 1,
        **given,
    }


def test_without_pools_a_pair_is_one_visit_and_two_areas():
    """Each request searches once; what it frees comes back in a purge, with many others."""
    told = Demand(**counted(point(design=NO_POOLS, events=200_000)))
    assert told.visits == pytest.approx(1, abs=0.01)
    assert told.areas == pytest.approx(2, abs=0.2)
    assert told.node == pytest.approx(2, abs=0.01)  # the busy tree, at allocation and free


def test_a_bump_chunk_is_visited_once_for_all_it_serves():
    """128 areas of two pages in a chunk of 1 MiB, none returned alone, every chunk leaks."""
    told = Demand(**counted(point()))
    assert told.visits == pytest.approx(1 / 128, rel=1e-3)
    assert told.areas == pytest.approx(1 / 128, rel=1e-3)


def test_chunks_in_use_count_by_the_part_that_is_used():
    """Else a stream too short for one chunk per CPU would have no refills, or one of each."""
    told = Demand(**counted(point(chunk_size=64 * MIB, events=20_000)))
    assert told.visits == pytest.approx(1 / 8192, rel=1e-3)


def test_tens_chunks_still_get_their_areas_back_one_by_one():
    ten = Demand(**counted(point(workload="xfs", design="rfc10", chunk_size=64 * MIB)))
    twelve = Demand(**counted(point(workload="xfs", design="rfc12", chunk_size=64 * MIB)))
    assert ten.areas > 0.5
    assert ten.areas > 2 * ten.visits
    assert twelve.areas == pytest.approx(twelve.visits, rel=0.3)


def test_a_start_without_an_end_is_an_error():
    stream = make("fix_size", page_size=4096, cpus=1, events=100, seed=0)
    machine = machine_of(find_platform("x86_64-4level"), 1)
    done = simulate(stream, machine, "mainline")
    with pytest.raises(InputError, match="second half"):
        demand_of(done, done)


def test_demand_between_machines():
    demands = {2: Demand(1.0, 2.0, 0.5), 32: Demand(0.2, 1.0, 0.1)}
    assert between(demands, 1) == demands[2]
    assert between(demands, 64) == demands[32]
    middle = between(demands, 8)
    assert (middle.visits, middle.areas, middle.node) == pytest.approx((0.6, 1.5, 0.3))


def test_a_pair_is_its_visits():
    one = Demand(1.0, 2.0, 0.0)
    plain = Costs(pair=1000, area=100, handover=1e-9)
    for cpus in (1, 3, 20):
        rate = repairman(cpus, 800.0, 200.0)[-1]
        assert pair_time(cpus, one, plain) == pytest.approx(cpus / rate, rel=1e-9)
    # half as many visits of the same length: each CPU comes half as often
    half = Demand(0.5, 1.0, 0.0)
    rate = repairman(5, 1800.0, 200.0)[-1]
    assert pair_time(5, half, plain) == pytest.approx(0.5 * 5 / rate, rel=1e-9)


def test_all_designs_take_the_same_on_one_cpu():
    for demand in (Demand(1, 2, 1), Demand(0.01, 1.5, 1), Demand(1e-4, 1e-4, 0), Demand(0, 0, 0)):
        assert pair_time(1, demand, COSTS) == pytest.approx(576)


def test_knee_and_limit_meet():
    demand = Demand(0.5, 1.5, 0.25)
    shared, node = limits(demand, COSTS)
    assert shared == pytest.approx(1 / (1.5 * 100 + 0.5 * 459))
    assert node == pytest.approx(1 / (0.25 * 559))
    assert knee_of(demand, COSTS) == pytest.approx(576 * shared)
    assert pair_time(4000, demand, COSTS) == pytest.approx(4000 / shared)
    nothing = Demand(0.0, 0.0, 0.0)
    assert knee_of(nothing, COSTS) == math.inf
    assert limits(nothing, COSTS) == (math.inf, math.inf)


def test_bad_costs():
    with pytest.raises(InputError, match=r"\$\.area_ns"):
        Costs(pair=1, area=0, handover=1)
    with pytest.raises(InputError, match=r"\$\.pair_ns.*200 or more"):
        pair_time(1, Demand(1, 2, 1), Costs(pair=199, area=100, handover=1))


def test_the_start_is_not_counted():
    """While pools are empty everything is global; later they serve nearly everything."""
    given = point(design="mainline", cpus=8, events=300_000)
    late = counted(given)["visits"]
    stream = make("fix_size", page_size=4096, cpus=8, events=300_000, seed=1)
    whole = simulate(stream, machine_of(find_platform("x86_64-4level"), 8), "mainline")
    assert late < 0.25 * whole.counters["lock_global"] / whole.counters["requests"]
