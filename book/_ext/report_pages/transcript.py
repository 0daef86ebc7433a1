"""The directive ``{transcript}``: commands, each with the output it had before the book was built.

`vmalloc_model.report.transcripts` describes the block and has run it.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from docutils.nodes import Node
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from report_pages.elsewhere import root_of
from vmalloc_model.report.project import Project
from vmalloc_model.report.transcripts import kept_blocks, split_commands

__all__ = ["Transcript"]


class Transcript(SphinxDirective):
    """Show each command of the block in a box to copy, and its output below."""

    has_content = True
    option_spec = {  # noqa: RUF012 (docutils looks for a dict of the class)
        "status": directives.nonnegative_int,
        "lines": directives.nonnegative_int,
    }

    def run(self) -> list[Node]:
        """Show the block; it is an error of the build if what was kept is of other commands."""
        place = self.env.new_serialno("transcript")  # of this page
        commands = split_commands("\n".join(self.content))
        project = Project.at(root_of(self.env.app))
        kept = kept_blocks(project, Path(self.env.doc2path(self.env.docname)))
        texts = [text for text, _ in kept[place]["commands"]] if place < len(kept) else []
        if texts != [command.text for command in commands]:
            raise self.error("the commands were not run; `vmalloc-model build` runs them")
        shown: list[Node] = []
        for command, (text, output) in zip(commands, kept[place]["commands"], strict=True):
            typed = "\n".join([*command.comments, text])
            shown.append(nodes.literal_block(typed, typed, language="sh", classes=["typed"]))
            if output:
                cut = _cut(output, self.options.get("lines"))
                shown.append(nodes.literal_block(cut, cut, language="text", classes=["printed"]))
        for node in shown:
            self.set_source_info(node)
        return shown


def _cut(output: str, most: int | None) -> str:
    lines = output.rstrip("\n").split("\n")
    if most is None or len(lines) <= most:
        return "\n".join(lines)
    return "\n".join([*lines[:most], f"[... {len(lines) - most} more lines]"])


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("transcript", Transcript)
