"""Tests of ``vmalloc_model/report/commit.py``."""

import os
import subprocess

import pytest

from vmalloc_model.report.commit import Commit, commit_of


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit."""
    monkeypatch.setenv("HOME", str(tmp_path))
    root = tmp_path / "checkout"
    (root / "book").mkdir(parents=True)
    (root / "a.md").write_text("a")
    (root / "book" / "b.md").write_text("b")
    (root / ".gitignore").write_text("_build/\n")
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def test_a_clean_checkout_has_a_commit_and_no_changes(checkout):
    (checkout / "_build").mkdir()
    (checkout / "_build" / "ignored").touch()
    commit = commit_of(checkout)
    assert len(commit.id) == 40
    assert commit.changes == ()


def test_changed_new_moved_and_deleted_files_count(checkout):
    (checkout / "a.md").write_text("other")
    (checkout / "new file.md").touch()
    (checkout / "book" / "b.md").rename(checkout / "book" / "c.md")
    subprocess.run(["git", "add", "book"], cwd=checkout, check=True)
    assert commit_of(checkout).changes == ("a.md", "book/b.md", "book/c.md", "new file.md")


def test_what_is_no_checkout_of_its_own_has_none(checkout, tmp_path, monkeypatch):
    assert commit_of(tmp_path) == Commit("")
    assert commit_of(checkout / "book") == Commit("")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert commit_of(checkout) == Commit("")
