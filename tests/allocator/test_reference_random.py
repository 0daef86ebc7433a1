"""Random runs: what must always hold, in every policy and every free space."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_runs import Run

from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.allocator.policies import load_policies

KINDS = ("tree", "padded", "lowest")

MACHINES = st.fixed_dictionaries(
    {
        "machine": st.sampled_from([(1, 1), (2, 2), (3, 3), (4, 2), (2, 1)]),
        "decay": st.sampled_from(["6.12", "6.16"]),
        "lazy_max_pages": st.sampled_from([10, 40, 4096]),
        "busy": st.sampled_from([(), ((550, 553), (700, 720))]),
    }
)


def steps(orders):
    alloc = st.tuples(
        st.just("alloc"),
        st.sampled_from([1, 2, 2, 3, 5, 9, 17, 33]),
        orders,
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([0, 0, 2]),
    )
    others = st.one_of(
        st.tuples(st.just("free"), st.integers(0, 1000)),
        st.tuples(st.just("free"), st.integers(0, 1000)),
        st.tuples(st.just("map_ram"), st.integers(1, 10)),
        st.tuples(st.just("pcpu")),
        st.tuples(st.just("purge")),
        st.tuples(st.just("shrink")),
    )
    step = st.tuples(st.one_of(alloc, alloc, others), st.integers(0, 3))
    return st.lists(step, min_size=10, max_size=80)


def small_run(policy, kind, sizes):
    """A window of 288 pages: refills and searches fail now and then."""
    fixed = {
        "space": (1, 1000),
        "windows": ((512, 800), (790, 850)),
        "block_pages": 8,
        "block_max_pages": 4,
        "chunk_pages": 32,
        "possible_share": 0.25,  # 32 pages for each of 2 CPUs
    }
    cpus, nodes = sizes["machine"]
    nodes_of = {"cpus": cpus, "nodes": nodes, "zone_pages": 4 if nodes > 1 else 1}
    others = {name: value for name, value in sizes.items() if name != "machine"}
    return Run(policy, kind, **fixed, **nodes_of, **others)


def play(run, played):
    """Yield after every step."""
    held = []
    for (what, *arguments), cpu in played:
        cpu %= run.machine.cpus
        if what == "alloc":
            pages, order, window, flags = arguments
            held.append(run.alloc(pages, order, cpu, window, flags))
        elif what == "map_ram":
            held.append(run.map_ram(*arguments, cpu=cpu))
        elif what == "pcpu":
            held.append(run.pcpu(2, order=1))
        elif what == "free":
            if held:
                run.free(held.pop(arguments[0] % len(held)), cpu=cpu)
        elif what == "purge":
            run.purge(cpu=cpu)
        else:
            run.shrink()
        yield held


@pytest.mark.parametrize("policy", load_policies())
@pytest.mark.parametrize("kind", KINDS)
@given(sizes=MACHINES, played=steps(st.sampled_from([0, 0, 0, 1, 2, 3])))
@settings(max_examples=15, deadline=None)
def test_nothing_is_lost_or_used_twice(policy, kind, sizes, played):
    """`check` does the work; counters add up, and only grow."""
    run = small_run(policy, kind, sizes)
    before = run.allocator.counters()
    assert list(before) == list(COUNTERS)
    for _ in play(run, played):
        run.allocator.check()
        counters = run.allocator.counters()
        assert all(before[name] <= counters[name] for name in COUNTERS)
        before = counters
    served = run.pool_hits + run.bump_hits + run.global_hits
    assert run.requests == served + run.failures
    assert run.lock_chunk == run.bump_hits + run.bump_misses
    assert run.global_failures <= 2 * run.overflow_purges
    assert run.chunks_drained_at_refill <= run.refills <= run.bump_misses + run.ineligible
    assert run.pool_rotations <= run.pool_misses
    assert run.purged_areas + sum(map(len, run.state["lazy"].values())) + run.lost_frees == (
        run.frees
    )
    if not run.allocator._state.resident:
        assert not any(
            counters[name]
            for name in ("lookups", "lock_list", "pages_freed_twice", "stale_handouts")
        )


@pytest.mark.parametrize("policy", load_policies())
@given(sizes=MACHINES, played=steps(st.sampled_from([0, 0, 0, 1, 2, 3])))
@settings(max_examples=10, deadline=None)
def test_everything_comes_back(policy, sizes, played):
    """All freed and purged: mainline's range is whole again; else only chunks are missing."""
    run = small_run(policy, "tree", sizes)
    held = []
    for held in play(run, played):  # noqa: B007
        pass
    run.free(*held)
    run.purge()
    run.shrink()
    run.allocator.check()
    blocks = run.allocator._blocks.areas()
    missing = 999 - sum(end - start for start, end in run.machine.busy)
    missing -= sum(pages for _, pages in run.state["gaps"])
    if not run.allocator._state.overlay:
        assert missing == sum(area.pages for area in blocks)
    else:
        kept = sum(not released for _, _, _, _, released in run.state["chunks"])
        assert missing <= kept * run.allocator._state.machine.chunk_pages + 8 * len(blocks)
    assert all(count == 0 for _, _, count, _, _ in run.state["chunks"]) or blocks


@pytest.mark.parametrize("policy", ["mainline", "rfc10", "release-after-purge"])
@given(sizes=MACHINES, played=steps(st.just(0)))
@settings(max_examples=15, deadline=None)
def test_without_alignment_all_free_spaces_are_the_same(policy, sizes, played):
    """Blocks of vm_map_ram are aligned, and so are per-CPU areas: none of these."""
    played = [step for step in played if step[0][0] not in ("map_ram", "pcpu")]
    runs = [small_run(policy, kind, sizes) for kind in KINDS]
    for run in runs:
        for _ in play(run, played):
            pass
    assert runs[0].state == runs[1].state == runs[2].state
    assert runs[0].allocator.counters() == runs[1].allocator.counters()
    assert runs[0].allocator.counters() == runs[2].allocator.counters()
