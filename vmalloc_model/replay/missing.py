"""Areas that a trace has no event for, from copies of ``/proc/vmallocinfo``.

Two kinds: areas that the per-CPU allocator carves from the top of the range
(``pcpu_get_vm_areas()``), and areas that were made while the events were off, in early boot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.traces.vmallocinfo import read_vmallocinfo

__all__ = ["Missing", "MissingArea", "missing_areas"]

_TOP: Final = "pcpu_get_vm_areas"
_CREATE: Final = "pcpu_create_chunk"

_TOGETHER: Final = 200
"""Lines of a trace within which the allocations for one per-CPU chunk follow each other."""


@dataclass(frozen=True, slots=True)
class MissingArea:
    """An area without an event; `after_line` is 0 where its time is not known."""

    page: int
    pages: int
    caller: str
    after_line: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """Areas without an event: per-CPU ones, highest first, and others."""

    per_cpu: tuple[MissingArea, ...]
    others: tuple[MissingArea, ...]


def missing_areas(
    vmallocinfo: Sequence[str | Path],
    page: npt.NDArray[np.int64],
    line: npt.NDArray[np.int64],
    page_size: int,
) -> Missing:
    """Find the areas that vmallocinfo shows and a trace does not.

    Parameters
    ----------
    vmallocinfo : sequence of path
        Copies from the same run, any number.
    page, line : ndarray of int64
        Of the events of the trace: first page of an allocation (-1 for others), and line.
    page_size : int
        Bytes.

    Notes
    -----
    A per-CPU area is carved when a per-CPU chunk is created, which also allocates tables by
    vmalloc, with events (``pcpu_create_chunk``). It is put behind the last of these. The tables of
    the first chunk, which has no area, come first; so the last groups of tables count.
    """
    known = set(page.tolist())
    shown: dict[int, tuple[int, str]] = {}
    for path in vmallocinfo:
        for row in read_vmallocinfo(path).iter_rows(named=True):
            if row["kind"] != "unpurged":
                entry = (row["size"] // page_size, str(row["caller"] or row["kind"]))
                shown.setdefault(row["start"] // page_size, entry)
    unseen = {start: area for start, area in shown.items() if start not in known}
    top = sorted((start for start in unseen if _TOP in unseen[start][1]), reverse=True)
    tables = [start for start, (_, caller) in shown.items() if _CREATE in caller]
    groups = _groups(line[np.isin(page, tables)])
    times = [0] * max(len(top) - len(groups), 0) + groups[max(len(groups) - len(top), 0) :]
    return Missing(
        tuple(
            MissingArea(start, *unseen[start], after_line=time)
            for start, time in zip(top, times, strict=True)
        ),
        tuple(MissingArea(start, *unseen[start]) for start in sorted(set(unseen) - set(top))),
    )


def _groups(lines: npt.NDArray[Any]) -> list[int]:
    """Last line of each group of lines that follow each other closely."""
    lines = np.sort(lines)
    if not len(lines):
        return []
    last = np.append(np.diff(lines) > _TOGETHER, True)
    return [int(one) for one in lines[last]]
