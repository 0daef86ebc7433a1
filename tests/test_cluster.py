"""A sweep on a dask cluster: same results, kept here; what is wrong with a cluster is one error."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vmalloc_model import cluster
from vmalloc_model.cluster import Answer, answer, connected
from vmalloc_model.errors import InputError, ModelError
from vmalloc_model.experiments.play import inputs, play
from vmalloc_model.sweep import Store, attempt, grid, sweep

ROOT = Path(__file__).resolve().parent.parent
POINTS = [
    {"stream": "churn", "platform": "x86_64-4level", "cpus": 2, "events": 3000, "seed": 1, **point}
    for point in grid(policy=["mainline", "rfc12"], chunk_size=[1 << 20, 3 << 20])
]
"""Two of these fail: 3 MiB are no power of two."""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("vmalloc_model.sweep.store.cache_folder", lambda kind: tmp_path / kind)
    return tmp_path / "sweep"


def words(results):
    return [str(one) if isinstance(one, Exception) else one for one in results]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A scheduler and two workers, three processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    worker += ["--nthreads", "1", "--local-directory", str(tmp_path_factory.mktemp("dask"))]
    own = [[*scheduler, "--no-show"], worker, worker]
    started = [subprocess.Popen([*one, "--no-dashboard"], **quiet) for one in own]
    yield address
    for one in started:
        one.kill()
        one.wait()


def test_two_processes_give_what_a_loop_gives(address, own_cache):
    wait_for_port(address)
    obvious = []
    for point in POINTS:
        try:
            obvious.append(play(point))
        except InputError as error:
            obvious.append(str(error))
    with connected(address) as executor:
        first = attempt(play, POINTS, inputs=inputs, executor=executor)
        assert words(first.results) == obvious
        assert first.found == 0
        assert len(list(own_cache.rglob("*.json"))) == 2  # kept here, and only those that are right
        assert attempt(play, POINTS, inputs=inputs, executor=executor).found == 2
    assert sweep(play, POINTS[::2], inputs=inputs) == [first.results[0], first.results[2]]

    # what the workers run, they compare: here is a store with other code
    store = Store(play, inputs)
    store._code = "another"
    with connected(address) as executor:
        with pytest.raises(ModelError, match="runs another version of vmalloc-model"):
            list(executor(store, {store.name(POINTS[0]): POINTS[0]}))
        with pytest.raises(ModelError, match="has no vmalloc-model, or another version"):
            list(executor(Foreign(), {"name": POINTS[0]}))


class Foreign:
    """A store of a function that the workers do not have."""

    inputs = None

    @property
    def function(self):
        return Missing()


class Missing:
    def __reduce__(self):
        return __import__, ("vmalloc_model.nowhere",)


def wait_for_port(address):
    port = int(address.rpartition(":")[2])
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the scheduler does not start")


@pytest.mark.parametrize("words", ["nothing", "tcp://127.0.0.1", "foo://127.0.0.1:1"])
def test_what_is_no_address_is_refused(words):
    with (
        pytest.raises(InputError, match=r"^--scheduler: .*allowed: the address of a dask"),
        connected(words, "--scheduler"),
    ):
        pass


@pytest.mark.parametrize("says", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n" * 40, None])
def test_what_is_no_scheduler_is_refused(monkeypatch, says, capfd):
    """A server that says nothing, one that says something else, and none at all."""
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        held = []
        if says is None:
            server.close()
        else:
            threading.Thread(target=serve, args=(server, says, held), daemon=True).start()
        with (
            pytest.raises(InputError, match=r"^\$\.scheduler: no scheduler answers there"),
            connected(address),
        ):
            pass
    assert capfd.readouterr() == ("", "")


def serve(server, says, held):
    connection, _ = server.accept()
    connection.sendall(says)
    held.append(connection)


def test_without_the_library_it_says_how_to_install_it(monkeypatch):
    real = cluster.importlib.import_module

    def without(name, *rest):
        if name.startswith("distributed"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(cluster.importlib, "import_module", without)
    with (
        pytest.raises(InputError, match=r"pip install 'vmalloc-model\[distributed\]'"),
        connected("tcp://127.0.0.1:1"),
    ):
        pass


# --- a cluster that goes wrong in the middle: a stand-in for its client -------------------------


class FakeFuture:
    def __init__(self, key, result, status="finished"):
        self.key, self.value, self.status = key, result, status

    def add_done_callback(self, call):
        if self.status != "pending":
            call(self)

    def result(self, timeout=None):
        return self.value

    def exception(self):
        return RuntimeError("killed")


class FakeClient:
    """Computes here; futures from `fails` on have another status."""

    def __init__(self, fails=99, status="finished", wrong=False, workers=True):
        self.fails, self.bad, self.wrong, self.workers = fails, status, wrong, workers
        self.count, self.status = 0, "running"

    def wait_for_workers(self, number, timeout):
        pass

    def run(self, function, *arguments, compute, on_error):
        return {"w": function(*arguments, compute=compute)} if self.workers else {}

    def scheduler_info(self, n_workers):
        return {"workers": {}}

    def submit(self, function, *arguments, pure):
        self.count += 1
        status = self.bad if self.count > self.fails else "finished"
        told = function(*arguments)
        return FakeFuture(self.count, Answer("other", "{}", None) if self.wrong else told, status)


@pytest.mark.parametrize(
    ("client", "error", "kept"),
    [
        (FakeClient(fails=1, status="cancelled"), "the cluster at there is lost; 1 of 2", 1),
        (FakeClient(fails=1, status="pending"), "the cluster at there is lost; 1 of 2", 1),
        (FakeClient(wrong=True), "worker that computed a point runs another version", 0),
        (FakeClient(workers=False), "the cluster at there has no workers; 0 of 2", 0),
    ],
)
def test_points_that_arrived_are_kept(monkeypatch, own_cache, client, error, kept):
    monkeypatch.setattr(cluster, "LOST", 0.1)
    executor = cluster._executor(client, "there")
    with pytest.raises(ModelError) as raised:
        attempt(play, POINTS[::2], inputs=inputs, executor=executor)
    assert error in "; ".join([str(raised.value), *raised.value.__notes__])
    assert len(list(own_cache.rglob("*.json"))) == kept


def test_a_point_that_ends_its_worker_is_a_failed_point():
    executor = cluster._executor(FakeClient(fails=1, status="error"), "there")
    done = attempt(play, POINTS[::2], inputs=inputs, executor=executor).results
    assert done[0]["requests"] > 0
    assert str(done[1]) == "RuntimeError: killed"


def test_an_answer_can_be_sent_whatever_was_raised():
    told = answer(play, inputs, {"stream": "nothing of the kind"})
    assert told.name == ""
    assert type(told.error) is ModelError
    assert "no such recorded run" in str(told.error)
