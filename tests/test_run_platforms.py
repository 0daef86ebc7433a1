from dataclasses import replace

import pytest

from vmalloc_model import run_platforms as module
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.run_platforms import check_run, same_range
from vmalloc_model.runs import find_run


def test_a_run_is_one_of_the_platform():
    x86 = find_platform("x86_64-4level")
    assert check_run("smp1", x86).id == "smp1"
    assert same_range(find_run("smp1"), x86)
    for platform, problem in (
        ("arm64-48bit-64k", "has pages of 4 KiB"),
        ("arm64-39bit-4k", "was recorded on x86_64-4level"),
        ("x86_64-5level", "was recorded on x86_64-4level"),
    ):
        with pytest.raises(InputError, match=problem) as error:
            check_run("smp1", find_platform(platform))
        assert error.value.where == "$.run"
    with pytest.raises(InputError, match="no such recorded run"):
        check_run("smp0", x86)


def test_the_range_tells_where_an_own_trace_is_from(monkeypatch):
    own = replace(find_run("smp1"), id="own.txt", file="own.txt", platform=None)
    monkeypatch.setattr(module, "find_run", lambda _name, _where: own)
    assert check_run("own.txt", find_platform("x86_64-4level")) is own
    with pytest.raises(InputError, match="its vmalloc range is not that of arm64-39bit-4k"):
        check_run("own.txt", find_platform("arm64-39bit-4k"))
    assert check_run("own.txt", find_platform("s390x")) is own  # whose range is no fixed one
