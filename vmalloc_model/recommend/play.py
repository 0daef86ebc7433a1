"""What designs come to at some chunk sizes, and which one the rule of *Alternatives* takes.

The rule and the numbers are those of the chapter: `vmalloc_model.studies.alternatives` computes
the points, `vmalloc_model.studies.alternatives_choice` chooses. MODEL; on a recorded run MODEL on
MEASURED requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from vmalloc_model.experiments.settled import BOTH, NO_POOLS
from vmalloc_model.recommend.arguments import Configuration, Size, left
from vmalloc_model.run_platforms import check_run
from vmalloc_model.runs import Run
from vmalloc_model.studies.alternatives import BASELINE, points_of
from vmalloc_model.studies.alternatives_choice import Choice, candidates, choose, objections
from vmalloc_model.units import MIB
from vmalloc_model.workloads import find_workload

__all__ = [
    "BARELY",
    "DESIGNS",
    "HORIZON",
    "PATCH",
    "WORKLOADS",
    "Played",
    "events_for",
    "play",
    "sizes_to_play",
]

PATCH: Final = 64 * MIB
"""The patch's chunk size in bytes."""

WORKLOADS: Final = ("random_size", "stacks", "xfs")
BARELY: Final = 10
HORIZON: Final = 1_000_000_000
"""Workloads, margin in visits per 1,000 requests, and horizon in allocations of the chapter."""

DESIGNS: Final = (BASELINE, NO_POOLS, "rfc10", "rfc12", "release-after-purge", BOTH)
"""What is played: the two states of the patch that are shown, and all that the rule can take.

Of the chapter's designs the others may hand out an address before its TLB flush, so the rule never
takes them.
"""

_EVENTS_PER_CPU: Final = 17_500
_EVENTS_CPUS: Final = (4, 64)
_MOST_SIZES: Final = 4


@dataclass(frozen=True, slots=True)
class Played:
    """What was played, and what the rule takes.

    Attributes
    ----------
    points : polars.DataFrame
        Of `vmalloc_model.studies.alternatives.points_of`.
    taken : dict or None
        What the rule takes of the sizes that the arguments left and of no overlay; None if
        mainline serves no stream.
    taken_of_all : dict or None
        What it takes of all that was played, whatever the arguments say: as the chapter does.
    run : Run or None
        The recorded run.
    unplayed : list of int
        Chunk sizes, in bytes, that the arguments left and that were not played.
    events, seed : int
        Of the workloads' streams.
    budget : float
        Share of the range that may be held.
    """

    points: pl.DataFrame
    taken: Choice | None
    taken_of_all: Choice | None
    run: Run | None
    unplayed: list[int]
    events: int
    seed: int
    budget: float

    def rows(self, design: str, asked: int) -> pl.DataFrame:
        """Rows of a design at a chunk size (0 where nobody chooses one), on streams that fit."""
        return self.points.filter("fits", design=design, asked=asked)

    def objections(self, design: str, asked: int) -> list[str]:
        """Say in a word each why the rule leaves a design out; empty if it does not."""
        return list(objections(self.rows(design, asked), self.budget))


def events_for(cpus: int) -> int:
    """Length of a stream in events: as long for each CPU as in the chapter, up to 64 CPUs."""
    low, high = _EVENTS_CPUS
    return _EVENTS_PER_CPU * min(max(cpus, low), high)


def sizes_to_play(asked: Configuration, sizes: Sequence[Size]) -> list[int]:
    """List chunk sizes to play, in bytes: the smallest that are left, and the patch's.

    Where none is left: the nearest ones among `sizes`, the largest within the budget and the
    smallest that meets the two other arguments. A chunk larger than the range is not played.
    """
    listed = {size.chunk_size for size in sizes}
    some = left(sizes)[:_MOST_SIZES] or [
        size for size in (asked.most, asked.least) if size in listed
    ]
    return sorted(size for size in {*some, PATCH} if size <= asked.platform.usable_size)


def play(
    asked: Configuration,
    sizes: Sequence[Size],
    *,
    workloads: Sequence[str] = WORKLOADS,
    run: str | None = None,
    events: int | None = None,
    seed: int = 1,
) -> Played:
    """Play streams through the designs and apply the rule.

    Parameters
    ----------
    asked : Configuration
        The machine; its budget is also that of the rule.
    sizes : sequence of Size
        Of `judge`.
    workloads : sequence of str
        Names.
    run : str, optional
        A recorded run; it has its own number of CPUs.
    events : int, optional
        Length of the workloads' streams; `events_for` if not given.
    seed : int
        Of the workloads' streams.

    Raises
    ------
    InputError, FileError
        If a name is unknown, or the run cannot be used.
    """
    platform = asked.platform
    recorded = check_run(run, platform) if run is not None else None
    events = events_for(asked.cpus) if events is None else events
    length = {"cpus": asked.cpus, "events": events, "seed": seed}
    streams: list[dict[str, Any]] = []
    for name in dict.fromkeys(workloads):
        streams.append({"platform": platform.id, "stream": name, **length})
        if "bits" in find_workload(name).parameters:
            streams[-1]["parameters"] = {"bits": str(8 * platform.pointer_size)}
    if run is not None:
        streams.append({"platform": platform.id, "stream": run, **length})
    played = sizes_to_play(asked, sizes)
    points = points_of(streams, DESIGNS, played, HORIZON, title="recommend")
    inside = points.filter(pl.col("asked").is_in([0, *left(sizes)]))
    return Played(
        points=points,
        taken=choose(candidates(inside, platform.id), asked.budget, BARELY),
        taken_of_all=choose(candidates(points, platform.id), asked.budget, BARELY),
        run=recorded,
        unplayed=[size for size in left(sizes) if size not in played],
        events=events,
        seed=seed,
        budget=asked.budget,
    )
