"""What a recording says about itself: everything but its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

__all__ = ["FORMS", "KINDS", "About"]

KINDS: Final = ("ftrace", "oplog", "vmallocinfo")
"""Kinds of recordings: requests in time with and without lock order, and live areas at one time."""

FORMS: Final = (
    "ftrace text",
    "text of trace-cmd report",
    "text of perf script",
    "text of bpftrace",
    "operation log",
    "copy of /proc/vmallocinfo",
)
"""Where the text of a recording may come from."""


@dataclass(frozen=True, kw_only=True)
class About:
    """A recording without its events.

    Attributes
    ----------
    kind, form : str
        One of `KINDS`, one of `FORMS`.
    source, sha256 : str
        Name of the file without its folder, and the SHA-256 of its bytes, compressed as they came.
    lines : int
        Lines of the text, all kinds.
    events : dict of str to int
        What is used, by name: vmalloc events, operations, or kinds of areas.
    others : dict of str to int
        Events of other subsystems, by name; they are not used.
    kernel : str
        Release of the kernel; ``""`` when the text does not say.
    cpus : int
        As the text says; else the highest CPU seen, plus 1. 0 in a copy of vmallocinfo.
    page_size : int
        Bytes: the largest power of two that divides the size of every successful request.
    window : tuple of (int, int)
        The window that most requests name, as printed; of an operation log, that of its first row.
    phases : tuple of str
        ``""``, then the name of each mark.
    entries_in_buffer, entries_written : int or None
        From the header of ``trace``, the sum if there are several.
    entries_found : int or None
        Entries of all kinds that follow the header, but no more than it says.
    lost : int
        Events known to be missing.
    failed : int
        Attempts of an allocation that found nothing.
    seconds : float
        From the earliest event to the latest.
    backwards : int
        Events that are earlier than the one before.
    outside : int
        Allocations whose area is not in the window that they name.
    unknown_frees : int
        Frees of an address that was not allocated before: the events do not begin with the boot.
    taken_twice : int
        Allocations of an address that was not freed before: frees are missing.
    snapshots : dict of str to str
        Copies of ``/proc/vmallocinfo`` that belong to the run: name of the file, SHA-256.
    """

    kind: str
    form: str
    source: str = ""
    sha256: str = ""
    lines: int
    events: Mapping[str, int]
    others: Mapping[str, int]
    kernel: str = ""
    cpus: int = 0
    page_size: int = 0
    window: tuple[int, int] = (0, 0)
    phases: tuple[str, ...] = ("",)
    entries_in_buffer: int | None = None
    entries_written: int | None = None
    entries_found: int | None = None
    lost: int = 0
    failed: int = 0
    seconds: float = 0.0
    backwards: int = 0
    outside: int = 0
    unknown_frees: int = 0
    taken_twice: int = 0
    snapshots: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """Return the attributes as JSON can hold them."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> About:
        """Make it from what `record` returned.

        Raises
        ------
        ValueError
            If a name is missing or not known, or a value is of another type.
        """
        values = dict(record)
        wanted = {field.name: _TYPES[field.type] for field in fields(cls)}  # type: ignore[index]
        for name in ("window", "phases"):
            if isinstance(values.get(name), list):
                values[name] = tuple(values[name])
        if values.keys() != wanted.keys():
            raise ValueError("names")
        for name, types in wanted.items():
            if not isinstance(values[name], types):
                raise ValueError(name)
        return cls(**values)


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "int | None": (int, type(None)),
    "Mapping[str, int]": (dict,),
    "Mapping[str, str]": (dict,),
    "tuple[int, int]": (tuple,),
    "tuple[str, ...]": (tuple,),
}
