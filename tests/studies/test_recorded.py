import polars as pl

from vmalloc_model.runs import read_requests
from vmalloc_model.studies.recorded import recorded
from vmalloc_model.studies.wide import wide

LINE = (
    "    init-1     [000] .....     8.547991: alloc_vmap_area: va_start: 18446683600570023936 "
    "size={} align=1 vstart=0xffffc90000000000 vend=0xffffe8ffffffffff failed=0\n"
)


def test_a_run_is_read_once():
    run, requests = recorded("smp4-sync")
    assert run.id == "smp4-sync"
    assert requests.equals(read_requests("smp4-sync"))
    assert recorded("smp4-sync")[1] is requests


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text(LINE.format(8192))
    assert recorded(str(path))[1]["size"].to_list() == [8192]
    path.write_text(LINE.format(8192) + LINE.format(12288))
    assert recorded(str(path))[1]["size"].to_list() == [8192, 12288]


def test_wide_keeps_the_order_and_shows_gaps():
    tidy = pl.DataFrame({"a": ["y", "y", "x"], "b": [2, 1, 2], "value": [0.5, 1.5, 2.5]})
    table = wide(tidy, ["a"], "b", "value", lambda value: f"{value:.1f}")
    assert table.columns == ["a", "2", "1"]
    assert table.rows() == [("y", "0.5", "1.5"), ("x", "2.5", "-")]
