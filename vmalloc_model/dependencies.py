"""Which modules of the package a piece of code can reach, read from its import statements.

Imports inside functions count, and so does every ``__init__.py`` on the way to a module. A module
imported by a computed name shows only in a running notebook: the record of its kernel adds it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["PACKAGE", "PACKAGE_ROOT", "module_files"]

PACKAGE: Final = "vmalloc_model"

PACKAGE_ROOT: Final = Path(__file__).resolve().parent.parent
"""The folder that holds the package."""


def module_files(root: Path, sources: Iterable[str], names: Iterable[str] = ()) -> set[Path]:
    """Files of the package that code depends on, directly or through other modules.

    Parameters
    ----------
    root : Path
        Folder that holds the package.
    sources : iterable of str
        Code that stands outside the package, such as the cells of a notebook. What is not valid
        Python imports nothing here: running it will say so.
    names : iterable of str
        Dotted names of modules to start from as well.

    Returns
    -------
    set of Path
        Module files below `root`.
    """
    waiting = [name for source in sources for name in _imported(source, "")] + list(names)
    found: set[Path] = set()
    while waiting:
        for file, package in _files_of(root, waiting.pop()):
            if file not in found:
                found.add(file)
                waiting += _imported(file.read_text(encoding="utf-8"), package)
    return found


def _files_of(root: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Find the file of a dotted name and those of the packages around it, each with its package.

    A name that is no module (a function that was imported from one) has only the latter.
    """
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return
    for end in range(1, len(parts) + 1):
        stem = root.joinpath(*parts[:end])
        if (stem / "__init__.py").is_file():
            yield stem / "__init__.py", ".".join(parts[:end])
        elif stem.with_suffix(".py").is_file():
            yield stem.with_suffix(".py"), ".".join(parts[: end - 1])


@cache
def _imported(source: str, package: str) -> tuple[str, ...]:
    """List the names a source imports, that of ``from a import b`` both as a and as a.b."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                around = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*around, *([base] if base else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)
