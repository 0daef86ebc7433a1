"""``mixed``: what a machine does at once: stacks, BPF, XFS, modules, small and large areas.

Each part is the workload of its name with its defaults, or with the number of live objects that is
given here; small areas are a ``churn`` of 1 to 16 pages, large ones of 512 pages to 32,768. Which
part makes the next event is drawn at random with the weights, which are shares of the events once
they are divided by their sum. The stream has exactly the length that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vmalloc_model.events import Stream
from vmalloc_model.workloads import bpf, churn, modules, stacks, xfs
from vmalloc_model.workloads.base import Parameter, Setup, Value, Workload
from vmalloc_model.workloads.mixing import Part, mixed_stream

__all__ = ["ORDER", "WORKLOADS"]

ORDER: Final = 90
_STACKS, _BPF, _XFS, _MODULES, _CHURN = (
    family.WORKLOADS[0] for family in (stacks, bpf, xfs, modules, churn)
)
_Part = tuple[Workload, float, Mapping[str, Value], str]
_PARTS: Final[dict[str, _Part]] = {
    "stacks": (_STACKS, 0.5, {"live": 500}, "threads"),
    "bpf": (_BPF, 0.2, {"programs": 500}, "programs"),
    "xfs": (_XFS, 0.1, {"live": 500}, "buffers"),
    "modules": (_MODULES, 0.02, {"live": 100}, "modules"),
    "small": (_CHURN, 0.17, {"live": 2000, "min_pages": 1, "max_pages": 16}, "areas"),
    "large": (_CHURN, 0.01, {"live": 16, "min_pages": 512, "max_pages": 32768}, "areas"),
}
"""Workload, default weight, values, and what the first of the values counts."""


def _parameters() -> dict[str, Parameter]:
    parameters = {}
    for name, (family, weight, values, noun) in _PARTS.items():
        count = next(iter(values))
        parameters[name] = Parameter(default=weight, meaning="weight", least=0, most=1)
        parameters[f"{name}_live"] = Parameter(
            default=values[count],
            meaning=f"{noun} of {name} that live",
            least=1,
            most=family.parameters[count].most,
        )
    return parameters


def _make(setup: Setup) -> Stream:
    parts: list[Part] = []
    for name, (family, _, values, _) in _PARTS.items():
        live = {next(iter(values)): setup.values[f"{name}_live"]}
        defaults = {key: one.default for key, one in family.parameters.items()}
        parts.append((setup.number(name), family.make, {**defaults, **values, **live}))
    return mixed_stream("mixed", setup, parts)


WORKLOADS: Final = (
    Workload(
        name="mixed",
        title="Stacks, BPF, XFS, modules, small and large areas at once",
        parameters=_parameters(),
        make=_make,
    ),
)
