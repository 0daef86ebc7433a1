"""Every verdict is computed: other data, another verdict."""

import polars as pl
import pytest

from vmalloc_model.claims.claim import VERDICTS, load_claims
from vmalloc_model.claims.evaluation import run_checks
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.studies import answer
from vmalloc_model.units import size_text

PATCH = "patch/patch-10-of-12.txt"
FACTS = "kernel-facts.toml"
WINDOW = "if (vstart != VMALLOC_START || vend != VMALLOC_END ||"
X86_64 = ("0xffffc90000000000,35184372088832", "0xffffc90000000000,137438953472")


def test_shipped_data_give_every_kind_of_verdict(findings):
    assert {finding.verdict for finding in findings.values()} == set(VERDICTS)


def test_every_reason_is_one_to_three_short_sentences(findings):
    for id, finding in findings.items():
        assert finding.because.endswith("."), id
        assert "  " not in finding.because, id
        assert len(finding.because) <= 420, (id, len(finding.because))


def test_facts_that_were_read_are_marked_as_read(findings):
    for id in ("bpf-4mb", "lowest-gap", "lookup-lock-free", "vmap-area-48b", "metadata-array"):
        assert "by reading" in findings[id].because.lower(), id


# id -> what to change -> the verdict then. `file` is (name, pairs of old and new text).
OTHERWISE = {
    "common-shape": ({"overlay": {"freed_hits": 100}}, "contradicted"),
    "fewer-visits": ({"overlay": {"tree_allocations": 15_000}}, "contradicted"),
    "reserves-64mb": ({"overlay": {"chunk_sizes": (1 << 24,)}}, "contradicted"),
    "refill-and-drain-only": ({"overlay": {"tree_frees": 0, "tree_allocations": 0}}, "holds"),
    "work-per-cpu": (
        {
            "overlay": {"away_hits": 0},
            "file": (PATCH, ("is inserted into the per-node busy.mt", "is kept by its CPU")),
        },
        "holds",
    ),
    "empty-chunk-released": (
        {"file": (PATCH, ("+struct vmap_bump_chunk {", "+vmap_bump_unlink();\n+struct v {"))},
        "holds",
    ),
    "range-primitives": (
        {
            "file": (
                PATCH,
                (
                    "+ spin_unlock(lock);\n+ return addr;",
                    "+occupied_mt_store_range_locked(); occupied_mt_erase_range_locked();",
                ),
            )
        },
        "holds",
    ),
    "preempt-disable": ({"file": (PATCH, ("+ spin_lock(lock)", "+ preempt_disable()"))}, "holds"),
    "owner-only": (
        {"file": (PATCH, ("+ spinlock_t *lock;", "+ spinlock_t *lock; preempt_disable();"))},
        "holds",
    ),
    "chunk-list-lock": (
        {"file": (PATCH, ("+struct vmap_bump_chunk {", "+LIST_HEAD(vmap_bump_chunks);\n+"))},
        "holds",
    ),
    "bare-range": (
        {"file": (FACTS, ("augmented rb-tree of Linux 6.12.117", "maple tree"))},
        "cannot be checked",
    ),
    "sentinel": (
        {"file": (FACTS, ("augmented rb-tree of Linux 6.12.117", "maple tree"))},
        "cannot be checked",
    ),
    "lowest-gap": (
        {
            "file": (
                FACTS,
                ("climbs = true", "climbs = false"),
                ("alignment = true", "alignment = false"),
            )
        },
        "holds",
    ),
    "lookup-lock-free": (
        {"file": (FACTS, ("takes_lock = false", "takes_lock = true"))},
        "contradicted",
    ),
    "lookup-by-maple-tree": (
        {"file": (FACTS, ('walks = "linked list"', 'walks = "maple tree"'))},
        "holds",
    ),
    "no-parallel-structures": (
        {"file": (PATCH, ("+struct vmap_bump_chunk {", "+{"), ("DEFINE_PER_CPU(", "DEFINE("))},
        "holds",
    ),
    "three-constraints": ({"guard_pages": 0}, "holds"),
    "half-chunk-test": (
        {"file": (PATCH, ("size > VMAP_BUMP_CHUNK_SIZE / 2", "size > PAGE_SIZE"))},
        "contradicted",
    ),
    "single-request-fits": (
        {"file": (PATCH, ("align > VMAP_BUMP_CHUNK_SIZE / 2", "!align"))},
        "contradicted",
    ),
    "largest-callers": ({"platform": "powerpc64-radix-4k"}, "holds with conditions"),
    "modules-32mb": ({"stated": {"modules": 14 << 20}}, "holds"),
    "bpf-4mb": (
        {"file": (FACTS, ('"allocated alone"', '"refused"'), ("_x86_64 = 1024", "_x86_64 = 2"))},
        "holds",
    ),
    "all-on-fast-path": ({"platform": "powerpc64-radix-4k"}, "holds with conditions"),
    "fast-path": (
        {
            "file": (
                FACTS,
                ("[nodes]", '[timing]\nbump_ns = 9\nordinary_ns = 8\nsource = "x"\n[nodes]'),
            )
        },
        "contradicted",
    ),
    "halving-moves-modules": ({"stated": {"chunk": 1 << 13}}, "holds"),
    "lock-per-refill": ({"overlay": {"mean_payload": 4096.0}}, "contradicted"),
    "lower-bound-4kb": ({"stream": {"smallest": 4096}}, "holds"),
    "allocations-at-4kb": ({"guard_pages": 0}, "holds"),
    "allocations-at-1mb": ({"guard_pages": 64}, "contradicted"),
    "doubling-barely": ({"barely": 0.001}, "contradicted"),
    "one-chunk-per-cpu": ({"overlay": {"reserves": 2}}, "holds"),
    "range-128gb": ({"file": ("platforms.csv", X86_64)}, "holds"),
    "reserved-2gb": ({"stated": {"cpus": 64}}, "contradicted"),
    "share-32-cpus": ({"file": ("platforms.csv", X86_64)}, "holds"),
    "arm64-256pb": ({"stated": {"range": 72564537819136}}, "holds with conditions"),
    "arm64-negligible": ({"stated": {"cpus": 1 << 20}}, "contradicted"),
    "share-doubled": ({"stated": {"share": 0.04}}, "contradicted"),
    "doubling-many-cpus": ({"platform": "arm64-39bit-4k"}, "holds"),
    "metadata-array": (
        {"file": (PATCH, ("+struct vmap_bump_chunk {", "+struct vmap_area *page_va[];\n+"))},
        "holds",
    ),
    "metadata-128kb": ({"page_size": 1 << 14}, "holds with conditions"),
    "metadata-constant-share": ({"stated": {"share": 0.01}}, "contradicted"),
    "minimum-64mb": ({"stated": {"chunk": 32 << 20}}, "contradicted"),
    "upper-bound": ({"file": (PATCH, ("(64UL * 1024 * 1024)", "(4UL * 1024)"))}, "holds"),
    "tunable-constant": (
        {
            "file": (
                PATCH,
                ("+#define VMAP_BUMP_CHUNK_SIZE (64UL * 1024 * 1024)", "+static int size;"),
            )
        },
        "contradicted",
    ),
    "large-and-fixed-fall-through": (
        {"file": (PATCH, (WINDOW, "if ("))},
        "holds with conditions",
    ),
    "unaligned-falls-through": (
        {"file": (FACTS, ("refuses_part_pages = true", "refuses_part_pages = false"))},
        "contradicted",
    ),
    "numa-falls-through": (
        {
            "file": (
                PATCH,
                ("unsigned long vstart, unsigned long vend)", "unsigned long v, int node)"),
            )
        },
        "holds",
    ),
    "lines-107": (
        {"file": (PATCH, ("+static DEFINE_PER_CPU(", "+\n+static DEFINE_PER_CPU("))},
        "contradicted",
    ),
    "reserved-once": (
        {
            "file": (
                PATCH,
                ("+ if (chunk->base) {", "+ __alloc_vmap_area(1);\n+ if (chunk->base) {"),
            )
        },
        "contradicted",
    ),
    "vfree-unchanged": (
        {"file": (PATCH, ("va->vm = vm;\n", "va->vm = vm;\n- kfree(va);\n"))},
        "contradicted",
    ),
    "chunks-leak": ({"overlay": {"distinct_bases": 60}}, "holds with conditions"),
    "comment-16mb": ({"file": (PATCH, ("With 16 MB chunks", "With 64 MB chunks"))}, "holds"),
    "thousands-of-chunks": ({"stated": {"range": 1 << 33}}, "contradicted"),
    "vmap-area-48b": (
        {"file": (FACTS, ("rb_node = 24", "rb_node = 24, padding = 8"))},
        "contradicted",
    ),
    "standard-range-only": ({"overlay": {"outside_window_hits": 1}}, "contradicted"),
    "comment-align": (
        {
            "overlay": {"aligned_hits": 0},
            "file": (PATCH, ("align > VMAP_BUMP_CHUNK_SIZE / 2", "align > PAGE_SIZE")),
        },
        "holds",
    ),
    "tail-leaked": ({"overlay": {"tails": 0}}, "contradicted"),
    "fallback-on-miss": (
        {"file": (PATCH, ("if (vmap_bump_refill(gfp_mask) == 0)", "if (1)"))},
        "contradicted",
    ),
    "saves-beyond-pools": ({"policy": "mainline"}, "contradicted"),
    "knee": ({"barely": 1000}, "contradicted"),
    "chunks-come-back": ({"policy": "release-at-refill"}, "holds"),
    "range-lasts": ({"policy": "release-at-refill"}, "holds"),
    "pins-little": ({"policy": "rfc10"}, "holds with conditions"),
    "tens-of-chunks": ({"policy": "release-at-refill"}, "holds"),
    "no-address-twice": ({"policy": "mainline"}, "holds"),
    "flush-before-reuse": ({"policy": "rfc10"}, "holds"),
    "little-skipped": ({"platform": "arm64-48bit-64k"}, "holds with conditions"),
    "stopped-cpu-returns": ({"policy": "mainline"}, "holds"),
    "chunk-for-each-cpu": ({"file": (PATCH, ("(64UL * 1024 *", "(4UL * 1024 *"))}, "holds"),
}


def test_every_claim_has_a_change_that_turns_its_verdict():
    assert set(OTHERWISE) == {claim.id for claim in load_claims()}


@pytest.mark.parametrize("id", OTHERWISE)
def test_other_data_turn_the_verdict(id, findings, found, data):
    changes, verdict = OTHERWISE[id]
    changes = dict(changes)
    if "file" in changes:
        name, *pairs = changes.pop("file")
        data(name, *pairs)
    turned = found(id, **changes)
    assert turned.verdict == verdict
    assert turned.verdict != findings[id].verdict
    assert turned.numbers or id == "fast-path"


def test_a_32_bit_range_says_nothing_about_a_64_bit_one(found):
    finding = found("range-lasts", platform="i386")
    assert (finding.verdict, finding.numbers) == ("cannot be checked", {})
    assert finding.because.endswith("is not 64-bit.")


@pytest.mark.parametrize("guard_pages", [0, 1])
@pytest.mark.parametrize("barely", [0.3, 1.0])
def test_argument_2_saves_less_from_the_same_chunks_on_as_in_the_summary(
    found, guard_pages, barely
):
    reading = answer.Reading(4096, guard_pages, "x86_64-4level", "smp1", barely, 0.032)
    small, _, large = answer.allowed(reading).filter(
        argument="2 amortisation", premises=answer.CHECKED
    )["low"]
    because = found("three-constraints", guard_pages=guard_pages, barely=barely).because
    visits = "1 visit" if barely == 1 else "0.3 visits"
    assert (
        f"less than {visits} per 1,000 allocations from {size_text(small)} at a mean of 4 KiB and "
        f"{size_text(large)} at a mean of 1 MiB on"
    ) in because


def test_a_chunk_that_admits_no_request_is_no_end_of_argument_2(found, data):
    data("premises.toml", ('value = "1M"', 'value = "4M"'))
    numbers = found("three-constraints", barely=1e9, guard_pages=0).numbers
    assert numbers["argument 2 at 4 MiB:"] == "8 MiB"


@pytest.mark.parametrize("platform", ["x86_64-4level", "riscv32"])
def test_callers_named_are_all_or_called_the_largest(found, platform):
    finding = found("largest-callers", platform=platform)
    many = finding.numbers["larger callers there"]
    inside = finding.because.partition("section, ")[2].partition(". Recorded")[0]
    assert inside.count(",") + inside.count(" and ") + 1 == min(many, 3)
    assert ("(the largest: " in inside) == (many > 3)


def test_few_larger_callers_are_all_named():
    callers = Evidence().callers
    few = callers.filter(
        (pl.col("payload") < (6 << 20))
        | pl.col("id").is_in(["kvmalloc", "zram-table"])
        | pl.col("id").str.contains("^(module|bpf-jit)-")
    )
    evidence = Evidence()
    evidence.__dict__["callers"] = few
    [finding] = [one for claim, one in run_checks(evidence) if claim.id == "largest-callers"]
    assert "2 other callers there can ask for more than the largest section, 6.68 MiB " in (
        finding.because
    )
    assert "(kvmalloc and zram-table). Recorded" in finding.because
    evidence.__dict__["callers"] = few.filter(~pl.col("id").is_in(["kvmalloc", "zram-table"]))
    [finding] = [one for claim, one in run_checks(evidence) if claim.id == "largest-callers"]
    assert "0 other callers there" in finding.because
    assert "6.68 MiB. Recorded" in finding.because


def test_a_changed_range_changes_verdict_numbers_and_prose(findings, found, data):
    data("platforms.csv", X86_64)
    turned = found("range-128gb")
    assert turned.numbers["x86_64-4level bytes"] == 128 << 30
    assert "128 GiB" in turned.because
    assert "32 TiB" in findings["range-128gb"].because
    assert "32 TiB" not in turned.because
    share = found("share-32-cpus")
    assert share.numbers["of the real range share"] == 2 / 128
    assert "1.5625 % of the 128 GiB" in share.because


def test_the_doubled_share_holds_when_it_is_rounded_once(found):
    once = found("share-doubled", stated={"share": 0.031})
    assert once.verdict == "holds with conditions"
    assert "right" in once.because
    assert "twice a rounded one" in found("share-doubled").because


def test_a_larger_module_contradicts_the_stated_size(found, data):
    data("modules-debian-6.12.117-amd64.csv", ("amdgpu,29305335,", f"amdgpu,29305335,{9000 << 12}"))
    assert found("modules-32mb").verdict == "contradicted"


def test_half_the_chunk_loses_what_its_caption_says(found, data):
    """Only files between the two limits count."""
    turned = found("halving-moves-modules")
    assert turned.numbers["file buffers"] == 1
    assert "(amdgpu)" in turned.because
    data("modules-debian-6.12.117-amd64.csv", ("amdgpu,29305335,", "amdgpu,16000000,"))
    assert found("halving-moves-modules").numbers["file buffers"] == 0


@pytest.mark.parametrize(("size", "lost"), [((16 << 20) - 4096, 0), ((32 << 20) - 4096, 1)])
def test_a_file_at_the_limit_is_still_eligible(found, data, size, lost):
    data("modules-debian-6.12.117-amd64.csv", ("amdgpu,29305335,", f"amdgpu,{size},"))
    assert found("halving-moves-modules").numbers["file buffers"] == lost


def test_times_decide_when_there_are_any(found, data):
    data(FACTS, ("[nodes]", '[timing]\nbump_ns = 7\nordinary_ns = 8\nsource = "x"\n[nodes]'))
    assert found("fast-path").verdict == "holds"


def test_a_fact_without_a_source_is_refused(data):
    data(FACTS, ('source = "data/runs/runs.toml', 'from = "memory'))
    with pytest.raises(FileError, match=r"no such fact with a source: 'overlay_run.allocator'"):
        run_checks()


def test_an_unknown_platform_is_one_clear_error():
    with pytest.raises(InputError, match=r"\$.platform: unknown platform: 'vax'"):
        run_checks(Evidence(platform="vax"))


@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
@pytest.mark.parametrize("guard_pages", [0, 1, 2])
def test_every_check_survives_other_pages_and_guards(recorded, page_size, guard_pages):
    evidence = Evidence(page_size=page_size, guard_pages=guard_pages)
    evidence.__dict__.update(recorded)
    assert {finding.verdict for _, finding in run_checks(evidence)} <= set(VERDICTS)


def test_module_size_checks_the_sum_of_all_sections(findings):
    modules = Evidence().modules
    sums = modules.select(pl.sum_horizontal(pl.exclude("module", "file_bytes"))).to_series()
    assert findings["modules-32mb"].numbers["largest module bytes"] == sums.max()
