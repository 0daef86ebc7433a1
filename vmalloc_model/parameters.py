"""The vocabulary of notebook parameters: every name a notebook may use, its kind and its meaning.

A notebook's ``parameters`` cell assigns literals to some of these names; its next cell calls
`checked`, which parses and checks them. The runner does the same before it starts a kernel. On the
command line every value is text, which `literal` turns into what stands in the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from vmalloc_model.errors import InputError, nearest
from vmalloc_model.platforms import find_platform
from vmalloc_model.runs import find_run, run_id
from vmalloc_model.units import KIB, is_power_of_two, parse_size

__all__ = ["VOCABULARY", "Checked", "Parameter", "checked", "literal"]

MAX_CPUS: Final = 1 << 20
MAX_POINTS: Final = 10_000
MAX_EVENTS: Final = 10**9
MAX_SEED: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the vocabulary.

    Attributes
    ----------
    name, meaning : str
        As in a notebook; one line, with the unit.
    scalar : str
        Kind of one value: ``size``, ``power of two``, ``count``, ``share``, ``number``,
        ``platform``, ``run``, ``policy``, ``workload``, ``mix``, ``length`` or ``seed``.
    many : bool
        Whether the value is a list.
    """

    name: str
    meaning: str
    scalar: str
    many: bool = False

    @property
    def kind(self) -> str:
        """The kind as the command line prints it."""
        plural = _PLURALS.get(self.scalar, f"{self.scalar}s")
        return f"list of {plural}" if self.many else self.scalar


_PLURALS: Final = {
    "power of two": "powers of two",
    "policy": "policies",
    "mix": "mixes",
}


def _vocabulary(*parameters: Parameter) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters}


VOCABULARY: Final = _vocabulary(
    Parameter("page_size", "page size in bytes", "power of two"),
    Parameter("page_sizes", "page sizes in bytes", "power of two", many=True),
    Parameter("guard_pages", "guard pages behind each area (the kernel: 1)", "whole number"),
    Parameter("chunk_size", "chunk size in bytes", "power of two"),
    Parameter("chunk_sizes", "chunk sizes in bytes", "power of two", many=True),
    Parameter("cpus", "CPUs that hold a chunk", "count"),
    Parameter("cpu_counts", "CPU counts of a sweep", "count", many=True),
    Parameter("platform", "a platform id of data/platforms.csv", "platform"),
    Parameter("platforms", "platform ids of data/platforms.csv", "platform", many=True),
    Parameter("run", "a recorded run: id of data/runs/runs.toml, or a trace file", "run"),
    Parameter("runs", "recorded runs: ids of data/runs/runs.toml, or trace files", "run", True),
    Parameter("payload", "size of one request in bytes, without guard", "size"),
    Parameter("payloads", "sizes of requests in bytes, without guard", "size", many=True),
    Parameter("mean_size", "mean request in bytes, without guard", "size"),
    Parameter("mean_sizes", "mean requests in bytes, without guard", "size", many=True),
    Parameter("budget", "share of the vmalloc range that all chunks may take", "share"),
    Parameter("budgets", "shares of the vmalloc range that all chunks may take", "share", True),
    Parameter("min_allocations", "allocations per refill that are enough", "count"),
    Parameter("barely", "visits per 1,000 allocations below which a saving is small", "number"),
    Parameter("horizon", "allocations after which space that is lost for good is judged", "length"),
    Parameter("memory", "memory of a machine in bytes", "size"),
    Parameter("policy", "a policy of the allocator model, such as mainline or rfc12", "policy"),
    Parameter("policies", "policies of the allocator model", "policy", many=True),
    Parameter("workload", "a synthetic workload, such as churn", "workload"),
    Parameter("workloads", "synthetic workloads", "workload", many=True),
    Parameter("mixes", "mixes of requests, such as one_page or xfs", "mix", many=True),
    Parameter("pinned", "shares of the allocations that live long", "share", many=True),
    Parameter("lifetimes", "how many allocations the long-lived ones outlive", "count", many=True),
    Parameter("loops", "iterations of the kernel's long_busy_list test", "count", many=True),
    Parameter("visit_cpus", "machines simulated to count lock visits, by CPUs", "count", many=True),
    Parameter("fit_jobs", "job counts whose published times costs are fitted to", "count", True),
    Parameter("pair_ns", "ns of an allocation and its free on one CPU alone", "number"),
    Parameter("area_ns", "ns with the lock held for each area moved", "number"),
    Parameter("handover_ns", "ns more for a visit while others wait", "number"),
    Parameter("slowdown", "share by which a pair must be slower to count", "share"),
    Parameter("events", "length of a synthetic stream in events", "length"),
    Parameter("tasks", "tasks of a program of concurrent steps: 2 or 3", "count"),
    Parameter("bound", "most states of one search", "length"),
    Parameter("seed", "seed of all that is random in a stream", "seed"),
)
"""Name -> parameter, in the order they are listed."""


class Checked:
    """Checked parameter values as attributes; sizes are int bytes, lists are tuples."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", dict(values))

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"no parameter {name!r} was checked") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("checked parameters do not change")

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._values.items())

    def __repr__(self) -> str:
        return "Checked(" + ", ".join(f"{name}={value!r}" for name, value in self) + ")"


def checked(**values: Any) -> Checked:
    """Parse and check the parameters of a notebook, each alone and against the others.

    Parameters
    ----------
    **values
        Name and value as they stand in the parameters cell.

    Returns
    -------
    Checked
        The same names; sizes in bytes, lists as tuples.

    Raises
    ------
    InputError
        Unknown name, wrong type, value out of range, unknown platform or run, a chunk that is no
        power of two or no multiple of the page size. The place is ``$.name`` or ``$.name[i]``.

    Examples
    --------
    >>> checked(page_size="4K", chunk_sizes=["16M", "64M"])
    Checked(page_size=4096, chunk_sizes=(16777216, 67108864))
    """
    result = {name: _checked_one(find(name), value) for name, value in values.items()}
    pages = [result["page_size"]] if "page_size" in result else list(result.get("page_sizes", ()))
    for name in ("chunk_size", "chunk_sizes"):
        sizes = result.get(name, ())
        for i, size in enumerate(sizes if isinstance(sizes, tuple) else (sizes,)):
            place = f"$.{name}[{i}]" if isinstance(sizes, tuple) else f"$.{name}"
            for page in pages:
                if size % page or size < 2 * page:
                    raise InputError(
                        place,
                        "no multiple of the page size",
                        value=size,
                        allowed=f"a power of two from {2 * page:,} (two pages) up",
                    )
    return Checked(result)


def find(name: str) -> Parameter:
    """Look a parameter up; an unknown name lists the known ones, nearest first."""
    if name not in VOCABULARY:
        raise InputError(
            "parameter", "unknown name", value=name, allowed=", ".join(nearest(name, VOCABULARY))
        )
    return VOCABULARY[name]


def literal(name: str, text: str) -> Any:
    """Turn a value of the command line into the literal of the parameters cell.

    Lists are separated by commas; ``1:8192:*2`` stands for 1, 2, 4, ... up to 8192, and
    ``1:9:+2`` for 1, 3, ... up to 9 (sizes too: ``1M:1G:*2``).

    Raises
    ------
    InputError
        If the name is unknown or the text is no value of its kind.
    """
    parameter = find(name)
    place = f"$.{name}"
    if not parameter.many:
        return _literal_one(parameter.scalar, text.strip(), place)
    items: list[Any] = []
    for part in text.split(","):
        if part.count(":") == 2 and parameter.scalar in ("size", "power of two", "count"):
            items += _expanded(parameter.scalar, part.strip(), place)
        else:
            items.append(_literal_one(parameter.scalar, part.strip(), place))
    return items


def _literal_one(scalar: str, text: str, place: str) -> Any:
    if scalar in ("size", "power of two", "platform", "run", "policy", "workload", "mix"):
        return int(text) if text.isdecimal() else text
    try:
        if scalar == "share" and text.endswith("%"):
            return float(text[:-1]) / 100
        return float(text) if scalar in ("share", "number") else int(text.replace("_", ""))
    except ValueError:
        raise InputError(place, f"not a {scalar}", value=text, allowed=_ALLOWED[scalar]) from None


def _expanded(scalar: str, text: str, place: str) -> list[int]:
    first_text, last_text, step_text = text.split(":")
    read = parse_size if scalar != "count" else _whole
    first, last = read(first_text, place), read(last_text, place)
    by, factor = step_text[:1], step_text[1:]
    step = read(factor, place) if factor else 0
    if by not in ("*", "+") or first < 1 or last < first or step < (2 if by == "*" else 1):
        raise InputError(
            place,
            "not a range",
            value=text,
            allowed="first:last:*N, N above 1, or first:last:+N, and first <= last",
        )
    values = []
    while first <= last:
        values.append(first)
        first = first * step if by == "*" else first + step
        if len(values) > MAX_POINTS:
            raise InputError(place, "range too long", value=text, allowed=f"{MAX_POINTS:,} values")
    return values


def _whole(text: str, place: str) -> int:
    if not text.isdecimal():
        raise InputError(place, "not a whole number", value=text, allowed="digits")
    return int(text)


def _checked_one(parameter: Parameter, value: Any) -> Any:
    place, check = f"$.{parameter.name}", _CHECKS[parameter.scalar]
    if not parameter.many:
        return check(value, place)
    if not isinstance(value, (list, tuple)):
        raise InputError(place, "not a list", value=value, allowed=f"a {parameter.kind}")
    if not value or len(value) > MAX_POINTS:
        raise InputError(
            place, "length out of range", value=len(value), allowed=f"1..{MAX_POINTS:,}"
        )
    items = tuple(check(item, f"{place}[{i}]") for i, item in enumerate(value))
    for i, item in enumerate(items):
        if item in items[:i]:
            raise InputError(f"{place}[{i}]", "listed twice", value=value[i], allowed="each once")
    if parameter.scalar == "run":
        _check_names(items, place)
    return items


def _check_names(runs: Sequence[str], place: str) -> None:
    """Make sure that tables can tell recorded runs apart: they call an own file by its name."""
    names = [run_id(run) for run in runs]
    for i, name in enumerate(names):
        if name in names[:i]:
            other = runs[names.index(name)]
            problem, allowed = f"has the name of {other}", "files with different names"
            raise InputError(f"{place}[{i}]", problem, value=runs[i], allowed=allowed)


def _size(value: Any, place: str) -> int:
    size = parse_size(value, place)
    if not 1 <= size < 1 << 62:
        raise InputError(place, "size out of range", value=value, allowed="1 byte to below 4E")
    return size


def _power_of_two(value: Any, place: str) -> int:
    size = _size(value, place)
    if not is_power_of_two(size) or size < 4 * KIB:
        raise InputError(
            place, "not a power of two", value=value, allowed="a power of two, 4K or more"
        )
    return size


def _whole_number(value: Any, place: str, low: int = 0, high: int = MAX_CPUS) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(place, "not a whole number", value=value, allowed=f"{low}..{high:,}")
    if not low <= value <= high:
        raise InputError(place, "out of range", value=value, allowed=f"{low}..{high:,}")
    return value


def _count(value: Any, place: str) -> int:
    return _whole_number(value, place, low=1)


def _length(value: Any, place: str) -> int:
    return _whole_number(value, place, low=1, high=MAX_EVENTS)


def _seed(value: Any, place: str) -> int:
    return _whole_number(value, place, high=MAX_SEED)


def _number(value: Any, place: str, high: float = 1e12) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(place, "not a number", value=value, allowed=f"above 0, at most {high:g}")
    if not 0 < value <= high:
        raise InputError(place, "out of range", value=value, allowed=f"above 0, at most {high:g}")
    return float(value)


def _share(value: Any, place: str) -> float:
    return _number(value, place, high=1.0)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(place, "not a name", value=value, allowed="text")
    return value


def _platform(value: Any, place: str) -> str:
    return find_platform(_text(value, place), place).id


def _run(value: Any, place: str) -> str:
    name = _text(value, place)
    return name if Path(name).is_file() else find_run(name, place).key


def _policy(value: Any, place: str) -> str:
    # By name, here and below: a chapter without such a parameter does not depend on the model.
    policies = import_module("vmalloc_model.allocator.policies")
    return str(policies.find_policy(_text(value, place), place).name)


def _workload(value: Any, place: str) -> str:
    workloads = import_module("vmalloc_model.workloads")
    return str(workloads.find_workload(_text(value, place), place).name)


def _mix(value: Any, place: str) -> str:
    mixes = import_module("vmalloc_model.occupancy.mixes")
    return str(mixes.find_named(_text(value, place), place).name)


_CHECKS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "size": _size,
    "power of two": _power_of_two,
    "whole number": _whole_number,
    "count": _count,
    "share": _share,
    "number": _number,
    "platform": _platform,
    "run": _run,
    "policy": _policy,
    "workload": _workload,
    "mix": _mix,
    "length": _length,
    "seed": _seed,
}

_ALLOWED: Final = {
    "whole number": "0, 1, 2, ...",
    "count": "1, 2, 3, ...",
    "length": "1, 2, 3, ...",
    "seed": "0, 1, 2, ...",
    "share": "a number above 0 and at most 1, or a percentage such as 1%",
    "number": "a number above 0",
}
