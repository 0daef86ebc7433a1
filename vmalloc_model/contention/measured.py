"""Published times of vmalloc under contention: ``data/contention.toml``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError

__all__ = ["Contention", "Pairs", "Pools", "Published", "load_contention"]

_FILE: Final = "contention.toml"
_SOURCED: Final[dict[str, type]] = {"source": str, "key": str, "machine": str, "kernel": str}
_SHARED: Final[dict[str, type]] = {"jobs": int, "global": float, "zones": float}
_ROW: Final = ("key", "what", "measured", "can", "cannot")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Time of one allocation and its free, for several jobs at once.

    Attributes
    ----------
    source, key, machine, kernel : str
        URL of the mail, its key in ``book/references.bib``, where it was measured.
    jobs : tuple of int
        Ascending, from 1.
    shared, zones : tuple of float
        Nanoseconds, parallel to `jobs`: with global locks; with a zone for each CPU.
    """

    source: str
    key: str
    machine: str
    kernel: str
    jobs: tuple[int, ...]
    shared: tuple[float, ...]
    zones: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Pools:
    """One load before and after node pools; pairs of numbers are (before, after).

    Attributes
    ----------
    source, key, machine, kernel : str
        As in `Pairs`.
    threads : int
    workloads : tuple of str
        The load's tests, by the names of the model's workloads.
    spinning : tuple of float
        Share of samples that waited for a spin lock.
    wall : tuple of float
        Seconds.
    """

    source: str
    key: str
    machine: str
    kernel: str
    threads: int
    workloads: tuple[str, ...]
    spinning: tuple[float, float]
    wall: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Published:
    """What a published measurement can say, and what not; all text."""

    key: str
    what: str
    measured: str
    can: str
    cannot: str


@dataclass(frozen=True, slots=True)
class Contention:
    """All of the file."""

    pairs: Pairs
    pools: Pools
    published: tuple[Published, ...]


def load_contention() -> Contention:
    """Read and check the file.

    Raises
    ------
    FileError
        If a key is missing, unknown or of the wrong type, columns differ in length, jobs do not
        ascend from 1, or a number is out of range.
    """
    file = read_toml(_FILE)
    _keys("file", file, ("pairs", "pools", "published"))
    pairs, pools = file["pairs"], file["pools"]
    _keys("pairs", pairs, (*_SOURCED, *_SHARED))
    _keys("pools", pools, (*_SOURCED, "threads", "workloads", "spinning", "wall"))
    for name, table in (("pairs", pairs), ("pools", pools)):
        for key, kind in _SOURCED.items():
            _typed(f"{name}.{key}", table[key], kind)
    for key, kind in _SHARED.items():
        _list(f"pairs.{key}", pairs[key], kind, len(pairs["jobs"]))
    jobs = pairs["jobs"]
    if jobs[:1] != [1] or any(late <= early for early, late in pairwise(jobs)):
        raise _bad("pairs.jobs", "not ascending from 1", jobs)
    _typed("pools.threads", pools["threads"], int)
    _list("pools.workloads", pools["workloads"], str, len(pools["workloads"]))
    _list("pools.spinning", pools["spinning"], float, 2)
    _list("pools.wall", pools["wall"], float, 2)
    if not all(0 < share < 1 for share in pools["spinning"]):
        raise _bad("pools.spinning", "not shares", pools["spinning"])
    rows = []
    for k, row in enumerate(file["published"]):
        _keys(f"published[{k}]", row, _ROW)
        for key in _ROW:
            _typed(f"published[{k}].{key}", row[key], str)
        rows.append(Published(**row))
    sourced = {key: pairs[key] for key in _SOURCED}
    return Contention(
        pairs=Pairs(
            **sourced,
            jobs=tuple(jobs),
            shared=tuple(1000 * value for value in pairs["global"]),
            zones=tuple(1000 * value for value in pairs["zones"]),
        ),
        pools=Pools(**dict(_tuples(pools))),
        published=tuple(rows),
    )


def _tuples(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        yield key, tuple(value) if isinstance(value, list) else value


def _bad(where: str, problem: str, value: Any, allowed: str | None = None) -> FileError:
    return FileError(data_path(_FILE), f"{where}: {problem}", value=value, allowed=allowed)


def _keys(where: str, table: Any, known: tuple[str, ...]) -> None:
    if not isinstance(table, dict) or table.keys() != set(known):
        value = [*table] if isinstance(table, dict) else table
        raise _bad(where, "wrong keys", value, ", ".join(known))


def _typed(where: str, value: Any, kind: type) -> None:
    if type(value) is not kind or (isinstance(value, int | float) and value <= 0) or value == "":
        raise _bad(where, "wrong value", value, f"{kind.__name__}, not empty, above 0")


def _list(where: str, values: Any, kind: type, length: int) -> None:
    if not isinstance(values, list) or len(values) != length or not values:
        raise _bad(where, "wrong length", values, f"{length} values")
    for value in values:
        _typed(where, value, kind)
