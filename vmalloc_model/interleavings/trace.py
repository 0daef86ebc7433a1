"""An order of steps in words: what each step does, and how things stand after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from vmalloc_model.interleavings.setting import CHUNK_PAGES, Setting
from vmalloc_model.interleavings.state import (
    Area,
    State,
    live_areas,
    pages_of,
    unflushed,
)
from vmalloc_model.interleavings.steps import GRACE, Move, apply, initial

__all__ = ["Told", "chunk_name", "told"]


class Told(NamedTuple):
    """A step in words.

    `task` is -1 where no task does it. `step` is the key of the step, ``migrate`` or ``grace``.
    """

    number: int
    task: int
    cpu: int
    step: str
    text: str
    state: str
    after: State


def told(setting: Setting, moves: Iterable[Move]) -> Iterator[Told]:
    """Replay moves through the step functions and tell each.

    Raises
    ------
    ValueError
        If a move may not happen.
    """
    before = initial(setting)
    for number, move in enumerate(moves, start=1):
        after = apply(setting, before, move)
        t = move.task
        if t == GRACE:
            step, cpu = "grace", -1
            text = f"grace period ends: the descriptor of {chunk_name(move.cpu)} is freed"
        elif move.cpu >= 0:
            step, cpu, text = "migrate", move.cpu, f"is moved to CPU {move.cpu}"
        else:
            step, cpu = before.tasks[t].at, before.tasks[t].cpu
            text = _TEXTS[step](before, after, t)
        yield Told(number, t, cpu, step, text, _standing(after), after)
        before = after


def chunk_name(k: int) -> str:
    """Name a chunk: A, B, C, in the order of reservation."""
    return f"chunk {chr(ord('A') + k)}"


def _standing(state: State) -> str:
    """Tell current chunks, pages in use, and pages that a TLB may still map."""
    parts = []
    for cpu, k in enumerate(state.current):
        if k < 0:
            parts.append(f"CPU {cpu}: no chunk")
        else:
            chunk = state.chunks[k]
            room = chunk.bump < chunk.base + CHUNK_PAGES
            next_ = f"next {chunk.bump}" if room else "full"
            parts.append(f"CPU {cpu}: {chunk_name(k)[6:]}, {next_}")
    live = [page for area in live_areas(state) for page in _pages(area)]
    parts.append("in use " + (", ".join(map(str, sorted(live))) or "none"))
    stale = pages_of(unflushed(state))
    if stale:
        parts.append("in TLBs " + ", ".join(map(str, stale)))
    return "; ".join(parts)


def _pages(area: Area) -> range:
    return range(area.start, area.start + area.pages)


def _span(start: int, pages: int) -> str:
    return f"page {start}" if pages == 1 else f"pages {start}–{start + pages - 1}"


def _got(before: State, after: State, t: int) -> str:
    """Name the pages that the task has now and had not before; "" if there are none."""
    if len(after.tasks[t].held) == len(before.tasks[t].held):
        return ""
    area = after.tasks[t].held[-1]
    return _span(area.start, area.pages)


def _pool(before: State, after: State, t: int) -> str:
    got = _got(before, after, t)
    return f"`node_alloc()`: gets {got} from the pool" if got else "`node_alloc()`: nothing"


def _pick(before: State, after: State, t: int) -> str:
    return f"`this_cpu_ptr(&vmap_bump_lock)`: CPU {before.tasks[t].cpu}'s lock"


def _lock(before: State, after: State, t: int) -> str:
    return f"`spin_lock()` of CPU {after.tasks[t].local[1]}'s lock"


def _read(before: State, after: State, t: int) -> str:
    _, _, cpu, start = after.tasks[t].local
    k = before.current[cpu]
    found = f"{chunk_name(k)}, " if k >= 0 else "no chunk"
    room = "" if k < 0 else f"bump is page {start}" if start >= 0 else "no room"
    return f"`this_cpu_ptr(&vmap_bump)`: CPU {cpu}'s {found}{room}"


def _write(before: State, after: State, t: int) -> str:
    start = before.tasks[t].local[3]
    if start < 0:
        return "`spin_unlock()`: a miss"
    return f"`chunk->bump` = {start + 1}, `spin_unlock()`: gets page {start}"


def _bump(before: State, after: State, t: int) -> str:
    task = after.tasks[t]
    k = before.current[before.tasks[t].cpu]
    if task.at == "count":
        start = task.local[2]
        return f"`preempt_disable()`, `bump` of {chunk_name(k)} = {start + 1}"
    if task == before.tasks[t]:
        return f"reads the descriptor of {chunk_name(k)}, which was freed"
    return "`vmap_bump_alloc()`: a miss"


def _count(before: State, after: State, t: int) -> str:
    _, k, start = before.tasks[t].local
    return f"`alloced` of {chunk_name(k)} = {after.chunks[k].alloced}: gets page {start}"


def _reserve(before: State, after: State, t: int) -> str:
    if len(after.chunks) == len(before.chunks):
        return "`vmap_bump_refill()`: no room for a chunk"
    k = len(before.chunks)
    span = _span(after.chunks[k].base, CHUNK_PAGES)
    return f"`vmap_bump_refill()`: reserves {chunk_name(k)}, {span}"


def _list(before: State, after: State, t: int) -> str:
    return f"`list_add_rcu()` of {chunk_name(before.tasks[t].local[1])}"


def _owner(before: State, after: State, t: int) -> str:
    task = before.tasks[t]
    return f"`preempt_disable()`, `owner_cpu` of {chunk_name(task.local[1])} = {task.cpu}"


def _install(before: State, after: State, t: int) -> str:
    cpu = before.tasks[t].cpu
    old, new = before.current[cpu], after.current[cpu]
    place = f", in place of {chunk_name(old)}" if old >= 0 else ""
    return f"{chunk_name(new)} becomes CPU {cpu}'s{place}"


def _retire(before: State, after: State, t: int) -> str:
    k = before.tasks[t].local[1]
    return f"looks at {chunk_name(k)}, `alloced` is {after.chunks[k].alloced}" + _freed(
        before, after
    )


def _area(before: State, after: State, t: int) -> str:
    return f"`__alloc_vmap_area()`: gets {_got(before, after, t) or 'nothing'}"


def _lookup(before: State, after: State, t: int) -> str:
    task = before.tasks[t]
    k = before.current[task.cpu]
    what = chunk_name(k) if k >= 0 else "no chunk"
    return f"`vmap_chunk_lookup()`: CPU {task.cpu}'s current is {what}"


def _unlink(before: State, after: State, t: int) -> str:
    if after.tasks[t] == before.tasks[t]:
        k = before.tasks[t].local[0]
        return f"reads the descriptor of {chunk_name(k)}, which was freed"
    if not before.tasks[t].held:
        return "nothing to free"
    area, task = before.tasks[t].held[0], after.tasks[t]
    text = f"`find_unlink_vmap_area()` of {_span(area.start, area.pages)}"
    if task.at == "subtract" and task.local[1] >= 0:
        text += f"; the owner's current is {chunk_name(task.local[1])}"
    return text


def _subtract(before: State, after: State, t: int) -> str:
    k = before.tasks[t].local[0].chunk
    return f"`alloced` of {chunk_name(k)} = {after.chunks[k].alloced}"


def _compare(before: State, after: State, t: int) -> str:
    task = before.tasks[t]
    same = "" if after.tasks[t].at == "unmap" else "not "
    return f"{chunk_name(task.local[0].chunk)} is {same}CPU {task.cpu}'s current"


def _release(before: State, after: State, t: int) -> str:
    k = before.tasks[t].local[0].chunk
    return f"`list_del_rcu()` of {chunk_name(k)}" + _freed(before, after)


def _unmap(before: State, after: State, t: int) -> str:
    area = before.tasks[t].local[0]
    return f"clears the PTEs of {_span(area.start, area.pages)}; lazy list"


def _collect(before: State, after: State, t: int) -> str:
    pages = [str(page) for area in before.lazy for page in _pages(area)]
    return f"purge: takes {', '.join(pages) or 'nothing'} from the lazy list"


def _flush(before: State, after: State, t: int) -> str:
    return "`flush_tlb_kernel_range()`"


def _give(before: State, after: State, t: int) -> str:
    pooled = len(after.pool) - len(before.pool)
    where = f"{pooled} into the pool" if pooled else "not into the pool"
    return f"purged areas: {where}" + _freed(before, after)


def _freed(before: State, after: State) -> str:
    """Name the pages that became free."""
    if after.marks:
        return "; its range is returned a second time"
    pages = pages_of(after.free & ~before.free)
    return f"; free: {', '.join(map(str, pages))}" if pages else ""


_TEXTS: Final[dict[str, Callable[[State, State, int], str]]] = {
    "pool": _pool,
    "pick": _pick,
    "lock": _lock,
    "read": _read,
    "write": _write,
    "bump": _bump,
    "count": _count,
    "reserve": _reserve,
    "pick again": _pick,
    "lock again": _lock,
    "install locked": _install,
    "list": _list,
    "owner": _owner,
    "install": _install,
    "install pinned": _install,
    "retire": _retire,
    "area": _area,
    "lookup": _lookup,
    "unlink": _unlink,
    "subtract": _subtract,
    "compare": _compare,
    "release": _release,
    "unmap": _unmap,
    "collect": _collect,
    "flush": _flush,
    "give": _give,
}
