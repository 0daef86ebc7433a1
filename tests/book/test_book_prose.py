"""The hand-written pages say what is so."""

import re
import shlex

import pytest
from minibook import ROOT

from vmalloc_model.parameters import checked, literal
from vmalloc_model.report.project import Project
from vmalloc_model.report.runner import defaults

SOURCES = ["platforms.csv", "callers.csv", "kernel-facts.toml", "premises.toml"]
FOLDERS = "arch|drivers|fs|include|kernel|lib|mm|net|virt"
FILE = re.compile(rf"\b(?:{FOLDERS})/[\w/.-]*?(?:\.[ch]\b|Kconfig[\w.]*)")


def page(name):
    return (ROOT / "book" / name).read_text()


def commands(text):
    """Words of every complete call of the report's command line in a text."""
    found = re.findall(r"^ *(?:\.venv/bin/)?python -m vmalloc_model\.report (.+)$", text, re.M)
    return [shlex.split(words) for words in found]


@pytest.mark.parametrize("source", SOURCES)
def test_the_bibliography_lists_every_kernel_file_the_data_name(source):
    named = set(FILE.findall((ROOT / "data" / source).read_text()))
    assert named
    assert not named - set(FILE.findall(page("bibliography.md")))


@pytest.mark.parametrize("place", ["book/reproduce.md", "README.md"])
def test_the_commands_that_are_shown_can_be_given(place):
    calls = commands((ROOT / place).read_text())
    assert {call[0] for call in calls} == {"run", "params"}
    for subcommand, *rest in calls:
        known = defaults(Project.at(), rest[0]) if rest else {}
        given = [(rest[i + 1], rest[i + 2]) for i, word in enumerate(rest) if word == "-p"]
        assert (subcommand == "run") == bool(given)
        for name, text in given:
            assert name in known, f"{rest[0]} has no parameter {name}"
            # A reader's own trace does not exist here; a recorded run stands in for it.
            checked(**{name: literal(name, re.sub(r"my-trace[\w.]*", "smp2", text))})


def test_the_data_page_offers_every_input():
    text = page("data.md")
    files = {path.name for path in (ROOT / "data").iterdir() if path.suffix in (".csv", ".toml")}
    assert files == set(re.findall(r"<\.\./data/([\w.-]+)>", text))


def test_every_entry_of_the_bibliography_is_explained():
    keys = re.findall(r"@misc\{([\w-]+),", (ROOT / "book" / "references.bib").read_text())
    assert len(keys) == len(set(keys)) > 0
    assert {f"{{cite}}`{key}`" for key in keys} <= set(
        re.findall(r"\{cite\}`[\w-]+`", page("bibliography.md"))
    )
