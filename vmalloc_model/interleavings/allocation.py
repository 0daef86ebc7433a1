"""Atomic steps of an allocation: pools, the CPU's chunk, refill, the global allocator.

Each function is one step ``(setting, state, task) -> state``, or None while the task has to wait,
and stands for what its docstring names in the kernel. A critical section is one step where its data
are never touched outside it (the global free space, a node pool, the list of chunks).

Source: patches 10/12 (``vmap_bump_alloc``, ``vmap_bump_refill``), 11/12 and 12/12 of the series.
The three stores of an installation in 10/12 are one step here, which can only hide orders.
"""

from __future__ import annotations

from vmalloc_model.interleavings.moves import (
    answer,
    ask_chunk,
    go,
    put,
    replaced,
    request,
    with_chunk,
)
from vmalloc_model.interleavings.setting import CHUNK_PAGES, Setting
from vmalloc_model.interleavings.state import (
    CURRENT,
    FULL,
    GONE,
    HOMELESS,
    NEW,
    ORDINARY,
    RELEASED,
    THROWN,
    Area,
    Chunk,
    State,
    lowest,
    mask_of,
)

__all__ = [
    "add_count",
    "add_to_list",
    "ask_pool",
    "bump",
    "install_locked",
    "install_pinned",
    "pick_lock",
    "pick_lock_again",
    "read_bump",
    "released",
    "reserve_area",
    "reserve_chunk",
    "retire",
    "set_owner",
    "take_lock",
    "take_lock_again",
    "write_bump",
]

FIRST = 0
AGAIN = 1


# --- node_alloc() --------------------------------------------------------------------------------


def ask_pool(setting: Setting, state: State, t: int) -> State:
    """``node_alloc``: the head of the pool of this size, if aligned; else it goes to the tail."""
    want = request(setting.program.tasks[t][1][state.tasks[t].op])
    for place in reversed(range(len(state.pool))):
        area = state.pool[place]
        if area.pages == want.pages:
            rest = state.pool[:place] + state.pool[place + 1 :]
            if area.start % want.align == 0:
                return answer(setting, state._replace(pool=rest), t, area)
            state = state._replace(pool=(area, *rest))
            break
    rules = setting.variant.rules
    if rules.overlay and rules.first == "pools" and want.eligible:
        return go(state, t, ask_chunk(setting), (FIRST,))
    return go(state, t, "area", (FIRST,))


# --- vmap_bump_alloc() of 10/12: a lock for each CPU ----------------------------------------------


def pick_lock(setting: Setting, state: State, t: int) -> State:
    """``lock = this_cpu_ptr(&vmap_bump_lock)``."""
    task = state.tasks[t]
    tries = task.local[0] if task.local else FIRST
    return go(state, t, "lock", (tries, task.cpu))


def take_lock(setting: Setting, state: State, t: int) -> State | None:
    """``spin_lock(lock)``."""
    return _taken(state, t, "read")


def read_bump(setting: Setting, state: State, t: int) -> State:
    """``chunk = this_cpu_ptr(&vmap_bump)``, and the test for room."""
    task = state.tasks[t]
    start = _room(state, task.cpu)
    return go(state, t, "write", (*task.local, task.cpu, start))


def write_bump(setting: Setting, state: State, t: int) -> State:
    """``chunk->bump = aligned + size``, where there was room; ``spin_unlock(lock)``."""
    tries, lock, cpu, start = state.tasks[t].local
    state = state._replace(locks=replaced(state.locks, lock, -1))
    if start < 0:
        return go(state, t, "reserve" if tries == FIRST else _after_chunk(setting), (tries,))
    state = with_chunk(state, state.current[cpu], bump=start + 1)
    home = ORDINARY if setting.variant.rules.first == "pools" else HOMELESS
    return answer(setting, state, t, Area(start, 1, home))


# --- vmap_bump_alloc() of 11/12 and 12/12: preempt_disable() --------------------------------------


def bump(setting: Setting, state: State, t: int) -> State:
    """``preempt_disable()``, this CPU's chunk, the test for room, and the pointer moves."""
    task = state.tasks[t]
    tries = task.local[0] if task.local else FIRST
    k = state.current[task.cpu]
    if k >= 0 and state.chunks[k].fate == GONE:
        return put(state, "descriptor")
    start = _room(state, task.cpu)
    if start >= 0:
        return go(with_chunk(state, k, bump=start + 1), t, "count", (tries, k, start))
    if tries == FIRST:
        return go(state, t, "reserve", (tries,))
    return go(state, t, _after_chunk(setting), (tries,))


def add_count(setting: Setting, state: State, t: int) -> State:
    """``atomic_add(n_pages, &chunk->alloced)``, ``preempt_enable()``."""
    _, k, start = state.tasks[t].local
    state = with_chunk(state, k, alloced=state.chunks[k].alloced + 1)
    return answer(setting, state, t, Area(start, 1, k))


# --- vmap_bump_refill() ---------------------------------------------------------------------------


def reserve_chunk(setting: Setting, state: State, t: int) -> State:
    """``kvzalloc`` and ``preload_this_cpu_lock``, which may sleep; then ``__alloc_vmap_area``."""
    local = state.tasks[t].local or (FIRST,)
    base = lowest(state.free, CHUNK_PAGES, 1)
    if base < 0:
        return go(state, t, _after_chunk(setting), (AGAIN,))
    chunk = Chunk(base, base, int(setting.variant.counted), -1, NEW)
    state = state._replace(
        free=state.free & ~mask_of(base, CHUNK_PAGES), chunks=(*state.chunks, chunk)
    )
    at = "pick again" if setting.variant.locked else "list"
    return go(state, t, at, (local[0], len(state.chunks) - 1))


def pick_lock_again(setting: Setting, state: State, t: int) -> State:
    """``lock = this_cpu_ptr(&vmap_bump_lock)``: of the CPU it is on by now."""
    task = state.tasks[t]
    tries, k = task.local
    return go(state, t, "lock again", (tries, task.cpu, k))


def take_lock_again(setting: Setting, state: State, t: int) -> State | None:
    """``spin_lock(lock)``."""
    return _taken(state, t, "install locked")


def install_locked(setting: Setting, state: State, t: int) -> State:
    """``chunk = this_cpu_ptr(&vmap_bump)``; base, limit, bump; ``spin_unlock(lock)``."""
    task = state.tasks[t]
    _, lock, k = task.local
    state, _ = _installed(state, task.cpu, k)
    state = state._replace(locks=replaced(state.locks, lock, -1))
    return go(state, t, _second_try(setting, t, task.op), (AGAIN,))


def add_to_list(setting: Setting, state: State, t: int) -> State:
    """``list_add_rcu(&new_chunk->link, &vmap_bump_chunks)``; its owner is still unset."""
    at = "owner" if setting.variant.rules.owner == "installing" else "install"
    return go(state, t, at, state.tasks[t].local)


def set_owner(setting: Setting, state: State, t: int) -> State:
    """``preempt_disable()``; ``new_chunk->owner_cpu = smp_processor_id()`` (12/12)."""
    task = state.tasks[t]
    return go(with_chunk(state, task.local[1], owner=task.cpu), t, "install pinned", task.local)


def install_pinned(setting: Setting, state: State, t: int) -> State:
    """``this_cpu_write(vmap_bump_cur, new_chunk)``, ``preempt_enable()``."""
    task = state.tasks[t]
    state, old = _installed(state, task.cpu, task.local[1])
    if old >= 0 and (setting.variant.counted or setting.variant.rules.release_at_refill):
        return go(state, t, "retire", (AGAIN, old))
    return go(state, t, _second_try(setting, t, task.op), (AGAIN,))


def retire(setting: Setting, state: State, t: int) -> State:
    """Repairs only: look at the chunk that was replaced, release it if its count is zero."""
    task = state.tasks[t]
    old = task.local[1]
    count = state.chunks[old].alloced - setting.variant.counted
    state = with_chunk(state, old, alloced=count)
    if count == 0:
        state = released(state, old)
    return go(state, t, _second_try(setting, t, task.op), (AGAIN,))


# --- __alloc_vmap_area() --------------------------------------------------------------------------


def reserve_area(setting: Setting, state: State, t: int) -> State:
    """``preload_this_cpu_lock``, which may sleep; then the lowest gap that fits."""
    want = request(setting.program.tasks[t][1][state.tasks[t].op])
    start = lowest(state.free, want.pages, want.align)
    if start < 0:
        return answer(setting, state, t, None)
    state = state._replace(free=state.free & ~mask_of(start, want.pages))
    return answer(setting, state, t, Area(start, want.pages, ORDINARY))


def released(state: State, k: int) -> State:
    """Take a chunk off the list, erase its range: the end of ``vmap_bump_unlink``."""
    chunk = state.chunks[k]
    if chunk.fate in (RELEASED, GONE):
        return put(state, "returned")
    state = state._replace(free=state.free | mask_of(chunk.base, CHUNK_PAGES))
    return with_chunk(state, k, fate=RELEASED)


def _room(state: State, cpu: int) -> int:
    """Page that the CPU's chunk would hand out; -1 if it has no room, or there is no chunk."""
    k = state.current[cpu]
    if k < 0 or state.chunks[k].bump >= state.chunks[k].base + CHUNK_PAGES:
        return -1
    return state.chunks[k].bump


def _taken(state: State, t: int, at: str) -> State | None:
    local = state.tasks[t].local
    if state.locks[local[1]] >= 0:
        return None
    return go(state._replace(locks=replaced(state.locks, local[1], t)), t, at, local)


def _installed(state: State, cpu: int, k: int) -> tuple[State, int]:
    """Make a chunk the CPU's current one; return the one it replaces, or -1."""
    old = state.current[cpu]
    if old >= 0 and state.chunks[old].fate == CURRENT:
        state = with_chunk(state, old, fate=FULL if _room(state, cpu) < 0 else THROWN)
    state = state._replace(current=replaced(state.current, cpu, k))
    return with_chunk(state, k, fate=CURRENT), old


def _second_try(setting: Setting, t: int, op: int) -> str:
    eligible = request(setting.program.tasks[t][1][op]).eligible
    return ask_chunk(setting) if eligible else _after_chunk(setting)


def _after_chunk(setting: Setting) -> str:
    """Name the step after the chunk has been asked in vain."""
    return "area" if setting.variant.rules.first == "pools" else "pool"
