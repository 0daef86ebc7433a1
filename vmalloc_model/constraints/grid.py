"""All three arguments over many points, in memory that does not grow with their number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vmalloc_model.constraints.amortisation import allocations_per_refill
from vmalloc_model.constraints.cost import reserved_share
from vmalloc_model.errors import InputError
from vmalloc_model.requests import whole_numbers

__all__ = ["GridTile", "evaluate_grid"]


@dataclass(frozen=True, slots=True)
class GridTile:
    """One rectangular part of a grid with axes (CPUs, range, chunk, payload).

    Attributes
    ----------
    where : tuple of four slices
        The part of each axis that the tile covers; ``grid[tile.where]`` addresses it.
    eligible : ndarray of bool
        Whether half a chunk holds the payload with its guard and alignment.
    allocations : ndarray of int64
        Equal requests one refill serves; 0 where not eligible.
    reserved_share : ndarray of float64
        Share of the range held by one chunk on every CPU.
    """

    where: tuple[slice, slice, slice, slice]
    eligible: npt.NDArray[np.bool_]
    allocations: npt.NDArray[np.int64]
    reserved_share: npt.NDArray[np.float64]


def evaluate_grid(
    cpus: npt.ArrayLike,
    range_sizes: npt.ArrayLike,
    chunk_sizes: npt.ArrayLike,
    payloads: npt.ArrayLike,
    page_sizes: npt.ArrayLike = 4096,
    guard_pages: int = 1,
    align: int = 1,
    tile_points: int = 1 << 20,
) -> Iterator[GridTile]:
    """Evaluate eligibility, allocations per refill and reserved share at every point of a grid.

    Parameters
    ----------
    cpus : array_like of int, shape (a,)
        CPUs that hold a chunk.
    range_sizes : array_like of int, shape (b,)
        vmalloc ranges in bytes, one per platform.
    chunk_sizes, payloads : array_like of int, shapes (c,) and (d,)
        Bytes; payloads without guard.
    page_sizes : array_like of int, shape () or (b,)
        Bytes, powers of two; one for all or one per platform.
    guard_pages, align : int
        As in `allocations_per_refill`.
    tile_points : int
        Most points in one tile: 17 bytes each, and a few times that while it is computed.

    Yields
    ------
    GridTile
        Tiles in C order that cover each of the a x b x c x d points exactly once. Every array has
        the full shape of its tile.

    Raises
    ------
    InputError
        If an axis is not one-dimensional, or a number is out of range.

    Examples
    --------
    >>> tile, = evaluate_grid([2, 32], [32 << 40], [64 << 20], [4096, 32 << 20])
    >>> tile.eligible.shape, tile.allocations[0, 0, 0].tolist()
    ((2, 1, 1, 2), [8192, 0])
    """
    axes = [
        whole_numbers(values, f"$.{name}", least)
        for name, values, least in (
            ("cpus", cpus, 0),
            ("range_sizes", range_sizes, 1),
            ("chunk_sizes", chunk_sizes, 1),
            ("payloads", payloads, 1),
        )
    ]
    pages = whole_numbers(page_sizes, "$.page_sizes", 1)
    if any(axis.ndim != 1 for axis in axes) or pages.shape not in ((), axes[1].shape):
        raise InputError(
            "$", "an axis of the grid has the wrong shape", allowed="one dimension each"
        )
    if tile_points < 1:
        raise InputError("$.tile_points", "too small", value=tile_points, allowed="1 or more")
    pages = np.broadcast_to(pages, axes[1].shape)
    return _tiles(axes, pages, guard_pages, align, tile_points)


def _tiles(
    axes: list[npt.NDArray[np.int64]],
    pages: npt.NDArray[np.int64],
    guard_pages: int,
    align: int,
    tile_points: int,
) -> Iterator[GridTile]:
    shape = [axis.size for axis in axes]
    steps, room = [1, 1, 1, 1], tile_points
    for axis in (3, 2, 1, 0):  # whole inner axes first, so that a tile is as compact as it can be
        steps[axis] = max(1, min(shape[axis], room))
        room //= steps[axis]
    starts = [range(0, size, step) for size, step in zip(shape, steps, strict=True)]
    for corner in itertools.product(*starts):
        a, b, c, d = where = tuple(
            slice(start, min(start + step, size))
            for start, step, size in zip(corner, steps, shape, strict=True)
        )
        count, size, chunk, payload = np.ix_(
            *(axis[part] for axis, part in zip(axes, where, strict=True))
        )
        allocations = allocations_per_refill(
            chunk, payload, pages[b].reshape(size.shape), guard_pages, align
        )
        share = reserved_share(chunk, count, size)
        full = np.broadcast_shapes(allocations.shape, share.shape)
        # each tile owns full arrays: a consumer may write to them, and every point is computed
        served = np.array(np.broadcast_to(allocations, full))
        yield GridTile((a, b, c, d), served > 0, served, np.array(np.broadcast_to(share, full)))
