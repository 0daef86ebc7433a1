"""Chapter *The patch*: the diagrams, the variants, and where the mail disagrees with itself."""

from __future__ import annotations

import re
from typing import Any, Final

import polars as pl

from vmalloc_model.claims.patch import Patch, read_patch
from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError

__all__ = [
    "PATH_KINDS",
    "STATE_KINDS",
    "chunk_of_the_diff",
    "diagram",
    "disagreements",
    "say_disagreements",
    "say_path",
    "say_states",
    "size_of_the_diff",
    "variants",
]

_FILE: Final = "overlay.toml"

PATH_KINDS: Final = {
    "start": "the request",
    "question": "decided without the global lock",
    "global": "under the global lock",
    "end": "served",
}
STATE_KINDS: Final = {
    "start": "free",
    "question": "held for one CPU's areas",
    "end": "back as a whole",
    "global": "back in pieces",
    "lost": "never back",
}
"""Kind of box -> what the legends of the two diagrams call it."""


def diagram(name: str) -> pl.DataFrame:
    """Boxes and arrows of one diagram.

    Parameters
    ----------
    name : {"path", "states"}
        Path of a request through 10/12, or states of a chunk.

    Returns
    -------
    polars.DataFrame
        One row per box (``element`` is ``box``: ``id``, column ``x``, row ``y``, ``kind``,
        ``text``), then one per arrow (``arrow``: ``id`` and ``to`` are boxes, ``text``, ``side``).

    Raises
    ------
    FileError
        If an arrow names a box that is not there.
    """
    parts = read_toml(_FILE)[name]
    boxes = {node["id"] for node in parts["node"]}
    for edge in parts["edge"]:
        for end in ("from", "to"):
            if edge[end] not in boxes:
                raise FileError(
                    data_path(_FILE),
                    f"$.{name}.edge: no such node",
                    value=edge[end],
                    allowed=", ".join(sorted(boxes)),
                )
    schema = {
        "element": pl.String,
        "id": pl.String,
        "to": pl.String,
        "x": pl.Int64,
        "y": pl.Int64,
        "kind": pl.String,
        "text": pl.String,
        "side": pl.String,
    }
    nodes = [{"element": "box", **node} for node in parts["node"]]
    edges = [
        {"element": "arrow", "id": edge["from"], **{k: edge.get(k) for k in ("to", "text", "side")}}
        for edge in parts["edge"]
    ]
    return pl.DataFrame([*nodes, *edges], schema=schema)


def say_path(table: pl.DataFrame) -> str:
    """Caption of the request's path: how many of its steps take the global lock."""
    boxes = table.filter(pl.col("element") == "box")
    steps = boxes.filter(~pl.col("kind").is_in(["start", "end"])).height
    visits = boxes.filter(pl.col("kind") == "global").height
    return (
        f"The path of one request in 10/12 as posted: {visits} of its {steps} steps take the lock "
        "of the global allocator. Every address, wherever it comes from, is entered in a busy tree "
        "chosen by the address, as before. A request that is not eligible costs no refill."
    )


def say_states(table: pl.DataFrame) -> str:
    """Caption of the chunk's states; whether one of them is a dead end is read off the table."""
    lost = table.filter((pl.col("element") == "box") & (pl.col("kind") == "lost")).height
    return (
        "What becomes of a chunk. In 10/12 (by the diff) it never returns as a whole: its areas go "
        "back one by one. After 12/12 (by reading) it returns whole when its last area is freed"
        + ("; one that is already empty when a refill replaces it is lost." if lost else ".")
    )


def variants() -> pl.DataFrame:
    """List what each variant does: ``aspect``, ``variant``, ``rule`` in plain words."""
    entries: list[dict[str, str]] = read_toml(_FILE)["variant"]
    aspects = {
        "source": "read from",
        "state": "state",
        "order": "order of attempts",
        "eligible": "eligible",
        "free": "on free",
        "release": "chunk given back",
    }
    return pl.DataFrame(
        [
            {"aspect": heading, "variant": entry["id"], "rule": entry[key]}
            for key, heading in aspects.items()
            for entry in entries
        ]
    )


def disagreements(patch: Patch | None = None) -> pl.DataFrame:
    """Where commit message, comments and diff of 10/12 say different things.

    Every row's evidence is looked up in the mail: what is said to stand there must stand there, and
    what is said to be missing must be missing.

    Returns
    -------
    polars.DataFrame
        ``topic``, ``message``, ``comment``, ``diff`` (what each says, in our words), ``evidence``
        (number of places looked up).

    Raises
    ------
    FileError
        If the mail does not say what a row claims.
    """
    mail = patch or read_patch()
    rows = []
    for i, entry in enumerate(read_toml(_FILE)["disagreement"]):
        looked_up = _look_up(mail, entry, f"$.disagreement[{i}]")
        texts = {key: entry[key] for key in ("topic", "message", "comment", "diff")}
        rows.append({**texts, "evidence": looked_up})
    return pl.DataFrame(rows)


def _look_up(mail: Patch, entry: dict[str, Any], where: str) -> int:
    count = 0
    for expected in ("present", "absent"):
        for part, pattern in entry[expected].items():
            found = re.search(pattern, mail.part(part)) is not None
            if found != (expected == "present"):
                raise FileError(
                    data_path(_FILE),
                    f"{where}.{expected}.{part}: the mail's {part} says otherwise",
                    value=pattern,
                )
            count += 1
    return count


def say_disagreements(table: pl.DataFrame) -> str:
    """Caption of the disagreements: how many, and in how many a comment takes part."""
    in_comment = table.filter(pl.col("comment") != "-").height
    return (
        f"{table.height} points on which commit message, comments and diff of the same mail do not "
        f"agree; on {in_comment} of them a comment in the diff has its say. All "
        f"{table['evidence'].sum()} pieces of evidence were looked up in the mail when this table "
        "was made."
    )


def chunk_of_the_diff(patch: Patch | None = None) -> int:
    """Bytes of ``VMAP_BUMP_CHUNK_SIZE`` as the diff defines it."""
    return (patch or read_patch()).size_of("VMAP_BUMP_CHUNK_SIZE")


def size_of_the_diff(patch: Patch | None = None) -> tuple[int, int]:
    """Lines that the diff adds and removes."""
    mail = patch or read_patch()
    return len(mail.added), len(mail.removed)
