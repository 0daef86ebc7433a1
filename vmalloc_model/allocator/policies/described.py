"""``described``: what the message of 10/12 promises, read literally.

Alignments above a page and requests with a NUMA node fall through; a chunk goes back when its count
reaches zero and it is not its CPU's current chunk. The message does not say what becomes of a chunk
that is empty when it is replaced; literally, it is never released. It says neither how the overlay
and the pools share the work: the pools are asked first here, as in the diff it comes with, and
areas of a chunk do not enter them, since their range goes back with the chunk.
"""

from vmalloc_model.allocator.rules import Rules

ORDER = 20
RULES = Rules(
    name="described",
    title="as the message of 10/12 describes",
    eligible="message",
    resident=True,
    release="drained",
    pooled=False,
)
