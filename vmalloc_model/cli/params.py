"""``vmalloc-model params``: what can be changed in a chapter."""

from __future__ import annotations

import click

from vmalloc_model.cli import completing

__all__ = ["command"]


@click.command()
@click.argument("notebook", required=False, shell_complete=completing.notebooks)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON object.")
def command(notebook: str | None, as_json: bool) -> None:
    """List the parameters of NOTEBOOK, or of all notebooks: name, kind, value, meaning.

    \b
    Examples:
      vmalloc-model params
      vmalloc-model params coverage
      vmalloc-model params coverage --json
    """  # noqa: D301
    import json

    from vmalloc_model.parameters import find
    from vmalloc_model.report.project import Project
    from vmalloc_model.report.runner import defaults

    project = Project.at()
    names = [notebook] if notebook else project.names()
    own = {name: defaults(project, name) for name in names}
    if as_json:
        told = {
            name: [
                {
                    "name": key,
                    "kind": find(key).kind,
                    "default": value,
                    "meaning": find(key).meaning,
                }
                for key, value in values.items()
            ]
            for name, values in own.items()
        }
        click.echo(json.dumps(told, indent=2))
        return
    for name, values in own.items():
        click.echo(name if values else f"{name}: no parameters")
        widths = [
            max(map(len, column), default=0) for column in (values, [find(k).kind for k in values])
        ]
        for key, value in values.items():
            one = find(key)
            click.echo(f"  {key:{widths[0]}}  {one.kind:{widths[1]}}  {one.meaning}")
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            click.echo(f"  {'':{widths[0]}}  = {text}")
