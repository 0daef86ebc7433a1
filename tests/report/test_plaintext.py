import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.report.plaintext import WIDTH, ascii_table, ascii_text, wrapped


def test_roles_links_and_signs_become_plain():
    assert ascii_text("See {numref}`fig-x`, [the mail](https://x) — 2 × 3 ≤ 6") == (
        "See fig-x, the mail - 2 x 3 <= 6"
    )
    assert ascii_text("{doc}`the chapter <coverage>` `code` **bold**") == "the chapter code bold"


@given(st.text())
def test_text_is_always_ascii(text):
    assert ascii_text(text).isascii()


@given(st.lists(st.text("abcdef", min_size=1, max_size=12), min_size=1, max_size=60))
def test_running_text_fits_the_width(words):
    lines = wrapped(" ".join(words)).splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    assert " ".join(lines).split() == words


def test_numbers_stand_to_the_right_and_long_text_is_broken():
    data = pl.DataFrame({"name": ["a " * 40, "16,384"], "n": [1234567, None], "ok": [True, False]})
    text = ascii_table(data, {"n": "count"})
    assert "1,234,567" in text
    assert max(len(line) for line in text.splitlines()) < 60
    last = text.splitlines()[-1].split()
    assert last == ["16,384", "-", "no"]
    assert "count" in text


def test_an_empty_table_still_shows_its_headings():
    assert "x" in ascii_table(pl.DataFrame({"x": []}))


def test_floats_keep_six_digits_and_integers_all():
    text = ascii_table(pl.DataFrame({"f": [0.123456789], "i": [10**12]}))
    assert "0.123457" in text
    assert "1,000,000,000,000" in text
