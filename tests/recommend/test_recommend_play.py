"""What is played, and that the rule is the one of chapter Alternatives."""

import ast
from dataclasses import replace

import polars as pl
import pytest

from vmalloc_model.datafiles import ROOT
from vmalloc_model.experiments import settled
from vmalloc_model.platforms import find_platform
from vmalloc_model.recommend import play as module
from vmalloc_model.recommend.arguments import Configuration, judge, left
from vmalloc_model.recommend.play import (
    BARELY,
    DESIGNS,
    HORIZON,
    PATCH,
    WORKLOADS,
    events_for,
    play,
    sizes_to_play,
)
from vmalloc_model.recommend.words import Recommendation, blocks
from vmalloc_model.studies.alternatives import designs_of, points_table
from vmalloc_model.studies.alternatives_choice import candidates, choose
from vmalloc_model.units import parse_size

MIB = 1 << 20
CHAPTER = (ROOT / "notebooks" / "alternatives.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chapter():
    """The parameters cell of the chapter."""
    cell = CHAPTER.partition("parameters, hide-input]\n")[2].partition("```")[0]
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(cell).body}


def everything_allowed(platform, cpus, budget):
    """A configuration in which coverage and amortisation ask for nothing."""
    page = platform.page_size
    return Configuration(
        platform=platform,
        cpus=cpus,
        largest=page,
        budget=budget,
        mean_size=page,
        min_allocations=1,
    )


def test_the_rule_has_the_chapters_parameters(chapter):
    assert chapter["barely"] == BARELY
    assert chapter["horizon"] == HORIZON
    assert tuple(chapter["workloads"]) == WORKLOADS
    assert parse_size(chapter["chunk_size"]) == PATCH
    assert chapter["events"] == events_for(chapter["cpus"])


def test_all_that_the_rule_can_take_is_played(chapter):
    compared = designs_of(chapter["policies"])
    safe = {name for name in compared if not settled.DESIGNS[name].early}
    assert set(DESIGNS) == safe | {"rfc12"}


@pytest.mark.parametrize("budget", [1e-4, 0.032, 1.0])
@pytest.mark.parametrize("platform", ["x86_64-4level", "arm64-39bit-4k", "arm64-48bit-64k", "i386"])
def test_it_takes_what_the_chapter_takes(chapter, platform, budget):
    """On the chapter's platforms, with its designs and margin; on shorter streams."""
    sizes, cpus, events = [MIB, 8 * MIB, PATCH], 2, 20_000
    run = "smp1" if platform == "x86_64-4level" else None
    points = points_table(
        [platform],
        cpus,
        PATCH,
        sizes,
        chapter["policies"],
        list(WORKLOADS),
        run or "smp1",
        events,
        1,
        HORIZON,
    ).filter(pl.col("stream").is_in([*WORKLOADS, run or ""]))
    there = choose(candidates(points, platform), budget, BARELY)
    asked = everything_allowed(find_platform(platform), cpus, budget)
    judged = judge(asked, sizes)
    here = play(asked, judged, run=run, events=events)
    inside = [size for size in left(judged) if size != PATCH]
    assert here.points["asked"].unique().to_list() == [0, *inside, PATCH]
    if left(judged) == sizes:
        assert here.taken == here.taken_of_all == there
    elif there is not None and not there["asked"]:
        assert here.taken == there


def test_a_size_that_the_arguments_rule_out_is_only_taken_of_all():
    asked = everything_allowed(find_platform("x86_64-4level"), 2, 0.5)
    wanted = replace(asked, largest=64 * MIB)  # takes 256 MiB
    done = play(wanted, judge(wanted, [MIB, PATCH]), workloads=["xfs"], events=70_000)
    assert done.taken["asked"] == 0
    assert done.taken_of_all["asked"] == PATCH
    said = " ".join(block for block in blocks(_told(wanted, done)) if isinstance(block, str))
    assert "of all that was played here it would take" in said
    free = play(asked, judge(asked, [PATCH]), workloads=["xfs"], events=70_000)
    assert free.taken == free.taken_of_all
    said = " ".join(block for block in blocks(_told(asked, free)) if isinstance(block, str))
    assert "it would take" not in said


def _told(asked, done):
    return Recommendation(asked, judge(asked, [MIB, PATCH]), done)


def test_what_is_played():
    asked = everything_allowed(find_platform("x86_64-4level"), 2, 0.5)
    sizes = [MIB << n for n in range(11)]
    assert sizes_to_play(asked, judge(asked, sizes)) == [MIB, 2 * MIB, 4 * MIB, 8 * MIB, PATCH]
    assert sizes_to_play(asked, judge(asked, [128 * MIB])) == [PATCH, 128 * MIB]
    small = everything_allowed(find_platform("i386"), 4, 0.5)
    none = replace(small, largest=32 * MIB)  # takes 128 MiB, and the range has 120
    assert left(judge(none, sizes)) == []
    assert sizes_to_play(none, judge(none, sizes)) == [8 * MIB, PATCH]
    assert none.most == 8 * MIB


def test_sizes_left_that_are_not_played_are_named():
    asked = everything_allowed(find_platform("x86_64-4level"), 2, 0.5)
    judged = judge(asked, [MIB << n for n in range(7)])
    done = play(asked, judged, workloads=["fix_size"], events=2_000)
    assert done.unplayed == [16 * MIB, 32 * MIB]
    said = [block for block in blocks(Recommendation(asked, judged, done)) if type(block) is str]
    assert any("16 MiB and 32 MiB" in block for block in said)


def test_streams_are_as_long_for_each_cpu_as_in_the_chapter():
    assert [events_for(cpus) for cpus in (1, 4, 64, 8192)] == [70_000, 70_000, 1_120_000, 1_120_000]


def test_a_32_bit_machine_plays_32_bit_objects(monkeypatch):
    asked = everything_allowed(find_platform("i386"), 2, 0.5)
    seen = []
    real = module.points_of
    monkeypatch.setattr(
        module,
        "points_of",
        lambda streams, *rest, **more: seen.extend(streams) or real(streams, *rest, **more),
    )
    play(asked, judge(asked, [MIB]), workloads=["kvfree_rcu_1", "stacks"], events=2_000)
    assert [stream.get("parameters") for stream in seen] == [{"bits": "32"}, None]
