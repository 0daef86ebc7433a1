import pytest

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.errors import InputError
from vmalloc_model.experiments import play, settled
from vmalloc_model.platforms import find_platform
from vmalloc_model.runs import find_run
from vmalloc_model.workloads import make

MIB = 1 << 20
POINT = {
    "stream": "random_size",
    "design": "rfc12",
    "platform": "x86_64-4level",
    "cpus": 2,
    "chunk_size": 16 * MIB,
    "events": 20_000,
    "seed": 3,
}


def at(**changes):
    return settled.settle({**POINT, **changes})


@pytest.mark.parametrize("stream", ["random_size", "oplog-stock"])
def test_the_whole_stream_is_what_play_says(stream):
    same = {name: value for name, value in POINT.items() if name != "design"}
    played = play.play({**same, "policy": "rfc12", "stream": stream})
    found = at(stream=stream)
    shared = found.keys() & played.keys()
    assert {"requests", "refills", "high_water", "stranded_pinned", "page_tables"} <= shared
    assert {name: found[name] for name in shared} == {name: played[name] for name in shared}
    assert found["cpus"] == (find_run(stream).cpus if stream == "oplog-stock" else 2)


@pytest.mark.parametrize("design", ["mainline", "rfc12"])
def test_the_second_half_is_the_whole_less_the_first(design):
    """The first half, by itself, in an allocator of its own."""
    machine = machine_of(find_platform("x86_64-4level"), 2, chunk_size=16 * MIB)
    events = make("random_size", page_size=4096, cpus=2, events=20_000, seed=3).all()
    allocator = Allocator(machine, design)
    allocator.run(events[: -(-len(events) // 2)])
    first = allocator.counters()
    allocator.run(events[-(-len(events) // 2) :])
    last, found = allocator.counters(), at(design=design)
    assert found["late_requests"] == last["requests"] - first["requests"] == 5000
    assert found["late_visits"] == last["lock_global"] - first["lock_global"] > 0
    assert found["late_hits"] == last["bump_hits"] - first["bump_hits"]


def test_mainline_settles_when_its_pools_are_full():
    """Pairs of one size: the pools are empty at first and serve nearly all later."""
    found = at(stream="fix_size", design="mainline", events=80_000)
    assert found["late_visits"] / found["late_requests"] < 0.01
    assert found["late_hits"] == 0
    without = at(stream="fix_size", design=settled.NO_POOLS, events=80_000)
    assert without["late_visits"] >= without["late_requests"]


def test_both_repairs_lose_no_chunk_where_one_does():
    """Every chunk is empty when it is replaced."""
    assert at()["stranded_drained"] > 0
    for size in (MIB, 16 * MIB):
        assert at(design=settled.BOTH, chunk_size=size)["stranded_drained"] == 0
    assert at(design=settled.BOTH)["rewinds"] > 0


def test_every_policy_is_a_design():
    assert list(load_policies()) == list(settled.DESIGNS)[: len(load_policies())]


@pytest.mark.parametrize(
    ("name", "early", "leaks"),
    [
        ("mainline", False, False),
        ("no-pools", False, False),
        ("rfc10", False, True),
        ("rfc11", True, True),
        ("rfc12", True, True),
        ("described", True, True),
        ("described-released", True, False),
        ("release-at-refill", True, False),
        ("release-after-purge", False, True),
        ("reset-when-empty", True, True),
        ("scaled-chunk", True, True),
        (settled.BOTH, False, False),
    ],
)
def test_safety_and_loss_follow_from_the_rules(name, early, leaks):
    assert settled.DESIGNS[name].early is early
    assert bool(settled.DESIGNS[name].leaks) is leaks


def test_an_early_design_does_hand_out_lazy_addresses_and_a_safe_one_does_not():
    """The rule against the model: is a freed range part of a chunk again before the purge?"""
    done = settled.simulation({**POINT, "design": "release-at-refill"})
    assert done.counters["chunks_released"] > 0
    # no purge ran, yet chunks went back and came again: two chunks at one base
    short = {**POINT, "events": 300, "chunk_size": MIB}
    early = settled.simulation({**short, "design": "release-at-refill"})
    assert early.counters["purges"] == 0
    assert early.chunks["base"].n_unique() < early.chunks.height
    safe = settled.simulation({**short, "design": settled.BOTH})
    assert safe.counters["purges"] == 0
    assert safe.chunks["base"].n_unique() == safe.chunks.height > 10


def test_an_unknown_design_is_refused():
    with pytest.raises(InputError, match=r"no such design: 'rfc13'; allowed: rfc1"):
        at(design="rfc13")
