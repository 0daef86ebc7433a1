"""A recommendation as text: plain, Markdown, JSON, CSV."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import polars as pl

from vmalloc_model import __version__
from vmalloc_model.recommend.arguments import left
from vmalloc_model.recommend.changes import changes
from vmalloc_model.recommend.words import Recommendation, assumptions, blocks, label
from vmalloc_model.report.plaintext import WIDTH, ascii_table, wrapped

__all__ = ["FORMS"]

_SIMULATED: Final = (
    "stream",
    "design",
    "asked",
    "recorded",
    "requests",
    "failures",
    "visits",
    "lost",
    "held",
    "later",
    "high_water",
    "early",
    "filled",
    "fits",
)


def _plain(told: Recommendation, command: list[str]) -> str:
    parts = []
    for block in blocks(told):
        if isinstance(block, str):
            parts.append(wrapped(block))
        elif isinstance(block, list):
            parts.append("\n".join(_item(line) for line in block))
        else:
            parts.append(ascii_table(block))
    again = " \\\n    ".join(command)
    return "\n\n".join([*parts, f"vmalloc-model {__version__}; again:", f"  {again}"]) + "\n"


def _item(line: str) -> str:
    return textwrap.fill(line, WIDTH, initial_indent="* ", subsequent_indent="  ")


def _markdown(told: Recommendation, command: list[str]) -> str:
    parts = []
    for block in blocks(told):
        if isinstance(block, str):
            parts.append(block)
        elif isinstance(block, list):
            parts.append("\n".join(f"* {line}" for line in block))
        else:
            parts.append(_markdown_table(block))
    parts[0] = f"**{parts[0]}**"
    again = " \\\n    ".join(command)
    parts += [f"vmalloc-model {__version__}; again:", f"```\n{again}\n```"]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: pl.DataFrame) -> str:
    rows = [table.columns, ["---"] * table.width, *table.rows()]
    return "\n".join(
        "| " + " | ".join(f"{c:,}" if isinstance(c, int) else str(c) for c in row) + " |"
        for row in rows
    )


def _json(told: Recommendation, command: list[str]) -> str:
    asked, played = told.asked, told.played
    own = {name: value for name, value in asdict(asked).items() if name != "platform"}
    answer: dict[str, Any] = {
        "label": label(played),
        "version": __version__,
        "command": " ".join(command),
        "asked": {"platform": asked.platform.id, **own},
        "sizes": [{**asdict(size), "left": size.left} for size in told.sizes],
        "left": left(told.sizes),
        "least": asked.least,
        "most": asked.most,
        "changes": [asdict(change) for change in changes(asked)],
    }
    if played is not None:
        answer |= {
            "events": played.events,
            "seed": played.seed,
            "simulated": played.points.select(_SIMULATED)
            .rename({"asked": "chunk_size"})
            .to_dicts(),
            "taken": played.taken,
            "taken_of_all": played.taken_of_all,
        }
    answer["assumptions"] = assumptions(told)
    return json.dumps(answer, indent=2) + "\n"


def _csv(told: Recommendation, _command: list[str]) -> str:
    """One row for each chunk size, then one for each stream, design and chunk size played."""
    rows = [
        {
            "kind": "argument",
            "platform": told.asked.platform.id,
            "cpus": told.asked.cpus,
            **{
                name: value for name, value in asdict(size).items() if name not in ("met", "margin")
            },
            **{f"{name}_met": holds for name, holds in size.met.items()},
            "left": size.left,
        }
        for size in told.sizes
    ]
    table = pl.DataFrame(rows)
    if told.played is not None:
        points = told.played.points.select(_SIMULATED).rename({"asked": "chunk_size"})
        points = points.with_columns(
            kind=pl.lit("simulation"),
            platform=pl.lit(told.asked.platform.id),
            cpus=pl.lit(told.asked.cpus),
        )
        table = pl.concat([table, points], how="diagonal_relaxed")
    return table.write_csv()


FORMS: Final[dict[str, Callable[[Recommendation, list[str]], str]]] = {
    "text": _plain,
    "json": _json,
    "csv": _csv,
    "markdown": _markdown,
}
"""Name of a form -> function of a recommendation and its command, in parts."""
