"""Who may run before each step, and what the step functions do about locks and sleeping."""

import pytest

from vmalloc_model.interleavings.programs import PROGRAMS, programs_of
from vmalloc_model.interleavings.setting import COUNTED, KERNELS, Setting, variant_of
from vmalloc_model.interleavings.state import Area, live_areas
from vmalloc_model.interleavings.steps import (
    GRACE,
    STEPS,
    Move,
    apply,
    bound_steps,
    initial,
    successors,
)
from vmalloc_model.interleavings.trace import told

MISS = programs_of(2)[0]


def setting(policy, kernel, name="miss", tasks=2):
    variant = COUNTED if policy == "counted" else variant_of(policy)
    program = next(one for one in programs_of(tasks) if one.name == name)
    return Setting(variant, KERNELS[kernel], program)


def run(where, *moves):
    state = initial(where)
    for move in moves:
        state = apply(where, state, Move(*move) if isinstance(move, tuple) else Move(move))
    return state


def possible(where, state):
    return {tuple(move) for move, _ in successors(where, state)}


def test_a_kernel_says_before_which_steps_a_task_keeps_its_cpu():
    kept = {name: bound_steps(kernel) for name, kernel in KERNELS.items()}
    assert kept["serial"] == set(STEPS)
    assert {"bump", "reserve", "area", "collect"} == set(STEPS) - kept["coop"]
    assert kept["preempt"] == kept["migrate"] == {
        "read", "write", "install locked", "count", "install pinned",
    }  # fmt: skip
    assert kept["rt"] == {"count", "install pinned"}


def test_without_rt_the_holder_of_a_spinlock_is_left_alone():
    where = setting("rfc10", "migrate")
    state = run(where, 0, 0, 0)  # T1 holds CPU 0's lock
    assert state.tasks[0].at == "read"
    assert possible(where, state) == {(0, -1)}, "T2 is on the same CPU, T1 may not move"
    moved = run(where, (1, 1), 0, 0, 0)
    assert possible(where, moved) == {(0, -1), (1, -1), (1, 0)}, "on the other CPU T2 goes on"


def test_on_rt_the_holder_is_preempted_but_stays():
    where = setting("rfc10", "rt")
    state = run(where, 0, 0, 0)
    assert possible(where, state) == {(0, -1), (1, -1), (1, 1)}
    waiting = run(where, 0, 0, 0, 1, 1)
    assert waiting.tasks[1].at == "lock"
    assert possible(where, waiting) == {(0, -1), (1, 1)}, "T2 waits for the lock"


def test_without_preemption_a_cpu_changes_tasks_only_where_one_may_sleep():
    where = setting("rfc10", "coop")
    state = run(where, 0)
    assert possible(where, state) == {(0, -1)}
    asleep = run(where, 0, 0, 0, 0, 0)
    assert asleep.tasks[0].at == "reserve"
    assert possible(where, asleep) == {(0, -1), (0, 1), (1, -1), (1, 1)}


def test_serial_means_that_nobody_comes_in_between():
    where = setting("rfc10", "serial")
    assert possible(where, run(where, (1, 1), 0)) == {(0, -1)}, "not even on the other CPU"


def test_preempt_disable_holds_on_every_kernel():
    for kernel in ("coop", "migrate", "rt"):
        where = setting("rfc12", kernel, "other CPU")
        state = run(where, 0)
        assert state.tasks[0].at == "count"
        assert (0, 1) not in possible(where, state)
        assert (1, -1) in possible(where, state)


def test_only_one_purge_at_a_time():
    where = setting("pools-only", "migrate", "purge", 2)
    state = run(where, 0, 0, 0)
    assert state.tasks[0].at == "flush"
    assert state.locks[-1] == 0
    second = state._replace(
        tasks=(state.tasks[0], state.tasks[1]._replace(at="collect", local=(0,)))
    )
    assert (1, -1) not in possible(where, second)


def test_a_move_that_may_not_happen_is_refused():
    where = setting("rfc10", "serial")
    with pytest.raises(ValueError, match="may not happen"):
        apply(where, run(where, 0), Move(1))


def test_a_grace_period_ends_only_where_somebody_could_notice():
    where = setting("rfc11", "migrate", "other CPU")
    state = run(where, 1, 1, 1, 1, 1)  # T2 has returned CPU 0's current chunk
    assert (GRACE, 0) in possible(where, state)
    fine = setting("rfc12", "migrate", "purge")
    state = initial(fine)
    while state.chunks[0].fate != "released":
        state = next(after for _, after in successors(fine, state))
    assert not any(move[0] == GRACE for move in possible(fine, state))


@pytest.mark.parametrize(
    "policy", ["pools-only", "rfc10", "rfc11", "rfc12", "described", "counted"]
)
def test_what_was_done_before_leaves_areas_and_chunks_as_one_expects(policy):
    """Areas of the tasks, pages of chunks, free pages: nothing is in two of them."""
    for program in PROGRAMS:
        where = Setting(setting(policy, "serial").variant, KERNELS["serial"], program)
        state = initial(where)
        assert all(task.local == () for task in state.tasks)
        assert state.locks == (-1, -1, -1)
        for area in live_areas(state):
            assert not state.free >> area.start & 1
            assert (area.chunk >= 0) == (policy in ("rfc11", "rfc12", "described", "counted"))
    last = Setting(setting("rfc12", "serial").variant, KERNELS["serial"], PROGRAMS[2])
    begin = initial(last)
    assert begin.tasks[1].held == (Area(1, 1, 0),)
    assert begin.pool == (Area(0, 1, -1),)


@pytest.mark.parametrize("policy", ["pools-only", "rfc10", "rfc11", "rfc12", "counted"])
def test_every_step_is_taken_by_somebody_and_told(policy):
    where = setting(policy, "migrate", "purge")
    state, seen = initial(where), []
    while any(task.at for task in state.tasks):
        move, state = next(one for one in successors(where, state) if one[0].cpu < 0)
        seen.append(move)
    texts = [step.text for step in told(where, seen)]
    assert len(texts) == len(seen)
    assert all(texts)
    assert any("flush_tlb_kernel_range" in text for text in texts)


def test_an_order_in_words():
    where = setting("rfc10", "rt")
    steps = list(told(where, [Move(0), Move(0), Move(0, 1), Move(0), Move(0), Move(0)]))
    assert [step.step for step in steps] == ["pool", "pick", "migrate", "lock", "read", "write"]
    assert [step.cpu for step in steps] == [0, 0, 1, 1, 1, 1]
    assert steps[3].text == "`spin_lock()` of CPU 0's lock"
    assert steps[4].text.endswith("CPU 1's chunk A, bump is page 1")
    assert steps[5].state == "CPU 0: no chunk; CPU 1: A, full; in use 0, 1"
