"""Each question points to what the book has, or says why it does not."""

import re

import pytest

from vmalloc_model.errors import FileError
from vmalloc_model.report.project import Project
from vmalloc_model.studies import questions


@pytest.fixture(scope="module")
def asked():
    return questions.load_questions()


def test_there_are_24(asked):
    assert [one.id for one in asked] == [f"Q{number}" for number in range(1, 25)]
    assert len({one.text for one in asked}) == 24


def test_what_is_named_is_in_the_book(asked):
    project = Project.at()
    known = set()
    for name in project.names():
        known |= set(re.findall(r'"((?:fig|tab)-[a-z0-9-]+)"', project.source(name).read_text()))
    for one in asked:
        assert set(one.shown) <= known, (one.id, set(one.shown) - known)
        assert len(set(one.shown)) == len(one.shown)


def test_the_table_and_its_sentence_count_the_same(asked):
    table = questions.questions_table(asked)
    said = questions.say_questions(asked)
    for state in questions.STATES:
        count = table.filter(state=state).height
        assert not count or f"{count} {state}" in said.replace(" are ", " ").replace(" is ", " ")
    assert said.startswith("Of 24 questions, ")
    assert said.endswith(".")
    for row in table.iter_rows(named=True):
        assert row["shown"].count("{numref}") == len(asked[int(row["id"][1:]) - 1].shown)


ENTRY = """
[[question]]
id = "Q1"
topic = "Space"
text = "How much?"
state = "in part"
shown = ["fig-reserved"]
left = "The rest."
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('left = "The rest."\n', "", r"question Q1: wrong keys: 'left'; allowed: id, left, shown"),
        ('state = "in part"', 'state = "maybe"', r"no such state: 'maybe'; allowed: answered, in"),
        ('state = "in part"', 'state = "open"', "open means that nothing is shown"),
        ('["fig-reserved"]', "[]", "open means that nothing is shown"),
        ('left = "The rest."', 'left = ""', "answered means that nothing is left"),
        ('state = "in part"', 'state = "answered"', "answered means that nothing is left"),
    ],
)
def test_a_broken_entry_is_one_clear_error(tmp_path, monkeypatch, old, new, problem):
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))
    path = tmp_path / "questions.toml"
    path.write_text(ENTRY)
    assert len(questions.load_questions()) == 1
    assert old in ENTRY
    path.write_text(ENTRY.replace(old, new))
    with pytest.raises(FileError, match=problem) as caught:
        questions.load_questions()
    assert "\n" not in str(caught.value)
