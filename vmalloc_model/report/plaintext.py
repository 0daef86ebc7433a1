"""Plain ASCII text: captions and tables as they can stand in a mail."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import Final

import polars as pl
from tabulate import tabulate

__all__ = [
    "WIDTH",
    "ascii_signs",
    "ascii_table",
    "ascii_text",
    "lost_signs",
    "read_table",
    "wrapped",
]

WIDTH: Final = 72
"""Columns of running text: two levels of quoting still fit a terminal of 80."""

_CELL: Final = 36
"""Columns of a table's cell before its text is broken."""

_RULER: Final = re.compile(r"-+(  -+)*")

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
    return ascii_signs(_LINK.sub(r"\1", text).replace("**", "").replace("`", ""))


def ascii_signs(text: str) -> str:
    """Reduce text without markup to ASCII; signs that have no plain form are dropped."""
    return _decomposed(text).encode("ascii", "ignore").decode("ascii")


def lost_signs(text: str) -> str:
    """Signs that `ascii_signs` drops, sorted; accents are dropped for good."""
    signs = set(_decomposed(text))
    return "".join(sorted(s for s in signs if not s.isascii() and not unicodedata.combining(s)))


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFKD", text.translate(_SIGNS))


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
    rows = [["\n".join(_broken(_cell(value))) for value in row] for row in data.iter_rows()]
    align = ["right" if dtype.is_numeric() else "left" for dtype in data.dtypes]
    text = tabulate(
        rows,
        headers=[ascii_text(name) for name in names],
        tablefmt="simple",
        colalign=align if rows else None,
        disable_numparse=True,
    )
    return "\n".join(line.rstrip() for line in text.splitlines())


def read_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Read the first table of a plain text back: headings, and cells as `ascii_table` printed them.

    A cell was broken where its next piece did not fit, so a line goes on with the row above if that
    is so for each of its cells. A single column of long texts cannot be told apart, nor a word that
    ends with a hyphen from a broken one.
    """
    lines = text.splitlines()
    ruler = next(place for place, line in enumerate(lines) if _RULER.fullmatch(line))
    spans = [match.span() for match in re.finditer("-+", lines[ruler])]

    def cells(line: str) -> list[str]:
        return [line[start:end].strip() for start, end in spans]

    rows: list[list[str]] = []
    above: list[str] = []
    for here in map(cells, lines[ruler + 1 :]):
        if not any(here):
            break
        if above and all(map(_goes_on, above, here)):
            rows[-1] = list(map(_joined, rows[-1], here))
        else:
            rows.append(here)
        above = here
    return cells(lines[ruler - 1]), rows


def _goes_on(above: str, here: str) -> bool:
    return not here or (bool(above) and _broken(_joined(above, here))[0] == above)


def _joined(above: str, here: str) -> str:
    hyphen = re.search(r"\w-$", above) is not None
    return f"{above}{'' if hyphen else ' '}{here}".strip()


def _broken(cell: str) -> list[str]:
    return textwrap.wrap(cell, _CELL, break_long_words=False)


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
