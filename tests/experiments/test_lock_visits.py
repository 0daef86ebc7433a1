import sys
from collections import Counter
from dataclasses import replace

import pytest

from vmalloc_model import workloads
from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.allocator.reference import ReferenceAllocator
from vmalloc_model.allocator.reference_state import State
from vmalloc_model.errors import InputError
from vmalloc_model.events import PCPU
from vmalloc_model.experiments.lock_visits import CAUSES, LOCKS, causes, lock_visits
from vmalloc_model.experiments.play import play
from vmalloc_model.platforms import find_platform
from vmalloc_model.units import MIB

SITES = {
    "_from_global": "search",
    "refill": "refill",
    "release": "release",
    "_percpu": "carve",
    "_purge_node": "return",
    "decay": "return",
}
"""Function of the twin that visits the global lock -> why."""


@pytest.fixture
def sites(monkeypatch):
    """Count the twin's visits to the global lock by the function that makes them."""
    seen, count = Counter(), State.count

    def watched(self, name, by=1):
        if name == "lock_global":
            seen[SITES[sys._getframe(1).f_code.co_name]] += by
        count(self, name, by)

    monkeypatch.setattr(State, "count", watched)
    return seen


def compare(sites, machine, events, policy):
    """Run twin and engine; return the engine's counters."""
    sites.clear()
    twin, engine = ReferenceAllocator(machine, load_policies()[policy]), Allocator(machine, policy)
    for event in events:
        twin.apply(event)
    engine.run(events)
    counters = engine.counters()
    told = causes(counters, int((events["op"] == PCPU).sum()))
    assert told == {name: sites[name] for name in CAUSES}, (policy, machine.nodes)
    assert sum(told.values()) == counters["lock_global"] == sites.total()
    return counters


@pytest.mark.parametrize("workload", workloads.WORKLOADS)
def test_every_visit_has_the_cause_that_the_twin_sees(workload, sites):
    """For all policies. No counter tells ``return``: it is what is left over; here it is seen."""
    machine = machine_of(find_platform("x86_64-4level"), 3, chunk_size=1 * MIB)
    machine = replace(machine, lazy_max_pages=300)
    events = workloads.make(workload, page_size=4096, cpus=3, events=500, seed=5).all()[:500]
    for policy in load_policies():
        for nodes in (1, 3):
            compare(sites, replace(machine, nodes=nodes), events, policy)


def test_whole_chunks_that_go_back_are_told(sites):
    machine = machine_of(find_platform("x86_64-4level"), 2, chunk_size=1 * MIB)
    sizes = {"min_pages": 10, "max_pages": 60, "live": 20}
    events = workloads.make("churn", page_size=4096, cpus=2, events=500, seed=5, **sizes).all()
    for policy, rules in load_policies().items():
        counters = compare(sites, replace(machine, lazy_max_pages=300), events, policy)
        if rules.resident and not rules.scaled:
            assert counters["chunks_released"] > 5, policy


def test_failed_refills_and_searches_are_visits_too(sites):
    """On 32 bits there is room for one chunk of 64 MiB, and for few large areas beside it."""
    machine = machine_of(find_platform("i386"), 2, chunk_size=64 * MIB)
    sizes = {"min_pages": 500, "max_pages": 4000, "live": 40}
    events = workloads.make("churn", page_size=4096, cpus=2, events=300, seed=5, **sizes).all()
    for policy in ("rfc10", "rfc11", "rfc12"):
        counters = compare(sites, machine, events, policy)
        assert counters["refill_failures"] > 10
        assert counters["global_failures"] > 10


def point(stream, policy="rfc10", pools=True, chunk_sizes=(64 * MIB,), **changes):
    case = {"policy": policy, "pools": pools, "chunk_sizes": list(chunk_sizes)}
    size = {"platform": "x86_64-4level", "cpus": 4, "events": 30_000, "seed": 2}
    return {"stream": stream, "cases": [case], **size, **changes}


@pytest.mark.parametrize("stream", ["mixed", "modules", "pcpu_alloc", "oplog-stock"])
def test_halves_add_up_to_the_whole_run(stream):
    asked = point(stream, "rfc12", chunk_sizes=[2 * MIB])
    rows = lock_visits(asked)["rows"]
    assert [row["half"] for row in rows] == [1, 2]
    size = {name: asked[name] for name in ("platform", "cpus", "events", "seed")}
    whole = play({"stream": stream, "policy": "rfc12", "chunk_size": 2 * MIB, **size})
    for name in ("requests", "failures", "pool_hits", "bump_hits", "purges", "refill_failures"):
        assert sum(row[name] for row in rows) == whole[name], name
    for lock in LOCKS:
        assert sum(row[f"lock_{lock}"] for row in rows) == whole[f"lock_{lock}"]
    for row in rows:
        assert sum(row[cause] for cause in CAUSES) == row["lock_global"]
    assert sum(row["carve"] for row in rows) == whole["pcpu_areas"]
    assert sum(row["grown"] for row in rows) == whole["live_areas"]


def test_the_rest_is_at_most_two_visits_for_each_node_and_purge():
    for policy in ("mainline", "rfc10", "rfc12"):
        for pools, most in ((True, 2 * 4), (False, 1)):
            for row in lock_visits(point("xfs", policy, pools))["rows"]:
                assert 0 <= row["return"] <= most * row["purges"]
    # and with pools it is more than one
    row = lock_visits(point("xfs", "mainline"))["rows"][1]
    assert row["return"] > 4 * row["purges"] > 0


def test_without_pools_every_request_searches_or_is_bumped():
    for row in lock_visits(point("churn", "mainline", pools=False))["rows"]:
        assert row["search"] == row["requests"]
        assert row["lock_pool"] == row["pool_hits"] == row["lock_chunk"] == row["refill"] == 0
    for row in lock_visits(point("churn", "rfc10", pools=False))["rows"]:
        assert row["bump_hits"] == row["requests"]
        assert row["search"] == row["lock_pool"] == 0


def test_refills_of_equal_requests_are_known():
    """A chunk of 1 MiB holds 128 areas of one page and its guard page."""
    rows = lock_visits(point("fix_size", chunk_sizes=[1 * MIB, 2 * MIB], cpus=1))["rows"]
    one, two = ([row for row in rows if row["chunk_size"] == size * MIB] for size in (1, 2))
    requests = sum(row["requests"] for row in one)
    assert sum(row["refill"] for row in one) == -(-requests // 128)
    assert sum(row["refill"] for row in two) == -(-requests // 256)


def test_where_the_chunk_comes_first_pools_change_no_refill():
    """All three orders that ask no pool before the chunk see the same requests there."""
    for stream in ("xfs", "stacks", "random_size_align"):
        found = [
            [row["refill"] for row in lock_visits(point(stream, policy, pools))["rows"]]
            for policy, pools in (
                ("rfc10", False),
                ("rfc10-chunk-first", True),
                ("rfc12", True),
            )
        ]
        assert found[0] == found[1] == found[2]
        assert sum(found[0]) > 4


def test_the_other_order_alone_releases_nothing_and_fills_no_pool():
    asked = point("xfs", "rfc10-chunk-first", chunk_sizes=[64 * MIB])
    for row in lock_visits(asked)["rows"]:
        assert row["release"] == row["lock_pool"] == row["lock_list"] == 0
        assert row["return"] > 0


def test_a_run_keeps_its_machine_and_purges():
    rows = lock_visits(point("smp1", cpus=9, events=7))["rows"]
    assert {row["cpus"] for row in rows} == {1}
    assert sum(row["requests"] for row in rows) == 16_820
    assert sum(row["purges"] for row in rows) == 5_651


def test_a_stream_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="no such recorded run"):
        lock_visits(point("fixed_size"))
