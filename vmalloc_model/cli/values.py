"""Values of options: counts, shares, sizes, and the parameters of a workload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click

from vmalloc_model.errors import InputError, nearest
from vmalloc_model.units import parse_size

if TYPE_CHECKING:
    from vmalloc_model.workloads import Parameter, Workload

__all__ = [
    "ASSIGNMENT",
    "MAX_VALUES",
    "Value",
    "parse_count",
    "parse_share",
    "parse_values",
    "workload_parameter",
    "workload_parameters",
]

MAX_VALUES: Final = 10_000
"""Most values of one list."""

_COUNT: Final = re.compile(r"(\d{1,3}(?:[,_]\d{3})+|\d+)(\.\d+)?(?:e\+?(\d{1,2}))?([kmg]?)", re.A)
_FACTORS: Final = {"": 0, "k": 3, "m": 6, "g": 9}
_RANGE_STEP: Final = re.compile(r"([*+])(\d[\dA-Za-z.]*)")
_COUNT_ALLOWED: Final = "a whole number such as 1000000, 1e6, 10k or 1M (k, M, G: powers of 1,000)"
_SHARE_ALLOWED: Final = "above 0 and at most 1, or a percentage such as 1%"


class Value(click.ParamType[Any]):
    """An option's value, read by a function of text and place."""

    def __init__(self, name: str, read: Callable[[str, str], Any]) -> None:
        self.name, self._read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a text; what is no text is a default and stays."""
        if not isinstance(value, str):
            return value
        return self._read(value.strip(), param.opts[-1] if param else self.name)


class _Assignment(click.ParamType[tuple[str, str]]):
    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split at the first equals sign."""
        if isinstance(value, tuple):
            return value
        name, sign, text = value.partition("=")
        if not (name.strip() and sign and text.strip()):
            where = param.opts[0] if param else self.name
            raise InputError(where, "not an assignment", value=value, allowed="NAME=VALUE")
        return name.strip(), text.strip()


ASSIGNMENT: Final = _Assignment()
"""An option's value ``NAME=VALUE``, as a pair of texts."""


def parse_count(text: str, where: str) -> int:
    """Read a whole number: ``1000000``, ``1,000,000``, ``1e6``, ``10k``, ``1.5M``.

    Raises
    ------
    InputError
        If it is none; the place is `where`.
    """
    match = _COUNT.fullmatch(text.lower())
    if match is not None:
        whole, fraction, power, factor = match.groups()
        number = Decimal(re.sub("[,_]", "", whole) + (fraction or ""))
        number = number.scaleb(int(power or 0) + _FACTORS[factor])
        if number < 1 << 64 and number == int(number):
            return int(number)
    raise InputError(where, "not a count", value=text, allowed=_COUNT_ALLOWED)


def parse_share(text: str, where: str) -> float:
    """Read a share of 1: ``0.01`` or ``1%``."""
    number = text.removesuffix("%")
    if re.fullmatch(r"\d{1,10}(\.\d{1,20})?|\.\d{1,20}", number, re.A):
        share = float(number) / (100 if number != text else 1)
        if 0 < share <= 1:
            return share
    raise InputError(where, "not a share", value=text, allowed=_SHARE_ALLOWED)


def workload_parameters(workload: Workload, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Read the parameters of a workload.

    Parameters
    ----------
    workload : Workload
        Knows its parameters' kinds.
    given : iterable of (str, str)
        Names and values as they were typed.

    Raises
    ------
    InputError
        If a name is unknown or given twice, or a value is not of its kind or out of range.
    """
    values: dict[str, Any] = {}
    for name, text in given:
        where = f"-p {name}"
        if name in values:
            raise InputError(where, "given twice", allowed="each parameter once")
        values[name] = workload_parameter(workload, name, text, where)
    return values


def workload_parameter(workload: Workload, name: str, text: str, where: str) -> Any:
    """Read one parameter of a workload; InputError at `where` if it is not usable."""
    if name not in workload.parameters:
        known = ", ".join(nearest(name, workload.parameters)) or "none"
        raise InputError(where, f"no such parameter of {workload.name}", allowed=known)
    one = workload.parameters[name]
    try:
        return one.check(name, _typed(one, text.strip(), where))
    except InputError as error:
        allowed = error.allowed or one.allowed
        raise InputError(where, error.problem, value=text, allowed=allowed) from None


def parse_values(text: str, where: str, read: Callable[[str, str], Any]) -> list[Any]:
    """Read a list of values: ``1,2,8``, or a range with its last value: ``1:8192:*2``, ``1:9:+2``.

    Parameters
    ----------
    read : callable
        Reads one value, given its text and the place. The ends of a range are read by it too; they
        must be whole numbers.

    Raises
    ------
    InputError
        If a value is not usable, or a range is none or longer than `MAX_VALUES`.
    """
    values: list[Any] = []
    for part in text.split(","):
        ends = [one.strip() for one in part.split(":")]
        if len(ends) != 3:
            values.append(read(part.strip(), where))
            continue
        first, last = read(ends[0], where), read(ends[1], where)
        step = _RANGE_STEP.fullmatch(ends[2])
        by = parse_size(step[2], where) if step else 0
        if not isinstance(first, int) or not step or first > last or by < (2, 1)[step[1] == "+"]:
            allowed = "FIRST:LAST:*N, N above 1, or FIRST:LAST:+N; whole numbers, FIRST <= LAST"
            raise InputError(where, "not a range", value=part.strip(), allowed=allowed)
        if step[1] == "*" and first < 1:
            allowed = "a first value of 1 or more"
            raise InputError(where, "not a range", value=part.strip(), allowed=allowed)
        while first <= last:
            values.append(first)
            first = first * by if step[1] == "*" else first + by
            if len(values) > MAX_VALUES:
                allowed = f"{MAX_VALUES:,} values"
                raise InputError(where, "range too long", value=part.strip(), allowed=allowed)
    return values


def _typed(one: Parameter, text: str, where: str) -> Any:
    if one.choices or isinstance(one.default, str):
        return text
    if one.size:
        return parse_size(text, where)
    if isinstance(one.default, float):
        if text in ("0", "0%"):
            return 0.0
        if one.most <= 1:
            return parse_share(text, where)
        try:
            return float(text)
        except ValueError:
            raise InputError(where, "not a number") from None
    return parse_count(text, where)
