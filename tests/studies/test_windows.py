import pytest

from vmalloc_model.callers import ARCHES, WINDOWS, load_callers, windows
from vmalloc_model.studies.windows import say_windows, where, windows_summary, windows_table


@pytest.fixture(scope="module")
def asked():
    return {(caller, arch): window for caller, arch, window, _ in windows().iter_rows()}


@pytest.fixture(scope="module")
def table():
    return windows_table()


def test_every_caller_is_in_one_row_and_every_row_has_all_architectures(table):
    rows = table.unique("callers", maintain_order=True)
    ids = [one for row in rows["ids"] for one in row.split(", ")]
    assert sorted(ids) == sorted(load_callers()["id"])
    assert rows["count"].to_list() == [len(row.split(", ")) for row in rows["ids"]]
    assert table.height == rows.height * len(ARCHES)


def test_a_tile_is_the_window_of_all_its_callers_that_exist_there(table, asked):
    for row in table.iter_rows(named=True):
        found = {asked[one, row["arch"]] for one in row["ids"].split(", ")}
        assert (found - {"none"} or {"none"}) == {row["window"]}, row
        assert (
            row["letter"]
            == {"standard": "S", "own": "O", "fallback": "F", "none": ""}[row["window"]]
        )
    assert set(table["window"]) == set(WINDOWS)


def test_callers_that_differ_do_not_share_a_row(table):
    row = table.filter(ids="module-section")
    assert row.height == len(ARCHES)
    assert "stack-*" in table["callers"].to_list()


def test_rows_that_use_the_standard_window_least_come_first(table):
    counts = [
        part.filter(window="standard").height
        for _, part in table.group_by("callers", maintain_order=True)
    ]
    assert counts == sorted(counts)


def test_where_callers_ask_for_the_standard_window(asked):
    assert where(["module-file"]) == "everywhere"
    assert where(["pcpu-areas"]) == "nowhere"
    sections = [arch for arch in ARCHES if asked["module-section", arch] == "standard"]
    assert where(["module-section"]) == " and ".join(sections)
    # all of them have to be there
    assert where(["stack-arm64", "bpf-jit-pack"]) == "arm64"
    assert where(["dentry-hash"]) == "all but i386, arm and riscv32"


def test_the_summary_has_a_letter_for_each_tile(table):
    summary = windows_summary(table)
    assert summary.columns == ["callers", *ARCHES]
    for row in table.iter_rows(named=True):
        letter = summary.filter(callers=row["callers"])[row["arch"]].item()
        assert letter == (row["letter"] or "-")


def test_the_caption_counts_callers(asked):
    ids = {caller for caller, _ in asked}
    everywhere = sum(all(asked[one, arch] == "standard" for arch in ARCHES) for one in ids)
    assert f"Of {len(ids)} callers {everywhere} ask for it" in say_windows()
    assert say_windows().startswith(
        f"Module sections ask for the standard window on {where(['module-section'])}, "
        f"BPF JIT images on {where(['bpf-jit-image'])}. "
    )


def test_the_caption_names_the_callers_whose_window_is_kaslr_s(asked):
    note = load_callers().filter(id="module-section")["note"].item()
    assert "i386: the standard window without KASLR only" in note
    own = {one for (one, arch), window in asked.items() if (arch, window) == ("i386", "own")}
    assert own == {"module-section", "bpf-jit-image", "kprobe-page", "pcpu-areas"}
    assert "module sections, BPF JIT images and kprobe pages on i386" in say_windows()
