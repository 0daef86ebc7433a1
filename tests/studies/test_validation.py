import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.datafiles import read_toml
from vmalloc_model.freespace import make
from vmalloc_model.replay.result import Difference, Replay
from vmalloc_model.studies import validation, validation_overlay, validation_rules

MIB = 1 << 20


@pytest.fixture
def mixed(monkeypatch, tmp_path):
    """Two runs without a recording: one exact, one with two wrong addresses of 1,500."""
    from vmalloc_model.runs import find_run

    results = {}
    for name, wrong in (("smp1", ()), ("smp2", (3, 1200))):
        result = Replay(tmp_path, "oplog" if wrong else "ftrace", "mainline", 1, 1, 2000)
        for number in range(1, 1501):
            if not result.tally("addresses").add(number not in wrong):
                result.note(Difference(number, "addresses", "a", "b", f"cause {number % 2}"))
        result.resynchronised = len(wrong)
        results[name] = (find_run(name), result.finish())
    monkeypatch.setattr(validation, "replayed", results.__getitem__)
    return list(results)


def test_predictions_are_counted(mixed):
    table = validation.predictions_table(mixed)
    assert table.select("run", "allocations", "right", "exact", "different").rows() == [
        ("smp1", 1500, 1500, 1500, 0),
        ("smp2", 1500, 1498, 2, 2),
    ]
    text = validation.say_predictions(table)
    assert "In 1 of 2 recorded runs every prediction is right: 1,500 addresses" in text
    assert "In smp2 the first 2 allocations are right, and 99.9 % of all" in text
    assert "after each of 2 differences" in text
    assert validation.shown_predictions(table)["exact"].to_list() == ["the end", "2"]


def test_wrong_addresses_are_in_their_thousand(mixed):
    table = validation.along_table(mixed)
    assert table.filter(run="smp2").select("first", "last", "wrong").rows() == [
        (1, 1000, 1),
        (1001, 1500, 1),
    ]
    assert table.filter(run="smp2")["percent"].to_list() == pytest.approx([99.9, 99.8])
    assert validation.say_along(table).startswith("smp2 has 2 wrong addresses: none in 0 of 2")
    assert "Every address" in validation.say_along(table.filter(run="smp1"))


def test_causes_and_kinds(mixed):
    causes = validation.causes_table(mixed)
    assert set(causes.rows()) == {("smp2", "cause 0", 1), ("smp2", "cause 1", 1)}
    assert validation.shown_causes(causes.clear())["cause"].to_list() == ["no difference"]
    kinds = validation.kinds_table(mixed)
    assert kinds.rows() == [("addresses", "smp2", 1500, 1498)]
    assert validation.shown_kinds(kinds)["smp2"].to_list() == ["1,498 of 1,500"]
    assert "1,498 of them right" in validation.say_kinds(kinds)
    assert "None" in validation.say_kinds(kinds.clear())


def test_a_text_of_one_cpu_and_simpler_rules():
    table = validation_rules.rules_table(["smp1"])
    wrong = {row["rule"]: row["aligned"] - row["aligned_right"] for row in table.to_dicts()}
    assert list(wrong.values()) == [0, 129, 28]
    # a difference only where an alignment is asked for
    assert (table["searches"] - table["right"]).to_list() == list(wrong.values())
    assert "wrong for 129 of 5,288" in validation_rules.say_rules(table)
    assert "wrong 0 times" in validation_rules.say_rules(table)


def test_runs_that_hide_their_searches_are_left_out(monkeypatch):
    assert validation_rules.rules_table(["smp4-sync"]).is_empty()
    empty = validation_rules.rules_table(["smp4-sync"])
    assert validation_rules.shown_rules(empty)["run"].to_list() == ["none"]
    assert "No chosen run" in validation_rules.say_rules(empty)


SEARCH = st.tuples(st.integers(1, 9), st.integers(0, 3), st.integers(0, 40), st.integers(1, 60))


@given(st.lists(st.tuples(SEARCH, st.integers(0, 20)), max_size=40))
def test_the_lowest_fit_is_that_of_the_plain_free_space(requests):
    ours = validation_rules.Lowest([(1, 30), (33, 80)])
    plain = make("reference", [(1, 30), (33, 80)])
    taken = []
    for (pages, order, first, length), which in requests:
        said = ours.search(pages, order, first, first + length)
        assert said == plain.reserve(pages, order, first, first + length)
        if said is not None:
            ours.carve(said, pages)
            taken.append((said, pages))
        elif taken:
            back = taken.pop(which % len(taken))
            ours.release(*back)
            plain.release(*back)
        with pytest.raises(ValueError, match="not wholly free"):
            ours.carve(30, 5)


def test_padding_in_bytes_wants_a_page_more():
    # a gap of 8 pages: enough for 4 + 4, not for 5 + 4, though 5 pages would fit from page 4 on
    for pages, found in ((4, 4), (5, 104)):
        space = validation_rules.Padded([(1, 9), (101, 200)])
        assert space.search(pages, 2, 1, 300) == found
        space.carve(1, 8)  # nothing was taken


def test_holes_are_cut_to_the_range():
    assert validation_overlay.holes([(0, 4), (6, 2), (9, 10)], 2, 12) == [2, 2, 3]
    assert validation_overlay.holes([(0, 4), (12, 1)], 4, 12) == []


def test_growth_from_the_requests_alone():
    table = validation_overlay.overlay_table("oplog-rfc10")
    rows = {row["quantity"]: row for row in table.to_dicts()}
    entry = read_toml("measured-overlay.toml")["mixed-2"]
    assert rows["refills"]["model"] == rows["refills"]["measured"] == entry["refills"]
    for side in ("model", "measured"):
        assert rows["chunks that overlap an earlier one"][side] == 0
        assert rows["end of the highest chunk"][side] == 64 * MIB * rows["refills"][side]
        assert 63.98 <= rows["largest hole"][side] / MIB <= 64
    # the log gives what was measured before this project read it
    assert rows["free holes below the highest area"]["measured"] == entry["holes"]
    assert round(rows["end of the highest area"]["measured"] / MIB) == entry["highest_mib"]
    low, high = entry["all-runs"]["tail_percent"]
    tail, mark = rows["tail"], rows["end of the highest chunk"]
    assert low <= round(100 * tail["measured"] / mark["measured"], 2) <= high
    assert rows["pool hits"]["model"] != rows["pool hits"]["measured"]
    assert all((row["why"] == "") == (row["model"] == row["measured"]) for row in rows.values())
    text = validation_overlay.say_overlay(table, "oplog-rfc10")
    assert "71 refills, as the kernel did; neither reserved an address twice" in text
    other = table.with_columns(
        measured=pl.when(pl.col("quantity") == "refills").then(70).otherwise("measured")
    )
    assert "the kernel 70" in validation_overlay.say_overlay(other, "oplog-rfc10")
