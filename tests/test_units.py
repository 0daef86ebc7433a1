"""Sizes and pages: what is printed can be read back, and whole numbers stay whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.errors import InputError
from vmalloc_model.units import (
    GIB,
    KIB,
    MIB,
    PIB,
    TIB,
    count_text,
    is_power_of_two,
    pages_for,
    parse_size,
    power_of_two_at_least,
    power_of_two_at_most,
    round_up,
    share_text,
    size_text,
)

up_to_2_62 = st.integers(0, 1 << 62) | st.integers(0, 62).map(lambda n: 1 << n)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("4K", 4 * KIB),
        ("64M", 64 * MIB),
        ("64MB", 64 * MIB),
        (" 64 MiB ", 64 * MIB),
        ("64m", 64 * MIB),
        ("512B", 512),
        ("1.5G", 3 * GIB // 2),
        ("0.5K", 512),
        ("32T", 32 * TIB),
        ("12.5 PiB", 25 * PIB // 2),
        ("8E", 8 << 60),
        (4096, 4096),
        (np.int64(4096), 4096),
    ],
)
def test_parse_size(text, size):
    assert parse_size(text) == size
    assert type(parse_size(text)) is int


@pytest.mark.parametrize(
    "text",
    ["", "M", "-1", -1, "64X", "64 MM", "1e3", "0x10", "64MiBi", "١", 1.0, True, None, "1,024"],
)
def test_not_a_size(text):
    with pytest.raises(InputError) as caught:
        parse_size(text, "$.chunk_size")
    assert str(caught.value).startswith("$.chunk_size: ")
    assert "allowed: bytes, or a number with K, M, G" in str(caught.value)


def test_part_of_a_byte():
    assert parse_size("0.0009765625K") == 1
    with pytest.raises(InputError, match=r"not a whole number of bytes: '0\.3K'"):
        parse_size("0.3K")


@given(st.integers(1, 1023), st.sampled_from("KMGTP"))
def test_printed_sizes_read_back(number, prefix):
    size = parse_size(f"{number}{prefix}")
    assert size == number * 1024 ** ("KMGTP".index(prefix) + 1)
    assert size_text(size) == f"{number} {prefix}iB"
    assert parse_size(size_text(size)) == size


@given(st.integers(0, 1 << 60))
def test_printed_sizes_are_close(size):
    text = size_text(size)
    number, unit = text.replace(",", "").split()
    scale = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB, "PiB": PIB}[unit]
    assert abs(float(number) * scale - size) <= scale * 0.000501
    assert float(number) < 1024 or unit == "PiB"
    assert float(number) >= 1 or size == 0


def test_texts():
    assert [size_text(s) for s in (0, 1023, 1024, 64 * MIB, 1536 * MIB, 12800 * TIB)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "64 MiB",
        "1.5 GiB",
        "12.5 PiB",
    ]
    assert [count_text(n) for n in (0, 16384, 1e6)] == ["0", "16,384", "1,000,000"]
    assert [share_text(s) for s in (0, 0.015625, 0.00098765, 1, 4.2667, float("inf"))] == [
        "0 %",
        "1.56 %",
        "0.099 %",
        "100 %",
        "427 %",
        "undefined",
    ]


@given(st.lists(up_to_2_62, min_size=1))
def test_powers_of_two(values):
    numbers = np.array(values, dtype=np.int64)
    assert is_power_of_two(numbers).tolist() == [bin(v).count("1") == 1 for v in values]
    at_least, at_most = power_of_two_at_least(numbers), power_of_two_at_most(numbers)
    for value, up, down in zip(values, at_least.tolist(), at_most.tolist(), strict=True):
        assert up == (1 << (value - 1).bit_length() if value > 1 else 1)
        assert down == (1 << (value.bit_length() - 1) if value else 0)


def test_powers_of_two_beyond_the_digits_of_a_float():
    assert power_of_two_at_least((1 << 53) + 1) == 1 << 54
    assert power_of_two_at_most((1 << 62) - 1) == 1 << 61


@given(st.integers(0, 1 << 50), st.integers(1, 1 << 20))
def test_round_up_and_pages(value, step):
    rounded = int(round_up(value, step))
    assert rounded % step == 0
    assert 0 <= rounded - value < step
    assert int(pages_for(value, step)) * step == rounded


def test_rounding_broadcasts():
    assert round_up([1, 4096, 4097], [[4096], [65536]]).tolist() == [
        [4096, 4096, 8192],
        [65536, 65536, 65536],
    ]
    assert pages_for([0, 1, 8193], 4096).tolist() == [0, 1, 3]
