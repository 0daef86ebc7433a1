import hashlib
import multiprocessing
import os
import threading

import pytest

from vmalloc_model.report.files import (
    Digests,
    exclusive,
    files_below,
    replace_folder,
    write_if_different,
)


def test_a_digest_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\x00\xff" * 100_000)
    assert Digests().of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert Digests().of(tmp_path / "none") is None


def test_a_file_is_read_once(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    digests = Digests()
    first = digests.of(path)
    path.write_text("after")
    assert digests.of(path) == first != Digests().of(path)


def test_a_folder_has_the_digest_of_its_names(tmp_path):
    (tmp_path / "a").write_text("1")
    before = Digests().of(tmp_path)
    (tmp_path / "a").write_text("2")
    assert Digests().of(tmp_path) == before
    (tmp_path / "b").touch()
    assert Digests().of(tmp_path) != before


def test_files_below_leaves_out_caches(tmp_path):
    for name in ("b/__pycache__/x.pyc", "b/y.py", "a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_below(tmp_path) == [tmp_path / "a", tmp_path / "b" / "y.py"]
    assert files_below(tmp_path / "none") == []


def test_writes_only_what_differs(tmp_path):
    path = tmp_path / "new" / "file"
    assert write_if_different(path, b"one")
    os.utime(path, ns=(1, 1))
    assert not write_if_different(path, b"one")
    assert path.stat().st_mtime_ns == 1
    assert write_if_different(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_replaces_a_folder_whole(tmp_path):
    new, target = tmp_path / "new", tmp_path / "deep" / "target"
    for content in ("first", "second"):
        new.mkdir()
        (new / content).touch()
        replace_folder(new, target)
        assert [path.name for path in target.iterdir()] == [content]
        assert not new.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "good").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "none", target)
    assert (target / "good").exists()


def hold(folder, held, release):
    with exclusive(folder):
        held.set()
        release.wait(10)


def test_a_second_build_waits(tmp_path, capsys):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, release))
    other.start()
    try:
        assert held.wait(30)
        threading.Timer(0.2, release.set).start()
        with exclusive(tmp_path):
            assert release.is_set()
        assert "waiting for another build" in capsys.readouterr().err
    finally:
        release.set()
        other.join()
