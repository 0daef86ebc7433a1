"""Whether the committed results are what the notebooks compute: compare, or accept the new ones.

``data/results/<notebook>/<id>.csv`` is the table behind each figure and table, and ``numbers.csv``
holds the numbers of the prose. Numbers may differ by rounding (1e-12 relative) if they are not
whole; everything else must be equal. A picture that was committed beside its table, as
``<id>.svg`` (the README shows one), is kept current with it.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vmalloc_model.report.files import write_if_different
from vmalloc_model.report.project import Project

__all__ = ["accept", "agree", "differences", "table_differences"]

RELATIVE_TOLERANCE: Final = 1e-12
SHOWN: Final = 5
"""Differences shown per table; the others are counted."""


def differences(project: Project) -> list[str]:
    """Compare the committed results with those in the build folder.

    Returns
    -------
    list of str
        One line per difference: figure, row, column, both values. Empty if all agree.
    """
    fresh, lines = _fresh(project), []
    committed = {path.relative_to(project.committed) for path in _committed(project)}
    for place in sorted(committed | fresh.keys()):
        name = _name(place)
        if place not in fresh:
            lines.append(f"{name}: committed, but no notebook computes it")
        elif place not in committed:
            lines.append(f"{name}: computed, but not committed")
        else:
            text = (project.committed / place).read_text(encoding="utf-8")
            if place.suffix == ".svg":
                lines += [f"{name}: the committed picture is another one"] * (text != fresh[place])
                continue
            found = [f"{name}, {one}" for one in table_differences(text, fresh[place])]
            lines += found[:SHOWN]
            if len(found) > SHOWN:
                lines.append(f"{name}: {len(found) - SHOWN:,} more differences")
    return lines


def accept(project: Project) -> list[str]:
    """Make the committed results equal to those in the build folder.

    Returns
    -------
    list of str
        One line per file that was written or removed.
    """
    fresh = _fresh(project)
    lines = []
    for place, text in sorted(fresh.items()):
        if write_if_different(project.committed / place, text.encode()):
            lines.append(f"wrote {project.label(project.committed / place)}")
    for path in _committed(project):
        if path.relative_to(project.committed) not in fresh:
            path.unlink()
            lines.append(f"removed {project.label(path)}")
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
    return lines


def table_differences(committed: str, computed: str) -> Iterator[str]:
    """Compare two CSV tables.

    Rows count from 1 below the header. If the columns differ, the rows are not compared.
    """
    old, new = (list(csv.reader(io.StringIO(text))) for text in (committed, computed))
    old_columns, new_columns = (rows[0] if rows else [] for rows in (old, new))
    if old_columns != new_columns:
        yield f"columns: committed {', '.join(old_columns)}; computed {', '.join(new_columns)}"
        return
    if len(old) != len(new):
        yield f"number of rows: committed {len(old) - 1:,}, computed {len(new) - 1:,}"
    for row, (before, now) in enumerate(zip(old[1:], new[1:], strict=False), start=1):
        if len(before) != len(now):
            yield f"row {row:,}: committed {len(before)} values, computed {len(now)}"
        for column, was, value in zip(old_columns, before, now, strict=False):
            if not agree(was, value):
                yield f"row {row:,}, column {column}: committed {was}, computed {value}"


def agree(committed: str, computed: str) -> bool:
    """Whether two cells say the same: equal text, or numbers that differ by rounding."""
    if committed == computed:
        return True
    try:
        old, new = float(committed), float(computed)
    except ValueError:
        return False
    whole = all(text.lstrip("-").isdecimal() for text in (committed, computed))
    return not whole and math.isclose(old, new, rel_tol=RELATIVE_TOLERANCE)


def _name(place: Path) -> str:
    """How a message names a result file ``<notebook>/<id>.csv``."""
    if place.stem == "numbers":
        return f"numbers of notebook {place.parent}"
    kind = "table" if place.stem.startswith("tab-") else "figure"
    return f"{kind} {place.stem}"


def _committed(project: Project) -> list[Path]:
    return sorted([*project.committed.glob("*/*.csv"), *project.committed.glob("*/*.svg")])


def _fresh(project: Project) -> dict[Path, str]:
    """Path below ``data/results`` -> text, for every result of every notebook."""
    found: dict[Path, str] = {}
    for name in project.names():
        folder = project.runs / name
        for table in folder.glob("*/data.csv"):
            place = Path(name, f"{table.parent.name}.csv")
            found[place] = table.read_text(encoding="utf-8")
            picture = table.with_name("chart.svg")
            if picture.exists() and (project.committed / place).with_suffix(".svg").exists():
                found[place.with_suffix(".svg")] = picture.read_text(encoding="utf-8")
        numbers = folder / "numbers.json"
        if numbers.exists():
            text = _numbers_table(json.loads(numbers.read_text(encoding="utf-8")))
            found[Path(name, "numbers.csv")] = text
    return found


def _numbers_table(numbers: dict[str, dict[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "value", "text"])
    writer.writerows([id, one["value"], one["text"]] for id, one in sorted(numbers.items()))
    return text.getvalue()
