"""What the compiled generators of several events at once share.

Events of an action are collected in an array ``pending`` and handed out one by one, so that a block
may end anywhere. *Boxes* are what smaller things are put into, first fit by size alone: the packs
of BPF programs, the chunks of per-CPU memory.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled
from vmalloc_model.workloads.objects import CPU_SHIFT, SLOT_SHIFT

__all__ = ["LEFT", "NO_BOX", "TOP", "find_box", "put"]

NO_BOX: Final = -1
"""Free room of a box that does not exist."""

LEFT: Final = 0
"""Index in the state of boxes: below it, all boxes exist and are full."""
TOP: Final = 1
"""Index in the state of boxes: from it on, no box has existed yet."""


@compiled
def put(pending: Any, count: int, head: Any, tail: Any, cpu: int, slot: int) -> Any:
    """Add one event to the `count` that are pending, and return their number."""
    pending[count, 0] = head | (np.uint64(cpu) << CPU_SHIFT)
    pending[count, 1] = tail + (np.uint64(slot) << SLOT_SHIFT)
    return count + 1


@compiled
def find_box(room: Any, state: Any, need: int, least: int) -> Any:
    """Find the first box with `need` free; if there is none, the first that does not exist.

    Boxes with less than `least` free count as full.
    """
    left, top = state[LEFT], state[TOP]
    while left < top and 0 <= room[left] < least:
        left += 1
    state[LEFT] = left
    vacant = top
    for box in range(left, top):
        if room[box] >= need:
            return box
        if vacant == top and room[box] == NO_BOX:
            vacant = box
    state[TOP] = max(top, vacant + 1)
    return vacant
