import numpy as np
import pytest

from vmalloc_model.callers import load_callers
from vmalloc_model.errors import InputError
from vmalloc_model.occupancy.mix import mix_of
from vmalloc_model.occupancy.mixes import MIXES, find_mix
from vmalloc_model.platforms import load_platforms

P = 4096
MIB = 1 << 20


@pytest.mark.parametrize("name", MIXES)
def test_every_mix_can_be_made_for_every_platform(name):
    for platform in load_platforms().values():
        mix = find_mix(name, platform.id)
        assert mix.name == name
        assert mix.page_size == platform.page_size
        assert mix.share.sum() == pytest.approx(1.0, abs=1e-12)
        assert not np.any(mix.size % mix.page_size)
        assert np.all(mix.align >= mix.page_size)
        assert np.all((mix.guard == platform.page_size) | (mix.guard == 0))
        order = list(zip(mix.align.tolist(), mix.size.tolist(), strict=True))
        assert order == sorted(set(order))


@pytest.mark.parametrize(
    ("mix", "platform", "caller"),
    [
        ("stack_x86", "x86_64-4level", "stack-x86_64"),
        ("stack_arm64", "arm64-48bit-4k", "stack-arm64"),
        ("stack_arm64", "arm64-48bit-64k", "stack-arm64-64k"),
        ("stack_arm64", "riscv64-sv48", "stack-riscv64"),
        ("vmap_block", "x86_64-4level", "vmap-block"),
    ],
)
def test_callers_ask_for_the_same(mix, platform, caller):
    """The table of callers was read from the source for itself."""
    made = find_mix(mix, platform)
    row = load_callers().filter(id=caller).row(0, named=True)
    assert made.size.tolist() == [row["payload"] + row["guard"] * made.page_size]
    assert made.align.tolist() == [row["align"]]


def test_sizes_of_the_kernels_tests():
    assert find_mix("random_size").size.tolist() == [(n + 1) * P for n in range(1, 101)]
    assert find_mix("long_busy_list").size.tolist() == [2 * P, 101 * P]
    assert find_mix("fix_align").align.tolist() == [8 * P]
    assert find_mix("fix_align", "arm64-48bit-4k").align.tolist() == [16 * P]
    mix = find_mix("random_size_align")
    assert mix.size.max() == 11 * P
    assert mix.align.max() == 4 * MIB
    # one byte decides both: 230 pairs of remainders, less where they meet below one page
    wanted = {(max(1 << b % 23, P), (b % 10 + 2) * P) for b in range(256)}
    assert mix.size.size == len(wanted)
    assert mix.share @ mix.size == pytest.approx(np.mean([(b % 10 + 2) * P for b in range(256)]))


def test_xfs_sizes_stay_what_was_reported_on_larger_pages():
    small, large = find_mix("xfs"), find_mix("xfs", "arm64-48bit-64k")
    assert (small.size.min(), small.size.max()) == (73_728 + P, MIB + P)
    assert (large.size.min(), large.size.max()) == (3 * 65536, MIB + 65536)
    logarithmic = find_mix("xfs_log")
    half = logarithmic.size <= (73_728 << 1) + P
    assert logarithmic.share[half].sum() == pytest.approx(np.log(37 / 18) / np.log(257 / 18))


def test_equal_kinds_are_one_and_keep_their_mean_guard():
    mix = mix_of("m", "m", P, [(1, 2 * P, 1, P), (3, 2 * P, P, 0), (4, P, 2 * P, 0)])
    assert mix.size.tolist() == [2 * P, P]
    assert mix.guard.tolist() == [P / 4, 0]
    assert mix.share.tolist() == [0.5, 0.5]
    assert (mix.mean, mix.mean_guard) == (1.5 * P, P / 8)


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        ([], "$.kinds: no kind, or one without weight"),
        ([(0, P, 1, 0)], "$.kinds: no kind, or one without weight"),
        ([(1, P + 1, 1, 0)], "$.size: not a multiple of the page size: 4097"),
        ([(1, P, 3 * P, 0)], "$.align: not a power of two: 12288"),
        ([(1, 0, 1, 0)], "$.size: too small: 0"),
    ],
)
def test_bad_kinds_name_the_place(kinds, text):
    with pytest.raises(InputError) as caught:
        mix_of("bad", "bad", P, kinds)
    assert str(caught.value).startswith(text)


def test_an_unknown_mix_lists_the_nearest_first():
    with pytest.raises(InputError, match=r"mix: no such mix: 'stack'; allowed: stack_x86"):
        find_mix("stack")
