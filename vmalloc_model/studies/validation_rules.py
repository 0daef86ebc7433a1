"""Chapter *Validation*: a control, the addresses that simpler rules of searching predict."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import polars as pl

from vmalloc_model import events as ev
from vmalloc_model.freespace.fast import FastFreeSpace
from vmalloc_model.replay.streams import order_of, record_of
from vmalloc_model.replay.text import machine_for
from vmalloc_model.runs import Run
from vmalloc_model.studies.validation import replayed
from vmalloc_model.traces.oplog import read_oplog
from vmalloc_model.units import count_text

__all__ = ["Lowest", "Padded", "rules_table", "say_rules", "shown_rules"]

_TREE: Final = "mainline's tree"


class Lowest:
    """Free space searched for the lowest aligned address that fits; gaps are ``[start, end)``."""

    def __init__(self, gaps: Sequence[tuple[int, int]]) -> None:
        self._starts = sorted(start for start, _ in gaps)
        self._ends = sorted(end for _, end in gaps)

    def search(self, pages: int, order: int, first: int, end: int) -> int | None:
        """Find an address in ``[first, end)``; nothing is taken."""
        mask, starts, ends = (1 << order) - 1, self._starts, self._ends
        for k in range(bisect_right(ends, first), len(starts)):
            start, stop = starts[k], ends[k]
            if stop - start < pages:
                continue  # most gaps are small
            page = (max(start, first) + mask) & ~mask
            if page + pages <= min(stop, end):
                return page
            if start >= end:
                break
        return None

    def carve(self, page: int, pages: int) -> None:
        """Take a range that is free."""
        k = bisect_right(self._starts, page) - 1
        start, end = self._starts[k], self._ends[k]
        if k < 0 or end < page + pages:
            raise ValueError(f"not wholly free: {page}, {pages} pages")
        self._starts[k : k + 1] = [one for one in (start,) if one < page] + [
            one for one in (page + pages,) if one < end
        ]
        self._ends[k : k + 1] = [one for one in (page,) if one > start] + [
            one for one in (end,) if one > page + pages
        ]

    def release(self, page: int, pages: int) -> None:
        """Give back a range; it grows together with its neighbours."""
        k, end = bisect_left(self._starts, page), page + pages
        joins_left = k > 0 and self._ends[k - 1] == page
        joins_right = k < len(self._starts) and self._starts[k] == end
        if not joins_left:
            self._starts.insert(k, page)
            self._ends.insert(k, end)
            k += 1
        else:
            self._ends[k - 1] = end
        if joins_right:
            self._ends[k - 1] = self._ends.pop(k)
            self._starts.pop(k)


class Padded:
    """The lowest gap of at least ``size + align - 1`` bytes, which is ``pages + align`` pages."""

    def __init__(self, gaps: Sequence[tuple[int, int]]) -> None:
        self._space = FastFreeSpace("gaps", gaps)
        self.carve, self.release = self._space.carve, self._space.release

    def search(self, pages: int, order: int, first: int, end: int) -> int | None:
        """Find an address in ``[first, end)``; nothing is taken."""
        # the compiled rule wants pages + align - 1 pages: whole pages, where the kernel has bytes
        wanted = pages + (order > 0)
        page = self._space.reserve(wanted, order, first, end)
        if page is not None:
            self._space.release(page, wanted)
        return page


_RULES: Final[dict[str, type[Lowest] | type[Padded]]] = {
    "lowest aligned fit": Lowest,
    "lowest gap of size + align - 1": Padded,
}


class _Step(NamedTuple):
    """A search with its answer, or (order -1) a range taken, or (order -2) one given back."""

    page: int
    pages: int
    order: int
    window: tuple[int, int] = (0, 0)


def _steps(run: Run) -> tuple[list[tuple[int, int]], Iterator[_Step]] | None:
    """Free space at the beginning, and what happens to it; None where a recording hides it."""
    if run.kind == "oplog":
        return _logged_gaps(run), _oplog_steps(run)
    return ([machine_for(record_of(run)).space], _text_steps(run)) if run.cpus == 1 else None


def _logged_gaps(run: Run) -> list[tuple[int, int]]:
    free, size = read_oplog(run.path).filter(op="init_free"), run.page_size
    return [
        (-(-start // size), (start + length) // size)
        for start, length in zip(free["addr"], free["size"], strict=True)
    ]


def _oplog_steps(run: Run) -> Iterator[_Step]:
    wanted = {"tree_alloc": 0, "chunk_reserve": 0, "pcpu_area": -1, "tree_free": -2}
    log = read_oplog(run.path).filter(
        pl.col("op").is_in(list(wanted)), pl.col("addr").is_not_null()
    )
    size = run.page_size
    for row in log.iter_rows(named=True):
        page, pages = int(row["addr"]) // size, int(row["size"]) // size
        if wanted[row["op"]]:
            yield _Step(page, pages, wanted[row["op"]])
        else:
            window = (int(row["vstart"]) // size, int(row["vend"]) // size)
            yield _Step(page, pages, order_of(int(row["align"] or 1), size), window)


def _text_steps(run: Run) -> Iterator[_Step]:
    """On one CPU there are no pools: what was freed goes back at the next purge."""
    recorded = record_of(run)
    areas: dict[int, tuple[int, int]] = {}
    lazy: list[tuple[int, int]] = []
    for event, page in zip(recorded.events.tolist(), recorded.page.tolist(), strict=True):
        op, _, window, order, _, slot, pages = event
        if op in (ev.ALLOC, ev.PCPU):
            areas[slot] = (page, pages)
            yield _Step(page, pages, order if op == ev.ALLOC else -1, recorded.windows[window])
        elif op == ev.FREE:
            lazy.append(areas.pop(slot))
        else:
            yield from (_Step(*area, -2) for area in lazy)
            lazy.clear()


def rules_table(runs: Sequence[str]) -> pl.DataFrame:
    """Addresses that simpler rules of searching predict (``tab-validation-rules``).

    Every search is asked in the free space that the kernel had: after a wrong answer the recorded
    address is taken. Runs that are not predicted exactly, and texts of several CPUs, whose purges
    and pools the text hides, are left out, and so are runs without an aligned search: there all
    rules agree.

    Returns
    -------
    polars.DataFrame
        ``run``, ``rule``, ``searches``, ``right``, ``aligned`` (to more than a page),
        ``aligned_right``.
    """
    rows: list[tuple[object, ...]] = []
    for name in runs:
        run, result = replayed(name)
        steps = _steps(run) if result.right else None
        if steps is None:
            continue
        gaps, recorded = steps[0], list(steps[1])
        searches = sum(step.order >= 0 for step in recorded)
        aligned = sum(step.order > 0 for step in recorded)
        if not aligned:
            continue
        # the replay asked the tree each of these searches, and every answer was right
        rows.append((run.id, _TREE, searches, searches, aligned, aligned))
        for rule, space in _RULES.items():
            right, aligned_right = _right(space(gaps), recorded)
            rows.append((run.id, rule, searches, right, aligned, aligned_right))
    names = ("searches", "right", "aligned", "aligned_right")
    schema = {"run": pl.String, "rule": pl.String, **dict.fromkeys(names, pl.Int64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _right(space: Lowest | Padded, steps: Sequence[_Step]) -> tuple[int, int]:
    right = aligned = 0
    for page, pages, order, window in steps:
        if order == -2:
            space.release(page, pages)
            continue
        if order >= 0 and space.search(pages, order, *window) == page:
            right += 1
            aligned += order > 0
        space.carve(page, pages)
    return right, aligned


def shown_rules(table: pl.DataFrame) -> pl.DataFrame:
    """Word `rules_table`; one row that says so where no run can be asked."""
    if not len(table):
        names = ("run", "rule", "searches", "wrong", "aligned", "aligned_wrong")
        return pl.DataFrame({name: ["none" if name == "run" else "-"] for name in names})
    return table.select(
        "run",
        "rule",
        searches=pl.col("searches").map_elements(count_text, pl.String),
        wrong=(pl.col("searches") - pl.col("right")).map_elements(count_text, pl.String),
        aligned=pl.col("aligned").map_elements(count_text, pl.String),
        aligned_wrong=(pl.col("aligned") - pl.col("aligned_right")).map_elements(
            count_text, pl.String
        ),
    )


def say_rules(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-validation-rules``."""
    if not len(table):
        return "No chosen run tells every search of the free space."
    texts = [
        f"{row['rule']} is wrong for {count_text(row['aligned'] - row['aligned_right'])} of "
        f"{count_text(row['aligned'])} aligned searches in {row['run']}"
        for row in table.filter(pl.col("rule") != _TREE, pl.col("aligned") > 0).iter_rows(
            named=True
        )
    ]
    unaligned = table.filter(pl.col("rule") != _TREE).select(
        (pl.col("searches") - pl.col("right") - pl.col("aligned") + pl.col("aligned_right")).sum()
    )
    return (
        "Each search in the free space that the kernel had: "
        + "; ".join(texts)
        + f". Without an alignment the simpler rules are wrong "
        f"{count_text(unaligned.item())} times."
    )
