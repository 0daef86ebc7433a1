"""The tests of lib/test_vmalloc.c, against what its source says, by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workload_checks import chi_squared, made, told

from vmalloc_model import events as ev
from vmalloc_model.workloads import make
from vmalloc_model.workloads.base import alloc_steps, area_chain, free_steps


def told_of(name, events, **parameters):
    return told(made(name, events=events, **parameters))


# ---------------------------------------------------------------------- one worker, every event
def test_fix_size():
    assert told_of("fix_size", 6, loops=2) == "A0:1+ F0 A0:1+ F0 A0:1+ F0"
    assert told_of("fix_size", 1, nr_pages=512) == "A0:512+ F0"
    # 513 pointers need two pages
    assert told_of("fix_size", 1, nr_pages=513) == "A0:513+ A1:2+ F0 F1"
    # 512 * 512 + 1 pages: 513 pages of pointers, for which there are 513 pointers
    assert told_of("fix_size", 1, nr_pages=262_144) == "A0:262144+ A1:512+ F0 F1"
    assert told_of("fix_size", 1, nr_pages=1025, bits="32") == "A0:1025+ A1:2+ F0 F1"
    assert told_of("fix_size", 1, nr_pages=1024, bits="32") == "A0:1024+ F0"


def test_fix_size_with_huge_pages():
    assert told_of("fix_size", 1, nr_pages=511, use_huge="yes") == "A0:511+ F0"
    assert told_of("fix_size", 1, nr_pages=512, use_huge="yes") == "A0:512+@9 F0"
    assert told_of("fix_size", 1, nr_pages=513, use_huge="yes") == "A0:1024+@9 A1:2+ F0 F1"
    assert told_of("fix_size", 1, nr_pages=2047, use_huge="yes", page_size=16384) == "A0:2047+ F0"
    huge = told_of("fix_size", 1, nr_pages=2048, use_huge="yes", page_size=16384)
    assert huge == "A0:2048+@11 F0"


@pytest.mark.parametrize(("page_size", "cpus"), [(4096, 1), (65536, 1), (65536, 4)])
def test_full_fit(page_size, cpus):
    length = {1: 1, 4: 3}[cpus] * 32 * 1024 * 1024 // page_size
    array = -(-8 * length // page_size)
    loops = 3
    expected = [f"A0:{array}+", f"A1:{array}+"]
    for i in range(length):
        expected += [f"A{2 + 2 * i}:1+", f"A{3 + 2 * i}:1+"]
    expected += [f"F{3 + 2 * i}" for i in range(length)]
    expected += ["A3:1+", "F3"] * loops
    expected += [f"F{2 + 2 * i}" for i in range(length)]
    expected += ["F0", "F1"]
    seen = told_of(
        "full_fit", len(expected), loops=loops, threads=1, cpus=cpus, page_size=page_size
    )
    assert seen.split() == expected
    again = told_of(
        "full_fit", 2 * len(expected), loops=loops, threads=1, cpus=cpus, page_size=page_size
    )
    assert again.split() == 2 * expected


def test_full_fit_takes_what_lazy_max_pages_is():
    everything = made("full_fit", events=10**5, cpus=8, threads=1, page_size=16384)
    # fls(8) = 4; pages of 16 KiB
    assert (everything["op"] == ev.ALLOC).cumsum().max() > 2 * 4 * 2048
    assert told(everything[:3]) == "A0:4+ A1:4+ A2:1+"


def test_long_busy_list():
    loops = 2
    expected = ["A0:30+"]
    expected += [f"A{1 + i}:1+" for i in range(15_000)]
    expected += ["A15001:100+", "A15002:1+", "F15001", "F15002"] * loops
    expected += [f"F{1 + i}" for i in range(15_000)]
    expected += ["F0"]
    assert told_of("long_busy_list", len(expected), loops=loops).split() == expected
    # 15,000 pointers of 4 bytes
    assert told_of("long_busy_list", 1, bits="32") == "A0:15+"


def test_random_size():
    everything = made("random_size", events=40_000)
    assert told(everything[::2][:1])[:3] == "A0:"
    assert (everything["op"] == np.tile([ev.ALLOC, ev.FREE], 20_000)).all()
    pages = everything["pages"][::2]
    counts = np.bincount(pages - 1, minlength=101)
    assert counts[0] == 0
    assert len(counts) == 101
    assert abs(chi_squared(counts[1:], np.ones(100))) < 4


def test_fix_align():
    assert told_of("fix_align", 4) == "A0:5+@3n F0 A0:5+@3n F0"
    assert told_of("fix_align", 1, thread_align="32K") == "A0:5+@4n F0"
    assert told_of("fix_align", 1, thread_align="32K", page_size=65536) == "A0:5+n F0"
    assert told_of("fix_align", 1, thread_align="64K", page_size=65536) == "A0:5+@1n F0"


@pytest.mark.parametrize(("page_size", "shift"), [(4096, 12), (65536, 16)])
def test_random_size_align(page_size, shift):
    """Size and alignment come from the same byte."""
    everything = made("random_size_align", events=100_000, page_size=page_size)
    assert (everything["flags"][::2] == ev.GUARD | ev.NODE).all()
    assert (everything["op"] == np.tile([ev.ALLOC, ev.FREE], 50_000)).all()
    shares = np.zeros((12, 11))
    for byte in range(256):
        shares[byte % 10 + 2, max(byte % 23 - shift, 0)] += 1
    counts = np.zeros_like(shares)
    np.add.at(counts, (everything["pages"][::2], everything["order"][::2]), 1)
    assert counts[shares == 0].sum() == 0
    assert abs(chi_squared(counts[shares > 0], shares[shares > 0])) < 4
    assert everything["order"].max() == 22 - shift  # 4 MiB


def test_align_shift():
    every = ["A0:1+n", "F0"] * 13
    for order in range(1, 52):
        every += [f"A0:1+@{order}n", "F0"]
    assert told_of("align_shift", 2 * 64).split() == every
    assert told_of("align_shift", 2 * 64 + 2).split() == every + every[:2]
    assert told_of("align_shift", 2 * 32 + 2, bits="32").split()[-4:] == [
        "A0:1+@19n",
        "F0",
        "A0:1+n",
        "F0",
    ]


@pytest.mark.parametrize("name", ["kvfree_rcu_1", "kvfree_rcu_2"])
def test_kvfree_rcu(name):
    batch = "A0:1+ A1:1+ A2:1+ F0 F1 F2 "
    rest = "A0:1+ A1:1+ F0 F1"
    assert told_of(name, 16, loops=8, batch=3) == 2 * batch + rest
    assert told_of(name, 32, loops=8, batch=3) == f"{2 * batch + rest} {2 * batch + rest}"
    assert told_of(name, 12, loops=6, batch=3) == (2 * batch).strip()
    assert told_of(name, 4, loops=2, batch=3) == rest  # what has not filled a batch
    assert told_of(name, 507) == " ".join(f"A{i}:1+" for i in range(507))


def test_vm_map_ram():
    assert told_of("vm_map_ram", 4) == "M0:1 F0 M0:1 F0"
    assert told_of("vm_map_ram", 1, nr_pages=65) == "M0:65 F0"


def test_no_block():
    assert told_of("no_block", 3, loops=1) == "A0:1+ F0 A0:1+ F0"


# -------------------------------------------------------------------------------------- workers
def by_worker(everything, threads):
    """Each worker's events, with its own slots."""
    for worker in range(threads):
        part = everything[everything["slot"] % threads == worker].copy()
        part["slot"] //= threads
        yield part


@pytest.mark.parametrize("interleave", ["random", "round-robin"])
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("fix_size", {"nr_pages": 600}),
        ("long_busy_list", {"loops": 7}),
        ("kvfree_rcu_1", {"loops": 8, "batch": 3}),
        ("align_shift", {}),
    ],
)
def test_every_worker_runs_the_whole_test(name, parameters, interleave):
    events, threads, cpus = 100_000, 5, 3
    everything = made(
        name, events=events, cpus=cpus, threads=threads, interleave=interleave, **parameters
    )
    alone = made(name, events=events, **parameters)
    total = 0
    for worker, part in enumerate(by_worker(everything, threads)):
        assert set(part["cpu"].tolist()) == {worker % cpus}
        assert len(part) > events / threads / 2
        assert told(part) == told(alone[: len(part)])
        total += len(part)
    assert total == len(everything)


def test_round_robin_is_one_event_each_in_turn():
    everything = made("fix_size", events=12, cpus=3, interleave="round-robin")
    assert everything["cpu"].tolist() == [0, 1, 2] * 4
    assert told(everything[:6]) == "A0:1+ A1:1+ A2:1+ F0 F1 F2"


def test_random_order_is_uniform_and_has_no_memory():
    everything = made("kvfree_rcu_1", events=40_000, cpus=4)
    turns = everything["cpu"].astype(int)
    assert abs(chi_squared(np.bincount(turns), np.ones(4))) < 4
    assert abs(chi_squared(np.bincount(4 * turns[:-1] + turns[1:]), np.ones(16))) < 4


def test_the_end_is_the_end_of_every_workers_iteration():
    for events in (1, 2, 9, 10, 11, 50):
        everything = made("fix_size", events=events, cpus=4, nr_pages=600)
        assert events <= len(everything) <= events + 4 * 3
        for part in by_worker(everything, 4):
            assert len(part) % 4 == 0
    # the setup of a test is many iterations
    assert len(made("long_busy_list", events=100, cpus=1)) == 100


def test_workers_are_one_per_cpu_unless_told():
    assert set(made("fix_size", events=100, cpus=3)["slot"].tolist()) == {0, 1, 2}
    assert set(made("fix_size", events=100, cpus=3, threads=2)["cpu"].tolist()) == {0, 1}


def test_workers_move_before_allocations_only():
    events = 100_000
    everything = made("fix_size", events=events, cpus=5, threads=1, migrate=0.2)
    cpus = everything["cpu"].astype(int)
    assert (cpus[::2] == cpus[1::2]).all()
    moves = np.diff(cpus[::2]) % 5
    share = (moves != 0).mean()
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / (events / 2))
    assert abs(chi_squared(np.bincount(moves)[1:], np.ones(4))) < 4


def test_always_moving_and_never():
    everything = made("vm_map_ram", events=1000, cpus=2, threads=1, migrate=1.0)
    assert everything["cpu"][::2].tolist() == [1, 0] * 250
    assert made("fix_size", events=100, cpus=1, migrate=1.0)["cpu"].max() == 0


def test_slots_are_no_more_than_the_length_needs():
    short = make("full_fit", page_size=4096, cpus=512, events=10_000, seed=1)
    assert short.slots < 512 * 200
    long = make("full_fit", page_size=4096, cpus=2, events=10**9, seed=1)
    assert long.slots == 2 * (2 + 2 * 2 * 8192)


# ------------------------------------------------------------------------------- arrays of pages
def test_the_array_of_pages_is_on_the_same_node_and_in_the_standard_window():
    flags = ev.GUARD | ev.NODE
    steps = alloc_steps(3, 513, 4096, order=9, window=1, flags=flags)
    assert told(steps) == "A3:513+@9nw1 A4:2+n"
    assert told(alloc_steps(0, 1 << 19, 4096)) == "A0:524288+ A1:1024+ A2:2+"
    assert told(free_steps(0, 1 << 19, 4096)) == "F0 F1 F2"


@given(st.integers(1, 1 << 32), st.sampled_from([4096, 16384, 65536]), st.sampled_from([4, 8]))
def test_an_area_has_an_array_where_its_pointers_need_more_than_a_page(payload, page, pointer):
    chain = area_chain(payload, page, pointer)
    assert chain[0] == payload + 1
    for pages, array in pairwise(chain):
        needed = (pages - 1) * pointer
        assert needed > page
        assert (array - 2) * page < needed <= (array - 1) * page
    assert (chain[-1] - 1) * pointer <= page
