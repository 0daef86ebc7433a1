"""Synthetic workloads, by name: deterministic streams of events of any length.

A file of this package that has `WORKLOADS` is all there is to its workloads; ``ORDER`` places them
in lists.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Final

from vmalloc_model.errors import InputError, nearest
from vmalloc_model.events import Stream
from vmalloc_model.units import is_power_of_two
from vmalloc_model.workloads.base import LARGEST_SEED, Parameter, Setup, Workload

__all__ = ["WORKLOADS", "Parameter", "Setup", "Workload", "find_workload", "make"]


def _load() -> dict[str, Workload]:
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    ]
    families = [module for module in modules if hasattr(module, "WORKLOADS")]
    families.sort(key=lambda module: int(module.ORDER))
    return {one.name: one for family in families for one in family.WORKLOADS}


WORKLOADS: Final[dict[str, Workload]] = _load()
"""All workloads: those of the kernel's test module first."""

_PAGE_SIZES: Final = (1 << 12, 1 << 16)
_LIMITS: Final = {
    "cpus": Parameter(default=1, meaning="CPUs of the machine", least=1, most=1 << 20),
    "events": Parameter(default=1, meaning="length of the stream", least=1, most=1 << 48),
    "seed": Parameter(default=0, meaning="of all that is random", least=0, most=LARGEST_SEED),
}


def find_workload(name: str, where: str = "$.workload") -> Workload:
    """Find a workload by its name.

    Raises
    ------
    InputError
        If there is none; all names are listed, the nearest first.
    """
    if name not in WORKLOADS:
        known = ", ".join(nearest(name, WORKLOADS))
        raise InputError(where, "no such workload", value=name, allowed=known)
    return WORKLOADS[name]


def make(
    name: str, *, page_size: int, cpus: int, events: int, seed: int, **parameters: Any
) -> Stream:
    """Make the stream of a workload.

    Parameters
    ----------
    name : str
        One of `WORKLOADS`.
    page_size : int
        Bytes, a power of two from 4 KiB to 64 KiB.
    cpus : int
        CPUs of the machine.
    events : int
        Length: the stream ends at the first natural boundary (of which the workload's module
        tells) when there have been so many; areas may be left allocated.
    seed : int
        The same arguments give the same stream.
    **parameters
        Of the workload; what is left out has its default.

    Raises
    ------
    InputError
        If the workload or a parameter is unknown, or a value is out of range.
    """
    workload = find_workload(name)
    for key in parameters:
        if key not in workload.parameters:
            known = ", ".join(nearest(key, workload.parameters)) or "none"
            raise InputError(f"$.{key}", f"no such parameter of {name}", allowed=known)
    whole = isinstance(page_size, int)
    low, high = _PAGE_SIZES
    if not whole or not low <= page_size <= high or not is_power_of_two(page_size):
        allowed = f"a power of two, {low:,} to {high:,}"
        raise InputError("$.page_size", "not a page size", value=page_size, allowed=allowed)
    machine = {"cpus": cpus, "events": events, "seed": seed}
    checked = {key: int(_LIMITS[key].check(key, value)) for key, value in machine.items()}
    values = {
        key: one.check(key, parameters[key]) if parameters.get(key) is not None else one.default
        for key, one in workload.parameters.items()
    }
    return workload.make(Setup(page_size=page_size, values=values, **checked))
