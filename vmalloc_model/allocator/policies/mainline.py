"""``mainline``: no overlay. The ``vmap_node`` pools of Linux 6.12, the baseline of comparisons."""

from vmalloc_model.allocator.rules import Rules

ORDER = 0
RULES = Rules(name="mainline", title="mainline 6.12: node pools, no overlay", overlay=False)
