"""Streams of events on disk: the same blocks come back, and damage is named."""

import zipfile

import numpy as np
import pytest

from vmalloc_model import workloads
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.events import EVENT, Stream, load_stream, save_stream
from vmalloc_model.replay.streams import recorded_stream


def test_a_stream_comes_back_as_it_was(tmp_path):
    stream = workloads.make("churn", page_size=4096, cpus=4, events=150_000, seed=3)
    count = save_stream(stream, tmp_path / "run.npz")
    again = load_stream(tmp_path / "run.npz")
    assert count == again.events == len(stream.all())
    assert np.array_equal(again.all(), stream.all())
    assert (again.page_size, again.cpus, again.slots) == (4096, 4, stream.slots)
    assert len(list(again.blocks())) > 1
    assert np.array_equal(again.all(), again.all())
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_the_windows_of_a_recorded_run_come_back(tmp_path):
    stream = recorded_stream("smp4-sync")
    save_stream(stream, tmp_path / "run.npz")
    again = load_stream(tmp_path / "run.npz")
    assert again.windows == stream.windows
    assert np.array_equal(again.all(), stream.all())


def test_an_empty_stream(tmp_path):
    stream = Stream("none", 4096, 1, 0, lambda: iter(()))
    assert save_stream(stream, tmp_path / "run.npz") == 0
    assert len(load_stream(tmp_path / "run.npz").all()) == 0


def test_a_stream_that_breaks_leaves_nothing(tmp_path):
    def blocks():
        yield np.zeros(3, EVENT)
        raise InputError("event 3", "broken")

    with pytest.raises(InputError, match="broken"):
        save_stream(Stream("bad", 4096, 1, 1, blocks), tmp_path / "run.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"not a zip"), "not a run of events"),
        (lambda path: np.savez(path, a=np.zeros(3)), "not a run of events"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
)
def test_what_is_no_run_of_events_is_refused(tmp_path, make, said):
    path = tmp_path / "run.npz"
    make(path)
    with pytest.raises(FileError, match=said):
        load_stream(path)


def test_a_block_of_something_else_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    save_stream(Stream("one", 4096, 1, 1, lambda: iter([np.zeros(3, EVENT)])), path)
    with zipfile.ZipFile(path) as archive:
        meta = archive.read("stream.json")
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("block-00000000.npy", "w") as file:
            np.lib.format.write_array(file, np.zeros(3))
        archive.writestr("stream.json", meta)
    with pytest.raises(InputError, match="holds no events"):
        load_stream(path).all()
