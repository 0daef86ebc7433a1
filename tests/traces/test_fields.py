"""Numbers read eight characters at a time, against Python's own reading of the same characters."""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.traces.fields import PADDING, Block, words

SOME = st.lists(
    st.one_of(
        st.integers(0, 2**64 + 10**6).map(str),
        st.integers(0, 2**64 - 1).map("{:x}".format),
        st.text(string.printable, max_size=26),
        st.text("0123456789", max_size=26),
        st.text("0123456789abcdef", max_size=20),
        st.text(" ", max_size=26),
        st.text("/0129:`afgAF@ ", max_size=20),
    ).map(str.encode),
    min_size=1,
    max_size=20,
)


def placed(texts):
    """Put the texts side by side between other characters; return block, ends and lengths."""
    data, ends = b"~", []
    for text in texts:
        data += text
        ends.append(PADDING + len(data))
        data += b"~"
    return Block(data), np.array(ends), np.array([len(text) for text in texts])


def number(text, digits, most):
    """Return the number a text is, or None."""
    base = len(digits)
    if not 1 <= len(text) <= most or set(text) - set(digits.encode()):
        return None
    value = int(text, base)
    return value if value < 2**64 else None


@given(SOME)
def test_decimal_numbers_are_those_python_reads(texts):
    values, good = (column.tolist() for column in Block.decimal(*placed(texts)))
    assert [v if g else None for v, g in zip(values, good, strict=True)] == [
        number(text, "0123456789", 20) for text in texts
    ]


@given(SOME)
def test_hexadecimal_numbers_are_those_python_reads(texts):
    values, good = (column.tolist() for column in Block.hexadecimal(*placed(texts)))
    assert [v if g else None for v, g in zip(values, good, strict=True)] == [
        number(text, "0123456789abcdef", 16) for text in texts
    ]


@pytest.mark.parametrize("value", [0, 9, 10**8 - 1, 10**8, 10**16 - 1, 10**16, 2**64 - 1, 2**64])
def test_decimal_edges(value):
    values, good = Block.decimal(*placed([str(value).encode()]))
    assert (values.tolist() if good else [2**64]) == [value]


@given(SOME)
def test_blank_is_nothing_but_spaces(texts):
    assert Block.blank(*placed(texts)).tolist() == [
        len(text) <= 24 and not text.strip(b" ") for text in texts
    ]


@given(SOME)
def test_digits_before_a_place(texts):
    block, ends, _ = placed(texts)
    values, lengths = block.digits_before(ends)
    for text, value, length in zip(texts, values.tolist(), lengths.tolist(), strict=True):
        digits = len(text) - len(text.rstrip(b"0123456789"))
        assert length == min(digits, 8)
        assert value == int(text[len(text) - length :] or b"0")


@given(SOME, st.text(string.ascii_lowercase + " =:", min_size=1, max_size=23))
def test_reads_compares_every_character(texts, keyword):
    texts = [*texts, keyword.encode(), b"x" + keyword.encode(), keyword.encode()[1:]]
    block, ends, _ = placed(texts)
    padded = [b"~" + text for text in texts]
    assert block.reads(ends, words(keyword)).tolist() == [
        text.endswith(keyword.encode()) for text in padded
    ]


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=5))
def test_places_of_finds_every_character(data, wanted):
    found = Block(data).places_of(wanted)
    text = b"\n" * PADDING + data
    assert found.tolist() == [place for place, c in enumerate(text) if c in wanted]
