import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.callers import load_callers
from vmalloc_model.runs import read_requests
from vmalloc_model.studies import coverage

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def smallest(size, align=1):
    """Smallest power of two of which size and alignment are at most half, by trying."""
    chunk = 2
    while size > chunk // 2 or align > chunk // 2:
        chunk *= 2
    return chunk


# --- the guard page ------------------------------------------------------------------------------


@given(
    st.integers(14, 34).map(lambda n: 1 << n),
    st.sampled_from([4096, 16384]),
    st.integers(0, 3),
)
def test_payloads_around_half_a_chunk(chunk, page, guard):
    if chunk < 2 * page:
        return
    table = coverage.guard_table(chunk, page, guard)
    half = chunk // 2
    payloads = [size for size in (half - page, half, half + page) if size]
    guards = sorted({0, guard})
    assert table.select("payload", "guard_pages").rows() == [
        (size, pages) for size in payloads for pages in guards
    ]
    for row in table.iter_rows(named=True):
        assert row["request"] == row["payload"] + row["guard_pages"] * page
        assert row["eligible"] == (row["request"] <= half)
        assert row["smallest"] == smallest(row["request"])


def test_the_guard_page_at_exactly_32_mib():
    text = coverage.say_guard(coverage.guard_table(64 * MIB, 4096, 1), 64 * MIB)
    assert "exactly 32 MiB is eligible for a chunk of 64 MiB if no guard page" in text
    assert "admits it is 128 MiB" in text
    shown = coverage.shown_guard(coverage.guard_table(64 * MIB, 4096, 1), 4096)
    assert shown["eligible"].to_list() == ["yes", "yes", "yes", "no", "no", "no"]
    assert shown["request"].to_list()[3] == "8,193 pages"
    assert shown["guard"].to_list()[:2] == ["none", "1"]


def test_without_guard_page_nothing_is_said_about_it():
    text = coverage.say_guard(coverage.guard_table(16 * MIB, 16384, 0), 16 * MIB)
    assert text == (
        "A payload of exactly 8 MiB is eligible for a chunk of 16 MiB if no guard page is counted, "
        "as here."
    )


# --- caller sets ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def needs():
    return coverage.smallest_table(["smp4-sync"], 64 * MIB, 4096, 1)


def test_as_stated_64_mib_is_the_smallest_power_of_two(needs):
    """Mail: "64 MB is therefore the *minimum* chunk size"."""
    assert needs.row(0, named=True)["smallest"] == 64 * MIB
    assert needs.row(1, named=True)["smallest"] == 128 * MIB
    text = coverage.say_smallest(needs, 64 * MIB)
    assert text.startswith("The premises as stated give 64 MiB; with the guard page")
    assert "The largest .ko file, which is read into one buffer, needs 64 MiB." in text


@pytest.mark.parametrize(("page", "guard"), [(4096, 1), (16384, 1), (65536, 0)])
def test_chunks_are_those_found_by_trying(page, guard):
    table = coverage.smallest_table([], 64 * MIB, page, guard)
    for row in table.iter_rows(named=True):
        assert row["smallest"] == smallest(row["request"], row["align"])
        assert row["request"] % page == 0
        assert 0 <= row["request"] - row["payload"] < (guard + 1) * page
        assert row["eligible"] == (row["smallest"] <= 64 * MIB)


def test_a_set_needs_what_its_most_demanding_caller_needs(needs):
    known = {row["id"]: row for row in load_callers().iter_rows(named=True)}
    row = needs.filter(callers="arm64 stacks and BPF JIT packs").row(0, named=True)
    assert row["payload"] == known["bpf-jit-pack-2-nodes"]["payload"]
    assert row["window"] == "arm64"
    device = needs.filter(callers=known["ioremap-bar-256m"]["who"]).row(0, named=True)
    assert device["smallest"] == GIB


def test_recorded_needs_are_those_of_the_largest_request(needs):
    asked = read_requests("smp4-sync").filter("in_window")
    most = max(max(size, align) for size, align in asked.select("size", "align").rows())
    row = needs.filter(callers="recorded in smp4-sync").row(0, named=True)
    assert row["smallest"] == smallest(most)
    assert row["payload"] is None
    assert row["window"] == "x86_64"


def test_a_guard_page_behind_a_round_size_shows(needs):
    shown = coverage.shown_smallest(needs)
    assert shown["needs"].to_list()[:2] == ["32 MiB", "32 MiB + 4 KiB"]
    assert "4 GiB + 68 KiB" in shown["needs"].to_list()
    assert shown["eligible"].to_list()[:2] == ["yes", "no"]


def test_the_caption_counts_what_needs_the_chunk(needs):
    others = needs["smallest"].to_list()[3:]
    for chunk in (16 * MIB, 64 * MIB):
        text = coverage.say_smallest(needs, chunk)
        exactly = "16 MiB" if chunk == 16 * MIB else "64 MiB"
        assert f"{others.count(chunk)} of {len(others)} need exactly {exactly}." in text


# --- as stated and as checked --------------------------------------------------------------------


def test_the_numbers_of_argument_1():
    table = coverage.stated_table(["smp4-sync", "oplog-rfc10"])
    rows = {row["quantity"]: row for row in table.iter_rows(named=True)}
    chunk = rows["smallest power of two for 32 MiB"]
    assert (chunk["mail"], chunk["stated"], chunk["checked"]) == ("64 MB", "64 MiB", "128 MiB")
    largest = rows["largest payload eligible at 64 MiB"]
    assert (largest["stated"], largest["checked"]) == ("32 MiB", "32 MiB less 4 KiB")
    assert rows["BPF JIT: smallest power of two"]["stated"] == "8 MiB"
    sections = rows["module sections in the standard window"]
    assert sections["stated"] == "yes"
    assert sections["checked"].endswith("; recorded: 0 of 428")
    slow = rows["pushed to the slow path by a chunk of 32 MiB"]
    assert slow["stated"] == "a module of 32 MiB"
    assert slow["checked"] == "no sections and 1 file of 4,230 modules"
    assert coverage.say_stated() == (
        "On the mail's premises 64 MiB is the smallest power of two that admits 32 MiB; with the "
        "guard page it is 128 MiB."
    )


def test_runs_without_callers_say_nothing_about_sections():
    table = coverage.stated_table(["smp4-sync"])
    assert not any("recorded" in text for text in table["checked"])
