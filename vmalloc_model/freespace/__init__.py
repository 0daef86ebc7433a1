"""Free space: what is free of an address range, and where a request is put.

All free spaces have the methods of `reference.FreeSpace` and count in pages:

``reserve``
    Find room by the rule and take it; None where the rule finds none.
``carve``, ``release``
    Take or give back exactly this range; ValueError where it is not free, or free already.
``release_over``
    Give back a range of which parts may be free; how many pages were.
``gaps``, ``largest``, ``check``
    All gaps, the largest one in a window, and a check of everything that must always hold.

They follow three rules, which are one for requests without an alignment:

==========  =============================================  =====================  ============
rule        the request goes to                            plain                  compiled
==========  =============================================  =====================  ============
lowest      the lowest aligned address with room           ``reference``
padded      the lowest gap with room at any alignment:     ``padded``             ``gaps``
            ``mas_empty_area``
mainline    where ``find_vmap_lowest_match`` ends, which   ``plaintree``          ``rbtree``
            depends on the shape of the red-black tree
==========  =============================================  =====================  ============

The plain ones are slow and short; the compiled ones take the same steps (``tests/freespace``), but
windows must begin at page 1 or above: in them a gap that begins at page 1 is out of the searches.
Areas of per-CPU memory are taken by `topdown.pcpu_areas` from any plain one; the compiled ones have
a method ``top_down`` that does the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from vmalloc_model.errors import InputError, nearest
from vmalloc_model.freespace.plaintree import TreeFreeSpace
from vmalloc_model.freespace.reference import FreeSpace, LinearFreeSpace

if TYPE_CHECKING:
    from vmalloc_model.freespace.fast import bench_replay

__all__ = ["KINDS", "FreeSpace", "bench_replay", "make"]

KINDS: Final = ("reference", "padded", "plaintree", "rbtree", "gaps")
"""Names of all free spaces: the plain ones first."""


def make(kind: str, gaps: Iterable[tuple[int, int]], where: str = "$.free_space") -> FreeSpace:
    """Make a free space.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    gaps : iterable of (int, int)
        Free ranges ``[start, end)`` in pages, disjoint, added in this order.
    where : str
        The place that an error names.

    Raises
    ------
    InputError
        If there is no such kind; all are listed, the nearest first.
    """
    if kind not in KINDS:
        allowed = ", ".join(nearest(kind, KINDS))
        raise InputError(where, "no such free space", value=kind, allowed=allowed)
    if kind == "plaintree":
        return TreeFreeSpace(gaps)
    if kind in ("reference", "padded"):
        return LinearFreeSpace(gaps, "padded" if kind == "padded" else "lowest")
    from vmalloc_model.freespace.fast import FastFreeSpace  # it compiles: not before it is needed

    return FastFreeSpace(kind, gaps)


def __getattr__(name: str) -> Any:
    """Load what is compiled when it is asked for: importing this package compiles nothing."""
    if name == "bench_replay":
        from vmalloc_model.freespace.fast import bench_replay

        return bench_replay
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
