"""``scaled-chunk``: 12/12 with a chunk size that follows the machine.

The largest power of two such that all possible CPUs together hold at most a given share of the
standard window, at most 64 MiB; below 4 MiB there is no overlay.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 33
RULES = Rules(
    name="scaled-chunk",
    title="12/12; chunk size by CPUs and range",
    first="chunk",
    eligible="rfc12",
    resident=True,
    release="drained",
    scaled=True,
)
