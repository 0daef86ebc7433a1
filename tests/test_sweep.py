import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from vmalloc_model.errors import FileError, InputError
from vmalloc_model.experiments import play as playing
from vmalloc_model.sweep import attempt, grid, sweep, threads
from vmalloc_model.sweep import store as sweeping

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VMALLOC_MODEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sweep"


class Counted:
    """Stands in for a function of the package and notes its calls."""

    def __init__(self, fails=()):
        self.__module__, self.__qualname__ = "vmalloc_model.units", "counted"
        self.calls, self.fails, self.lock = [], fails, threading.Lock()

    def __call__(self, point):
        with self.lock:
            self.calls.append(point["x"])
        if point["x"] in self.fails:
            raise InputError("$.x", "out of range", value=point["x"])
        return {"square": point["x"] ** 2}


POINTS = grid(x=[3, 1, 2])
SQUARES = [{"square": 9}, {"square": 1}, {"square": 4}]


def test_a_grid_is_every_combination_in_order():
    points = grid(a=[1, 2], b="xy")
    assert [(p["a"], p["b"]) for p in points] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert grid() == [{}]
    assert grid(a=[]) == []


@pytest.mark.parametrize("workers", [1, 4, None])
def test_results_come_in_the_order_of_the_points(workers):
    assert sweep(Counted(), POINTS, workers=workers) == SQUARES
    assert sweep(Counted(), [], workers=workers) == []


def test_what_is_finished_is_not_computed_again():
    first, second = Counted(), Counted()
    sweep(first, POINTS[:2])
    assert sweep(second, [*POINTS, POINTS[0]]) == [*SQUARES, SQUARES[0]]
    assert sorted(first.calls) == [1, 3]
    assert second.calls == [2]


def test_points_finished_before_a_failure_stay_finished():
    broken = Counted(fails=[2])
    with pytest.raises(InputError, match=r"\$\.x: out of range: 2"):
        sweep(broken, POINTS, workers=1)
    mended = Counted()
    assert sweep(mended, POINTS) == SQUARES
    assert mended.calls == [2]


def test_a_changed_source_or_input_computes_again(monkeypatch, tmp_path):
    file = tmp_path / "input.csv"
    file.write_text("1")
    one = Counted()
    for _ in "ab":
        sweep(one, POINTS[:1], inputs=lambda _: [file])
    assert one.calls == [3]
    file.write_text("2")
    sweep(one, POINTS[:1], inputs=lambda _: [file])
    assert one.calls == [3, 3]
    monkeypatch.setattr(sweeping, "code_digest", lambda module: f"other {module}")
    sweep(one, POINTS[:1], inputs=lambda _: [file])
    assert one.calls == [3, 3, 3]


def test_the_digest_covers_every_room_that_the_function_reaches(monkeypatch, tmp_path):
    """A copy of the package: what a change of one file does to the digest of two modules."""
    package = tmp_path / "vmalloc_model"
    for source in (ROOT / "vmalloc_model").rglob("*"):
        if source.suffix in (".py", ".c", ".h"):
            copy = package / source.relative_to(ROOT / "vmalloc_model")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    monkeypatch.setattr(sweeping, "PACKAGE_ROOT", tmp_path)
    modules = ("vmalloc_model.experiments.play", "vmalloc_model.units")

    def digests():
        sweeping.code_digest.cache_clear()
        return [sweeping.code_digest(module) for module in modules]

    try:
        before = digests()
        for name, changed in (
            ("allocator/policies/rfc10.py", [True, False]),  # loaded by its name
            ("workloads/churn.py", [True, False]),
            ("native/chunks.c", [True, False]),
            ("native/state.h", [True, False]),
            ("units.py", [True, True]),
            ("charts/theme.py", [False, False]),
            ("report/runner.py", [False, False]),
        ):
            text = (package / name).read_text()
            (package / name).write_text(text + "\n")
            after = digests()
            assert [a != b for a, b in zip(before, after, strict=True)] == changed, name
            before = after
    finally:
        sweeping.code_digest.cache_clear()


def test_nothing_is_left_half_written(own_cache):
    class Cut(Counted):
        def __call__(self, point):
            return {"x": object()}

    with pytest.raises(TypeError):
        sweep(Cut(), POINTS)
    assert not [path for path in own_cache.rglob("*") if path.is_file()]


def test_workers_are_checked():
    with pytest.raises(InputError, match=r"\$\.workers: out of range: 0"):
        sweep(Counted(), POINTS, workers=0)


def test_an_interrupt_keeps_what_is_finished(tmp_path):
    """A process of its own, interrupted at its third point; a second one does the rest."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal, sys, time
        from vmalloc_model.sweep import attempt, grid, sweep, threads

        def work(point):
            print(point["x"], flush=True)
            if point["x"] == 2 and "stop" in sys.argv:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)
            return dict(point)

        work.__module__, work.__qualname__ = "vmalloc_model.units", "work"
        try:
            print(sum(one["x"] for one in sweep(work, grid(x=range(5)), workers=1)))
        except KeyboardInterrupt:
            sys.exit(130)
        """)
    )

    def run(*words):
        command = [sys.executable, str(script), *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    stopped = run("stop")
    assert stopped.returncode == 130
    assert stopped.stdout.split() == ["0", "1", "2"]
    rest = run()
    assert (rest.returncode, rest.stderr) == (0, "")
    assert rest.stdout.split() == ["3", "4", "10"]  # the point that was running has been finished


# --- a failed point is told, and the others go on --------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_an_attempt_gives_what_a_loop_gives(workers):
    points = grid(x=[5, 2, 7, 2, 1])
    told = attempt(Counted(fails=[2, 7]), points, executor=threads(workers))
    loop = []
    for point in points:
        try:
            loop.append(Counted(fails=[2, 7])(point))
        except InputError as error:
            loop.append(str(error))
    assert [str(one) if isinstance(one, Exception) else one for one in told.results] == loop
    assert told.found == 0


def test_failed_points_are_tried_again_and_finished_ones_are_not():
    broken, mended = Counted(fails=[2]), Counted()
    attempt(broken, POINTS)
    told = attempt(mended, [*POINTS, POINTS[0]])
    assert mended.calls == [2]
    assert told.results == [*SQUARES, SQUARES[0]]
    assert told.found == 3


def test_a_point_without_its_data_files_has_failed(tmp_path):
    there = tmp_path / "2"
    there.write_text("")
    told = attempt(Counted(), POINTS, inputs=lambda point: [tmp_path / str(point["x"])])
    kinds = [type(one) for one in told.results]
    assert kinds == [FileNotFoundError, FileNotFoundError, dict]


def test_a_stopped_attempt_tells_what_is_kept_and_goes_on_there():
    class Stopped(Counted):
        def __call__(self, point):
            if point["x"] == 2:
                raise KeyboardInterrupt
            return super().__call__(point)

    rest = Counted()
    with pytest.raises(KeyboardInterrupt) as stopped:
        attempt(Stopped(), POINTS, executor=threads(1))
    assert stopped.value.__notes__ == ["2 of 3 points are finished and kept"]
    assert attempt(rest, POINTS).found == 2
    assert rest.calls == [2]


def test_a_full_disk_ends_a_sweep_and_leaves_no_part(monkeypatch, own_cache):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    attempt(Counted(), POINTS[:1])
    monkeypatch.setattr(sweeping.os, "fdopen", full)
    with pytest.raises(FileError, match=r"cannot keep a finished point \(No space left") as ended:
        attempt(Counted(), POINTS)
    assert ended.value.__notes__ == ["1 of 3 points are finished and kept"]
    assert [path.suffix for path in own_cache.rglob("*") if path.is_file()] == [".json"]


def test_a_folder_that_cannot_be_made_is_one_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VMALLOC_MODEL_CACHE", str(tmp_path / "file"))
    with pytest.raises(FileError, match="no folder for finished points"):
        sweep(Counted(), POINTS)


# --- the point that most sweeps are made of ----------------------------------------------------

POINT = {
    "stream": "xfs",
    "policy": "rfc12",
    "platform": "arm64-39bit-4k",
    "cpus": 2,
    "events": 4_000,
    "seed": 5,
    "chunk_size": 16 << 20,
}


def test_a_point_is_a_simulation_as_a_row():
    row = playing.play(POINT)
    whole = playing.simulation(POINT)
    assert row["page_size"] == 4096
    assert row["chunk_size"] == 16 << 20
    assert row["events"] == whole.events
    assert {name: row[name] for name in whole.counters} == whole.counters
    assert {name: row[name] for name in whole.measures} == whole.measures
    total = sum(pages for name, pages in row.items() if name.startswith("stranded_"))
    assert total == 2 * row["stranded_chunk_pages"] > 0
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"nodes": 1}, "pool_hits"),
        ({"policy": "mainline"}, "refills"),
    ],
)
def test_parts_can_be_switched_off(change, same):
    long = POINT | {"stream": "fix_size", "policy": "rfc10", "events": 60_000}
    assert playing.play(long)[same] > 0
    assert playing.play(long | change)[same] == 0


def test_a_recorded_run_keeps_its_machine():
    row = playing.play({"stream": "smp4-sync", "policy": "mainline", "chunk_size": 64 << 20})
    other = playing.play({"stream": "smp4-sync", "policy": "mainline", "cpus": 64, "seed": 9})
    assert row["requests"] >= 4270
    assert row == other


def test_workload_parameters_reach_the_stream():
    plain = POINT | {"stream": "pinning"}
    other = plain | {"parameters": {"pinned": 0.5}}
    with pytest.raises(InputError, match=r"no such parameter of pinning"):
        playing.play(plain | {"parameters": {"nonsense": 7}})
    assert playing.play(plain) != playing.play(other)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"point: unknown name: 'cpu'"):
        playing.play(POINT | {"cpu": 3})


@pytest.mark.parametrize("stream", ["xfs", "smp4-sync", "oplog-stock", "fitted", "mixed"])
def test_declared_inputs_are_all_data_files_that_are_opened(stream):
    code = textwrap.dedent(f"""
        import os, sys
        from vmalloc_model.datafiles import ROOT
        from vmalloc_model.experiments.play import inputs, play
        point = {POINT | {"stream": stream}!r}
        opened = set()
        sys.addaudithook(lambda event, args: event == "open" and opened.add(str(args[0])))
        play(point)
        data = {{path for path in opened if path.startswith(str(ROOT / "data"))}}
        print(sorted(data - set(map(str, inputs(point)))))
    """)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        env={**os.environ, "VMALLOC_MODEL_CACHE": str(ROOT / "_build" / "cache")},
    )
    assert done.stdout == "[]\n"
