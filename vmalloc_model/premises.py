"""The premises of the three arguments as named presets: as the mail states them, and as checked.

They live in ``data/premises.toml``, each with the place it comes from. A premise that names a
platform takes its value from ``data/platforms.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.units import parse_size

__all__ = ["Premise", "Premises", "load_premises"]

_FILE: Final = "premises.toml"
_IDS: Final = ("as-stated", "as-checked")
_KINDS: Final = {
    "x86_64_range": "size",
    "arm64_52_range": "size",
    "guard_pages": "count",
    "largest_request": "size",
    "modules_in_window": "flag",
    "bpf_jit_largest": "size",
    "small_mean": "size",
    "large_mean": "size",
    "cpus": "positive",
    "page_size": "size",
    "pointer_size": "size",
    "chunk_size": "size",
    "doubled_chunk_size": "size",
}
_FROM_PLATFORM: Final = ("x86_64_range", "arm64_52_range")
_MAY_BE_DERIVED: Final = ("largest_request", "bpf_jit_largest")
_ALLOWED: Final = {
    "size": "a size of 1 or more, such as 64M",
    "count": "a whole number of 0 or more",
    "positive": "a whole number of 1 or more",
    "flag": "true or false",
}


@dataclass(frozen=True, slots=True)
class Premise:
    """One thing an argument takes for granted, and where it says so.

    Attributes
    ----------
    name : str
        Field of `Premises`.
    value : int, bool or None
        Bytes, a count or a flag; None if it is to be derived.
    place, says : str
        Where it stands (part of the mail, kernel file and function, or data file), and a few words
        to find it by.
    platform : str or None
        Id in ``data/platforms.csv`` the value was taken from.
    derived : str or None
        What to compute where there is no fixed value.
    """

    name: str
    value: int | bool | None
    place: str
    says: str
    platform: str | None = None
    derived: str | None = None


@dataclass(frozen=True, slots=True)
class Premises:
    """One preset. Sizes are bytes.

    Attributes
    ----------
    id, title : str
        ``as-stated`` or ``as-checked``; the same in words.
    x86_64_range, arm64_52_range : int
        vmalloc range of x86_64, and of arm64 with 52-bit virtual addresses.
    guard_pages : int
        Pages the allocator adds behind each area.
    largest_request : int or None
        Largest payload that must be eligible; None: derive it from callers and modules.
    modules_in_window : bool
        Whether the module loader allocates from the standard window (x86_64).
    bpf_jit_largest : int or None
        Largest BPF JIT buffer; None: the source sets no limit.
    small_mean, large_mean : int
        The two mean payloads of the refill argument.
    cpus : int
        CPUs of the example machine.
    page_size, pointer_size : int
        Of the example machine.
    chunk_size, doubled_chunk_size : int
        The chunk, and twice as much.
    premises : mapping of str to Premise
        Where each of these comes from, by field.

    Examples
    --------
    >>> load_premises()["as-stated"].premises["cpus"].place
    'mail, argument 3'
    """

    id: str
    title: str
    x86_64_range: int
    arm64_52_range: int
    guard_pages: int
    largest_request: int | None
    modules_in_window: bool
    bpf_jit_largest: int | None
    small_mean: int
    large_mean: int
    cpus: int
    page_size: int
    pointer_size: int
    chunk_size: int
    doubled_chunk_size: int
    premises: Mapping[str, Premise] = field(repr=False)


def load_premises() -> dict[str, Premises]:
    """Read the presets from ``data/premises.toml``.

    Returns
    -------
    dict of str to Premises
        ``as-stated`` and ``as-checked``.

    Raises
    ------
    FileError
        If the file is missing, is not TOML, lacks a preset or a premise, has an unknown key, or a
        value of the wrong type.
    """
    table = read_toml(_FILE)
    _same_keys(table, _IDS, "$")
    return {name: _preset(name, table[name]) for name in _IDS}


def _preset(name: str, table: Any) -> Premises:
    where = f"$.{name}"
    _same_keys(table, ("title", *_KINDS), where)
    title = _text(table["title"], f"{where}.title")
    premises = {key: _premise(key, table[key], f"{where}.{key}") for key in _KINDS}
    values: dict[str, Any] = {key: premise.value for key, premise in premises.items()}
    return Premises(id=name, title=title, premises=MappingProxyType(premises), **values)


def _premise(name: str, table: Any, where: str) -> Premise:
    ways = ["value"]
    ways += ["platform"] if name in _FROM_PLATFORM else []
    ways += ["derived"] if name in _MAY_BE_DERIVED else []
    given = [way for way in ways if isinstance(table, dict) and way in table]
    if len(given) != 1:
        found = ", ".join(given) if isinstance(table, dict) else table
        raise _error(where, "needs exactly one way to its value", found, ", ".join(ways))
    way = given[0]
    _same_keys(table, (way, "place", "says"), where)
    place, says = _text(table["place"], f"{where}.place"), _text(table["says"], f"{where}.says")
    if way == "value":
        return Premise(name, _value(name, table["value"], f"{where}.value"), place, says)
    text = _text(table[way], f"{where}.{way}")
    if way == "derived":
        return Premise(name, None, place, says, derived=text)
    try:
        platform = find_platform(text)
    except FileError:
        raise  # the table of platforms itself is not usable, and says so
    except InputError as error:
        raise _error(f"{where}.platform", error.problem, text, error.allowed or "") from None
    return Premise(name, platform.size, place, says, platform=text)


def _value(name: str, value: Any, where: str) -> int | bool:
    kind = _KINDS[name]
    if kind == "flag" and isinstance(value, bool):
        return value
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and ((kind == "count" and value >= 0) or (kind == "positive" and value >= 1)):
        return int(value)
    if kind == "size":
        try:
            size = parse_size(value)
        except InputError as error:
            raise _error(where, error.problem, value, _ALLOWED[kind]) from None
        if size > 0:
            return size
    raise _error(where, "not usable", value, _ALLOWED[kind])


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _error(where, "not a text", value, "some words")
    return value


def _same_keys(table: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise _error(where, "not a table", table, f"a table with {', '.join(keys)}")
    for key in table:
        if key not in keys:
            raise _error(where, "unknown key", key, ", ".join(keys))
    for key in keys:
        if key not in table:
            raise _error(where, "missing key", key, ", ".join(keys))


def _error(where: str, problem: str, value: Any, allowed: str) -> FileError:
    return FileError(data_path(_FILE), f"{where}: {problem}", value=value, allowed=allowed)
