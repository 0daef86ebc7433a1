"""What the overlay wins and loses, and what the rule takes: sentences and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import gt, lt
from typing import Any, Final

import polars as pl

from vmalloc_model.experiments.settled import DESIGNS, NO_POOLS
from vmalloc_model.recommend.arguments import Configuration
from vmalloc_model.recommend.play import BARELY, HORIZON, Played
from vmalloc_model.run_platforms import same_range
from vmalloc_model.studies.alternatives import BASELINE
from vmalloc_model.studies.alternatives_choice import Choice
from vmalloc_model.studies.alternatives_words import rate_text
from vmalloc_model.units import count_text, cpus_text, share_text, size_text
from vmalloc_model.workloads import WORKLOADS

__all__ = ["Block", "joined", "named", "say_played", "sizes_text"]

_PATCHES: Final = ("rfc10", "rfc12")

Block = str | list[str] | pl.DataFrame
"""A paragraph, a list of sentences, or a table whose columns are the headings."""


def joined(words: Sequence[str]) -> str:
    """Join words with commas and *and*."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def sizes_text(sizes: Sequence[int]) -> str:
    """Name chunk sizes; those that double from one to the next by their ends."""
    doubling = all(larger == 2 * size for size, larger in pairwise(sizes))
    if doubling and len(sizes) > 2:
        return f"{size_text(sizes[0])} to {size_text(sizes[-1])}"
    return joined([size_text(size) for size in sizes]) or "none"


def _label(stream: str) -> str:
    """Say what one stream's numbers are."""
    return "MODEL" if stream in WORKLOADS else "MODEL on MEASURED requests"


def say_played(asked: Configuration, played: Played) -> Iterator[Block]:
    """Yield a table for each stream, all in short, and the rule."""
    yield (
        "What the overlay wins or loses against mainline's pools. Visits: to the lock of the "
        "global free space per 1,000 requests, in the second half of a stream. +/- %: against "
        "mainline. Lost: address space that nothing gives back. Held: lost, or free in chunks, so "
        "that no other request can have it. Mark: high-water mark. All but visits at the end. "
        "A star: the stream is too short for every CPU to use up a chunk, so it looks better than "
        f"it is. Synthetic streams have {count_text(played.events)} events, seed {played.seed}."
    )
    if played.unplayed:
        yield (
            f"Not played, so not among what the rule can take: {sizes_text(played.unplayed)}. "
            "--chunks names the sizes."
        )
    for stream in played.points["stream"].unique(maintain_order=True).to_list():
        rows = played.points.filter(stream=stream)
        if not rows["fits"][0]:
            failed = count_text(rows["failures"][0])
            yield f"{stream}: mainline fails {failed} requests here; nothing is compared."
            continue
        yield _stream_title(played, asked, stream)
        yield _stream_table(played, rows)
        if failing := _failing(played, rows):
            yield f"Requests that mainline serves and others do not: {joined(failing)}."
    if played.points["fits"].any():
        yield (
            "In short. f:m: on how many of these streams there are fewer, and more, visits than "
            "with mainline. Held: the share of the range, in the worst of them, after "
            f"{count_text(HORIZON)} allocations. Rule: why the rule below leaves it out. It may "
            "hand out an address before the TLB flush of its last use (flush), holds more than "
            f"{share_text(played.budget)} (budget), fails requests (fails), cannot be judged by "
            "these streams (short)."
        )
        yield _short_table(played)
    yield _rule(played)


def _stream_title(played: Played, asked: Configuration, stream: str) -> str:
    if stream in WORKLOADS:
        return f"{stream} ({_label(stream)}): {WORKLOADS[stream].title}"
    assert played.run is not None
    own = cpus_text(played.run.cpus)
    text = f"{stream} ({_label(stream)}): the recorded requests on {own}, as recorded"
    if same_range(played.run, asked.platform):
        return text
    first, last = played.run.window
    return f"{text}, in its own range of {size_text(last - first)}"


def _sizes(played: Played) -> list[int]:
    fitting = played.points.filter("fits", design=_PATCHES[0])
    return sorted(set(fitting["asked"].to_list()))


def _shown(played: Played) -> list[tuple[str, int]]:
    """List what is shown: mainline, the patch's two states at each size, what the rule takes."""
    shown = [(BASELINE, 0), *((name, size) for size in _sizes(played) for name in _PATCHES)]
    for choice in (played.taken_of_all, played.taken):
        if choice is not None:
            shown.append((choice["design"], choice["asked"]))
    return sorted(dict.fromkeys(shown), key=lambda one: one[1])


def _stream_table(played: Played, rows: pl.DataFrame) -> pl.DataFrame:
    base = rows["visits"][0]
    cells = []
    for design, asked in _shown(played):
        row = rows.row(by_predicate=_is(design, asked), named=True)
        visits = rate_text(row["visits"]) + ("" if row["filled"] else "*")
        against = "" if design == BASELINE else _against(row["visits"], base)
        spaces = [_short(row[name]) for name in ("lost", "held", "high_water")]
        cells.append((named(row), visits, against, *spaces))
    names = ["design", "visits", "+/- %", "lost", "held", "mark"]
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")


def _failing(played: Played, rows: pl.DataFrame) -> list[str]:
    shown = _shown(played)
    return [
        f"{named(row)} fails {count_text(row['failures'])}"
        for row in rows.iter_rows(named=True)
        if row["failures"] and (row["design"], row["asked"]) in shown
    ]


def _is(design: str, asked: int) -> pl.Expr:
    return (pl.col("design") == design) & (pl.col("asked") == asked)


def named(row: dict[str, Any]) -> str:
    """Name a design with its chunk size."""
    return f"{row['design']} {size_text(row['asked'])}" if row["asked"] else str(row["design"])


def _against(visits: float, base: float) -> str:
    """Print the change in percent; -100 only where nothing is left."""
    if base == 0:
        return "-" if visits else "0"
    percent = 100 * (visits / base - 1)
    if -100 < percent < -99:
        return f"{max(percent, -99.9):.1f}"
    return f"{percent:+.0f}"


def _short(size: float) -> str:
    """Print a size with three digits in at most eight columns."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    place = 0
    while size >= 999.5 and place < len(units) - 1:
        size, place = size / 1024, place + 1
    return f"{size:.3g} {units[place]}"


def _short_table(played: Played) -> pl.DataFrame:
    """Sum up what is shown, gains and losses."""
    base = played.rows(BASELINE, 0)["visits"].to_list()
    cells = []
    for design, asked in _shown(played):
        rows = played.rows(design, asked)
        pairs = list(zip(rows["visits"].to_list(), base, strict=True))
        share = max(rows["later"].to_list()) / max(rows["range"].to_list())
        fewer, more = (sum(map(than, *zip(*pairs, strict=True))) for than in (lt, gt))
        cells.append(
            (
                named(rows.row(0, named=True)),
                "" if design == BASELINE else f"{fewer}:{more}",
                share_text(share) if share < 10 else ">999 %",
                _verdict(played, design, asked),
            )
        )
    names = ["design", "f:m", "held", "rule"]
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")


def _verdict(played: Played, design: str, asked: int) -> str:
    if reasons := played.objections(design, asked):
        return " ".join(reasons)
    for choice in (played.taken, played.taken_of_all):
        if choice is not None and (choice["design"], choice["asked"]) == (design, asked):
            return "taken" if choice is played.taken else "taken if left"
    return ""


def _rule(played: Played) -> str:
    """Say what the rule of chapter Alternatives takes, of what is left and of all."""
    taken, of_all = played.taken, played.taken_of_all
    if taken is None or of_all is None:
        return "Mainline serves none of these streams, so the rule takes nothing."
    text = (
        "The rule of chapter Alternatives: of what is not left out, and whose worst visits are "
        f"within {BARELY} of the fewest, take what holds least. Of the sizes left and no overlay "
        f"it takes {_choice(taken)}."
    )
    if named(of_all) != named(taken):
        text += (
            " The chapter asks nothing of coverage, amortisation and CPUs x chunk: of all that was "
            f"played here it would take {_choice(of_all)}."
        )
    if short := _too_short(played):
        text += f" At some size not judged for want of events (--events): {joined(short)}."
    return text


def _too_short(played: Played) -> list[str]:
    """Name the designs that the rule might take if the streams were longer."""
    rows = played.points.filter(pl.col("fits") & ~pl.col("filled") & ~pl.col("early"))
    return list(dict.fromkeys(rows["design"].to_list()))


def _choice(choice: Choice) -> str:
    numbers = (
        f"at worst {rate_text(choice['visits'])} visits and {share_text(choice['share'])} of the "
        "range held"
    )
    design = DESIGNS[choice["design"]]
    if not design.rules.overlay:
        which = "mainline's pools" if choice["design"] != NO_POOLS else "one node without pools"
        return f"{choice['design']} ({which}, no overlay; {numbers})"
    posted = "posted" if choice["design"] in _PATCHES else "a repair, not posted"
    return f"{named(choice)} ({posted}; {numbers})"
