"""Claims and checks belong together, and the claims are the mail's."""

import re
import tomllib

import pytest

from vmalloc_model.claims.claim import (
    BEYOND,
    CHECKS,
    TOPICS,
    VERDICTS,
    check,
    counted,
    guard_text,
    listed,
    load_claims,
    numbers_text,
    percent_text,
)
from vmalloc_model.claims.evaluation import run_checks
from vmalloc_model.claims.patch import read_patch
from vmalloc_model.datafiles import ROOT
from vmalloc_model.errors import FileError
from vmalloc_model.units import GIB, KIB, MIB, PIB


def test_every_claim_has_a_check_and_every_check_a_claim():
    assert {claim.check for claim in load_claims()} == set(CHECKS)


def test_a_check_may_serve_two_claims_only_with_figures_of_their_own():
    claims = load_claims()
    for one in claims:
        for other in claims:
            if one is not other and one.check == other.check:
                assert dict(one.stated) != dict(other.stated)


def test_the_quotes_are_in_the_part_of_the_mail_that_is_named():
    patch = read_patch()
    for claim in load_claims():
        assert (claim.part == BEYOND) == (claim.topic == "over time") == (not claim.quote)
        if claim.part == BEYOND:
            continue
        assert claim.quote in patch.part(claim.part), claim.id
        assert len(claim.quote.split()) <= 9, claim.id


def test_the_claims_are_in_our_own_words():
    """No five words in a row are the mail's."""
    patch = read_patch()
    mail = " ".join(patch.part(part) for part in ("message", "comment", "trailer"))
    mail = " ".join(re.findall(r"[\w-]+", mail.lower()))
    for claim in load_claims():
        words = re.findall(r"[\w-]+", claim.text.lower())
        for i in range(len(words) - 4):
            assert " ".join(words[i : i + 5]) not in mail, (claim.id, words[i : i + 5])


def _as_printed(name, value):
    """How the mail may print a figure."""
    if name == "share":
        yield f"{100 * value:g} %"
    elif name in ("cpus", "lines"):
        yield str(value)
    elif name == "allocations":
        yield f"~{value:,}"
    else:
        for unit, size in (("PB", PIB), ("GB", GIB), ("MB", MIB), ("KB", KIB), ("B", 1)):
            if value % size == 0:
                yield f"{value // size} {unit}"


def test_the_stated_figures_are_in_the_mail():
    patch = read_patch()
    for claim in load_claims():
        for name, value in claim.stated.items():
            printed = list(_as_printed(name, value))
            assert any(
                re.search(rf"(?<![\d,.]){re.escape(text)}", patch.part(part))
                for text in printed
                for part in ("message", "comment", "trailer")
            ), (claim.id, name, printed)


def test_no_verdict_stands_in_the_file():
    for entry in tomllib.loads((ROOT / "data/claims.toml").read_text())["claim"]:
        assert not {"verdict", "finding"} & set(entry)
        text = " ".join(str(value) for value in entry.values()).lower()
        assert not any(verdict in text for verdict in VERDICTS[1:])


def test_every_topic_has_claims_and_the_summary_has_many():
    claims = load_claims()
    assert {claim.topic for claim in claims} == set(TOPICS)
    assert len(claims) >= 48


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('topic = "text"', 'topic = "style"', r"\$.claim\[\d+\].topic: unknown: 'style'; allowed"),
        ('part = "trailer"', 'part = "footer"', r"part: unknown: 'footer'; allowed: message"),
        ('id = "lines-107"', 'id = "range-128gb"', r"id: stands twice: 'range-128gb'"),
        ('quote = ""', 'quote = "x"', r"quote: not empty, though beyond the mail"),
        ('text = "The patch adds 107 lines."', "", r"text: missing or not a text"),
        ('check = "added-lines"', 'verdict = "holds"\ncheck = "a"', r"unknown key: 'verdict'"),
    ],
)
def test_a_broken_claim_is_one_clear_error(data, old, new, problem):
    data("claims.toml", (old, new))
    with pytest.raises(FileError, match=problem) as caught:
        load_claims()
    assert "\n" not in str(caught.value)


def test_a_claim_without_its_check_is_one_clear_error(data):
    data("claims.toml", ('check = "added-lines"', 'check = "lines"'))
    with pytest.raises(FileError, match=r"claim lines-107: no such check: 'lines'; allowed: "):
        run_checks()


def test_two_checks_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'added-lines'"):
        check("added-lines")(lambda claim, evidence: None)


def test_numbers_print_by_the_last_word_of_their_name():
    numbers = {"a bytes": 3 * MIB, "b share": 0.015625, "c": 16384, "d": 0.5, "e": "yes"}
    assert numbers_text(numbers) == "a 3 MiB; b share 1.5625 %; c 16,384; d 0.5; e yes"


def test_small_words():
    assert percent_text(0.000061) == "0.0061 %"
    assert [guard_text(n) for n in (0, 1, 2)] == [
        "no guard page",
        "one guard page",
        "2 guard pages",
    ]
    assert [counted(n, "file") for n in (0, 1, 1500)] == ["0 files", "1 file", "1,500 files"]
    assert [listed(words) for words in ([], ["a"], ["a", "b"])] == ["none", "a", "a and b"]
