"""What chunks took of the address space in a recorded run: the measured side of argument 3."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.runs import find_run, measured_overlay
from vmalloc_model.traces.oplog import read_oplog

__all__ = ["MeasuredChunks", "measured_chunks"]


class MeasuredChunks(NamedTuple):
    """Chunks that the CPUs of one recorded run reserved, from its first to its last operation.

    Attributes
    ----------
    run : str
        Id or path.
    cpus : int
        CPUs of the machine; argument 3 counts one chunk for each.
    chunk_size : int
        Bytes.
    chunks : int
        Chunks reserved in all.
    reused : int
        Of these, the ones that overlap an earlier one.
    taken : int
        Bytes inside these chunks that are not in the global free space when the log ends: current
        chunks, and in the others live areas, areas that wait for a purge or in a node pool, and
        what is lost.
    """

    run: str
    cpus: int
    chunk_size: int
    chunks: int
    reused: int
    taken: int

    @property
    def reserved(self) -> int:
        """Bytes of all chunks, each counted when it was reserved."""
        return self.chunks * self.chunk_size


def measured_chunks(run: str) -> MeasuredChunks:
    """Count what a recorded kernel with the overlay of 10/12 reserved and still holds.

    Parameters
    ----------
    run : str
        As for `vmalloc_model.runs.measured_overlay`.

    Raises
    ------
    InputError, FileError
        As `vmalloc_model.runs.measured_overlay`.
    """
    overlay, described = measured_overlay(run), find_run(run)
    bases = np.unique(overlay.chunks["base"].to_numpy())
    log = read_oplog(described.path).filter(pl.col("addr").is_not_null())

    def inside(op: str) -> int:
        """Bytes of one kind of operation at addresses of chunks."""
        rows = log.filter(op=op)
        within = _inside(rows["addr"].to_numpy(), bases, overlay.chunk_size)
        return int(rows["size"].to_numpy()[within].sum())

    # what was taken there before a chunk came is in both sums, as a chunk needs free space
    taken = inside("chunk_reserve") + inside("tree_alloc") - inside("tree_free")
    return MeasuredChunks(
        described.id, described.cpus, overlay.chunk_size, overlay.refills, overlay.reused, taken
    )


def _inside(
    addresses: npt.NDArray[np.uint64], bases: npt.NDArray[np.uint64], chunk_size: int
) -> npt.NDArray[np.bool_]:
    """Whether each address is in one of the chunks ``[base, base + chunk_size)``."""
    number = np.searchsorted(bases, addresses, side="right")
    before = bases[np.maximum(number, 1) - 1]
    return np.asarray((number > 0) & (addresses - before < np.uint64(chunk_size)))
