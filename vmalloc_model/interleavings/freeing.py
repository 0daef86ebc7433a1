"""Atomic steps of a free and of a purge, in the form that `allocation` describes.

Source: patches 11/12 and 12/12 of the series (``vmap_chunk_lookup``, ``vmap_bump_unlink``), and
mm/vmalloc.c of Linux 6.12: ``remove_vm_area`` unlinks an area first and clears its PTEs then.
"""

from __future__ import annotations

from vmalloc_model.interleavings.allocation import released
from vmalloc_model.interleavings.moves import answer, go, put, replaced, with_chunk
from vmalloc_model.interleavings.setting import Setting
from vmalloc_model.interleavings.state import (
    CURRENT,
    GONE,
    HOMELESS,
    ORDINARY,
    RELEASED,
    State,
    mask_of,
)

__all__ = [
    "collect",
    "compare",
    "flush",
    "give_back",
    "look_up",
    "release",
    "subtract",
    "unlink",
    "unmap",
]


def look_up(setting: Setting, state: State, t: int) -> State:
    """``vmap_chunk_lookup``: ``cur = this_cpu_read(vmap_bump_cur)``, outside of RCU."""
    task = state.tasks[t]
    if not task.held:
        return answer(setting, state, t, None)
    return go(state, t, "unlink", (state.current[task.cpu],))


def unlink(setting: Setting, state: State, t: int) -> State:
    """``find_unlink_vmap_area``: the area is no longer in use; from 12/12 on, who owns its chunk.

    An area whose chunk is off the list, and not this CPU's current one, is not found: it stays
    mapped for ever.
    """
    task = state.tasks[t]
    if not task.held:
        return answer(setting, state, t, None)
    area, rules = task.held[0], setting.variant.rules
    looked_at = task.local[0] if task.local else -1
    if looked_at >= 0 and state.chunks[looked_at].fate == GONE:
        return put(state, "descriptor")
    state = _without(state, t)
    k = area.chunk
    if k < 0 or setting.variant.counted:
        return go(state, t, "unmap", (area,))
    chunk = state.chunks[k]
    if chunk.fate in (RELEASED, GONE) and looked_at != k:
        return answer(setting, state._replace(kept=(*state.kept, area)), t, None)
    if rules.owner == "freeing":
        return go(state, t, "subtract", (area, -1))
    if chunk.owner < 0:
        return go(put(state, "skipped"), t, "unmap", (area,))
    return go(state, t, "subtract", (area, state.current[chunk.owner]))


def subtract(setting: Setting, state: State, t: int) -> State:
    """``atomic_sub_return(n_pages, &chunk->alloced)``, and the test for zero."""
    area, owner_current = state.tasks[t].local
    rules, k = setting.variant.rules, area.chunk
    count = state.chunks[k].alloced - area.pages
    state = with_chunk(state, k, alloced=count)
    if count != 0 or rules.release != "drained":
        return go(state, t, "unmap", (area,))
    if rules.owner == "freeing":
        return go(state, t, "compare", (area,))
    return go(state, t, "unmap" if owner_current == k else "release", (area,))


def compare(setting: Setting, state: State, t: int) -> State:
    """``chunk != this_cpu_read(vmap_bump_cur)``: of the CPU that frees (11/12)."""
    task = state.tasks[t]
    mine = state.current[task.cpu] == task.local[0].chunk
    return go(state, t, "unmap" if mine else "release", task.local)


def release(setting: Setting, state: State, t: int) -> State:
    """``list_del_rcu``, then ``occupied_mt_erase_range_locked`` of the chunk's whole range."""
    local = state.tasks[t].local
    return go(released(state, local[0].chunk), t, "unmap", local)


def unmap(setting: Setting, state: State, t: int) -> State:
    """``free_unmap_vmap_area``: clear the PTEs, put the area on the lazy list."""
    area = state.tasks[t].local[0]
    return answer(setting, state._replace(lazy=tuple(sorted((*state.lazy, area)))), t, None)


def collect(setting: Setting, state: State, t: int) -> State | None:
    """``__purge_vmap_area_lazy`` under ``vmap_purge_lock``: take all lazy areas."""
    if state.locks[-1] >= 0:
        return None
    if not state.lazy:
        return answer(setting, state, t, None)
    locks = replaced(state.locks, len(state.locks) - 1, t)
    return go(state._replace(lazy=(), locks=locks), t, "flush", (state.lazy,))


def flush(setting: Setting, state: State, t: int) -> State:
    """``flush_tlb_kernel_range``."""
    return go(state, t, "give", state.tasks[t].local)


def give_back(setting: Setting, state: State, t: int) -> State:
    """``purge_vmap_node``: areas go into the pool, or their pages become free.

    Pages of an area that belongs to a chunk come back with the chunk. The repairs that release or
    rewind at a purge do it here, one after the other, as the allocator model does.
    """
    rules, purged = setting.variant.rules, state.tasks[t].local[0]
    for area in purged:
        if area.chunk == HOMELESS:
            state = state._replace(free=state.free | mask_of(area.start, area.pages))
        elif area.chunk == ORDINARY or rules.pooled:
            state = state._replace(pool=(*state.pool, area._replace(chunk=ORDINARY)))
        if setting.variant.counted and area.chunk >= 0:
            count = state.chunks[area.chunk].alloced - area.pages
            state = with_chunk(state, area.chunk, alloced=count)
            if count == 0:
                state = released(state, area.chunk)
    for k, chunk in enumerate(state.chunks):
        if chunk.alloced == 0 and chunk.owner >= 0:
            mine = state.current[chunk.owner] == k
            of_this = any(area.chunk == k for area in purged)
            if rules.release == "purged" and of_this and not mine and chunk.fate != RELEASED:
                state = released(state, k)
            if rules.rewind and mine and chunk.fate == CURRENT:
                state = with_chunk(state, k, bump=chunk.base)
    state = state._replace(locks=replaced(state.locks, len(state.locks) - 1, -1))
    return answer(setting, state, t, None)


def _without(state: State, t: int) -> State:
    """Take the oldest area away from its task."""
    task = state.tasks[t]
    return state._replace(tasks=replaced(state.tasks, t, task._replace(held=task.held[1:])))
