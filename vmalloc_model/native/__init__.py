"""What is written in C: compiled once, kept in a cache, loaded with ctypes.

There are two libraries: the allocator's engine, and the reader of trace lines, apart from it so
that a change of the engine does not concern those who only read a trace. The compiler is the one of
the package ``ziglang`` (clang), so every machine compiles the same way and needs none of its own. A
compiled library lies in a folder named by a digest of its sources, the compiler and the processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from vmalloc_model.caches import cache_folder
from vmalloc_model.errors import ModelError

__all__ = ["checked_build", "library", "warm_up"]

_HERE: Final = Path(__file__).resolve().parent
_FOLDERS: Final = {"engine": ".", "lines": "lines"}
_FLAGS: Final = ("-O3", "-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-mcpu=native")
_CHECKS: Final = ("-DCHECKED", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-g")
_NO_CHECKS: Final = ("-fno-sanitize=all", "-g0")


def checked_build() -> bool:
    """Tell whether the engine verifies itself at every step (``VMALLOC_MODEL_CHECKED=1``)."""
    return os.environ.get("VMALLOC_MODEL_CHECKED", "") not in ("", "0")


def warm_up(say: Callable[[str], None] | None = None) -> None:
    """Compile the engine if that has not been done.

    Parameters
    ----------
    say : callable, optional
        Gets a line before a compilation. By default that line goes to standard error if that is a
        terminal.
    """
    if not _path().exists():
        line = "compiling the allocator model (once, a few seconds)"
        if say is not None:
            say(line)
        elif sys.stderr.isatty():
            print(line, file=sys.stderr)
    library()


@cache
def library(name: str = "engine") -> ctypes.CDLL:
    """Load a library; it is compiled first if it is not in the cache.

    Parameters
    ----------
    name : {"engine", "lines"}
        Which one.

    Raises
    ------
    ModelError
        If the compiler fails; its first message is given.
    """
    path = _path(name)
    if not path.exists():
        _compile(path)
    return ctypes.CDLL(os.fspath(path))


def _path(name: str = "engine") -> Path:
    return cache_folder("engine") / _digest(name) / f"{name}.so"


def _flags() -> tuple[str, ...]:
    return (*_FLAGS, *(_CHECKS if checked_build() else _NO_CHECKS))


@cache
def _digest(name: str) -> str:
    parts = hashlib.sha256()
    folder = _HERE / _FOLDERS[name]
    for source in sorted([*folder.glob("*.c"), *folder.glob("*.h")]):
        parts.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    words = (metadata.version("ziglang"), platform.machine(), _processor(), *_flags())
    parts.update("\0".join(words).encode())
    return parts.hexdigest()[:16]


def _processor() -> str:
    """Name of the processor: machine code for one may not run on another."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.processor()
    lines = [line for line in text.splitlines() if line.startswith(("model name", "flags"))]
    return "\n".join(lines[:2]) or platform.processor()


def _compile(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        command = [sys.executable, "-m", "ziglang", "cc", *_flags(), "-o", str(part)]
        run = subprocess.run(
            [*command, str(_HERE / _FOLDERS[path.stem] / f"{path.stem}.c")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ZIG_LOCAL_CACHE_DIR": folder, "ZIG_GLOBAL_CACHE_DIR": folder},
        )
        if run.returncode:
            lines = [line for line in run.stderr.splitlines() if line.strip()]
            raise ModelError(
                f"the {path.stem} does not compile: {lines[0] if lines else 'no message'}"
            )
        part.replace(path)  # complete or not there
