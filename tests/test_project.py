"""The files around the package: what a newcomer meets first."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import vmalloc_model

ROOT = Path(__file__).resolve().parent.parent


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = [name for name in listed.stdout.split("\0") if name]
    if not names:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_the_citation_file_is_valid():
    run = subprocess.run(
        [
            Path(sys.executable).with_name("check-jsonschema"),
            "--builtin-schema",
            "vendor.citation-file-format",
            ROOT / "CITATION.cff",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_versions_and_authors_agree():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == vmalloc_model.__version__
    assert f"## {vmalloc_model.__version__}" in read("CHANGELOG.md")
    assert [author["name"] for author in citation["authors"]] == [
        "The vmalloc chunk report authors"
    ]
    assert citation["license"] == ["BSD-3-Clause", "CC-BY-4.0"]


def test_the_licences_are_whole():
    assert read("LICENSE").startswith("BSD 3-Clause License")
    assert "Creative Commons Attribution 4.0 International" in read("LICENSE-TEXT")
    assert len(read("LICENSE-TEXT").splitlines()) > 350


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_locked_with_a_hash(name):
    entries = re.split(r"\n(?=\S)", read(name).strip())
    assert len(entries) > 10
    for entry in entries:
        if not entry.startswith("-c "):
            assert re.match(r"[a-z0-9._-]+==\S+", entry), entry.splitlines()[0]
            assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_what_is_wanted_is_locked(name):
    wanted = re.findall(r"^([A-Za-z0-9][\w-]*)", read(f"{name}.in"), re.MULTILINE)
    locked = set(re.findall(r"^([a-z0-9._-]+)==", read(f"{name}.txt"), re.MULTILINE))
    assert wanted
    assert {w.lower().replace("_", "-") for w in wanted} <= locked


def test_make_help_lists_every_target():
    makefile = read("Makefile")
    targets = re.findall(r"^\.PHONY: ([\w-]+)$", makefile, re.MULTILINE)
    shown = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target in targets:
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE), target
    assert {"book", "test", "check", "lint", "bench", "clean", "help"} <= set(targets)


def load_check_python():
    spec = importlib.util.spec_from_file_location("check_python", ROOT / "tools/check_python.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 10, 9), 2), ((3, 11, 0), 0), ((3, 12, 4), 0), ((3, 13, 1), 0), ((3, 14, 0), 2)],
)
def test_only_python_3_11_to_3_13_is_taken(monkeypatch, capsys, version, status):
    module = load_check_python()
    monkeypatch.setattr(module.sys, "version_info", version)
    assert module.main() == status
    said = capsys.readouterr().err
    assert said.count("\n") == (1 if status else 0)
    assert ("allowed: 3.11, 3.12 or 3.13" in said) == bool(status)


def test_a_python_without_venv_is_refused_in_one_line(monkeypatch, capsys):
    module = load_check_python()
    monkeypatch.setattr(module.sys, "version_info", (3, 12, 0))
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert module.main() == 2
    said = capsys.readouterr().err
    assert "no venv module" in said
    assert said.count("\n") == 1


def test_the_supported_pythons_are_stated_once():
    assert tomllib.loads(read("pyproject.toml"))["project"]["requires-python"] == ">=3.11,<3.14"


def test_nothing_names_a_machine_or_leaves_work_open():
    machine = re.compile(r"(?<![\w.])/(?:root|work)/[a-z]")
    left = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    for path in tracked():
        if path.suffix in (".gz", ".svg", ".png") or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not machine.search(text), f"{path}: {machine.search(text).group()}"
        assert not left.search(text), path
