"""Chapter *Edges*: refills that fail on a real i386 kernel, and in the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError
from vmalloc_model.studies.edges_small import churn_table
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.units import count_text, cpus_text, parse_size

__all__ = ["Measured", "compared", "load_measured", "measured_table", "say_measured"]

_FILE: Final = "measured-edges.toml"
_KINDS: Final = {
    "source": str,
    "policy": str,
    "platform": str,
    "chunk_size": str,
    "boots": list,
    "test_vmalloc": str,
    "counts": list,
}
_COUNTS: Final = ("cpus", "misses", "failed_refills")


@dataclass(frozen=True, slots=True)
class Measured:
    """Refills on a real kernel with a small range.

    Attributes
    ----------
    source, policy, platform : str
        What ran, and the model's names for it.
    chunk_size : int
        Bytes.
    boots : tuple of int
        Numbers of CPUs with which it boots.
    test_vmalloc : str
        How the kernel's own tests end.
    counts : tuple of (int, int, int)
        CPUs, misses in the CPU's chunk, refills that failed.
    """

    source: str
    policy: str
    platform: str
    chunk_size: int
    boots: tuple[int, ...]
    test_vmalloc: str
    counts: tuple[tuple[int, int, int], ...]


def load_measured() -> Measured:
    """Read the counts from ``data/measured-edges.toml``.

    Raises
    ------
    FileError
        If the file lacks a key, has an unknown one, a value of the wrong type, or more failures
        than misses.
    """
    entry, path = read_toml(_FILE), data_path(_FILE)
    if entry.keys() != _KINDS.keys():
        raise FileError(path, "wrong keys", value=[*entry], allowed=", ".join(_KINDS))
    for key, kind in _KINDS.items():
        if type(entry[key]) is not kind:
            raise FileError(path, f"wrong {key}", value=entry[key], allowed=kind.__name__)
    counts = []
    for row in entry["counts"]:
        if tuple(row) != _COUNTS or any(type(value) is not int for value in row.values()):
            allowed = f"whole numbers {', '.join(_COUNTS)}"
            raise FileError(path, "wrong counts", value=dict(row), allowed=allowed)
        if not 0 <= row["failed_refills"] <= row["misses"]:
            raise FileError(path, "more refills than misses", value=dict(row))
        counts.append((row["cpus"], row["misses"], row["failed_refills"]))
    return Measured(
        **{
            **entry,
            "chunk_size": parse_size(entry["chunk_size"], _FILE),
            "boots": tuple(entry["boots"]),
            "counts": tuple(counts),
        }
    )


def compared(measured: Measured, events: int, seed: int) -> pl.DataFrame:
    """Put the counts beside those of the model on the same range, with churn of few areas.

    Returns
    -------
    polars.DataFrame
        ``cpus``, ``evidence`` (``MEASURED`` or ``MODEL``), ``misses``, ``refills``, ``failed``;
        ``searches_per_1000`` requests, where that is known.
    """
    cpus = [row[0] for row in measured.counts]
    policies = [measured.policy, "mainline"]
    churn = churn_table([measured.platform], cpus, policies, measured.chunk_size, events, seed)
    rows: list[tuple[object, ...]] = []
    for count, misses, failed in measured.counts:
        rows.append((count, "MEASURED", misses, misses - failed, failed, None))
        for policy in policies:
            own = churn.filter(cpus=count, policy=policy, mappings=0).row(0, named=True)
            names = ("misses", "refills", "refill_failures", "searches_per_1000")
            rows.append((count, f"MODEL, {policy}", *(own[name] for name in names)))
    columns = ["cpus", "evidence", "misses", "refills", "failed", "searches_per_1000"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)


def measured_table(table: pl.DataFrame) -> pl.DataFrame:
    """Print the table of `compared`."""
    numbers = [pl.col(name).map_elements(count_text, pl.String) for name in _NUMBERS]
    return table.with_columns(*numbers).with_columns(pl.col(_NUMBERS[-1]).fill_null("not counted"))


_NUMBERS: Final = ("misses", "refills", "failed", "searches_per_1000")


def say_measured(measured: Measured, table: pl.DataFrame) -> str:
    """Word the caption: whether all but the first refills fail, in the kernel and in the model."""
    real = table.filter(pl.col("evidence") == "MEASURED")
    model = table.filter(pl.col("evidence") == f"MODEL, {measured.policy}")
    words = [
        f"{count_text(failed)} of {count_text(misses)} with {cpus_text(cpus)}"
        for cpus, misses, failed in real.select("cpus", "misses", "failed").iter_rows()
    ]
    more = model["refills"].to_list()
    once = "takes the one chunk there is" if set(more) == {1} else "takes chunks more than once"
    searches = max(model["searches_per_1000"].to_list())
    return (
        f"A real {measured.platform} kernel with 10/12's overlay: misses that were refills and "
        f"failed, {listed(words)}. The model {once}, and then every miss is a refill that fails; "
        f"its requests are churn, not the recorded ones, so that the numbers of misses are not "
        f"to be compared. A refill that fails is one search and one visit to the global lock on "
        f"top of the one that then serves the request: up to {count_text(searches)} searches per "
        f"1,000 requests. The kernel boots with {listed([str(n) for n in measured.boots])} CPUs, "
        f"and test_vmalloc {measured.test_vmalloc}."
    )
