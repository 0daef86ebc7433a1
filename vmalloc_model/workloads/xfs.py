"""``xfs``: buffers of the XFS log, such as the shadow buffers of its committed items.

First `live` buffers are allocated, then one is freed and one allocated in turn. Which is drawn
uniformly, so the lifetime is exponential with a mean of twice `live` events. A buffer is freed on
the CPU that allocated it. The stream ends with a whole allocation or free (the array of pages of a
buffer of more than 512 pages included).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vmalloc_model.events import Stream
from vmalloc_model.workloads.base import DRAWS, Parameter, Setup, Workload, log_uniform
from vmalloc_model.workloads.objects import area_kinds, churn_stream

__all__ = ["ORDER", "WORKLOADS"]

ORDER: Final = 25


def _make(setup: Setup) -> Stream:
    least, most = setup.bounds("min_pages", "max_pages")
    if setup.text("sizes") == "uniform":
        payloads = least + np.arange(DRAWS) * (most - least + 1) // DRAWS
    else:
        payloads = log_uniform(least, most)
    kinds, draws = area_kinds(payloads, np.zeros_like(payloads), setup.page_size)
    return churn_stream("xfs", setup, kinds, draws, setup.whole("live"))


WORKLOADS: Final = (
    Workload(
        name="xfs",
        title="XFS buffers of 18 to 256 pages, freed on the CPU that allocated them",
        parameters={
            "live": Parameter(default=2000, meaning="buffers", least=1, most=1 << 24),
            "min_pages": Parameter(
                default=18, meaning="smallest buffer in pages, no guard", least=1, most=DRAWS
            ),
            "max_pages": Parameter(default=256, meaning="largest", least=1, most=DRAWS),
            "sizes": Parameter(
                default="log-uniform",
                meaning="each doubling of the size is as frequent, or each size",
                choices=("log-uniform", "uniform"),
            ),
        },
        make=_make,
    ),
)
