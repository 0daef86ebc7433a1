"""``pinning``: short-lived areas, and a few that live long or for ever.

Both are churned like ``churn``, the short-lived ones with few live, the others with many; or the
others are never freed. Events of both are interleaved at random. The stream has exactly the length
that is asked for. The areas' CPUs are drawn uniformly; each is freed on its own.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vmalloc_model.events import Stream
from vmalloc_model.workloads.base import Parameter, Setup, Workload, log_uniform
from vmalloc_model.workloads.mixing import mixed_stream
from vmalloc_model.workloads.objects import area_kinds, churn_stream

__all__ = ["ORDER", "WORKLOADS"]

ORDER: Final = 70
_NAMES: Final = ("live", "min_pages", "max_pages")


def _areas(setup: Setup) -> Stream:
    payloads = log_uniform(*setup.bounds("min_pages", "max_pages"))
    kinds, draws = area_kinds(payloads, np.zeros_like(payloads), setup.page_size)
    return churn_stream("pinning", setup, kinds, draws, setup.whole("live") or setup.events)


def _make(setup: Setup) -> Stream:
    # Of n allocations, n * share are pinned; a short-lived one makes two events, and so does a
    # pinned one unless it lives for ever.
    share, for_ever = setup.number("pinned"), not setup.whole("pinned_live")
    short, pinned = 2 * (1 - share), (1 if for_ever else 2) * share
    values = {name: setup.values[name] for name in _NAMES}
    kept = {name: setup.values[f"pinned_{name}"] for name in _NAMES}
    for low, high in (("min_pages", "max_pages"), ("pinned_min_pages", "pinned_max_pages")):
        setup.bounds(low, high)
    return mixed_stream("pinning", setup, [(short, _areas, values), (pinned, _areas, kept)])


WORKLOADS: Final = (
    Workload(
        name="pinning",
        title="Short-lived areas, and a share that lives long or for ever",
        parameters={
            "pinned": Parameter(
                default=0.01, meaning="share of the allocations that is pinned", least=0, most=1
            ),
            "pinned_live": Parameter(
                default=0,
                meaning="pinned areas that live, then one in turn is replaced; 0: all for ever",
                least=0,
                most=1 << 31,
            ),
            "pinned_min_pages": Parameter(
                default=1, meaning="smallest pinned area in pages, no guard", least=1, most=1 << 18
            ),
            "pinned_max_pages": Parameter(
                default=4, meaning="largest; log-uniform", least=1, most=1 << 18
            ),
            "live": Parameter(default=100, meaning="short-lived areas", least=1, most=1 << 31),
            "min_pages": Parameter(
                default=1, meaning="smallest of them in pages, no guard", least=1, most=1 << 18
            ),
            "max_pages": Parameter(
                default=256, meaning="largest; log-uniform", least=1, most=1 << 18
            ),
        },
        make=_make,
    ),
)
