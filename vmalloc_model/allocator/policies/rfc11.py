"""``rfc11``: the state after patch 11/12.

The chunk is asked before the pools, and any null result starts a refill: a request for another
window, or above half a chunk, throws the current chunk away. Areas belong to chunks, which are
released when their count of pages is zero and they are not the current chunk of the CPU that
frees; a chunk that is empty already when it is replaced is never looked at again.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 11
RULES = Rules(
    name="rfc11",
    title="after 11/12",
    first="chunk",
    refill_on="null",
    resident=True,
    owner="freeing",
    release="drained",
)
