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

__all__ = ["Value", "parse_count", "parse_share", "workload_parameters"]

_COUNT: Final = re.compile(r"(\d{1,3}(?:[,_]\d{3})+|\d+)(\.\d+)?(?:e\+?(\d{1,2}))?([kmg]?)", re.A)
_FACTORS: Final = {"": 0, "k": 3, "m": 6, "g": 9}
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
        if name not in workload.parameters:
            known = ", ".join(nearest(name, workload.parameters)) or "none"
            raise InputError(where, f"no such parameter of {workload.name}", allowed=known)
        if name in values:
            raise InputError(where, "given twice", allowed="each parameter once")
        one = workload.parameters[name]
        try:
            values[name] = one.check(name, _typed(one, text.strip(), where))
        except InputError as error:
            allowed = error.allowed or one.allowed
            raise InputError(where, error.problem, value=text, allowed=allowed) from None
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
