"""Each chapter runs with other parameters: another platform, another chunk size, another run.

The sets are small, so that this takes seconds; what the results say is tested elsewhere. Each
run must finish with the figures, tables and numbers of the book, and say something else.
"""

import json
import re

import pytest

from vmalloc_model.report import runner
from vmalloc_model.report.overrides import Given, overrides_of
from vmalloc_model.report.project import Project

PROJECT = Project.at()

SETS = {
    "summary": [
        {"platform": "arm64-48bit-4k", "run": "smp4-sync"},
        {"page_size": "16K", "guard_pages": "0", "barely": "10", "budget": "1%"},
    ],
    "patch": [
        {"chunk_size": "16M"},
        {"page_size": "64K", "guard_pages": "0"},
    ],
    "coverage": [
        {"chunk_size": "16M", "chunk_sizes": "4M,16M,64M", "runs": "smp4-sync"},
        {"page_size": "16K", "runs": "oplog-stock"},
    ],
    "amortisation": [
        {"chunk_size": "4M", "runs": "smp4-sync,oplog-stock", "mean_sizes": "8K,1M"},
        {"page_size": "64K", "page_sizes": "4K,64K", "runs": "smp1", "barely": "5"},
    ],
    "address-space": [
        {"platform": "arm64-39bit-4k", "cpus": "8"},
        {"chunk_size": "16M", "platforms": "i386,arm,riscv64-sv39", "cpu_counts": "1:64:*4"},
    ],
    "together": [
        {"platform": "riscv64-sv39", "cpus": "64", "budget": "10%", "runs": "smp4-sync"},
        {"chunk_size": "16M", "platforms": "arm,i386", "guard_pages": "0", "mean_size": "64K"},
    ],
    "validation": [
        {"runs": "smp4-sync", "run": "oplog-rfc10"},
        {"runs": "smp1,oplog-rfc10", "run": "oplog-rfc10"},
    ],
    "growth": [
        {
            "platform": "arm64-39bit-4k",
            "run": "smp4-sync",
            "workloads": "xfs,random_size",
            "events": "20000",
            "policies": "mainline,rfc12",
        },
        {
            "chunk_size": "16M",
            "cpus": "1",
            "workloads": "fix_size",
            "events": "20000",
            "policies": "mainline,rfc10,described",
        },
    ],
    "occupancy": [
        {
            "platform": "arm64-48bit-64k",
            "chunk_size": "16M",
            "chunk_sizes": "4M,16M",
            "runs": "smp4-sync",
            "mixes": "one_page,xfs",
            "events": "10000",
        },
        {
            "platform": "i386",
            "chunk_size": "1M",
            "chunk_sizes": "1M,2M",
            "mixes": "one_page,huge",
            "runs": "smp1",
            "events": "5000",
        },
    ],
    "left-to-win": [
        {
            "platform": "i386",
            "cpus": "2",
            "cpu_counts": "1,2",
            "chunk_size": "4M",
            "chunk_sizes": "1M:64M:*2",
            "workloads": "fix_size,stacks,mixed",
            "runs": "smp2",
            "events": "10000",
        },
        {
            "platform": "arm64-48bit-64k",
            "cpus": "8",
            "cpu_counts": "2,16",
            "chunk_size": "32M",
            "chunk_sizes": "16M:256M:*2",
            "workloads": "churn,random_size",
            "runs": "smp4-sync",
            "barely": "5",
            "events": "10000",
        },
    ],
    "contention": [
        {
            "platform": "arm64-48bit-64k",
            "chunk_size": "16M",
            "chunk_sizes": "16M,64M",
            "workloads": "fix_size,xfs",
            "visit_cpus": "2,8",
            "cpu_counts": "1:256:*4",
            "events": "20000",
        },
        {
            "platform": "i386",
            "policies": "rfc12",
            "workloads": "stacks",
            "chunk_size": "4M",
            "chunk_sizes": "4M",
            "visit_cpus": "1,4",
            "cpu_counts": "1,4,64",
            "events": "20000",
            "fit_jobs": "1,4,16",
            "handover_ns": "1400",
            "slowdown": "0.5",
        },
    ],
    "leaks": [
        {
            "platform": "arm64-39bit-4k",
            "platforms": "arm64-39bit-4k,riscv64-sv39",
            "chunk_size": "16M",
            "policies": "mainline,rfc12,release-at-refill",
            "workloads": "fix_size,stacks",
            "cpu_counts": "2",
            "events": "12000",
        },
        {
            "platform": "arm64-48bit-64k",
            "platforms": "riscv64-sv39",
            "cpus": "1",
            "policies": "rfc10",
            "workloads": "churn",
            "cpu_counts": "1,3",
            "events": "12000",
        },
    ],
    "pinning": [
        {
            "platform": "arm64-48bit-64k",
            "chunk_size": "16M",
            "chunk_sizes": "4M,16M,64M",
            "workloads": "stacks,xfs",
            "cpus": "2",
            "cpu_counts": "1,16",
            "loops": "500",
            "events": "10000",
            "pinned": "0.01",
            "lifetimes": "1000",
        },
        {
            "platform": "i386",
            "cpus": "1",
            "chunk_size": "4M",
            "chunk_sizes": "1M,4M",
            "run": "smp1",
            "workloads": "stacks",
            "policies": "rfc10",
            "pinned": "0.01",
            "cpu_counts": "1,2",
            "loops": "1000",
            "events": "10000",
        },
    ],
    "edges": [
        {
            "platform": "arm64-48bit-64k",
            "platforms": "i386",
            "chunk_size": "16M",
            "cpus": "4",
            "cpu_counts": "1,3",
            "policies": "mainline,rfc11,release-after-purge",
            "events": "5000",
        },
        {
            "platform": "i386",
            "platforms": "arm,mips64-4k",
            "chunk_size": "4M",
            "cpus": "1",
            "cpu_counts": "2",
            "policies": "rfc12,described",
            "seed": "7",
            "events": "5000",
        },
    ],
    "orders": [
        {
            "policies": "rfc10,rfc12",
            "tasks": "3",
            "cpus": "1",
            "chunk_size": "16M",
            "platforms": "arm64-39bit-4k",
        },
        {
            "policies": "pools-only,described-released,reset-when-empty",
            "bound": "600",
            "chunk_size": "1M",
            "platforms": "arm64-48bit-64k,i386",
        },
    ],
    "alternatives": [
        {
            "platforms": "riscv64-sv39,arm64-48bit-64k",
            "cpus": "2",
            "chunk_sizes": "1M,16M",
            "chunk_size": "32M",
            "policies": "rfc12,release-after-purge",
            "run": "smp1",
            "events": "12000",
        },
        {
            "platforms": "arm,x86_64-4level",
            "cpus": "1",
            "chunk_sizes": "1M",
            "chunk_size": "4M",
            "policies": "rfc10,rfc11,described",
            "workloads": "producer_consumer",
            "run": "smp4-sync",
            "barely": "500",
            "events": "12000",
        },
    ],
}
WITHOUT_PARAMETERS = ["questions"]


def test_every_chapter_has_two_sets():
    assert {name for name in PROJECT.names() if runner.defaults(PROJECT, name)} == set(SETS)
    assert [n for n in PROJECT.names() if not runner.defaults(PROJECT, n)] == WITHOUT_PARAMETERS
    for name, sets in SETS.items():
        assert len(sets) >= 2, name
        changed = {"platform", "platforms", "chunk_size", "chunk_sizes", "run", "runs", "page_size"}
        assert all(changed & set(one) for one in sets), name


def shown(name):
    """Ids of the figures, tables and numbers in a chapter's source."""
    text = PROJECT.source(name).read_text()
    shows = set(re.findall(r'\b(?:figure|table)\(\s*"([^"]+)"', text))
    return sorted(shows), set(re.findall(r'\bnumber\(\s*"([^"]+)"', text))


@pytest.mark.notebooks
@pytest.mark.parametrize(
    ("name", "given"),
    [pytest.param(n, one, id=f"{n}-{k}") for n, sets in SETS.items() for k, one in enumerate(sets)],
)
def test_a_chapter_runs_with_other_parameters(name, given, tmp_path):
    out = tmp_path / name
    values = overrides_of(PROJECT, [name], [Given(*one) for one in given.items()])[name]
    target = runner.Target(name, out, tmp_path / "work", values)  # not kept: it shall run
    assert runner.run_stale(PROJECT, [target], print) == {}
    shows, numbers = shown(name)
    assert {path.name for path in out.iterdir() if path.is_dir()} == set(shows)
    assert set(told(out)) == numbers
    record = json.loads((out / "provenance.json").read_text())
    assert set(record["overrides"]) <= set(given)  # a default that was given is no override
    book = PROJECT.runs / name
    assert [said(out, shows), told(out)] != [said(book, shows), told(book)]


def told(folder):
    path = folder / "numbers.json"
    return json.loads(path.read_text()) if path.exists() else {}


def said(folder, shows):
    """Data and caption of everything shown."""
    captions = [json.loads((folder / one / "meta.json").read_text())["caption"] for one in shows]
    return captions, [(folder / one / "data.csv").read_text() for one in shows]
