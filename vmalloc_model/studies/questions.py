"""Chapter *Questions*: what reviewers ask, and where the book answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError

__all__ = ["STATES", "Question", "load_questions", "questions_table", "say_questions"]

STATES: Final = ("answered", "in part", "open")
_KEYS: Final = {"id", "topic", "text", "state", "shown", "left"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its answer's place.

    Attributes
    ----------
    id, topic, text : str
        In our words.
    state : str
        One of `STATES`.
    shown : tuple of str
        Ids of the figures and tables that answer; empty if it is open.
    left : str
        What stays open and why; empty if it is answered.
    """

    id: str
    topic: str
    text: str
    state: str
    shown: tuple[str, ...]
    left: str


def load_questions() -> list[Question]:
    """Read ``data/questions.toml``.

    Raises
    ------
    FileError
        If an entry is incomplete, or its state does not go with the rest.
    """
    return [_question(entry) for entry in read_toml("questions.toml")["question"]]


def _question(entry: dict[str, Any]) -> Question:
    name, path = entry.get("id", "?"), data_path("questions.toml")
    if set(entry) != _KEYS:
        wrong = ", ".join(sorted(set(entry) ^ _KEYS))
        allowed = ", ".join(sorted(_KEYS))
        raise FileError(path, f"question {name}: wrong keys", value=wrong, allowed=allowed)
    question = Question(**{**entry, "shown": tuple(entry["shown"])})
    if question.state not in STATES:
        allowed = ", ".join(STATES)
        problem = f"question {name}: no such state"
        raise FileError(path, problem, value=question.state, allowed=allowed)
    if bool(question.shown) != (question.state != "open"):
        raise FileError(path, f"question {name}: open means that nothing is shown, and vice versa")
    if bool(question.left) != (question.state != "answered"):
        raise FileError(path, f"question {name}: answered means that nothing is left")
    return question


def questions_table(questions: list[Question]) -> pl.DataFrame:
    """Table the questions: id, question, state, shown (references), left."""
    return pl.DataFrame(
        {
            "id": [one.id for one in questions],
            "question": [f"{one.topic}: {one.text}" for one in questions],
            "state": [one.state for one in questions],
            "shown": [", ".join(f"{{numref}}`{id}`" for id in one.shown) for one in questions],
            "left": [one.left for one in questions],
        }
    )


def say_questions(questions: list[Question]) -> str:
    """Word how many questions are in which state."""
    counts = [(sum(one.state == state for one in questions), state) for state in STATES]
    parts = [f"{count} {state}" for count, state in counts if count]
    parts[0] = parts[0].replace(" ", " is " if parts[0].startswith("1 ") else " are ", 1)
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"Of {len(questions)} questions, {listed}."
