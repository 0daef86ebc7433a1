"""Chapter *Occupancy*: the mixes it compares, named ones and those of recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from vmalloc_model.occupancy.mix import Mix, mix_of
from vmalloc_model.occupancy.mixes import find_mix, find_named
from vmalloc_model.studies.streams import guarded, streams

__all__ = ["GROUPS", "Case", "Group", "cases_of", "mixes_table", "recorded_mix", "say_mixes"]

Group = Literal["equal", "drawn", "recorded"]

GROUPS: Final[dict[Group, str]] = {
    "equal": "equal requests",
    "drawn": "several kinds",
    "recorded": "as often as in recorded runs",
}
"""Group of mixes -> title."""


@dataclass(frozen=True, slots=True)
class Case:
    """A mix of the chapter.

    Attributes
    ----------
    name : str
        The mix, or the recorded run and the order in which its kernel asks.
    group : Group
        Key of `GROUPS`.
    mix : Mix
        Its requests, eligible or not.
    """

    name: str
    group: Group
    mix: Mix


def cases_of(mixes: Sequence[str], runs: Sequence[str], platform: str) -> list[Case]:
    """List named mixes for a platform, then the mixes of recorded runs, which keep their own.

    Parameters
    ----------
    mixes : sequence of str
        Names, see `vmalloc_model.occupancy.mixes.MIXES`.
    runs : sequence of str
        Ids or files, as for `vmalloc_model.runs.find_run`. One on several CPUs gives two mixes if
        it tells which requests the node pools answered. Runs without a request are left out.
    platform : str
        Id of ``data/platforms.csv``.
    """
    cases = []
    for name in mixes:
        mix = find_mix(name, platform)
        cases.append(Case(name, "equal" if mix.size.size == 1 else "drawn", mix))
    cases.sort(key=lambda case: list(GROUPS).index(case.group))
    for run, order, requests in streams(runs):
        asked = requests.filter("in_window")
        if order == "after pools":
            asked = asked.filter("reached_overlay")
        if asked.height:
            name = f"{run.id}, {order}"
            cases.append(Case(name, "recorded", recorded_mix(name, asked, run.page_size)))
    return cases


def recorded_mix(name: str, requests: pl.DataFrame, page_size: int) -> Mix:
    """Make the mix in which every kind is as likely as it was frequent.

    Parameters
    ----------
    name : str
        What it is called.
    requests : polars.DataFrame
        As from `vmalloc_model.runs.read_requests`, one row or more.
    page_size : int
        Bytes; the page size of the run.
    """
    kinds = requests.group_by("size", "align", maintain_order=True).agg(
        weight=pl.len(), guard=guarded().mean() * page_size
    )
    rows = kinds.select("weight", "size", "align", "guard").rows()
    return mix_of(name, f"requests of {name}", page_size, rows)


def mixes_table(mixes: Sequence[str]) -> pl.DataFrame:
    """List named mixes (``tab-occupancy-mixes``): ``mix``, ``title``, ``source``."""
    rows = [(one.name, one.title, one.source) for one in map(find_named, mixes)]
    return pl.DataFrame(rows, schema=["mix", "title", "source"], orient="row")


def say_mixes(cases: Sequence[Case], platform: str) -> str:
    """Word the caption of ``tab-occupancy-mixes``."""
    named = [case for case in cases if case.group != "recorded"]
    equal = sum(case.group == "equal" for case in named)
    text = (
        f"The {len(named)} named mixes, made for {platform}; {equal} of them are of equal requests."
    )
    runs = [case for case in cases if case.group == "recorded"]
    if not runs:
        return text
    words = "; ".join(f"*{one.name}* has {one.mix.size.size:,} kinds" for one in runs)
    return f"{text} To these come the mixes of recorded runs, in the standard window: {words}."
