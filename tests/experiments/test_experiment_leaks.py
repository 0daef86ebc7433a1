import itertools

import numpy as np
import pytest

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, EVENT, FREE, GUARD
from vmalloc_model.experiments import leaks, leaks_sequences, play
from vmalloc_model.platforms import find_platform

MIB = 1 << 20
HERE = {"platform": "riscv64-sv39", "cpus": 2, "chunk_size": 64 * MIB}


# --- accounts and live sets ----------------------------------------------------------------------


def test_an_account_is_the_simulation_and_its_half():
    point = {"stream": "xfs", "policy": "rfc12", "events": 5_000, "seed": 3, **HERE}
    told = leaks.account(point)
    done = play.simulation(point)
    assert told["chunk_size"] == 64 * MIB
    assert {name: told[name] for name in done.counters} == done.counters
    assert {name: told[name] for name in done.measures} == done.measures
    half = play.simulation({**point, "events": 2_500})
    assert told["half_requests"] == half.counters["requests"]
    assert told["half_high_water"] == half.measures["high_water"] < told["high_water"]


def test_areas_that_stand_stay_and_pairs_are_freed():
    stream = leaks.standing(5, 3, 4096, 2, 25)
    rows = stream.all()
    assert stream.events == len(rows) == 5 + 20
    assert (rows["op"][:5] == ALLOC).all()
    assert rows["slot"][:5].tolist() == [0, 1, 2, 3, 4]
    assert rows["cpu"][:5].tolist() == [0, 1, 0, 1, 0]
    assert rows["op"][5:].tolist() == [ALLOC, FREE] * 10
    assert set(rows["slot"][5:].tolist()) == {5}
    assert (rows["pages"][rows["op"] == ALLOC] == 4).all()
    # a pair is on one CPU
    assert (rows["cpu"][5::2] == rows["cpu"][6::2]).all()


def test_a_long_stream_of_pairs_is_cut_into_blocks_without_a_gap():
    stream = leaks.standing(3, 1, 4096, 3, 200_003)
    rows = stream.all()
    assert len(rows) == 200_003
    assert rows["cpu"][3::2].tolist() == [turn % 3 for turn in range(100_000)]


@pytest.mark.parametrize(("live", "kept"), [(1, 1), (900, 4)])
def test_beside_areas_that_stand_all_chunks_are_lost_but_theirs(live, kept):
    """252 areas of 65 pages fill a chunk."""
    point = {"shape": "standing", "live": live, "payload": 64, "policy": "rfc12", "seed": 0}
    told = leaks.live_set({**point, **HERE, "cpus": 1, "events": 10_000})
    assert told["live_areas"] == live
    assert told["chunks_live"] == kept
    assert told["chunks_lost"] == told["refills"] - kept - 1


def test_with_one_area_at_a_time_every_replaced_chunk_is_empty():
    point = {"shape": "replaced", "live": 1, "payload": 64, "policy": "rfc12", "seed": 5}
    told = leaks.live_set({**point, **HERE, "events": 20_000})
    assert told["chunks_drained_at_refill"] == told["refills"] - told["chunks_current"] > 30


def test_a_shape_that_is_none_is_refused():
    point = {"shape": "round", "live": 1, "payload": 64, "policy": "rfc12", "seed": 5}
    with pytest.raises(InputError, match="unknown shape"):
        leaks.live_set({**point, **HERE, "events": 20})


# --- sequences -----------------------------------------------------------------------------------


def exhaust(sequence, policy, **given):
    point = {"sequence": sequence, "policy": policy, "seed": 1, "most": 5_000, **HERE}
    return leaks_sequences.exhaust({**point, **given})


CHUNKS = 1_024  # of the range


@pytest.mark.parametrize("policy", ["rfc10", "rfc12"])
def test_one_aligned_area_uses_up_a_chunk(policy):
    told = exhaust("aligned", policy)
    # half a chunk is taken by the area that moves the bases
    assert told["refills"] == CHUNKS - 1
    assert told["refill_failed"] == CHUNKS
    assert told["released"] == 0
    assert told["live_pages"] == 257
    assert told["largest_gap"] < told["chunk_pages"]


def test_an_ineligible_request_costs_11_12_a_chunk_but_that_is_still_one_each():
    assert exhaust("aligned", "rfc11")["refill_failed"] == CHUNKS + 1


def test_two_areas_without_alignment_use_up_a_chunk():
    told = exhaust("plain", "rfc12")
    assert told["refill_failed"] == told["request_failed"] == 2 * CHUNKS
    assert (told["live_pages"], told["largest_gap"]) == (0, 0)
    assert told["lost"] == CHUNKS - 1  # and the current one
    described = exhaust("plain", "described")
    assert described["refill_failed"] == 2 * CHUNKS


def test_refills_of_10_12_fail_and_requests_go_on():
    told = exhaust("plain", "rfc10")
    assert told["refill_failed"] == 2 * CHUNKS
    assert told["request_failed"] is None


@pytest.mark.parametrize("sequence", ["aligned", "plain", "random"])
@pytest.mark.parametrize("policy", ["mainline", "release-at-refill"])
def test_who_loses_nothing_is_not_emptied(sequence, policy):
    told = exhaust(sequence, policy, most=20_000)
    assert told["refill_failed"] is told["request_failed"] is None
    assert told["allocations"] >= 20_000
    assert told["lost"] == 0


@pytest.mark.parametrize("policy", ["rfc12", "release-at-refill", "release-after-purge"])
def test_a_page_that_stays_holds_a_chunk_under_every_repair(policy):
    told = exhaust("keep", policy)
    assert told["refill_failed"] == 2 * CHUNKS
    assert told["live_pages"] == 2 * CHUNKS  # a page and its guard page in each chunk


def test_the_first_failure_is_the_first_failure():
    """By a run of the same events, one after the other."""
    told = exhaust("random", "rfc12", platform="arm")
    machine = machine_of(find_platform("arm"), 2, chunk_size=64 * MIB)
    allocator = Allocator(machine, "rfc12")
    rows = next(leaks_sequences._MAKERS["random"](machine.chunk_pages, 1))
    done = 0
    for place in range(len(rows)):
        allocator.run(rows[place : place + 1])
        if allocator.counters()["refill_failures"]:
            break
        done += int(rows["op"][place] == ALLOC)
    assert told["refill_failed"] == done
    assert told["largest_gap"] == allocator.measures()["largest_gap"]
    assert told["live_pages"] == allocator.measures()["live_pages"] > 0


def test_a_request_that_fails_later_is_found(monkeypatch):
    """A plain half of a chunk still fits holes; with no hole left it fails."""
    told = exhaust("keep", "rfc12", platform="arm")
    assert told["refill_failed"] == 6
    assert told["request_failed"] is None
    monkeypatch.setattr(leaks_sequences, "AFTER", 40_000)
    later = exhaust("keep", "rfc12", platform="arm")["request_failed"]
    # the kept pages close the last hole of half a chunk
    assert later is not None
    assert later > 6


def test_growing_sizes_leave_one_hole_in_every_chunk():
    rows = np.concatenate(list(itertools.islice(leaks_sequences._growing(64, 0), 5)))
    sizes = rows["pages"][rows["op"] == ALLOC].tolist()
    assert sizes == [2] * 31 + [4] * 15 + [8] * 7 + [16] * 3 + [32]
    assert rows["op"].tolist() == [ALLOC, FREE] * len(sizes)


@pytest.mark.parametrize("sequence", leaks_sequences.SEQUENCES)
def test_what_is_freed_is_what_was_allocated_and_only_keep_keeps(sequence):
    live = set()
    for rows in itertools.islice(leaks_sequences._MAKERS[sequence](16_384, 7), 5):
        for row in rows:
            (live.add if row["op"] == ALLOC else live.remove)(int(row["slot"]))
        assert (rows["pages"][rows["op"] == ALLOC] <= 8_192 + 1).all()
        assert (rows["cpu"] == 0).all()
    assert (len(live) > 0) == (sequence in leaks_sequences.KEEPING)


@pytest.mark.parametrize("policy", ["rfc10", "rfc12"])
def test_no_sequence_of_two_requests_beats_one_chunk_each(policy):
    """All pairs of sizes and alignments, chunks of 16 pages at each distance from a multiple."""
    chunk = 16
    machine = machine_of(find_platform("riscv64-sv39"), 1, chunk_size=chunk * 4096)
    shapes = [(pages, order) for pages in (1, 2, 3, 7, 8) for order in range(4)]
    most = 0.0
    for first, second in itertools.product(shapes, repeat=2):
        for shift in range(1, 9):
            events = [(ALLOC, GUARD, 0, 0, 0, 1, 8 + shift)]
            for pages, order in (first, second) * 6:
                events += [(ALLOC, 0, 0, order, 0, 0, pages), (FREE, 0, 0, 0, 0, 0, 0)]
            allocator = Allocator(machine, policy)
            allocator.run(np.array(events, EVENT))
            most = max(most, allocator.counters()["refills"] / 12)
    assert most == 1.0


@pytest.mark.parametrize("change", [{"sequence": "x"}, {"chunk_size": MIB}])
def test_what_is_no_sequence_or_too_small_a_chunk_is_refused(change):
    with pytest.raises(InputError):
        exhaust(**{"sequence": "plain", "policy": "rfc12", **change})
