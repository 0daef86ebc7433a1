"""``vmalloc-model import`` and ``record``, as a reader types them."""

import gzip
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard

from vmalloc_model.datafiles import data_path
from vmalloc_model.traces.recipes import RECIPES

TRACE = data_path("runs/debian-6.12.117-smp4-sync-purge.ftrace.txt.gz")
COPY = data_path("runs/debian-6.12.117-smp4-sync-purge.vmallocinfo.txt.gz")
FOREIGN = "  bash-1 [000] d... 1.000000: sched_switch: prev_comm=a ==> next_comm=b\n"


@pytest.fixture
def run(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    return command_line


def test_import_says_what_it_found_and_the_file_stands_for_the_trace(run, tmp_path):
    status, output, errors = run("import", TRACE, "-o", "run.npz", "--vmallocinfo", COPY)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].startswith(f"{TRACE.name}: ftrace text, 8,601 lines, SHA-256 46e95843956c1bb1")
    assert "4,270 alloc_vmap_area, 167 purge_vmap_area_lazy, 4,164 free_vmap_area_n" in lines[1]
    assert lines[2].startswith("CPUs 4, page size 4 KiB, window 0xffffc90000000000 to 0xffffe8fff")
    assert "no   replay that is sure of every address: lock order" in lines
    assert lines[-1].startswith("written: run.npz (")
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    status, replayed, _ = run("replay", "run.npz")
    assert (status, "4270 of 4270 allocation addresses" in replayed) == (0, True)
    assert run("record", "run.npz")[1].splitlines() == lines[:-1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_standard_input(tmp_path, pack):
    """In a process of its own, which has one."""
    text = pack(gzip.decompress(TRACE.read_bytes()))
    words = [sys.executable, "-m", "vmalloc_model", "import", "-", "-o", "run.npz"]
    done = subprocess.run(words, input=text, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.startswith(b"standard input: ftrace text, 8,601 lines")
    assert done.stderr == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("some", [False, True])
def test_standard_input_that_stays_open_can_be_interrupted(tmp_path, number, some):
    """As with ``cat trace_pipe``: the thread that reads waits for input, and nothing waits for it.

    Polars must be there: its handler of Ctrl-C has the system go on waiting.
    """
    program = (
        "import signal, polars; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from vmalloc_model.cli import main; main()"
    )
    words = [sys.executable, "-c", program, "import", "-", "-o", "run.npz"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, cwd=tmp_path) as process:
        try:
            # More than the first block: the thread that packs is there too.
            process.stdin.write(gzip.decompress(TRACE.read_bytes()) * 3 if some else b"")
            process.stdin.flush()
            deadline = time.monotonic() + 60
            while not list(tmp_path.glob(".run.npz.*")) and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.5)
            process.send_signal(number)
            status = process.wait(timeout=10)
        finally:
            process.kill()
        said = process.stderr.read().decode()
    interrupted = "interrupted; what was finished is kept, and nothing is half-written\n"
    assert (status, said.lstrip("\n")) == (
        (130, interrupted) if number == signal.SIGINT else (128 + number, "")
    )
    assert list(tmp_path.iterdir()) == []


def test_a_binary_on_standard_input(tmp_path):
    words = [sys.executable, "-m", "vmalloc_model", "record", "-"]
    data = zstandard.compress(b"\x17\x08\x44tracing6")
    done = subprocess.run(words, input=data, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        b"error: standard input: the file is a binary trace.dat; "
        b"allowed: its text: trace-cmd report trace.dat > trace.txt\n"
    )


def cut(tmp_path, pack):
    data = pack(gzip.decompress(TRACE.read_bytes()))
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        (None, ["none", "-o", "a.npz"], "error: none: no such file\n"),
        (None, [".", "-o", "a.npz"], "error: .: this is a folder; allowed: a file\n"),
        (None, [TRACE, "-o", "a.txt"], "error: -o: the name must end in .npz: 'a.txt'; allowed"),
        (None, [TRACE, "-o", "no/a.npz"], "error: no/a.npz: its folder does not exist\n"),
        (None, [TRACE], "error: Missing option '--out' / '-o'"),
        (None, [TRACE, "-o", "a.npz", "--vmallocinfo", "no"], "error: no: no such file\n"),
        (None, [TRACE, "-o", "a.npz", "--vmallocinfo", TRACE], "not a line of vmallocinfo"),
        (None, [COPY, "-o", "a.npz", "--vmallocinfo", COPY], "only with a trace: 'copy of /proc"),
        (b"", ["t", "-o", "a.npz"], "error: t: the file is empty\n"),
        (FOREIGN.encode(), ["t", "-o", "a.npz"], "error: t: no vmalloc events in 1 lines: 'events "
         "there: sched_switch (1)'; allowed: a trace with vmalloc:* events; `vmalloc-model rec"),
        (b"hello\n", ["t", "-o", "a.npz"], "error: t, line 1: broken line: 'hello'; allowed"),
        (b"PERFILE2....", ["t", "-o", "a.npz"], "allowed: its text: perf script -i perf.data"),
    ],
)  # fmt: skip
def test_one_clear_error_and_nothing_is_written(run, tmp_path, content, words, said):
    if content is not None:
        (tmp_path / "t").write_bytes(content)
    status, output, errors = run("import", *words)
    assert (status, output) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"t"}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_trace_that_breaks_off(run, tmp_path, pack):
    cut(tmp_path, pack)
    status, _, errors = run("import", "cut", "-o", "a.npz")
    assert status == 2
    assert "data cut off after" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["cut"]


def test_an_imported_file_is_not_imported_again(run):
    run("import", TRACE, "-o", "run.npz")
    status, _, errors = run("import", "run.npz", "-o", "again.npz")
    assert (status, "the file is a zip archive" in errors) == (2, True)


# -------------------------------------------------------------------------------------- record
@pytest.mark.parametrize("tool", RECIPES)
def test_record_prints_a_recipe(run, tool):
    status, output, errors = run("record", "--tool", tool)
    assert (status, errors) == (0, "")
    assert output == f"# Record the kernel's vmalloc events with {tool}.\n{RECIPES[tool]}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tool", "perv"], "error: --tool: no such tool: 'perv'; allowed: perf, "),
        (["--vmallocinfo", COPY], "error: --vmallocinfo: only with FILE\n"),
        (["none"], "error: none: no such file\n"),
    ],
)
def test_record_refuses(run, words, said):
    status, output, errors = run("record", *words)
    assert (status, output) == (2, "")
    assert errors.startswith(said)


def test_record_checks_a_copy_of_vmallocinfo(run):
    status, output, _ = run("record", COPY)
    assert status == 0
    assert "areas: 5 ioremap, 5 unpurged, 2 vm_map_ram, 98 vmalloc, 4 vmap\n" in output
    assert "no chapter takes them alone" in output


def test_the_recipes_shell_is_shell(tmp_path):
    for text in RECIPES.values():
        script = Path(tmp_path / "recipe.sh")
        script.write_text(text)
        subprocess.run(["sh", "-n", script], check=True)
