"""How the report is cited: ``CITATION.cff``, and BibTeX made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from vmalloc_model.errors import FileError

__all__ = ["author_names", "bibtex", "read_citation"]

KEY: Final = "vmalloc-chunk-report"
"""What the entry is called in a file of BibTeX."""

_NEEDED: Final = ("title", "authors", "version", "date-released", "license")
_SPECIAL: Final = str.maketrans({char: f"\\{char}" for char in "_&%#$"})


def read_citation(path: Path) -> dict[str, Any]:
    """Read a ``CITATION.cff``.

    Parameters
    ----------
    path : Path
        The file; keys and values are those of the Citation File Format 1.2.0.

    Raises
    ------
    FileError
        If it cannot be read, or lacks what the report shows of it.
    """
    import yaml

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise FileError(path, f"not YAML ({' '.join(str(error).split())})") from None
    missing = [key for key in _NEEDED if not isinstance(told, dict) or key not in told]
    if missing:
        raise FileError(path, "lacks a key", value=missing[0])
    citation: dict[str, Any] = told
    return citation


def bibtex(citation: dict[str, Any]) -> str:
    """Write the BibTeX entry of a citation; ``@misc``, which every style knows."""
    year, month, _ = str(citation["date-released"]).split("-")
    authors = " and ".join(f"{{{name}}}" for name in author_names(citation))
    fields = {
        "author": f"{{{authors.translate(_SPECIAL)}}}",
        "title": f"{{{{{citation['title'].translate(_SPECIAL)}}}}}",
        "year": f"{{{year}}}",
        "month": f"{{{int(month)}}}",
        "note": f"{{Version {citation['version']}}}",
    }
    width = max(map(len, fields))
    lines = [f"  {name:{width}} = {value}," for name, value in fields.items()]
    return "\n".join([f"@misc{{{KEY},", *lines, "}"]) + "\n"


def author_names(citation: dict[str, Any]) -> list[str]:
    """Names of the authors: persons as ``given family``, others as they are called."""
    return [
        one["name"] if "name" in one else f"{one['given-names']} {one['family-names']}"
        for one in citation["authors"]
    ]
