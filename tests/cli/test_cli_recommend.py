"""``vmalloc-model recommend``."""

import csv
import io
import json
import re
import shlex

import pytest

from vmalloc_model.cli.recommend import command
from vmalloc_model.platforms import load_platforms
from vmalloc_model.units import parse_size

MIB = 1 << 20
ARM64 = "recommend --platform arm64-39bit-4k --cpus 64 --largest 32M --budget 1%"
X86 = "recommend --platform x86_64-4level --cpus 2 --largest 1M --budget 1%"
SHORT = f"{X86} --chunks 8M,64M --workload xfs --events 20k"


@pytest.fixture
def run(command_line):
    return lambda line: command_line(*shlex.split(line))


def rows_of(text, heading):
    """Cells of the first table whose headings begin with some words."""
    lines = text.splitlines()
    place = next(n for n, line in enumerate(lines) if re.match(heading, line))
    spans = [match.span() for match in re.finditer("-+", lines[place + 1])]
    body = lines[place + 2 :]
    return [[line[a:b].strip() for a, b in spans] for line in body[: body.index("")]]


def test_the_text_answers_the_question(run):
    status, text, errors = run(f"{ARM64} --no-simulation")
    assert (status, errors) == (0, "")
    flat = " ".join(text.split())
    assert text.startswith("MODEL\n\nChunk sizes for arm64-39bit-4k with 64 CPUs")
    assert "Left: none. No power of two meets all three arguments." in flat
    assert "64 MiB admits only 31.996 MiB of 32 MiB (4 KiB too little)" in flat
    assert "1 % of the range allows 32 MiB for 64 CPUs; 64 MiB needs 1.61 %" in flat
    assert "and a budget of 1.61 % instead of 1 % (factor 1.61) leaves 64 MiB" in flat
    assert "The patch's 64 MiB misses coverage and cost and meets amortisation" in flat
    assert "with the default of NR_CPUS (512): none" in flat
    changes, assumptions = text.split("The patch's")
    assert changes.count("\n* ") == 4  # the nearest of more
    assert 0 < assumptions.count("\n* ") <= 5


@pytest.mark.parametrize("platform", load_platforms().values(), ids=lambda one: one.id)
def test_the_text_fits_a_mail_on_every_platform(run, platform):
    for cpus in sorted({1, platform.nr_cpus_default, platform.nr_cpus_max}):
        for largest, budget in (("32M", "1%"), ("1M", "100%")):
            line = f"--platform {platform.id} --cpus {cpus} --largest {largest} --budget {budget}"
            status, text, errors = run(f"recommend {line} --no-simulation")
            assert (status, errors) == (0, "")
            assert text.isascii()
            assert "\t" not in text
            assert max(map(len, text.splitlines())) <= 72, platform.id


def test_all_forms_have_the_same_verdicts(run):
    _, text, _ = run(f"{ARM64} --no-simulation --chunks 8M:256M:*2")
    told = json.loads(run(f"{ARM64} --no-simulation --chunks 8M:256M:*2 --format json")[1])
    table = list(csv.DictReader(io.StringIO(run(f"{ARM64} --no-simulation --format csv")[1])))
    by_text = {parse_size(row[0]): row[-1] for row in rows_of(text, "chunk  ")}
    assert len(by_text) == 6
    arguments = ("coverage", "amortisation", "cost")
    for size in told["sizes"]:
        missed = [str(n) for n, one in enumerate(arguments, 1) if not size["met"][one]]
        assert by_text[size["chunk_size"]] == (" ".join(missed) or "left")
        (row,) = [row for row in table if row["chunk_size"] == str(size["chunk_size"])]
        assert [row[f"{one}_met"] == "true" for one in arguments] == list(size["met"].values())
        assert row["left"] == str(size["left"]).lower()
    assert told["left"] == []
    assert (told["least"], told["most"]) == (128 * MIB, 32 * MIB)
    assert told["changes"][0]["values"] == {"largest": 32 * MIB - 4096, "budget": 0.0161}


def test_what_is_played_is_in_all_forms(run):
    status, text, errors = run(SHORT)
    assert (status, errors) == (0, "")
    assert max(map(len, text.splitlines())) <= 72
    told = json.loads(run(f"{SHORT} --format json")[1])
    shown = {row[0]: row for row in rows_of(text, "design +visits")}
    rows = {(row["design"], row["chunk_size"]): row for row in told["simulated"]}
    assert {"mainline", "rfc10 8 MiB", "rfc12 8 MiB", "rfc10 64 MiB", "rfc12 64 MiB"} <= set(shown)
    base = rows["mainline", 0]["visits"]
    for design, size in (("rfc10", 8), ("rfc12", 8), ("rfc10", 64), ("rfc12", 64)):
        visits = rows[design, size * MIB]["visits"]
        cells = shown[f"{design} {size} MiB"]
        assert float(cells[2]) == pytest.approx(100 * (visits / base - 1), abs=0.5)
        assert cells[1].rstrip("*") == f"{visits:.3g}"
    taken = told["taken"]["design"]
    assert f"it takes {taken}" in " ".join(text.split())
    table = list(csv.DictReader(io.StringIO(run(f"{SHORT} --format csv")[1])))
    played = [row for row in table if row["kind"] == "simulation"]
    assert [row["design"] for row in played] == [row["design"] for row in told["simulated"]]
    assert [float(row["visits"]) for row in played] == [r["visits"] for r in told["simulated"]]


def test_markdown_has_tables_and_the_command(run):
    status, text, _ = run(f"{ARM64} --no-simulation --format markdown")
    assert status == 0
    assert text.startswith("**MODEL**\n")
    assert "| 64 MiB | 31.996 MiB | 0.99 | 8,192 | 8.1 | 1.61 % | 0.62 | 1 3 |" in text
    assert "```\nvmalloc-model recommend" in text


def test_a_recorded_run_is_labelled(run):
    line = f"{X86} --chunks 64M --workload fix_size --events 2k --run smp1"
    status, text, errors = run(line)
    assert (status, errors) == (0, "")
    assert text.startswith("MODEL and MODEL on MEASURED requests\n")
    assert "smp1 (MODEL on MEASURED requests): the recorded requests on 1 CPU" in text
    assert "fix_size (MODEL): " in text
    assert max(map(len, text.splitlines())) <= 72


def test_the_command_again_gives_the_same(run):
    for line in (SHORT, f"{ARM64} --guard-pages 0 --mean-size 20K --no-simulation"):
        _, text, _ = run(line)
        again = text.rpartition("again:")[2].replace("\\\n", " ")
        assert run(" ".join(again.split()[1:]))[1] == text


def test_the_file_is_what_would_be_printed(run, tmp_path):
    target = tmp_path / "answer.txt"
    status, printed, errors = run(f"{ARM64} --no-simulation -o {target}")
    assert (status, printed, errors) == (0, "", "")
    assert target.read_text() == run(f"{ARM64} --no-simulation")[1]


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("recommend", "Missing option '--platform'"),
        (ARM64.replace("arm64-39bit-4k", "arm63"), "--platform: unknown platform: 'arm63'"),
        (ARM64.replace("64 ", "4097 "), "--cpus: out of range: 4097; allowed: 1..4,096"),
        (ARM64.replace("64 ", "0 "), "--cpus: out of range: 0"),
        (ARM64.replace("32M", "1T"), "--largest: out of range: 1099511627776; allowed: 1.."),
        (ARM64.replace("32M", "big"), "--largest: not a size: 'big'"),
        (ARM64.replace("1%", "101%"), "--budget: not a share: '101%'"),
        (f"{ARM64} --mean-size 0", "--mean-size: out of range: 0"),
        (f"{ARM64} --min-allocations 1e12", "--min-allocations: out of range"),
        (f"{ARM64} --chunks 3M", "--chunks: not a power of two: '3M'"),
        (f"{ARM64} --chunks 1M:1G", "--chunks: not a size: '1M:1G'"),
        (f"{ARM64} --chunks 4K", "--chunks: not a chunk size: 4096"),
        (f"{ARM64} --workload chrun", "--workload: no such workload: 'chrun'; allowed: churn"),
        (f"{ARM64} --events 0", "--events: out of range: 0"),
        (f"{ARM64} --run smp1", "--run: was recorded on x86_64-4level: 'smp1'"),
        (f"{ARM64} --run smp9", "--run: no such recorded run, and no such file: 'smp9'"),
        (f"{ARM64} --no-simulation --run smp1", "--run: given together with --no-simulation"),
        (f"{ARM64} --format xml", "Invalid value for '--format'"),
        (f"{ARM64} -o /nowhere/answer.txt", "/nowhere/answer.txt: its folder does not exist"),
    ],
)
def test_wrong_input_is_one_line(run, line, start):
    status, output, errors = run(line)
    assert (status, output) == (2, "")
    assert errors.startswith(f"error: {start}")
    assert errors.count("\n") == 1


def test_the_examples_work(run):
    lines = re.findall(r"vmalloc-model (recommend .*)", command.help)
    assert len(lines) == 4
    for line in lines:
        shorter = "" if "--no-simulation" in line else " --events 2k"
        status, output, errors = run(line + shorter)
        assert (status, errors) == (0, ""), line
        assert output
