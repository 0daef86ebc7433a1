"""Two runs side by side: which parameters, numbers and cells differ, and by how much."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from textwrap import fill, indent
from typing import Final

from vmalloc_model.report.current import agree
from vmalloc_model.report.plaintext import ascii_text
from vmalloc_model.report.provenance import read_record
from vmalloc_model.report.tablekeys import pair_rows
from vmalloc_model.units import count_text, many_text

__all__ = ["Change", "Comparison", "Picture", "compare"]

SHOWN: Final = 10
"""Changes of a chapter that texts show, the largest first; the CSV has all."""

_LONGEST: Final = 60
"""Characters of a value in texts."""

_WIDTH: Final = 70
"""Columns of a line in texts."""

_UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_AMOUNT: Final = re.compile(r"([-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?)\s?(%|[KMGTP]?i?B|pages?)?")


@dataclass(frozen=True)
class Change:
    """One value that differs.

    Attributes
    ----------
    notebook, result : str
        Chapter; id of the figure or table, ``numbers`` or ``parameters``.
    row, column : str
        What names the row: its first cells, or the id of a number or parameter; the column. ``""``
        as column: the whole row, or the whole result where `row` is empty too.
    was, now : str or None
        The values as they print; None on the side that lacks it.
    """

    notebook: str
    result: str
    row: str
    column: str
    was: str | None
    now: str | None

    @property
    def difference(self) -> float | None:
        """Now minus before, in bytes for sizes; None unless both are numbers of one unit."""
        amounts = self._amounts()
        return None if amounts is None else amounts[1] - amounts[0]

    @property
    def percent(self) -> float | None:
        """Difference in percent of what was; None where that is 0 or there is no difference."""
        amounts = self._amounts()
        if amounts is None or amounts[0] == 0:
            return None
        return 100 * (amounts[1] - amounts[0]) / abs(amounts[0])

    @property
    def weight(self) -> float:
        """Difference beside the larger of both, 0 to 2; the same with the sides exchanged."""
        amounts = self._amounts()
        largest = max(map(abs, amounts)) if amounts else 0
        return abs(amounts[1] - amounts[0]) / largest if amounts and largest else 0

    def _amounts(self) -> tuple[float, float] | None:
        was, now = _amount(self.was), _amount(self.now)
        if was is None or now is None or was[1] != now[1]:
            return None
        return was[0], now[0]


@dataclass(frozen=True)
class Picture:
    """A figure that both runs have and that looks different."""

    notebook: str
    id: str
    was: Path
    now: Path


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes
    ----------
    notebooks : tuple of str
        Chapters that both have.
    only_before, only_now : tuple of str
        Chapters that one lacks.
    changes : tuple of Change
        Chapter by chapter; parameters first, then numbers, then figures and tables.
    pictures : tuple of Picture
        In the same order.
    """

    notebooks: tuple[str, ...]
    only_before: tuple[str, ...]
    only_now: tuple[str, ...]
    changes: tuple[Change, ...]
    pictures: tuple[Picture, ...]

    def text(self) -> str:
        """Plain ASCII: of each chapter its parameters, counts, and the largest changes."""
        lines = [ascii_text(line) for line in self._summary()]
        for name in self.notebooks:
            lines += ["", name, *(indent(line, "  ") for line in self._chapter(name))]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """One row for each value that differs, in order."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = ("notebook", "result", "row", "column", "was", "now")
        writer.writerow([*names, "difference", "percent"])
        for one in self.changes:
            numbers = (one.difference, one.percent)
            printed = ["" if value is None else f"{value:.12g}" for value in numbers]
            writer.writerow([*(getattr(one, name) for name in names), *printed])
        return text.getvalue()

    def page(self) -> str:
        """MyST for a page of a small book: the text, and both pictures of each changed figure."""
        lines = ["## What changed", "", *(f"* {line}" for line in self._summary())]
        for name in self.notebooks:
            lines += ["", f"### {name}", "", f"{{doc}}`notebooks/{name}`:", ""]
            lines += ["```text", *self._chapter(name), "```"]
            for picture in self.pictures:
                if picture.notebook == name:
                    lines += ["", f"`{picture.id}`, before and now:", "", "```{report-pair}"]
                    lines += [f":was: {picture.was}", f":now: {picture.now}"]
                    lines += [f":alt: {picture.id} of {name}", "```"]
        return "\n".join(lines) + "\n"

    def _summary(self) -> list[str]:
        changed = {one.notebook for one in self.changes}
        lines = [
            f"{many_text(len(self.notebooks), 'chapter')} compared; "
            f"{many_text(len(self.changes), 'value')} changed in "
            f"{count_text(len(changed))} of them."
        ]
        for words, names in (("before", self.only_before), ("now", self.only_now)):
            if names:
                lines.append(f"Only {words}: {', '.join(names)}.")
        return lines

    def _chapter(self, name: str) -> list[str]:
        """Lines in ASCII about one chapter."""
        mine = [one for one in self.changes if one.notebook == name]
        parameters = [one for one in mine if one.result == "parameters"]
        values = [one for one in mine if one.result != "parameters"]
        if not mine:
            return ["the same"]
        lines = [f"parameter {_line(one, '')}" for one in parameters]
        lines += [f"{id}: {_counts(values, id)}" for id in dict.fromkeys(v.result for v in values)]
        both = [one for one in values if one.was is not None and one.now is not None]
        # sorted() is stable: what weighs the same stays in the order of the chapter
        largest = sorted(both, key=lambda one: -one.weight)[:SHOWN]
        if largest:
            lines += ["", f"largest {len(largest):,} of {len(both):,}:"]
        return lines + [_line(one, f"{one.result}: ") for one in largest]


def _counts(values: Sequence[Change], id: str) -> str:
    mine = [one for one in values if one.result == id]
    counts = {
        "changed": sum(one.was is not None and one.now is not None for one in mine),
        "only before": sum(one.now is None for one in mine),
        "only now": sum(one.was is None for one in mine),
    }
    return ", ".join(f"{count:,} {words}" for words, count in counts.items() if count)


def compare(left: Mapping[str, Path], right: Mapping[str, Path]) -> Comparison:
    """Compare two sets of finished results.

    Parameters
    ----------
    left, right : mapping
        Notebook -> folder of its results: before, and now.

    Returns
    -------
    Comparison
        Numbers that differ by rounding (1e-12 relative) are the same. The rows of a figure's data
        and of a table are paired by the first columns that tell them apart
        (`vmalloc_model.report.tablekeys`).
    """
    both = [name for name in right if name in left]
    changes: list[Change] = []
    pictures: list[Picture] = []
    for name in both:
        was, now = left[name], right[name]
        changes += _named(name, "parameters", _parameters(was), _parameters(now))
        changes += _named(name, "numbers", _numbers(was), _numbers(now))
        for id in sorted(_results(was) | _results(now)):
            changes += _named(name, id, _caption(was / id), _caption(now / id))
            changes += _table(name, id, was / id / "data.csv", now / id / "data.csv")
            charts = [folder / id / "chart.svg" for folder in (was, now)]
            if all(chart.is_file() for chart in charts) and not _same(*charts):
                pictures.append(Picture(name, id, *(chart.absolute() for chart in charts)))
    return Comparison(
        tuple(both),
        tuple(name for name in left if name not in right),
        tuple(name for name in right if name not in left),
        tuple(changes),
        tuple(pictures),
    )


def _same(one: Path, two: Path) -> bool:
    return one.read_bytes() == two.read_bytes()


def _results(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/data.csv")}


def _parameters(folder: Path) -> dict[str, str]:
    record = read_record(folder)
    parameters = record["parameters"] if record else {}
    return {
        name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in parameters.items()
    }


def _caption(folder: Path) -> dict[str, str]:
    path = folder / "meta.json"
    return (
        {"caption": json.loads(path.read_text(encoding="utf-8"))["caption"]}
        if path.is_file()
        else {}
    )


def _numbers(folder: Path) -> dict[str, str]:
    path = folder / "numbers.json"
    numbers = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    # As printed, unless print hides that they differ.
    return {id: str(one["text"]) for id, one in numbers.items()} | {
        f"{id} (value)": str(one["value"])
        for id, one in numbers.items()
        if str(one["value"]) != str(one["text"])
    }


def _named(
    notebook: str, result: str, was: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[Change]:
    for name in {**was, **now}:
        before, after = was.get(name), now.get(name)
        if before is None or after is None or not agree(before, after):
            yield Change(notebook, result, name, "", before, after)


def _table(notebook: str, id: str, was: Path, now: Path) -> Iterator[Change]:
    if not (was.is_file() and now.is_file()):
        there = [
            f"{len(_read(path)) - 1:,} rows" if path.is_file() else None for path in (was, now)
        ]
        yield Change(notebook, id, "", "", there[0], there[1])
        return
    (columns, *old), (new_columns, *new) = _read(was), _read(now)
    if columns != new_columns:
        yield Change(notebook, id, "", "", ",".join(columns), ",".join(new_columns))
        return
    paired = pair_rows(old, new)
    for before, after in paired.both:
        row = _joined(before[: paired.key])
        for column, one, two in zip(columns, before, after, strict=True):
            if not agree(one, two):
                yield Change(notebook, id, row, column, one, two)
    for before in paired.left:
        yield Change(notebook, id, _joined(before[: paired.key]), "", _joined(before), None)
    for after in paired.right:
        yield Change(notebook, id, _joined(after[: paired.key]), "", None, _joined(after))


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


def _joined(cells: Sequence[str]) -> str:
    return ", ".join(cells)


def _line(change: Change, place: str) -> str:
    where = ", ".join(filter(None, (change.row, change.column)))
    was, now = _short(change.was or "", change.now or "")
    line = f"{place}{where}: {was} -> {now}" if where else f"{place}{was} -> {now}"
    line = ascii_text(line + _by_how_much(change))
    return fill(line, _WIDTH, subsequent_indent="    ", break_long_words=False)


def _by_how_much(change: Change) -> str:
    if change.difference is None:
        return ""
    percent = "" if change.percent is None else f", {change.percent:+.3g} %"
    return f" ({change.difference:+,.6g}{percent})"


def _short(was: str, now: str) -> tuple[str, str]:
    """Both values for a line; long ones from the first word that differs."""
    before, after = was.split(), now.split()
    if max(len(was), len(now)) > _LONGEST:
        pairs = zip(before, after, strict=False)
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        dots = ["..."] if alike else []
        before, after = dots + before[alike:], dots + after[alike:]
    return _cut(" ".join(before)), _cut(" ".join(after))


def _cut(text: str) -> str:
    text = text or "empty"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def _amount(text: str | None) -> tuple[float, str] | None:
    """Read a value with its unit; sizes become bytes."""
    match = _AMOUNT.fullmatch(text or "")
    if match is None:
        return None
    value, unit = float(match[1].replace(",", "")), match[2] or ""
    if not math.isfinite(value):
        return None
    if unit in _UNITS:
        return value * _UNITS[unit], "B"
    return value, unit.rstrip("s")
