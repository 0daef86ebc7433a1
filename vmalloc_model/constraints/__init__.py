"""The three arguments for the chunk size in closed form.

`coverage` is argument 1, `amortisation` argument 2, `cost` argument 3 and the metadata; `feasible`
puts them together and `grid` evaluates all of them over many points in bounded memory. Everything
is elementwise over numpy arrays and broadcasts. MODEL: no kernel runs here, and node pools, which
answer part of the requests before the chunk is asked, are left out.
"""

from vmalloc_model.constraints.amortisation import (
    DoublingGain,
    allocations_per_refill,
    allocations_per_refill_ratio,
    barely_improves,
    doubling_gain,
    global_visits_per_allocation,
)
from vmalloc_model.constraints.cost import (
    backpointer_bytes,
    backpointer_share,
    chunk_slots,
    cpus_at_share,
    page_table_bytes,
    page_table_share,
    reserved,
    reserved_share,
)
from vmalloc_model.constraints.coverage import (
    eligible_share,
    largest_eligible,
    smallest_chunk,
    smallest_power_of_two_chunk,
)
from vmalloc_model.constraints.feasible import (
    FeasibleInterval,
    PowersOfTwo,
    feasible_interval,
    feasible_powers_of_two,
    smallest_amortising_chunk,
)
from vmalloc_model.constraints.grid import GridTile, evaluate_grid

__all__ = [
    "DoublingGain",
    "FeasibleInterval",
    "GridTile",
    "PowersOfTwo",
    "allocations_per_refill",
    "allocations_per_refill_ratio",
    "backpointer_bytes",
    "backpointer_share",
    "barely_improves",
    "chunk_slots",
    "cpus_at_share",
    "doubling_gain",
    "eligible_share",
    "evaluate_grid",
    "feasible_interval",
    "feasible_powers_of_two",
    "global_visits_per_allocation",
    "largest_eligible",
    "page_table_bytes",
    "page_table_share",
    "reserved",
    "reserved_share",
    "smallest_amortising_chunk",
    "smallest_chunk",
    "smallest_power_of_two_chunk",
]
