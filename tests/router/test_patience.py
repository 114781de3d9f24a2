"""How long a router counts on another one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.router.bounds import Bound
from epnet.router.patience import DOUBTED_SECONDS, HOPE_SECONDS, STALLED_SECONDS, Hope, Trust
from epnet.router.reasons import Reason


def granted(watts: float, reason: Reason = Reason.OFFER) -> Bound:
    return Bound(watts, reason, watts)


class HopeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hope = Hope()
        self.assertFalse(self.hope.holds(1000.0, granted(1000.0), 0.0))

    def test_forASecondAfterTheNeedHasRisen(self) -> None:
        self.assertTrue(self.hope.holds(3000.0, granted(1000.0), 10.0))
        self.assertTrue(self.hope.holds(4000.0, granted(2000.0), 10.9))
        self.assertFalse(self.hope.holds(5000.0, granted(2000.0), 10.0 + HOPE_SECONDS))

    def test_anewOnlyOnceItHasBeenMet(self) -> None:
        self.hope.holds(3000.0, granted(1000.0), 10.0)
        self.assertFalse(self.hope.holds(9000.0, granted(1000.0), 20.0))
        self.assertFalse(self.hope.holds(2000.0, granted(2000.0), 21.0))
        self.assertTrue(self.hope.holds(3000.0, granted(2000.0), 22.0))

    def test_noneWhereItHasTakenSomethingBack(self) -> None:
        self.assertFalse(self.hope.holds(1000.0, granted(200.0), 1.0))

    def test_noneWhereSomethingElseBounds(self) -> None:
        self.assertFalse(self.hope.holds(3000.0, granted(0.0, Reason.REVERSAL), 1.0))


class TrustTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.trust = Trust()

    def doubtsAfter(self, seconds: float, asked_w: float, ready_w: float, start: float) -> bool:
        for step in range(round(seconds * 10) + 1):
            doubts = self.trust.doubts(asked_w, ready_w, start + step / 10)
        return doubts

    def test_oneThatGivesWhatItIsAskedFor(self) -> None:
        self.assertFalse(self.doubtsAfter(100.0, 3000.0, 3000.0, 0.0))

    def test_oneThatIsOnItsWay(self) -> None:
        for step in range(100):
            self.assertFalse(self.trust.doubts(9000.0, 10.0 * step, step / 2))

    def test_oneThatDoesNot(self) -> None:
        self.assertFalse(self.doubtsAfter(STALLED_SECONDS - 0.1, 3000.0, 500.0, 0.0))
        self.assertTrue(self.trust.doubts(3000.0, 500.0, STALLED_SECONDS + 0.1))
        self.assertTrue(self.trust.doubts(0.0, 0.0, DOUBTED_SECONDS))

    def test_itIsTriedAgainEverMoreSeldom(self) -> None:
        self.assertTrue(self.doubtsAfter(2.1, 3000.0, 0.0, 0.0))
        self.assertFalse(self.trust.doubts(0.0, 0.0, 40.0))
        self.assertTrue(self.doubtsAfter(2.1, 3000.0, 0.0, 41.0))
        self.assertTrue(self.trust.doubts(0.0, 0.0, 80.0))
        self.assertFalse(self.trust.doubts(0.0, 0.0, 110.0))
