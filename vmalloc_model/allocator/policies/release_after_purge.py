"""``release-after-purge``: 12/12 with one repair.

The range of a drained chunk returns when its last area has been purged, so after the TLB flush;
its areas therefore do not enter node pools. A chunk that is empty and purged already when it is
replaced is lost as in 12/12: no later purge looks at it.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 31
RULES = Rules(
    name="release-after-purge",
    title="12/12; drained chunks released after the purge",
    first="chunk",
    eligible="rfc12",
    resident=True,
    release="purged",
    pooled=False,
)
