"""What pages and help texts tell the reader to type can be typed."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from typed import examples, parse, shown_commands

from vmalloc_model.cli import COMMANDS, cli
from vmalloc_model.errors import InputError
from vmalloc_model.report.project import Project
from vmalloc_model.report.transcripts import kept_blocks

PROJECT = Project.at()
DOCUMENTS = sorted(
    [
        *(PROJECT.root / name for name in ("README.md", "DESIGN.md", "data/runs/README.md")),
        *PROJECT.book.glob("*.md"),
        *PROJECT.notebooks.glob("*.md"),
    ]
)
BIN = Path(sys.executable).parent
WHOLE = ("build", "check", "accept", "dist")
"""Commands that work on the checkout itself; their examples are parsed, not run."""
HEAVY = {"polars", "altair", "numba", "papermill", "jupytext"}


def help_of(name):
    return inspect.cleandoc(cli.get_command(click.Context(cli), name).help)


def targets():
    makefile = (PROJECT.root / "Makefile").read_text()
    return set(re.findall(r"^\.PHONY: (\S+)", makefile, re.M))


def label(path):
    return PROJECT.label(path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=label)
def test_commands_of_documents_parse(document):
    text = document.read_text()
    for program, *words in shown_commands(text):
        if program == "make":
            assert set(words) - {"--help"} <= targets(), words
        elif words[0] != "NAME":
            parse(words)


def test_documents_show_commands():
    assert len(shown_commands((PROJECT.book / "rerun.md").read_text())) > 5
    assert ["make", "book"] in shown_commands((PROJECT.root / "README.md").read_text())


def test_found_commands():
    text = """Say `vmalloc-model replay x` or `make`, not `don't`.

```sh
FOO=1 other; .venv/bin/vmalloc-model \\
    params 'a b' | head > x && make book
# make no
```

```python
make book
```
"""
    assert shown_commands(text) == [
        ["vmalloc-model", "params", "a b"],
        ["make", "book"],
        ["vmalloc-model", "replay", "x"],
    ]


@pytest.mark.parametrize(
    "words",
    [
        "rn coverage",
        "run covrage",
        "run coverage -p chunksize=1M",
        "run coverage -p chunk_size=3M",
        "simulate --policy",
        "params x",
        "replay",
        "replay smp1 --jason",
        "workloads a b",
    ],
)
def test_wrong_commands_do_not_parse(words):
    with pytest.raises((InputError, click.ClickException)):
        parse(words.split())


@pytest.mark.notebooks
def test_the_commands_below_figures_parse():
    metas = sorted(PROJECT.runs.glob("*/*/meta.json"))
    assert metas
    for command in sorted({json.loads(meta.read_text())["command"] for meta in metas}):
        (words,) = shown_commands(f"```sh\n{command}\n```")
        parse(words[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_that_parse(name):
    lines = examples(help_of(name))
    assert lines
    for _, *words in shown_commands("```sh\n" + "\n".join(lines) + "\n```\n"):
        parse(words)
    assert any(line.startswith(f"vmalloc-model {name}") for line in lines)


def proven():
    """Commands that pages show with status 0: run when the book was built."""
    blocks = [block for page in PROJECT.book.glob("*.md") for block in kept_blocks(PROJECT, page)]
    return {text for block in blocks if block["status"] == 0 for text, _ in block["commands"]}


@pytest.mark.notebooks
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WHOLE])
def test_examples_work(name, tmp_path):
    """In order, in one folder: an example may use what the one before has made."""
    (tmp_path / "data").symlink_to(PROJECT.data)
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    lines = examples(help_of(name))
    if set(lines) <= proven():
        return
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_there_at_once(name):
    """Nothing heavy is imported for it, nor for the list of commands."""
    script = (
        "import sys\nfrom vmalloc_model.cli import main\n"
        f"try:\n    main([{name!r}, '--help'])\n"
        f"finally:\n    print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
