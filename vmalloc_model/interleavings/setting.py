"""What is explored: a variant of the allocator, on a kernel, running a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.rules import Rules

__all__ = [
    "CHUNK_PAGES",
    "COUNTED",
    "KERNELS",
    "MAX_CPUS",
    "NOBODY",
    "REQUESTS",
    "WINDOW_PAGES",
    "Kernel",
    "Program",
    "Setting",
    "Variant",
    "variant_of",
]

CHUNK_PAGES: Final = 2
WINDOW_PAGES: Final = 8
"""A chunk, and the standard window: four chunks."""

MAX_CPUS: Final = 4

NOBODY: Final = -1
"""In `Program.before`: an area of no task, which stays."""

REQUESTS: Final = {"alloc": (1, 1), "big": (2, 1), "odd": (1, 2)}
"""Operation -> pages and alignment in pages. Only ``alloc`` is eligible: ``big`` is above half a
chunk, ``odd`` is aligned to more than half a chunk."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A version of the allocator.

    Attributes
    ----------
    name, title : str
    rules : Rules
        Those of the allocator model; their names do not matter here.
    counted : bool
        Whether a chunk's counter also holds one for being current, and is lowered by purges, after
        the TLB flush; who brings it to zero releases the chunk.
    """

    name: str
    title: str
    rules: Rules
    counted: bool = False

    @property
    def locked(self) -> bool:
        """Whether a CPU's chunk is under a spinlock (10/12); else under ``preempt_disable()``."""
        return self.rules.overlay and not self.rules.resident


def variant_of(policy: str) -> Variant:
    """Return the variant that follows a policy of the allocator model."""
    rules = find_policy(policy)
    return Variant(rules.name, rules.title, rules)


COUNTED: Final = Variant(
    "counted",
    "12/12; the counter includes being current, and areas until they are purged",
    Rules(
        name="counted",
        title="",
        first="chunk",
        eligible="rfc12",
        resident=True,
        pooled=False,
    ),
    counted=True,
)
"""A repair that the allocator model does not have: one counter decides, and exactly once."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the scheduler may do.

    Attributes
    ----------
    name, title : str
    parallel : bool
        False: one whole operation after the other, as in the allocator model.
    preempt : bool
        Whether a task may be preempted wherever it has not forbidden that; else it gives its CPU
        away only where it may sleep, and between operations.
    migration : bool
        Whether a task may go on on another CPU whenever it has lost its own.
    rt : bool
        PREEMPT_RT: a spinlock is a sleeping lock; its holder may be preempted, but not migrate.
    """

    name: str
    title: str
    parallel: bool = True
    preempt: bool = False
    migration: bool = True
    rt: bool = False


KERNELS: Final = {
    kernel.name: kernel
    for kernel in (
        Kernel("serial", "one whole operation after the other", parallel=False),
        Kernel("coop", "CPUs in parallel, no preemption: a task moves only where it may sleep"),
        Kernel("preempt", "preemption, no migration", preempt=True, migration=False),
        Kernel("migrate", "preemption and migration", preempt=True),
        Kernel(
            "rt", "PREEMPT_RT: preemption and migration, spinlocks sleep", preempt=True, rt=True
        ),
    )
}
"""Kernels by name, the strictest first. ``migrate`` allows all that those before it do, and ``rt``
allows more."""


@dataclass(frozen=True, slots=True)
class Program:
    """A small program.

    Attributes
    ----------
    name, title : str
    before : tuple of (str, int, int)
        Done first, one after the other: operation, CPU, and the task whose areas these are.
        Those of `NOBODY`, and of a task that there is not, stay.
    tasks : tuple of (int, tuple of str)
        CPU to start on, and operations: those of `REQUESTS`, ``free`` (the oldest area that the
        task holds) and ``purge``.
    """

    name: str
    title: str
    before: tuple[tuple[str, int, int], ...]
    tasks: tuple[tuple[int, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A variant on a kernel, a program, and the number of CPUs; the program's CPUs wrap around."""

    variant: Variant
    kernel: Kernel
    program: Program
    cpus: int = 2
