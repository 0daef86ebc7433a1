"""Lines per second of the trace readers, on the smp1 run repeated to about a million lines.

The result of each timed reading is compared with the plain reading of one copy.
"""

import gzip

import numpy as np
import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.runs import measured_overlay, read_requests
from vmalloc_model.traces.ftrace import read_ftrace
from vmalloc_model.traces.oplog import read_oplog

SMP1 = "runs/debian-6.12.117-smp1.ftrace.txt.gz"
RFC10 = "runs/linux-6.12.117-smp2-rfc10.oplog.csv.gz"
COPIES = 26


@pytest.fixture(scope="module")
def long_traces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces")
    packed = data_path(SMP1).read_bytes()
    (folder / "packed").write_bytes(packed * COPIES)  # members of one gzip file
    (folder / "plain").write_bytes(gzip.decompress(packed) * COPIES)
    return folder


def rate(benchmark, count, what):
    benchmark.extra_info[f"million {what} per second"] = count / benchmark.stats["min"] / 1e6


@pytest.mark.parametrize("container", ["plain", "packed"])
def test_million_lines_of_ftrace(benchmark, long_traces, container):
    trace = benchmark.pedantic(
        read_ftrace, [long_traces / container], rounds=3, warmup_rounds=1, iterations=1
    )
    one = read_ftrace(data_path(SMP1))
    assert trace.lines == COPIES * one.lines
    for column in set(one.events.dtype.names) - {"line", "phase"}:
        assert np.array_equal(trace.events[column], np.tile(one.events[column], COPIES))
    steps = trace.events["line"].reshape(COPIES, -1) - one.events["line"]
    assert np.array_equal(steps[:, 0], np.arange(COPIES) * one.lines)
    assert (steps == steps[:, :1]).all()
    rate(benchmark, trace.lines, "lines")


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
