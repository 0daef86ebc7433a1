"""Interleave several streams at random: what runs on a machine at the same time.

Which stream the next event comes from is drawn for each event, with fixed weights. Parts do not
share slots. A stream ends with the event that makes it long enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled
from vmalloc_model.errors import InputError
from vmalloc_model.events import PURGE, SHRINK, Stream
from vmalloc_model.workloads.base import Setup, Value, Words, step
from vmalloc_model.workloads.objects import SLOT_SHIFT
from vmalloc_model.workloads.random import GOLDEN, below, scramble

__all__ = ["Part", "mixed_stream"]

Part = tuple[float, Callable[[Setup], Stream], Mapping[str, Value | None]]
"""Weight of a part, what makes its stream, and the values of its parameters."""

_WEIGHTS: Final = 1 << 16
"""Weights are rounded to so many steps."""
_OPERATION: Final = np.uint64(step(255).view(np.uint64)[0])
_PURGE: Final = np.uint64(step(PURGE).view(np.uint64)[0])
_SHRINK: Final = np.uint64(step(SHRINK).view(np.uint64)[0])


def mixed_stream(name: str, setup: Setup, parts: Sequence[Part]) -> Stream:
    """Make the stream of a mix.

    Raises
    ------
    InputError
        If all weights are 0.
    """
    total = sum(weight for weight, _, _ in parts)
    if total <= 0:
        raise InputError("$.workload", f"all parts of {name} have the weight 0")
    kept = [(number, part) for number, part in enumerate(parts) if part[0] > 0]
    streams = [
        make(setup.part(number, weight / total, **values))
        for number, (weight, make, values) in kept
    ]
    bounds = np.cumsum([0, *(stream.slots for stream in streams)])
    shares = np.cumsum([weight / total for _, (weight, _, _) in kept])
    picks = np.searchsorted(shares, (np.arange(_WEIGHTS) + 0.5) / _WEIGHTS)
    picks = picks.clip(max=len(streams) - 1)  # the last share may be rounded to less than 1
    firsts = bounds[:-1].astype(np.uint64)

    def start() -> Callable[[Words], int]:
        sources = _Sources(streams)
        random = setup.random()
        done = np.zeros(1, np.int64)

        def fill(out: Words) -> int:
            count, last = 0, min(len(out), setup.events - int(done[0]))
            while count < last:
                sources.refill()
                count = _merge(
                    *(out, count, last, picks, firsts, random),
                    *(sources.words, sources.places, sources.ends),
                )
            done[0] += count
            return count

        return fill

    return setup.stream(name, int(bounds[-1]), start, setup.events)


class _Sources:
    """A block of every part, and how far it has been used."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._blocks = [stream.blocks() for stream in streams]
        self.words = np.zeros((len(streams), 0, 2), np.uint64)
        self.places = np.zeros(len(streams), np.int64)
        self.ends = np.zeros(len(streams), np.int64)

    def refill(self) -> None:
        """Get the next block where one has been used up; a part that has ended stays empty."""
        for part in np.flatnonzero(self.places == self.ends):
            block = next(self._blocks[part], None)
            self.places[part] = 0
            self.ends[part] = length = 0 if block is None else len(block)
            if length > self.words.shape[1]:
                more = ((0, 0), (0, length - self.words.shape[1]), (0, 0))
                self.words = np.pad(self.words, more)
            if block is not None:
                self.words[part, :length] = block.view(np.uint64).reshape(-1, 2)


@compiled
def _merge(
    out: Any,
    count: int,
    last: int,
    picks: Any,
    firsts: Any,
    random: Any,
    words: Any,
    places: Any,
    ends: Any,
) -> int:
    """Fill `out` from `count` to `last`, or until a part has been used up; return how far."""
    counter = random[0]
    while count < last:
        part = picks[below(scramble(counter + GOLDEN), len(picks))]
        # A part has more events than will ever be drawn; if it had not, the next one would serve.
        while ends[part] == 0:
            part = part + 1 if part + 1 < len(ends) else 0
        if places[part] == ends[part]:
            break
        counter += GOLDEN
        head, tail = words[part, places[part], 0], words[part, places[part], 1]
        places[part] += 1
        operation = head & _OPERATION
        if operation != _PURGE and operation != _SHRINK:
            tail += firsts[part] << SLOT_SHIFT
        out[count, 0], out[count, 1] = head, tail
        count += 1
    random[0] = counter
    return count
