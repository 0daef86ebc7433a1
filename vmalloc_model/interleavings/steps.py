"""All atomic steps by name, and who may be scheduled before each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

from vmalloc_model.interleavings import allocation, freeing
from vmalloc_model.interleavings.moves import first_step, with_chunk, with_task
from vmalloc_model.interleavings.setting import (
    WINDOW_PAGES,
    Kernel,
    Program,
    Setting,
)
from vmalloc_model.interleavings.state import GONE, RELEASED, Area, State, Task, mask_of

__all__ = ["GRACE", "STEPS", "Move", "Step", "apply", "bound_steps", "initial", "successors"]

SLEEPS: Final = "may sleep"
OPEN: Final = "preemptible"
LOCKED: Final = "holds a spinlock"
PINNED: Final = "preemption is off"


class Step(NamedTuple):
    """What a step does, and in what context its task is right before it."""

    does: Callable[[Setting, State, int], State | None]
    context: str


STEPS: Final = {
    "pool": Step(allocation.ask_pool, OPEN),
    "pick": Step(allocation.pick_lock, OPEN),
    "lock": Step(allocation.take_lock, OPEN),
    "read": Step(allocation.read_bump, LOCKED),
    "write": Step(allocation.write_bump, LOCKED),
    "bump": Step(allocation.bump, SLEEPS),
    "count": Step(allocation.add_count, PINNED),
    "reserve": Step(allocation.reserve_chunk, SLEEPS),
    "pick again": Step(allocation.pick_lock_again, OPEN),
    "lock again": Step(allocation.take_lock_again, OPEN),
    "install locked": Step(allocation.install_locked, LOCKED),
    "list": Step(allocation.add_to_list, OPEN),
    "owner": Step(allocation.set_owner, OPEN),
    "install": Step(allocation.install_pinned, OPEN),
    "install pinned": Step(allocation.install_pinned, PINNED),
    "retire": Step(allocation.retire, OPEN),
    "area": Step(allocation.reserve_area, SLEEPS),
    "lookup": Step(freeing.look_up, OPEN),
    "unlink": Step(freeing.unlink, OPEN),
    "subtract": Step(freeing.subtract, OPEN),
    "compare": Step(freeing.compare, OPEN),
    "release": Step(freeing.release, OPEN),
    "unmap": Step(freeing.unmap, OPEN),
    "collect": Step(freeing.collect, SLEEPS),
    "flush": Step(freeing.flush, OPEN),
    "give": Step(freeing.give_back, OPEN),
}
"""Name of a step, as it stands in `Task.at` -> step."""


class Move(NamedTuple):
    """What the scheduler lets happen: a task's next step, or its migration to `cpu`.

    With `task` `GRACE` it is the end of the grace period after which chunk `cpu` is freed.
    """

    task: int
    cpu: int = -1


GRACE: Final = -1


def initial(setting: Setting) -> State:
    """Return the state in which the tasks of the program start."""
    program, cpus = setting.program, setting.cpus
    state = State(
        tasks=(),
        locks=(-1,) * (cpus + 1),
        current=(-1,) * cpus,
        chunks=(),
        free=mask_of(0, WINDOW_PAGES),
        kept=(),
        lazy=(),
        pool=(),
        marks=(),
    )
    held: dict[int, tuple[Area, ...]] = {}
    for operation, cpu, who in program.before:
        alone = replace(setting, program=Program("", "", (), ((cpu, (operation,)),)))
        task = Task(cpu % cpus, 0, first_step(alone, 0, 0), (), held.get(who, ()))
        state = state._replace(tasks=(task,))
        while state.tasks[0].at:
            after = STEPS[state.tasks[0].at].does(alone, state, 0)
            assert after is not None, "alone, a task never waits"
            state = after
        held[who] = state.tasks[0].held
    tasks = tuple(
        Task(cpu % cpus, 0, first_step(setting, t, 0), (), held.get(t, ()))
        for t, (cpu, _) in enumerate(program.tasks)
    )
    kept = tuple(area for who, areas in held.items() if not 0 <= who < len(tasks) for area in areas)
    return state._replace(tasks=tasks, kept=kept)


@cache
def bound_steps(kernel: Kernel) -> frozenset[str]:
    """Name the steps before which a task keeps its CPU."""
    lost = {SLEEPS: kernel.parallel, OPEN: kernel.preempt, LOCKED: kernel.rt, PINNED: False}
    return frozenset(at for at, step in STEPS.items() if not lost[step.context])


def successors(setting: Setting, state: State) -> Iterator[tuple[Move, State]]:
    """Yield all that may happen next, in a fixed order."""
    kernel, tasks, keep = setting.kernel, state.tasks, bound_steps(setting.kernel)
    # tasks that nobody can take the CPU from; there is at most one on a CPU
    bound = [t for t, task in enumerate(tasks) if task.local and task.at in keep]
    busy = {tasks[t].cpu for t in bound}
    if busy and not kernel.parallel:
        busy = {*range(setting.cpus)}
    for t, task in enumerate(tasks):
        if not task.at or (task.cpu in busy and t not in bound):
            continue
        does, context = STEPS[task.at]
        after = does(setting, state, t)
        if after is not None:
            yield Move(t), after
        if kernel.migration and t not in bound and context != LOCKED:
            for cpu in range(setting.cpus):
                if cpu != task.cpu:
                    yield Move(t, cpu), with_task(state, t, task._replace(cpu=cpu))
    if not bound:
        for k, chunk in enumerate(state.chunks):
            if chunk.fate == RELEASED and _noticed(setting, state, k):
                yield Move(GRACE, k), with_chunk(state, k, fate=GONE)


def apply(setting: Setting, state: State, move: Move) -> State:
    """Let one move happen.

    Raises
    ------
    ValueError
        If it may not happen in this state.
    """
    for possible, after in successors(setting, state):
        if possible == move:
            return after
    raise ValueError(f"{move} may not happen here")


def _noticed(setting: Setting, state: State, k: int) -> bool:
    """Tell whether anybody still has a pointer to a chunk that is off the list, outside of RCU."""
    return k in state.current or any(
        task.at == "unlink" and task.local[:1] == (k,) and not setting.variant.counted
        for task in state.tasks
    )
