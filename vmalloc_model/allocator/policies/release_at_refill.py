"""``release-at-refill``: 12/12 with one repair.

A chunk whose count is zero when it is replaced is released then.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 30
RULES = Rules(
    name="release-at-refill",
    title="12/12; empty chunks released at refill",
    first="chunk",
    eligible="rfc12",
    resident=True,
    release="drained",
    release_at_refill=True,
)
