"""Chapter *Concurrent orders*: races counted on a real kernel, beside what the search says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError
from vmalloc_model.studies.orders import Case
from vmalloc_model.units import count_text

__all__ = ["Measured", "load_measured", "measured_table", "say_measured"]

_FILE: Final = "measured-races.toml"
_KINDS: Final = {
    "source": str,
    "policy": str,
    "cpus": int,
    "threads": int,
    "window_us": int,
    "hits": int,
    "foreign": int,
    "refills": int,
    "double_refills": int,
    "lost_megabytes": list,
    "allocations": int,
    "handed_out_twice": int,
    "preempt_rt": str,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Races of 10/12 on a real kernel; see the comments of ``data/measured-races.toml``."""

    source: str
    policy: str
    cpus: int
    threads: int
    window_us: int
    hits: int
    foreign: int
    refills: int
    double_refills: int
    lost_megabytes: list[float]
    allocations: int
    handed_out_twice: int
    preempt_rt: str


def load_measured() -> Measured:
    """Read the experiment.

    Raises
    ------
    FileError
        If the file lacks a key, has an unknown one, or a value of the wrong type.
    """
    entry = read_toml(_FILE)
    if entry.keys() != _KINDS.keys():
        allowed = ", ".join(_KINDS)
        raise FileError(data_path(_FILE), "wrong keys", value=[*entry], allowed=allowed)
    for key, kind in _KINDS.items():
        if type(entry[key]) is not kind:
            problem = f"wrong {key}"
            raise FileError(data_path(_FILE), problem, value=entry[key], allowed=kind.__name__)
    return Measured(**entry)


def measured_table(measured: Measured, cases: Sequence[Case]) -> pl.DataFrame:
    """Put counts of the kernel beside verdicts of the search (``tab-orders-measured``).

    Returns
    -------
    polars.DataFrame
        ``event``, ``measured``, ``search``: without PREEMPT_RT, ``rt``: with it. All text.
    """
    lost = " and ".join(f"{size:g} MB" for size in measured.lost_megabytes)
    rows = [
        (
            "a chunk changed under another CPU's lock",
            f"{measured.foreign} of {count_text(measured.hits)} hits",
            *_verdicts(cases, measured.policy, "foreign"),
        ),
        (
            "a chunk with room thrown away by a second refill",
            f"{measured.double_refills} of {measured.refills} refills; lost: {lost}",
            *_verdicts(cases, measured.policy, "room"),
        ),
        (
            "an address handed out twice",
            f"{measured.handed_out_twice} of {count_text(measured.allocations)} allocations",
            *_verdicts(cases, measured.policy, "twice"),
        ),
    ]
    return pl.DataFrame(rows, schema=["event", "measured", "search", "rt"], orient="row")


def _verdicts(cases: Sequence[Case], policy: str, invariant: str) -> list[str]:
    texts = []
    for kernel in ("migrate", "rt"):
        found = [one for one in cases if (one.variant.name, one.kernel.name) == (policy, kernel)]
        if not found:
            texts.append("not searched")
            continue
        way = found[0].shortest(invariant)
        states = count_text(found[0].states)
        if way is not None:
            texts.append(f"yes, after {len(way[1])} moves")
        else:
            texts.append(f"in none of {states} states")
    return texts


def say_measured(measured: Measured, cases: Sequence[Case]) -> str:
    """Word the caption: what was counted, and whether the search says the same."""
    table = measured_table(measured, cases)
    counts = (measured.foreign, measured.double_refills, measured.handed_out_twice)
    answers = table["search"].to_list()
    text = f"Measured: {measured.source}. "
    if "not searched" in answers:
        return text + f"{measured.policy} was not searched here."
    agree = all(
        (count > 0) == answer.startswith("yes")
        for count, answer in zip(counts, answers, strict=True)
    )
    text += (
        "What the kernel did is what the search without PREEMPT_RT allows, and what the search "
        "excludes was not seen. "
        if agree
        else "Kernel and search do not say the same. "
    )
    return text + (
        "The counts say that these orders happen, not how often: the window was widened. "
        f"PREEMPT_RT was {measured.preempt_rt}."
    )
