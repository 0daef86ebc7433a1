"""``pools-only``: the repair that takes the overlay away again. The same rules as ``mainline``."""

from vmalloc_model.allocator.rules import Rules

ORDER = 40
RULES = Rules(name="pools-only", title="no overlay (mainline's pools)", overlay=False)
