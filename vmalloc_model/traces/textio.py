"""Text files in blocks of whole lines, plain or compressed, in bounded memory."""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import zstandard

from vmalloc_model.errors import FileError

__all__ = ["LONGEST_LINE", "STDIN", "TextFile", "excerpt"]

LONGEST_LINE: Final = 1 << 16
"""Bytes; a recording has lines of a few hundred. A longer one means the file is not text."""

STDIN: Final = Path("-")
"""The path that stands for standard input."""

_READ: Final = 1 << 18
_GZIP: Final = 16 + zlib.MAX_WBITS
# One byte of zstd may stand for 32 KiB, and its decompressor gives all it can at once.
_ZSTD_READ: Final = 1 << 10
_OTHER_FORMATS: Final = {
    b"\x17\x08\x44tracing": (
        "a binary trace.dat",
        "its text: trace-cmd report trace.dat > trace.txt",
    ),
    b"PERFILE2": ("a binary perf.data", "its text: perf script -i perf.data > trace.txt"),
    b"PK\x03\x04": ("a zip archive", "text, or a run.npz where a recorded run is asked for"),
    b"\xfd7zXZ\x00": ("compressed with xz", "plain, gzip or zstd (xz -dc FILE > trace.txt)"),
    b"BZh": ("compressed with bzip2", "plain, gzip or zstd (bzip2 -dc FILE > trace.txt)"),
}


class _Damaged(Exception):
    """Compressed data end too early or make no sense; its text says which."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _StandardInput:
    """Standard input without Python's buffer.

    A thread that waits in the buffer for input holds its lock, and the interpreter cannot end.
    """

    def read(self, size: int, /) -> bytes:
        """Read so many bytes, fewer only at the end of the input."""
        if sys.stdin is None:
            raise FileError("standard input", "it is closed")
        handle, pieces = sys.stdin.fileno(), []
        while size and (piece := os.read(handle, size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class TextFile:
    """A text file, read once from its beginning to its end.

    A thread reads and decompresses ahead, so that who works on a block need not wait for the next.

    Parameters
    ----------
    path : str or Path
        Plain text, gzip or zstd (both also of several members), told by content; `STDIN` is
        standard input.
    block_size : int
        Bytes of decompressed text per block, more or less.
    progress : callable, optional
        Gets the number of bytes of the file read since its last call.
    digest : bool
        Whether to compute `sha256`.

    Attributes
    ----------
    path : Path
        As given; ``standard input`` for `STDIN`.
    lines : int
        Complete lines handed out so far.
    cut : bool
        True once the last line came without a line end.
    sha256 : str
        Hexadecimal SHA-256 of the bytes of the file; right once all blocks were handed out.
    """

    def __init__(
        self,
        path: str | Path,
        block_size: int = 1 << 21,
        progress: Callable[[int], object] | None = None,
        *,
        digest: bool = False,
    ) -> None:
        self._stdin = Path(path) == STDIN
        self.path = Path("standard input") if self._stdin else Path(path)
        self.lines = 0
        self.cut = False
        self._block_size = block_size
        self._progress = progress
        self._digest = hashlib.sha256() if digest else None
        self._read_bytes = 0
        self._blocks = self._whole_lines()
        self._first: list[bytes] = []

    @property
    def sha256(self) -> str:
        """See the class."""
        return self._digest.hexdigest() if self._digest else ""

    def head(self) -> bytes:
        """Return the first block without taking it away from `blocks`; errors as there."""
        if not self._first:
            self._first = [next(self._blocks)]
        return self._first[0]

    def blocks(self) -> Iterator[bytes]:
        r"""Yield consecutive blocks of whole lines, each ending in ``\n``; ``\r\n`` becomes ``\n``.

        The lines of a block are counted in `lines` when the next block is asked for, so while a
        block is worked on, ``lines + 1`` is the number of its first line.

        Raises
        ------
        FileError
            If the file is missing, unreadable, empty, not text, or its compressed data are cut off
            or damaged (then the error's line is the first one that could not be read; all complete
            lines before it have been handed out).
        """
        yield from self._first
        yield from self._blocks

    def text(self) -> bytes:
        """Return the whole text; for files that are small by nature."""
        return b"".join(self.blocks())

    def _whole_lines(self) -> Iterator[bytes]:
        rest, reported = b"", 0
        chunks = _ahead(self._decompressed())
        try:
            for data in chunks:
                if self._progress is not None:
                    self._progress(self._read_bytes - reported)
                    reported = self._read_bytes
                rest += data
                if not self.lines:
                    self._refuse_binary(rest)
                end = rest.rfind(b"\n") + 1
                if end:
                    yield from self._hand_out(rest[:end])
                    rest = rest[end:]
                if len(rest) > LONGEST_LINE:
                    raise FileError(
                        self.path,
                        f"not a text file: a line of more than {LONGEST_LINE:,} bytes",
                        line=self.lines + 1,
                    )
        except _Damaged as damage:
            raise FileError(
                self.path, f"{damage} after {self.lines:,} complete lines", line=self.lines + 1
            ) from None
        except FileNotFoundError:
            raise FileError(self.path, "no such file") from None
        except OSError as error:
            raise FileError(self.path, f"cannot be read ({error.strerror})") from None
        finally:
            chunks.close()
        if rest:
            self.cut = True
            yield from self._hand_out(rest + b"\n")
        if not self.lines:
            raise FileError(self.path, "the file is empty")

    def _hand_out(self, block: bytes) -> Iterator[bytes]:
        if b"\r" in block:  # one character is found much faster than two
            block = block.replace(b"\r\n", b"\n")
        yield block
        self.lines += block.count(b"\n")

    def _refuse_binary(self, head: bytes) -> None:
        for magic, (what, allowed) in _OTHER_FORMATS.items():
            if head.startswith(magic):
                raise FileError(self.path, f"the file is {what}", allowed=allowed)

    def _decompressed(self) -> Iterator[bytes]:
        """Yield the text as it comes; runs in a thread of its own."""
        if self.path.is_dir():
            raise FileError(self.path, "this is a folder", allowed="a file")
        with nullcontext(_StandardInput()) if self._stdin else self.path.open("rb") as file:
            head = self._read(file, self._block_size)
            if head.startswith(b"\x1f\x8b"):
                yield from self._gunzip(head, file)
            elif _is_zstd(head):
                yield from self._unzstd(head, file)
            else:
                while head:
                    yield head
                    head = self._read(file, self._block_size)

    def _read(self, file: _Readable, size: int) -> bytes:
        data = file.read(size)
        self._read_bytes += len(data)
        if self._digest is not None:
            self._digest.update(data)
        return data

    def _pieces(self, data: bytes, file: _Readable, size: int) -> Iterator[bytes]:
        for at in range(0, len(data), size):
            yield data[at : at + size]
        while data := self._read(file, size):
            yield data

    def _gunzip(self, data: bytes, file: _Readable) -> Iterator[bytes]:
        """Decompress by hand: `gzip.open` drops what it had read when the data turn out cut off."""
        member = zlib.decompressobj(wbits=_GZIP)
        pending = b""
        while data or (data := self._read(file, _READ)):
            try:
                pending += member.decompress(data, self._block_size)
            except zlib.error as error:
                yield pending
                raise _Damaged(f"gzip data damaged ({error})") from None
            data = member.unconsumed_tail
            if len(pending) >= self._block_size:
                yield pending
                pending = b""
            if member.eof:
                # Another member may follow, and zeros that pad the file to whole disk blocks.
                data = member.unused_data.lstrip(b"\0")
                while not data and (more := self._read(file, _READ)):
                    data = more.lstrip(b"\0")
                if not data:
                    yield pending
                    return
                member = zlib.decompressobj(wbits=_GZIP)
        yield pending + member.flush()
        raise _Damaged("gzip data cut off")

    def _unzstd(self, data: bytes, file: _Readable) -> Iterator[bytes]:
        """Decompress by hand: the library's reader takes data that are cut off for their end."""
        frame = zstandard.ZstdDecompressor().decompressobj()
        pending: list[bytes] = []
        size = 0
        for piece in self._pieces(data, file, _ZSTD_READ):
            while piece:
                if frame.eof:  # another frame follows
                    frame = zstandard.ZstdDecompressor().decompressobj()
                try:
                    pending.append(frame.decompress(piece))
                except zstandard.ZstdError as error:
                    yield b"".join(pending)
                    raise _Damaged(f"zstd data damaged ({error})") from None
                piece = frame.unused_data
                size += len(pending[-1])
            if size >= self._block_size:
                yield b"".join(pending)
                pending, size = [], 0
        yield b"".join(pending)
        if not frame.eof:
            raise _Damaged("zstd data cut off")


def excerpt(line: bytes, most: int = 160) -> str:
    """Make a line printable in an error: decoded, trimmed, shortened to ``most`` characters."""
    text = line.decode("utf-8", "replace").strip()
    return text if len(text) <= most else text[: most - 1] + "…"


def _is_zstd(head: bytes) -> bool:
    """Tell a frame of data, or one to be skipped (``pzstd`` begins with such)."""
    skipped = head[1:4] == b"\x2a\x4d\x18" and head[:1] in [bytes([n]) for n in range(0x50, 0x60)]
    return head.startswith(b"\x28\xb5\x2f\xfd") or skipped


def _ahead(items: Iterator[bytes], most: int = 4) -> Generator[bytes, None, None]:
    """Yield what another iterator yields, which runs in a thread, up to `most` items ahead."""
    waiting: queue.Queue[Any] = queue.Queue(most)
    left = threading.Event()
    end = object()

    def put(item: object) -> None:
        while not left.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                return

    def run() -> None:
        try:
            for item in items:
                put(item)
                if left.is_set():
                    return
            put(end)
        except BaseException as error:
            put(error)

    def get() -> Any:
        while True:
            # Polars has the system go on waiting after Ctrl-C; Python hears of it between waits.
            with suppress(queue.Empty):
                return waiting.get(timeout=0.1)

    threading.Thread(target=run, daemon=True).start()
    try:
        while (item := get()) is not end:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()
