"""The Summary's tables and sentences: computed, and true when the data change."""

import dataclasses
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model.callers import ARCHES, load_callers, load_modules
from vmalloc_model.claims.claim import VERDICTS, load_claims
from vmalloc_model.claims.evaluation import run_checks
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.claims.patch import read_patch
from vmalloc_model.datafiles import ROOT
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import load_platforms
from vmalloc_model.requests import allocator_size, eligible
from vmalloc_model.studies import answer, arguments, summary
from vmalloc_model.units import GIB, KIB, MIB, TIB

CHUNK = 64 * MIB
READING = answer.Reading(4 * KIB, 1, "x86_64-4level", "smp4-sync", 1.0, 0.032)


def reading(**changes):
    fields = {name: getattr(READING, name) for name in READING.__slots__}
    return answer.Reading(**{**fields, **changes})


def rows(table, argument, premises):
    return table.filter(
        pl.col("argument").str.starts_with(argument), pl.col("premises") == premises
    )


@pytest.fixture(scope="module")
def every():
    return summary.claims(Evidence())


@pytest.fixture(scope="module")
def claims(every):
    return summary.of_mail(every)


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """The data folder in links, with another copy of one file."""
    folder = tmp_path / "data"
    folder.mkdir()
    for entry in (ROOT / "data").iterdir():
        (folder / entry.name).symlink_to(entry)
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(folder))

    def replace(name, old, new):
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).unlink()
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return replace


def test_as_stated_the_arguments_leave_64_and_128_mib():
    table = answer.allowed(READING)
    said = answer.say_answer(table, READING, CHUNK)
    assert said["answer-stated"].startswith("From the mail's own premises, yes:")
    assert "leave 64 MiB to 128 MiB; 64 MiB is the smallest of them" in answer.say_allowed(
        table, READING, CHUNK
    )


def test_another_premise_of_the_mail_changes_the_answer(changed):
    changed("premises.toml", 'value = "32M"', 'value = "40M"')
    table = answer.allowed(READING)
    said = answer.say_answer(table, READING, CHUNK)
    assert said["answer-stated"].startswith("From the mail's own premises, no:")
    assert "that covers 40 MiB is 128 MiB" in said["answer-stated"]
    assert "64 MiB is not among them" in answer.say_allowed(table, READING, CHUNK)


def test_a_changed_range_changes_the_sentence_about_space(changed):
    before = answer.say_answer(answer.allowed(READING), READING, CHUNK)["answer-space"]
    assert "0.0061 %" in before
    changed(
        "platforms.csv",
        "0xffffc90000000000,35184372088832",
        "0xffffc90000000000,137438953472",
    )
    after = answer.say_answer(answer.allowed(READING), READING, CHUNK)["answer-space"]
    assert "1.56 % of the x86_64 range (4-level page tables)" in after
    assert "0.0061 %" not in after


def test_when_every_reading_agrees_the_answer_is_yes(changed):
    header, *_ = (ROOT / "data/modules-debian-6.12.117-amd64.csv").read_text().splitlines()
    modules = "modules-debian-6.12.117-amd64.csv"
    text = (ROOT / "data" / modules).read_text()
    changed(modules, text, f"{header}\nlarge,{20 * MIB},{20 * MIB},0,0,0,0,0,0\n")
    one = reading(guard_pages=0)
    said = answer.say_answer(answer.allowed(one), one, CHUNK)
    assert said["answer-checked"] == (
        "From sourced premises, yes: every reading of argument 1 gives 64 MiB."
    )


def test_platforms_without_room_are_those_whose_chunks_do_not_fit():
    said = answer.say_answer(answer.allowed(READING), READING, CHUNK)["answer-space"]
    for platform in load_platforms().values():
        full = platform.nr_cpus_default * CHUNK > platform.usable_size
        assert (platform.id in said.rpartition("not room for one chunk each on")[2]) == full


def test_the_answer_depends_on_the_request_when_only_some_give_the_chunk():
    said = answer.say_answer(answer.allowed(READING), READING, CHUNK)["answer-checked"]
    assert said == (
        "From sourced premises it depends on which request must fit: 64 MiB follows for the "
        "largest module file (27.948 MiB); 32 MiB with a guard page needs 128 MiB, the largest "
        "module section (6.68 MiB) 16 MiB. Arguments 2 and 3 fix no size, since the mail names no "
        "threshold for them."
    )
    bare = reading(guard_pages=0)
    said = answer.say_answer(answer.allowed(bare), bare, CHUNK)["answer-checked"]
    assert "follows for 32 MiB with no guard page and the largest module file" in said


def test_when_no_request_gives_the_chunk_the_answer_is_no(changed):
    changed("modules-debian-6.12.117-amd64.csv", "29305335", "41943040")
    said = answer.say_answer(answer.allowed(READING), READING, CHUNK)["answer-checked"]
    assert said.startswith(
        "From sourced premises, no: 32 MiB with a guard page needs 128 MiB, the largest module "
        "file (40 MiB) 128 MiB, the largest module section (6.68 MiB) 16 MiB."
    )
    assert "64 MiB" not in said


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 1), st.sampled_from(["x86_64-4level", "arm", "i386"]))
def test_the_caption_names_the_ends_that_the_bars_have(budget, platform):
    one = reading(budget=budget, platform=platform)
    table = answer.allowed(one)
    said = answer.say_allowed(table, one, CHUNK)
    checked = rows(table, "3", "as checked")
    highs = [high for high in checked["high"] if high is not None]
    assert ("no size from 1 MiB up stays within" in said) == (len(highs) < checked.height)
    assert ("The upper end is" in said) == bool(highs)
    if highs:
        best = checked.sort("high", descending=True, nulls_last=True)["allows"][0]
        assert f"The upper end is {best.removeprefix('up to ')} on " in said


def test_the_caption_says_whose_thresholds_they_are():
    one = reading(barely=2.5, budget=0.01)
    said = answer.say_allowed(answer.allowed(one), one, CHUNK)
    assert said.endswith(
        "Thresholds of ours: doubling saves little below 2.5 visits per 1,000 allocations; one "
        "chunk on every CPU may take 1 % of the range."
    )


POWERS = [answer.LEAST << shift for shift in range(17)]


@settings(max_examples=25)
@given(st.sampled_from([4 * KIB, 16 * KIB, 64 * KIB]), st.integers(0, 3))
def test_argument_1_is_the_least_chunk_that_admits_the_request(page, guard):
    table = rows(answer.allowed(reading(page_size=page, guard_pages=guard)), "1", "as checked")
    modules = load_modules()
    sections = modules.select(pl.exclude("module", "file_bytes")).to_numpy().max()
    for payload, low in zip(
        (32 * MIB, int(modules["file_bytes"].max()), int(sections)), table["low"], strict=True
    ):
        size = allocator_size(payload, page, guard)
        admits = [one for one in POWERS if eligible(size, 1, True, one, page)]
        assert low == admits[0]


@settings(max_examples=25)
@given(st.sampled_from([1e-9, 0.01, 0.3, 1, 2.5, 40]), st.integers(0, 2))
def test_argument_2_is_the_least_chunk_whose_doubling_saves_little(barely, guard):
    table = rows(answer.allowed(reading(barely=barely, guard_pages=guard)), "2", "as checked")
    for mean, low in ((4 * KIB, table["low"][0]), (MIB, table["low"][2])):
        size = mean + guard * 4 * KIB
        # visits to the global allocator per 1,000 allocations, counted chunk by chunk
        saved = {
            one: 1000 / (one // size) - 1000 / (2 * one // size)
            for one in POWERS
            if 2 * size <= one
        }
        little = [one for one in saved if saved[one] < barely]
        assert low == (little[0] if little else None)


@settings(max_examples=25)
@given(st.floats(1e-6, 1))
def test_argument_3_is_the_largest_chunk_within_the_budget(budget):
    table = answer.allowed(reading(budget=budget))
    stated = rows(table, "3", "as stated")["high"][0]
    checked = rows(table, "3", "as checked")["high"]
    usual, most = load_platforms()["x86_64-4level"], load_platforms()["i386"]
    cases = (
        (stated, 128 * GIB, 32),
        (checked[0], 32 * TIB, 32),
        (checked[1], 32 * TIB, usual.nr_cpus_max),
        (checked[2], most.size, most.nr_cpus_default),
    )
    for high, size, cpus in cases:
        inside = [one for one in POWERS if one * cpus <= int(budget * size)]
        assert high == (inside[-1] if inside else None)


def test_nothing_allowed_is_said_and_not_drawn():
    table = answer.allowed(reading(budget=1e-9))
    nothing = rows(table, "3", "as stated").row(0, named=True)
    assert nothing["low"] is None
    assert nothing["allows"] == "nothing from 1 MiB to 64 GiB"
    assert "leave no chunk size" in answer.say_allowed(table, reading(budget=1e-9), CHUNK)
    said = answer.say_answer(table, reading(budget=1e-9), CHUNK)["answer-stated"]
    assert said.endswith(
        "with 0.0000001 % of the range for all chunks the arguments leave no chunk size."
    )


def test_a_bound_beyond_the_axis_leaves_all_of_the_axis():
    roomy = rows(answer.allowed(reading(budget=1)), "3", "as checked").row(0, named=True)
    assert roomy["high"] == answer.MOST
    assert roomy["allows"] == "up to 1 TiB"


def test_as_stated_the_table_arrives_at_the_numbers_of_the_mail():
    table = {
        row["quantity"].partition(": ")[2]: row
        for row in arguments.three_arguments(READING).to_dicts()
    }
    stated = {name: row["stated"] for name, row in table.items()}
    assert stated["chunk for 32 MiB"] == "64 MiB"
    assert stated["allocations per refill at 4 KiB"] == "16,384"
    assert stated["allocations per refill at 1 MiB"] == "64"
    assert stated["held by 32 CPUs"] == "2 GiB"
    assert stated["share with chunks of 64 MiB"] == "1.5625 %"
    assert stated["share with chunks of 128 MiB"] == "3.125 %"
    assert stated["array of a chunk"] == "128 KiB"
    assert stated["share of the chunk"] == "0.2 %"
    checked = {name: row["checked"] for name, row in table.items()}
    assert checked["chunk for 32 MiB"] == "128 MiB"
    assert checked["allocations per refill at 4 KiB"] == "8,192"
    assert checked["share with chunks of 64 MiB"] == "0.0061 %"


@pytest.mark.parametrize(
    "other", [{"page_size": 64 * KIB}, {"guard_pages": 3}, {"platform": "arm"}]
)
def test_the_stated_side_never_moves(other):
    same = pl.col("quantity"), pl.col("mail"), pl.col("stated")
    assert (
        arguments.three_arguments(reading(**other))
        .select(same)
        .equals(arguments.three_arguments(READING).select(same))
    )
    stated = pl.col("premises") == "as stated"
    assert (
        answer.allowed(reading(**other))
        .filter(stated)
        .equals(answer.allowed(READING).filter(stated))
    )


def test_the_mail_prints_what_the_table_says_it_prints():
    message = read_patch().part("message")
    for row in arguments.three_arguments(READING).to_dicts():
        text = row["mail"].strip('"')
        assert text in message or row["quantity"] in (
            "1 coverage: module sections in the range",
            "1 coverage: largest eligible request",
        ), row


def test_a_premise_is_named_exactly_where_the_two_sides_differ():
    for row in arguments.three_arguments(READING).to_dicts():
        same = row["stated"] == row["checked"]
        assert (row["moved_by"] == "none") == same
        assert same or re.fullmatch(r"[\w ,]+ \(.+\)", row["moved_by"])


@pytest.mark.parametrize("arch", ARCHES)
def test_module_sections_are_looked_up_for_the_architecture(arch):
    [window] = load_callers().filter(id="module-section")[f"window_{arch}"]
    platform = next(one.id for one in load_platforms().values() if one.arch == arch)
    row = arguments.three_arguments(reading(platform=platform)).row(2, named=True)
    assert row["quantity"] == "1 coverage: module sections in the range"
    assert row["checked"] == {
        "standard": "yes",
        "own": f"no ({arch})",
        "fallback": f"only after their own ({arch})",
    }.get(window)
    assert (row["moved_by"] == "none") == (window == "standard")


def test_without_guard_pages_the_guard_moves_nothing():
    table = arguments.three_arguments(reading(guard_pages=0))
    assert not table["moved_by"].str.starts_with("guard page").any()
    assert arguments.three_arguments(READING)["moved_by"].str.starts_with("guard page").any()


def test_every_claim_has_a_row_in_the_order_of_the_mail(every, claims):
    assert every["id"].to_list() == [claim.id for claim in load_claims()]
    others = summary.beyond(every)
    assert claims.height + others.height == every.height
    assert others.height == sum(claim.topic == "over time" for claim in load_claims()) > 0
    assert f"of {others.height} statements, " in summary.say_beyond(every)
    assert not claims.null_count().pipe(lambda counts: counts.sum_horizontal().sum())


def test_what_the_page_shows_keeps_id_verdict_and_reason(claims):
    shown = summary.shown(claims)
    for row, source in zip(shown.to_dicts(), claims.to_dicts(), strict=True):
        assert row["claim"] == f"{source['id']}: {source['claim']}"
        assert (row["verdict"], row["because"]) == (source["verdict"], source["because"])


def test_counts_by_topic_add_up(claims):
    counts = summary.verdicts(claims)
    *topics, total = counts.to_dicts()
    assert total["claims"] == claims.height
    for column in (*VERDICTS, "claims"):
        assert sum(row[column] for row in topics) == total[column]
    for row in (*topics, total):
        assert sum(row[verdict] for verdict in VERDICTS) == row["claims"]


def test_the_sentence_counts_the_verdicts_that_occur():
    table = pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "topic": ["1 coverage"] * 3,
            "claim": ["x"] * 3,
            "because": ["y."] * 3,
            "verdict": ["holds", "contradicted", "contradicted"],
        }
    )
    said = summary.say_verdicts(table)
    assert said == "Of 3 claims of the mail, 1 holds and 2 are contradicted."
    assert said in summary.say_claims(table)


def test_only_what_holds_is_called_right(claims):
    right = summary.right(claims)
    assert right.height > 3
    held = set(claims.filter(verdict="holds")["id"])
    assert set(right["id"]) <= held
    left = claims.filter(pl.col("id").is_in(held - set(right["id"])))
    assert set(left["topic"]) == {"trees, comments, size"}
    assert "trees, comments, size" not in set(
        claims.filter(pl.col("id").is_in(right["id"].to_list()))["topic"]
    )
    assert f"the other {left.height} are under" in summary.say_right(claims)
    turned = claims.with_columns(verdict=pl.lit("contradicted"))
    assert summary.right(turned).is_empty()
    assert f"{right.height} of the {len(held)} claims" in summary.say_right(claims)


def test_the_gain_has_the_numbers_of_its_claim():
    evidence = Evidence()
    [finding] = [one for claim, one in run_checks(evidence) if claim.id == "fewer-visits"]
    said = summary.say_gain(evidence)
    before, after = (f"{number:.0f}" for number in finding.numbers.values())
    assert f"cuts searches of the global free space from {before} to {after} per 1,000" in said
    returns = re.findall(r"gave back ([\d,]+) .* and ([\d,]+) with it", finding.because)[0]
    assert said.endswith(f"hardly change: {returns[0]} and {returns[1]}.")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"tree_allocations": 15_000},
            "does not cut searches of the global free space, 744 before",
        ),
        ({"tree_frees": 5_000}, "purges change: 9,963 and 5,000."),
        ({"tree_frees": 12_000}, "purges change: 9,963 and 12,000."),
    ],
)
def test_another_recording_gives_another_gain(fields, words):
    evidence = Evidence()
    evidence.__dict__["overlay"] = dataclasses.replace(evidence.overlay, **fields)
    assert words in summary.say_gain(evidence)


def test_the_budget_says_where_it_comes_from():
    assert summary.say_budget(0.032).endswith("is the largest share that the mail accepts.")
    assert "parameter of this run; the mail accepts 3.2 %" in summary.say_budget(0.01)


def test_a_reason_is_looked_up_by_id(claims):
    assert summary.reason(claims, "lines-107") == "The diff adds 107 lines and removes 0."
    with pytest.raises(InputError, match="no such claim: 'lines-108'; allowed: common-shape"):
        summary.reason(claims, "lines-108")
