"""``churn``: the slow twin of its generator, and its distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workload_checks import Random, chi_squared, lifetimes, made, owners, told

from vmalloc_model import events as ev
from vmalloc_model.workloads import make
from vmalloc_model.workloads.base import DRAWS, alloc_steps, free_steps, log_uniform
from vmalloc_model.workloads.objects import area_kinds, kinds_of
from vmalloc_model.workloads.random import below, chance, low_below, odds, scramble


# --------------------------------------------------------------------------------- random numbers
def test_random_numbers_are_splitmix64():
    """First outputs for the seed 0, as published with the reference implementation."""
    golden = 0x9E3779B97F4A7C15
    seen = [int(scramble(np.uint64(golden * turn % 2**64))) for turn in (1, 2, 3)]
    assert seen == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**32), st.floats(0, 1))
def test_draws_are_those_of_the_twin(bits, limit, probability):
    assert below(np.uint64(bits), limit) == Random.high(bits, limit) < limit
    assert low_below(np.uint64(bits), limit) == Random.low(bits, limit) < limit
    assert chance(np.uint64(bits), odds(probability)) == Random.chance(bits, probability)


def test_always_and_never():
    top, bottom = np.uint64(2**64 - 1), np.uint64(0)
    assert chance(top, odds(1.0))
    assert not chance(bottom, odds(0.0))


# ---------------------------------------------------------------------------------------- the twin
def twin(events, seed, cpus, live, payloads, orders, remote=0.0):
    """The events of a churn of areas without arrays of pages."""
    random, alive, out = Random(seed), [], []
    live = min(live, events)
    hole = None
    while len(out) < events:
        bits = random.draw()
        if hole is None and len(alive) == live:
            hole = random.high(bits, live)
            cpu = alive[hole]
            if random.chance(bits, remote):
                cpu = (cpu + 1 + random.high(random.draw(), cpus - 1)) % cpus
            out.append((ev.FREE, 0, 0, 0, cpu, hole, 0))
            continue
        if hole is None:
            hole = len(alive)
            alive.append(None)
        alive[hole] = cpu = random.low(bits, cpus)
        draw = random.high(bits, len(payloads))
        out.append((ev.ALLOC, ev.GUARD, 0, orders[draw], cpu, hole, payloads[draw] + 1))
        hole = None
    return np.array(out, ev.EVENT)


@pytest.mark.parametrize(
    ("live", "cpus", "remote", "aligned"),
    [(1, 1, 0.0, 0.0), (30, 4, 0.0, 0.5), (30, 4, 0.3, 0.0), (5000, 2, 1.0, 1.0)],
)
def test_churn_is_what_its_slow_twin_says(live, cpus, remote, aligned):
    payloads = log_uniform(2, 300).tolist()
    orders = [4 * (draw * 40503 % DRAWS < aligned * DRAWS) for draw in range(DRAWS)]
    seen = made(
        "churn",
        events=4000,
        seed=9,
        cpus=cpus,
        live=live,
        remote=remote,
        min_pages=2,
        max_pages=300,
        aligned=aligned,
        order=4,
    )
    np.testing.assert_array_equal(seen, twin(4000, 9, cpus, live, payloads, orders, remote))


# ------------------------------------------------------------------------------------ distributions
def test_it_fills_up_and_then_replaces_one_by_one():
    everything = made("churn", events=1001, live=100)
    assert (everything["op"][:100] == ev.ALLOC).all()
    assert everything["slot"][:100].tolist() == list(range(100))
    assert everything["op"][100:].tolist() == [ev.FREE, ev.ALLOC] * 450 + [ev.FREE]
    assert (everything["slot"][100:-1:2] == everything["slot"][101::2]).all()


def test_sizes_are_log_uniform():
    pages = made("churn", events=200_000, live=10, min_pages=1, max_pages=255)["pages"]
    payloads = pages[pages > 0] - 1
    assert (payloads.min(), payloads.max()) == (1, 255)
    # 1, 2-3, 4-7, ... 128-255: all doublings are alike
    counts = np.bincount(np.floor(np.log2(payloads)).astype(int))
    assert abs(chi_squared(counts, np.ones(8))) < 4
    within = np.bincount(payloads[(payloads >= 4) & (payloads < 8)])[4:]
    assert abs(chi_squared(within, np.log(np.arange(5, 9) / np.arange(4, 8)))) < 4


@given(st.integers(1, 1000), st.integers(0, 100_000))
def test_quantiles_of_sizes(least, more):
    sizes = log_uniform(least, least + more)
    assert len(sizes) == DRAWS
    assert (np.diff(sizes) >= 0).all()
    assert least <= sizes[0]
    assert sizes[-1] <= least + more
    numbers = np.arange(least, least + more + 1)
    shares = np.log((numbers + 1) / numbers) / np.log((least + more + 1) / least)
    counts = np.bincount(sizes - least, minlength=more + 1)
    assert (np.abs(counts - shares * DRAWS) <= 1 + 1e-6).all()


def test_the_share_and_order_of_aligned_areas_do_not_depend_on_size():
    everything = made("churn", events=100_000, live=10, max_pages=64, aligned=0.25, order=5)
    taken = everything[everything["op"] == ev.ALLOC]
    assert set(taken["order"].tolist()) == {0, 5}
    for part in (taken[taken["pages"] < 8], taken[taken["pages"] >= 8]):
        share = (part["order"] == 5).mean()
        assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(part))


def test_no_area_or_every_area_may_be_aligned():
    machine = {"page_size": 4096, "cpus": 1, "events": 1_000_000, "seed": 1, "order": 5}
    for share, orders in ((0.0, {0}), (1.0, {5})):
        everything = make("churn", **machine, aligned=share).all()
        assert set(everything["order"][everything["op"] == ev.ALLOC].tolist()) == orders


def test_cpus_are_uniform_and_remote_frees_as_frequent_as_asked_for():
    everything = made("churn", events=100_000, live=50, cpus=4, remote=0.3)
    taken = everything[everything["op"] == ev.ALLOC]
    assert abs(chi_squared(np.bincount(taken["cpu"]), np.ones(4))) < 4
    pairs = owners(everything)
    away = (pairs[:, 1] - pairs[:, 0]) % 4
    assert abs((away > 0).mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / len(pairs))
    assert abs(chi_squared(np.bincount(away)[1:], np.ones(3))) < 4
    stays = owners(made("churn", events=2000, live=50, cpus=4))
    assert (stays[:, 0] == stays[:, 1]).all()


def test_lifetimes_are_geometric():
    live = 50
    everything = made("churn", events=200_000, live=live)
    spans = lifetimes(everything)
    mean = 2 * live
    assert abs(spans.mean() - mean) < 4 * mean / np.sqrt(len(spans))
    assert abs((spans > mean).mean() - np.exp(-1)) < 0.02
    assert abs((spans > 3 * mean).mean() - np.exp(-3)) < 0.01


# -------------------------------------------------------------------------------- arrays of pages
def test_large_areas_come_with_the_array_of_their_pages():
    everything = made("churn", events=20, live=2, min_pages=513, max_pages=513)
    assert told(everything[:4]) == "A0:513+ A1:2+ A2:513+ A3:2+"
    assert told(everything[4:8]) in ("F0 F1 A0:513+ A1:2+", "F2 F3 A2:513+ A3:2+")
    stream = make("churn", page_size=4096, cpus=1, events=21, seed=1, min_pages=513, max_pages=513)
    assert stream.events is None
    assert len(stream.all()) == 22  # the array as well


@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
def test_kinds_of_areas_are_what_the_helper_for_one_says(page_size):
    payloads = np.array([1, 512, 513, 600, 262_144, 262_145, 300_000, 1, 600])
    orders = np.array([0, 3, 0, 9, 0, 2, 0, 4, 9])
    kinds, draws = area_kinds(payloads, orders, page_size)
    pairs = list(zip(payloads.tolist(), orders.tolist(), strict=True))
    slow = kinds_of(
        [alloc_steps(0, pages, page_size, order=order) for pages, order in pairs],
        [free_steps(0, pages, page_size) for pages, _ in pairs],
    )
    assert kinds.slots == slow.slots
    assert draws[0] != draws[7]  # another order
    assert draws[3] == draws[8]
    for draw, kind in enumerate(draws):
        (born, grown, dies, dead), expected = kinds.bounds[kind], slow.bounds[draw]
        np.testing.assert_array_equal(kinds.steps[born:grown], slow.steps[slice(*expected[:2])])
        np.testing.assert_array_equal(kinds.steps[dies:dead], slow.steps[slice(*expected[2:])])
