"""What must hold of every stream, and slow twins of what generators are made of."""

import numpy as np

from vmalloc_model import events as ev
from vmalloc_model.workloads import make

WINDOWS = 2
TAKES = (ev.ALLOC, ev.MAP_RAM, ev.PCPU)
LETTERS = {ev.ALLOC: "A", ev.FREE: "F", ev.MAP_RAM: "M", ev.PCPU: "C"}


def made(name, *, events, page_size=4096, cpus=1, seed=1, **parameters):
    """Make a stream, check it, and return its events."""
    stream = make(name, page_size=page_size, cpus=cpus, events=events, seed=seed, **parameters)
    return checked(stream)


def checked(stream):
    """Check a stream's events one by one, and return them."""
    everything = stream.all()
    assert everything.dtype == ev.EVENT
    if stream.events is not None:
        assert len(everything) == stream.events
    windows = len(stream.windows) if stream.windows else WINDOWS
    live = set()
    for op, flags, window, order, cpu, slot, pages in everything.tolist():
        assert cpu < stream.cpus
        assert slot < stream.slots
        if op in TAKES:
            assert slot not in live, f"slot {slot} is taken twice"
            assert pages >= 1
            assert window < windows
            assert flags <= ev.GUARD | ev.NODE
            assert pages > 1 or not flags & ev.GUARD
            assert order < 64
            assert op == ev.ALLOC or not flags
            live.add(slot)
            continue
        assert not any((flags, window, order, pages)), "a column that is not used is not 0"
        if op == ev.FREE:
            assert slot in live, f"slot {slot} is not taken"
            live.remove(slot)
        else:
            assert op in (ev.PURGE, ev.SHRINK)
            assert slot == 0
    return everything


def told(events):
    """Events as words: ``A3:2@5`` takes 2 pages of order 5 at slot 3, ``F3`` gives them back.

    ``M`` maps, ``C`` is a chunk of per-CPU memory, ``P`` purges; ``+`` follows the size without
    guard page, ``n`` a node, ``w1`` another window.
    """
    words = []
    for op, flags, window, order, _, slot, pages in events.tolist():
        if op not in LETTERS:
            words.append("P" if op == ev.PURGE else "S")
            continue
        word = f"{LETTERS[op]}{slot}"
        if op != ev.FREE:
            guard = flags & ev.GUARD
            word += f":{pages - 1}+" if guard else f":{pages}"
            word += f"@{order}" * bool(order) + "n" * bool(flags & ev.NODE) + f"w{window}" * window
        words.append(word)
    return " ".join(words)


def lifetimes(events, which=None):
    """Of each area that is freed: events from its allocation to its free, in order of the frees.

    ``which`` selects events to look at; time is that of all.
    """
    times = np.flatnonzero(np.ones(len(events), bool) if which is None else which)
    born, spans = {}, []
    for time, op, slot in zip(
        times.tolist(), events["op"][times].tolist(), events["slot"][times].tolist(), strict=True
    ):
        if op in TAKES:
            born[slot] = time
        elif op == ev.FREE:
            spans.append(time - born.pop(slot))
    return np.array(spans)


def owners(events):
    """Of each free: the CPU of the allocation, and that of the free."""
    born, pairs = {}, []
    for op, slot, cpu in zip(
        *(events[name].tolist() for name in ("op", "slot", "cpu")), strict=True
    ):
        if op in TAKES:
            born[slot] = cpu
        elif op == ev.FREE:
            pairs.append((born.pop(slot), cpu))
    return np.array(pairs)


class Random:
    """SplitMix64 with Python's integers."""

    ALL = (1 << 64) - 1

    def __init__(self, seed):
        self.counter = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])

    @classmethod
    def scramble(cls, bits):
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & cls.ALL
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & cls.ALL
        return bits ^ (bits >> 31)

    def draw(self):
        self.counter = (self.counter + 0x9E3779B97F4A7C15) & self.ALL
        return self.scramble(self.counter)

    @staticmethod
    def high(bits, limit):
        return (bits >> 32) * limit >> 32

    @staticmethod
    def low(bits, limit):
        return (bits & 0xFFFFFFFF) * limit >> 32

    @staticmethod
    def chance(bits, probability):
        return (bits & 0xFFFFFFFF) < round(probability * 2**32)


def chi_squared(counts, shares):
    """Pearson's statistic, in standard deviations above what chance gives."""
    counts, shares = np.asarray(counts, float), np.asarray(shares, float)
    expected = counts.sum() * shares / shares.sum()
    degrees = len(counts) - 1
    return (((counts - expected) ** 2 / expected).sum() - degrees) / np.sqrt(2 * degrees)
