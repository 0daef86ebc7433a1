import pytest

from vmalloc_model.callers import SECTIONS, load_modules
from vmalloc_model.studies import modules

MIB = 1 << 20


def plain_sizes(page):
    """The three measures of each module, one section after the other."""
    for row in load_modules().iter_rows(named=True):
        sections = [-(-row[f"{one}_bytes"] // page) * page for one in SECTIONS]
        yield row["module"], row["file_bytes"], sum(sections), max(sections)


@pytest.mark.parametrize("page", [4096, 16384, 65536])
def test_sizes_are_those_of_the_sections_rounded_up_one_by_one(page):
    assert modules.module_sizes(page).rows() == list(plain_sizes(page))


@pytest.mark.parametrize("page", [4096, 65536])
def test_the_table_counts_modules_at_least_as_large(page):
    sizes = modules.module_sizes(page)
    table = modules.modules_table(page)
    for measure in modules.MEASURES:
        part = table.filter(measure=measure)
        values = sizes[measure].to_list()
        assert part["size"][0] == max(values)
        assert part["size"][-1] == min(values)
        for size, count in part.select("size", "modules").iter_rows():
            assert count == sum(value >= size for value in values)
        top = sorted(set(values), reverse=True)[:20]
        assert part["size"].to_list()[:20] == top
        assert part.height < 250
        assert part["share"].to_list() == pytest.approx([n / len(values) for n in part["modules"]])


@pytest.mark.parametrize(("page", "guard"), [(4096, 1), (4096, 0), (16384, 1)])
@pytest.mark.parametrize("chunk", [MIB, 16 * MIB, 32 * MIB, 64 * MIB])
def test_modules_above_half_a_chunk(page, guard, chunk):
    names = ("file", "sections", "largest")
    above = dict.fromkeys(names, 0)
    for _, *three in plain_sizes(page):
        for name, size in zip(names, three, strict=True):
            above[name] += -(-size // page) * page + guard * page > chunk // 2
    assert modules.modules_above(page, guard, chunk) == above


def test_the_caption_says_what_the_numbers_say():
    text = modules.say_modules(4096, 1, 64 * MIB)
    assert "Of 4,230 modules the largest file has 27.948 MiB (amdgpu)" in text
    assert "A chunk of 64 MiB excludes no files and no sections." in text
    assert "A chunk of 32 MiB excludes 1 file and no sections." in text
    assert "A chunk of 16 MiB excludes 2 files and no sections." in text


def test_the_caption_follows_the_parameters():
    above = modules.modules_above(16384, 1, 4 * MIB)
    text = modules.say_modules(16384, 1, 4 * MIB)
    assert above["file"] > 1
    assert f"A chunk of 4 MiB excludes {above['file']:,} files and" in text


def test_counted():
    assert [modules.counted(n, "file") for n in (0, 1, 2)] == ["no files", "1 file", "2 files"]


def test_the_summary_is_wide():
    summary = modules.modules_summary(4096, 1, 64 * MIB)
    assert summary["chunk"].to_list() == ["4 MiB", "16 MiB", "32 MiB", "64 MiB", "128 MiB"]
    assert summary["above half: file"].to_list() == [25, 2, 1, 0, 0]
