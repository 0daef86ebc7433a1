"""What every policy counts, in the order of the engine's array; all start at 0 and only grow."""

from __future__ import annotations

from typing import Final

__all__ = ["COUNTERS"]

COUNTERS: Final = {
    "requests": "allocations asked for (areas; blocks and large mappings of vm_map_ram included)",
    "failures": "of these, allocations that failed for good",
    "pool_hits": "served by a node pool",
    "pool_rotations": "a pool's head was misaligned and moved to its end; counts as a miss",
    "pool_misses": "a node pool was asked and had nothing",
    "bump_hits": "served by the CPU's chunk",
    "bump_misses": "eligible, but no room in the CPU's chunk or no chunk",
    "ineligible": "the overlay was asked and refused",
    "refills": "chunks installed",
    "refill_failures": "refills that found no room for a chunk",
    "global_hits": "served by the global allocator",
    "global_failures": "searches of the global allocator for an area that found nothing",
    "overflow_purges": "purges with emptied pools because a search had found nothing",
    "frees": "areas given back",
    "remote_frees": "of these, on another CPU than the one that allocated",
    "purges": "purges, the empty ones included",
    "purged_areas": "lazy areas that purges processed",
    "purged_pages": "pages of these",
    "pool_adds": "purged areas that went into a node pool",
    "decayed_areas": "areas that left a node pool by decay",
    "lock_global": "visits to the lock of the global free space",
    "lock_pool": "visits to the locks of node pools",
    "lock_lazy": "visits to the locks of lazy lists",
    "lock_busy": "visits to the locks of busy trees",
    "lock_chunk": "visits to a CPU's own chunk",
    "lock_list": "visits to the lock of the list of chunks",
    "padding_pages": "pages skipped for alignment in chunks",
    "tail_pages": "pages behind the pointer of chunks that were replaced",
    "chunks_released": "chunks whose range went back as a whole",
    "chunks_drained_at_refill": "chunks whose count was zero when they were replaced",
    "rewinds": "current chunks that started again from their base",
    "lookups": "frees that looked for the area's chunk",
    "lookup_steps": "chunks looked at in these",
    "stale_handouts": "areas that a pool handed out after their range had gone back with its chunk",
    "pages_freed_twice": "pages returned to the global free space that were free already",
    "released_while_current": "chunks released while some CPU still allocated from them",
    "lost_frees": "frees of areas whose chunk was already gone; their pages are lost",
    "blocks": "vm_map_ram blocks created",
    "block_hits": "vm_map_ram mappings served from a block",
    "block_purges": "blocks given up by the purge of fragmented blocks",
    "pcpu_areas": "per-CPU areas carved from the top",
}
"""Name -> meaning. ``vmalloc_model/native/state.h`` has the same names in the same order."""
