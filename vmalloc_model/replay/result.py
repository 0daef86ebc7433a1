"""What a replay found: how many predictions of each kind were made, and which were wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["MOST_KEPT", "Difference", "Replay", "Tally"]

MOST_KEPT = 20
"""Differences that are kept with their details; all are counted."""


@dataclass(slots=True)
class Tally:
    """Predictions of one kind: how many were made, and how many were right."""

    made: int = 0
    right: int = 0

    def add(self, right: bool) -> bool:
        """Count one; return whether it was right."""
        self.made += 1
        self.right += right
        return right


@dataclass(frozen=True, slots=True)
class Difference:
    """A wrong prediction.

    Attributes
    ----------
    line : int
        1-based line of the recording.
    kind : str
        Kind of prediction.
    expected, recorded : str
        What the model said, and what the recording says.
    cause : str
        The likely cause, as far as it can be told.
    """

    line: int
    kind: str
    expected: str
    recorded: str
    cause: str


@dataclass(slots=True)
class Replay:
    """Result of a replay.

    Attributes
    ----------
    file : Path
        The recording.
    form : str
        ``ftrace`` or ``oplog``.
    policy : str
        The policy that was replayed.
    cpus, nodes : int
        Of the machine.
    events : int
        Events or operations of the recording.
    tallies : dict of Tally
        By kind of prediction; the first kind, ``addresses``, is that of allocations.
    differences : list of Difference
        The first `MOST_KEPT`, in order.
    different : int
        All wrong predictions.
    causes : dict of int
        By likely cause: all wrong predictions.
    wrong_by_thousand : dict of int
        Wrong addresses of allocations 1 to 1,000 (key 0), 1,001 to 2,000 (key 1), and so on.
    exact : int
        Allocation addresses predicted before the first wrong prediction of any kind.
    resynchronised : int
        Times the model took over the recorded state after a wrong address.
    added : list of str
        Areas without an event that were added from vmallocinfo.
    measures : dict
        What the model has at the end, as `Allocator.measures` says it, where it says so.
    """

    file: Path
    form: str
    policy: str
    cpus: int
    nodes: int
    events: int
    tallies: dict[str, Tally] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    different: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    wrong_by_thousand: dict[int, int] = field(default_factory=dict)
    exact: int = 0
    resynchronised: int = 0
    added: list[str] = field(default_factory=list)
    measures: dict[str, int] = field(default_factory=dict)

    def tally(self, kind: str) -> Tally:
        """Tally of a kind of prediction."""
        return self.tallies.setdefault(kind, Tally())

    def note(self, difference: Difference) -> None:
        """Keep a wrong prediction."""
        if not self.different:
            self.exact = self.tally("addresses").right
        self.different += 1
        self.causes[difference.cause] = self.causes.get(difference.cause, 0) + 1
        if difference.kind == "addresses":
            block = (self.tally("addresses").made - 1) // 1000
            self.wrong_by_thousand[block] = self.wrong_by_thousand.get(block, 0) + 1
        if len(self.differences) < MOST_KEPT:
            self.differences.append(difference)

    def finish(self) -> Replay:
        """Close the books; return the result."""
        if not self.different:
            self.exact = self.tally("addresses").right
        return self

    @property
    def right(self) -> bool:
        """Whether every prediction was right."""
        return not self.different
