"""The hand-written pages say what is so."""

import re

import pytest
from minibook import ROOT

SOURCES = ["platforms.csv", "callers.csv", "kernel-facts.toml", "premises.toml"]
FOLDERS = "arch|drivers|fs|include|kernel|lib|mm|net|virt"
FILE = re.compile(rf"\b(?:{FOLDERS})/[\w/.-]*?(?:\.[ch]\b|Kconfig[\w.]*)")


def page(name):
    return (ROOT / "book" / name).read_text()


@pytest.mark.parametrize("source", SOURCES)
def test_the_bibliography_lists_every_kernel_file_the_data_name(source):
    named = set(FILE.findall((ROOT / "data" / source).read_text()))
    assert named
    assert not named - set(FILE.findall(page("bibliography.md")))


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
