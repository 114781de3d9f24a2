"""Invariants 9 and 10 where minimums do not all fit: everyone gets a turn, and nobody too many.

A `Queue` is the fill and the router's `Turns` alone, a second a step, with nothing but time that
moves: the minutes that rotation takes are too many for whole routers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.allocation import Group, Sink, Source, allocate
from epnet.router.reasons import Reason
from epnet.router.restraints import DWELL_SECONDS, Turns

QUEUES = settings(max_examples=150, deadline=None)

SUPPLY_W = 6000.0


@attrs.frozen
class Comer:
    """A sink that comes at a time, s, and stays."""

    min_w: float
    more_w: float
    weight: float
    comes: int


comers = st.lists(
    st.builds(
        Comer,
        st.sampled_from([1000.0, 2000.0, 3000.0, 4500.0, 6000.0]),
        st.sampled_from([0.0, 0.0, 1500.0]),
        st.sampled_from([1.0, 1.0, 3.0]),
        st.integers(0, 150),
    ),
    min_size=2,
    max_size=6,
)


class Queue:
    """Sinks of one class, and more minimums than there is supply for.

    runs: when each sink has begun and ended to have power, s, by its name.
    """

    def __init__(self, comers: Sequence[Comer], groups: Sequence[Group] = ()) -> None:
        self._comers = {f"sink {number}": comer for number, comer in enumerate(comers)}
        self._groups = groups
        self._turns = {name: Turns() for name in self._comers}
        self._admitted: Mapping[str, bool] = {}
        self._running: dict[str, float] = {}
        self.runs: dict[str, list[tuple[float, float]]] = {name: [] for name in self._comers}

    def run(self, seconds: int) -> None:
        for now in range(seconds):
            self._step(float(now))

    def _step(self, now: float) -> None:
        got = allocate([Source("sun", SUPPLY_W)], self._sinks(now), self._groups).sinks
        admitted = {name: setpoint.power_w > 0.0 for name, setpoint in got.items()}
        for name, setpoint in got.items():
            # As in a router, who falls falls at once, and who rises waits until that has happened.
            served = admitted[name] and self._admitted.get(name, False)
            if served:
                self._running.setdefault(name, now)
            elif name in self._running:
                self.runs[name].append((self._running.pop(name), now))
            blocked = setpoint.reason is Reason.MINIMUM
            self._turns[name].taken(served, admitted[name], blocked, now)
        self._admitted = admitted

    def _sinks(self, now: float) -> Iterator[Sink]:
        for name, comer in self._comers.items():
            if now >= comer.comes:
                turns = self._turns[name]
                yield Sink(
                    name,
                    comer.min_w + comer.more_w,
                    comer.min_w,
                    weight=comer.weight,
                    running=name in self._running,
                    yields=turns.yields(now),
                    waited_s=turns.waited(now),
                )

    def waits(self, end: float) -> Iterator[tuple[str, float]]:
        """How long each sink was without power, each time."""
        for name, comer in self._comers.items():
            since = float(comer.comes)
            for start, stop in [*self.runs[name], (self._running.get(name, end), end)]:
                yield name, start - since
                since = stop


class TurnTests(SynchronousTestCase):
    @QUEUES
    @given(comers)
    def test_9_nobodyWhoseMinimumCouldFitStarves(self, comers: list[Comer]) -> None:
        queue = Queue(comers)
        end = 240 * len(comers) + 300
        queue.run(end)
        # Each before it in the queue waits until all who run have run for a minute, and runs one.
        longest = 2 * (DWELL_SECONDS + 2) * len(comers)
        for name, wait in queue.waits(end):
            self.assertLessEqual(wait, longest, name)

    @QUEUES
    @given(comers)
    def test_10_nobodyTakesTurnsMoreThanOnceAMinute(self, comers: list[Comer]) -> None:
        queue = Queue(comers)
        queue.run(900)
        for name, runs in queue.runs.items():
            for start, stop in runs:
                self.assertGreaterEqual(stop - start, DWELL_SECONDS, name)

    @QUEUES
    @given(comers)
    def test_10_withRoomForAllNobodyTakesTurns(self, comers: list[Comer]) -> None:
        small = [attrs.evolve(comer, min_w=comer.min_w / 6.0) for comer in comers]
        queue = Queue(small)
        queue.run(400)
        self.assertEqual([runs for runs in queue.runs.values() if runs], [])

    def test_9_whoNeedsTwoPlacesGetsThemThoughTheyComeFreeApart(self) -> None:
        small = ((2000.0, 41), (3000.0, 107), (3000.0, 34), (2000.0, 88))
        comers = [Comer(min_w, 0.0, 1.0, comes) for min_w, comes in (*small, (4500.0, 129))]
        queue = Queue(comers)
        queue.run(1500)
        self.assertGreaterEqual(len(queue.runs["sink 4"]), 5)

    def test_9_whoCanNeverFitHoldsNobodyUp(self) -> None:
        queue = Queue([Comer(4000.0, 0.0, 1.0, comes) for comes in (0, 1)])
        alone = Queue(
            [Comer(4000.0, 0.0, 1.0, 0), Comer(4000.0, 0.0, 1.0, 1), Comer(7000.0, 0.0, 1.0, 0)]
        )
        for each in (queue, alone):
            each.run(600)
        self.assertEqual(alone.runs.pop("sink 2"), [])
        self.assertEqual(alone.runs, queue.runs)

    def test_9_twoAlone(self) -> None:
        queue = Queue([Comer(4000.0, 0.0, 3.0, 0), Comer(4000.0, 0.0, 1.0, 0)])
        queue.run(600)
        self.assertEqual([len(runs) for runs in queue.runs.values()], [5, 4])
