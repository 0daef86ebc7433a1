"""What can be varied in a sweep: names, defaults, checks, and the grid of all combinations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.metrics.registry import Metric
from vmalloc_model.platforms import find_platform
from vmalloc_model.runs import find_run
from vmalloc_model.sweep import grid
from vmalloc_model.units import KIB, MIB, is_power_of_two
from vmalloc_model.workloads import find_workload

__all__ = [
    "MAX_POINTS",
    "PARAMETERS",
    "SETTINGS",
    "Setting",
    "Settings",
    "check_value",
    "settings_of",
]

Settings = dict[str, Any]
"""One point: the names of `SETTINGS` that apply, and ``parameters`` of its workload."""

MAX_POINTS: Final = 100_000
PARAMETERS: Final = "parameters."
"""Begins the name of an axis that is a parameter of the workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Something that can be varied.

    Attributes
    ----------
    meaning : str
    check : callable
        Returns a value, or raises an `InputError` at the place it is given.
    column : str
        Its column in a table.
    default : object
        None: it has to be given where it is needed, or is left to the model.
    """

    meaning: str
    check: Callable[[Any, str], Any]
    column: str
    default: Any = None


def _whole(least: int, most: int) -> Callable[[Any, str], int]:
    def check(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(where, "out of range", value=value, allowed=f"{least:,}..{most:,}")
        return value

    return check


def _chunk(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 62:
        raise InputError(where, "size out of range", value=value, allowed="8K to below 4E")
    if not is_power_of_two(value) or value < 8 * KIB:
        allowed = "a power of two, 8K (two pages) or more"
        raise InputError(where, "not a chunk size", value=value, allowed=allowed)
    return value


SETTINGS: Final[dict[str, Setting]] = {
    "policy": Setting(
        meaning="a policy of the allocator model",
        check=lambda value, where: find_policy(value, where).name,
        column="policy",
    ),
    "workload": Setting(
        meaning="a synthetic workload",
        check=lambda value, where: find_workload(value, where).name,
        column="workload",
    ),
    "run": Setting(
        meaning="a recorded run, or a trace file, instead of a workload",
        check=lambda value, where: find_run(value, where).key,
        column="run",
    ),
    "platform": Setting(
        meaning="a platform; a recorded run has its own, where that is known",
        check=lambda value, where: find_platform(value, where).id,
        column="platform",
        default="x86_64-4level",
    ),
    "cpus": Setting(
        meaning="possible CPUs, each with a chunk in closed forms; a recorded run has its own",
        check=_whole(1, 1 << 20),
        column="cpus",
        default=8,
    ),
    "chunk": Setting(
        meaning="chunk size; policy scaled-chunk has its own",
        check=_chunk,
        column="chunk_bytes",
        default=64 * MIB,
    ),
    "events": Setting(
        meaning="length of a workload's stream",
        check=_whole(1, 10**9),
        column="events",
        default=10**6,
    ),
    "seed": Setting(
        meaning="of all that is random in a workload",
        check=_whole(0, (1 << 64) - 1),
        column="seed",
        default=1,
    ),
    "nodes": Setting(
        meaning="vmap nodes, 1: no pools; by the kernel's rule if not given",
        check=_whole(1, 128),
        column="nodes",
    ),
    "payload": Setting(
        meaning="each request of a closed form, without guard",
        check=_whole(1, 1 << 62),
        column="payload_bytes",
        default=4 * KIB,
    ),
    "guard_pages": Setting(
        meaning="guard pages behind each request of a closed form (the kernel: 1)",
        check=_whole(0, 1 << 20),
        column="guard_pages",
        default=1,
    ),
}
"""Name -> setting, in the order of the columns. Sizes are in bytes."""

_OF_WORKLOADS: Final = (
    "policy",
    "workload",
    "platform",
    "cpus",
    "chunk",
    "events",
    "seed",
    "nodes",
)
_OF_RUNS: Final = ("policy", "run", "platform", "chunk", "nodes")


def check_value(name: str, value: Any, where: str) -> Any:
    """Check one value of a setting and return it in the model's form.

    Raises
    ------
    InputError
        If there is no such setting, or the value is not one of it.
    """
    if name not in SETTINGS:
        known = ", ".join(nearest(name, SETTINGS))
        raise InputError(where, "nothing that can be varied", value=name, allowed=known)
    return SETTINGS[name].check(value, where)


def settings_of(
    axes: Mapping[str, Sequence[Any]],
    metrics: Sequence[Metric],
    places: Mapping[str, str] | None = None,
) -> list[Settings]:
    """Combine the values of axes to points; what is not given has its default.

    Parameters
    ----------
    axes : mapping of str to sequence
        Values by the names of `SETTINGS`, or of the workload's parameters behind `PARAMETERS`. The
        last axis changes fastest.
    metrics : sequence of Metric
        What is asked of each point.
    places : mapping of str to str, optional
        Place that an error names for an axis.

    Returns
    -------
    list of dict
        Each has only the settings that some metric depends on.

    Raises
    ------
    InputError
        If an axis or a value is unknown, nothing asked depends on an axis, something that is needed
        is missing, or there are too many points.
    """
    places = places or {}

    def place(name: str) -> str:
        return places.get(name, f"$.{name}")

    simulated = [one.name for one in metrics if one.simulated]
    used = _used(axes, metrics, simulated, place)
    checked: dict[str, Sequence[Any]] = {}
    for name, values in axes.items():
        if name.startswith(PARAMETERS) and "workload" in used:
            checked[name] = [_parameter(axes, name, one, place(name)) for one in values]
        elif name in SETTINGS and name not in used:
            raise InputError(
                place(name), "no metric that is asked for depends on it", allowed=", ".join(used)
            )
        else:
            checked[name] = [check_value(name, one, place(name)) for one in values]
        for i, one in enumerate(checked[name]):
            if one in checked[name][:i]:
                raise InputError(place(name), "listed twice", value=one, allowed="each once")
    count = math.prod(len(values) for values in checked.values())
    if not 1 <= count <= MAX_POINTS:
        allowed = f"1..{MAX_POINTS:,} points"
        raise InputError("sweep", "size out of range", value=count, allowed=allowed)
    defaults = {
        name: SETTINGS[name].default
        for name in used
        if name not in axes and SETTINGS[name].default is not None
    }
    for name in checked.get("run", ()):
        if "platform" in axes and (own := find_run(name).platform) is not None:
            problem = f"given, and the run {name} has its own"
            raise InputError(place("platform"), problem, allowed=own)
    return [_settings({**defaults, **point}) for point in grid(**checked)]


def _used(
    axes: Mapping[str, Sequence[Any]],
    metrics: Sequence[Metric],
    simulated: Sequence[str],
    place: Callable[[str], str],
) -> list[str]:
    """Names of `SETTINGS` that the metrics depend on; errors about those that are missing."""
    if not metrics:
        raise InputError("$.metrics", "none is asked for", allowed="at least one")
    if simulated:
        if "run" in axes and "workload" in axes:
            raise InputError(place("run"), "given together with a workload", allowed="one of them")
        stream = "run" if "run" in axes else "workload"
        for name in ("policy", stream):
            if name not in axes:
                allowed = f"one, since {simulated[0]} takes a simulation"
                raise InputError(place(name), "missing", allowed=allowed)
        names: tuple[str, ...] = _OF_RUNS if stream == "run" else _OF_WORKLOADS
    else:
        names = ("policy",)  # which a closed form of chunks may follow, and need not
    wanted = {*names, *(name for one in metrics for name in one.uses)}
    if "run" in wanted:
        wanted.discard("cpus")  # a recorded run has its own
    return [name for name in SETTINGS if name in wanted]


def _parameter(axes: Mapping[str, Sequence[Any]], name: str, value: Any, where: str) -> Any:
    """Check a value of a parameter that all workloads of the sweep must have."""
    key = name.removeprefix(PARAMETERS)
    for one in axes["workload"]:
        workload = find_workload(one)
        if key not in workload.parameters:
            known = ", ".join(nearest(key, workload.parameters)) or "none"
            raise InputError(where, f"no such parameter of {one}", value=key, allowed=known)
        parameter = workload.parameters[key]
        try:
            value = parameter.check(key, value)
        except InputError as error:
            raise InputError(
                where, error.problem, value=value, allowed=error.allowed or parameter.allowed
            ) from None
    return value


def _settings(flat: Mapping[str, Any]) -> Settings:
    """Put the parameters of the workload together."""
    settings = {name: value for name, value in flat.items() if name in SETTINGS}
    parameters = {
        name.removeprefix(PARAMETERS): value
        for name, value in flat.items()
        if name.startswith(PARAMETERS)
    }
    if parameters:
        settings["parameters"] = parameters
    return settings
