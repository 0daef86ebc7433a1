"""Numbers and words at known places of a block of text, for many lines at once.

A block is looked at as overlapping 8-byte words; one word holds up to eight characters, so a
comparison with a keyword, or the value of eight digits, takes a few operations on whole words
instead of one per character. A range of characters is given by ``end`` and ``length`` (bytes before
``end``, exclusive); it may be as long as `LONGEST`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["LONGEST", "PADDING", "Block", "words"]

LONGEST: Final = 24
"""Bytes: the longest range that can be read, three words."""

PADDING: Final = 64
"""Line ends put before the text, so that looking back from its first line stays inside."""

_Words = npt.NDArray[np.uint64]
_Places = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]

_U: Final = np.uint64
_ZEROS: Final = _U(0x3030303030303030)
_SPACES: Final = _U(0x2020202020202020)
_TOPS: Final = _U(0x8080808080808080)
_ALL: Final = _U(0xFFFFFFFFFFFFFFFF)
_MASKS: Final = np.array([2**64 - 2 ** (64 - 8 * kept) for kept in range(9)], dtype=np.uint64)


def words(text: str) -> tuple[tuple[np.uint64, np.uint64, int], ...]:
    """Prepare a keyword for `Block.reads`: per eight characters a word, a mask, and its distance.

    The distance counts back from the keyword's end, the last eight characters come first.
    """
    data = text.encode("ascii")
    parts = []
    for back in range(0, len(data), 8):
        part = data[max(0, len(data) - back - 8) : len(data) - back]
        shift = 8 * (8 - len(part))
        value = int.from_bytes(part, "little") << shift
        parts.append((_U(value), _U(int(_ALL) >> shift << shift), back))
    return tuple(parts)


class Block:
    """A block of text, padded so that every range read from it lies inside.

    Parameters
    ----------
    text : bytes
        Whole lines.

    Attributes
    ----------
    characters : ndarray of uint8
        The padded text; places count from its beginning, the text starts at `PADDING`.
    """

    def __init__(self, text: bytes) -> None:
        padded = b"\n" * (8 + PADDING) + text
        self._padded = padded
        self.characters = np.frombuffer(padded, dtype=np.uint8, offset=8)
        # The word before every byte: the strides overlap on purpose, nothing is copied.
        self._words: _Words = np.ndarray(
            shape=(len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,)
        )

    def places_of(self, wanted: bytes) -> _Places:
        """Return the places of all characters that are one of ``wanted``, ascending."""
        table = bytes(character in wanted for character in range(256))
        found = np.frombuffer(self._padded.translate(table), dtype=np.bool_, offset=8)
        return np.flatnonzero(found)

    def reads(self, end: _Places, keyword: tuple[tuple[np.uint64, np.uint64, int], ...]) -> _Mask:
        """Tell where the characters before ``end`` are those given to `words`."""
        good = np.ones(len(end), dtype=np.bool_)
        for value, mask, back in keyword:
            good &= (self._before(end - back) & mask) == value
        return good

    def decimal(self, end: _Places, length: _Places) -> tuple[_Words, _Mask]:
        """Read decimal numbers of 1 to 20 digits.

        Returns
        -------
        values : ndarray of uint64
        good : ndarray of bool
            False where the range is empty, too long, holds another character, or the number
            does not fit in 64 bits; the value there means nothing.
        """
        low, good = self._decimal_word(end, length)
        good &= (length >= 1) & (length <= 20)
        if not (length > 8).any():
            return low, good
        middle, fine = self._decimal_word(end - 8, length - 8)
        good &= fine
        high, fine = self._decimal_word(end - 16, length - 16)
        good &= fine
        low += middle * _U(10**8)
        good &= (high < _U(1844)) | ((high == _U(1844)) & (low <= _U(2**64 % 10**16 - 1)))
        return low + high * _U(10**16), good

    def hexadecimal(self, end: _Places, length: _Places) -> tuple[_Words, _Mask]:
        """Read lower-case hexadecimal numbers of 1 to 16 digits; see `decimal`."""
        low, good = self._hexadecimal_word(end, length)
        high, fine = self._hexadecimal_word(end - 8, length - 8)
        good &= fine & (length >= 1) & (length <= 16)
        return low | (high << _U(32)), good

    def blank(self, end: _Places, length: _Places) -> _Mask:
        """Tell where a range is nothing but spaces; an empty one is."""
        good = (length >= 0) & (length <= LONGEST)
        for skipped in range(0, LONGEST, 8):
            left = length - skipped
            if not (left > 0).any():
                break
            good &= _keep(self._before(end - skipped) ^ _SPACES, left) == 0
        return good

    def digits_before(self, end: _Places, most: int = 8) -> tuple[_Words, _Places]:
        """Read the digits that lie directly before ``end``, up to ``most``.

        Returns
        -------
        values : ndarray of uint64
        lengths : ndarray of int64
            Digits found, 0 to ``most``.
        """
        characters = self.characters
        lengths = np.zeros(len(end), dtype=np.int64)
        running = np.ones(len(end), dtype=np.bool_)
        for back in range(1, most + 1):
            running &= characters[end - back] - np.uint8(0x30) < 10
            if not running.any():
                break
            lengths += running
        return self._decimal_word(end, lengths)[0], lengths

    def _before(self, end: _Places) -> _Words:
        return self._words[end]

    def _decimal_word(self, end: _Places, length: _Places) -> tuple[_Words, _Mask]:
        digits = _keep(self._before(end) ^ _ZEROS, length)
        # Adding 0x76 carries into the top bit of a byte exactly when its value is above 9.
        good = ((digits + _U(0x7676767676767676)) | digits) & _TOPS == 0
        pairs = digits * _U(10) + (digits >> _U(8))
        left = (pairs & _U(0x000000FF000000FF)) * _U(0x000F424000000064)
        right = ((pairs >> _U(16)) & _U(0x000000FF000000FF)) * _U(0x0000271000000001)
        return (left + right) >> _U(32), good

    def _hexadecimal_word(self, end: _Places, length: _Places) -> tuple[_Words, _Mask]:
        text = self._before(end)
        letters = (text >> _U(6)) & _U(0x0101010101010101)
        # A letter counts from 0x60 (so a is 1), a digit from 0x30; letters then move up by 9.
        offset = _keep(text ^ (_ZEROS + letters * _U(0x30)), length)
        letters = _keep(letters, length)
        tops = letters * _U(0x80)
        too_high = (offset + _U(0x7676767676767676) + letters * _U(3)) | offset
        too_low = ~(offset + _U(0x7F7F7F7F7F7F7F7F)) & tops
        good = (too_high & _TOPS) | too_low == 0
        nibbles = offset + letters * _U(9)
        pairs = (nibbles << _U(4)) | (nibbles >> _U(8))
        pairs &= _U(0x00FF00FF00FF00FF)
        fours = (pairs << _U(8)) | (pairs >> _U(16))
        fours &= _U(0x0000FFFF0000FFFF)
        return ((fours << _U(16)) | (fours >> _U(32))) & _U(0xFFFFFFFF), good


def _keep(words: _Words, length: _Places) -> _Words:
    """Zero all but the last ``length`` bytes of each word (none for 8 or more, all for 0)."""
    return words & _MASKS.take(length, mode="clip")
