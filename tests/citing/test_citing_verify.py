import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model.citing.forms import together
from vmalloc_model.citing.verify import find_snippets, verify

IDS = [
    "fig-refills",
    "tab-guard",
    "fig-left-causes",
    "tab-claims",
    "allocations-at-4kb",
    "lines-107",
]


def states(mail, citer):
    return [outcome.state for outcome in verify(mail, citer)]


def quoted(text, levels=1, mark="> "):
    return "".join((mark * levels + line).rstrip() + "\n" for line in text.splitlines())


def test_all_hold(citer):
    mail = together([citer.snippet(id) for id in citer.ids], "text")
    outcomes = verify(mail, citer)
    assert [outcome.quoted.id for outcome in outcomes] == citer.ids
    assert {outcome.state for outcome in outcomes} == {"holds"}


@settings(max_examples=80)
@given(st.sampled_from(IDS), st.data())
def test_no_changed_digit_goes_unnoticed(citer, id, data):
    text = citer.snippet(id).text()
    places = [match.start() for match in re.finditer(r"\d", text)]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([one for one in "0123456789" if one != text[place]]))
    changed = text[:place] + digit + text[place + 1 :]
    levels = data.draw(st.integers(0, 2))
    (state,) = states(quoted(changed, levels), citer)
    assert state != "holds"


@settings(max_examples=30)
@given(st.sampled_from(IDS), st.data())
def test_no_lost_or_doubled_line_goes_unnoticed(citer, id, data):
    lines = citer.snippet(id).text().splitlines()
    there = [place for place, line in enumerate(lines) if set(line) - {"-", " "}]
    place = data.draw(st.sampled_from(there[1:]))
    lost = "\n".join(lines[:place] + lines[place + 1 :])
    assert states(lost, citer) != ["holds"]
    if place < len(lines) - 1:
        doubled = "\n".join(lines[: place + 1] + lines[place:])
        assert states(doubled, citer) != ["holds"]


def test_the_changed_number_is_named(citer):
    text = citer.snippet("fig-refills").text()
    assert text.count("297") == 1
    line = next(n for n, one in enumerate(text.splitlines(), start=3) if "297" in one)
    (outcome,) = verify("Hello,\n\n" + text.replace("297", "298"), citer)
    assert outcome.state == "changed"
    assert outcome.details == (f"line {line}: 298 is now 297",)


def test_a_changed_parameter_is_computed_with(citer):
    text = citer.snippet("allocations-at-4kb", [("guard_pages", "0")]).text()
    assert states(text, citer) == ["holds"]
    assert "16,384" in text
    (outcome,) = verify(text.replace("-p guard_pages=0", "-p guard_pages=2"), citer)
    assert outcome.state == "changed"
    assert "line 3: 16,384 is now 5,461" in outcome.details
    (outcome,) = verify(text.replace("-p guard_pages=0", "-p gard_pages=0"), citer)
    assert outcome.state == "not readable"
    assert "unknown parameter: 'gard_pages'" in outcome.details[0]


def test_an_interleaved_answer_is_no_part_of_a_snippet(citer):
    lines = quoted(citer.snippet("tab-guard").text(), 2).splitlines()
    answered = [*lines[:4], "", "Is that so?", "> one level up", "", *lines[4:], "--", "me"]
    assert states("\n".join(answered), citer) == ["holds"]


@pytest.mark.parametrize("mark", ["> ", ">", ">\t"])
@pytest.mark.parametrize("levels", [0, 1, 2, 5])
def test_quotation_makes_no_difference(citer, levels, mark):
    both = citer.snippet("tab-guard").text() + "\nAnd:\n\n" + citer.snippet("fig-refills").text()
    assert states(quoted(both, levels, mark), citer) == ["holds", "holds"]


def test_line_breaks_and_crlf_make_no_difference(citer):
    text = citer.snippet("tab-guard").text().replace("\n", "\r\n")
    assert states(text, citer) == ["holds"]


def test_another_version(citer):
    from vmalloc_model import __version__

    text = citer.snippet("tab-guard").text()
    other = text.replace(f"vmalloc-model {__version__}", "vmalloc-model 0.0.9")
    (outcome,) = verify(other, citer)
    made = f"made by vmalloc-model 0.0.9, this is {__version__}"
    assert (outcome.state, outcome.details) == ("other version", (made, "all else agrees"))
    (outcome,) = verify(other.replace(citer.snippet("tab-guard").digest, "0" * 12), citer)
    assert outcome.state == "other version"
    assert "is now" in outcome.details[1]


def test_unknown_and_unreadable(citer):
    text = citer.snippet("tab-guard").text()
    assert states(text.replace("[tab-guard]", "[tab-gard]"), citer) == ["unknown id"]
    assert states(text.replace("[tab-guard]", "[tab-rules]"), citer) == ["changed"]
    assert states(text.split("model:")[0], citer) == ["not readable"]
    assert states(text.split("page:")[0], citer) == ["changed"]


def test_no_snippet(citer):
    assert find_snippets("") == find_snippets("> MODEL\n> is a word\n") == []
    assert verify("See the tables [tab-guard].\n", citer) == []
