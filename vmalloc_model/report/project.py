"""Where everything lies in a checkout, and names of its files that hold in any checkout."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vmalloc_model.datafiles import ROOT
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.report.installed import laid_out

__all__ = ["Project"]


@dataclass(frozen=True, slots=True)
class Project:
    """A checkout of the report.

    Attributes
    ----------
    root : Path
        Absolute path of the folder that holds ``notebooks/``, ``book/``, ``data/`` and the package.
    data : Path
        Absolute path of the input data: ``root/data``, or what ``VMALLOC_MODEL_DATA`` names.
    """

    root: Path
    data: Path

    @classmethod
    def at(cls, root: Path | None = None) -> Project:
        """Describe the checkout at `root`, with the data folder of the environment.

        Without `root`, the checkout around this package; if the package is installed, the copy of
        one that is laid out in the user's cache.
        """
        root = (root or (ROOT if _in_checkout() else laid_out())).resolve()
        return cls(root, Path(os.environ.get("VMALLOC_MODEL_DATA", root / "data")).resolve())

    @classmethod
    def of_checkout(cls) -> Project:
        """Describe the checkout around this package.

        Raises
        ------
        InputError
            If the package is installed: then there is none.
        """
        if not _in_checkout():
            raise InputError(
                "this command",
                "works on a checkout of the report, and this copy is installed",
                allowed="the same command in a clone, after `make book`",
            )
        return cls.at(ROOT)

    @property
    def notebooks(self) -> Path:
        """Sources of the chapters, ``*.md``."""
        return self.root / "notebooks"

    @property
    def book(self) -> Path:
        """Source folder of the book."""
        return self.root / "book"

    @property
    def lock_file(self) -> Path:
        """Every dependency with version and hash."""
        return self.root / "requirements.txt"

    @property
    def committed(self) -> Path:
        """The results that are under version control."""
        return self.root / "data" / "results"

    @property
    def build(self) -> Path:
        """Everything that is made and can be made again."""
        return self.root / "_build"

    @property
    def runs(self) -> Path:
        """One folder of finished results per notebook."""
        return self.build / "notebooks"

    @property
    def kept(self) -> Path:
        """Finished results with other parameters: ``<notebook>/<digest of the parameters>``."""
        return self.build / "runs"

    @property
    def failed(self) -> Path:
        """Notebooks as far as they got when a cell failed."""
        return self.build / "failed"

    @property
    def caches(self) -> Path:
        """Where machine code and points of sweeps are kept, named by digests of their sources."""
        return self.build / "cache"

    @property
    def scratch(self) -> Path:
        """Unfinished folders; on the file system of the finished ones, so that a rename works."""
        return self.build / "tmp"

    def names(self) -> list[str]:
        """Names of all notebooks, sorted."""
        return sorted(path.stem for path in self.notebooks.glob("*.md"))

    def source(self, name: str) -> Path:
        """Path of a notebook's source.

        Raises
        ------
        InputError
            If there is none; the known names are listed, nearest first.
        """
        known = self.names()
        if name not in known:
            listed = ", ".join(nearest(name, known)) or None
            raise InputError("notebook", "unknown name", value=name, allowed=listed)
        return self.notebooks / f"{name}.md"

    def label(self, path: Path) -> str:
        """Name a file independently of where the checkout lies.

        Files of the data folder are ``data/...`` wherever it is, files of the checkout are relative
        to its root; any other file keeps its absolute path. `path` must be absolute.
        """
        if path.is_relative_to(self.data):
            return (Path("data") / path.relative_to(self.data)).as_posix()
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()

    def located(self, label: str) -> Path:
        """Path of a file from its `label`."""
        if label.startswith("data/"):
            return self.data / label.removeprefix("data/")
        return self.root / label


def _in_checkout() -> bool:
    return (ROOT / "pyproject.toml").is_file()
