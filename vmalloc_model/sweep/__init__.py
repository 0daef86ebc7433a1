"""Sweeps: one function at many points, on all cores; what is finished stays finished.

`store` keeps the result of each point in a file of its own, named by a digest of all that it
follows from. `executors` is what computes points: threads here, other machines elsewhere. `points`
puts both together.
"""

from vmalloc_model.sweep.executors import Executor, Outcome, threads
from vmalloc_model.sweep.points import Attempt, attempt, grid, sweep
from vmalloc_model.sweep.store import Function, Inputs, Point, Result, Store

__all__ = [
    "Attempt",
    "Executor",
    "Function",
    "Inputs",
    "Outcome",
    "Point",
    "Result",
    "Store",
    "attempt",
    "grid",
    "sweep",
    "threads",
]
