"""The search: exhaustive, shortest first, and nothing that the step functions do not say."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model.interleavings.explore import _explored, explore
from vmalloc_model.interleavings.invariants import INVARIANTS, violated
from vmalloc_model.interleavings.programs import PROGRAMS, programs_of
from vmalloc_model.interleavings.setting import COUNTED, KERNELS, Setting, variant_of
from vmalloc_model.interleavings.steps import apply, initial, successors

MISS = programs_of(2)[0]
NAMES = ["rfc10", "rfc12", "described", "release-at-refill", "release-after-purge"]


def program(name, tasks=2):
    return next(one for one in programs_of(tasks) if one.name == name)


def setting(variant, kernel, name="miss", tasks=2, cpus=2):
    variant = COUNTED if variant == "counted" else variant_of(variant)
    return Setting(variant, KERNELS[kernel], program(name, tasks), cpus)


def reached_within(where, depth):
    """Iterative deepening without any memory of states: every order of so many moves, by hand."""

    def walk(state, left):
        broken = violated(where, state)
        yield from broken
        if left and not any(INVARIANTS[key].fatal for key in broken):
            for _, after in successors(where, state):
                yield from walk(after, left - 1)

    return set(walk(initial(where), depth))


@pytest.mark.parametrize(
    ("variant", "kernel", "name", "invariant", "moves"),
    [
        ("rfc10", "migrate", "miss", "foreign", 5),
        ("rfc12", "coop", "pairs", "room", 7),
        ("rfc12", "preempt", "last area", "drained", 8),
        ("rfc12", "serial", "last area", "counter", 5),
        ("rfc11", "serial", "other CPU", "descriptor", 8),
        ("release-at-refill", "preempt", "last area", "returned", 10),
        ("described", "serial", "last area", "drained", 10),
    ],
)
def test_no_shorter_order_violates_it(variant, kernel, name, invariant, moves):
    where = setting(variant, kernel, name)
    assert len(explore(where).found[invariant]) == moves
    assert invariant not in reached_within(where, moves - 1)


def test_the_deepening_would_find_a_shorter_one():
    where = setting("rfc10", "migrate")
    assert "foreign" in reached_within(where, 5)


@pytest.mark.parametrize("variant", [*NAMES, "rfc11"])
@pytest.mark.parametrize("kernel", ["serial", "coop", "migrate"])
def test_replaying_an_order_reproduces_the_violation_and_no_sooner(variant, kernel):
    for name in ("miss", "purge", "other CPU"):
        where = setting(variant, kernel, name)
        for invariant, moves in explore(where).found.items():
            state = initial(where)
            for move in moves:
                assert invariant not in violated(where, state)
                state = apply(where, state, move)
            assert invariant in violated(where, state)


def test_all_orders_by_a_search_in_another_order():
    """Depth first, without layers or bounds: the same states and the same number of moves."""
    for variant in ("rfc10", "counted"):
        where = setting(variant, "migrate", "other CPU")
        seen, stack, moves = set(), [initial(where)], 0
        while stack:
            state = stack.pop()
            if state in seen:
                continue
            seen.add(state)
            if any(INVARIANTS[key].fatal for key in violated(where, state)):
                continue
            following = [after for _, after in successors(where, state)]
            moves += len(following)
            stack += following
        result, parents = _explored(where, 10**6)
        assert seen == set(parents)
        assert (result.states, result.transitions, result.exhausted) == (len(seen), moves, True)


@given(st.sampled_from(["rfc10", "rfc12", "counted"]), st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_random_walks_stay_among_the_states_that_were_found(variant, seed):
    where = setting(variant, "rt")
    parents = reached(where)
    draw, state = random.Random(seed), initial(where)
    while True:
        assert state in parents
        if any(INVARIANTS[key].fatal for key in violated(where, state)):
            return
        moves = list(successors(where, state))
        if not moves or not any(task.at for task in state.tasks) or draw.random() < 0.02:
            return
        state = draw.choice(moves)[1]


_REACHED = {}


def reached(where):
    if where not in _REACHED:
        _REACHED[where] = _explored(where, 10**6)[1]
    return _REACHED[where]


@pytest.mark.parametrize("variant", [*NAMES, "counted"])
def test_a_kernel_that_allows_more_finds_no_less(variant):
    """Preemption with migration contains all stricter kernels; PREEMPT_RT contains that."""
    for name in ("miss", "last area", "purge"):
        results = {key: explore(setting(variant, key, name)) for key in KERNELS}
        for strict, loose in [
            ("serial", "migrate"),
            ("coop", "migrate"),
            ("preempt", "migrate"),
            ("migrate", "rt"),
        ]:
            assert results[strict].states <= results[loose].states
            for invariant, moves in results[strict].found.items():
                assert len(results[loose].found[invariant]) <= len(moves)


def test_preempt_rt_changes_nothing_where_no_spinlock_is_held():
    for variant in ("rfc12", "counted"):
        for one in (program("last area"), program("other CPU")):
            where = Setting(setting(variant, "rt").variant, KERNELS["migrate"], one)
            assert replace(explore(where), setting=None) == replace(
                explore(replace(where, kernel=KERNELS["rt"])), setting=None
            )


@pytest.mark.parametrize("variant", ["pools-only", "rfc10", *NAMES[1:], "counted"])
def test_one_task_alone_breaks_only_what_needs_no_concurrency(variant):
    """Without another task, and without migration, preemption changes nothing."""
    for one in PROGRAMS:
        alone = replace(one, tasks=one.tasks[:1])
        where = Setting(setting(variant, "preempt").variant, KERNELS["preempt"], alone)
        apart = replace(where, kernel=replace(KERNELS["serial"], migration=False))
        found = explore(where).found
        assert {key: len(moves) for key, moves in found.items()} == {
            key: len(moves) for key, moves in explore(apart).found.items()
        }
        if variant in ("pools-only", "rfc10", "counted"):
            assert found == {}


@pytest.mark.parametrize("variant", ["pools-only", "rfc10", "rfc12", "counted"])
def test_no_order_ends_in_a_deadlock(variant):
    for one in programs_of(2):
        for kernel in ("serial", "coop", "rt"):
            assert (
                explore(Setting(setting(variant, kernel).variant, KERNELS[kernel], one)).stuck == 0
            )


def test_a_lock_that_nobody_gives_back_is_a_deadlock(monkeypatch):
    where = setting("rfc10", "migrate")
    begin = initial(where)
    monkeypatch.setattr(
        "vmalloc_model.interleavings.explore.initial",
        lambda _: begin._replace(locks=(7, 7, -1)),
    )
    assert explore(where).stuck > 0


def test_a_bound_is_kept_and_told():
    result = explore(setting("rfc10", "migrate"), bound=100)
    assert (result.states, result.exhausted) == (100, False)
    whole = explore(setting("rfc10", "migrate"))
    assert explore(setting("rfc10", "migrate"), bound=whole.states) == whole


def test_the_same_search_gives_the_same_orders():
    where = setting("rfc11", "migrate", "other CPU")
    assert explore(where) == explore(where)


def test_a_third_task_only_adds():
    for name in ("miss", "purge"):
        two, three = (explore(setting("rfc10", "coop", name, tasks)) for tasks in (2, 3))
        assert two.states < three.states
        assert two.found.keys() <= three.found.keys()
        assert three.exhausted


def test_with_one_cpu_no_lock_is_foreign():
    for kernel in ("migrate", "rt"):
        for one in programs_of(2):
            found = explore(replace(setting("rfc10", kernel, cpus=1), program=one)).found
            assert found.keys() <= {"room"}
    assert "room" in explore(setting("rfc10", "coop", tasks=3, cpus=1)).found
