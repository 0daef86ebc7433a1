"""Text files in blocks of whole lines, plain or gzip, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from vmalloc_model.errors import FileError

__all__ = ["LONGEST_LINE", "TextFile", "excerpt"]

LONGEST_LINE: Final = 1 << 16
"""Bytes; a recording has lines of a few hundred. A longer one means the file is not text."""

_READ: Final = 1 << 18
_GZIP: Final = 16 + zlib.MAX_WBITS
_OTHER_FORMATS: Final = {
    b"\x17\x08\x44tracing": (
        "a binary trace.dat",
        "its text: trace-cmd report trace.dat > trace.txt",
    ),
    b"PERFILE2": ("a binary perf.data", "text of ftrace or of trace-cmd report"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "plain text or gzip (zstd -dc FILE > trace.txt)"),
    b"\xfd7zXZ\x00": ("compressed with xz", "plain text or gzip (xz -dc FILE > trace.txt)"),
    b"BZh": ("compressed with bzip2", "plain text or gzip (bzip2 -dc FILE > trace.txt)"),
}


class TextFile:
    """A text file, read once from its beginning to its end.

    Parameters
    ----------
    path : str or Path
        Plain text or gzip (also of several members).
    block_size : int
        Bytes of decompressed text per block, more or less.

    Attributes
    ----------
    path : Path
        As given.
    lines : int
        Complete lines handed out so far.
    cut : bool
        True once the last line came without a line end.
    """

    def __init__(self, path: str | Path, block_size: int = 1 << 21) -> None:
        self.path = Path(path)
        self.lines = 0
        self.cut = False
        self._block_size = block_size

    def blocks(self) -> Iterator[bytes]:
        r"""Yield consecutive blocks of whole lines, each ending in ``\n``; ``\r\n`` becomes ``\n``.

        The lines of a block are counted in `lines` when the next block is asked for, so while a
        block is worked on, ``lines + 1`` is the number of its first line.

        Raises
        ------
        FileError
            If the file is missing, unreadable, empty, not text, or its gzip data are cut off or
            damaged (then the error's line is the first one that could not be read; all complete
            lines before it have been handed out).
        """
        rest = b""
        for data in self._decompressed():
            rest += data
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
        if rest:
            self.cut = True
            yield from self._hand_out(rest + b"\n")
        if not self.lines:
            raise FileError(self.path, "the file is empty")

    def text(self) -> bytes:
        """Return the whole text; for files that are small by nature."""
        return b"".join(self.blocks())

    def _hand_out(self, block: bytes) -> Iterator[bytes]:
        if b"\r" in block:  # one character is found much faster than two
            block = block.replace(b"\r\n", b"\n")
        yield block
        self.lines += int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n")))

    def _decompressed(self) -> Iterator[bytes]:
        if self.path.is_dir():
            raise FileError(self.path, "this is a folder", allowed="a file")
        try:
            with self.path.open("rb") as file:
                head = file.read(self._block_size)
                for magic, (what, allowed) in _OTHER_FORMATS.items():
                    if head.startswith(magic):
                        raise FileError(self.path, f"the file is {what}", allowed=allowed)
                if head.startswith(b"\x1f\x8b"):
                    yield from self._gunzip(head, file)
                else:
                    while head:
                        yield head
                        head = file.read(self._block_size)
        except FileNotFoundError:
            raise FileError(self.path, "no such file") from None
        except OSError as error:
            raise FileError(self.path, f"cannot be read ({error.strerror})") from None

    def _gunzip(self, data: bytes, file: BinaryIO) -> Iterator[bytes]:
        """Decompress by hand: `gzip.open` drops what it had read when the data turn out cut off."""
        member = zlib.decompressobj(wbits=_GZIP)
        pending = b""
        while data or (data := file.read(_READ)):
            try:
                pending += member.decompress(data, self._block_size)
            except zlib.error as error:
                yield pending
                raise self._damaged(f"gzip data damaged ({error})") from None
            data = member.unconsumed_tail
            if len(pending) >= self._block_size:
                yield pending
                pending = b""
            if member.eof:
                # Another member may follow, and zeros that pad the file to whole disk blocks.
                data = member.unused_data.lstrip(b"\0")
                while not data and (more := file.read(_READ)):
                    data = more.lstrip(b"\0")
                if not data:
                    yield pending
                    return
                member = zlib.decompressobj(wbits=_GZIP)
        yield pending + member.flush()
        raise self._damaged("gzip data cut off")

    def _damaged(self, what: str) -> FileError:
        return FileError(
            self.path, f"{what} after {self.lines:,} complete lines", line=self.lines + 1
        )


def excerpt(line: bytes, most: int = 160) -> str:
    """Make a line printable in an error: decoded, trimmed, shortened to ``most`` characters."""
    text = line.decode("utf-8", "replace").strip()
    return text if len(text) <= most else text[: most - 1] + "…"
