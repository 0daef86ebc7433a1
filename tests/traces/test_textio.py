"""Blocks of whole lines, whatever the container and wherever the blocks end."""

import gzip
import hashlib
import os
import sys
import threading
import time
import zlib

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmalloc_model.errors import FileError
from vmalloc_model.traces.textio import LONGEST_LINE, TextFile, excerpt

LINES = st.lists(st.text("ab \r", max_size=40).map(str.encode), min_size=1, max_size=30)
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def written(path, data, container):
    if container == "gzip":
        data = gzip.compress(data, 1)
    elif container == "members":
        data = gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    elif container == "zstd":
        data = zstandard.compress(data)
    elif container == "frames":  # as pzstd writes them, one to be skipped before each
        skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"
        halves = data[: len(data) // 2], data[len(data) // 2 :]
        data = b"".join(skipped + zstandard.compress(half) for half in halves)
    elif container == "padded":
        data = gzip.compress(data) + bytes(700)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("container", ["plain", "gzip", "members", "padded", "zstd", "frames"])
@REUSED
@given(LINES, st.booleans(), st.integers(16, 200))
def test_blocks_join_to_the_text(tmp_path, container, lines, ended, block_size):
    data = b"\n".join(lines) + (b"\n" if ended else b"x")
    path = written(tmp_path / "t", data, container)
    steps = []
    file = TextFile(path, block_size, steps.append, digest=True)
    head = file.head()
    blocks = []
    for block in file.blocks():
        assert file.lines == sum(known.count(b"\n") for known in blocks)
        assert block.endswith(b"\n")
        blocks.append(block)
    assert head == blocks[0]
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert 0 <= min(steps) <= sum(steps) <= path.stat().st_size
    whole = data if ended else data + b"\n"
    assert b"".join(blocks) == whole.replace(b"\r\n", b"\n")
    assert file.lines == whole.count(b"\n")
    assert file.cut is not ended


NUMBERED = gzip.compress(b"".join(b"line %d %d\n" % (n, n * n) for n in range(5000)), mtime=0)
EMPTY_LINES = gzip.compress(b"\n" * 5000, mtime=0)


@pytest.mark.parametrize(
    "data",
    [NUMBERED[: int(keep * len(NUMBERED))] for keep in (0.01, 0.3, 0.5, 0.9, 0.999)]
    # So dense that zlib has taken in the last byte long before all text is out.
    + [EMPTY_LINES[:end] for end in range(10, len(EMPTY_LINES))],
    ids=len,
)
def test_truncated_gzip_hands_out_the_lines_before(tmp_path, data):
    (tmp_path / "t.gz").write_bytes(data)
    file, blocks = TextFile(tmp_path / "t.gz", 700), []
    with pytest.raises(FileError, match="cut off after") as error:
        blocks.extend(file.blocks())
    # Everything that can be decompressed, up to its last line end.
    text = zlib.decompressobj(wbits=31).decompress(data)
    assert b"".join(blocks) == text[: text.rfind(b"\n") + 1]
    assert error.value.line == file.lines + 1
    assert f"{file.lines:,} complete lines" in str(error.value)


@pytest.mark.parametrize("keep", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("frames", [1, 2])
def test_truncated_zstd_hands_out_the_lines_before(tmp_path, keep, frames):
    text = b"".join(b"line %d %d\n" % (n, n * n) for n in range(50_000))
    data = zstandard.ZstdCompressor(level=1).compress(text)
    data = data * (frames - 1) + data[: int(keep * len(data))]
    (tmp_path / "t.zst").write_bytes(data)
    file, blocks = TextFile(tmp_path / "t.zst", 700), []
    with pytest.raises(FileError, match="zstd data cut off after") as error:
        blocks.extend(file.blocks())
    read = b"".join(blocks)
    assert (text * frames).startswith(read)
    assert len(read) > len(text) * (frames - 1 + keep) * 0.9 - 140_000  # all but a block of zstd
    assert error.value.line == file.lines + 1 == read.count(b"\n") + 1


def test_damaged_zstd(tmp_path):
    checked = zstandard.ZstdCompressor(write_checksum=True)  # as the command zstd does
    data = bytearray(checked.compress(b"".join(b"line %d\n" % n for n in range(5000))))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(FileError, match="zstd data damaged"):
        list(TextFile(tmp_path / "t", 1000).blocks())


def test_damaged_gzip_says_how_far_it_was_read(tmp_path):
    text = b"".join(b"line %d %d\n" % (n, n * n) for n in range(5000))
    data = bytearray(gzip.compress(text))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "t").write_bytes(data)
    file = TextFile(tmp_path / "t", 1000)
    with pytest.raises(FileError, match="damaged") as error:
        list(file.blocks())
    assert error.value.line == file.lines + 1


def test_text_behind_a_gzip_member_is_damage(tmp_path):
    (tmp_path / "t").write_bytes(gzip.compress(b"a\n") + b"not gzip")
    with pytest.raises(FileError, match="damaged"):
        list(TextFile(tmp_path / "t").blocks())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"\x17\x08\x44tracing6", "trace-cmd report"),
        (b"PERFILE2" + bytes(50), "perf script -i perf.data"),
        (gzip.compress(b"\x17\x08\x44tracing6", mtime=0), "trace-cmd report"),
        (zstandard.compress(b"PERFILE2" + bytes(50)), "perf script -i perf.data"),
        (zstandard.compress(b""), "the file is empty"),
        (b"PK\x03\x04" + bytes(50), "run.npz"),
        (b"\xfd7zXZ\x00" + bytes(50), "xz -dc"),
        (b"BZh91AY", "bzip2 -dc"),
        (b"a\n" + b"b" * (LONGEST_LINE + 1), "line 2: not a text file"),
        (gzip.compress(b"b" * 10 * LONGEST_LINE, mtime=0), "line 1: not a text file"),
    ],
)
def test_files_that_are_no_text(tmp_path, data, said):
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(FileError) as error:
        list(TextFile(tmp_path / "t").blocks())
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_and_folder(tmp_path):
    for path, said in [(tmp_path / "none", "no such file"), (tmp_path, "this is a folder")]:
        with pytest.raises(FileError) as error:
            list(TextFile(path).blocks())
        assert str(error.value).startswith(f"{path}: {said}")


def test_a_gzip_bomb_is_handed_out_in_blocks(tmp_path):
    bomb = zlib.compressobj(wbits=31)
    data = b"".join(bomb.compress(b"\n" * 100_000) for _ in range(50)) + bomb.flush()
    (tmp_path / "t").write_bytes(data)
    assert max(map(len, TextFile(tmp_path / "t", 10_000).blocks())) < 30_000


def test_a_zstd_bomb_is_handed_out_in_blocks(tmp_path):
    (tmp_path / "t").write_bytes(zstandard.compress(b"\n" * 100_000_000))
    assert max(map(len, TextFile(tmp_path / "t", 10_000).blocks())) <= 32 << 20


def test_standard_input(monkeypatch, tmp_path):
    (tmp_path / "t").write_bytes(gzip.compress(b"a\nb"))
    with (tmp_path / "t").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        file = TextFile("-")
        assert (file.text(), str(file.path)) == (b"a\nb\n", "standard input")


def test_standard_input_that_comes_in_pieces(monkeypatch):
    """Its first bytes tell how it is packed, even if they come one by one."""
    there, here = os.pipe()
    text = b"a line\n" * 1000

    def send():
        for byte in (packed := gzip.compress(text))[:20]:
            os.write(here, bytes([byte]))
            time.sleep(0.001)
        os.write(here, packed[20:])
        os.close(here)

    threading.Thread(target=send).start()
    with os.fdopen(there) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert TextFile("-").text() == text


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(FileError, match="standard input: it is closed"):
        TextFile("-").text()


def test_who_leaves_early_ends_the_thread_that_reads_ahead(tmp_path):
    (tmp_path / "t").write_bytes(b"a\n" * 100_000)
    before = threading.active_count()
    blocks = TextFile(tmp_path / "t", 1000).blocks()
    next(blocks)
    assert threading.active_count() == before + 1
    blocks.close()
    del blocks
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_excerpt_is_short_and_printable():
    assert excerpt(b"  a\xff\n") == "a\ufffd"
    assert excerpt(b"x" * 500) == "x" * 159 + "…"
