import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.errors import InputError
from vmalloc_model.events import FREE
from vmalloc_model.experiments import pinning
from vmalloc_model.platforms import find_platform
from vmalloc_model.workloads import make

MIB = 1 << 20
RESIDENT = ["rfc11", "rfc12", "described", "release-at-refill", "release-after-purge"]


def point(stream, policy, **more):
    base = {"platform": "x86_64-4level", "cpus": 2, "events": 20_000, "seed": 3}
    return {"stream": stream, "policy": policy, "chunk_size": 4 * MIB, **base, **more}


@pytest.mark.parametrize("policy", RESIDENT)
@pytest.mark.parametrize("stream", ["churn", "mixed", "stacks", "oplog-stock"])
def test_addresses_and_the_chunks_own_counts_agree(stream, policy):
    done = pinning.residents(point(stream, policy))
    inside = done["in_current"] + done["in_others"]
    if (stream, policy) != ("stacks", "described"):  # there their alignment is refused
        assert inside > 0
    chunks = done["current"] + sum(done["classes"])
    assert chunks == done["chunks"] - done["chunks_released"]
    # after 11/12 pools hand out areas of chunks, which then no longer count for them
    moved = policy == "rfc11" and stream == "oplog-stock"
    assert inside > done["counted"] if moved else inside == done["counted"]
    assert done["classes"][0] <= done["chunks_lost"]
    assert done["classes"][0] == done["chunks_lost"] or moved


@pytest.mark.parametrize("policy", ["mainline", "rfc10", "rfc12", "scaled-chunk"])
@pytest.mark.parametrize("stream", ["churn", "mixed", "bursts", "pcpu_alloc"])
def test_all_live_pages_are_somewhere(stream, policy):
    done = pinning.residents(point(stream, policy, events=3_000))
    assert done["in_current"] + done["in_others"] + done["outside"] == done["live_pages"]
    assert done["shared"] == 0


def test_without_an_overlay_stretches_fill_the_space_below_the_mark():
    done = pinning.residents(point("churn", "mainline"))
    assert sum(done["classes"]) == -(-done["high_water"] // done["chunk_pages"])
    assert done["current"] == 0
    assert done["in_others"] == done["live_pages"]
    assert 0 < done["largest_hole"] < done["high_water"] - done["live_pages"]
    assert 1 < done["holes"] <= done["gaps"]


def test_chunks_whose_range_was_taken_again_do_not_count():
    """Areas of 256 pages leave no tail: the range of a chunk becomes whole, and a gap, again."""
    done = pinning.residents(point("fix_size", "rfc10", cpus=1, parameters={"nr_pages": 255}))
    assert done["refills"] > 1000
    assert done["high_water"] < 100 * done["chunk_pages"]
    assert done["current"] + sum(done["classes"]) <= -(-done["high_water"] // done["chunk_pages"])


def test_unknown_names_and_values_are_refused():
    with pytest.raises(InputError, match="unknown name"):
        pinning.residents({**point("churn", "rfc12"), "colour": 1})
    with pytest.raises(InputError, match="no such policy"):
        pinning.residents(point("churn", "rfc9"))


# --- the parts, against slow twins ---------------------------------------------------------------


areas = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=20)


@given(areas, st.lists(st.integers(0, 100), min_size=1, max_size=8), st.integers(1, 30))
def test_live_pages_of_a_range_are_counted_page_by_page(gaps, bases, size):
    first, pages, at = [], [], 0
    for gap, length in gaps:
        first.append(at + gap)
        pages.append(length)
        at += gap + length
    live = {page for a, n in zip(first, pages, strict=True) for page in range(a, a + n)}
    expected = [sum(base <= page < base + size for page in live) for base in bases]
    words = [np.array(one, np.int64) for one in (bases, first, pages)]
    assert pinning.live_in(words[0], size, words[1], words[2]).tolist() == expected


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 9))
def test_a_chunk_is_superseded_by_any_later_one_that_shares_a_page(bases, size):
    expected = [
        any(abs(later - base) < size for later in bases[place + 1 :])
        for place, base in enumerate(bases)
    ]
    assert pinning.superseded(np.array(bases, np.int64), size).tolist() == expected


@pytest.mark.parametrize(
    ("live", "name"),
    [
        (0, "empty"),
        (1, "thin"),
        (9, "thin"),
        (10, "low"),
        (99, "low"),
        (100, "part"),
        (499, "part"),
        (500, "most"),
        (899, "most"),
        (900, "full"),
        (1000, "full"),
    ],
)
def test_classes_begin_at_their_percentage(live, name):
    found = pinning.classed(np.array([live]), 1000)
    assert dict(zip(pinning.CLASSES, found, strict=True))[name] == 1
    assert sum(found) == 1


@pytest.mark.parametrize(
    ("stream", "parameters"),
    [
        ("stacks", {}),
        ("xfs", {}),
        ("mixed", {}),
        ("producer_consumer", {}),
        ("producer_consumer", {"depth": 2}),  # the CPU that frees has no chunk
        ("fix_size", {}),
        ("fitted", {}),  # a slot is used by areas of several windows
    ],
)
@pytest.mark.parametrize("policy", ["rfc12", "release-at-refill"])
def test_frees_in_the_own_chunk_are_those_of_one_step(stream, parameters, policy):
    """The twin does one event at a time and looks at the counter of steps after each."""
    machine = machine_of(find_platform("x86_64-4level"), 3, chunk_size=2 * MIB)
    made = make(stream, page_size=4096, cpus=3, events=3_020, seed=5, **parameters)
    if made.windows is not None:
        windows = tuple((-(-low // 4096), high // 4096) for low, high in made.windows)
        machine = dataclasses.replace(machine, windows=windows)
    events = made.all()
    allocator, at, own = Allocator(machine, policy), [], 0
    before = allocator.counters()
    for place in range(len(events)):
        at.append(allocator.run(events[place : place + 1])[0])
        after = allocator.counters()
        if events["op"][place] == FREE and after["lookups"] > before["lookups"]:
            own += after["lookup_steps"] - before["lookup_steps"] == 1
        before = after
    chunks = allocator.chunks()
    found = pinning.own_hits(events, np.array(at), chunks, find_policy(policy), 512)
    assert found == own
    assert len(chunks.base) > 0
    if stream == "stacks":
        assert 0 < own < before["frees"]


@pytest.mark.parametrize("policy", ["mainline", "rfc10", "rfc11", "described", "reset-when-empty"])
def test_frees_in_the_own_chunk_are_not_guessed(policy):
    assert pinning.lookups(point("stacks", policy))["own"] is None


def test_lookups_tell_the_list_and_the_machine():
    done = pinning.lookups(point("oplog-stock", "rfc12"))
    assert done["cpus"] == 2
    assert done["listed"] == done["refills"] - done["chunks_released"] > 0
    assert 0 < done["own"] <= done["lookups"] < done["frees"]


def test_inputs_are_the_files_that_are_read():
    names = {stream: {p.name for p in pinning.inputs({"stream": stream})} for stream in STREAMS}
    assert names["churn"] == {"platforms.csv"}
    assert "modules-debian-6.12.117-amd64.csv" in names["mixed"] & names["modules"]
    assert "runs.toml" in names["fitted"] & names["smp1"]
    assert any("smp2" in name for name in names["fitted"])
    assert any("smp1" in name for name in names["smp1"])


STREAMS = ["churn", "mixed", "modules", "fitted", "smp1"]
