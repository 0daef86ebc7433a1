"""``rfc10-chunk-first``: 10/12 in the order of 11/12, and nothing else of 11/12.

No patch does this. It tells apart what the order changes and what the release of whole chunks
changes: areas are ordinary ones, returned one by one. A purge puts an area into a node's pool only
if that pool was asked for it, so areas that a chunk served never enter one.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 41
RULES = Rules(name="rfc10-chunk-first", title="10/12; chunk before pools", first="chunk")
