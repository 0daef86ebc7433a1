"""The closed forms over 10^8 points, and the exact filling of chunks over a sweep.

Wanted: 10 million (CPUs, platform, chunk, size) points a second or more, in less than 1 GB. Run
alone, the peak memory is that of this process, the interpreter and numpy included.
"""

from __future__ import annotations

import resource

import numpy as np

from vmalloc_model.constraints import evaluate_grid
from vmalloc_model.occupancy import fill

KIB, MIB, TIB = 1 << 10, 1 << 20, 1 << 40

CPUS = np.unique(np.geomspace(1, 8192, 140).astype(int))[:100]
PAGE_SIZES = np.resize([4096, 16384, 65536], 20)
RANGES = np.geomspace(120 * MIB, 12800 * TIB, 20).astype(int)
CHUNKS = np.arange(1, 51) * 2 * MIB
PAYLOADS = np.geomspace(1, 48 * MIB, 1000).astype(int)
POINTS = CPUS.size * RANGES.size * CHUNKS.size * PAYLOADS.size


def peak_mib() -> float:
    """Peak resident memory of this process in MiB (Linux reports KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sweep() -> tuple[int, int, int, float]:
    """Evaluate every point and reduce each tile, so that nothing is left out."""
    points = eligible = allocations = 0
    share = 0.0
    for tile in evaluate_grid(CPUS, RANGES, CHUNKS, PAYLOADS, PAGE_SIZES):
        points += tile.eligible.size
        eligible += int(np.count_nonzero(tile.eligible))
        allocations += int(tile.allocations.sum())
        share += float(tile.reserved_share.sum())
    return points, eligible, allocations, share


def plain_point(cpus: int, size: int, page: int, chunk: int, payload: int) -> tuple:
    """One point in plain integers."""
    area = -(-payload // page) * page + page
    fits = area <= chunk // 2
    return fits, chunk // area if fits else 0, cpus * chunk / size


def test_closed_forms_over_a_hundred_million_points(benchmark):
    points, *_ = benchmark.pedantic(sweep, rounds=1)
    assert points == POINTS == 10**8
    seconds = benchmark.stats.stats.mean
    benchmark.extra_info["million points per second"] = round(points / seconds / 1e6, 1)
    benchmark.extra_info["peak MiB"] = round(peak_mib())
    print(f"\n{points / seconds / 1e6:.1f} million points per second, peak {peak_mib():.0f} MiB")
    assert points / seconds >= 10e6
    assert peak_mib() < 1000

    # the numbers are the plain ones: a point in every tile
    random = np.random.default_rng(1)
    for tile in evaluate_grid(CPUS, RANGES, CHUNKS, PAYLOADS, PAGE_SIZES):
        index = tuple(int(random.integers(size)) for size in tile.eligible.shape)
        i, j, k, m = (part.start + at for part, at in zip(tile.where, index, strict=True))
        got = tuple(a[index].item() for a in (tile.eligible, tile.allocations, tile.reserved_share))
        assert got == plain_point(
            *(int(n) for n in (CPUS[i], RANGES[j], PAGE_SIZES[j], CHUNKS[k], PAYLOADS[m]))
        )


def test_filling_over_a_sweep_of_chunk_sizes(benchmark):
    random = np.random.default_rng(1)
    size = random.choice([2, 5, 3, 33, 257, 1025], 20_000, p=[0.4, 0.4, 0.1, 0.05, 0.04, 0.01])
    align = np.where(size == 5, 16 * KIB, 1)
    cpu = random.integers(0, 4, size.size)

    def refills() -> list[int]:
        return [
            fill(size * 4096, align, chunk * MIB, 4096, cpu).refills
            for _ in range(5)
            for chunk in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
        ]

    counted = benchmark.pedantic(refills, rounds=1)
    assert counted[:11] == sorted(counted[:11], reverse=True)
    benchmark.extra_info["requests per second"] = round(55 * size.size / benchmark.stats.stats.mean)
