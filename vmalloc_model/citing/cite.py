"""Snippets for ids: claims, figures and tables, with any parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmalloc_model.citing.assumptions import assumptions_of
from vmalloc_model.citing.results import known_results, read_result
from vmalloc_model.citing.snippet import Snippet
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.report.plaintext import ascii_text
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import read_record

if TYPE_CHECKING:
    from vmalloc_model.citing.claims import Evaluation
    from vmalloc_model.report.runner import Say

__all__ = ["Citer", "result_snippet"]


class Citer:
    """Makes citations; what several of them need is computed once.

    Parameters
    ----------
    project : Project
        The checkout.
    say : callable
        Told of each notebook that it is up to date, or why it runs.
    """

    def __init__(self, project: Project, say: Say) -> None:
        from vmalloc_model.claims.claim import load_claims

        self.project, self._say = project, say
        self._results = known_results(project)
        self._claims = {claim.id: claim for claim in load_claims()}
        self._folders: dict[str, Path] = {}
        self._evaluations: dict[str, Evaluation] = {}

    @property
    def ids(self) -> list[str]:
        """Every id: the claims in the order of the mail, then figures and tables by notebook."""
        return [*self._claims, *self._results]

    def prepare(self) -> None:
        """Bring all notebooks up to date at once, rather than one after the other."""
        wanted: dict[str, dict[str, Any]] = {
            name: {} for name in dict.fromkeys(self._results.values())
        }
        self._run(wanted)

    def snippet(self, id: str, given: Sequence[tuple[str, str]] = ()) -> Snippet:
        """Cite one result.

        Parameters
        ----------
        id : str
            Of a claim, a figure or a table.
        given : sequence of (str, str)
            Names and values of parameters, as text.

        Raises
        ------
        InputError
            If the id is unknown (known ones are listed, nearest first) or a parameter is not
            allowed.
        ModelError
            If the notebook fails.
        """
        if id in self._claims:
            return self._claim(id, given)
        if id not in self._results:
            allowed = (
                ", ".join(nearest(id, self.ids)[:8]) + ", ... (see `vmalloc-model cite --list`)"
            )
            raise InputError("id", "no such claim, figure or table", value=id, allowed=allowed)
        from vmalloc_model.report.overrides import Given, overrides_of

        notebook = self._results[id]
        overrides: dict[str, dict[str, Any]] = {notebook: {}}
        if given:
            typed = [Given(name, text) for name, text in given]
            overrides = overrides_of(self.project, [notebook], typed)
        return result_snippet(self._run(overrides) / id)

    def _claim(self, id: str, given: Sequence[tuple[str, str]]) -> Snippet:
        from vmalloc_model.citing import claims

        overrides = claims.read_overrides(given)
        key = json.dumps(overrides, sort_keys=True)
        if key not in self._evaluations:
            self._evaluations[key] = claims.Evaluation(overrides)
        return self._evaluations[key].snippet(self._claims[id])

    def _run(self, wanted: Mapping[str, Mapping[str, Any]]) -> Path:
        """Bring notebooks up to date; return the folder of the last."""
        from vmalloc_model.report.kept import results

        keys = {name: json.dumps([name, values], sort_keys=True) for name, values in wanted.items()}
        missing = {name: wanted[name] for name, key in keys.items() if key not in self._folders}
        if missing:
            for name, folder in results(self.project, missing, self._say).items():
                self._folders[keys[name]] = folder
        return self._folders[list(keys.values())[-1]]


def result_snippet(folder: Path) -> Snippet:
    """Write the citation of the finished figure or table that lies in `folder`.

    Parameters
    ----------
    folder : Path
        Named by the id; holds ``meta.json`` and ``text.txt``. The record of the run beside it says
        which parameters differ from the notebook's own.
    """
    result, record = read_result(folder), read_record(folder.parent)
    names = {"result": result.id, "notebook": result.notebook}
    return Snippet(
        id=result.id,
        label=result.label,
        notebook=result.notebook,
        digest=result.digest,
        finding=" ".join(ascii_text(result.caption).split()),
        table=result.table,
        assumptions=assumptions_of(names, result.parameters),
        parameters=result.parameters,
        overrides=record["overrides"] if record else {},
    )
