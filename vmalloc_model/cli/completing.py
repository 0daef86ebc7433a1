"""What a shell offers for the value of an option or argument: ``shell_complete=`` of click.

Nothing heavy is imported: an answer is there well before the user has lifted the finger.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BY_KIND",
    "Offer",
    "chapter_parameters",
    "citable",
    "claims",
    "metrics",
    "notebooks",
    "platforms",
    "policies",
    "runs",
    "settings",
    "workload_parameters",
    "workloads",
]

_Items = list[CompletionItem]
Offer = Callable[[click.Context, click.Parameter, str], _Items]
"""Answers what goes on from the text that was typed."""


def notebooks(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the names of the chapters."""
    return _offered(((path.stem, "") for path in _below("notebooks", "*.md")), typed)


def platforms(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the platforms."""
    from vmalloc_model.datafiles import data_path

    with data_path("platforms.csv").open(encoding="utf-8", newline="") as file:
        return _offered(((row["id"], "") for row in csv.DictReader(file)), typed)


def policies(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the policies with their titles; also behind the last comma of a list."""
    from vmalloc_model.allocator.policies import load_policies

    return _offered(((name, rules.title) for name, rules in load_policies().items()), typed)


def workloads(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the workloads with their titles."""
    from vmalloc_model.workloads import WORKLOADS

    return _offered(((one.name, one.title) for one in WORKLOADS.values()), typed)


def workload_parameters(context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the parameters of the workload that ``--workload`` names."""
    from vmalloc_model.workloads import WORKLOADS

    workload = WORKLOADS.get(context.params.get("workload") or "")
    known = workload.parameters.items() if workload else ()
    return _offered(((f"{name}=", one.meaning) for name, one in known), typed)


def chapter_parameters(context: click.Context, param: click.Parameter, typed: str) -> _Items:
    """Offer the parameters that chapters have; behind ``platform=`` the platforms, and so on."""
    from vmalloc_model.parameters import VOCABULARY

    name, sign, value = typed.partition("=")
    if sign:
        one = VOCABULARY.get(name)
        return _valued(name, BY_KIND.get(one.scalar) if one else None, context, param, value)
    return _offered(((f"{one.name}=", one.meaning) for one in VOCABULARY.values()), typed)


def _valued(
    name: str, offer: Offer | None, context: click.Context, param: click.Parameter, typed: str
) -> _Items:
    items = offer(context, param, typed) if offer else []
    return [CompletionItem(f"{name}={item.value}", help=item.help) for item in items]


def runs(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the recorded runs of the report, and files."""
    from vmalloc_model.datafiles import read_toml

    known = read_toml("runs/runs.toml").items()
    items = _offered(((name, one["kernel"]) for name, one in known), typed)
    return items or [CompletionItem(typed, type="file")]


BY_KIND: Final = {
    "platform": platforms,
    "policy": policies,
    "workload": workloads,
    "run": runs,
}
"""Kind of a value -> what offers such values."""


def metrics(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the metrics of a sweep with their meanings."""
    from vmalloc_model.metrics import METRICS

    return _offered(((name, one.meaning) for name, one in METRICS.items()), typed)


def settings(context: click.Context, param: click.Parameter, typed: str) -> _Items:
    """Offer what a sweep can vary; behind ``policy=`` the policies, and so on."""
    from vmalloc_model.metrics import SETTINGS

    name, sign, value = typed.partition("=")
    if sign:
        return _valued(name, BY_KIND.get(name), context, param, value)
    known = [(f"{name}=", one.meaning) for name, one in SETTINGS.items()]
    return _offered(known, typed) + workload_parameters(context, param, typed)


def claims(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer the claims of the mail."""
    return _offered(_claims(), typed)


def citable(_context: click.Context, _param: click.Parameter, typed: str) -> _Items:
    """Offer what can be cited: claims, figures and tables."""
    shown = ((path.stem, path.parent.name) for path in _below("data/results", "*/*-*.csv"))
    return _offered([*_claims(), *shown], typed)


def _claims() -> Iterable[tuple[str, str]]:
    from vmalloc_model.datafiles import read_toml

    return [(one["id"], one["text"]) for one in read_toml("claims.toml")["claim"]]


def _below(folder: str, pattern: str) -> list[Path]:
    from vmalloc_model.datafiles import ROOT

    return sorted((ROOT / folder).glob(pattern))


def _offered(known: Iterable[tuple[str, str]], typed: str) -> _Items:
    """Choose what goes on from the text behind the last comma of what was typed."""
    before, comma, last = typed.rpartition(",")
    return [
        CompletionItem(before + comma + name, help=meaning or None)
        for name, meaning in known
        if name.startswith(last)
    ]
