"""The programs that are explored: who allocates, frees and purges what, on which CPU."""

from __future__ import annotations

from typing import Final

from vmalloc_model.interleavings.setting import NOBODY, Program

__all__ = ["PROGRAMS", "programs_of"]

PROGRAMS: Final = (
    Program(
        "miss",
        "tasks on one CPU find no room in its chunk; the other CPU's chunk has a page left",
        (("alloc", 1, NOBODY),),
        ((0, ("alloc",)), (0, ("alloc",)), (0, ("alloc",))),
    ),
    Program(
        "pairs",
        "one task allocates and frees over and over, another purges",
        (("alloc", 0, 0), ("free", 0, 0)),
        ((0, ("alloc", "free", "alloc")), (1, ("purge",)), (1, ("big",))),
    ),
    Program(
        "last area",
        "a full chunk is replaced while its last area is freed; then both ask for other areas",
        (("alloc", 0, 1), ("free", 0, 1), ("purge", 0, 1), ("alloc", 0, 1)),
        ((0, ("alloc", "big")), (0, ("free", "odd")), (1, ("purge",))),
    ),
    Program(
        "pooled",
        "as before, but the other area is asked for before the last one is freed",
        (("alloc", 0, 1), ("free", 0, 1), ("purge", 0, 1), ("alloc", 0, 1)),
        ((0, ("alloc", "big")), (0, ("odd", "free")), (1, ("purge",))),
    ),
    Program(
        "other CPU",
        "the last area of one CPU's current chunk is freed on another CPU",
        (("alloc", 0, 1),),
        ((0, ("alloc",)), (1, ("free", "big")), (1, ("alloc",))),
    ),
    Program(
        "purge",
        "two areas of a replaced chunk are freed while a purge runs",
        (("alloc", 0, 0), ("alloc", 0, 1), ("alloc", 0, NOBODY)),
        ((0, ("free", "purge", "big")), (1, ("free",)), (1, ("alloc",))),
    ),
    Program(
        "lookup",
        "an area of an old chunk is freed while the current chunk is replaced and drained",
        (
            ("alloc", 0, 1),
            ("alloc", 0, NOBODY),
            ("alloc", 0, 0),
            ("free", 0, 0),
            ("alloc", 0, 0),
        ),
        ((0, ("alloc", "free")), (0, ("free",)), (1, ("purge",))),
    ),
)


def programs_of(tasks: int) -> tuple[Program, ...]:
    """Return the programs with so many of their tasks (2 or 3)."""
    return tuple(Program(one.name, one.title, one.before, one.tasks[:tasks]) for one in PROGRAMS)
