"""How requests fill chunks: a stream one by one (`filling`), or in expectation (`stationary`).

Only the first is imported here: filling a recorded stream compiles nothing.
"""

from vmalloc_model.occupancy.filling import Filling, fill

__all__ = ["Filling", "fill"]
