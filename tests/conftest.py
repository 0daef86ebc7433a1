import os

import pytest
from hypothesis import settings

# Examples are never timed: on a busy machine a deadline fails tests that are right.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_make_parametrize_id(val, argname):
    """Bytes are no name of a test case: packed data holds the time at which it was packed.

    Parallel workers each collect the tests, and must come to the same names.
    """
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture
def command_line(capsys):
    from vmalloc_model.cli import main

    def command_line(*words):
        """Exit status, standard output and standard error of a command line."""
        with pytest.raises(SystemExit) as left:
            main([os.fspath(word) for word in words])
        return left.value.code, *capsys.readouterr()

    return command_line
