"""``churn``: steady random churn, the stream that benchmarks use.

First `live` areas are allocated, then one of all that live, drawn uniformly, is freed and another
allocated, in turn. The CPU of an allocation is drawn uniformly; the free is there or elsewhere. The
stream has exactly the length that is asked for, unless areas are so large that the array of their
pages is an area too: then it ends with the last of the two.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vmalloc_model.events import Stream
from vmalloc_model.workloads.base import DRAWS, Parameter, Setup, Workload, log_uniform
from vmalloc_model.workloads.objects import area_kinds, churn_stream

__all__ = ["LARGEST_PAYLOAD", "ORDER", "WORKLOADS"]

ORDER: Final = 30
LARGEST_PAYLOAD: Final = 1 << 18
"""Pages; 1 GiB of 4 KiB pages."""

_COPRIME: Final = 40503  # odd, near DRAWS / golden ratio: spreads the aligned draws evenly


def _make(setup: Setup) -> Stream:
    payloads = log_uniform(*setup.bounds("min_pages", "max_pages"))
    spread = (np.arange(DRAWS) * _COPRIME) % DRAWS
    aligned = spread < setup.number("aligned") * DRAWS
    orders = np.where(aligned, setup.whole("order"), 0)
    kinds, draws = area_kinds(payloads, orders, setup.page_size)
    return churn_stream("churn", setup, kinds, draws, setup.whole("live"), setup.number("remote"))


WORKLOADS: Final = (
    Workload(
        name="churn",
        title="Random churn: any of the live areas is freed, another is allocated, in turn",
        parameters={
            "live": Parameter(
                default=10_000, meaning="areas, allocated first", least=1, most=1 << 31
            ),
            "min_pages": Parameter(
                default=1, meaning="smallest area in pages, no guard", least=1, most=LARGEST_PAYLOAD
            ),
            "max_pages": Parameter(
                default=256, meaning="largest; log-uniform", least=1, most=LARGEST_PAYLOAD
            ),
            "aligned": Parameter(
                default=0.0, meaning="share of aligned areas, of any size", least=0, most=1
            ),
            "order": Parameter(
                default=2, meaning="their alignment: 2**order pages", least=0, most=30
            ),
            "remote": Parameter(
                default=0.0, meaning="probability of a free on another CPU", least=0, most=1
            ),
        },
        make=_make,
    ),
)
