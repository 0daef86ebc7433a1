"""The three vmalloc trace events: how the kernel prints them, and how they are kept in memory.

Source: ``include/trace/events/vmalloc.h`` of Linux 6.12; the formats are unchanged in 6.19.
"""

from __future__ import annotations

from typing import Final

import numpy as np

__all__ = ["ALLOC", "EVENT", "FORMATS", "FREE", "LARGEST", "PURGE", "Field"]

ALLOC: Final = 1
PURGE: Final = 2
FREE: Final = 3

EVENT: Final = np.dtype(
    [
        ("line", "i8"),
        ("time", "i8"),
        ("cpu", "i4"),
        ("phase", "i4"),
        ("kind", "u1"),
        ("failed", "?"),
        ("start", "u8"),
        ("end", "u8"),
        ("size", "u8"),
        ("align", "u8"),
        ("vstart", "u8"),
        ("vend", "u8"),
        ("count", "i8"),
        ("limit", "i8"),
    ]
)
"""One event; columns that its kind does not have are 0.

================  ==========================================================================
``line``          1-based line of the text
``time``          microseconds of the trace clock; nanoseconds are cut off
``cpu``           CPU that printed the event
``phase``         index into `vmalloc_model.traces.ftrace.Trace.phases`
``kind``          `ALLOC`, `PURGE` or `FREE`
``failed``        alloc: nothing was found; the kernel may purge and try again (another event)
``start``         alloc, free: address of the area (of a failed alloc: what the kernel printed);
                  purge: lowest address purged, ``0xffff...`` when nothing was
``end``           purge: end of the highest area purged (exclusive)
``size``          alloc: bytes, guard page included
``align``         alloc: bytes
``vstart, vend``  alloc: the window as printed; x86_64 prints an inclusive end
``count``         purge: areas purged; free: pages that are lazy after this free
``limit``         free: lazy pages at which a purge is started
================  ==========================================================================
"""

Field = tuple[str, str, int]
"""A column of `EVENT`, the text printed before its number, and the number's base."""

FORMATS: Final[dict[int, tuple[str, tuple[Field, ...]]]] = {
    ALLOC: (
        "alloc_vmap_area",
        (
            ("start", "va_start: ", 10),
            ("size", " size=", 10),
            ("align", " align=", 10),
            ("vstart", " vstart=0x", 16),
            ("vend", " vend=0x", 16),
            ("failed", " failed=", 10),
        ),
    ),
    PURGE: (
        "purge_vmap_area_lazy",
        (("start", "start=0x", 16), ("end", " end=0x", 16), ("count", " num_purged=", 10)),
    ),
    FREE: (
        "free_vmap_area_noflush",
        (("start", "va_start=0x", 16), ("count", " nr_lazy=", 10), ("limit", " nr_lazy_max=", 10)),
    ),
}
"""Per kind: the event's name and its fields in the order in which they are printed."""

LARGEST: Final = {"failed": 1, "count": 2**63 - 1, "limit": 2**63 - 1}
"""Largest value of a column that does not take every unsigned 64-bit number."""
