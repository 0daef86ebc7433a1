"""Files as the runner needs them: digests, and results that appear whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Digests", "exclusive", "files_below", "replace_folder", "write_if_different"]


class Digests:
    """SHA-256 of files and folder listings; each is read once in the life of this object."""

    def __init__(self) -> None:
        self._known: dict[Path, str | None] = {}

    def of(self, path: Path) -> str | None:
        """Digest of a file's bytes, or of a folder's sorted names; None if there is neither."""
        if path not in self._known:
            self._known[path] = _digest(path)
        return self._known[path]


def _digest(path: Path) -> str | None:
    try:
        if path.is_dir():
            listing = "\n".join(sorted(entry.name for entry in path.iterdir()))
            return hashlib.sha256(listing.encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted, without the interpreter's caches."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.relative_to(folder).parts
    )


def write_if_different(path: Path, content: bytes) -> bool:
    """Give a file this content, whole or not at all; tell whether that changed anything.

    A file that has the content already keeps its time stamp.
    """
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
    return True


def replace_folder(new: Path, target: Path) -> None:
    """Rename `new` to `target`; a folder that is there already is removed afterwards.

    Both must lie on one file system.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    old = new.with_name(f".{new.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes that build into it; wait for one that does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build in {folder} to end", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
