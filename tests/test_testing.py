"""What integrators test with, tested: the clock; the rest is in use all over these tests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, LoopingCall
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.testing import VirtualClock

DELAYS = st.floats(0, 10, allow_nan=False)


class VirtualClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.called: list[object] = []

    def later(self, delay: float, what: object) -> object:
        return self.clock.callLater(delay, self.called.append, what)

    def test_itIsAReactorsTime(self) -> None:
        verifyObject(IReactorTime, self.clock)

    def test_eachCallSeesTheTimeItWasDue(self) -> None:
        for delay in (2.0, 1.0):
            self.clock.callLater(delay, lambda: self.called.append(self.clock.seconds()))
        self.clock.advance(5.0)
        self.assertEqual(self.called, [1.0, 2.0])
        self.assertEqual(self.clock.seconds(), 5.0)

    def test_whatIsDueAtTheSameTimeIsCalledInTheOrderItWasScheduled(self) -> None:
        for number in range(5):
            self.later(1.0, number)
        self.clock.advance(1.0)
        self.assertEqual(self.called, [0, 1, 2, 3, 4])

    def test_whatIsScheduledOnTheWayIsCalledOnTheWay(self) -> None:
        self.clock.callLater(1.0, lambda: self.later(1.0, "second"))
        self.clock.advance(1.9)
        self.assertEqual(self.called, [])
        self.clock.advance(0.1)
        self.assertEqual(self.called, ["second"])

    def test_cancelledCallsAreNotMade(self) -> None:
        call = self.clock.callLater(1.0, self.called.append, 1)
        call.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(2.0)
        self.assertEqual(self.called, [])

    def test_callsArePutOffAndBroughtForward(self) -> None:
        late, early = (self.clock.callLater(1.0, self.called.append, n) for n in ("late", "early"))
        late.delay(1.0)
        early.reset(0.5)
        self.assertEqual(self.clock.getDelayedCalls(), [early, late])
        self.clock.advance(0.5)
        self.assertEqual(self.called, ["early"])
        self.clock.advance(1.0)
        self.assertEqual(self.called, ["early"])
        self.clock.advance(0.5)
        self.assertEqual(self.called, ["early", "late"])

    def test_loopsKeepTheirPace(self) -> None:
        loop = LoopingCall(lambda: self.called.append(self.clock.seconds()))
        loop.clock = self.clock
        loop.start(0.25)
        self.clock.advance(1.0)
        loop.stop()
        self.assertEqual(self.called, [0.0, 0.25, 0.5, 0.75, 1.0])

    @given(st.lists(DELAYS, max_size=20), st.lists(DELAYS, max_size=5))
    def test_itCallsWhatTwistedsClockCalls(self, delays: list[float], steps: list[float]) -> None:
        seen: list[list[int]] = []
        for clock in (VirtualClock(), Clock()):
            called: list[int] = []
            for number, delay in enumerate(delays):
                clock.callLater(delay, called.append, number)
            for step in steps:
                clock.advance(step)
            seen.append(called)
        self.assertEqual(*seen)
