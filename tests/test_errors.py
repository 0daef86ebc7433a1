from vmalloc_model.errors import FileError, InputError, ModelError, NotebookError


def test_an_input_error_says_where_what_value_and_what_is_allowed():
    error = InputError("$.chunk_size", "not a power of two", value=3, allowed="a power of two")
    assert str(error) == "$.chunk_size: not a power of two: 3; allowed: a power of two"
    assert isinstance(error, ModelError)
    assert isinstance(error, ValueError)


def test_a_file_error_names_file_and_line():
    error = FileError("runs/x.txt", "broken line", line=1204, value="abc")
    assert str(error) == "runs/x.txt, line 1,204: broken line: 'abc'"
    assert str(FileError("x", "is empty")) == "x: is empty"


def test_a_notebook_error_names_notebook_cell_and_error():
    error = NotebookError("coverage", 7, "share = f()", "ValueError: no")
    assert str(error) == "notebook coverage, cell 7 (share = f()): ValueError: no"


def test_an_unusable_input_speaks_first_in_a_notebook_too():
    error = NotebookError("coverage", 4, "f(p.runs)", "FileError: x.gz, line 3: cut off")
    assert str(error) == "x.gz, line 3: cut off (in notebook coverage, cell 4)"
    assert error.from_input
    assert not NotebookError("coverage", 4, "f()", "ValueError: no").from_input


def test_every_error_is_one_line():
    for error in (
        InputError("a", "b", value="c\nd", allowed="e"),
        FileError("a", "b", value="c\nd"),
    ):
        assert "\n" not in str(error)
