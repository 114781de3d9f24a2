"""What a server did while a message waited, told from what others did."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import waits
from epnet.bench.waits import Turn, Waits


class TurnTests(SynchronousTestCase):
    def test_itWorksLast(self) -> None:
        turn = Turn(began=10.0, ended=15.0, workedBefore=100.0, workedAfter=102.0)
        self.assertEqual([turn.workedAt(now) for now in (10, 12, 14, 15)], [100, 100, 101, 102])


class WaitsTests(SynchronousTestCase):
    """A reactor whose turns take as long as the test says."""

    def setUp(self) -> None:
        self.now = self.worked = 0.0
        self.patch(waits, "time", self)
        self.waits = Waits(self)

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.worked

    def doIteration(self, delay: float | None) -> None:
        """What the reactor does in a turn: nothing here."""

    def turn(self, idle: float, work: float, others: float = 0.0) -> None:
        """Let a turn pass in which something else had the processor for a while, too."""
        self.doIteration(None)
        self.now += idle + work + others
        self.worked += work

    def test_whatCameWhileNothingHappenedWaitedForWhatCameBeforeInItsTurn(self) -> None:
        self.turn(idle=5, work=1)
        self.turn(idle=5, work=2)
        self.assertEqual(self.waits.since(sent=8.0), 2.0)

    def test_whatCameDuringWorkWaitedForTheRestOfIt(self) -> None:
        self.turn(idle=5, work=4)
        self.turn(idle=0, work=2)
        self.assertEqual(self.waits.since(sent=6.0), 3 + 2)

    def test_longWorkIsOfSeveralTurns(self) -> None:
        for _ in range(3):
            self.turn(idle=0, work=4)
        self.assertEqual(self.waits.since(sent=3.0), 1 + 4 + 4)

    def test_whatOthersDoIsNoWait(self) -> None:
        self.turn(idle=5, work=1)
        self.turn(idle=5, work=2, others=50)
        self.assertEqual(self.waits.since(sent=8.0), 2.0)
