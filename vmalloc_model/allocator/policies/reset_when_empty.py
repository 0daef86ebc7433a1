"""``reset-when-empty``: 12/12 with one repair.

After a purge, a current chunk without areas starts again from its base. Its areas do not enter
node pools, or they could be handed out beside the pointer.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 32
RULES = Rules(
    name="reset-when-empty",
    title="12/12; empty current chunks start again after a purge",
    first="chunk",
    eligible="rfc12",
    resident=True,
    release="drained",
    rewind=True,
    pooled=False,
)
