"""Chapter *Eligibility coverage*: who asks for the standard window on which architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.callers import windows
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.studies.wide import wide

__all__ = ["say_windows", "where", "windows_summary", "windows_table"]

_FEW: Final = 3
"""So many exceptions are named instead of the rule."""

_KASLR: Final = (
    "The table is for KASLR; without it module sections, BPF JIT images and kprobe pages on i386 "
    "ask for the standard window."
)
"""One range serves all three (Linux 6.12 arch/x86/mm/init.c: execmem_arch_setup). On i386 only its
random offset makes it another one than ``[VMALLOC_START, VMALLOC_END)``."""

_LETTERS: Final = {"standard": "S", "own": "O", "fallback": "F", "none": ""}


def windows_table() -> pl.DataFrame:
    """Window of each caller on each architecture, like callers together (``fig-windows``).

    Returns
    -------
    polars.DataFrame
        One row per tile: ``callers`` (what the row is called), ``ids`` (all of them), ``count``,
        ``arch``, ``window`` (`vmalloc_model.callers.WINDOWS`) and ``letter``. Rows that use the
        standard window least come first.

    Notes
    -----
    Callers whose ids begin alike (``stack-...``) are one row if no two of them differ on an
    architecture on which both exist; then callers with the same windows everywhere are one row.
    """
    order: dict[str, int] = {}
    families: dict[str, dict[str, dict[str, str]]] = {}
    for caller, arch, window in windows().select("caller", "arch", "window").iter_rows():
        order.setdefault(arch, len(order))
        families.setdefault(caller.split("-")[0], {}).setdefault(caller, {})[arch] = window
    patterns: dict[tuple[str, ...], list[tuple[str, list[str]]]] = {}
    for family, members in families.items():
        merged = {arch: _one_window([one[arch] for one in members.values()]) for arch in order}
        if len(members) > 1 and None not in merged.values():
            rows = [(f"{family}-*", list(members), merged)]
        else:
            rows = [(caller, [caller], dict(one)) for caller, one in members.items()]
        for name, ids, one in rows:
            pattern = tuple(str(one[arch]) for arch in order)
            patterns.setdefault(pattern, []).append((name, ids))
    tiles = []
    for pattern, group in sorted(patterns.items(), key=lambda item: item[0].count("standard")):
        ids = [caller for _, several in group for caller in several]
        first = group[0][0]
        more = len(ids) - len(group[0][1])
        name = first if not more else f"{first} and {more} more"
        tiles += [
            (name, ", ".join(ids), len(ids), arch, window, _LETTERS[window])
            for arch, window in zip(order, pattern, strict=True)
        ]
    columns = ["callers", "ids", "count", "arch", "window", "letter"]
    return pl.DataFrame(tiles, schema=columns, orient="row")


def _one_window(found: Sequence[str]) -> str | None:
    """Window of all callers that exist here; None if they differ."""
    there = {window for window in found if window != "none"}
    if len(there) > 1:
        return None
    return there.pop() if there else "none"


def windows_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Put `windows_table` into one row per group of callers: a letter, or ``-`` for no caller."""
    shown = table.with_columns(pl.col("letter").replace("", "-"))
    return wide(shown, ["callers"], "arch", "letter", str)


def say_windows() -> str:
    """Word the caption of ``fig-windows``: module sections, BPF images, all callers."""
    every = windows()
    modules, images = (
        listed(every.filter(caller=caller, window="standard")["arch"].to_list()) or "none of these"
        for caller in ("module-section", "bpf-jit-image")
    )
    whole = every.group_by("caller").agg((pl.col("window") == "standard").all().alias("all"))
    return (
        f"Module sections ask for the standard window on {modules}, BPF JIT images on {images}. "
        f"Of {whole.height} callers {whole.filter('all').height} ask for it on every architecture "
        f"shown. {_KASLR}"
    )


def where(ids: Sequence[str]) -> str:
    """Architectures on which all of these callers exist and ask for the standard window."""
    found = windows().filter(pl.col("caller").is_in(ids))
    every = found["arch"].unique(maintain_order=True).to_list()
    count = found.group_by("arch", maintain_order=True).agg(
        (pl.col("window") == "standard").all().alias("all")
    )
    where = count.filter("all")["arch"].to_list()
    if len(where) == len(every):
        return "everywhere"
    others = [arch for arch in every if arch not in where]
    if len(others) <= _FEW < len(where):
        return f"all but {listed(others)}"
    return listed(where) or "nowhere"
