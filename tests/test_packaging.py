"""What ``pip install .`` installs, and that it works away from any checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vmalloc_model.caches import cache_folder
from vmalloc_model.native import warm_up

ROOT = Path(__file__).resolve().parent.parent
CARRIED = "vmalloc_model/_checkout"
COPIED = ("data", "notebooks", "book")
SINGLE = ("_config.yml", "requirements.txt", "CITATION.cff")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """Folder the wheel is unpacked in."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's home; the engine need not be compiled again there."""
    home = tmp_path_factory.mktemp("home")
    warm_up()
    cache = home / ".cache" / "vmalloc-model"
    cache.mkdir(parents=True)
    (cache / "engine").symlink_to(cache_folder("engine"))
    return home


@pytest.fixture(scope="module")
def run(site, home, tmp_path_factory):
    """Run a command of the installed copy in an empty folder."""
    names = ("VMALLOC_", "XDG_", "PYTHON")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    environment |= {"PYTHONPATH": str(site), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "vmalloc_model", *words],
            cwd=tmp_path_factory.mktemp("empty"),
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def sources(folder):
    """Files below a folder of the checkout that are not made."""
    for path in sorted((ROOT / folder).rglob("*")):
        label = path.relative_to(ROOT)
        made = "__pycache__" in label.parts or label.parts[:2] == ("book", "notebooks")
        if path.is_file() and not made:
            yield label.as_posix()


def test_the_wheel_holds_the_package_and_what_stands_beside_it(wheel):
    expected = set(sources("vmalloc_model"))
    expected |= {f"{CARRIED}/{name}" for folder in COPIED for name in sources(folder)}
    expected |= {f"{CARRIED}/{name}" for name in SINGLE}
    with zipfile.ZipFile(wheel) as packed:
        held = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_help_is_there_and_writes_nothing(run, site, home):
    before = times(site), times(home)
    shown = run("--help")
    assert shown.returncode == 0, shown.stderr
    assert (times(site), times(home)) == before


@pytest.mark.notebooks
def test_a_chapter_runs_and_nothing_is_written_beside_the_package(run, site, home):
    before = times(site)
    done = run("run", "coverage", "-p", "chunk_size=32M", "--no-html", "--out", "again")
    assert done.returncode == 0, done.stderr
    assert "coverage: done" in done.stderr
    assert times(site) == before
    (place,) = (home / ".cache" / "vmalloc-model" / "report").iterdir()
    (kept,) = place.glob("_build/runs/coverage/*/provenance.json")
    inputs = json.loads(kept.read_text())["inputs"]
    labels = [label for group in inputs.values() for label in group]
    assert {"data/callers.csv", "vmalloc_model/callers.py", "notebooks/coverage.md"} <= set(labels)
    assert not [label for label in labels if label.startswith("/")]


def test_what_needs_a_checkout_is_refused_in_one_line(run):
    for command in ("build", "check", "accept", "dist"):
        refused = run(command)
        assert refused.returncode == 2, command
        assert refused.stderr.count("\n") == 1
        assert "this copy is installed" in refused.stderr
