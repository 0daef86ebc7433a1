"""Which commit a checkout holds, and what in it is not committed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Commit", "commit_of"]


@dataclass(frozen=True)
class Commit:
    """State of a checkout.

    Attributes
    ----------
    id : str
        The commit; empty if there is no git, or the folder is not the top of a repository.
    changes : tuple of str
        Changed and new files, sorted, as paths from the top; ignored ones do not count.
    """

    id: str
    changes: tuple[str, ...] = ()


def commit_of(root: Path) -> Commit:
    """Ask git about the checkout at `root`."""
    top = _git(root, "rev-parse", "--show-toplevel")
    id = _git(root, "rev-parse", "--verify", "HEAD")
    if not top or not id or Path(top.strip()).resolve() != root.resolve():
        return Commit("")
    listed = _git(root, "status", "--porcelain", "-z", "--no-renames") or ""
    return Commit(id.strip(), tuple(sorted(entry[3:] for entry in listed.split("\0") if entry)))


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
