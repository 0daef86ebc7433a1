"""Find snippets in a mail, and compute them again.

A snippet is compared word by word with what the model says now, with the parameters of the command
in it. Quoting, and how lines are broken, make no difference.
"""

from __future__ import annotations

import difflib
import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from vmalloc_model import __version__
from vmalloc_model.citing.cite import Citer
from vmalloc_model.errors import InputError
from vmalloc_model.report.plaintext import WIDTH

__all__ = ["Outcome", "Quoted", "State", "find_snippets", "verify"]

State = Literal["holds", "changed", "other version", "unknown id", "not readable"]

_FIRST: Final = re.compile(r"(?:MODEL|MEASURED|SOURCE)\b[^\[\]]*\[([a-z0-9]+(?:-[a-z0-9]+)*)\]")
_MARKS: Final = re.compile(r"(?:>[ \t]?)*")
_VERSION: Final = re.compile(r"^model:\s+vmalloc-model (\S+)", re.MULTILINE)
_COMMAND: Final = re.compile(r"^again:(.*?)^result:", re.MULTILINE | re.DOTALL)
_SHOWN: Final = 5
"""Changes told of one snippet; the others are counted."""


@dataclass(frozen=True)
class Quoted:
    """A snippet as it stands in a mail.

    Attributes
    ----------
    id : str
        Of the first line.
    lines : tuple of (int, str)
        1-based number in the mail, and the line without marks of quotation.
    """

    id: str
    lines: tuple[tuple[int, str], ...]

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(line for _, line in self.lines)


@dataclass(frozen=True)
class Outcome:
    """What became of a snippet.

    Attributes
    ----------
    quoted : Quoted
        The snippet.
    state : str
        One of `State`.
    details : tuple of str
        What changed, or why it cannot be compared.
    """

    quoted: Quoted
    state: State
    details: tuple[str, ...] = ()


def find_snippets(mail: str) -> list[Quoted]:
    """Find the snippets in a mail, at any level of quotation.

    A snippet goes from its first line to its ``page:``. Lines of another level between its own,
    such as an answer to a quoted line, do not belong to it.
    """
    found: list[tuple[str, int, list[tuple[int, str]]]] = []
    inside = False
    for number, raw in enumerate(mail.splitlines(), start=1):
        marks = _MARKS.match(raw)
        assert marks is not None  # it may be empty
        level, line = marks.group().count(">"), raw[marks.end() :].rstrip()
        first = _FIRST.fullmatch(line)
        if first:
            found.append((first[1], level, []))
            inside = True
        if inside and level == found[-1][1]:
            found[-1][2].append((number, line))
            inside = not line.startswith("page:")
    return [Quoted(id, tuple(lines)) for id, _, lines in found]


def verify(mail: str, citer: Citer) -> list[Outcome]:
    """Compute again each snippet of a mail.

    Parameters
    ----------
    mail : str
        Text that holds snippets.
    citer : Citer
        Makes the new ones.

    Returns
    -------
    list of Outcome
        In the order of the mail; empty if there is no snippet in it.

    Raises
    ------
    ModelError
        If a notebook fails.
    """
    return [_verify(quoted, citer) for quoted in find_snippets(mail)]


def _verify(quoted: Quoted, citer: Citer) -> Outcome:
    if quoted.id not in citer.ids:
        return Outcome(quoted, "unknown id", (f"the report has no {quoted.id}",))
    version, command = _VERSION.search(quoted.text), _COMMAND.search(quoted.text)
    if version is None or command is None:
        missing = "model" if version is None else "again"
        return Outcome(quoted, "not readable", (f"it has no line `{missing}:`",))
    try:
        snippet = citer.snippet(quoted.id, _given(command[1]))
    except InputError as error:
        return Outcome(quoted, "not readable", (str(error),))
    changes = _changes(quoted, snippet.text())
    if not quoted.text.endswith(snippet.page):
        changes.append(f"page: is now {snippet.page}")
    if version[1] == __version__:
        return Outcome(quoted, "changed" if changes else "holds", _few(changes))
    made = f"made by vmalloc-model {version[1]}, this is {__version__}"
    others = [one for one in changes if not one.endswith(f": {version[1]} is now {__version__}")]
    return Outcome(quoted, "other version", (made, *(_few(others) or ["all else agrees"])))


def _given(command: str) -> list[tuple[str, str]]:
    """Read the parameters of a command as the mail has it."""
    try:
        words = shlex.split(command.replace("\\\n", ""))
    except ValueError as error:
        raise InputError("again", f"not a command ({error})") from None
    texts = [word for before, word in itertools.pairwise(words) if before == "-p"]
    pairs = [text.partition("=") for text in texts]
    return [(name, value) for name, _, value in pairs]


def _words(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[str, int]]:
    """Yield the words before ``page:`` with their lines; rulers only follow from the cells."""
    for number, line in lines:
        if line.startswith("page:"):
            return
        yield from ((word, number) for word in line.split() if set(word) != {"-"} or word == "-")


def _changes(quoted: Quoted, text: str) -> list[str]:
    """Tell where a quoted snippet and the new text differ."""
    was = list(_words(quoted.lines))
    now = list(_words(list(enumerate(text.splitlines()))))
    old, new = [word for word, _ in was], [word for word, _ in now]
    changes = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, end, other, last in matcher.get_opcodes():
        if kind == "equal":
            continue
        number = was[min(start, len(was) - 1)][1]
        before, after = " ".join(old[start:end]), " ".join(new[other:last])
        changes.append(f"line {number:,}: {_cut(before)} is now {_cut(after)}")
    return changes


def _cut(text: str) -> str:
    text = text or "(nothing)"
    return text if len(text) <= WIDTH // 2 else text[: WIDTH // 2] + "..."


def _few(changes: Sequence[str]) -> tuple[str, ...]:
    more = len(changes) - _SHOWN
    return (*changes[:_SHOWN], *([f"{more:,} more"] if more > 0 else []))
