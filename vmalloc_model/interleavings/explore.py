"""Breadth-first search through all orders of steps; so the first violation is a shortest one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vmalloc_model.interleavings.invariants import INVARIANTS, Tests, concerning
from vmalloc_model.interleavings.setting import Setting
from vmalloc_model.interleavings.state import State
from vmalloc_model.interleavings.steps import GRACE, Move, initial, successors

__all__ = ["MAX_STATES", "Exploration", "explore"]

MAX_STATES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Exploration:
    """What a search found.

    Attributes
    ----------
    setting : Setting
    states, transitions : int
        States that were reached, and moves between them.
    depth : int
        Most moves that a shortest way to a state takes.
    exhausted : bool
        Whether no state is left: what holds, holds in all orders.
    stuck : int
        States in which some task has steps left and no task can do one.
    found : mapping of str to tuple of Move
        Invariant -> a shortest order that violates it.
    """

    setting: Setting
    states: int
    transitions: int
    depth: int
    exhausted: bool
    stuck: int
    found: Mapping[str, tuple[Move, ...]]


Parents = dict[State, tuple[State, Move] | None]


def explore(setting: Setting, bound: int = MAX_STATES) -> Exploration:
    """Search all states up to a number of them."""
    return _explored(setting, bound)[0]


def _explored(setting: Setting, bound: int) -> tuple[Exploration, Parents]:
    """Return with the result how each state was reached first."""
    start = initial(setting)
    parents: Parents = {start: None}
    found: dict[str, tuple[Move, ...]] = {}
    transitions = stuck = depth = 0
    layer, exhausted = [start], True
    tests = concerning(setting.variant)
    while layer:
        following = []
        for state in layer:
            fatal = False
            for key, broken in tests:
                if broken(setting, state):
                    fatal = fatal or INVARIANTS[key].fatal
                    if key not in found:
                        found[key] = _way(parents, state)
                        tests = _to_test(setting, found)
            if fatal:
                continue
            waiting = any(task.at for task in state.tasks)
            for move, after in successors(setting, state):
                transitions += 1
                waiting = waiting and (move.cpu >= 0 or move.task == GRACE)
                if len(parents) >= bound:
                    exhausted = exhausted and after in parents
                    continue
                step = (state, move)
                if parents.setdefault(after, step) is step:
                    following.append(after)
            stuck += waiting
        depth += bool(following)
        layer = following
    result = Exploration(setting, len(parents), transitions, depth, exhausted, stuck, found)
    return result, parents


def _to_test(setting: Setting, found: Mapping[str, object]) -> Tests:
    """Drop tests whose answer is known; those of fatal violations end orders all the same."""
    return tuple(
        (key, broken)
        for key, broken in concerning(setting.variant)
        if INVARIANTS[key].fatal or key not in found
    )


def _way(parents: Parents, state: State) -> tuple[Move, ...]:
    moves = []
    step = parents[state]
    while step is not None:
        moves.append(step[1])
        step = parents[step[0]]
    return tuple(reversed(moves))
