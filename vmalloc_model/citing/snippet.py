"""A snippet: what a result says, what it rests on, and where it comes from, for a plain-text mail.

The form is fixed, so that `vmalloc_model.citing.verify` finds it again: the first line ends with
the id in brackets, the last begins with ``page:``.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from vmalloc_model import __version__
from vmalloc_model.citing.assumptions import value_text
from vmalloc_model.citing.layout import fit
from vmalloc_model.citing.results import Table
from vmalloc_model.errors import InputError
from vmalloc_model.report.plaintext import WIDTH, ascii_text

__all__ = ["BASE_COMMIT", "MESSAGE_ID", "REPORT", "Snippet", "first_line", "quoted_width"]

REPORT: Final = "the vmalloc chunk report"
MESSAGE_ID: Final = "20260613-vmalloc_maple-v1-10-0aa740bb944b@oss.qualcomm.com"
"""Of the reviewed mail, see ``data/patch/README.md``."""

BASE_COMMIT: Final = "c425609d6ac4"
"""What the series applies to, of linux-next: ``base-commit`` of its cover letter, message-id
20260613-vmalloc_maple-v1-0-0aa740bb944b@oss.qualcomm.com."""

MEANING: Final = {
    "MODEL": "no kernel was run",
    "MEASURED": "read off the record of a real kernel",
    "SOURCE": "by reading",
    "MODEL on MEASURED requests": "a real kernel's",
    "MODEL and MEASURED": "each marked",
}
"""What the first line adds to a label."""

_FINDING: Final = 5 * WIDTH
"""Characters of a finding that are shown; then whole sentences are left out."""

_SHORT: Final = 20
"""Longest list of values that is printed although it has its default."""

_KEY: Final = 9
_UNIT: Final = re.compile(r"(?<=\d) (?=(?:[KMGTP]i?B|B|[num]s)\b|%)")


@dataclass(frozen=True)
class Snippet:
    """One citation.

    Attributes
    ----------
    id, label, notebook, digest : str
        As in the report; the digest is of the result's data.
    finding : str
        What the result says, in ASCII.
    table : Table
        All of it; the text form shows what fits.
    assumptions : tuple of str
        At most three.
    parameters, overrides : mapping
        All values, and those that differ from the defaults.
    seen : tuple of str
        What a claim's check looked at.
    anchor : str
        Where it stands on the page of its notebook; the id by default.
    """

    id: str
    label: str
    notebook: str
    digest: str
    finding: str
    table: Table
    assumptions: tuple[str, ...]
    parameters: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[str, ...] = ()
    anchor: str = ""

    @property
    def page(self) -> str:
        """Page and anchor, relative to the root of the book."""
        return f"notebooks/{self.notebook}.html#{self.anchor or self.id}"

    def words(self) -> list[str]:
        """Words of the command that makes this snippet again."""
        words = ["vmalloc-model", "cite", self.id]
        for name, value in self.overrides.items():
            words += ["-p", f"{name}={value_text(value)}"]
        return words

    @property
    def seed(self) -> str:
        """The seed, or that there is none."""
        return value_text(self.parameters.get("seed", "none, nothing is random"))

    def text(self, base: str = "") -> str:
        """Write the snippet.

        Parameters
        ----------
        base : str, optional
            Address of the book's root, for a full link.

        Returns
        -------
        str
            Lines of at most 72 columns, ASCII, without tabs or trailing blanks.

        Raises
        ------
        InputError
            If `base` does not fit a line.
        """
        lines = [first_line(self.label, self.id), *_wrap(self.shortened(), "", ""), ""]
        fitted = fit(self.table)
        lines += fitted.lines
        lines += _wrap(_left_out(self, fitted.rows, fitted.without, fitted.complete), "  (", "  ")
        if self.table.rows:
            lines.append("")
        lines += _wrap("; ".join(self.seen), "from:    ")
        for one in self.assumptions:
            lines += _wrap(ascii_text(one), "assumes: ")
        lines += [
            f"patch:   {MESSAGE_ID}",
            f"base:    {BASE_COMMIT} (linux-next), the series' base-commit",
            *_wrap(self._made_with(), "model:   "),
            f"seed:    {self.seed}",
            *_command(self.words()),
            f"result:  {self.digest} (SHA-256, first 12 digits)",
            *self._link(base),
        ]
        return "\n".join(lines) + "\n"

    def sentences(self) -> list[str]:
        """Split the finding into its sentences."""
        return re.split(r"(?<=[a-z0-9%)][.?!]) (?=\S)", self.finding)

    def shortened(self) -> str:
        """Return the finding, or as many whole sentences of it as a mail has room for."""
        shown, *parts = self.sentences()
        for place, part in enumerate(parts):
            if len(shown) + len(part) > _FINDING:
                left = len(parts) - place
                return f"{shown} [{left} more sentence{'' if left == 1 else 's'}]"
            shown += f" {part}"
        return shown

    def values(self) -> list[str]:
        """Parameters worth a place: those changed, single values, and short lists."""
        texts = {name: value_text(value) for name, value in self.parameters.items()}
        return [
            f"{name}={text}"
            for name, text in texts.items()
            if name != "seed" and (name in self.overrides or "," not in text or len(text) <= _SHORT)
        ]

    def _made_with(self) -> str:
        shown = self.values()
        rest = len(self.parameters) - len(shown) - ("seed" in self.parameters)
        if rest:
            shown.append(f"{rest} more as in `vmalloc-model params {self.notebook}`")
        made = f"vmalloc-model {__version__} of {REPORT}"
        return "; ".join([made, ", ".join(shown) or "no parameters"])

    def _link(self, base: str) -> list[str]:
        if not base:
            return [f"page:    {self.page}"]
        root = base.rstrip("/") + "/"
        if len(root) + _KEY > WIDTH:
            allowed = f"at most {WIDTH - _KEY - 1} characters: a link cannot be broken"
            raise InputError("--base", "too long", value=base, allowed=allowed)
        if len(root) + len(self.page) + _KEY <= WIDTH:
            return [f"page:    {root}{self.page}"]
        return [f"page:    {self.page}", f"         {root}"]


def first_line(label: str, id: str) -> str:
    """Kind of evidence, and the id in brackets."""
    line = f"{label}, {MEANING[label]} [{id}]"
    return line if len(line) <= WIDTH else f"{label} [{id}]"


def quoted_width(text: str, levels: int) -> int:
    """Columns of the widest line when a mail quotes `text` that often."""
    return max(map(len, text.splitlines()), default=0) + 2 * levels


def _left_out(snippet: Snippet, rows: int, without: Sequence[str], complete: bool) -> str:
    """Say what the text form does not show; empty if it shows all."""
    parts = []
    total = len(snippet.table.rows)
    if rows < total:
        both = ", the extremes of each column among them" if complete else ""
        parts.append(f"{rows} of {total} rows{both}")
    if without:
        parts.append(f"without {', '.join(without)}")
    if not parts:
        return ""
    where = f"_downloads/{snippet.notebook}/{snippet.anchor or snippet.id}.txt"
    return f"{'; '.join(parts)}; all: {where})"


def _wrap(text: str, first: str, later: str = " " * _KEY) -> list[str]:
    if not text:
        return []
    lines = textwrap.wrap(
        _UNIT.sub("\0", text),  # a number stays with its unit
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def _command(words: Sequence[str]) -> list[str]:
    """Break a command so that a shell reads it as it was."""
    lines = [f"again:   {words[0]}"]
    pairs = [f"-p {shlex.quote(word)}" for word in words[3:] if word != "-p"]
    for word in [*words[1:3], *pairs]:
        if len(lines[-1]) + 1 + len(word) + 2 <= WIDTH:
            lines[-1] += f" {word}"
            continue
        lines[-1] += " \\"
        word = " " * _KEY + word
        while len(word) + 2 > WIDTH:  # a backslash within a word: what follows begins the line
            lines.append(word[: WIDTH - 1] + "\\")
            word = word[WIDTH - 1 :]
        lines.append(word)
    return lines
