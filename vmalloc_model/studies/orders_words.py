"""Chapter *Concurrent orders*: the sentences of its figures and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from vmalloc_model.interleavings.invariants import INVARIANTS
from vmalloc_model.interleavings.programs import programs_of
from vmalloc_model.interleavings.setting import COUNTED, KERNELS, REQUESTS, Program
from vmalloc_model.interleavings.trace import chunk_name, told
from vmalloc_model.studies.orders import SIGNS, Case, Example
from vmalloc_model.units import count_text

__all__ = [
    "invariants_table",
    "kernels_table",
    "orders_summary",
    "programs_table",
    "say_counted",
    "say_example",
    "say_orders",
    "say_policy",
    "say_replays",
    "say_search",
    "say_skipped",
]

_WHERE: Final = {
    "serial": "with no concurrency at all",
    "coop": "with CPUs in parallel",
    "preempt": "with preemption",
    "migrate": "with preemption and migration",
    "rt": "only on PREEMPT_RT",
}


def kernels_table() -> pl.DataFrame:
    """List what the scheduler may do (``tab-orders-kernels``)."""
    rows = [(one.name[0].upper(), one.name, one.title) for one in KERNELS.values()]
    return pl.DataFrame(rows, schema=["letter", "kernel", "title"], orient="row")


def invariants_table(weakest: pl.DataFrame) -> pl.DataFrame:
    """List what must hold, and who violates it (``tab-orders-invariants``)."""
    rows = []
    for key, invariant in INVARIANTS.items():
        broken = weakest.filter(pl.col("invariant") == key, pl.col("moves").is_not_null())
        who = [f"{row['policy']} ({_cell(row)})" for row in broken.iter_rows(named=True)]
        rows.append((key, invariant.title, ", ".join(who) or "nobody"))
    return pl.DataFrame(rows, schema=["invariant", "title", "violated"], orient="row")


def _cell(row: dict[str, object]) -> str:
    """Print a kernel's letter and the number of moves, as the figure does."""
    return f"{str(row['kernel'])[0].upper()}{row['moves']}"


def orders_summary(weakest: pl.DataFrame) -> pl.DataFrame:
    """Put the figure into a table for the plain text: policies are rows."""
    rows = []
    for policy in weakest["policy"].unique(maintain_order=True):
        cells = {"policy": policy}
        for row in weakest.filter(policy=policy).iter_rows(named=True):
            cells[row["invariant"]] = {"holds": "ok", "none of it": None}.get(
                row["kernel"], _cell(row)
            )
        rows.append(cells)
    return pl.DataFrame(rows, schema=dict.fromkeys(["policy", *INVARIANTS], pl.String))


def programs_table(tasks: int, cpus: int) -> pl.DataFrame:
    """List the programs (``tab-orders-programs``)."""
    rows = [
        (one.name, one.title, _before(one, cpus), _tasks(one, cpus)) for one in programs_of(tasks)
    ]
    return pl.DataFrame(rows, schema=["program", "title", "before", "tasks"], orient="row")


def _before(program: Program, cpus: int) -> str:
    parts = []
    for operation, cpu, who in program.before:
        whose = f" for T{who + 1}" if who >= 0 and operation in REQUESTS else ""
        parts.append(f"{operation}{whose} (CPU {cpu % cpus})")
    return ", ".join(parts) or "nothing"


def _tasks(program: Program, cpus: int) -> str:
    return "; ".join(
        f"T{t} on CPU {cpu % cpus}: {', '.join(operations)}"
        for t, (cpu, operations) in enumerate(program.tasks, start=1)
    )


def say_search(cases: Sequence[Case]) -> str:
    """Word how much was searched, and whether all of it."""
    searches = {one.setting: one for case in cases for one in case.searches}.values()
    states = sum(one.states for one in searches)
    open_ = sum(not one.exhausted for one in searches)
    text = (
        f"{count_text(len(searches))} searches reached {count_text(states)} states by "
        f"{count_text(sum(one.transitions for one in searches))} moves; no state is further than "
        f"{max(one.depth for one in searches)} moves from the start. "
    )
    if open_:
        text += (
            f"{count_text(open_)} of them stopped at the bound: there, *holds* means that none of "
            "the states that were reached violates it. "
        )
    else:
        text += (
            "None stopped at the bound: what holds, holds in all orders of these programs. Behind "
            "a violation that may damage memory an order is not followed. "
        )
    stuck = sum(one.stuck for one in searches)
    return text + (
        "No order ends in a deadlock."
        if not stuck
        else f"{count_text(stuck)} states are deadlocks."
    )


def say_orders(weakest: pl.DataFrame) -> str:
    """Word the caption of ``fig-orders``: who violates what, and what that takes."""
    policies = weakest["policy"].unique(maintain_order=True).to_list()
    told = " ".join(say_policy(weakest, policy) for policy in policies)
    return f"What it takes to violate each invariant. {told}"


def say_policy(weakest: pl.DataFrame, policy: str) -> str:
    """Word what one policy violates, and what that takes."""
    mine = weakest.filter(policy=policy)
    if not mine.height:
        return f"{policy} was not searched."
    broken = mine.filter(pl.col("moves").is_not_null())
    if not broken.height:
        return f"{policy}: everything holds."
    parts = []
    for kernel, words in _WHERE.items():
        keys = broken.filter(kernel=kernel)["invariant"].to_list()
        if keys:
            quoted = ", ".join(f'"{key}"' for key in keys)
            parts.append(f"{quoted} {words}")
    return f"{policy} violates {'; '.join(parts)}."


def say_counted(cases: Sequence[Case]) -> str:
    """Word the verdict on the repair that is not a policy of the allocator model."""
    mine = [case for case in cases if case.variant == COUNTED]
    broken = [key for key in INVARIANTS if any(case.shortest(key) for case in mine)]
    states = count_text(sum(case.states for case in mine if case.kernel.name != "rt"))
    if broken:
        return f"It violates {', '.join(broken)}."
    return f"In none of its {states} states an invariant is violated."


def say_skipped(cases: Sequence[Case]) -> str:
    """Word whether any free finds its chunk's owner unset."""
    mine = [case for case in cases if INVARIANTS["skipped"].concerns(case.variant)]
    ways = [way for case in mine if (way := case.shortest("skipped"))]
    if ways:
        return f"An order of {min(len(moves) for _, moves in ways)} moves gets there."
    searches = {one.setting: one for case in mine for one in case.searches}.values()
    return (
        f"In none of {count_text(sum(one.states for one in searches))} states a free gets there: "
        "a chunk has no areas before it is some CPU's current one, and its owner is set before."
    )


def say_example(one: Example | None, invariant: str) -> str:
    """Word the caption of a step table: which rule breaks, for whom, how soon, and at which end."""
    title = INVARIANTS[invariant].title
    if one is None:
        return f"The rule: {title}. No order of these programs violates it."
    steps = list(told(one.setting, one.moves))
    tasks = len({step.task for step in steps if step.task >= 0})
    needs = "one task is enough" if tasks == 1 else f"{tasks} tasks"
    kernel = one.setting.kernel
    return (
        f"The rule: {title}. A shortest order that breaks it for *{one.setting.variant.name}* on "
        f"the kernel *{kernel.name}* ({kernel.title}): {len(steps)} moves, {needs}, program "
        f"*{one.setting.program.name}*. {_END[invariant](one)}"
    )


def _letters(one: Example, fate: str) -> str:
    chunks = list(told(one.setting, one.moves))[-1].after.chunks
    return ", ".join(chunk_name(k) for k, chunk in enumerate(chunks) if chunk.fate == fate)


_END: Final[dict[str, Callable[[Example], str]]] = {
    "twice": lambda one: "At the end two areas have the same page.",
    "mapped": lambda one: (
        "At the end a page belongs to a new area while the PTEs of the old one are still there: "
        "mapping it would meet an entry that is not empty."
    ),
    "flushed": lambda one: (
        "At the end a page belongs to a new area while a TLB may still map it to the old one."
    ),
    "returned": lambda one: (
        "The last move erases a range that was free already, and whatever is in it by then."
    ),
    "descriptor": lambda one: "The last move reads memory that has been freed.",
    "room": lambda one: (
        f"At the end {_letters(one, 'thrown away')} has room, is no CPU's current chunk, and will "
        "not be used again."
    ),
    "drained": lambda one: (
        f"At the end {_letters(one, 'full')} has no area, is not current, and nothing will look at "
        "it again."
    ),
    "counter": lambda one: "At the end a chunk has a page in use that it does not count.",
    "skipped": lambda one: "The last move leaves the counter as it is.",
    "foreign": lambda one: "The next move changes the chunk of a CPU whose lock is not held.",
}


def say_replays(replays: pl.DataFrame) -> str:
    """Word the caption of ``tab-orders-replayed``."""
    if replays.is_empty():
        return "No invariant is violated without concurrency, so there is nothing to replay."
    same = replays.filter(addresses="the same").height
    shown = replays.filter(pl.col("value") > 0).height
    text = (
        "The allocator model does one operation after the other. Given the "
        f"{count_text(replays.height)} orders that need no more, it hands out the same addresses "
        f"in {count_text(same)}, and shows the violation in {count_text(shown)}"
    )
    missing = [key for key in INVARIANTS if key not in SIGNS]
    return f"{text}. It cannot show {', '.join(missing)}: these need two operations at once."
