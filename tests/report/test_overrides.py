"""Tests of ``vmalloc_model/report/overrides.py``, on the toy project."""

import pytest

from vmalloc_model.errors import FileError, InputError
from vmalloc_model.report.overrides import Given, overrides_of, read_file

pytestmark = pytest.mark.notebooks


def given(*pairs):
    return [Given(name, text) for name, text in pairs]


def test_values_become_literals_in_the_order_of_the_notebook(built):
    typed = given(("cpus", "8"), ("chunk_sizes", "32M,64M"), ("page_size", "4K"))
    read = overrides_of(built, ["alpha"], typed)
    # the page size is the notebook's own
    assert list(read["alpha"].items()) == [("chunk_sizes", ["32M", "64M"]), ("cpus", 8)]


def test_a_value_goes_to_every_notebook_that_knows_it(built):
    read = overrides_of(built, ["alpha", "beta"], given(("cpus", "8"), ("budget", "1%")))
    assert read == {"alpha": {"cpus": 8}, "beta": {"budget": 0.01}}


def test_what_is_typed_overrides_the_file(built, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("cpus: 4\nchunk_sizes: [16M, 1:2:*2]\nbeta:\n  budget: 50%\n")
    from_file = read_file(path)
    assert [(one.name, one.text, one.notebook) for one in from_file] == [
        ("cpus", "4", ""),
        ("chunk_sizes", "16M,1:2:*2", ""),
        ("budget", "50%", "beta"),
    ]
    read = overrides_of(built, ["alpha", "beta"], from_file[:1], given(("cpus", "8")))
    assert read["alpha"] == {"cpus": 8}
    # what is for a notebook that was not chosen waits for another run
    assert overrides_of(built, ["alpha"], from_file[2:]) == {"alpha": {}}


def test_an_existing_file_is_named_from_the_root(built, tmp_path, monkeypatch):
    monkeypatch.chdir(built.root / "notebooks")
    own = tmp_path / "own.trace"
    own.touch()

    def literal(text):
        from vmalloc_model.report.overrides import _literal

        return _literal(built, Given("run", text))

    assert literal("../requirements.txt") == "requirements.txt"
    assert literal(str(own)) == str(own)
    assert literal("smp1") == "smp1"


@pytest.mark.parametrize(
    ("names", "pairs", "error"),
    [
        (["alfa"], [], "notebook: unknown name: 'alfa'; allowed: alpha, beta"),
        (
            ["alpha"],
            [("cpu", "1")],
            "notebook alpha: unknown parameter: 'cpu'; allowed: cpus, page_size, chunk_sizes",
        ),
        (
            ["alpha", "beta"],
            [("seed", "1")],
            "the chosen notebooks: unknown parameter: 'seed'; allowed: ",
        ),
        (["alpha"], [("cpus", "many")], "$.cpus: not a count: 'many'"),
        (["alpha"], [("cpus", "2"), ("cpus", "3")], "$.cpus: given twice: '3'"),
    ],
)
def test_what_cannot_be_meant_is_refused(built, names, pairs, error):
    with pytest.raises(InputError) as caught:
        overrides_of(built, names, given(*pairs))
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cpus: [", "line 1: not YAML (expected the node content"),
        ("- cpus", "line 1: not a mapping; allowed: lines NAME: VALUE"),
        ("cpus:\n", "line 1: not a value of cpus"),
        ("a: 1\ncpus: []\n", "line 2: not a value of cpus"),
        ("cpus: {a: [{b: 1}]}", "line 1: not a value of a"),
        ("? [1]\n: 2\n", "line 1: not a name"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_line(tmp_path, text, error):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        read_file(path)
    assert str(caught.value).startswith(f"{path}, {error}")


def test_a_value_of_a_file_is_named_with_its_line(built, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("# mine\ncpus: many\n")
    with pytest.raises(InputError) as caught:
        overrides_of(built, ["alpha"], read_file(path))
    assert str(caught.value).startswith(f"{path}, line 2: $.cpus: not a count: 'many'")
    path.write_text("cpus: 1\ncpus: 2\n")
    with pytest.raises(InputError, match="line 2: given twice: '2'"):
        overrides_of(built, ["alpha"], read_file(path))
    with pytest.raises(FileError, match="cannot be read"):
        read_file(tmp_path / "none.yaml")


def test_an_empty_file_gives_nothing(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("# nothing yet\n")
    assert read_file(path) == []
