"""``described-released``: the other reading of the message of 10/12.

As ``described``, but a chunk that is empty when it is replaced is released then.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 21
RULES = Rules(
    name="described-released",
    title="as described; empty chunks released at refill",
    eligible="message",
    resident=True,
    release="drained",
    release_at_refill=True,
    pooled=False,
)
