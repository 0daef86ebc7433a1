import dataclasses
import weakref

import numpy as np
import pytest

from vmalloc_model import events as ev
from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import find_policy, load_policies
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.simulate import STRANDED, simulate, stranded
from vmalloc_model.workloads import make

POLICIES = list(load_policies())
RESIDENT = [name for name, rules in load_policies().items() if rules.resident]
X86 = find_platform("x86_64-4level")
PAGE = 4096


def machine(cpus=4, chunk_pages=256, **changes):
    whole = machine_of(X86, cpus, chunk_size=chunk_pages * PAGE)
    return dataclasses.replace(whole, lazy_max_pages=2000, **changes)


def churn(events=6000, cpus=4, **parameters):
    own = {"live": 100, "max_pages": 60, "aligned": 0.3, "remote": 0.3} | parameters
    return make("churn", page_size=PAGE, cpus=cpus, events=events, seed=3, **own)


def by_hand(*rows, **changes):
    """Stream of one CPU: ``(slot, pages)``, ``(slot, pages, order)`` or ``(slot,)`` for a free."""
    block = np.zeros(len(rows), ev.EVENT)
    for event, (slot, *size) in zip(block, rows, strict=True):
        event["op"], event["slot"] = (ev.ALLOC if size else ev.FREE), slot
        event["pages"], event["order"] = (*size, 0, 0)[:2]
    facts = {"name": "by hand", "page_size": PAGE, "cpus": 1, "slots": 100, "events": len(rows)}
    return ev.Stream(**(facts | {"blocks": lambda: iter([block])} | changes))


def cut(stream, size, **changes):
    """The same events in other blocks."""
    whole = stream.all()
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    return dataclasses.replace(stream, blocks=lambda: iter(parts), **changes)


def everything(simulation):
    """All results, comparable."""
    facts = {
        field.name: getattr(simulation, field.name) for field in dataclasses.fields(simulation)
    }
    return facts | {name: facts[name].to_dict(as_series=False) for name in ("chunks", "series")}


@pytest.mark.parametrize("freespace", ["rbtree", "gaps"])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_numbers_are_those_of_the_allocator(policy, freespace):
    stream = churn()
    found = simulate(stream, machine(), policy, freespace)
    allocator = Allocator(machine(), policy, freespace)
    allocator.run(stream.all())
    assert found.counters == allocator.counters()
    assert found.measures == allocator.measures()
    assert found.visits == {name: row.tolist() for name, row in allocator.visits().items()}
    chunks = allocator.chunks()
    for column in dataclasses.fields(chunks):
        assert found.chunks[column.name].to_list() == getattr(chunks, column.name).tolist()
    assert (found.policy, found.freespace) == (find_policy(policy), freespace)
    assert (found.workload, found.events) == ("churn", len(stream.all()))
    assert found.parameters == stream.parameters
    assert found.series.height == 0


def test_rbtree_is_the_free_space_of_a_simulation_that_names_none():
    assert everything(simulate(churn(), machine(), "rfc10")) == everything(
        simulate(churn(), machine(), "rfc10", "rbtree")
    )


@pytest.mark.parametrize("policy", ["mainline", "rfc10", "rfc12", "release-after-purge"])
def test_blocks_and_repetition_do_not_matter(policy):
    stream = churn()
    first = everything(simulate(stream, machine(), policy, samples=7))
    assert everything(simulate(stream, machine(), policy, samples=7)) == first
    for size in (1, 857, 858, 10**6):
        assert everything(simulate(cut(stream, size), machine(), policy, samples=7)) == first


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("samples", [1, 7, 100])
def test_the_series_is_even_and_ends_with_the_end(samples, known):
    stream = cut(churn(1000), 64, **({} if known else {"events": None}))
    found = simulate(stream, machine(), "rfc12", samples=samples)
    marks = found.series["event"].to_list()
    assert len(marks) == samples
    assert marks[-1] == 1000
    for number, mark in enumerate(marks, 1):
        assert mark - 1 < 1000 * number / samples <= mark
    *_, last = found.series.iter_rows(named=True)
    assert last == {"event": 1000} | found.measures | found.counters
    whole = stream.all()
    for row in found.series.iter_rows(named=True):
        allocator = Allocator(machine(), "rfc12")
        allocator.run(whole[: row["event"]])
        assert row == {"event": row["event"]} | allocator.measures() | allocator.counters()


def test_more_samples_than_events_are_one_for_each_event():
    found = simulate(by_hand((0, 4), (0,), (1, 9)), machine(1), "rfc10", samples=50)
    assert found.series["event"].to_list() == [1, 2, 3]
    assert found.series["live_pages"].to_list() == [4, 0, 9]


def test_a_stream_without_events():
    stream = by_hand(blocks=lambda: iter([]))
    found = simulate(stream, machine(1), "rfc12", samples=5)
    assert found.series.height == found.events == 0
    assert set(found.series.columns) == {"event", *COUNTERS, *found.measures}
    assert set(stranded(found).values()) == {0}


def test_progress_adds_up():
    steps = []
    simulate(cut(churn(1000), 300), machine(), "rfc10", samples=4, progress=steps.append)
    assert sum(steps) == 1000
    assert min(steps) > 0


def test_blocks_are_let_go():
    """So memory does not grow with the stream."""
    blocks_so_far, most = [], 0

    class Block(np.ndarray):
        pass

    def blocks():
        nonlocal most
        for _ in range(50):
            block = np.zeros(2, ev.EVENT).view(Block)
            block["op"], block["pages"] = (ev.ALLOC, ev.FREE), (4, 0)
            blocks_so_far.append(weakref.ref(block))
            most = max(most, sum(one() is not None for one in blocks_so_far))
            yield block
            del block

    simulate(by_hand(blocks=blocks, events=100), machine(1), "rfc12", samples=30)
    assert most <= 2


def test_the_stream_s_windows_count():
    first = X86.start + 5 * PAGE
    windows = ((first - 1, first + 20 * PAGE + 1), (first + 40 * PAGE, first + 50 * PAGE))
    stream = by_hand((0, 12), (1, 12), (2, 8), windows=windows)
    found = simulate(stream, machine(1), "mainline")
    assert found.machine.windows[0] == (first // PAGE, first // PAGE + 20)
    assert found.machine.windows[1] == (first // PAGE + 40, first // PAGE + 50)
    assert found.counters["failures"] == 1
    assert found.measures["live_pages"] == 20
    assert (
        simulate(by_hand((0, 12), (1, 12), (2, 8)), machine(1), "mainline").counters["failures"]
        == 0
    )


@pytest.mark.parametrize(
    ("changes", "options", "error"),
    [
        ({"page_size": 65536}, {}, r"\$.page_size: .*: 65536; allowed: 4,096"),
        ({"cpus": 2}, {}, r"\$.cpus: .*: 2; allowed: 1..1"),
        ({"windows": ((8 * PAGE, 8 * PAGE),)}, {}, r"\$.windows\[0\]: no window"),
        ({"windows": ((PAGE, 9 * PAGE), (0, PAGE))}, {}, r"\$.windows\[1\]: no window"),
        ({}, {"samples": -1}, r"\$.samples: out of range: -1"),
        ({}, {"policy": "rfc13"}, r"\$.policy: no such policy: 'rfc13'; allowed: rfc12"),
        ({}, {"freespace": "gap"}, r"\$.freespace: no such free space: 'gap'; allowed: gaps"),
    ],
)
def test_what_does_not_fit_is_refused(changes, options, error):
    stream = by_hand((0, 4), **changes)
    with pytest.raises(InputError, match=error):
        simulate(stream, machine(1), **({"policy": "rfc12"} | options))


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("samples", [0, 3])
def test_an_event_that_cannot_be_is_named_by_its_place_in_the_stream(size, samples):
    stream = cut(by_hand((0, 4), (1, 4), (0,), (0,), (1,)), size)
    with pytest.raises(InputError, match="event 3: the slot is not in use: 0"):
        simulate(stream, machine(1), "rfc12", samples=samples)


STORY = (
    (0, 13),
    (1, 4, 2),  # at 16, behind 3 pages of padding
    (0,),
    (1,),
    (2, 16),  # does not fit behind 20: the first chunk is replaced, empty, with a tail of 12
    (3, 10),
    (2,),
    (4, 8),  # nor this behind 26: the second is left with 10 live pages and a tail of 6
    (5, 3),
    (5,),  # 3 pages of the third, the current one
)
AFTER = {
    "rfc10": {"chunk_pages": 96, "room": 21, "areas": 54, "tail": 18, "padding": 3},
    "rfc12": {"chunk_pages": 96, "drained": 32},
    "release-at-refill": {"chunk_pages": 64},
    "release-after-purge": {"chunk_pages": 96, "waiting": 32},
}
COMMON = {"room": 21, "areas": 18, "idle": 3, "pinned": 16, "tail": 6}


@pytest.mark.parametrize("policy", ["rfc10", "rfc12", "release-at-refill", "release-after-purge"])
def test_a_story_told_by_hand(policy):
    found = stranded(simulate(by_hand(*STORY), machine(1, 32), policy))
    common = COMMON if find_policy(policy).resident else {}
    assert found == dict.fromkeys(STRANDED, 0) | common | AFTER[policy]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("workload", ["churn", "pinning", "bursts"])
def test_the_parts_add_up(policy, workload):
    stream = (
        churn()
        if workload == "churn"
        else make(workload, page_size=PAGE, cpus=4, events=6000, seed=2)
    )
    found = simulate(stream, machine(), policy)
    told = stranded(found)
    assert list(told) == list(STRANDED)
    assert min(told.values()) >= 0
    assert told["chunk_pages"] == sum(told.values()) - told["chunk_pages"]
    size = found.machine.chunk_pages
    kept = found.measures["chunks"] - found.measures["chunks_released"]
    assert told["chunk_pages"] == size * kept
    assert told["waiting"] + told["drained"] == size * found.measures["chunks_lost"]
    if not found.policy.overlay:
        assert size == 0
    elif not found.policy.resident:
        assert told["padding"] == found.counters["padding_pages"]
        assert told["tail"] == found.counters["tail_pages"] > 0
    else:
        assert told["padding"] == 0
    if found.policy.release_at_refill:
        assert told["drained"] == 0


@pytest.mark.parametrize("policy", [name for name in POLICIES if load_policies()[name].overlay])
def test_areas_are_those_that_chunks_served(policy):
    """The slow twin: one event after the other, who served it told by the counters."""
    rules = dataclasses.replace(find_policy(policy), scaled=False)
    # where the freeing CPU matters, a remote free may release a chunk that is current
    stream = churn(2500, remote=0.0 if rules.owner == "freeing" else 0.3)
    found = simulate(stream, machine(), rules)
    allocator, served, hits, ever = Allocator(machine(), rules), {}, 0, 0
    for event in stream.all():
        allocator.run(np.array([event]))
        before, hits = hits, allocator.counters()["bump_hits"]
        if event["op"] == ev.FREE:
            served.pop(event["slot"], None)
        elif hits > before:
            served[event["slot"]] = int(event["pages"])
            ever += int(event["pages"])
    assert found.counters["bump_hits"] > 100
    assert found.counters["released_while_current"] == 0
    expected = sum(served.values()) if rules.resident else ever
    assert stranded(found)["areas"] == expected


def then(stream, *events):
    """A stream with more events behind it."""
    tail = np.concatenate(events)
    return dataclasses.replace(stream, events=None, blocks=lambda: iter([*stream.blocks(), tail]))


def purge():
    event = np.zeros(1, ev.EVENT)
    event["op"] = ev.PURGE
    return event


def frees(stream):
    """Free what the stream leaves allocated."""
    live = set()
    for event in stream.all():
        (live.add if event["op"] == ev.ALLOC else live.discard)(int(event["slot"]))
    events = np.zeros(len(live), ev.EVENT)
    events["op"], events["slot"] = ev.FREE, sorted(live)
    return events


@pytest.mark.parametrize("policy", RESIDENT)
def test_a_purge_takes_what_waits_and_nothing_takes_what_is_drained(policy):
    size = 64
    stream = make("bursts", page_size=PAGE, cpus=4, events=3000, seed=2, burst=30, max_pages=30)
    rules = dataclasses.replace(find_policy(policy), scaled=False)
    now = simulate(stream, machine(4, size), rules)
    purged = simulate(then(stream, purge()), machine(4, size), rules)
    empty = simulate(then(stream, frees(stream), purge()), machine(4, size), rules)
    released = [one.measures["chunks_released"] for one in (now, purged, empty)]
    told = [stranded(one) for one in (now, purged, empty)]
    assert size * (released[1] - released[0]) == told[0]["waiting"]
    assert (told[0]["waiting"] > 0) == (rules.release == "purged")
    assert told[1]["waiting"] == told[2]["waiting"] == 0
    assert told[0]["drained"] == told[1]["drained"] <= told[2]["drained"]
    assert told[2]["pinned"] == told[2]["areas"] == told[2]["tail"] == 0
    assert told[2]["chunk_pages"] == told[2]["room"] + told[2]["idle"] + told[2]["drained"]


def test_the_scaled_chunk_is_the_one_that_is_told():
    small = machine_of(X86, 4096, chunk_size=1 << 26)
    small = dataclasses.replace(small, possible_share=1 / 64)
    windows = ((X86.start, X86.start + (4 << 40)),)
    stream = churn(2000)
    found = simulate(dataclasses.replace(stream, windows=windows), small, "scaled-chunk")
    assert found.machine.chunk_pages * PAGE == 16 << 20
    assert stranded(found)["chunk_pages"] == (16 << 20) // PAGE * found.measures["chunks"] > 0
