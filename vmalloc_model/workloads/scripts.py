"""Workers that each run the same program, interleaved event by event.

A program is a list of *phases*; a phase repeats an *iteration*: a short sequence of steps, or one
drawn at random from several of the same length. After its last phase a program begins again. A
stream ends when it is long enough and every worker has finished the iteration it is in.

Slots are shared out in turn (slot ``r`` of worker ``w`` of ``n`` is ``r * n + w``); a program takes
its slots in ascending order, so a stream that ends early uses only the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.compiled import compiled
from vmalloc_model.events import FREE, Stream
from vmalloc_model.workloads.base import Parameter, Setup, Steps, Words, binomial_bound, step
from vmalloc_model.workloads.objects import CPU_SHIFT, SLOT_SHIFT, words_of
from vmalloc_model.workloads.random import GOLDEN, below, chance, odds, scramble

__all__ = ["FOREVER", "WORKERS", "Phase", "script_stream"]

FOREVER: Final = 1 << 62
_FREE: Final = np.uint64(step(FREE).view(np.uint64)[0])
_SLOT: Final = np.uint64(0xFFFFFFFF)

WORKERS: Final[Mapping[str, Parameter]] = {
    "threads": Parameter(
        default=None,
        meaning="workers, on CPUs in turn; by default one per CPU",
        least=1,
        most=65535,
    ),
    "interleave": Parameter(
        default="random",
        meaning="whose event comes next: any worker's, or the next worker's",
        choices=("random", "round-robin"),
    ),
    "migrate": Parameter(
        default=0.0,
        meaning="probability that a worker moves to another CPU before an allocation",
        least=0,
        most=1,
    ),
}
"""Parameters of workloads that are scripts."""


@dataclass(frozen=True)
class Phase:
    """A part of a program.

    Attributes
    ----------
    variants : sequence of steps
        The iteration; of several, all of the same length, each time one is drawn.
    count : int
        Iterations.
    stride : int
        By how much all slots of the steps grow from one iteration to the next.
    back, times : int
        Number of an earlier phase to go back to after this one, until this one has run `times`
        times.
    """

    variants: Sequence[Steps]
    count: int = 1
    stride: int = 0
    back: int = 0
    times: int = 1

    @property
    def slots(self) -> int:
        """Slots below which it stays."""
        highest = max(int(steps["slot"].max()) for steps in self.variants)
        return highest + 1 + max(self.stride, 0) * (self.count - 1)


def script_stream(
    name: str,
    setup: Setup,
    program: Sequence[Phase],
    *,
    workers: int | None = None,
    apart: bool = False,
) -> Stream:
    """Make the stream of a program.

    Parameters
    ----------
    name, setup
        Of the stream; the parameters include `WORKERS` unless `workers` is given.
    program : sequence of Phase
        Phases without iterations are left out.
    workers : int, optional
        By default the parameter ``threads``; worker ``w`` runs on CPU ``w`` modulo CPUs.
    apart : bool
        Worker ``w`` takes its areas on CPU ``2 w`` and gives them back on ``2 w + 1``.
    """
    threads = setup.whole("threads") if workers is None else workers
    steps, phases = _tables(program)
    longest = int(phases[:, _LENGTH].max())
    span = max(phase.slots for phase in program)
    # A worker's share of the events is binomial; that one waits which reaches the bound makes sure.
    most = binomial_bound(setup.events, 1 / threads)
    cpus = np.arange(threads) % setup.cpus

    def start() -> Callable[[Words], int]:
        state = np.zeros((threads, len(_STATE)), np.int64)
        state[:, _CPU] = (2 * cpus) % setup.cpus if apart else cpus
        state[:, _PHASE] = -1
        mixer = np.array([threads, 0, 0], np.int64)
        random = setup.random()
        turns = setup.values.get("interleave") == "round-robin"
        move = odds(float(setup.values.get("migrate") or 0.0))
        partner = int(apart)

        def fill(out: Words) -> int:
            count: int = _play(
                *(out, steps, phases, state, mixer, random),
                *(setup.cpus, turns, move, partner, setup.events, most),
            )
            return count

        return fill

    return setup.stream(name, threads * min(span, most + longest), start)


def _tables(program: Sequence[Phase]) -> tuple[Words, npt.NDArray[np.int64]]:
    """All steps, and one row per phase."""
    kept = [number for number, phase in enumerate(program) if phase.count]
    steps = [words_of(np.concatenate(program[number].variants)) for number in kept]
    firsts = np.cumsum([0, *map(len, steps)])
    rows = [
        (
            firsts[row],
            len(program[number].variants[0]),
            len(program[number].variants),
            program[number].count,
            program[number].stride,
            kept.index(program[number].back) if program[number].times > 1 else 0,
            program[number].times,
        )
        for row, number in enumerate(kept)
    ]
    return np.concatenate(steps), np.array(rows, np.int64)


_LENGTH: Final = 1
_STATE: Final = ("place", "end", "slot", "cpu", "phase", "iteration", "times", "events")
_CPU: Final = _STATE.index("cpu")
_PHASE: Final = _STATE.index("phase")


@compiled
def _play(
    out: Any,
    steps: Any,
    phases: Any,
    state: Any,
    mixer: Any,
    random: Any,
    cpus: int,
    turns: bool,
    move: Any,
    partner: int,
    events: int,
    most: int,
) -> int:
    """Fill `out`; `mixer` is: workers that go on, the one whose turn it is, events so far."""
    threads = len(state)
    going, turn, emitted = mixer
    counter = random[0]
    limit = len(out)
    count = 0
    while count < limit and going > 0:
        if threads == 1:
            one = 0
        elif turns:
            one = turn
            turn = turn + 1 if turn + 1 < threads else 0
        else:
            counter += GOLDEN
            one = below(scramble(counter), threads)
        now = state[one]
        if now[0] == now[1]:
            if now[0] < 0 or (now[7] >= most and emitted + count < events):
                continue
            if emitted + count >= events:
                now[0] = now[1] = -1
                going -= 1
                continue
            phase = now[4]
            now[5] += 1
            if phase < 0:
                phase, now[5] = 0, 0
            elif now[5] == phases[phase, 3]:
                now[5] = 0
                following = phase + 1 if phase + 1 < len(phases) else 0
                if phases[phase, 6] > 1:
                    now[6] += 1
                    if now[6] < phases[phase, 6]:
                        following = phases[phase, 5]
                    else:
                        now[6] = 0
                phase = following
            now[4] = phase
            now[0] = phases[phase, 0]
            if phases[phase, 2] > 1:
                counter += GOLDEN
                now[0] += phases[phase, 1] * below(scramble(counter), phases[phase, 2])
            now[1] = now[0] + phases[phase, 1]
            now[2] = now[5] * phases[phase, 4]
        head, tail = steps[now[0], 0], steps[now[0], 1]
        cpu = now[3]
        if head == _FREE:
            cpu = (cpu + partner) % cpus
        elif move > 0:
            counter += GOLDEN
            bits = scramble(counter)
            if chance(bits, move):
                cpu = now[3] = (cpu + 1 + below(bits, cpus - 1)) % cpus
        # The tail's slot is relative to the iteration, and a worker's slots are `threads` apart.
        slot = (np.int64((tail >> SLOT_SHIFT) & _SLOT) + now[2]) * threads + one
        out[count, 0] = head | (np.uint64(cpu) << CPU_SHIFT)
        out[count, 1] = (tail & ~(_SLOT << SLOT_SHIFT)) | (np.uint64(slot) << SLOT_SHIFT)
        now[0] += 1
        now[7] += 1
        count += 1
    mixer[0], mixer[1], mixer[2] = going, turn, emitted + count
    random[0] = counter
    return count
