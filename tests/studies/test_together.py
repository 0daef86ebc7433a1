import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model.callers import load_modules
from vmalloc_model.datafiles import ROOT, data_path
from vmalloc_model.platforms import find_platform
from vmalloc_model.studies import together, together_changes, together_stated, what_follows
from vmalloc_model.studies.refills import refills_table

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
IDS = ["x86_64-4level", "i386", "arm64-39bit-4k", "arm64-52bit-64k", "riscv64-sv57"]
USUAL = together.Criteria(1000, 4 * KIB, 0.032, 32)

criteria = st.builds(
    together.Criteria,
    min_allocations=st.integers(1, 100_000),
    mean_size=st.sampled_from([1, 4 * KIB, 100_000, MIB]),
    budget=st.floats(1e-9, 1.0),
    cpus=st.integers(1, 10_000),
    guard_pages=st.integers(0, 2),
)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """``data(name, old, new)``: the report's data with one text of one file replaced."""
    for entry in (ROOT / "data").iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))

    def replace(name, old, new):
        path = tmp_path / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.unlink()
        path.write_text(text.replace(old, new), encoding="utf-8")

    return replace


def meets_all(chunk, payload, page, guard, asked, cpus, range_size):
    """The three arguments as they are said, for one chunk size."""

    def area(size):
        return (-(-size // page) + guard) * page

    covers = 2 * area(payload) <= chunk
    # a request must be eligible to be served at all
    serves = area(asked.mean_size) <= chunk // 2 and (
        chunk // area(asked.mean_size) >= asked.min_allocations
    )
    affordable = chunk * cpus <= asked.budget * range_size
    return covers and serves and affordable


# --- intervals -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(asked=criteria, chunk=st.sampled_from([4 * MIB, 64 * MIB, GIB]))
def test_the_powers_of_two_are_those_that_meet_all_three(asked, chunk):
    table = together.feasible(IDS, asked, chunk)
    assert table.height == 2 + 2 * len(IDS)
    payload = load_modules()["file_bytes"].max()
    for row in table.filter(premises="as checked").iter_rows(named=True):
        one = find_platform(row["label"])
        cpus = one.nr_cpus_max if row["machine"] == together.MAXIMUM else asked.cpus
        assert row["cpus"] == min(cpus, one.nr_cpus_max)
        found = [
            1 << shift
            for shift in range(10, 60)
            if meets_all(
                1 << shift,
                payload,
                one.page_size,
                asked.guard_pages,
                asked,
                row["cpus"],
                one.size,
            )
        ]
        powers = [1 << shift for shift in range(62) if row["low"] <= 1 << shift <= row["high"]]
        assert powers == found
        assert row["powers"] == len(found)
        assert (row["smallest_power"], row["largest_power"]) == (
            (found[0], found[-1]) if found else (0, 0)
        )
        assert row["too_small"] == (chunk < row["low"])
        assert row["too_large"] == (chunk > row["high"])
        assert row["empty"] == (row["low"] > row["high"])


def test_from_the_mails_premises_64_mib_is_the_smallest_power_of_two():
    table = together.feasible(["i386"], USUAL, 64 * MIB)
    x86, arm64 = table.filter(premises="as stated").rows(named=True)
    assert x86["low"] == arm64["low"] == 64 * MIB
    # "Doubling to 128 MB ... is still acceptable"
    assert x86["powers_text"] == "64 MiB to 128 MiB (2)"
    assert arm64["smallest_power"] == 64 * MIB


@pytest.mark.parametrize(
    ("budget", "left"), [(1 / 64, [64]), (0.031, [64]), (1 / 32, [64, 128]), (0.0156, [])]
)
def test_the_ends_of_the_budget_that_leaves_only_64_mib(budget, left):
    asked = together.Criteria(1000, 4 * KIB, budget, 32)
    x86 = together.feasible(["i386"], asked, 64 * MIB).row(0, named=True)
    ends = [size for size in (x86["smallest_power"], x86["largest_power"]) if size]
    assert sorted(set(ends)) == [size * MIB for size in left]
    assert x86["too_large"] == (64 not in left)
    assert not x86["too_small"]


def test_the_caption_counts_what_the_table_shows():
    table = together.feasible(IDS, USUAL, 64 * MIB)
    said = together.say_feasible(table, USUAL, 64 * MIB)
    for machine in ("32 CPUs", together.MAXIMUM):
        rows = table.filter(premises="as checked", machine=machine)
        both = rows.filter(~pl.col("too_small") & ~pl.col("too_large")).height
        assert f"ith {machine}, 64 MiB meets all three on {both} of 5 platforms" in said
    assert "only larger sizes do on 1; no size does on 1 (i386)." in said
    assert "only larger sizes do on 1; no size does on 2 (i386 and arm64-39bit-4k)." in said
    assert "1,000 allocations of 4 KiB" in said
    assert "3.2 % of the range" in said


def test_the_caption_where_nothing_is_empty():
    asked = together.Criteria(1, 4 * KIB, 1.0, 1)
    table = together.feasible(["x86_64-5level"], asked, 64 * MIB)
    said = together.say_feasible(table, asked, 64 * MIB)
    assert said.count("64 MiB meets all three on 1 of 1 platforms shown. ") == 2


@settings(max_examples=25)
@given(asked=criteria, chunk=st.sampled_from([4 * MIB, 64 * MIB, GIB]))
def test_the_caption_counts_each_platform_once(asked, chunk):
    # arm64-42bit-64k is where nothing fits although the range is not small
    ids = [*IDS, "arm64-42bit-64k", "s390x"]
    said = together.say_feasible(together.feasible(ids, asked, chunk), asked, chunk)
    sentences = re.findall(r"meets all three on [^.]*\.", said)
    assert len(sentences) == 2
    for sentence in sentences:
        counts = [int(number) for number in re.findall(r" on (\d+)", sentence)]
        assert sum(counts) == len(ids)


def test_which_argument_sets_the_low_end():
    def said(ids, allocations):
        asked = together.Criteria(allocations, 4 * KIB, 0.032, 32)
        return together.say_low_end(together.feasible(ids, asked, 64 * MIB))

    assert "set by the largest request on every" in said(["x86_64-4level"], 1000)
    assert "On arm64-52bit-64k (64 KiB pages)" in said(IDS, 1000)
    assert "on the other platforms" in said(IDS, 1000)
    assert "on the other platforms" not in said(["x86_64-4level"], 100_000)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (0.01, "less than the 1.56 %"),
        (0.02, "at least the 1.56 % that chunks of 64 MiB take in the mail, and less than"),
        (1 / 32, "That is the 3.2 % that the mail calls still acceptable"),
        (0.032, "That is the 3.2 % that the mail calls still acceptable"),
        (0.05, "more than the 3.2 %"),
    ],
)
def test_a_budget_against_what_the_mail_comments_on(budget, words):
    assert words in together_stated.say_budget(budget)


def test_a_larger_module_moves_the_low_end(data):
    before = together.feasible(["x86_64-4level"], USUAL, 64 * MIB)["low"][-1]
    name = "modules-debian-6.12.117-amd64.csv"
    line = next(
        line for line in data_path(name).read_text().splitlines() if line.startswith("amdgpu,")
    )
    data(name, line, line.replace("29305335", str(100 * MIB)))
    after = together.feasible(["x86_64-4level"], USUAL, 64 * MIB)["low"][-1]
    assert before == 2 * (7155 * 4096 + 4096)
    assert after == 2 * (100 * MIB + 4096)
    assert "which is another value" in together_stated.say_together_as_stated(
        "x86_64-4level", USUAL
    )


# --- as stated and as checked --------------------------------------------------------------------


def quantity(name, platform="x86_64-4level", asked=USUAL):
    rows = together_stated.together_as_stated(platform, asked).rows(named=True)
    return next(row for row in rows if row["quantity"].startswith(name))


def test_the_combined_argument_as_stated_and_as_checked():
    row = quantity("smallest power of two that covers 32 MiB")
    assert (row["mail"], row["stated"], row["checked"]) == ("64 MB", "64 MiB", "128 MiB")
    assert row["moved_by"] == "guard page"
    row = quantity("lower end by coverage")
    assert (row["stated"], row["checked"]) == ("64 MiB", "55.906 MiB")
    row = quantity("budgets for which only one")
    assert row["stated"] == "64 MiB: from 1.56 % to below 3.12 %"
    assert row["checked"] == "64 MiB: from 0.0061 % to below 0.012 %"


def test_only_premises_that_differ_are_named():
    bare = together.Criteria(1000, 4096, 0.032, 32, guard_pages=0)
    assert quantity("lower end by 1,000", asked=bare)["moved_by"] == "none"
    assert quantity("lower end by 1,000", "arm64-48bit-64k", bare)["moved_by"] == "page size"
    assert quantity("lower end by coverage")["moved_by"] == "which request and guard page"
    assert quantity("upper end", asked=USUAL)["moved_by"] == "range"
    many = together.Criteria(1000, 4096, 0.032, 64)
    assert quantity("upper end", asked=many)["moved_by"] == "range and CPUs"
    # 8,192 CPUs on 32 TiB are 32 CPUs on 128 GiB
    same = together.Criteria(1000, 4096, 0.032, 8192)
    assert quantity("upper end", asked=same)["moved_by"] == "none"


def test_one_cpu_is_not_plural():
    one = together.Criteria(1000, 4096, 0.032, 1)
    table = together.feasible(["i386"], one, 64 * MIB)
    assert "with 1 CPU, 64 MiB" in together.say_feasible(table, one, 64 * MIB)


def test_without_a_guard_page_both_sides_agree_on_32_mib():
    row = quantity("smallest power of two", asked=together.Criteria(1000, 4096, 0.032, 32, 0))
    assert (row["stated"], row["checked"], row["moved_by"]) == ("64 MiB", "64 MiB", "none")


def test_what_the_mail_says_is_in_the_mail():
    mail = " ".join(data_path("patch/patch-10-of-12.txt").read_text(encoding="utf-8").split())
    quoted = set(together_stated.together_as_stated("i386", USUAL)["mail"]) - {"no number"}
    assert quoted == {"32 MB", "64 MB", '64 MB; 128 MB "still acceptable"'}
    parts = {part for quote in quoted for part in re.findall(r'\d+ MB|(?<=")[^"]+(?=")', quote)}
    assert parts == {"32 MB", "64 MB", "128 MB", "still acceptable"}
    assert all(part in mail for part in parts)


def test_every_row_names_where_the_sourced_side_comes_from():
    table = together_stated.together_as_stated("arm", USUAL)
    sources = dict(zip(table["quantity"], table["source"], strict=True))
    assert all(sources.values())
    for name, source in sources.items():
        files = re.findall(r"data/[\w.-]+(?=:)", source)
        assert all(data_path(file.removeprefix("data/")).is_file() for file in files), name
    covers = sources["smallest power of two that covers 32 MiB"]
    assert covers.endswith("__get_vm_area_node; data/platforms.csv: arm")
    # a guard other than the sourced one is the reader's
    bare = together_stated.together_as_stated("arm", together.Criteria(1000, 4096, 0.032, 32, 0))
    assert bare["source"][1] == "parameters of this page; data/platforms.csv: arm"
    assert bare["source"][3] == bare["source"][1]


def test_the_sentence_on_the_same_value():
    assert "the same value" in together_stated.say_together_as_stated("x86_64-4level", USUAL)


# --- one assumption at a time --------------------------------------------------------------------


def changed(platform="x86_64-4level", asked=USUAL):
    table = together_changes.changes(platform, asked, [16 * KIB, 64 * KIB], [MIB], [0.1])
    return {row["change"]: row for row in table.iter_rows(named=True)}


def test_each_change_as_written_out():
    rows = changed()
    low = 2 * (29_306_880 + 4096)
    high = int(0.032 * (32 << 40)) // 32 // 4096 * 4096
    assert {row["base"] for row in rows.values() if row["end"] == "low"} == {low}
    assert {row["base"] for row in rows.values() if row["end"] == "high"} == {high}
    assert {name: row["changed"] for name, row in rows.items()} == {
        "guard: none": low - 8192,
        "page 16 KiB": 2 * (1789 + 1) * 16 * KIB,
        "page 64 KiB": 1000 * 128 * KIB,
        "mean 1 MiB": 1000 * (MIB + 4096),
        "16,384 per refill": 128 * MIB,
        "64 per refill": low,
        "request 32 MiB": 64 * MIB + 8192,
        "module sections": 2 * (7_004_160 + 4096),
        "bpf-arena": 2 * (4_295_032_832 + 4096),
        "range 128 GiB": int(0.032 * (128 << 30)) // 32 // 4096 * 4096,
        "64 CPUs": high // 2 // 4096 * 4096,
        "8,192 CPUs": int(0.032 * (32 << 40)) // 8192 // 4096 * 4096,
        "budget 10 %": int(0.1 * (32 << 40)) // 32 // 4096 * 4096,
    }
    assert rows["request 32 MiB"]["power_after"] == "128 MiB"
    assert rows["range 128 GiB"]["power_after"] == "128 MiB"


def test_the_ends_are_those_of_the_intervals():
    for platform in ("arm64-48bit-64k", "riscv32", "s390x"):
        table = together.feasible([platform], USUAL, 64 * MIB)
        row = table.filter(premises="as checked").row(0, named=True)
        rows = changed(platform)
        ends = {row["end"]: row["base"] for row in rows.values()}
        assert ends == {"low": row["low"], "high": row["high"]}


def test_the_mails_range_is_tried_only_where_the_mail_names_one():
    assert "range 256 PiB" in changed("arm64-48bit-4k")
    assert not any(name.startswith("range") for name in changed("s390x"))


def test_the_largest_listed_caller_depends_on_the_platform():
    assert "bpf-arena" in changed("arm64-48bit-4k")
    assert "bpf-arena" not in changed("i386")


def test_the_caption_on_changes():
    table = together_changes.changes("x86_64-4level", USUAL, [16 * KIB], [], [0.1])
    said = together_changes.say_changes(table, "x86_64-4level")
    assert "moves most with bpf-arena: up to just over 8 GiB" in said
    assert "moves most with range 128 GiB and 8,192 CPUs: down to 131.07 MiB" in said
    assert "16 MiB with module sections" in said
    assert "stays with page 16 KiB, guard: none and 64 per refill" in said


@settings(max_examples=10)
@given(
    asked=criteria,
    platform=st.sampled_from(["x86_64-4level", "riscv32", "arm64-36bit-16k", "mips64-64k"]),
)
def test_every_caption_can_be_said(asked, platform):
    table = together_changes.changes(platform, asked, [4 * KIB], [4 * KIB, MIB], [0.5])
    assert set(table["end"]) <= {"low", "high"}
    said = together_changes.say_changes(table, platform)
    said += together.say_feasible(together.feasible([platform], asked, MIB), asked, MIB)
    said += together_stated.say_together_as_stated(platform, asked) + together_stated.say_budget(
        asked.budget
    )
    assert not any(word in said for word in ("None", "nan", "inf ", "  ", ";."))
    together_stated.together_as_stated(platform, asked)


# --- what follows --------------------------------------------------------------------------------


def consequences(*arguments):
    table = what_follows.what_follows(*arguments)
    return {row["consequence"]: row for row in table.iter_rows(named=True)}, table


def test_what_follows_as_written_out():
    sizes = [16 * MIB, 64 * MIB]
    rows, table = consequences(sizes, "x86_64-4level", IDS, USUAL, [4 * KIB, MIB], ["smp4-sync"])
    assert table.columns == ["consequence", "16 MiB", "64 MiB"]
    files = load_modules()["file_bytes"].to_list()
    lost = sum(size > 8 * MIB - 4096 for size in files)
    assert rows[".ko files whose buffer is not eligible"]["16 MiB"] == f"{lost} of {len(files):,}"
    assert rows["largest eligible payload"]["64 MiB"] == "31.996 MiB"
    assert rows["served by one refill, payload 4 KiB"]["64 MiB"] == "8,192 requests"
    assert rows["served by one refill, payload 1 MiB"]["16 MiB"] == "15 requests"
    assert rows["visits to the global allocator for 1,000 of 4 KiB"]["64 MiB"] == "0.122"
    assert rows["reserved on x86_64-4level, 32 CPUs"]["64 MiB"] == "0.0061 %"
    assert rows["reserved on x86_64-4level, 8,192 CPUs (maximum)"]["64 MiB"] == "1.56 %"
    assert rows["reserved on i386, 64 CPUs (maximum)"]["16 MiB"] == "853 %"
    # arm64-52bit-64k and riscv64-sv57 stay below the share that is worth a row
    assert "reserved on the other 2 platforms, at their maximum" in rows
    filled = refills_table(["smp4-sync"], sizes, sizes[0]).filter(what="model", chunk_size=sizes[1])
    run = next(row for name, row in rows.items() if name.startswith("recorded run"))
    assert run["64 MiB"].startswith(f"{filled['refills'][0]:,} refills")
    assert "2 of 4,230 with 16 MiB" in what_follows.say_what_follows(table, "x86_64-4level")


def test_what_follows_on_another_platform_without_runs():
    asked = together.Criteria(1, 4 * KIB, 0.1, 100, guard_pages=0)
    rows, table = consequences([2 * MIB], "arm64-52bit-64k", ["arm"], asked, [64 * KIB], [])
    assert rows["largest eligible payload"]["2 MiB"] == "1 MiB"
    assert rows["served by one refill, payload 64 KiB"]["2 MiB"] == "32 requests"
    assert not any(name.startswith("recorded") for name in rows)
    said = what_follows.say_what_follows(table, "arm64-52bit-64k")
    assert said == "What follows from a chunk of 2 MiB, on arm64-52bit-64k unless said otherwise."
