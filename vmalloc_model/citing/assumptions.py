"""What each figure, table and claim rests on: ``data/assumptions.toml``."""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Final

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError

__all__ = ["MOST", "assumptions_of", "load_assumptions", "value_text"]

MOST: Final = 3
"""Most assumptions of one result."""

KINDS: Final = ("claim", "result", "topic", "notebook")
"""Tables of the file; an entry for one result overrides that of its topic or notebook."""

_NAME: Final = "assumptions.toml"
_PLACE: Final = re.compile(r"\{(\w+)\}")


def load_assumptions() -> dict[str, dict[str, list[str]]]:
    """Read the file: kind -> id -> sentences, the most important first.

    Raises
    ------
    FileError
        If a kind is unknown, or an entry is no list of texts.
    """
    path = data_path(_NAME)
    return _loaded(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _loaded(path: Path, _changed: int) -> dict[str, dict[str, list[str]]]:
    tables = read_toml(_NAME)
    for kind, entries in tables.items():
        if kind not in KINDS:
            raise FileError(path, "unknown table", value=kind, allowed=", ".join(KINDS))
        for id, texts in entries.items():
            good = isinstance(texts, list) and all(isinstance(one, str) and one for one in texts)
            if not good or not texts:
                raise FileError(path, f"{kind}.{id}: no assumptions", allowed="a list of texts")
    return tables


def assumptions_of(
    names: Mapping[str, str], parameters: Mapping[str, Any], others: Container[str] = ()
) -> tuple[str, ...]:
    """Look up the assumptions of one result, with its parameters filled in.

    Parameters
    ----------
    names : mapping of str to str
        Kind -> id, the closest first: ``{"result": "fig-modules", "notebook": "coverage"}``.
    parameters : mapping
        What ``{name}`` in a text stands for.
    others : container of str
        Parameters that the result does not depend on: what is said of them does not concern it.

    Returns
    -------
    tuple of str
        The first three; empty if the file says nothing about any of `names`.

    Raises
    ------
    FileError
        If a text names a parameter that there is not.
    """
    tables = load_assumptions()
    for kind, id in names.items():
        texts = [
            text
            for text in tables.get(kind, {}).get(id, [])
            if not any(name in others for name in _PLACE.findall(text))
        ]
        if texts:
            return tuple(_filled(kind, id, text, parameters) for text in texts[:MOST])
    return ()


def value_text(value: Any) -> str:
    """Print a parameter's value as a command line takes it."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _filled(kind: str, id: str, text: str, parameters: Mapping[str, Any]) -> str:
    unknown = [name for name in _PLACE.findall(text) if name not in parameters]
    if unknown:
        path = data_path(_NAME)
        raise FileError(path, f"{kind}.{id}: no such parameter", value=unknown[0])
    return _PLACE.sub(lambda match: value_text(parameters[match[1]]), text)
