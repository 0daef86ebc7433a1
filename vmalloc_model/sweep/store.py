"""Finished points: a file each, named by a digest of all that the result follows from.

That is the point, the sources of the function and of every room of the package that it reaches, and
the data files it reads. So a sweep that was stopped goes on where it was, a second one of the same
points computes nothing, and an old result is never taken for a new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from vmalloc_model.caches import cache_folder
from vmalloc_model.dependencies import PACKAGE, PACKAGE_ROOT, module_files
from vmalloc_model.errors import FileError

__all__ = ["Function", "Inputs", "Point", "Result", "Store", "code_digest"]

Point = Mapping[str, Any]
"""Name -> value; values are what JSON can hold."""

Result = dict[str, Any]
"""Name -> value; values are what JSON can hold."""

Function = Callable[[Point], Result]
"""A function of a module of the package, at its top level; the same point has the same result."""

Inputs = Callable[[Point], Iterable[Path]]
"""Tells the data files that a function reads at a point."""

_LIBRARIES: Final = ("numpy", "numba", "polars", "ziglang")


class Store:
    """The finished points of one function.

    Parameters
    ----------
    function : callable
    inputs : callable, optional
        None if the function reads no data files.

    Raises
    ------
    FileError
        If the folder for the results cannot be made.

    Notes
    -----
    A data file is read once in the life of a store.
    """

    def __init__(self, function: Function, inputs: Inputs | None = None) -> None:
        self.function, self.inputs = function, inputs
        self._code = code_digest(function.__module__)
        self._files: dict[Path, bytes] = {}
        self._folder = cache_folder("sweep") / f"{function.__module__}.{function.__qualname__}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                self._folder, f"no folder for finished points ({error.strerror})"
            ) from None

    def name(self, point: Point) -> str:
        """Digest of a point and of all that its result follows from."""
        parts = hashlib.sha256(self._code.encode())
        parts.update(json.dumps(point, sort_keys=True).encode())
        for path in sorted(self.inputs(point)) if self.inputs is not None else ():
            if path not in self._files:
                self._files[path] = hashlib.sha256(path.read_bytes()).digest()
            parts.update(path.name.encode() + b"\0" + self._files[path])
        return parts.hexdigest()[:32]

    def has(self, name: str) -> bool:
        """Tell whether a point is finished."""
        return self._file(name).exists()

    def read(self, name: str) -> Result:
        """Read the result of a finished point."""
        result: Result = json.loads(self._file(name).read_text(encoding="utf-8"))
        return result

    def compute(self, point: Point) -> str:
        """Compute a point; the result is the text that `keep` takes."""
        return json.dumps(self.function(point))

    def keep(self, name: str, text: str) -> None:
        """Make a point finished, whole or not at all.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        part = None
        try:
            handle, part = tempfile.mkstemp(dir=self._folder, prefix=".part-")
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
            Path(part).replace(self._file(name))
        except OSError as error:
            if part is not None:
                Path(part).unlink(missing_ok=True)
            raise FileError(
                self._folder, f"cannot keep a finished point ({error.strerror})"
            ) from None

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


@cache
def code_digest(module: str) -> str:
    """Digest the sources of a module and of all rooms it reaches, and the versions of libraries.

    A room counts as a whole: some load their files by name, and the engine's are not Python.
    """
    rooms = {
        path.relative_to(PACKAGE_ROOT / PACKAGE).parts[0]
        for path in module_files(PACKAGE_ROOT, (), [module])
        if path.parent != PACKAGE_ROOT / PACKAGE or path.name != "__init__.py"
    }
    parts = hashlib.sha256(sys.version.encode())
    parts.update(repr([(name, metadata.version(name)) for name in _LIBRARIES]).encode())
    for room in sorted(rooms):
        place = PACKAGE_ROOT / PACKAGE / room
        files = [place] if place.is_file() else sorted(place.rglob("*.[pch]*"))
        for file in files:
            if file.suffix in (".py", ".c", ".h"):
                parts.update(file.relative_to(PACKAGE_ROOT).as_posix().encode() + b"\0")
                parts.update(hashlib.sha256(file.read_bytes()).digest())
    return parts.hexdigest()
