"""``rfc10``: patch 10/12 as posted.

Pools first, then the CPU's chunk, one refill on a miss, then the global allocator. Areas are
ordinary ones: in the busy tree, freed through lazy lists and pools, returned one by one. Nothing
marks them as part of a chunk, so padding and tails never come back.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 10
RULES = Rules(name="rfc10", title="10/12 as posted")
