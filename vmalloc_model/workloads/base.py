"""What a workload is, and the steps that event streams are made of.

A *step* is a record of `EVENT` whose ``slot`` counts from the first slot of the object (worker,
module, area) that takes it, and whose ``cpu`` is filled in when it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model import events as ev
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.units import parse_size

__all__ = [
    "DRAWS",
    "LARGEST_SEED",
    "POINTER",
    "Parameter",
    "Setup",
    "Steps",
    "Value",
    "Words",
    "Workload",
    "alloc_steps",
    "area_chain",
    "binomial_bound",
    "free_steps",
    "in_blocks",
    "log_uniform",
    "step",
]

Value = int | float | str
Steps = npt.NDArray[np.void]
Words = npt.NDArray[np.uint64]

LARGEST_SEED: Final = (1 << 64) - 1
DRAWS: Final = 1 << 16
"""Quantiles that a continuous distribution of sizes is drawn from."""
POINTER: Final = 8
"""Bytes of a pointer on a 64-bit machine."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a workload.

    Attributes
    ----------
    default : int, float, str or None
        Its type is the parameter's type; None: an int that follows from the machine, as `meaning`
        says.
    meaning : str
        What it is, with its unit.
    least, most : int or float
        Range of a number, both included.
    choices : tuple of str
        The values of a text; none: any text.
    size : bool
        Whether it is a size in bytes; then ``"16K"`` is accepted too.
    """

    default: Value | None
    meaning: str
    least: float = 0
    most: float = 0
    choices: tuple[str, ...] = ()
    size: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        if self.choices:
            return ", ".join(self.choices)
        if isinstance(self.default, str):
            return "any text"
        kind = "" if isinstance(self.default, float) else "whole numbers "
        return f"{kind}{self.least:,} to {self.most:,}"

    def check(self, name: str, value: Any) -> Value:
        """Return a value in the parameter's type, or raise an `InputError`."""
        where = f"$.{name}"
        if self.choices:
            if value not in self.choices:
                allowed = ", ".join(nearest(str(value), self.choices))
                raise InputError(where, "unknown value", value=value, allowed=allowed)
            return str(value)
        if isinstance(self.default, str):
            if not isinstance(value, str):
                raise InputError(where, "not a text", value=value)
            return value
        if self.size:
            value = parse_size(value, where)
        kinds = (int, float, np.integer, np.floating)
        whole = not isinstance(self.default, float)
        if isinstance(value, bool) or not isinstance(value, kinds[::2] if whole else kinds):
            problem = "not a whole number" if whole else "not a number"
            raise InputError(where, problem, value=value, allowed=self.allowed)
        if not self.least <= value <= self.most:
            raise InputError(where, "out of range", value=value, allowed=self.allowed)
        return int(value) if whole else float(value)


@dataclass(frozen=True)
class Setup:
    """What a stream is made for: the machine, the length, the seed, and the parameters' values."""

    page_size: int
    cpus: int
    events: int
    seed: int
    values: Mapping[str, Value | None]

    def whole(self, name: str) -> int:
        """Value of a parameter that is a whole number (None: the number of CPUs)."""
        value = self.values[name]
        return self.cpus if value is None else int(value)

    def number(self, name: str) -> float:
        """Value of a parameter that is a number."""
        return float(self.values[name] or 0)

    def text(self, name: str) -> str:
        """Value of a parameter that is a text."""
        return str(self.values[name])

    def bounds(self, low: str, high: str) -> tuple[int, int]:
        """Values of two parameters that bound a range, or an `InputError` if it is empty."""
        least, most = self.whole(low), self.whole(high)
        if least > most:
            raise InputError(f"$.{low}", "above the maximum", value=least, allowed=f"1 to {most:,}")
        return least, most

    def random(self) -> Words:
        """State of a fresh random sequence."""
        return np.random.SeedSequence(self.seed).generate_state(1, np.uint64).astype(np.uint64)

    def part(self, number: int, share: float = 1.0, **values: Value | None) -> Setup:
        """Return the setup of a part of a mix: its `share` of the events, other `values`.

        It is as long as it can get.
        """
        events = binomial_bound(self.events, share)
        seed = int(np.random.SeedSequence((self.seed, number)).generate_state(1, np.uint64)[0])
        return replace(self, events=events, seed=seed, values=values)

    def stream(
        self,
        name: str,
        slots: int,
        start: Callable[[], Callable[[Words], int]],
        events: int | None = None,
        windows: tuple[tuple[int, int], ...] | None = None,
    ) -> ev.Stream:
        """Make the stream; `start` as for `in_blocks`."""
        if slots > 1 << 32:
            raise InputError(
                "$.workload",
                f"{name} needs too many areas with these parameters",
                value=slots,
                allowed=f"up to {1 << 32:,}",
            )
        made_with = {"events": self.events, "seed": self.seed, **self.values}
        return ev.Stream(
            name=name,
            page_size=self.page_size,
            cpus=self.cpus,
            slots=slots,
            blocks=in_blocks(start),
            events=events,
            windows=windows,
            parameters=made_with,
        )


@dataclass(frozen=True)
class Workload:
    """A named, parameterised workload.

    Attributes
    ----------
    name : str
        Its name in `vmalloc_model.workloads.WORKLOADS`.
    title : str
        One line.
    parameters : dict
        By name.
    make : callable
        Makes the stream of a checked `Setup`.
    """

    name: str
    title: str
    parameters: Mapping[str, Parameter]
    make: Callable[[Setup], ev.Stream]


def binomial_bound(trials: int, chance: float) -> int:
    """Successes of `trials` that are never exceeded: 12 standard deviations above the mean."""
    mean = trials * chance
    return min(trials, math.ceil(mean + 12 * math.sqrt(mean) + 12))


def in_blocks(
    start: Callable[[], Callable[[Words], int]],
) -> Callable[[], Iterator[npt.NDArray[np.void]]]:
    """Turn a function that fills arrays into a stream's ``blocks``.

    Parameters
    ----------
    start : callable
        Returns, in its initial state, a function that fills rows of two words (a record of `EVENT`
        each) from the beginning and returns how many; fewer than there are rows end the stream.
    """

    def blocks() -> Iterator[npt.NDArray[np.void]]:
        fill = start()
        while True:
            block = np.empty(ev.BLOCK_EVENTS, ev.EVENT)
            count = fill(block.view(np.uint64).reshape(-1, 2))
            if count:
                yield block[:count]
            if count < len(block):
                return

    return blocks


def step(
    op: int, slot: int = 0, pages: int = 0, *, order: int = 0, window: int = 0, flags: int = 0
) -> Steps:
    """One step."""
    return np.array([(op, flags, window, order, 0, slot, pages)], ev.EVENT)


def area_chain(payload: int, page_size: int, pointer_size: int = POINTER) -> list[int]:
    """Pages, guard page included, of the areas that one ``vmalloc`` takes.

    The first is the area itself. The kernel keeps an array of pointers to its pages; one of more
    than a page is allocated by ``vmalloc`` in turn, after the area, and freed after it.

    Parameters
    ----------
    payload : int
        Pages of the area without guard page.
    page_size, pointer_size : int
        Bytes.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c ``__vmalloc_area_node``, ``vfree``.
    """
    chain = [payload + 1]
    while (array := payload * pointer_size) > page_size:
        payload = -(-array // page_size)
        chain.append(payload + 1)
    return chain


def alloc_steps(
    slot: int,
    payload: int,
    page_size: int,
    *,
    order: int = 0,
    window: int = 0,
    flags: int = ev.GUARD,
    pointer_size: int = POINTER,
) -> Steps:
    """Take the steps of one ``vmalloc``: the area at `slot`, arrays of pages at the slots after it.

    The arrays are ordinary areas in the standard window (`area_chain`).
    """
    first, *arrays = area_chain(payload, page_size, pointer_size)
    parts = [step(ev.ALLOC, slot, first, order=order, window=window, flags=flags)]
    for place, pages in enumerate(arrays, slot + 1):
        parts.append(step(ev.ALLOC, place, pages, flags=ev.GUARD | flags & ev.NODE))
    return np.concatenate(parts)


def free_steps(slot: int, payload: int, page_size: int, pointer_size: int = POINTER) -> Steps:
    """Take the steps of the ``vfree`` for `alloc_steps`: the same areas in the same order."""
    count = len(area_chain(payload, page_size, pointer_size))
    return np.concatenate([step(ev.FREE, slot + place) for place in range(count)])


def log_uniform(least: int, most: int) -> npt.NDArray[np.int64]:
    """Return `DRAWS` whole numbers from `least` to `most`, ascending: each doubling as frequent.

    Number ``n`` has a share of ``log((n + 1) / n) / log((most + 1) / least)``, within one draw.
    """
    middles = (np.arange(DRAWS) + 0.5) / DRAWS
    drawn = np.floor(least * ((most + 1) / least) ** middles).astype(np.int64)
    return np.clip(drawn, least, most)
