"""How a step leaves its task: at another step, or at the end of the operation with an area."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from vmalloc_model.interleavings.setting import CHUNK_PAGES, REQUESTS, Setting
from vmalloc_model.interleavings.state import Area, State, Task

__all__ = [
    "Request",
    "answer",
    "first_step",
    "go",
    "put",
    "replaced",
    "request",
    "with_chunk",
    "with_task",
]


class Request(NamedTuple):
    """Pages, alignment in pages, and whether the overlay may serve it."""

    pages: int
    align: int
    eligible: bool


@cache
def request(operation: str) -> Request:
    """Return what an operation of `REQUESTS` asks for."""
    pages, align = REQUESTS[operation]
    return Request(pages, align, max(pages, align) <= CHUNK_PAGES // 2)


def replaced(items: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    """Return the tuple with another item in one place."""
    return (*items[:place], item, *items[place + 1 :])


def with_task(state: State, t: int, task: Task) -> State:
    """Return the state with one task changed."""
    tasks = state.tasks
    return State((*tasks[:t], task, *tasks[t + 1 :]), *state[1:])


def with_chunk(state: State, k: int, **changes: Any) -> State:
    """Return the state with fields of one chunk changed."""
    return state._replace(chunks=replaced(state.chunks, k, state.chunks[k]._replace(**changes)))


def put(state: State, mark: str) -> State:
    """Note a violation that only the step can see."""
    return state._replace(marks=(mark,))


def go(state: State, t: int, at: str, local: tuple[Any, ...]) -> State:
    """Let a task go on at another step of its operation."""
    cpu, op, _, _, held = state.tasks[t]
    return with_task(state, t, Task(cpu, op, at, local, held))


def answer(setting: Setting, state: State, t: int, area: Area | None) -> State:
    """End an operation; an area that it was about is the task's from now on."""
    cpu, op, _, _, held = state.tasks[t]
    if area is not None:
        held = (*held, area)
    following = first_step(setting, t, op + 1)
    # where a task ends makes no difference
    return with_task(state, t, Task(cpu if following else 0, op + 1, following, (), held))


def ask_chunk(setting: Setting) -> str:
    """Name the first step of ``vmap_bump_alloc``."""
    return "pick" if setting.variant.locked else "bump"


def first_step(setting: Setting, t: int, op: int) -> str:
    """Name the first step of a task's operation; "" behind the last."""
    operations = setting.program.tasks[t][1]
    if op == len(operations):
        return ""
    operation, rules = operations[op], setting.variant.rules
    if operation == "purge":
        return "collect"
    if operation == "free":
        return "lookup" if rules.overlay and rules.resident else "unlink"
    if not rules.overlay or rules.first == "pools":
        return "pool"
    if request(operation).eligible:
        return ask_chunk(setting)
    return "reserve" if rules.refill_on == "null" else "pool"
