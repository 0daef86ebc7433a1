"""``vmalloc-model completion``: what makes the tab key of a shell work."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script by which SHELL completes commands, options and values.

    \b
    Examples:
      vmalloc-model completion bash
      vmalloc-model completion bash > vmalloc-model.bash
      . ./vmalloc-model.bash
      vmalloc-model completion fish
    """  # noqa: D301 (click wants the control character)
    from click.shell_completion import get_completion_class

    import vmalloc_model.cli.bash  # noqa: F401 (registers itself)

    root = click.get_current_context().find_root()
    name = "vmalloc-model"
    script = get_completion_class(shell)
    assert script is not None  # click knows all three
    click.echo(script(root.command, {}, name, "_VMALLOC_MODEL_COMPLETE").source())
