"""Reading ftrace text, against a twin that takes one line apart after the other."""

import functools
import gzip
import hashlib
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError
from vmalloc_model.traces import ftrace, lines
from vmalloc_model.traces.events import ALLOC, EVENT, FREE, PURGE
from vmalloc_model.traces.ftrace import TraceText, read_ftrace
from vmalloc_model.traces.lines import SHORTEST, read_usual
from vmalloc_model.traces.textio import TextFile

SMP1 = "runs/debian-6.12.117-smp1.ftrace.txt.gz"
SMP2 = "runs/debian-6.12.117-smp2.ftrace.txt.gz"
SMP4 = "runs/debian-6.12.117-smp4-sync-purge.ftrace.txt.gz"
REUSED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)

# ------------------------------------------------------------------------------------- the twin
NAMES = {
    "alloc_vmap_area": (ALLOC, ("start", "size", "align", "vstart", "vend", "failed")),
    "purge_vmap_area_lazy": (PURGE, ("start", "end", "count")),
    "free_vmap_area_noflush": (FREE, ("start", "count", "limit")),
}


def twin(text):
    """Every event as a dict and the phases, one line at a time, without checking anything."""
    events, phases = [], [""]
    for number, line in enumerate(text.split(b"\n"), 1):
        line = line.decode("utf-8", "replace")
        mark = re.search(r": (?:tracing_mark_write|print): .*?\bMARK +(.*)", line)
        if mark:
            phases.append(mark[1].strip())
        for name, (kind, columns) in NAMES.items():
            head, found, fields = line.rpartition(f"{name}:")
            if found and re.search(r": +(\d+ +)?(vmalloc:)?$", head):
                head = re.sub(r": +(\d+ +)?(vmalloc:)?$", "", head)
                seconds, fraction = head.rsplit(" ", 1)[1].split(".")
                numbers = [word.replace("=", " ").split()[-1] for word in fields.split()]
                numbers = [word for word in numbers if word != "va_start:"]
                event = dict.fromkeys(EVENT.names, 0)
                event.update(zip(columns, (int(word, 0) for word in numbers), strict=True))
                event |= {"kind": kind, "line": number, "phase": len(phases) - 1}
                event["cpu"] = int(head.rsplit("[", 1)[1].split("]")[0])
                event["time"] = int(seconds) * 10**6 + int(fraction) // 10 ** (len(fraction) - 6)
                events.append(event)
    return events, tuple(phases)


def as_dicts(events):
    return [dict(zip(EVENT.names, event.item(), strict=True)) for event in events]


# --------------------------------------------------------------------------- lines as they come
U64 = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1, 10**8, 10**16, 0xFFFFC90000000000, 2**64 - 1]),
    st.integers(0, 10**6),
)
I63 = st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 10**5), st.just(2**63 - 1))
FIELDS = st.one_of(
    st.tuples(st.just("alloc_vmap_area"), U64, U64, U64, U64, U64, st.integers(0, 1)),
    st.tuples(st.just("purge_vmap_area_lazy"), U64, U64, I63),
    st.tuples(st.just("free_vmap_area_noflush"), U64, I63, I63),
)
TASKS = st.one_of(
    st.sampled_from(
        [
            "<idle>",
            "kworker/u8:3-ev",
            "a b",
            "x [001] 1.0: y",
            "alloc_vmap_area",
            "-",
            "va_start: 1=",
        ]
    ),
    st.text("ab1 .:=[]()<>-#/é\t", min_size=1, max_size=15),
)
HEADS = st.tuples(
    TASKS,
    st.integers(0, 4_194_304),
    st.one_of(st.integers(0, 9), st.integers(0, 8191)),
    st.sampled_from([".....", "d..1.", "dNh2.", "D..1", "....."]),
    st.one_of(st.integers(0, 10**5), st.integers(0, 10**10)),
    st.integers(0, 10**9 - 1),
)
MARKS = st.text("abc_ :=[].1", min_size=1, max_size=12).filter(lambda name: name.strip())


def fields_text(name, *values):
    return {
        "alloc_vmap_area": "va_start: %d size=%d align=%d vstart=0x%x vend=0x%x failed=%d",
        "purge_vmap_area_lazy": "start=0x%x end=0x%x num_purged=%d",
        "free_vmap_area_noflush": "va_start=0x%x nr_lazy=%d nr_lazy_max=%d",
    }[name] % values


def trace_line(head, name, text, *, flags=True, tgid=False):
    """One line of ``/sys/kernel/tracing/trace`` or of ``trace_pipe``."""
    task, pid, cpu, irq, seconds, nanoseconds = head
    group = f" ({pid:7d})" if tgid else ""
    state = f" {irq}" if flags else "   "
    time = f"{seconds:5d}.{nanoseconds // 1000:06d}"
    return f"{task:>16}-{pid:<7d}{group} [{cpu:03d}]{state} {time}: {name}: {text}"


def report_line(head, name, text, *, flags=True, nanoseconds=False):
    """One line of ``trace-cmd report``, with ``-t`` if in nanoseconds."""
    task, pid, cpu, irq, seconds, fraction = head
    state = f" {irq}" if flags else ""
    time = f"{seconds:6d}." + (f"{fraction:09d}" if nanoseconds else f"{fraction // 1000:06d}")
    if name == "tracing_mark_write":
        name, text = "print", f"tracing_mark_write: {text}"
    return f"{task:>16}-{pid:<5d} [{cpu:03d}]{state} {time}: {name + ':':<21} {text}"


def pipe_line(head, name, text):
    """One line of a recording whose runs of spaces were squeezed."""
    task, pid, cpu, irq, seconds, fraction = head
    return f"{task}-{pid} [{cpu:03d}] {irq} {seconds}.{fraction // 1000:06d}: {name}: {text}"


def script_line(head, name, text, *, nanoseconds=False, period=False, who=True):
    """One line of ``perf script``: default fields, --ns, -F +period, or without comm and tid."""
    task, pid, cpu, _, seconds, fraction = head
    if name == "tracing_mark_write":
        return f"# {text}"  # perf records no marks
    before = f"{task:>16} {pid:5d} " if who else ""
    time = f"{seconds:5d}." + (f"{fraction:09d}" if nanoseconds else f"{fraction // 1000:06d}")
    count = f"{1:10d} " if period else ""
    return f"{before}[{cpu:03d}] {time}: {count}{'vmalloc:' + name:>30}: {text}"


HEADER = [
    "# tracer: nop",
    "#",
    "# entries-in-buffer/entries-written: 7/7   #P:8193",
    "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION",
    "##### CPU 1 buffer started ####",
]
FORMS = {
    "trace": (HEADER, trace_line),
    "trace without irq-info": (HEADER, functools.partial(trace_line, flags=False)),
    "trace with record-tgid": (HEADER, functools.partial(trace_line, tgid=True)),
    "trace_pipe": ([], trace_line),
    "trace_pipe, squeezed": ([], pipe_line),
    "report": (["cpus=8193"], report_line),
    "report -t": (["cpus=8193"], functools.partial(report_line, nanoseconds=True)),
    "report without flags": (
        ["version = 6", "CPU 2 is empty", "cpus=8193"],
        functools.partial(report_line, flags=False),
    ),
    "perf script": (["# nrcpus online : 8193", "# os release : 6.12.1"], script_line),
    "perf script --ns": (
        ["# nrcpus online : 8193"],
        functools.partial(script_line, nanoseconds=True),
    ),
    "perf script -F +period": ([], functools.partial(script_line, period=True)),
    "perf script -F cpu,time,event,trace": ([], functools.partial(script_line, who=False)),
}


@pytest.mark.parametrize("form", FORMS)
@REUSED
@given(
    st.lists(st.tuples(HEADS, st.one_of(FIELDS, MARKS)), min_size=1, max_size=8),
    st.integers(64, 2000),
    st.booleans(),
)
def test_every_form_reads_as_the_twin_reads_it(tmp_path, form, lines, block_size, packed):
    header, line_of = FORMS[form]
    first = (("init", 1, 0, ".....", 1, 2000), ("free_vmap_area_noflush", 4096, 1, 2))
    entries = f" {1 + len(lines)}/{1 + len(lines)} "
    text = "\n".join(
        [said.replace(" 7/7 ", entries) for said in header]
        + [
            line_of(head, "tracing_mark_write", f"MARK {what}")
            if isinstance(what, str)
            else line_of(head, what[0], fields_text(*what))
            for head, what in [first, *lines]
        ]
        + [""]
    ).encode()
    (tmp_path / "t").write_bytes(gzip.compress(text, 1) if packed else text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ftrace, "TextFile", functools.partial(ftrace.TextFile, block_size=block_size))
        trace = read_ftrace(tmp_path / "t")
    events, phases = twin(text)
    assert as_dicts(trace.events) == events
    assert trace.phases == (("",) if form.startswith("perf") else phases)
    assert trace.lines == text.count(b"\n")
    assert trace.cpus == (8193 if header else max(event["cpu"] for event in events) + 1)
    assert trace.lost == 0


# --------------------------------------------------- the fast path and the expressions agree
def outcome(path):
    try:
        trace = read_ftrace(path)
    except FileError as error:
        return str(error)
    return as_dicts(trace.events), trace.phases


def read_nothing(data, at, line, phase, events):
    """Stand in for the fast path: leaves every line to the regular expressions."""
    return 0, at


GOOD = [
    trace_line(("kworker/0:1", 12, 0, "d..1.", 8, 547991000), name, fields_text(name, *values))
    for name, values in [
        ("alloc_vmap_area", (0xFFFFC90000000000, 8192, 4096, 0xFFFFC90000000000, 0xFFFF, 0)),
        ("purge_vmap_area_lazy", (2**64 - 1, 0, 0)),
        ("free_vmap_area_noflush", (0xFFFFC90000000000, 27, 24576)),
    ]
]
CHARACTERS = st.sampled_from([*" .:=[]x0129afAFg-_()\t", "0x", "  ", "é"])


@settings(REUSED, max_examples=200)
@given(
    st.sampled_from([*GOOD, GOOD[0].replace("alloc", "vmalloc:alloc", 1)]),
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 3), st.one_of(st.just(""), CHARACTERS)),
        min_size=1,
        max_size=3,
    ),
)
@example(GOOD[0].replace("[000]", "[100000]"), [(0, 0, "")])
@example(re.sub(r" +\[", "[", GOOD[0]), [(0, 0, "")])
@example(GOOD[0].replace(": va_start", ":va_start"), [(0, 0, "")])
@example(GOOD[0].replace("8192", "18446744073709551616"), [(0, 0, "")])
@example(GOOD[1].replace("num_purged=0", f"num_purged={2**63}"), [(0, 0, "")])
def test_a_damaged_line_is_judged_alike_by_both_paths(tmp_path, line, edits):
    for place, removed, added in edits:
        line = line[:place] + added + line[place + removed :]
    (tmp_path / "t").write_text("\n".join([GOOD[0], line, GOOD[2], ""]), encoding="utf-8")
    fast = outcome(tmp_path / "t")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "read_usual", read_nothing)
        assert outcome(tmp_path / "t") == fast


@pytest.mark.parametrize("run", [SMP1, SMP2, SMP4])
def test_recorded_lines_are_read_by_the_fast_path_and_equal_the_twin(run):
    text = gzip.decompress(data_path(run).read_bytes())
    found, at = np.empty(len(text) // SHORTEST, EVENT), 0
    while at < len(text):
        _, at = read_usual(text, at, 1, 0, found)
        line = text[at : text.find(b"\n", at) + 1]
        assert not line or line.startswith(b"#") or b": tracing_mark_write: MARK " in line
        at += len(line)
    trace = read_ftrace(data_path(run))
    events, phases = twin(text)
    assert as_dicts(trace.events) == events
    assert trace.phases == phases


# ------------------------------------------------------------------------------ recorded facts
@pytest.mark.parametrize(
    ("run", "lines", "allocs", "purges", "frees", "cpus", "entries", "marks"),
    [
        (SMP1, 39_149, 16_820, 5_651, 16_655, 1, 39_137, 11),
        (SMP2, 41_608, 18_087, 5_594, 17_904, 2, 41_596, 11),
        (SMP4, 8_601, 4_270, 167, 4_164, 4, None, 0),
    ],
)
def test_recorded_counts(run, lines, allocs, purges, frees, cpus, entries, marks):
    trace = read_ftrace(data_path(run))
    assert np.bincount(trace.events["kind"]).tolist() == [0, allocs, purges, frees]
    assert (trace.lines, trace.cpus, trace.lost) == (lines, cpus, 0)
    assert (trace.entries_in_buffer, trace.entries_written) == (entries, entries)
    assert len(trace.phases) == marks + 1
    if entries:
        assert len(trace.events) + marks == entries
    assert not trace.events["failed"].any()
    assert (np.diff(trace.events["line"]) > 0).all()


def test_a_lazy_area_was_allocated_before_or_is_known_to_be_missing():
    events = read_ftrace(data_path(SMP1)).events
    allocated = set(events["start"][events["kind"] == ALLOC].tolist())
    freed = events["start"][events["kind"] == FREE].tolist()
    # Boot switches the events off and on once, so one area can be missing.
    assert len(set(freed) - allocated) <= 1


def test_memory_is_bounded_by_the_result(tmp_path):
    packed = data_path(SMP1).read_bytes()
    (tmp_path / "t").write_bytes(packed * 16)  # 95 MB of text
    tracemalloc.start()
    try:
        trace = read_ftrace(tmp_path / "t")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert trace.lines == 16 * 39_149
    assert peak - trace.events.nbytes < 40 << 20


# --------------------------------------------------------------------------------- lost events
HEAD = "  kworker/0:1-12      [000] d..1.     8.547991: "
HEAD_OF_MARK = HEAD + "tracing_mark_write: "


@pytest.mark.parametrize(
    ("extra", "lost"),
    [
        (["# entries-in-buffer/entries-written: 3/10   #P:4"], 7),
        (["CPU:1 [LOST 12 EVENTS]", "CPU:0 [LOST 30 EVENTS]"], 42),
        (["CPU:7 [204600 EVENTS DROPPED]"], 204_600),
        (["CPU:7 [EVENTS DROPPED]", "CPU:7 [LOST EVENTS]"], 2),
        (["bash  8 [001]  5.123456: PERF_RECORD_LOST lost 7", "Lost 5 events"], 12),
        (["# entries-in-buffer/entries-written: 3/10   #P:4", "CPU:1 [LOST 5 EVENTS]"], 7),
        (["", "   ", "# anything"], 0),
    ],
)
def test_lost_events_are_counted(tmp_path, extra, lost):
    (tmp_path / "t").write_text("\n".join([*extra, *GOOD, ""]))
    trace = read_ftrace(tmp_path / "t")
    assert (len(trace.events), trace.lost) == (3, lost)


def test_marks_that_are_not_phases_are_passed_over(tmp_path):
    mark = trace_line(("sh", 9, 0, ".....", 9, 0), "tracing_mark_write", "hello")
    (tmp_path / "t").write_text("\r\n".join([GOOD[0], mark, GOOD[1], ""]))
    assert read_ftrace(tmp_path / "t").phases == ("",)


def test_events_of_other_subsystems_are_counted_and_passed_over(tmp_path):
    other = HEAD + "sched_switch: prev_comm=MARK a"
    stack = [HEAD + "<stack trace>", " => alloc_vmap_area", " => __vmalloc_node_range"]
    chain = ["\tffffffff8123 __vmalloc_node+0x1 ([kernel.kallsyms])", ""]
    (tmp_path / "t").write_text(
        "\n".join([GOOD[0], other, *stack, GOOD[1], *chain, other, GOOD[2], ""])
    )
    text = TraceText(TextFile(tmp_path / "t"))
    assert np.concatenate([e["line"] for e in text.events()]).tolist() == [1, 6, 10]
    said = text.said()
    assert (said["others"], said["phases"]) == ({"sched_switch": 2}, ("",))


@pytest.mark.parametrize(
    ("first", "form", "kernel"),
    [
        ("# os release : 6.12.1", "ftrace text", "6.12.1"),
        (HEAD_OF_MARK + "KERNEL 6.12.117-amd64", "ftrace text", "6.12.117-amd64"),
        ("cpus=2", "text of trace-cmd report", ""),
        ("Attaching 3 probes...", "text of bpftrace", ""),
        ("a 1 [000] 1.000000: vmalloc:purge_vmap_area_lazy: start=0x1 end=0x2 num_purged=1",
         "text of perf script", ""),
    ],
)  # fmt: skip
def test_what_a_text_says_about_itself(tmp_path, first, form, kernel):
    (tmp_path / "t").write_text("\n".join([first, *GOOD, ""]))
    text = TraceText(TextFile(tmp_path / "t", digest=True))
    assert sum(map(len, text.events())) >= 3
    said = text.said()
    assert (said["form"], said["kernel"], said["source"]) == (form, kernel, "t")
    assert said["sha256"] == hashlib.sha256((tmp_path / "t").read_bytes()).hexdigest()


# -------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["# tracer: nop", HEAD + "sched_switch: prev_comm=a [1] ==> next_comm=b [2]"] * 2
            + [""],
            ["no vmalloc events in 4 lines: 'events there: sched_switch (2)'", "model record"],
        ),
        (
            ["cc 1 [000] 5.123456: sched:sched_switch: a:1 [120] S ==> b:2 [120]", ""],
            ["events there: sched:sched_switch (1)"],
        ),
        ([HEAD + "do_idle <-cpu_startup_entry", GOOD[0]], ["line 1: broken line", "model record"]),
        ([GOOD[0].replace(": va", ":va"), GOOD[1]], ["line 1: broken line", "event: fields"]),
        (
            [GOOD[0], HEAD + "alloc_vmap_area: va_start: 12x size=8192 align=1"],
            [
                "line 2: the file ends in the middle of a line",
                "va_start: N size=N align=N vstart=0xN",
            ],
        ),
        ([GOOD[0].replace("8192", "-8192"), GOOD[1]], ["line 1: broken line", "size=-8192"]),
        ([GOOD[0].replace("8192", str(2**64)), GOOD[1]], ["line 1: broken line", "64 bits"]),
        ([GOOD[1], GOOD[0].replace("failed=0", "failed=2"), ""], ["line 2: broken line"]),
        ([GOOD[0].replace("8.547991", "8"), GOOD[1]], ["line 1: broken line", "seconds.micro"]),
        (["Dear kernel,", GOOD[0]], ["line 1: broken line: 'Dear kernel,'"]),
        ([GOOD[0], GOOD[2][:-20], ""], ["line 2: broken line", "va_start=0xN nr_lazy=N nr_"]),
        (
            ["# tracer: nop", HEAD + "tracing_mark_write: MARK boot", ""],
            ["no vmalloc events in 2 lines", "vmalloc-model record"],
        ),
        (["0x0000 \x00\x01\x02"], ["line 1"]),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_one_clear_error_with_file_and_line(tmp_path, lines, said, pack):
    path = tmp_path / "my.trace"
    path.write_bytes(pack("\n".join(lines).encode()))
    with pytest.raises(FileError) as error:
        read_ftrace(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value)


@pytest.mark.parametrize(
    "last",
    [
        GOOD[2],
        GOOD[2][:-1],  # nr_lazy_max=2457, of 24576: still a number
        HEAD + "sched_switch: prev_comm=a",
        HEAD_OF_MARK + "MARK z_en",
    ],
)
@pytest.mark.parametrize("block_size", [100, 1 << 21])
def test_an_event_without_a_line_end_may_be_cut(tmp_path, monkeypatch, last, block_size):
    monkeypatch.setattr(
        ftrace, "TextFile", functools.partial(ftrace.TextFile, block_size=block_size)
    )
    (tmp_path / "t").write_text("\n".join([*GOOD, last]))
    with pytest.raises(FileError, match="line 4: the file ends in the middle of a line") as error:
        read_ftrace(tmp_path / "t")
    assert "if this one is, a line feed behind it" in str(error.value)
    (tmp_path / "t").write_text("\n".join([*GOOD, last, "# a remark"]))
    assert read_ftrace(tmp_path / "t").lines == 5


def test_the_first_bad_line_is_the_one_reported(tmp_path):
    bad = HEAD + "alloc_vmap_area: x"
    (tmp_path / "t").write_text("\n".join([*GOOD * 1000, bad, *GOOD * 1000, "broken", bad]))
    with pytest.raises(FileError) as error:
        read_ftrace(tmp_path / "t")
    assert error.value.line == 3001


def test_a_truncated_copy_of_a_recording_says_where(tmp_path):
    packed = data_path(SMP1).read_bytes()
    (tmp_path / "t.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(FileError, match=r"line 2\d,\d{3}: gzip data cut off after 2\d,\d{3} "):
        read_ftrace(tmp_path / "t.gz")
