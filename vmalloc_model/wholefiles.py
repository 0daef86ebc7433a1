"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vmalloc_model.errors import FileError

__all__ = ["new_file"]


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when all went well, else leaves no trace.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    mask = os.umask(0)
    os.umask(mask)
    part: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        part = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
        part.chmod(0o666 & ~mask)
        part.replace(path)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
