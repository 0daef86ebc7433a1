"""Tests of ``vmalloc_model/report/installed.py``."""

import errno
import os

import pytest

from vmalloc_model.errors import FileError, InputError
from vmalloc_model.report import installed, project
from vmalloc_model.report.files import files_below
from vmalloc_model.report.project import Project


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package as it is installed, and a cache for it."""
    package = tmp_path / "site-packages" / "vmalloc_model"
    carried = package / "_checkout"
    for path in (
        package / "units.py",
        package / "native" / "engine.c",
        package / "__pycache__" / "units.pyc",
        carried / "notebooks" / "cost.md",
        carried / "data" / "platforms.csv",
        carried / "requirements.txt",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    for module in (installed, project):
        monkeypatch.setattr(module, "ROOT", carried)
    monkeypatch.setattr(installed, "PACKAGE_ROOT", package.parent)
    monkeypatch.setenv("VMALLOC_MODEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VMALLOC_MODEL_DATA", raising=False)
    return package


def test_it_is_laid_out_as_a_checkout_once(package):
    found = Project.at()
    assert found.names() == ["cost"]
    assert found.data == found.root / "data"
    assert not found.root.is_relative_to(package.parent)
    assert [path.relative_to(found.root).as_posix() for path in files_below(found.root)] == [
        "data/platforms.csv",
        "notebooks/cost.md",
        "requirements.txt",
        "vmalloc_model/native/engine.c",
        "vmalloc_model/units.py",
    ]
    (found.root / "_build").mkdir()
    assert Project.at() == found
    assert list(found.root.parent.iterdir()) == [found.root]


def test_another_content_has_a_place_of_its_own(package):
    first = Project.at()
    (package / "_checkout" / "notebooks" / "cost.md").write_text("changed")
    second = Project.at()
    assert second.root != first.root
    assert second.source("cost").read_text() == "changed"


def test_files_are_not_newer_than_those_installed(package):
    """Else a notebook that runs at once would record them as changed while it ran."""
    os.utime(package / "units.py", (1, 1))
    assert (Project.at().root / "vmalloc_model" / "units.py").stat().st_mtime == 1


def test_a_cache_that_cannot_be_written_is_one_error(package, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(FileError, match=r"cannot be written.*allowed: another cache"):
        Project.at()


def test_on_a_full_disk_nothing_half_made_is_left(package, tmp_path, monkeypatch):
    def full(source, _):
        if source.name == "units.py":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(installed.shutil, "copy2", full)
    with pytest.raises(FileError, match=r"cannot be written \(No space left on device\)"):
        Project.at()
    assert list((tmp_path / "cache" / "report").iterdir()) == []


def test_what_needs_a_checkout_says_so(package):
    with pytest.raises(InputError, match=r"this copy is installed; allowed: .* in a clone"):
        Project.of_checkout()
