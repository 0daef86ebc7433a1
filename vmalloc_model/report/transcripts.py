"""Commands that pages of the book show, run before the book is built, with their real output.

A page writes them in a block; each line is a command, or a comment on the next one::

    ```{transcript}
    :status: 2
    :lines: 12
    # no such policy
    vmalloc-model simulate --policy rfc13 --workload churn
    ```

``status`` is the exit status that is expected, 0 by default; ``lines`` is how many lines of each
output the page shows. All commands of a page run one after the other in one scratch folder, in
which ``data`` is the project's; different pages run side by side. Standard output is kept, and of
standard error the lines that say ``error:``. The others are progress, which depends on what was
computed before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vmalloc_model.dependencies import PACKAGE
from vmalloc_model.errors import FileError, ModelError
from vmalloc_model.report.files import Digests, files_below, write_if_different
from vmalloc_model.report.project import Project
from vmalloc_model.report.runner import Say

__all__ = ["Block", "Command", "bring_up_to_date", "kept_blocks", "read_blocks", "split_commands"]

HOME: Final = "~/report"
"""What outputs call the folder of the reader's checkout."""
LONGEST: Final = 300
"""Seconds after which a command is taken to hang."""

_BLOCK: Final = re.compile(r"^(`{3,}|:{3,})\{transcript\} *\n(.*?)^\1 *$", re.M | re.S)
_OPTION: Final = re.compile(r":(status|lines): *(\d+) *")
_PASSED: Final = ("HOME", "TMPDIR", "VMALLOC_MODEL_CACHE", "VMALLOC_MODEL_CHECKED")


class TranscriptError(ModelError):
    """A command that a page shows did not end as it should."""


@dataclass(frozen=True)
class Command:
    """A command as it is typed, with the comments above it.

    Attributes
    ----------
    comments : tuple of str
        Lines that begin with ``#``.
    text : str
        The command; lines that a backslash continues are kept as they are.
    """

    comments: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes
    ----------
    line : int
        1-based line of the page on which the block begins.
    commands : tuple of Command
        In order.
    status : int
        How each of them must end.
    lines : int or None
        Lines of each output to show; None: all.
    """

    line: int
    commands: tuple[Command, ...]
    status: int = 0
    lines: int | None = None


def split_commands(text: str) -> tuple[Command, ...]:
    """Split the body of a block into its commands."""
    commands: list[Command] = []
    comments: list[str] = []
    typed: list[str] = []
    for line in text.splitlines():
        if not typed and (line.startswith("#") or not line.strip()):
            comments += [line] if line.strip() else []
            continue
        typed.append(line)
        if not line.endswith("\\"):
            commands.append(Command(tuple(comments), "\n".join(typed)))
            comments, typed = [], []
    return tuple(commands)


def read_blocks(page: Path) -> list[Block]:
    """Read the blocks of a page.

    Raises
    ------
    FileError
        If a block has no command.
    """
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        body, options = match[2], {}
        while option := _OPTION.match(body):
            options[option[1]] = int(option[2])
            body = body[option.end() :].lstrip("\n")
        commands = split_commands(body)
        if not commands:
            raise FileError(page, "a transcript without commands", line=line)
        blocks.append(Block(line, commands, options.get("status", 0), options.get("lines")))
    return blocks


def bring_up_to_date(project: Project, say: Say) -> list[ModelError]:
    """Run the commands of the pages on which something changed that they may follow from.

    Parameters
    ----------
    project : Project
        The checkout; its notebooks are up to date.
    say : callable
        Told, per page with commands, that it is up to date or why its commands run.

    Returns
    -------
    list of ModelError
        One for each page with a command that did not end as expected; what was kept of the page
        is then still there.

    Raises
    ------
    FileError
        If a block has no command.
    """
    pages = {page: read_blocks(page) for page in sorted(project.book.glob("*.md"))}
    pages = {page: blocks for page, blocks in pages.items() if blocks}
    for old in sorted(_folder(project).glob("*.json")):
        if old not in [_record(project, page) for page in pages]:
            old.unlink()
    if not pages:
        return []
    inputs = _inputs(project)
    stale = {}
    for page, blocks in pages.items():
        reason = _stale_because(_kept(project, page), inputs, blocks)
        say(f"{project.label(page)}: " + (f"running its commands: {reason}" if reason else _FRESH))
        if reason:
            stale[page] = blocks

    ended = threading.Event()

    def run(page: Path) -> ModelError | None:
        try:
            done = list(_run(project, page, stale[page], ended))
        except ModelError as error:
            return error
        kept = {"inputs": inputs, "blocks": done}
        write_if_different(_record(project, page), (json.dumps(kept, indent=1) + "\n").encode())
        return None

    with ThreadPoolExecutor(max(1, len(stale))) as pool:
        try:
            return [error for error in pool.map(run, stale) if error is not None]
        except BaseException:
            ended.set()  # else the pool would wait for all that is still to be run
            raise


_FRESH: Final = "commands up to date"


def kept_blocks(project: Project, page: Path) -> list[dict[str, Any]]:
    """Read what was kept of a page: per block ``status`` and ``commands``, pairs of text, output.

    An empty list if nothing was.
    """
    kept = _kept(project, page)
    return kept["blocks"] if kept else []


def _folder(project: Project) -> Path:
    return project.build / "transcripts"


def _record(project: Project, page: Path) -> Path:
    return _folder(project) / f"{page.stem}.json"


def _kept(project: Project, page: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(_record(project, page).read_text(encoding="utf-8"))
        return kept if {"inputs", "blocks"} <= kept.keys() else None
    except (OSError, ValueError):
        return None


def _inputs(project: Project) -> dict[str, str | None]:
    """Everything an output may follow from, by digest: rather too much than too little."""
    folders = [project.root / PACKAGE, project.data, project.notebooks]
    files = [path for folder in folders for path in files_below(folder)]
    files += [project.lock_file, project.root / "CITATION.cff"]
    digests = Digests()
    return {project.label(path): digests.of(path) for path in files}


def _stale_because(
    kept: dict[str, Any] | None, inputs: dict[str, str | None], blocks: list[Block]
) -> str | None:
    if kept is None:
        return "no earlier output"
    for label in sorted(inputs.keys() | kept["inputs"].keys()):
        if inputs.get(label) != kept["inputs"].get(label):
            return f"{label} changed"
    known = [(old["status"], [text for text, _ in old["commands"]]) for old in kept["blocks"]]
    wanted = [(block.status, [one.text for one in block.commands]) for block in blocks]
    return None if known == wanted else "its commands changed"


def _run(
    project: Project, page: Path, blocks: list[Block], ended: threading.Event
) -> Iterator[dict[str, Any]]:
    """Run the commands of a page in order; yield what is kept of each block."""
    scratch = Path(tempfile.mkdtemp(prefix="vmalloc-page-")).resolve()
    try:
        (scratch / "data").symlink_to(project.data)
        for block in blocks:
            outputs = []
            for command in block.commands:
                if ended.is_set():
                    return
                output = _output(project, page, block, command, scratch)
                outputs.append((command.text, output))
            yield {"status": block.status, "commands": outputs}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _output(project: Project, page: Path, block: Block, command: Command, scratch: Path) -> str:
    """Output of a command, independent of where it ran."""
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    environment |= {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "VMALLOC_MODEL_DATA": str(project.data),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONHASHSEED": "0",
    }
    where = f"{project.label(page)}, line {block.line:,}"
    try:
        done = subprocess.run(
            ["sh", "-c", command.text],
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        raise TranscriptError(f"{where}: no end after {LONGEST} s: {command.text}") from None
    if done.returncode != block.status:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        status = f"exit status {done.returncode}, not {block.status}"
        raise TranscriptError(f"{where}: {status}: {command.text}: {said[-1]}")
    errors = [line for line in done.stderr.splitlines(True) if line.startswith(b"error: ")]
    text = b"".join([done.stdout, *errors]).decode(errors="replace")
    for folder in (scratch, project.root):
        text = text.replace(str(folder), HOME)
    return text
