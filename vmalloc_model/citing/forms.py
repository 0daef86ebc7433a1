"""Snippets in other forms: Markdown, BibTeX, JSON, and one file with all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from vmalloc_model import __version__
from vmalloc_model.citing.snippet import BASE_COMMIT, MESSAGE_ID, REPORT, Snippet, first_line
from vmalloc_model.report.plaintext import WIDTH

__all__ = ["FORMS", "together"]

LORE: Final = f"https://lore.kernel.org/r/{MESSAGE_ID}/"


def _text(snippet: Snippet, base: str) -> str:
    return snippet.text(base)


def _markdown(snippet: Snippet, base: str) -> str:
    """Write Markdown, with the whole table."""

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    table = [row(snippet.table.headers), row(["---"] * len(snippet.table.headers))]
    table += [row(cells) for cells in snippet.table.rows]
    values = ", ".join(f"`{one}`" for one in snippet.values())
    where = f"[{snippet.page}]({_address(snippet, base)})" if base else f"`{snippet.page}`"
    parts = [
        f"**{first_line(snippet.label, snippet.id)}**",
        snippet.finding,
        "\n".join(table),
        "\n".join(f"* assumes: {one}" for one in snippet.assumptions),
        f"Patch [{MESSAGE_ID}]({LORE}), base {BASE_COMMIT}; vmalloc-model {__version__}"
        + (f", {values}" if values else "")
        + f"; seed {snippet.seed}; result `{snippet.digest}`; {where}",
        f"```sh\n{' '.join(snippet.words())}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bibtex(snippet: Snippet, base: str) -> str:
    """Write a BibTeX entry; its year is that of the mail, no clock is read."""
    note = f"{snippet.label}; result {snippet.digest}; reviews {MESSAGE_ID}"
    fields = {
        "author": "{The vmalloc chunk report authors}",
        "title": f"{{{_tex(snippet.sentences()[0])}}}",
        "howpublished": _tex(f"{REPORT[:1].upper()}{REPORT[1:]}, {snippet.page}"),
        "version": __version__,
        "year": "2026",
        "note": _tex(note),
    }
    if base:
        fields["url"] = _address(snippet, base)
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{vmalloc-chunk-{snippet.id},", *lines, "}"]) + "\n"


def _tex(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text).replace("~", r"\textasciitilde{}")


def _address(snippet: Snippet, base: str) -> str:
    return f"{base.rstrip('/')}/{snippet.page}"


def _object(snippet: Snippet, base: str) -> dict[str, Any]:
    return {
        "id": snippet.id,
        "label": snippet.label,
        "finding": snippet.finding,
        "headers": snippet.table.headers,
        "rows": snippet.table.rows,
        "looked_at": snippet.seen,
        "assumptions": snippet.assumptions,
        "patch": MESSAGE_ID,
        "base": BASE_COMMIT,
        "version": __version__,
        "notebook": snippet.notebook,
        "parameters": dict(snippet.parameters),
        "overrides": dict(snippet.overrides),
        "command": snippet.words(),
        "result": snippet.digest,
        "page": _address(snippet, base) if base else snippet.page,
        "text": snippet.text(base),
    }


def _json(snippet: Snippet, base: str) -> str:
    return json.dumps(_object(snippet, base), indent=2) + "\n"


FORMS: Final[dict[str, Callable[[Snippet, str], str]]] = {
    "text": _text,
    "markdown": _markdown,
    "bibtex": _bibtex,
    "json": _json,
}
"""Name of a form -> snippet and address of the book's root to text."""


def together(snippets: Sequence[Snippet], form: str, base: str = "") -> str:
    """Write many snippets as one file; text and Markdown begin with a table of contents."""
    if form == "json":
        return json.dumps([_object(one, base) for one in snippets], indent=2) + "\n"
    parts = [FORMS[form](one, base) for one in snippets]
    if form == "bibtex":
        return "\n".join(parts)
    title = f"{REPORT[:1].upper()}{REPORT[1:]}, release {__version__}: {len(parts)} citations"
    if form == "markdown":
        contents = [f"* [{one.id}](#{one.id}), {one.label}" for one in snippets]
        parts = [f"## {one.id}\n\n{part}" for one, part in zip(snippets, parts, strict=True)]
        return "\n".join([f"# {title}\n", *contents, "", *parts])
    width = max(len(one.id) for one in snippets)
    contents = [f"  {one.id:{width}}  {one.label}" for one in snippets]
    rule = "-" * WIDTH
    return "\n".join([title, "", *contents, "", *(f"{rule}\n\n{part}" for part in parts)])
