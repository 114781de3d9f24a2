"""Which of several prices is offered."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from epnet.router.ladder import Ladder, Rung

SUN, BATTERY, GRID = Rung(0.0, 3000.0), Rung(0.2, 5000.0), Rung(0.4, 15_000.0)


class LadderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ladder = Ladder()
        self.now = 0.0
        self.rungs = [SUN, BATTERY, GRID]
        self.offered: list[Rung] = []

    def run_(self, seconds: float, wants_w: float, most: float = 1.0) -> Rung:
        """The router above wants so much, at a price up to `most`."""
        rung = SUN
        taken_w = 0.0
        for _ in range(round(seconds * 10)):
            rung = self.ladder.choose(self.rungs, taken_w, self.now)
            self.offered.append(rung)
            taken_w = min(wants_w, rung.watts) if rung.price <= most else 0.0
            self.now += 0.1
        return rung

    def test_theCheapestWhileItIsEnough(self) -> None:
        self.assertEqual(self.run_(60.0, 2000.0), SUN)
        self.assertEqual(set(self.offered), {SUN})

    def test_oneRungAfterTheOther(self) -> None:
        self.assertEqual(self.run_(2.0, 9000.0), BATTERY)
        self.assertEqual(self.run_(60.0, 9000.0), GRID)

    def test_downAgainWhenLessIsWanted(self) -> None:
        self.run_(20.0, 9000.0)
        self.assertEqual(self.run_(1.5, 4000.0), BATTERY)
        self.assertEqual(self.run_(60.0, 2000.0), SUN)

    def test_whatIsRefusedIsTriedEverMoreSeldom(self) -> None:
        self.run_(3600.0, 9000.0, most=0.1)
        trials = [
            number
            for number, (before, after) in enumerate(
                zip(self.offered, self.offered[1:], strict=False)
            )
            if (before, after) == (SUN, BATTERY)
        ]
        waits = [(b - a) / 10 for a, b in itertools.pairwise(trials)]
        self.assertGreater(waits[0], 59.0)
        self.assertTrue(all(b > 1.9 * a for a, b in itertools.pairwise(waits)), waits)
        self.assertEqual(len(trials), 6)

    def test_whatThereIsChanges(self) -> None:
        self.run_(20.0, 9000.0)
        self.rungs = [BATTERY]
        self.assertEqual(self.run_(1.0, 9000.0), BATTERY)
        self.rungs = [SUN]
        self.assertEqual(self.run_(1.0, 9000.0), SUN)
