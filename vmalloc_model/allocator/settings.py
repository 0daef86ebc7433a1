"""What a machine and a policy say, as the engine's settings."""

from __future__ import annotations

from typing import Final

from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.rules import ELIGIBLE, Rules

__all__ = ["NUMBERS", "settings"]

_RELEASES: Final = ("never", "drained", "purged")

NUMBERS: Final = (
    "lazy_pages",
    "lazy_areas",
    "pooled_areas",
    "live_areas",
    "live_pages",
    "peak_pages",
    "high_water",
    "touched_high",
    "page_tables",
    "low",
    "high",
    "mixed",
)
"""What the engine tells of its state, in the order of ``enum number`` in native/state.h."""


def settings(machine: Machine, rules: Rules, auto_purge: bool) -> list[int]:
    """Return the engine's settings in the order of ``enum setting`` in native/state.h."""
    if rules.overlay and rules.scaled:
        machine = machine.scaled()
    overlay = rules.overlay and machine.chunk_pages > 0
    wide = machine.block_max_pages == 64  # pointers of 8 bytes: as many bits as pages
    return [
        machine.cpus,
        machine.nodes,
        machine.zone_pages,
        machine.lazy_max_pages,
        machine.block_pages,
        machine.block_max_pages,
        machine.chunk_pages if overlay else 0,
        machine.decay == "6.16",
        rules.first == "chunk",
        ELIGIBLE.index(rules.eligible),
        rules.refill_on == "null",
        overlay and rules.resident,
        rules.owner == "freeing",
        _RELEASES.index(rules.release),
        rules.release_at_refill,
        rules.rewind,
        rules.pooled,
        auto_purge,
        machine.page_size // (8 if wide else 4),
        len(machine.windows),
    ]
