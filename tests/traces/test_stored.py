"""``run.npz``: what goes in comes out, in the same bytes; one error for what is none."""

import io
import json
import resource
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError
from vmalloc_model.traces import stored
from vmalloc_model.traces.about import About
from vmalloc_model.traces.events import EVENT
from vmalloc_model.traces.ftrace import read_ftrace
from vmalloc_model.traces.importing import examine, import_recording
from vmalloc_model.traces.oplog import read_oplog
from vmalloc_model.traces.stored import Writer, read_about, read_events
from vmalloc_model.traces.vmallocinfo import read_vmallocinfo
from vmalloc_model.wholefiles import new_file

SMP4 = "runs/debian-6.12.117-smp4-sync-purge.ftrace.txt.gz"
COPY = "runs/debian-6.12.117-smp4-sync-purge.vmallocinfo.txt.gz"
LOG = "runs/linux-6.12.117-smp2-stock.oplog.csv.gz"
REUSED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)


def about_of(count):
    names = ("alloc_vmap_area", "purge_vmap_area_lazy", "free_vmap_area_noflush")
    return About(
        kind="ftrace",
        form="ftrace text",
        lines=count,
        events=dict(zip(names, (count, 0, 0), strict=True)),
        others={"ü": 1},
        phases=("", "a", "é"),
        window=(1, 2**64 - 1),
        snapshots={},
    )


@pytest.fixture
def imported(tmp_path):
    path = tmp_path / "run.npz"
    import_recording(data_path(SMP4), path, [data_path(COPY)])
    return path


@REUSED
@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 7), st.binary(min_size=90))
def test_events_come_out_as_they_went_in(tmp_path, parts, block, noise):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "BLOCK", block)
        count = sum(parts)
        raw = np.resize(np.frombuffer(noise, np.uint8), count * EVENT.itemsize)
        events = raw.view(EVENT).copy()
        events["failed"] &= True
        with new_file(tmp_path / "run.npz") as file, Writer(file) as writer:
            at = 0
            for part in parts:
                writer.add_events(events[at : at + part])
                at += part
            writer.finish(about_of(count))
        about, blocks = read_events(tmp_path / "run.npz")
        blocks = list(blocks)
    assert about == about_of(count)
    assert all(len(one) == block for one in blocks[:-1])
    assert b"".join(one.tobytes() for one in blocks) == events.tobytes()


def test_numpy_reads_it_without_pickles(imported):
    trace = read_ftrace(data_path(SMP4))
    with np.load(imported) as archive:
        assert json.loads(archive["about"].tobytes())["format"] == 1
        assert np.array_equal(archive["events/000000/start"], trace.events["start"])
        assert {name.split("/")[0] for name in archive.files} == {"about", "events", "vmallocinfo"}


def test_a_stored_recording_reads_as_its_text(tmp_path, imported):
    text, mine = read_ftrace(data_path(SMP4)), read_ftrace(imported)
    assert mine.events.tobytes() == text.events.tobytes()
    assert replace(mine, events=None, path=text.path) == replace(text, events=None)
    assert read_vmallocinfo(imported).equals(read_vmallocinfo(data_path(COPY)))
    assert examine(imported) == read_about(imported) == examine(data_path(SMP4), [data_path(COPY)])
    import_recording(data_path(LOG), tmp_path / "log.npz")
    assert read_oplog(tmp_path / "log.npz").equals(read_oplog(data_path(LOG)))


def test_the_same_recording_gives_the_same_bytes(tmp_path, imported):
    (tmp_path / "other").mkdir()
    again = tmp_path / "other" / "name.npz"
    import_recording(data_path(SMP4), again, [data_path(COPY)])
    assert again.read_bytes() == imported.read_bytes()
    with zipfile.ZipFile(again) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


# -------------------------------------------------------------------------------------- errors
def rewritten(path, change, name="about.npy"):
    """Replace a member's array by what `change` makes of it; None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    array = np.load(io.BytesIO(members.pop(name)))
    new = change(array)
    if new is not None:
        content = io.BytesIO()
        np.save(content, new)
        members[name] = content.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in members.items():
            archive.writestr(one, content)


def said(**changes):
    """Change what the file says about itself."""

    def change(array):
        record = json.loads(array.tobytes())
        for name, value in changes.items():
            (record if name in record else record["about"])[name] = value
        return np.frombuffer(json.dumps(record).encode(), np.uint8)

    return change


@pytest.mark.parametrize(
    ("change", "member", "problem"),
    [
        (said(format=2, package="9.0"), "about.npy", "written by version 9.0 .* does not know: 2"),
        (said(kind="perf"), "about.npy", "not a recorded run, or damaged"),
        (said(cpus="4"), "about.npy", "not a recorded run, or damaged"),
        (said(surplus=1), "about.npy", "not a recorded run, or damaged"),
        (said(events={"alloc_vmap_area": 10**9}), "about.npy", "damaged"),
        (lambda _: np.frombuffer(b"{]", np.uint8), "about.npy", "damaged"),
        (lambda _: np.array([{}], object), "about.npy", "damaged"),
        (lambda _: None, "about.npy", "not a recorded run; allowed: a file that"),
        (lambda _: None, "events/000000/size.npy", "size.npy is missing"),
        (lambda a: a[:-1], "events/000000/size.npy", "damaged"),
        (lambda a: a.astype("f8"), "events/000000/size.npy", "size.npy has the wrong type"),
    ],
)
def test_one_clear_error_for_what_is_no_recorded_run(imported, change, member, problem):
    rewritten(imported, change, member)
    with pytest.raises(FileError, match=problem) as error:
        read_ftrace(imported)
    assert str(error.value).startswith(f"{imported}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [4, 1000, -30])
def test_a_truncated_file(imported, keep):
    imported.write_bytes(imported.read_bytes()[:keep])
    with pytest.raises(FileError, match="damaged"):
        read_ftrace(imported)


def test_a_changed_byte_is_found(imported):
    data = bytearray(imported.read_bytes())
    data[len(data) // 3] ^= 1
    imported.write_bytes(data)
    with pytest.raises(FileError, match="damaged"):
        read_ftrace(imported)


def test_another_archive_and_another_kind(tmp_path, imported):
    np.savez(tmp_path / "foreign.npz", a=np.arange(3))
    with pytest.raises(FileError, match="not a recorded run; allowed"):
        read_ftrace(tmp_path / "foreign.npz")
    with pytest.raises(FileError, match="no operation log, but a recording of kind ftrace"):
        read_oplog(imported)
    import_recording(data_path(COPY), tmp_path / "copy.npz")
    with pytest.raises(FileError, match="no trace, but a recording of kind vmallocinfo"):
        read_ftrace(tmp_path / "copy.npz")


# ------------------------------------------------------------------------- whole or not at all
def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(b"old")

    def interrupted():
        with new_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    assert path.read_bytes() == b"old"


def limited():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


def test_a_disk_that_is_full(tmp_path):
    """A limit on the length of files stands in for it."""
    words = [sys.executable, "-m", "vmalloc_model", "import", data_path(SMP4), "-o", "run.npz"]
    run = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limited, check=False
    )
    assert run.returncode == 2
    assert run.stderr == "error: run.npz: cannot be written (File too large)\n"
    assert list(tmp_path.iterdir()) == []
