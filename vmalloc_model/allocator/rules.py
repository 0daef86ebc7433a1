"""What one version of the overlay does differently, as a record of choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["ELIGIBLE", "Rules"]

ELIGIBLE: Final = ("code", "rfc12", "message")
"""Who may use the chunk: the diff of 10/12; of 12/12; the message of 10/12. All want the standard
window and a size of 1 page to half a chunk; ``code`` and ``rfc12`` take alignments up to half a
chunk, ``message`` up to one page and no NUMA node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One policy: mainline when `overlay` is false, otherwise a version of the overlay.

    Attributes
    ----------
    name : str
        What the policy is chosen by.
    title : str
        One line for tables.
    overlay : bool
        Whether there are per-CPU chunks; without them nothing below matters.
    first : {"pools", "chunk"}
        Which of the two a request asks first.
    eligible : str
        One of `ELIGIBLE`.
    refill_on : {"miss", "null"}
        Whether only an eligible request that found no room starts a refill, or any null result,
        ineligible requests included.
    resident : bool
        Whether areas of a chunk belong to it: counted in pages, found through the list of chunks,
        not in the busy tree, and their range not returned one by one.
    owner : {"freeing", "installing"}
        Whose current chunk a drained chunk must not be, to be released: that of the CPU that
        frees, or of the CPU that installed it.
    release : {"never", "drained", "purged"}
        When the range of a chunk goes back: never as a whole; when its count reaches zero; when its
        last area has left the lazy lists.
    release_at_refill : bool
        Whether a chunk whose count is zero when it is replaced is released then.
    rewind : bool
        Whether an empty current chunk starts again from its base after a purge.
    pooled : bool
        Whether a purge may put areas of a chunk into node pools.
    scaled : bool
        Whether the chunk size follows from the number of CPUs and the range.
    """

    name: str
    title: str
    overlay: bool = True
    first: Literal["pools", "chunk"] = "pools"
    eligible: str = "code"
    refill_on: Literal["miss", "null"] = "miss"
    resident: bool = False
    owner: Literal["freeing", "installing"] = "installing"
    release: Literal["never", "drained", "purged"] = "never"
    release_at_refill: bool = False
    rewind: bool = False
    pooled: bool = True
    scaled: bool = False
