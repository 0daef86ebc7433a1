"""Tests of ``vmalloc_model/report/archive.py``."""

import errno
import hashlib
import os
import subprocess
import tarfile
from datetime import UTC, datetime
from functools import partial

import pytest

import vmalloc_model
from vmalloc_model.cli import dist
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.report import archive, commit
from vmalloc_model.report.archive import members, pack, release_name, released
from vmalloc_model.report.commit import Commit
from vmalloc_model.report.project import Project

CLEAN = Commit("c0ffee")
WHEN = datetime(2026, 2, 3, tzinfo=UTC)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="2"><path d="M0 0"/></svg>'
FIGURE = {"data.csv": "a\n1\n", "chart.svg": SVG, "chart.vl.json": "{}", "text.txt": "MODEL\n"}


@pytest.fixture
def project(tmp_path):
    """A checkout in which everything has been built: one chapter with a figure and a table."""
    files = {
        "CHANGELOG.md": "# Changelog\n",
        "CITATION.cff": "date-released: 2026-02-03\n",
        "LICENSE": "BSD\n",
        "LICENSE-TEXT": "CC\n",
        "notebooks/one.md": "# One\n",
        "_build/html/index.html": "<html></html>",
        "_build/html/notebooks/one.html": "<html></html>",
        "_build/text/report.txt": "One\n===\n",
        "_build/notebooks/one/one.ipynb": "{}",
        "_build/notebooks/one/numbers.json": "{}\n",
        "_build/notebooks/one/provenance.json": "{}\n",
        **{f"_build/notebooks/one/fig-a/{name}": text for name, text in FIGURE.items()},
        "_build/notebooks/one/fig-a/meta.json": "{}\n",
        "_build/notebooks/one/tab-b/data.csv": "b\n2\n",
        "_build/notebooks/one/tab-b/meta.json": "{}\n",
        "_build/notebooks/gone/provenance.json": "{}\n",
    }
    root = tmp_path / "checkout"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Project(root, root / "data")


def unpacked(packed, folder):
    with tarfile.open(packed.path) as opened:
        opened.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def test_it_holds_pages_text_data_and_what_says_where_they_are_from(project):
    found = members(project, CLEAN)
    assert list(found) == sorted(found)
    assert set(found) == {
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "LICENSE-TEXT",
        "README.txt",
        "SHA256SUMS",
        "book/index.html",
        "book/notebooks/one.html",
        "data/one/fig-a.csv",
        "data/one/fig-a.meta.json",
        "data/one/fig-a.png",
        "data/one/fig-a.svg",
        "data/one/fig-a.txt",
        "data/one/fig-a.vl.json",
        "data/one/numbers.json",
        "data/one/provenance.json",
        "data/one/tab-b.csv",
        "data/one/tab-b.meta.json",
        "text/report.txt",
    }
    assert found["data/one/fig-a.svg"].decode() == SVG
    assert found["data/one/fig-a.png"].startswith(b"\x89PNG")


def test_the_readme_is_plain_text_and_names_what_is_there_and_nothing_else(project):
    without = members(project, CLEAN)["README.txt"].decode("ascii")
    assert max(map(len, without.splitlines())) <= 72
    assert "snippets.txt" not in without
    assert "{" not in without
    assert "c0ffee" in without
    more = members(project, CLEAN, {"snippets.txt": b"MODEL\n"})
    assert more["snippets.txt"] == b"MODEL\n"
    assert "\nsnippets.txt  " in more["README.txt"].decode("ascii")


def test_checksums_hold_for_every_file_and_for_the_archive(project, tmp_path):
    content = members(project, CLEAN)
    packed = pack(release_name(CLEAN), content, tmp_path / "new" / "dist", WHEN)
    top = unpacked(packed, tmp_path / "there")
    assert top.name == f"vmalloc-chunk-report-{vmalloc_model.__version__}"
    named = dict(line.split("  ")[::-1] for line in (top / "SHA256SUMS").read_text().splitlines())
    files = {p.relative_to(top).as_posix(): p for p in top.rglob("*") if p.is_file()}
    assert set(named) == set(files) - {"SHA256SUMS"}
    for name, digest in named.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name
    check = ["sha256sum", "-c", "--quiet"]
    assert subprocess.run([*check, "SHA256SUMS"], cwd=top).returncode == 0
    beside = f"{packed.path.name}.sha256"
    assert subprocess.run([*check, beside], cwd=packed.path.parent).returncode == 0
    assert packed.digest == hashlib.sha256(packed.path.read_bytes()).hexdigest()
    assert packed.size == packed.path.stat().st_size


def test_the_same_inputs_give_the_same_bytes_whenever_and_wherever(project, tmp_path):
    first = pack("r", members(project, CLEAN), tmp_path / "a", WHEN)
    for path in project.root.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    second = pack("r", members(project, CLEAN), tmp_path / "b", WHEN)
    assert first.path.read_bytes() == second.path.read_bytes()
    with tarfile.open(first.path) as opened:
        known = {(m.mtime, m.mode, m.uid, m.gid, m.uname, m.gname) for m in opened.getmembers()}
        names = opened.getnames()
    assert known == {(WHEN.timestamp(), 0o644, 0, 0, "", "")}
    assert names == sorted(names)
    assert first.path.read_bytes()[3:8] == b"\0\0\0\0\0"  # gzip: no name, no time


def test_the_time_stamp_is_the_day_of_the_release(project):
    assert released(project) == WHEN


def test_on_a_full_disk_the_last_archive_stays_and_nothing_else(project, tmp_path, monkeypatch):
    kept = pack("r", {"a": b"old"}, tmp_path / "dist", WHEN)
    before = {path: path.read_bytes() for path in kept.path.parent.iterdir()}

    def full(file, *_):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archive, "_write", full)
    with pytest.raises(FileError, match=r"r.tar.gz: cannot be written \(No space left on device\)"):
        pack("r", {"a": b"new"}, tmp_path / "dist", WHEN)
    assert {path: path.read_bytes() for path in kept.path.parent.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written"):
        pack("r", {}, tmp_path / "file" / "dist", WHEN)


def test_changes_that_are_not_committed_are_refused_or_show(project):
    dirty = Commit("c0ffee", ("book/a.md", "b"))
    with pytest.raises(InputError, match=r"2 files with changes.*'book/a.md'; allowed: a commit"):
        dist._check_committed(dirty)
    dist._check_committed(CLEAN)
    assert release_name(dirty).endswith("+dirty")
    assert "+dirty" in members(project, dirty)["README.txt"].decode()
    assert "not committed" in members(project, dirty)["README.txt"].decode()


def test_results_that_are_not_those_of_the_notebooks_are_refused(project):
    with pytest.raises(InputError, match=r"not what the notebooks compute \(3 differences\)"):
        dist._check_results(project)


def test_without_git_the_readme_says_so(project):
    assert "made outside of a git checkout" in members(project, Commit(""))["README.txt"].decode()


@pytest.fixture
def command(project, monkeypatch, command_line):
    """Run ``vmalloc-model dist`` in that checkout, with nothing to build."""
    monkeypatch.setattr(Project, "of_checkout", classmethod(lambda _: project))
    monkeypatch.setattr(dist, "report_up_to_date", lambda *, text: project if text else None)
    monkeypatch.setattr(dist, "_snippets", lambda _: "MODEL\n")
    monkeypatch.setattr(commit, "commit_of", lambda _: Commit("c0ffee", ("new.md",)))
    monkeypatch.chdir(project.root)

    return partial(command_line, "dist")


def test_the_command_says_where_the_archive_is_and_what_its_digest_is(command, project):
    status, out, err = command("--allow-dirty")
    assert (status, err) == (0, "")
    archive = project.root / "dist" / f"{release_name(Commit('x', ('y',)))}.tar.gz"
    assert f"archive: dist/{archive.name}\n" in out
    assert f"size: {archive.stat().st_size:,} bytes" in out
    assert f"sha256: {hashlib.sha256(archive.read_bytes()).hexdigest()}\n" in out
    assert out.endswith("commit: c0ffee, and 1 file with changes that are not committed\n")


def test_the_command_refuses_before_anything_is_built(command, project, monkeypatch):
    monkeypatch.setattr(dist, "report_up_to_date", None)
    status, out, err = command()
    assert (status, out) == (2, "")
    assert err == (
        "error: checkout: 1 file with changes that are not committed: 'new.md'; "
        "allowed: a commit, or --allow-dirty\n"
    )
    (project.root / "file").touch()
    status, _, err = command("--allow-dirty", "-o", "file/dist")
    assert (status, err) == (2, "error: file/dist: cannot be written (Not a directory)\n")
    assert not (project.root / "dist").exists()
