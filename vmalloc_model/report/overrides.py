"""Parameters of notebooks as a user gives them: words of the command line, or a YAML file.

A name without a notebook goes to every chosen notebook that has such a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmalloc_model import parameters
from vmalloc_model.errors import FileError, InputError, nearest
from vmalloc_model.report.project import Project
from vmalloc_model.report.runner import defaults

__all__ = ["Given", "overrides_of", "read_file"]


@dataclass(frozen=True)
class Given:
    """One value as it was given.

    Attributes
    ----------
    name, text : str
        The parameter, and its value as text; lists are separated by commas.
    notebook : str
        For this notebook only; ``""``: for all that have the parameter.
    where : str
        Place named in errors; ``""``: the parameter itself.
    """

    name: str
    text: str
    notebook: str = ""
    where: str = ""


def overrides_of(
    project: Project, names: Sequence[str], *sources: Sequence[Given]
) -> dict[str, dict[str, Any]]:
    """Sort out which value goes to which notebook.

    Parameters
    ----------
    project : Project
        Knows the notebooks' own parameters.
    names : sequence of str
        The chosen notebooks.
    *sources : sequence of Given
        A later source overrides an earlier one; within one, a name stands once for a notebook.

    Returns
    -------
    dict
        Notebook -> parameter -> literal, in the notebook's order; only values that differ from its
        own. Paths of files that exist are relative to the checkout, or absolute.

    Raises
    ------
    InputError
        Unknown notebook or parameter, one given twice, or a value that is not of its kind. Whether
        values are allowed, alone and together, is checked when the notebook runs.
    """
    own = {name: defaults(project, name) for name in names}
    read: dict[str, dict[str, Any]] = {name: {} for name in names}
    for source in sources:
        seen: set[tuple[str, str]] = set()
        for one in source:
            for name in _takers(project, own, one):
                if (name, one.name) in seen:
                    raise InputError(one.where or f"$.{one.name}", "given twice", value=one.text)
                seen.add((name, one.name))
                read[name][one.name] = _literal(project, one)
    return {
        name: {
            key: read[name][key]
            for key in own[name]
            if read[name].get(key, own[name][key]) != own[name][key]
        }
        for name in names
    }


def read_file(path: Path) -> list[Given]:
    """Read parameters from YAML: ``name: value``, or the same below the name of a notebook.

    Values are taken as they are written, so that ``1e6`` or ``12:00`` is what was typed.

    Raises
    ------
    FileError
        If the file cannot be read, is not YAML, or has another form; with file and line.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise FileError(path, f"not UTF-8 text ({error.reason})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "syntax"
        line = None if mark is None else mark.line + 1
        raise FileError(path, f"not YAML ({problem})", line=line) from None
    if root is None:
        return []
    return [
        inner
        for key, value in _entries(path, root)
        for inner in (
            [_given(path, name.value, one, key.value) for name, one in _entries(path, value)]
            if isinstance(value, yaml.MappingNode)
            else [_given(path, key.value, value)]
        )
    ]


def _entries(path: Path, node: Any) -> Iterator[tuple[Any, Any]]:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise FileError(path, "not a mapping", line=line, allowed="lines NAME: VALUE")
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise FileError(path, "not a name", line=key.start_mark.line + 1, allowed="a parameter")
        yield key, value


def _given(path: Path, name: str, node: Any, notebook: str = "") -> Given:
    import yaml

    line = node.start_mark.line + 1
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(item, yaml.ScalarNode) and item.value for item in items) or not items:
        allowed = "a value, or a list of values"
        raise FileError(path, f"not a value of {name}", line=line, allowed=allowed)
    text = ",".join(item.value for item in items)
    return Given(name, text, notebook, where=f"{path}, line {line:,}")


def _takers(project: Project, own: Mapping[str, Mapping[str, Any]], one: Given) -> list[str]:
    """Notebooks that a value is for."""
    if one.notebook:
        project.source(one.notebook)
        if one.notebook not in own:
            return []  # a file may hold values for notebooks that do not run now
    takers = [name for name in ([one.notebook] if one.notebook else own) if one.name in own[name]]
    if not takers:
        chosen = [one.notebook] if one.notebook else list(own)
        where = f"notebook {chosen[0]}" if len(chosen) == 1 else "the chosen notebooks"
        known = nearest(one.name, dict.fromkeys(key for name in chosen for key in own[name]))
        raise InputError(
            f"{one.where}: {where}" if one.where else where,
            "unknown parameter",
            value=one.name,
            allowed=", ".join(known) or "none",
        )
    return takers


def _literal(project: Project, one: Given) -> Any:
    try:
        return _from_root(project, parameters.literal(one.name, one.text))
    except InputError as error:
        if not one.where:
            raise
        where = f"{one.where}: {error.where}"
        raise InputError(where, error.problem, value=error.value, allowed=error.allowed) from None


def _from_root(project: Project, value: Any) -> Any:
    """Make names of existing files independent of the folder in which the user typed them."""
    if isinstance(value, list):
        return [_from_root(project, one) for one in value]
    if not isinstance(value, str) or not Path(value).is_file():
        return value
    path = Path(value).resolve()
    return str(path.relative_to(project.root) if path.is_relative_to(project.root) else path)
