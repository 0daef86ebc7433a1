import statistics

import pytest

from vmalloc_model.runs import read_requests
from vmalloc_model.studies import chunk_bytes

KIB, MIB = 1 << 10, 1 << 20
RUN = "smp4-sync"


def plain_parts(rows, chunk):
    """Bytes of each part of the chunks, for (cpu, size, align) rows that are all eligible."""
    parts = dict.fromkeys(("payload", "guard", "padding", "tail"), 0)
    pointer, refills = {}, 0
    for cpu, size, align in rows:
        at = pointer.get(cpu)
        start = None if at is None else -(-at // align) * align
        if start is None or start + size > chunk:
            parts["tail"] += chunk - at if at is not None else 0
            refills, at, start = refills + 1, 0, 0
        parts["padding"] += start - at
        guard = 0 if size == align else 4096
        parts["guard"] += guard
        parts["payload"] += size - guard
        pointer[cpu] = start + size
    parts["unused"] = sum(chunk - at for at in pointer.values())
    assert sum(parts.values()) == refills * chunk
    return parts


@pytest.mark.parametrize("run", [RUN, "smp1"])
def test_parts_are_those_of_the_plain_twin(run):
    table = chunk_bytes.chunk_bytes_table([run], 16 * MIB)
    assert sorted(set(table["chunk_size"])) == [MIB, 4 * MIB, 16 * MIB, 64 * MIB]
    asked = read_requests(run).filter("in_window").select("cpu", "size", "align").rows()
    for chunk in set(table["chunk_size"]):
        rows = [row for row in asked if max(row[1:]) <= chunk // 2]
        part = table.filter(chunk_size=chunk)
        assert dict(part.select("part", "bytes").rows()) == plain_parts(rows, chunk)
        assert sum(part["share"]) == pytest.approx(1)


def test_chunks_of_less_than_two_pages_are_left_out():
    table = chunk_bytes.chunk_bytes_table([RUN], 64 * KIB)
    assert sorted(set(table["chunk_size"])) == [16 * KIB, 64 * KIB, 256 * KIB]


def test_the_caption_names_the_worst_run():
    table = chunk_bytes.chunk_bytes_table(["smp1", RUN], 64 * MIB)
    text = chunk_bytes.say_chunk_bytes(table, 64 * MIB)
    assert "In chunks of 64 MiB, 4.98 % to 23.9 % of the bytes are not payload" in text
    assert "most in smp4-sync, where the largest part is padding (16.5 %)" in text
    assert "1.42 % to 3.73 % at 64 MiB" in text
    nothing = table.clear()
    assert chunk_bytes.say_chunk_bytes(nothing, 64 * MIB).startswith("No recorded request")


def test_means_are_those_of_a_plain_count():
    row = chunk_bytes.run_means_table([RUN], 64 * MIB).row(0, named=True)
    asked = read_requests(RUN).filter("in_window").select("size", "align").rows()
    sizes = [size for size, _ in asked]
    assert (row["run"], row["cpus"], row["requests"]) == (RUN, 4, len(asked))
    assert row["median"] == statistics.median(sizes)
    assert row["mean"] == pytest.approx(statistics.mean(sizes))
    assert row["largest"] == max(sizes)
    assert row["one_page"] == pytest.approx(sizes.count(8192) / len(sizes))
    assert row["small"] == pytest.approx(sum(size <= 20480 for size in sizes) / len(sizes))
    assert row["aligned"] == pytest.approx(sum(align > 4096 for _, align in asked) / len(asked))
    assert row["per_refill"] == pytest.approx(len(asked) / 51)


def test_the_words_for_the_means():
    table = chunk_bytes.run_means_table(["smp1", RUN], 64 * MIB)
    text = chunk_bytes.say_run_means(table, 64 * MIB)
    assert "the median 20 KiB to 140 KiB" in text
    assert "A chunk of 64 MiB serves 84 to 189 of them on average" in text
    shown = chunk_bytes.shown_run_means(table)
    assert shown["median"].to_list() == ["20 KiB", "140 KiB"]
    assert shown["per_refill"].to_list() == [189.1, 83.5]


def test_a_tiny_chunk_serves_nothing_of_some_runs():
    table = chunk_bytes.run_means_table([RUN], 8 * KIB)
    assert table["per_refill"].to_list() == [None]
    assert "on average" not in chunk_bytes.say_run_means(table, 8 * KIB)


def test_the_summary_is_wide():
    summary = chunk_bytes.chunk_bytes_summary(chunk_bytes.chunk_bytes_table([RUN], 64 * MIB))
    assert summary.columns[3:] == ["payload", "guard", "padding", "tail", "unused"]
    assert summary.height == 4
