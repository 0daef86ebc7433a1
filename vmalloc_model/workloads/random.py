"""Random numbers for compiled code: SplitMix64, whose whole state is one counter.

Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014. A caller adds
`GOLDEN` to its counter and passes it to `scramble`; `below` and `chance` use the upper and the
lower half of the result, which are independent.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vmalloc_model.compiled import compiled

__all__ = ["GOLDEN", "below", "chance", "low_below", "odds", "scramble"]

GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_27: Final = np.uint64(27)
_30: Final = np.uint64(30)
_31: Final = np.uint64(31)
_32: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)


@compiled
def scramble(counter: Any) -> Any:
    """Turn a counter (uint64) into 64 random bits."""
    bits = (counter ^ (counter >> _30)) * _FIRST
    bits = (bits ^ (bits >> _27)) * _SECOND
    return bits ^ (bits >> _31)


@compiled
def below(bits: Any, limit: int) -> Any:
    """Whole number below `limit` (up to 2**32), from the upper half of `bits`."""
    return np.int64(((bits >> _32) * np.uint64(limit)) >> _32)


@compiled
def low_below(bits: Any, limit: int) -> Any:
    """Whole number below `limit` (up to 2**32), from the lower half of `bits`."""
    return np.int64(((bits & _LOW) * np.uint64(limit)) >> _32)


@compiled
def chance(bits: Any, odds: Any) -> Any:
    """Tell whether something with the probability of `odds` happens, from the lower half."""
    return (bits & _LOW) < odds


def odds(probability: float) -> np.uint64:
    """Odds for `chance`: 0 never, 2**32 always."""
    return np.uint64(round(probability * 2**32))
