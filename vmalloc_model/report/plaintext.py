"""Plain ASCII text: captions and tables as they can stand in a mail."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import Final

import polars as pl
from tabulate import tabulate

__all__ = ["WIDTH", "ascii_table", "ascii_text", "wrapped"]

WIDTH: Final = 72
"""Columns of running text: two levels of quoting still fit a terminal of 80."""

_CELL: Final = 36
"""Columns of a table's cell before its text is broken."""

_SIGNS: Final = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "−": "-",
        "×": "x",
        "≥": ">=",
        "≤": "<=",
        "→": "->",
        "·": "*",
        "…": "...",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "≈": "~",
        "½": "1/2",
        "µ": "u",
        "\u00a0": " ",
        "\u2009": " ",
        "\u202f": " ",
    }
)
_ROLE: Final = re.compile(r"\{[a-z:-]+\}`(?:([^`<]*?)\s*<[^`>]*>|([^`]*))`")
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def ascii_text(text: str) -> str:
    """Reduce MyST text to ASCII: roles and links to their text, typographic signs to plain ones."""
    text = _ROLE.sub(lambda match: match.group(1) or match.group(2) or "", text)
    text = _LINK.sub(r"\1", text).replace("**", "").replace("`", "")
    text = unicodedata.normalize("NFKD", text.translate(_SIGNS))
    return text.encode("ascii", "ignore").decode("ascii")


def wrapped(text: str, width: int = WIDTH) -> str:
    """ASCII text filled to `width` columns; paragraphs are kept."""
    paragraphs = ascii_text(text).strip().split("\n\n")
    return "\n\n".join(textwrap.fill(" ".join(part.split()), width) for part in paragraphs)


def ascii_table(data: pl.DataFrame, headers: dict[str, str] | None = None) -> str:
    """Draw a table in ASCII: numbers to the right, long text cells broken over lines.

    Parameters
    ----------
    data : polars.DataFrame
        Any table; floats print with six significant digits, empty cells as ``-``.
    headers : dict, optional
        Column name -> heading.

    Returns
    -------
    str
        Lines without trailing blanks, no tabs.
    """
    names = [(headers or {}).get(name, name) for name in data.columns]
    # broken here: tabulate, when it breaks lines itself, takes "16,384" for an int and fails
    rows = [
        [textwrap.fill(_cell(value), _CELL, break_long_words=False) for value in row]
        for row in data.iter_rows()
    ]
    align = ["right" if dtype.is_numeric() else "left" for dtype in data.dtypes]
    text = tabulate(
        rows,
        headers=[ascii_text(name) for name in names],
        tablefmt="simple",
        colalign=align if rows else None,
        disable_numparse=True,
    )
    return "\n".join(line.rstrip() for line in text.splitlines())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, list):
        return ascii_text(", ".join(str(item) for item in value))
    return ascii_text(str(value))
