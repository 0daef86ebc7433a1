"""Lines per second of the trace readers, on the smp1 run repeated to about a million lines.

The result of each timed reading is compared with the plain reading of one copy.
"""

import gzip
import re

import numpy as np
import pytest
import zstandard

from vmalloc_model.datafiles import data_path
from vmalloc_model.runs import measured_overlay, read_requests
from vmalloc_model.traces.ftrace import read_ftrace
from vmalloc_model.traces.importing import import_recording
from vmalloc_model.traces.oplog import read_oplog

SMP1 = "runs/debian-6.12.117-smp1.ftrace.txt.gz"
RFC10 = "runs/linux-6.12.117-smp2-rfc10.oplog.csv.gz"
COPIES = 26
EVENT = re.compile(rb"^ *(.*)-(\d+) +\[(\d+)\] (\S+) +([\d.]+): (\w+): (.*)$", re.MULTILINE)
FORMS = {
    "ftrace": rb"\g<0>",
    "trace-cmd": rb"\1-\2 [\3] \4 \5: \6:      \7",
    "perf-script": rb"\1 \2 [\3]  \5:        vmalloc:\6: \7",
}
CONTAINERS = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory):
    """Make a trace of a million lines in a form and a container."""
    folder = tmp_path_factory.mktemp("traces")
    text = gzip.decompress(data_path(SMP1).read_bytes())
    text = re.sub(rb"^#.*\n|.*tracing_mark_write.*\n", b"", text, flags=re.MULTILINE)

    def make(form, container):
        path = folder / f"{form}.{container}"
        if not path.exists():
            path.write_bytes(CONTAINERS[container](EVENT.sub(FORMS[form], text)) * COPIES)
        return path

    return make


def rate(benchmark, count, what):
    benchmark.extra_info[f"million {what} per second"] = count / benchmark.stats["min"] / 1e6


@pytest.mark.parametrize(
    ("form", "container"),
    [*(("ftrace", one) for one in CONTAINERS), ("trace-cmd", "plain"), ("perf-script", "plain")],
)
def test_million_lines_of_a_trace(benchmark, long_trace, form, container):
    path = long_trace(form, container)
    trace = benchmark.pedantic(read_ftrace, [path], rounds=3, warmup_rounds=1, iterations=1)
    one = read_ftrace(data_path(SMP1))
    assert trace.lines == COPIES * len(one.events)
    for column in set(one.events.dtype.names) - {"line", "phase"}:
        assert np.array_equal(trace.events[column], np.tile(one.events[column], COPIES))
    assert np.array_equal(trace.events["line"], np.arange(1, trace.lines + 1))
    rate(benchmark, trace.lines, "lines")


def test_million_lines_imported(benchmark, long_trace, tmp_path):
    path, target = long_trace("ftrace", "plain"), tmp_path / "run.npz"
    about = benchmark.pedantic(
        import_recording, [path, target], rounds=2, warmup_rounds=1, iterations=1
    )
    rate(benchmark, about.lines, "lines")
    benchmark.extra_info["bytes per event"] = target.stat().st_size / about.lines
    assert np.array_equal(read_ftrace(target).events, read_ftrace(path).events)


def test_one_recorded_trace(benchmark):
    trace = benchmark(read_ftrace, data_path(SMP1))
    assert len(trace.events) == 39_126
    rate(benchmark, trace.lines, "lines")


def test_requests_of_one_trace(benchmark):
    assert benchmark(read_requests, "smp1").height == 16_820


def test_one_operation_log(benchmark):
    log = benchmark(read_oplog, data_path(RFC10))
    assert log.height == 113_830
    rate(benchmark, log.height, "rows")


def test_summary_of_the_overlay(benchmark):
    assert benchmark(measured_overlay, "oplog-rfc10").refills == 71
