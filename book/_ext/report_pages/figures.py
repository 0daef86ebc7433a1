"""The directives that show a notebook's figures and tables.

A notebook's cell leaves one of them as its output. They become ordinary numbered figures and tables
with a stable anchor, so that ``{numref}`` reaches them from every page; what is special about them,
the live chart and the notes below, are nodes of their own that only HTML knows how to draw. Every
other builder gets the plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from docutils import nodes
from docutils.nodes import Element, Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from report_pages import html
from report_pages.results import MissingResult, Result, find_result

__all__ = ["Chart", "Notes", "ReportFigure", "ReportTable"]

_NUMBER: Final = re.compile(
    r"[<>≤≥≈~]?\s?[-−+]?\d[\d,]*(\.\d+)?([eE][-+]?\d+)?(\s?(%|[KMGTPE]?i?B|pages?))?"
)
_LONG: Final = 30
_LONGEST: Final = 90
"""Characters from which on a text needs room, and much room."""


class Chart(nodes.General, nodes.Element):
    """A chart: live and static in HTML; its children, the plain text, elsewhere."""


class Notes(nodes.General, nodes.Element):
    """What stands below a figure or table: downloads, plain text, and how it was made."""


class _Shown(SphinxDirective):
    """What both directives do: find the result, and report a missing one as an error."""

    required_arguments = 1
    kind: str

    def run(self) -> list[Node]:
        """Show the result, and the notes below it."""
        try:
            result = find_result(self.env, self.arguments[0], self.kind)
        except MissingResult as missing:
            raise self.error(str(missing)) from None
        shown = self.show(result)
        self.set_source_info(shown)
        self.options["name"] = result.id
        self.add_name(shown)
        return [shown, self._notes(result)]

    def show(self, result: Result) -> Element:
        """Make the node that carries number and anchor."""
        raise NotImplementedError

    def parsed(self, text: str) -> list[Node]:
        """Parse text that stands within a line: roles, code, links; no HTML."""
        parsed, messages = self.state.inline_text(" ".join(text.split()), self.lineno)
        line = nodes.inline("", "", *parsed, *messages)
        for raw in list(line.findall(nodes.raw)):
            raw.replace_self(nodes.Text(raw.astext()))
        return line.children

    def plain(self, text: str) -> str:
        """Parse such text and drop the markup."""
        return "".join(node.astext() for node in self.parsed(text))

    def _notes(self, result: Result) -> Notes:
        notes = Notes(result=result, description=self.plain(result.meta["description"]))
        how = nodes.Text(f"{result.meta['label']}; result {result.meta['digest']}; again: ")
        notes += nodes.paragraph("", "", how, nodes.literal(text=result.meta["command"]))
        return notes


class ReportFigure(_Shown):
    """``{report-figure} fig-id``: a chart with its caption."""

    kind = "figure"

    def show(self, result: Result) -> Element:
        """Make the figure."""
        chart = Chart(result=result, alt=self.plain(result.meta["description"]))
        chart += nodes.literal_block(text=result.text, language="text")
        caption = nodes.caption("", "", *self.parsed(result.meta["caption"]))
        return nodes.figure("", chart, caption, classes=["report-figure"])


class ReportTable(_Shown):
    """``{report-table} tab-id``: a table with its caption above."""

    kind = "table"

    def show(self, result: Result) -> Element:
        """Make the table; text cells are parsed, numbers are printed."""
        names, rows = result.rows()
        columns = [
            _Column(name, [row[index] for row in rows], name in result.meta["numeric"])
            for index, name in enumerate(names)
        ]
        headers = result.meta["headers"]
        heading = [self.parsed(headers.get(name, name.replace("_", " "))) for name in names]
        body = [[self._cell(*cell) for cell in zip(columns, row, strict=True)] for row in rows]
        group = nodes.tgroup("", *(column.spec() for column in columns), cols=len(columns))
        group += nodes.thead("", _row(columns, heading))
        group += nodes.tbody("", *(_row(columns, cells) for cells in body))
        title = nodes.title("", "", *self.parsed(result.meta["caption"]))
        return nodes.table("", title, group, classes=["report-table"])

    def _cell(self, column: _Column, text: str) -> list[Node]:
        if not text:
            return [nodes.Text("–")]
        return [nodes.Text(_printed(text))] if column.numeric else self.parsed(text)


@dataclass(frozen=True)
class _Column:
    name: str
    texts: list[str]
    numeric: bool

    def spec(self) -> nodes.colspec:
        """Width of the column relative to the others; only builders of paper use it."""
        return nodes.colspec(colwidth=max(1, min(_LONG, max(map(len, self.texts), default=1))))

    @property
    def classes(self) -> list[str]:
        """How the cells are set: numbers to the right, long text with room to be read."""
        full = [text for text in self.texts if text]
        if self.numeric or (full and all(_NUMBER.fullmatch(text) for text in full)):
            return ["right"]
        length = max(map(len, full), default=0)
        return ["longest"] if length > _LONGEST else ["long"] if length > _LONG else []


def _printed(text: str) -> str:
    try:
        return f"{int(text):,}"
    except ValueError:
        return f"{float(text):,.6g}"


def _row(columns: list[_Column], cells: list[list[Node]]) -> nodes.row:
    entries = [
        nodes.entry("", nodes.paragraph("", "", *cell), classes=column.classes)
        for column, cell in zip(columns, cells, strict=True)
    ]
    return nodes.row("", *entries)


def _nothing(writer: object, node: Element) -> None:
    """Leave it to the children."""


_CHILDREN: Final = (_nothing, _nothing)


def setup(app: Sphinx) -> None:
    """Register directives and nodes; builders without pages write what the nodes contain."""
    app.add_directive("report-figure", ReportFigure)
    app.add_directive("report-table", ReportTable)
    for node, draw in ((Chart, html.visit_chart), (Notes, html.visit_notes)):
        app.add_node(node, html=(draw, None), latex=_CHILDREN, text=_CHILDREN, man=_CHILDREN)
