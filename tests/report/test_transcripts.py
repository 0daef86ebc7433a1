import json
import os
import threading
from pathlib import Path

import pytest

from vmalloc_model.errors import FileError
from vmalloc_model.report import transcripts
from vmalloc_model.report.project import Project
from vmalloc_model.report.transcripts import (
    Block,
    Command,
    bring_up_to_date,
    kept_blocks,
    read_blocks,
    split_commands,
)

PAGE = """\
# A page

```{transcript}
echo one >> made; wc -l < made
```

```sh
exit 7
```

````{transcript}
:status: 2
:lines: 1

# why not
cat made; \\
  exit 2
````
"""


@pytest.fixture
def project(tmp_path):
    for name in ("book", "data", "notebooks", "vmalloc_model"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "sizes.csv").write_text("size\n1\n")
    (tmp_path / "requirements.txt").write_text("nothing==1\n")
    (tmp_path / "CITATION.cff").write_text("")
    (tmp_path / "book" / "page.md").write_text(PAGE)
    (tmp_path / "book" / "plain.md").write_text("# None here\n")
    return Project(tmp_path, tmp_path / "data")


def run(project):
    lines = []
    errors = [str(error) for error in bring_up_to_date(project, lines.append)]
    return lines, errors


def outputs(project, page="page.md"):
    blocks = kept_blocks(project, project.book / page)
    return [output for block in blocks for _, output in block["commands"]]


def write(project, text):
    (project.book / "page.md").write_text(text)


def test_blocks_of_a_page(project):
    assert read_blocks(project.book / "page.md") == [
        Block(3, (Command((), "echo one >> made; wc -l < made"),)),
        Block(11, (Command(("# why not",), "cat made; \\\n  exit 2"),), 2, 1),
    ]
    assert split_commands("# only a comment\n\n") == ()


def test_a_block_without_commands_is_refused(project):
    write(project, "# A\n\n```{transcript}\n:status: 2\n# nothing\n```\n")
    with pytest.raises(FileError, match=r"page\.md, line 3: a transcript without commands"):
        run(project)


def test_commands_of_a_page_share_a_folder_that_is_new_each_time(project):
    for _ in range(2):
        assert run(project) == (["book/page.md: running its commands: no earlier output"], [])
        assert outputs(project) == ["1\n", "one\n"]
        (project.build / "transcripts" / "page.json").unlink()


def test_nothing_runs_again_when_nothing_changed(project, monkeypatch):
    run(project)
    for path in project.root.rglob("*"):
        os.utime(path)
    write(project, PAGE.replace("# A page", "# The page").replace(":lines: 1\n", ""))
    monkeypatch.setattr(transcripts, "_output", lambda *_: pytest.fail("it ran"))
    assert run(project) == (["book/page.md: commands up to date"], [])


@pytest.mark.parametrize(
    "name", ["vmalloc_model/x.py", "data/sizes.csv", "notebooks/x.md", "requirements.txt"]
)
def test_it_runs_again_when_something_it_may_follow_from_changed(project, name):
    run(project)
    (project.root / name).write_text("changed")
    assert run(project) == ([f"book/page.md: running its commands: {name} changed"], [])


@pytest.mark.parametrize(
    "change", [("one >>", "two >>"), (":status: 2", ":status: 3"), ("exit 2", "exit 3")]
)
def test_it_runs_again_when_a_command_changed(project, change):
    run(project)
    write(project, PAGE.replace(*change))
    assert run(project)[0] == ["book/page.md: running its commands: its commands changed"]


def test_an_unexpected_status_is_one_error_and_what_was_kept_stays(project):
    run(project)
    before = (project.build / "transcripts" / "page.json").read_bytes()
    write(project, PAGE.replace("exit 2", "echo 'bad luck' >&2; exit 4"))
    expected = "book/page.md, line 11: exit status 4, not 2: "
    (error,) = run(project)[1]
    assert error.startswith(expected)
    assert error.endswith(": bad luck")
    assert (project.build / "transcripts" / "page.json").read_bytes() == before


def test_a_command_that_hangs_is_an_error(project, monkeypatch):
    monkeypatch.setattr(transcripts, "LONGEST", 0.05)
    write(project, "```{transcript}\nsleep 5\n```\n")
    assert run(project)[1] == ["book/page.md, line 1: no end after 0.05 s: sleep 5"]


def test_outputs_do_not_depend_on_where_and_by_whom_they_were_made(project, monkeypatch):
    monkeypatch.setenv("VMALLOC_REPORT_URL", "https://example.org")
    monkeypatch.setenv("COLUMNS", "17")
    text = "pwd; echo $COLUMNS $LANG $VMALLOC_REPORT_URL; cat data/sizes.csv; head -c 9; [ ! -t 1 ]"
    write(project, f"```{{transcript}}\n{text}\necho {project.root}/book; echo hidden >&2\n```\n")
    assert run(project)[1] == []
    assert outputs(project) == ["~/report\n80 C.UTF-8\nsize\n1\n", "~/report/book\n"]
    record = (project.build / "transcripts" / "page.json").read_text()
    kept = json.dumps(json.loads(record)["blocks"][0]["commands"][0][1])
    assert str(project.root) not in kept


def test_the_program_of_this_environment_is_meant(project):
    write(project, "```{transcript}\nvmalloc-model --version\n```\n")
    assert run(project)[1] == []
    assert outputs(project)[0].startswith("vmalloc-model ")


def test_pages_run_side_by_side(project):
    """Each of two pages waits for a file of the other."""
    for mine, other in (("a", "b"), ("b", "a")):
        meet = (
            f"touch {project.root}/{mine}; until [ -e {project.root}/{other} ]; do sleep .01; done"
        )
        (project.book / f"{mine}.md").write_text(f"```{{transcript}}\n{meet}\n```\n")
    assert run(project)[1] == []


def test_the_record_of_a_page_that_is_gone_goes(project):
    run(project)
    (project.book / "page.md").write_text("# Nothing\n")
    assert run(project) == ([], [])
    assert not list((project.build / "transcripts").iterdir())


def test_an_interrupt_starts_no_further_command(project, monkeypatch):
    started, count = threading.Event(), []

    def slow(project, page, block, command, scratch):
        count.append(command.text)
        started.set()
        threading.Event().wait(0.2)
        return ""

    def interrupted(self, function, pages):
        futures = [self.submit(function, page) for page in pages]
        started.wait()
        assert futures
        raise KeyboardInterrupt

    monkeypatch.setattr(transcripts, "_output", slow)
    monkeypatch.setattr(transcripts.ThreadPoolExecutor, "map", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(project)
    assert len(count) == 1


def test_scratch_folders_are_removed(project, monkeypatch, tmp_path):
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(transcripts.tempfile, "tempdir", str(place))
    run(project)
    write(project, PAGE.replace("exit 2", "exit 4"))
    run(project)
    assert not list(Path(place).iterdir())
