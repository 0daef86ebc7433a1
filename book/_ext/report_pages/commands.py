"""The directive ``{command-reference}``: a section for each command, made from the command itself.

It says what ``--help`` says, in the same words. `sphinx_click` would parse these words as
reStructuredText, in which ``1:64:*2`` is a mistake; here they are text with code in backticks.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Final

import click
from docutils import nodes
from docutils.nodes import Element, Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from vmalloc_model.cli import cli

__all__ = ["CommandReference"]

PROGRAM: Final = "vmalloc-model"
_CODE: Final = re.compile(r"`([^`]+)`")
_EXTRAS: Final = re.compile(r"  \[(.*)\]$", re.S)


class CommandReference(SphinxDirective):
    """A section per command: usage, what it does, options, examples; anchor ``cmd-NAME``."""

    def run(self) -> list[Node]:
        """Make the sections, in the order of the program's own help."""
        context = click.Context(cli, info_name=PROGRAM, terminal_width=80, **cli.context_settings)
        return [self._section(name, context) for name in cli.list_commands(context)]

    def _section(self, name: str, parent: click.Context) -> Element:
        command = cli.get_command(parent, name)
        if command is None:
            raise self.error(f"no command {name!r}")
        section = nodes.section("", nodes.title("", f"{PROGRAM} {name}"))
        section["support_smartquotes"] = False  # three dots and quotes are meant as they stand
        self.set_source_info(section)
        self.options["name"] = f"cmd-{name}"
        self.add_name(section)
        context = click.Context(command, info_name=name, parent=parent, terminal_width=80)
        section += _code(" ".join(command.get_usage(context).removeprefix("Usage: ").split()))
        body, examples = _parts(inspect.cleandoc(command.help or ""))
        section += [nodes.paragraph("", "", *_inline(text)) for text in body]
        records = [one.get_help_record(context) for one in command.get_params(context)]
        section += nodes.definition_list("", *(_item(*one) for one in records if one and one[1]))
        section += examples
        return section


def _parts(text: str) -> tuple[list[str], list[Node]]:
    """Split a help text into paragraphs and, from its literal part on, title and examples."""
    head, mark, tail = text.partition("\b\n")
    body = [" ".join(part.split()) for part in head.split("\n\n") if part.strip()]
    if not mark:
        return body, []
    title, _, lines = tail.partition("\n")
    return body, [nodes.paragraph("", title), _code(textwrap.dedent(lines).rstrip())]


def _item(names: str, meaning: str) -> Node:
    extras = _EXTRAS.search(meaning)
    term = nodes.term("", "", nodes.literal(text=names))
    told = nodes.paragraph("", "", *_inline(_EXTRAS.sub("", meaning)))
    if extras:
        told += [nodes.Text(" "), nodes.emphasis("", "", *_inline(f"[{extras[1]}]"))]
    return nodes.definition_list_item("", term, nodes.definition("", told))


def _inline(text: str) -> Iterator[Node]:
    for place, part in enumerate(_CODE.split(text)):
        if part:
            yield nodes.literal(text=part) if place % 2 else nodes.Text(part)


def _code(text: str) -> Node:
    return nodes.literal_block(text, text, language="sh")


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("command-reference", CommandReference)
