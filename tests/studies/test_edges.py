import polars as pl
import pytest

from vmalloc_model.errors import FileError
from vmalloc_model.freespace.reference import LinearFreeSpace
from vmalloc_model.freespace.topdown import pcpu_areas
from vmalloc_model.platforms import find_platform
from vmalloc_model.studies import (
    edges_full,
    edges_measured,
    edges_pages,
    edges_seen,
    edges_small,
    edges_stopped,
    edges_verdicts,
    edges_words,
)
from vmalloc_model.studies.growth import PARTS

MIB = 1 << 20
C = 64 * MIB
SMALL = ["i386", "riscv32"]
POLICIES = ["mainline", "rfc10", "rfc12", "scaled-chunk"]


@pytest.fixture(scope="module")
def start():
    return edges_small.start_table(SMALL, [1, 8], POLICIES, C)


@pytest.fixture(scope="module")
def churn():
    return edges_small.churn_table(SMALL, [1, 8], POLICIES, C, 20_000, 1)


# --- words ---------------------------------------------------------------------------------------


def test_names_with_the_same_value_stand_together():
    pairs = [("a", 1), ("b", 2), ("c", 1)]
    assert edges_words.by_value(pairs, str) == "a and c 1; b 2"
    assert edges_words.by_value([], str) == ""


def test_cases_with_the_same_cpus_stand_together():
    rows = [
        {"platform": "arm", "policy": policy, "cpus": cpus}
        for policy, counts in (("rfc10", (1,)), ("rfc11", (2, 8192)), ("rfc12", (1,)))
        for cpus in counts
    ]
    text = edges_words.cases_text(rows)
    assert text == "rfc10 and rfc12 on arm with 1 CPU; rfc11 on arm with 2/8,192 CPUs"


# --- small ranges --------------------------------------------------------------------------------


def test_chunks_split_a_small_range(start):
    row = start.filter(platform="i386", cpus=8, policy="rfc12").row(0, named=True)
    assert row["window"] == 120 * MIB
    assert (row["chunks"], row["largest"]) == (1, 56 * MIB - 7 * 8192)
    assert row["share"] == pytest.approx(row["largest"] / (120 * MIB))
    assert start.filter(~pl.col("per_cpu")).select("platform", "cpus", "policy").rows() == [
        ("riscv32", 8, "rfc10"),
        ("riscv32", 8, "rfc12"),
    ]
    text = edges_small.say_largest(start, C)
    assert "*i386*, 120 MiB, has room for 1 chunk of 64 MiB; with 8 CPUs: mainline and scal" in text
    assert "rfc10 and rfc12 55.945 MiB" in text
    assert "does not fit any more: rfc10 and rfc12 on riscv32 with 8 CPUs." in text
    assert "fits everywhere" in edges_small.say_largest(start.filter(platform="i386"), C)
    summary = edges_small.lines_summary(start, "share")
    assert summary.filter(platform="riscv32", policy="rfc12").row(0)[2:] == ("87.5 %", "6.25 %")


def test_the_fallback_begins_with_one_cpu_more_than_chunks(start):
    text = edges_small.say_fallback(start, C)
    assert text.endswith("i386 from 2 CPUs on and riscv32 from 9 CPUs on.")


def test_a_failed_refill_is_a_search_more(churn):
    plain = edges_small.without(churn)
    assert plain.height * 2 == churn.height
    for row in plain.filter(platform="i386").iter_rows(named=True):
        if row["policy"] in ("mainline", "scaled-chunk"):
            # 8 CPUs may have more lazy than there is: an overflow purge and a second search
            assert row["searches_per_1000"] == pytest.approx(1000, rel=1e-3)
            assert row["misses"] == 0
        else:
            assert row["misses"] == row["refills"] + row["refill_failures"]
            assert 1700 < row["searches_per_1000"] < 2000


def test_captions_of_the_small_ranges_name_the_cases(churn):
    text = edges_small.say_searches(churn)
    assert "*i386*: mainline and scaled-chunk 1,000; rfc10 1,7" in text
    assert "rfc12 on riscv32 with 8 CPUs" in text.split("Allocations fail")[1]
    fine = edges_small.say_searches(churn.filter(pl.col("policy") == "mainline"))
    assert "fail" not in fine
    always = churn.with_columns(refill_failures=pl.col("requests"))
    assert "More than 90 % of the requests try a refill that fails: " in edges_small.say_searches(
        always
    )
    kept = edges_small.say_kept(churn)
    assert "The 8 mappings hold 544 KiB." in kept
    assert "(rfc12 on riscv32, 100 % of the range)" in kept
    assert kept.endswith("no allocation fails.")
    none = edges_small.say_kept(churn.filter(policy="rfc10"))
    assert "of chunks" not in none
    assert "Mainline" not in none
    worse = churn.with_columns(failures=pl.lit(1))
    assert edges_small.say_kept(worse).endswith("some allocations fail.")


def test_the_table_of_what_is_kept_says_what_failed(churn):
    table = edges_small.kept_table(churn)
    assert table.height == 2 * 2 * 2
    row = table.filter(platform="riscv32", cpus=1, mappings=8).row(0, named=True)
    assert row["rfc12"].endswith("% failed)")
    assert row["mainline"].endswith("MiB")


def test_something_at_the_top_first_takes_the_failures_away(churn):
    placed = edges_small.placed_table(churn, C, 20_000, 1)
    assert placed.height == churn.filter(pl.col("failures") > 0).height > 1
    words = f"none of the {placed.height} cases with failures has any left."
    assert edges_small.say_placed(placed).endswith(words)
    still = placed.with_columns(placed_failures=pl.lit(1))
    text = edges_small.say_placed(still)
    words = f"{placed.height} of the {placed.height} cases with failures still have some: rfc12 on"
    assert words in text
    assert edges_small.say_placed(placed.clear()) == "No allocation fails in these streams."


# --- a real kernel -------------------------------------------------------------------------------


def test_the_model_fails_as_the_kernel_does():
    measured = edges_measured.load_measured()
    table = edges_measured.compared(measured, 8_000, 2)
    for evidence in ("MEASURED", "MODEL, rfc10"):
        rows = table.filter(evidence=evidence)
        assert rows["refills"].to_list() == [1, 1]
        assert rows["failed"].to_list() == [misses - 1 for misses in rows["misses"]]
    assert table.filter(evidence="MEASURED")["misses"].to_list() == [110_934, 4_507]
    text = edges_measured.say_measured(measured, table)
    assert "110,933 of 110,934 with 2 CPUs and 4,506 of 4,507 with 4 CPUs" in text
    assert "The model takes the one chunk there is" in text
    more = table.with_columns(refills=pl.lit(3))
    assert "more than once" in edges_measured.say_measured(measured, more)
    shown = edges_measured.measured_table(table)
    assert shown["searches_per_1000"].to_list()[0] == "not counted"
    assert shown["failed"].to_list()[0] == "110,933"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"policy": 3}, "wrong policy"),
        ({"more": 1}, "wrong keys"),
        ({"counts": [{"cpus": 2, "misses": 1}]}, "wrong counts"),
        ({"counts": [{"cpus": 2, "misses": 1, "failed_refills": "1"}]}, "wrong counts"),
        ({"counts": [{"cpus": 2, "misses": 1, "failed_refills": 2}]}, "more refills than misses"),
    ],
)
def test_a_file_that_cannot_be_is_refused(monkeypatch, change, problem):
    entry = edges_measured.read_toml("measured-edges.toml") | change
    monkeypatch.setattr(edges_measured, "read_toml", lambda _name: entry)
    with pytest.raises(FileError, match=problem):
        edges_measured.load_measured()


# --- CPUs ----------------------------------------------------------------------------------------


def test_what_stopped_cpus_keep_is_told_event_by_event():
    table = edges_stopped.stopped_table("x86_64-4level", 6, ["mainline", "rfc12"], 16 * MIB)
    shown = edges_stopped.stopped_shown(table)
    assert shown["rfc12"].unique().to_list() == ["48 MiB"]
    assert shown["mainline"].to_list()[-1] == "0 B"
    text = edges_stopped.say_stopped(table, "x86_64-4level", 16 * MIB)
    assert "3 CPUs freed all they had" in text
    assert "back at the end under mainline." in text
    assert "rfc12 48 MiB at the end" in text
    assert "32 KiB of back-pointers" in text
    plain = edges_stopped.say_stopped(table.filter(policy="mainline"), "x86_64-4level", 16 * MIB)
    assert "gives a current chunk back" not in plain


@pytest.fixture(scope="module")
def nodes():
    return edges_stopped.nodes_table("x86_64-4level", ["mainline", "rfc12"], C, 0)


def test_cpus_share_nodes_by_their_numbers(nodes):
    plain = nodes.filter((pl.col("policy") == "mainline") & ~pl.col("apart"))
    shares = {row["used"]: row["pool"] for row in plain.filter(stride=1).iter_rows(named=True)}
    assert shares == {n: pytest.approx(1 / min(n, 128)) for n in (32, 128, 256, 512, 4096, 8192)}
    assert plain.filter(stride=2)["pool"].to_list() == [2 / 64]
    assert plain.filter(stride=128)["pool"].to_list() == [1]
    chunks = nodes.filter(policy="rfc12", apart=False)
    assert chunks["chunks"].to_list() == chunks["used"].to_list()


def test_the_caption_says_why_nodes_are_shared(nodes):
    text = edges_stopped.say_nodes(nodes, "x86_64-4level", C)
    assert "32 CPUs have every 128th id, the busiest node gets 100 %." in text
    assert "stripes of 64 KiB" in text
    assert "again after 8 MiB. A chunk of 64 MiB is a whole number" in text
    assert "So the node depends" in edges_stopped.say_nodes(nodes, "x86_64-4level", 4 * MIB)
    dense = edges_stopped.say_nodes(nodes.filter(stride=1), "x86_64-4level", C)
    assert "while the ids are dense. Under" in dense
    assert "Under rfc12" not in edges_stopped.say_nodes(
        nodes.filter(policy="mainline"), "x86_64-4level", C
    )
    assert "Mainline" not in edges_stopped.say_nodes(nodes.filter(policy="rfc12"), "i386", C)
    shown = edges_stopped.nodes_shown(nodes.filter(policy="mainline"))
    assert shown["step"].unique().to_list() == ["-"]
    assert shown["cpus"].to_list()[-2:] == ["64 of 64, every 2nd id", "32 of 4,096, every 128th id"]


def test_only_cpus_that_a_kernel_can_have_are_tried():
    table = edges_stopped.nodes_table("arm", ["mainline"], C, 0)
    assert table["possible"].unique().to_list() == [32]
    assert "single node" in edges_stopped.say_nodes(table, "arm", C)


# --- a full range --------------------------------------------------------------------------------


def test_a_full_range_is_told_in_parts():
    full = edges_full.full_table(["i386"], 4, POLICIES, C, 1)
    parts = edges_full.full_parts(full)
    assert parts["part"].unique(maintain_order=True).to_list() == list(PARTS)
    sums = parts.group_by("policy", maintain_order=True).agg(pl.col("share").sum())["share"]
    assert sums.to_list() == pytest.approx([1] * 4)
    assert (parts["stream"] == "i386").all()
    live = dict(full.select("policy", "live_share").iter_rows())
    assert live["mainline"] == live["scaled-chunk"] > live["rfc10"] >= live["rfc12"]
    text = edges_full.say_full(full)
    assert "has searched 2 times under mainline" in text
    assert "4 times under the overlay" in text
    assert "room in current chunks" in text
    plain = edges_full.say_full(full.filter(policy="mainline"))
    assert "inside chunks" not in plain
    assert "searched" not in plain
    assert edges_full.full_summary(full).row(0)[0] == "i386"


def test_large_ranges_are_not_filled():
    assert edges_full.fillable(["i386", "x86_64-4level"]) == ["i386", "riscv64-sv39"]
    assert edges_full.fillable(["riscv64-sv39"]) == ["riscv64-sv39"]


@pytest.fixture(scope="module")
def meeting():
    return edges_full.meeting_table(["arm64-39bit-4k", "i386"], "rfc10", 2, C, 20_000, 1)


def test_chunks_meet_per_cpu_areas_where_the_distance_says(meeting):
    """With two areas at the distance from each other, by the kernel's way of placing them."""
    platform = find_platform("arm64-39bit-4k")
    first = platform.start // 4096
    end, chunk, size = first + platform.usable_size // 4096, C // 4096, 8
    for row in meeting.filter(platform="arm64-39bit-4k").iter_rows(named=True):
        distance = int(platform.usable_size * row["distance"]) // 4096
        for chunks, fits in ((row["chunks"], True), (row["chunks"] + 1, False)):
            space = LinearFreeSpace([(first + chunks * chunk, end)])
            # the distance is measured from the base to the end of the highest area
            base = pcpu_areas(space, [0, distance - size], [size, size], 0, first, end)
            assert (base is not None) == fits


def test_the_time_until_they_meet_is_chunks_times_requests(meeting):
    row = meeting.filter(platform="arm64-39bit-4k", distance=0.75).row(0, named=True)
    assert row["requests"] == pytest.approx(row["chunks"] * row["requests_per_refill"])
    assert row["seconds"] == pytest.approx(row["requests"] / 100_000)
    assert row["page_tables"] == row["below"] // 512
    full = meeting.filter(platform="i386")
    assert full["requests"].null_count() == full.height
    shown = edges_full.meeting_shown(meeting)
    assert shown.filter(platform="i386")["time"].unique().to_list() == ["-"]
    text = edges_full.say_meeting(meeting, "rfc10")
    assert "At 75 %: i386 0 and arm64-39bit-4k 995 chunks." in text
    assert "refills of rfc10" in text
    assert "refills of" not in edges_full.say_meeting(full, "rfc10")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (3, "3 s"),
        (600, "10 min"),
        (7200, "2 hours"),
        (1e6, "11.6 days"),
        (1e9, "31.7"),
    ],
)
def test_times_are_printed_in_units_that_suit(seconds, text):
    assert edges_full._time(seconds).startswith(text)


# --- pages, addresses, purges --------------------------------------------------------------------


def test_the_chunk_in_pages_of_three_sizes():
    table = edges_pages.pages_table(C)
    rows = {row["page_size"] >> 10: row for row in table.iter_rows(named=True)}
    assert [rows[k]["chunk_pages"] for k in (4, 16, 64)] == [16384, 4096, 1024]
    assert [rows[k]["small"] for k in (4, 16, 64)] == [8192, 2048, 512]
    assert [rows[k]["guard"] for k in (4, 16, 64)] == [1 / 17, 1 / 5, 1 / 2]
    assert [rows[k]["stacks"] for k in (4, 16, 64)] == [2048, 2048, 512]
    assert [rows[k]["block"] >> 20 for k in (4, 16, 64)] == [4, 16, 16]
    assert [rows[k]["blocks"] for k in (4, 16, 64)] == [16, 4, 4]
    assert [rows[k]["region"] >> 20 for k in (4, 16, 64)] == [2, 32, 512]
    assert [rows[k]["pointers"] >> 10 for k in (4, 16, 64)] == [128, 32, 8]
    assert "16 times fewer requests of one page, and 4 times" in edges_pages.say_pages(table, C)
    assert edges_pages.pages_shown(table).columns == ["quantity", "4 KiB", "16 KiB", "64 KiB"]


def test_blocks_above_half_a_chunk_are_not_eligible():
    table = edges_pages.pages_table(16 * MIB)
    assert table["blocks"].to_list() == [4, 0, 0]
    text = edges_pages.say_pages(table, 16 * MIB)
    assert text.endswith("not eligible with pages of 16 KiB and 64 KiB.")


@pytest.fixture(scope="module")
def seen():
    return edges_seen.seen_table("x86_64-4level", 2, ["mainline", "rfc10", "rfc12"], C, 20_000, 1)


def test_areas_of_chunks_are_in_no_busy_tree(seen):
    for row in seen.iter_rows(named=True):
        assert row["hidden"] == (row["live"] if row["policy"] == "rfc12" else 0)
    shares = {policy: min(seen.filter(policy=policy)["following"]) for policy in ("rfc12",)}
    assert shares["rfc12"] > 0.9 > max(seen.filter(policy="mainline")["following"])
    text = edges_seen.say_seen(seen)
    assert "in no busy tree at the end: 100 % of all under rfc12." in text
    assert "Every live area is in a busy tree." in edges_seen.say_seen(seen.filter(policy="rfc10"))
    assert edges_seen.seen_shown(seen)["hidden"].to_list()[2].endswith("(100 %)")
    assert edges_seen.say_shadow(C) == "8 MiB"


def test_a_purge_takes_the_same_areas_over_a_wider_span(seen):
    xfs = seen.filter(stream="xfs")
    assert xfs["purges"].n_unique() == xfs["per_purge"].n_unique() == 1
    spans = dict(xfs.select("policy", "span").iter_rows())
    assert spans["mainline"] < spans["rfc12"]
    # two CPUs: fls(2) * 32 MiB and less than one area above
    assert all(64 * MIB < size < 66 * MIB for size in xfs["purged"])
    assert edges_seen.purges_shown(seen).height == seen.filter(pl.col("purges") > 0).height
    assert "*xfs*: mainline" in edges_seen.say_purges(seen)
    none = seen.with_columns(purges=pl.lit(0))
    assert edges_seen.say_purges(none).startswith("No purge")
    assert edges_seen.purges_shown(none).is_empty()


# --- verdicts ------------------------------------------------------------------------------------


def test_verdicts_follow_the_tables(churn, seen):
    text = edges_verdicts.small_verdict(churn)
    assert "up to" in text
    plain, mapped = text.split("; with device mappings in the range ")
    assert plain.endswith("rfc12 on riscv32 with 8 CPUs")
    assert mapped == "rfc12 on riscv32 with 1 CPU."
    assert "it gains while chunks can be had, and loses when not." in text
    assert "fail" not in edges_verdicts.small_verdict(churn, "rfc10")
    assert "gains" not in edges_verdicts.small_verdict(churn.filter(platform="i386"))
    assert edges_verdicts.small_verdict(churn, "rfc11") == "rfc11 was not run on small ranges."
    stopped = edges_stopped.stopped_table("x86_64-4level", 4, ["rfc12"], 4 * MIB)
    assert edges_verdicts.stopped_verdict(stopped).endswith("under rfc12 2 of them keep 8 MiB.")
    assert "not run" in edges_verdicts.stopped_verdict(stopped, "rfc10")
    full = edges_full.full_table(["i386"], 4, ["mainline", "rfc12"], C, 1)
    assert edges_verdicts.full_verdict(full).endswith("87.9 % under mainline, 64.8 % under rfc12.")
    text = edges_verdicts.seen_verdict(seen)
    assert text.startswith("Under rfc12 100 % of the live areas are in no busy tree, and 9")
    assert "not run" in edges_verdicts.seen_verdict(seen, "rfc11")


def test_constants_of_the_kernel_are_printed():
    assert (edges_full.say_limit(), edges_stopped.say_most_nodes()) == ("75 %", "128")


# --- the chapter ---------------------------------------------------------------------------------
