"""``rfc12``: the state after patch 12/12.

As after 11/12, but an ineligible request no longer starts a refill, and a drained chunk is
compared with the current chunk of the CPU that installed it.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 12
RULES = Rules(
    name="rfc12",
    title="after 12/12",
    first="chunk",
    eligible="rfc12",
    resident=True,
    release="drained",
)
