"""An installed copy of the report, laid out in the user's cache as a checkout is.

Notebooks and pages are made from files that lie beside each other, and leave results there. An
installation may be read-only, so this is done in a copy, which is named by its content.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from vmalloc_model.caches import cache_folder
from vmalloc_model.datafiles import CARRIED, ROOT
from vmalloc_model.dependencies import PACKAGE, PACKAGE_ROOT
from vmalloc_model.errors import FileError
from vmalloc_model.report.files import Digests, files_below

__all__ = ["laid_out"]


def laid_out() -> Path:
    """Lay out the installed package and what it carries, once; return the folder.

    Raises
    ------
    FileError
        If the user's cache cannot be written; nothing half-made is left.
    """
    package = PACKAGE_ROOT / PACKAGE
    target = cache_folder("report") / _digest(package)
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as private:
            made = Path(private) / "report"
            _copy(ROOT, made)
            _copy(package, made / PACKAGE, without=package / CARRIED)
            try:
                made.rename(target)
            except OSError:
                if not target.is_dir():  # else another process was faster
                    raise
    except OSError as error:
        allowed = "another cache, in VMALLOC_MODEL_CACHE"
        problem = f"cannot be written ({error.strerror})"
        raise FileError(target.parent, problem, allowed=allowed) from None
    return target


def _copy(source: Path, target: Path, without: Path | None = None) -> None:
    """Copy a folder; unlike `shutil.copytree` it stops at the first error."""
    for path in files_below(source):
        if without is None or not path.is_relative_to(without):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)


def _digest(folder: Path) -> str:
    parts, digests = hashlib.sha256(), Digests()
    for path in files_below(folder):
        parts.update(f"{path.relative_to(folder).as_posix()}\0{digests.of(path)}\n".encode())
    return parts.hexdigest()[:16]
