"""Workloads that stand for something, and mixes of them."""

import numpy as np
import pytest
from workload_checks import Random, chi_squared, lifetimes, made, owners, told

from vmalloc_model import events as ev
from vmalloc_model.callers import SECTIONS, load_modules
from vmalloc_model.workloads import WORKLOADS, make
from vmalloc_model.workloads.base import Setup, log_uniform
from vmalloc_model.workloads.mixing import mixed_stream
from vmalloc_model.workloads.modules import module_steps


def live_counts(everything):
    """Areas that live after each event."""
    taken = np.isin(everything["op"], (ev.ALLOC, ev.MAP_RAM, ev.PCPU)).astype(int)
    return np.cumsum(taken - (everything["op"] == ev.FREE))


# ----------------------------------------------------------------------------------------- stacks
def stacks_twin(events, seed, cpus, live, kept, remote):
    random, out = Random(seed), []
    threads, filled = [], False
    cached = [[None] * kept for _ in range(cpus)]
    unused = list(range(10**5))[::-1]
    while len(out) < events:
        bits = random.draw()
        running = len(threads)
        starts = running < 2 * live + 16 and random.high(bits, live + running) < live
        if not filled or starts:
            cpu = random.low(bits, cpus)
            taken = [place for place, slot in enumerate(cached[cpu]) if slot is not None]
            if taken:
                slot, cached[cpu][taken[0]] = cached[cpu][taken[0]], None
            else:
                slot = unused.pop()
                out.append((ev.ALLOC, ev.GUARD, 0, 2, cpu, slot, 5))
            threads.append((slot, cpu))
            filled = filled or len(threads) == live
            continue
        bits = random.draw()
        one = random.high(bits, running)
        (slot, cpu), threads[one] = threads[one], threads[-1]
        threads.pop()
        if random.chance(bits, remote):
            away = random.scramble(random.counter ^ random.ALL)
            cpu = (cpu + 1 + random.high(away, cpus - 1)) % cpus
        free = [place for place, slot in enumerate(cached[cpu]) if slot is None]
        if free:
            cached[cpu][free[0]] = slot
        else:
            unused.append(slot)
            out.append((ev.FREE, 0, 0, 0, cpu, slot, 0))
    return np.array(out, ev.EVENT)


@pytest.mark.parametrize(
    ("cpus", "live", "kept", "remote"),
    [(1, 1, 2, 0.0), (1, 30, 0, 0.5), (3, 30, 2, 0.25), (2, 100, 4, 1.0), (5, 3, 1, 0.0)],
)
def test_stacks_are_what_their_slow_twin_says(cpus, live, kept, remote):
    """``away`` there is drawn from the counter's complement, for speed."""
    seen = made("stacks", events=3000, seed=4, cpus=cpus, live=live, cached=kept, remote=remote)
    slots = make(
        "stacks", page_size=4096, events=3000, seed=4, cpus=cpus, live=live, cached=kept
    ).slots
    expected = stacks_twin(3000, 4, cpus, live, kept, remote)
    # The twin has more slots, and takes the lowest too.
    assert expected["slot"].max() < slots
    np.testing.assert_array_equal(seen, expected)


def test_stacks_are_as_large_and_aligned_as_told():
    assert told(made("stacks", events=1)) == "A0:4+@2"
    assert told(made("stacks", events=1, thread_align="32K")) == "A0:4+@3"
    assert told(made("stacks", events=1, page_size=65536)) == "A0:1+"
    assert told(made("stacks", events=1, thread_size=20480, thread_align=4096)) == "A0:5+"


def test_the_number_of_stacks_stays_around_the_target():
    live, cpus = 400, 4
    counts = live_counts(made("stacks", events=60_000, live=live, cpus=cpus))[10_000:]
    # threads are Poisson distributed; caches hold 0 to 2 for each CPU
    assert live - 5 < counts.mean() - cpus < live + 5
    assert counts.max() < live + 8 * np.sqrt(live)


def test_a_thread_that_ends_elsewhere_takes_its_stack_along():
    def remote_share(**values):
        pairs = owners(made("stacks", events=20_000, cpus=4, live=200, **values))
        return (pairs[:, 0] != pairs[:, 1]).mean()

    assert remote_share(remote=0.0, cached=0) == 0
    assert abs(remote_share(remote=0.5, cached=0) - 0.5) < 0.03
    # kept stacks move on with the next thread
    assert remote_share(remote=0.0) == 0


# -------------------------------------------------------------------------------------------- xfs
def test_xfs_sizes_lifetimes_and_cpus():
    live = 100
    everything = made("xfs", events=200_000, live=live, cpus=3)
    payloads = everything["pages"][everything["op"] == ev.ALLOC] - 1
    assert (payloads.min(), payloads.max()) == (18, 256)
    for low, high in ((18, 36), (36, 72), (72, 144)):
        share = ((payloads >= low) & (payloads < high)).mean()
        expected = np.log(2) / np.log(257 / 18)
        assert abs(share - expected) < 4 * np.sqrt(expected / len(payloads))
    spans = lifetimes(everything)
    assert abs(spans.mean() - 2 * live) < 4 * 2 * live / np.sqrt(len(spans))
    for times in (0.5, 1, 2):
        assert abs((spans > times * 2 * live).mean() - np.exp(-times)) < 0.01
    pairs = owners(everything)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert live_counts(everything)[live:].min() == live - 1
    assert live_counts(everything).max() == live


def test_xfs_sizes_may_be_uniform():
    everything = made("xfs", events=50_000, sizes="uniform", min_pages=10, max_pages=19, live=5)
    payloads = everything["pages"][everything["op"] == ev.ALLOC] - 1
    assert abs(chi_squared(np.bincount(payloads)[10:], np.ones(10))) < 4


# ---------------------------------------------------------------------------------------- modules
def test_a_module_is_loaded_and_unloaded_as_recorded():
    """Like the first module of the run smp1 after ``a_start``, with a buffer of 600 pages."""
    sections = np.zeros(len(SECTIONS), int)
    for name, pages in {"text": 3, "rodata": 2, "ro_after_init": 1, "init_text": 1}.items():
        sections[SECTIONS.index(name)] = pages
    load, unload = module_steps(600 * 4096 - 5, sections, 4096, protect=True)
    assert told(load) == ("A7:600+ A8:2+ A0:3+w1 A2:2+w1 A3:1+w1 A4:1+w1 P P P P P F7 F8 P P F4 P")
    assert told(unload) == "F0 P F2 P F3 P"
    sections[SECTIONS.index("ro_after_init")] = 0
    load, unload = module_steps(1, sections, 4096, protect=True)
    assert told(load) == "A7:1+ A0:3+w1 A2:2+w1 A4:1+w1 P P P P F7 P F4 P"
    load, unload = module_steps(1, sections, 4096, protect=False)
    assert told(load) == "A7:1+ A0:3+w1 A2:2+w1 A4:1+w1 F7 F4 P"
    assert told(unload) == "F0 P F2 P"


def test_modules_are_those_of_the_distribution():
    everything = made("modules", events=300_000, live=1, page_size=16384)
    loads = np.flatnonzero((everything["op"] == ev.ALLOC) & (everything["slot"] == 7))
    files = load_modules()["file_bytes"].to_numpy()
    known, expected = np.unique(-(-files // 16384) + 1, return_counts=True)
    sizes, counts = np.unique(everything["pages"][loads], return_counts=True)
    assert set(sizes.tolist()) <= set(known.tolist())
    often = expected >= 40
    seen = dict(zip(sizes.tolist(), counts.tolist(), strict=True))
    counts = [seen.get(pages, 0) for pages in known[often].tolist()]
    assert abs(chi_squared(counts, expected[often])) < 4
    # with one module, what is loaded is unloaded before the next
    live = live_counts(everything)
    assert (live[loads[1:] - 1] == 0).all()
    text = everything[(everything["op"] == ev.ALLOC) & (everything["slot"] == 0)]
    assert (text["window"] == 1).all()
    assert (everything["window"][loads] == 0).all()


def test_modules_live_and_are_unloaded_elsewhere():
    everything = made("modules", events=50_000, live=20, cpus=4, remote=1.0)
    slots = everything["slot"] // 9
    assert set(slots[everything["op"] == ev.ALLOC].tolist()) == set(range(20))
    after_load = np.isin(everything["slot"] % 9, (4, 5, 6, 7, 8))  # buffer, init sections
    inside, apart = owners(everything[after_load]), owners(everything[~after_load])
    assert (inside[:, 0] == inside[:, 1]).all()
    assert (apart[:, 0] != apart[:, 1]).all()


# -------------------------------------------------------------------------------------------- bpf
def programs_twin(events, seed, cpus, live, sizes, units):
    random, out = Random(seed), []
    programs, room, hole = [], {}, None
    while len(out) < events:
        bits = random.draw()
        cpu = random.low(bits, cpus)
        if hole is None and len(programs) == live:
            hole = random.high(bits, live)
            pack, size = programs[hole]
            room[pack] += size
            if room[pack] == units:
                del room[pack]
                out.append((ev.FREE, 0, 0, 0, cpu, live + pack, 0))
                out.append((ev.PURGE, 0, 0, 0, cpu, 0, 0))
            out.append((ev.FREE, 0, 0, 0, cpu, hole, 0))
            continue
        one, hole = len(programs) if hole is None else hole, None
        size = sizes[random.high(bits, len(sizes))]
        out.append((ev.ALLOC, ev.GUARD, 0, 0, cpu, one, 2))
        fitting = [pack for pack in sorted(room) if room[pack] >= size]
        pack = fitting[0] if fitting else min(set(range(len(room) + 1)) - set(room))
        if not fitting:
            room[pack] = units
            out.append((ev.ALLOC, ev.GUARD, 1, 0, cpu, live + pack, 513))
            out.append((ev.PURGE, 0, 0, 0, cpu, 0, 0))
        room[pack] -= size
        programs[one : one + 1] = [(pack, size)]
    return np.array(out, ev.EVENT)


@pytest.mark.parametrize(("live", "cpus"), [(1, 1), (7, 3), (100, 4)])
def test_programs_are_what_their_slow_twin_says(live, cpus):
    low, high = 1 << 17, 1 << 20  # two to sixteen in a pack
    sizes = [-(-size // 64) for size in log_uniform(low, high).tolist()]
    events = 4000
    values = {"programs": live, "min_code": low, "max_code": high, "map_share": 0.0}
    seen = made("bpf", events=events, seed=3, cpus=cpus, **values)
    setup = Setup(4096, cpus, events, 3, values)
    expected = programs_twin(events + 3, setup.part(0).seed, cpus, live, sizes, 1 << 15)
    assert (expected["op"] == ev.PURGE).sum() > 100 or live == 100
    np.testing.assert_array_equal(seen, expected[:events])


def test_packs_are_shared():
    """1,000 programs of 64 bytes to 16 KiB, about 3 KB each: two or three packs of 2 MiB."""
    everything = made("bpf", events=100_000, map_share=0.0)
    packs = everything[(everything["op"] == ev.ALLOC) & (everything["window"] == 1)]
    assert 1 <= len(set(packs["slot"].tolist())) <= 3
    assert set(packs["pages"].tolist()) == {513}
    twice = made("bpf", events=3000, pack="4M", page_size=16384)
    assert 257 in twice["pages"]


def test_maps_are_as_frequent_and_large_as_told():
    everything = made("bpf", events=50_000, map_share=0.3, maps=50, min_pages=9, max_pages=512)
    program = (everything["pages"] == 2) | (everything["slot"] < 1000)
    maps = everything[~program & (everything["window"] == 0) & (everything["op"] == ev.ALLOC)]
    assert (maps["pages"].min(), maps["pages"].max()) == (10, 513)
    assert abs(2 * len(maps) / len(everything) - 0.3) < 0.02


# ---------------------------------------------------------------------------------- pairs, bursts
def test_producer_and_consumer():
    told_events = told(made("producer_consumer", events=9, cpus=2, depth=3, pages=2))
    assert told_events == "A0:2+ A1:2+ A2:2+ F0 A0:2+ F1 A1:2+ F2 A2:2+"
    everything = made("producer_consumer", events=5000, cpus=5, depth=40)
    assert set(everything["cpu"].tolist()) == {0, 1, 2, 3}
    taken = everything["op"] == ev.ALLOC
    assert (everything["cpu"][taken] % 2 == 0).all()
    assert (everything["cpu"][~taken] == everything["slot"][~taken] % 2 * 2 + 1).all()
    for pair in (0, 1):
        part = everything[everything["slot"] % 2 == pair]
        order = part["slot"][part["op"] == ev.ALLOC]
        freed = part["slot"][part["op"] == ev.FREE]
        np.testing.assert_array_equal(freed, order[: len(freed)])
        assert live_counts(part)[40:].min() == 39
    assert set(made("producer_consumer", events=200, pairs=3, depth=2)["cpu"].tolist()) == {0}
    crossed = owners(made("producer_consumer", events=200, cpus=4, pairs=3, depth=2))
    assert (crossed[:, 1] == crossed[:, 0] + 1).all()
    nested = told(made("producer_consumer", events=5, cpus=2, depth=2, pages=513))
    assert nested == "A0:513+ A1:2+ A2:513+ A3:2+ F0 F1 A0:513+ A1:2+"


@pytest.mark.parametrize(("order", "frees"), [("forward", [0, 1, 2, 3]), ("reverse", [3, 2, 1, 0])])
def test_bursts(order, frees):
    everything = made("bursts", events=24, burst=4, order=order)
    for burst in everything.reshape(3, 8):
        assert (burst["op"] == [ev.ALLOC] * 4 + [ev.FREE] * 4).all()
        assert burst["slot"].tolist() == [0, 1, 2, 3, *frees]


def test_bursts_in_random_order():
    everything = made("bursts", events=8 * 24_000, burst=4, order="random").reshape(-1, 8)
    assert (everything["slot"][:, :4] == [0, 1, 2, 3]).all()
    orders, counts = np.unique(everything["slot"][:, 4:], axis=0, return_counts=True)
    assert len(orders) == 24
    assert abs(chi_squared(counts, np.ones(24))) < 4


def test_a_burst_is_on_one_cpu():
    everything = made("bursts", events=20_000, burst=5, cpus=4, max_pages=5).reshape(-1, 10)
    assert (everything["cpu"] == everything["cpu"][:, :1]).all()
    assert abs(chi_squared(np.bincount(everything["cpu"][:, 0]), np.ones(4))) < 4
    assert set(everything["pages"][:, :5].ravel().tolist()) == {2, 3, 4, 5, 6}
    assert told(made("bursts", events=3, burst=1, min_pages=513, max_pages=513)) == (
        "A0:513+ A1:2+ F0 F1"
    )


# ---------------------------------------------------------------------------------------- pinning
def test_pinned_areas_live_for_ever():
    everything = made("pinning", events=200_000, pinned=0.05, live=30, min_pages=9, max_pages=9)
    taken = everything[everything["op"] == ev.ALLOC]
    pinned = taken["pages"] < 10
    assert abs(pinned.mean() - 0.05) < 0.005
    assert set(taken["pages"][pinned].tolist()) == {2, 3, 4, 5}
    # nothing pinned is freed: what lives at the end is all of it, and the short-lived
    assert live_counts(everything)[-1] - pinned.sum() in (29, 30)


def test_pinned_areas_may_live_long_only():
    everything = made(
        "pinning", events=300_000, pinned=0.1, pinned_live=200, live=30, min_pages=9, max_pages=9
    )
    taken = everything["op"] == ev.ALLOC
    pinned = everything["pages"][taken] < 10
    assert abs(pinned.mean() - 0.1) < 0.01
    assert live_counts(everything)[-1] in range(228, 231)
    spans = lifetimes(everything, everything["slot"] >= 30)
    # 200 live, and one is replaced every 20 events
    assert abs(np.mean(spans) - 4000) < 400


def test_all_or_nothing_may_be_pinned():
    assert (made("pinning", events=500, pinned=1.0)["op"] == ev.ALLOC).all()
    assert live_counts(made("pinning", events=500, pinned=0.0, live=10)).max() == 10


# ------------------------------------------------------------------------------------------ mixes
def test_mixed_has_the_weights_it_is_given():
    nothing = dict.fromkeys(("stacks", "bpf", "xfs", "modules", "small", "large"), 0.0)
    weights = {"stacks": 0.4, "xfs": 0.3, "small": 0.2, "large": 0.1}
    machine = {"page_size": 4096, "cpus": 2, "events": 50_000, "seed": 1}
    alone = [make("mixed", **machine, **(nothing | {name: 1.0})).slots for name in weights]
    everything = made("mixed", **machine, **(nothing | weights))
    part = np.searchsorted(np.cumsum(alone), everything["slot"], side="right")
    assert abs(chi_squared(np.bincount(part), [4, 3, 2, 1])) < 4
    taken = everything["op"] == ev.ALLOC
    sizes = [everything["pages"][taken & (part == number)] for number in range(4)]
    assert set(sizes[0].tolist()) == {5}
    assert (sizes[1].min(), sizes[1].max()) == (19, 257)
    assert (sizes[2].min(), sizes[2].max()) == (2, 17)
    assert sizes[3].max() > 10_000
    # every large area comes with the array of its pages, which is small
    assert 0.45 < (sizes[3] > 512).mean() < 0.55


def test_a_mix_interleaves_its_parts_unchanged():
    setup = Setup(4096, 2, 20_000, 7, {})
    churn = {"live": 10, "min_pages": 1, "max_pages": 4, "aligned": 0.0, "order": 0, "remote": 0.0}
    parts = [
        (0.6, WORKLOADS["churn"].make, churn),
        (0.0, WORKLOADS["churn"].make, churn),
        (0.4, WORKLOADS["modules"].make, {"live": 3, "remote": 0.0, "protect": "yes"}),
    ]
    whole = mixed_stream("x", setup, parts).all()
    assert len(whole) == 20_000
    # Events without a slot can only come from the modules.
    second = (whole["slot"] >= 10) | (whole["op"] == ev.PURGE)
    for number, mask, shift in ((0, ~second, 0), (2, second, 10)):
        weight, family, values = parts[number]
        alone = family(setup.part(number, weight, **values)).all()
        part = whole[mask].copy()
        part["slot"][part["op"] != ev.PURGE] -= shift
        np.testing.assert_array_equal(part, alone[: len(part)])
        assert abs(len(part) / 20_000 - weight) < 0.02


def test_a_part_that_ends_leaves_the_rest_to_the_others():
    """It cannot happen with parts made by the setup they are given, which bounds their lengths."""
    setup = Setup(4096, 1, 500, 7, {})
    churn = {"live": 10, "min_pages": 1, "max_pages": 4, "aligned": 0.0, "order": 0, "remote": 0.0}

    def lasting(events):
        return lambda _: WORKLOADS["churn"].make(Setup(4096, 1, events, 1, churn))

    whole = mixed_stream("x", setup, [(0.5, lasting(20), {}), (0.5, lasting(500), {})]).all()
    assert len(whole) == 500
    assert (whole["slot"] < 10).sum() == 20
