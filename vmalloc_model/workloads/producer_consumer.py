"""``producer_consumer``: areas are allocated on one CPU and freed on another, first in, first out.

Each pair fills its queue, then the oldest area is freed and one is allocated, in turn. The stream
ends when it is long enough and no pair is between these two.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vmalloc_model.events import Stream
from vmalloc_model.workloads.base import Parameter, Setup, Workload, alloc_steps, free_steps
from vmalloc_model.workloads.scripts import FOREVER, WORKERS, Phase, script_stream

__all__ = ["ORDER", "WORKLOADS"]

ORDER: Final = 60


def _make(setup: Setup) -> Stream:
    depth = setup.whole("depth")
    born = alloc_steps(0, setup.whole("pages"), setup.page_size)
    dead = free_steps(0, setup.whole("pages"), setup.page_size)
    program = [
        Phase([born], depth, len(born)),
        Phase([np.concatenate([dead, born])], depth, len(born), back=1, times=FOREVER),
    ]
    pairs = setup.values["pairs"]
    workers = max(setup.cpus // 2, 1) if pairs is None else int(pairs)
    return script_stream("producer_consumer", setup, program, workers=workers, apart=True)


WORKLOADS: Final = (
    Workload(
        name="producer_consumer",
        title="Allocated on one CPU, freed on the next, first in, first out",
        parameters={
            "depth": Parameter(
                default=1000, meaning="areas in the queue of a pair", least=1, most=1 << 24
            ),
            "pages": Parameter(
                default=16, meaning="size in pages, without guard page", least=1, most=1 << 18
            ),
            "pairs": Parameter(
                default=None,
                meaning="pairs of neighbouring CPUs; by default one for two CPUs",
                least=1,
                most=65535,
            ),
            "interleave": WORKERS["interleave"],
        },
        make=_make,
    ),
)
