"""The engine's sources, their compilation and its cache."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vmalloc_model import native
from vmalloc_model.allocator.allocator import _PROBLEMS
from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.allocator.machine import LARGEST_POOLED_PAGES, machine_of
from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.allocator.rules import ELIGIBLE
from vmalloc_model.allocator.settings import NUMBERS, settings
from vmalloc_model.caches import cache_folder
from vmalloc_model.errors import ModelError
from vmalloc_model.events import EVENT, GUARD, NODE, OPERATIONS
from vmalloc_model.platforms import find_platform

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "vmalloc_model" / "native"


def enums(name):
    """Return the names of every enum of a source, by the enum's name or its first member."""
    text = re.sub(r"/\*.*?\*/", "", (SOURCES / name).read_text(), flags=re.DOTALL)
    found = {}
    for tag, body in re.findall(r"enum\s*(\w*)\s*\{([^}]*)\}", text):
        names = [part.strip() for part in body.split(",") if part.strip()]
        found[tag or names[0].split()[0]] = names
    return found


# --- names that C and Python share ---------------------------------------------------------------


def test_counters_stand_in_the_same_order():
    names = enums("state.h")["counter"]
    assert [name.lower() for name in names] == [*COUNTERS, "counters"]


def test_numbers_stand_in_the_same_order():
    """One has a shorter name there."""
    names = [name.lower() for name in enums("state.h")["number"]]
    assert [{"regions": "page_tables"}.get(name, name) for name in names] == [*NUMBERS, "numbers"]


def test_settings_stand_in_the_same_order():
    """Each is found by what changes when one thing of a machine or a policy is another."""
    names = enums("state.h")["setting"]
    machine = machine_of(find_platform("x86_64-4level"), 4)
    rules = load_policies()["rfc10"]
    usual = settings(machine, rules, True)
    assert len(usual) == len(names) - 1
    assert names[-1] == "SETTINGS"
    changed = {
        "CPUS": settings(replace(machine, cpus=99), rules, True),
        "NODES": settings(replace(machine, nodes=99), rules, True),
        "ZONE_PAGES": settings(replace(machine, zone_pages=99), rules, True),
        "LAZY_MAX": settings(replace(machine, lazy_max_pages=99), rules, True),
        "BLOCK_PAGES": settings(replace(machine, block_pages=99), rules, True),
        "CHUNK_PAGES": settings(replace(machine, chunk_pages=99), rules, True),
        "KEEP_FEW": settings(replace(machine, decay="6.16"), rules, True),
        "REGION_PAGES": settings(replace(machine, page_size=8192), rules, True),
        "WINDOWS": settings(replace(machine, windows=((1, 2),) * 3), rules, True),
        "AUTO_PURGE": settings(machine, rules, False),
        "CHUNK_FIRST": settings(machine, replace(rules, first="chunk"), True),
        "ELIGIBILITY": settings(machine, replace(rules, eligible="message"), True),
        "REFILL_ON_NULL": settings(machine, replace(rules, refill_on="null"), True),
        "RESIDENT": settings(machine, replace(rules, resident=True), True),
        "BY_FREEING": settings(machine, replace(rules, owner="freeing"), True),
        "RELEASE": settings(machine, replace(rules, release="purged"), True),
        "RELEASE_AT_REFILL": settings(machine, replace(rules, release_at_refill=True), True),
        "REWIND": settings(machine, replace(rules, rewind=True), True),
        "POOLED": settings(machine, replace(rules, pooled=False), True),
    }
    for name, words in changed.items():
        differing = [k for k, word in enumerate(words) if word != usual[k]]
        assert differing == [names.index(name)], name
    # fewer pages than 64: pointers of 4 bytes
    words = settings(replace(machine, block_max_pages=32), rules, True)
    assert words[names.index("BLOCK_MOST")] == 32
    assert words[names.index("REGION_PAGES")] == 1024
    assert set(changed) == set(names) - {"BLOCK_MOST", "SETTINGS"}


def test_what_else_has_a_number_on_both_sides():
    found = enums("state.h")
    assert [name.lower() for name in found["ALLOC"]] == ["alloc = 1", *[*OPERATIONS.values()][1:]]
    assert found["GUARD"] == [f"GUARD = {GUARD}", f"NUMA_NODE = {NODE}"]
    assert found["SIZES"] == [f"SIZES = {LARGEST_POOLED_PAGES}"]
    assert [name.removeprefix("BY_").lower() for name in found["BY_CODE"]] == list(ELIGIBLE)
    assert found["NEVER"] == ["NEVER", "DRAINED", "PURGED"]
    endings = enums("paths.c")["DONE"]
    assert list(range(1, len(endings))) == list(_PROBLEMS)
    columns = re.search(r"struct event \{(.*?)\}", (SOURCES / "paths.c").read_text(), re.DOTALL)
    words = re.findall(r"uint(\d+)_t ([\w, ]+);", columns[1])
    wanted = [(name, int(bits) // 8) for bits, names in words for name in names.split(", ")]
    assert [(name, EVENT[name].itemsize) for name in EVENT.names] == wanted


# --- compilation and cache -----------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Let the package compile a copy of the sources into an empty cache."""
    sources = tmp_path / "native"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(native, "_HERE", sources)
    monkeypatch.setenv("VMALLOC_MODEL_CACHE", str(tmp_path / "cache"))
    native._digest.cache_clear()
    native.library.cache_clear()
    yield sources
    native._digest.cache_clear()
    native.library.cache_clear()


@pytest.fixture
def tiny(copied):
    """A source that compiles at once."""
    for source in copied.glob("*.[ch]"):
        source.unlink()
    engine = copied / "engine.c"
    engine.write_text('__attribute__((visibility("default"))) int answer(void) { return 41; }\n')
    return engine


def built():
    return sorted(path.name for path in cache_folder("engine").rglob("*") if path.is_file())


def test_a_broken_source(tiny):
    """The compiler's message, and nothing left that could be taken for the engine."""
    tiny.write_text("int answer(void) { return nothing_of_this_name; }\n")
    with pytest.raises(ModelError, match=r"^the engine does not compile: .*nothing_of_this_name"):
        native.library()
    assert built() == []
    assert not list(native._path().parent.iterdir())


def test_the_checked_build_is_another(tiny, monkeypatch):
    paths = set()
    for chosen in ("", "0", "1"):
        monkeypatch.setenv("VMALLOC_MODEL_CHECKED", chosen)
        native._digest.cache_clear()
        assert native.checked_build() == (chosen == "1")
        paths.add(native._path())
    assert len(paths) == 2


@pytest.fixture
def no_compiler(tiny, monkeypatch):
    """Have the engine at once, as a copy of the one that tests use."""
    ready = native._HERE.parent / "ready.so"
    monkeypatch.undo()
    shutil.copy(native._path(), ready)
    native._digest.cache_clear()
    monkeypatch.setattr(native, "_HERE", tiny.parent)
    monkeypatch.setenv("VMALLOC_MODEL_CACHE", str(ready.parent / "cache"))

    def copy(path):
        path.parent.mkdir(parents=True)
        shutil.copy(ready, path)

    monkeypatch.setattr(native, "_compile", copy)


def test_a_compilation_is_announced_once(no_compiler, capsys):
    lines = []
    native.warm_up(lines.append)
    assert lines == ["compiling the allocator model (once, a few seconds)"]
    native.library.cache_clear()
    native.warm_up(lines.append)
    assert len(lines) == 1
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_told_unless_somebody_else_is(no_compiler, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    native.warm_up()
    assert capsys.readouterr().err == "compiling the allocator model (once, a few seconds)\n"


def test_two_processes_compile_at_once(tiny, monkeypatch):
    """Each its own file, renamed into place; the engine works in both, and here without a compiler.

    Another source is another engine.
    """
    code = (
        "import pathlib, sys\n"
        "from vmalloc_model import native\n"
        "native._HERE = pathlib.Path(sys.argv[1])\n"
        "print(native.library().answer())\n"
    )
    command = [sys.executable, "-c", code, os.fspath(tiny.parent)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in "12"]
    assert [run.communicate()[0] for run in runs] == ["41\n", "41\n"]
    assert built() == ["engine.so"]
    monkeypatch.setattr(native, "_compile", lambda _: pytest.fail("compiled again"))
    assert native.library().answer() == 41
    first = native._path()
    tiny.write_text(tiny.read_text().replace("41", "42"))
    assert native._path() == first  # within a process nothing changes
    native._digest.cache_clear()
    second = native._path()
    (tiny.parent / "other.h").write_text("\n")
    native._digest.cache_clear()
    assert len({first, second, native._path()}) == 3  # an included file counts, too


# --- the build that verifies itself --------------------------------------------------------------


def test_the_checked_build_passes():
    """Every CHECK and the sanitizer, on the corpora and some of the longer runs."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    files = ["tests/freespace/test_fast.py", "tests/allocator/test_allocator_fast.py"]
    chosen = "kept or border or replaying or (random_runs and rfc11)"
    run = subprocess.run(
        [*command, *files, "-k", chosen],
        cwd=ROOT,
        env={**os.environ, "VMALLOC_MODEL_CHECKED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]


def test_a_check_that_fails_ends_the_process():
    """And says where: no range without pages is carved, which Python sees to."""
    code = (
        "from vmalloc_model.freespace.fast import FastFreeSpace\n"
        "space = FastFreeSpace('gaps', [(1, 50)])\n"
        "space._lib.vm_carve(space._space, 10, 0)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "VMALLOC_MODEL_CHECKED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode < 0
    assert re.search(r"space\.c:\d+: broken: left >= 0 && right >= 0 && pages > 0", run.stderr)
