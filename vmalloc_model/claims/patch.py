"""The reviewed mail, taken apart: message, trailer, and what the diff adds, comments and code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError

__all__ = ["PARTS", "Patch", "read_patch"]

PARTS: Final = ("message", "comment", "diff", "trailer")
"""Where a claim can stand: commit message, comments the diff adds, code it adds, diffstat."""

_HUNK: Final = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@ ?(.*)")
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINE: Final = re.compile(r"^#define (\w+) \(([\dUL *]+)\)$", re.MULTILINE)


@dataclass(frozen=True)
class Patch:
    """One mail with one diff.

    Attributes
    ----------
    message : str
        Commit message, lines as they stand.
    trailer : str
        What stands between the message and the diff.
    added, removed, context : tuple of str
        Lines of the diff without their mark.
    hunks : tuple of str
        The function named in the head of each hunk.
    """

    message: str
    trailer: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    context: tuple[str, ...]
    hunks: tuple[str, ...]

    @cached_property
    def comment(self) -> str:
        """Text of the comments that the diff adds, without the asterisks."""
        found = _COMMENT.findall("\n".join(self.added))
        return "\n".join(
            re.sub(r"^[ \t]*/?\*+/?|\*/$", "", one, flags=re.MULTILINE) for one in found
        )

    @cached_property
    def code(self) -> str:
        """Code that the diff adds, without comments."""
        return _COMMENT.sub("", "\n".join(self.added))

    def part(self, name: str) -> str:
        """One of `PARTS` on a single line, runs of white space as one blank."""
        text = {
            "message": self.message,
            "comment": self.comment,
            "diff": self.code,
            "trailer": self.trailer,
        }[name]
        return " ".join(text.split())

    def names(self, word: str) -> bool:
        """Tell whether the added code contains an identifier."""
        return re.search(rf"\b{re.escape(word)}\b", self.code) is not None

    def function(self, name: str) -> str:
        """Head and body of a function that the diff adds; empty if it adds none of that name."""
        found = re.search(
            rf"^[\w *]*\b{re.escape(name)}\([^;{{]*\)\n\{{\n.*?^\}}",
            self.code,
            re.DOTALL | re.MULTILINE,
        )
        return found.group() if found else ""

    def arguments(self, name: str) -> tuple[str, ...]:
        """Names of the arguments of a function that the diff adds."""
        listed = self.function(name).partition("(")[2].partition(")")[0]
        return tuple(one.split()[-1].lstrip("*") for one in listed.split(",") if one.strip())

    def struct(self, name: str) -> str:
        """Text of a structure that the diff adds; empty if it adds none of that name."""
        found = re.search(
            rf"^struct {re.escape(name)} \{{\n.*?^\}}", self.code, re.DOTALL | re.MULTILINE
        )
        return found.group() if found else ""

    def size_of(self, define: str) -> int:
        """Value in bytes of a constant that the diff defines as a product of numbers.

        Raises
        ------
        FileError
            If the diff defines no such constant.
        """
        for name, product in _DEFINE.findall(self.code):
            if name == define:
                value = 1
                for factor in product.split("*"):
                    value *= int(factor.strip().rstrip("UL"))
                return value
        raise FileError(data_path(_FILE), "defines no such constant", value=define)


_FILE: Final = "patch/patch-10-of-12.txt"


def read_patch() -> Patch:
    """Read the mail below ``data/``.

    Raises
    ------
    FileError
        If the file holds no commit message, or no diff.
    """
    path = data_path(_FILE)
    lines = path.read_text(encoding="utf-8").splitlines()
    marks = [i for i, line in enumerate(lines) if line.rstrip() == "---"]
    heads = [i for i, line in enumerate(lines) if line.startswith("diff --git ")]
    if not marks or not heads or marks[0] > heads[0]:
        raise FileError(path, "not a mail with a diff", allowed="message, '---', 'diff --git'")
    added, removed, context, hunks = _diff(lines[heads[0] :])
    return Patch(
        message="\n".join(lines[_first_line(lines) : marks[0]]),
        trailer="\n".join(lines[marks[0] + 1 : heads[0]]),
        added=tuple(added),
        removed=tuple(removed),
        context=tuple(context),
        hunks=tuple(hunks),
    )


def _first_line(lines: list[str]) -> int:
    """Index of the first line below the archive's heading: subject, sender, address, date."""
    return 4 if lines and lines[0].startswith("[PATCH") else 0


def _diff(lines: list[str]) -> tuple[list[str], list[str], list[str], list[str]]:
    added: list[str] = []
    removed: list[str] = []
    context: list[str] = []
    hunks: list[str] = []
    for line in lines:
        head = _HUNK.match(line)
        if head:
            hunks.append(head.group(3))
        elif line.rstrip() == "--":  # the signature of the mail
            break
        elif not hunks:
            continue
        elif line.startswith("+"):
            added.append(line[1:])
        elif line.startswith("-"):
            removed.append(line[1:])
        else:
            context.append(line.strip())
    return added, removed, context, hunks
