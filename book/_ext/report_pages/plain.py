"""A page as plain text: its document tree to ASCII lines.

Running text has at most 72 columns; a table, a listing or an address is as wide as it must be. No
markup is left: emphasis, code and links are their text, an outside link shows its address, and
mathematics its TeX between dollar signs. A figure is its table. The code of cells is left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import polars as pl
from docutils import nodes
from docutils.nodes import Element, Node
from sphinx import addnodes
from sphinx.util import logging

from report_pages.figures import Notes
from vmalloc_model.report.plaintext import WIDTH, ascii_signs, ascii_table, lost_signs

__all__ = ["Page"]

_UNDERLINES: Final = "=-~."
_SILENT: Final = (
    nodes.comment, nodes.raw, nodes.substitution_definition, nodes.target, nodes.transition,
    nodes.label, addnodes.index, addnodes.toctree, Notes,
)  # fmt: skip
"""Nodes without text: what is not for readers, or stands elsewhere."""

_log = logging.getLogger(__name__)


class Page:
    """Writes one page.

    Parameters
    ----------
    heading : callable
        Section -> its title with its number.
    caption : callable
        Figure or table -> its number and id, ``Table 6.1 [tab-ranges]``; empty if it has none.
    equation : callable
        Displayed formula -> its number, ``(6.1)``; empty if it has none.
    """

    def __init__(
        self,
        heading: Callable[[Element], str],
        caption: Callable[[Element], str],
        equation: Callable[[Element], str],
    ) -> None:
        self._heading, self._caption, self._equation = heading, caption, equation

    def lines(self, node: Node, width: int = WIDTH, level: int = 0) -> list[str]:
        """Write a block: its lines, without a blank one before or after it."""
        match node:
            case nodes.section():
                return self._section(node, width, level)
            case nodes.paragraph() | nodes.rubric() | nodes.caption() | nodes.attribution():
                return _filled(self.inline(node), width)
            case nodes.literal_block() | nodes.doctest_block():
                return _indented(_ascii(node.astext(), node).splitlines(), "    ")
            case nodes.math_block():
                formula = f"$$ {_ascii(' '.join(node.astext().split()), node)} $$"
                return _indented([f"{formula}  {self._equation(node)}"], "    ")
            case nodes.figure() if "report-figure" in node["classes"]:
                return self._result(node)
            case nodes.table() if "report-table" in node["classes"]:
                return self._result(node)
            case nodes.table():
                return self._table(node)
            case nodes.bullet_list():
                return _stacked(
                    (_item("* ", self._all(item, width - 2, level)) for item in node), 0
                )
            case nodes.enumerated_list():
                start = node.get("start", 1)
                marks = [f"{number}. " for number in range(start, start + len(node))]
                pairs = zip(marks, node, strict=True)
                return _stacked(
                    (_item(m, self._all(item, width - len(m), level)) for m, item in pairs), 0
                )
            case nodes.definition_list():
                return _stacked((self._definition(item, width, level) for item in node), 1)
            case nodes.citation() | nodes.footnote():
                mark = f"[{node[0].astext()}] "
                return _item(mark, self._all(node, width - len(mark), level))
            case nodes.Admonition() | nodes.block_quote() | nodes.topic() | nodes.sidebar():
                return _indented(self._titled(node, width - 4, level), "    ")
            case addnodes.desc():
                head, *body = node.children
                return [
                    *_filled(self.inline(head), width),
                    *_indented(self._all(body, width - 4, level), "    "),
                ]
            case nodes.container() if "cell_input" in node["classes"]:
                return []
            case nodes.Text() | nodes.Inline() | nodes.title():
                return _filled(self.inline(node), width)
            case _ if isinstance(node, _SILENT):
                return []
        return self._all(node, width, level)

    def inline(self, node: Node) -> str:
        """Write what stands within a line."""
        match node:
            case nodes.Text():
                return _ascii(node.astext(), node)
            case nodes.math():
                return f"${_ascii(node.astext(), node)}$"
            case nodes.image():
                return _ascii(f"[image: {node.get('alt', '')}]", node)
            case nodes.footnote_reference() | nodes.citation_reference():
                return f"[{node.astext()}]"
            case _ if isinstance(node, _SILENT):
                return ""
        text = "".join(map(self.inline, node.children))
        address = node.get("refuri", "") if isinstance(node, nodes.reference) else ""
        shown = "://" in address and address != text
        return f"{text} <{_ascii(address, node)}>" if shown else text

    def _all(self, blocks: Iterable[Node], width: int, level: int) -> list[str]:
        return _stacked((self.lines(block, width, level) for block in _blocks(blocks)), 1)

    def _section(self, node: Element, width: int, level: int) -> list[str]:
        title = _filled(self._heading(node) + self.inline(node[0]), width)
        longest = max(map(len, title))
        underline = _UNDERLINES[min(level, len(_UNDERLINES) - 1)] * longest
        body = self._all(node[1:], width, level + 1)
        return _stacked([[*title, underline], body], 1)

    def _titled(self, node: Element, width: int, level: int) -> list[str]:
        """Write an admonition; one that has no title of its own is called by its kind."""
        kind = [] if node.first_child_matching_class(nodes.title) is not None else [node.tagname]
        named = kind if isinstance(node, nodes.Admonition) else []
        return [*(f"{name.capitalize()}:" for name in named), *self._all(node, width, level)]

    def _definition(self, item: Element, width: int, level: int) -> list[str]:
        terms = [part for part in item if isinstance(part, nodes.term)]
        rest = [part for part in item if not isinstance(part, nodes.term)]
        return [
            *(line for term in terms for line in _filled(self.inline(term), width)),
            *_indented(self._all(rest, width - 4, level), "    "),
        ]

    def _result(self, node: Element) -> list[str]:
        """Write a notebook's figure or table: the text that the notebook left."""
        notes = node.next_node(Notes, descend=False, siblings=True)
        return [self._caption(node), *notes["result"].text.splitlines()]

    def _table(self, node: Element) -> list[str]:
        head, *body = (
            [" ".join(" ".join(map(self.inline, entry)).split()) for entry in row]
            for row in node.findall(nodes.row)
        )
        names = [str(place) for place in range(len(head))]
        data = pl.DataFrame(body, schema=dict.fromkeys(names, pl.String), orient="row")
        title = [
            line
            for one in node
            if isinstance(one, nodes.title)
            for line in _filled(f"{self._caption(node)} {self.inline(one)}", WIDTH)
        ]
        return [*title, *ascii_table(data, dict(zip(names, head, strict=True))).splitlines()]


def _blocks(children: Iterable[Node]) -> Iterator[Node]:
    """Gather text that stands between blocks into paragraphs of its own."""
    waiting: list[Node] = []
    for child in children:
        if isinstance(child, (nodes.Text, nodes.Inline)):
            waiting.append(child)
            continue
        if waiting:
            yield nodes.paragraph("", "", *(one.deepcopy() for one in waiting))
            waiting = []
        yield child
    if waiting:
        yield nodes.paragraph("", "", *(one.deepcopy() for one in waiting))


def _ascii(text: str, node: Node) -> str:
    lost = lost_signs(text)
    if lost:
        _log.warning("plain text has no form of: %s", lost, location=node)
    return ascii_signs(text)


def _filled(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), width, break_long_words=False, break_on_hyphens=False
    )


def _indented(lines: Iterable[str], by: str) -> list[str]:
    return [f"{by}{line}".rstrip() for line in lines]


def _item(mark: str, lines: list[str]) -> list[str]:
    """Put a mark before the first line and indent the others."""
    if not lines:
        return []
    return [mark + lines[0], *_indented(lines[1:], " " * len(mark))]


def _stacked(blocks: Iterable[list[str]], gap: int) -> list[str]:
    """Put blocks below each other; blocks of several paragraphs are always set apart."""
    lines: list[str] = []
    for block in filter(None, blocks):
        apart = gap or "" in block
        lines += [""] * (1 if lines and apart else 0) + block
    return lines
