"""How power follows a permission."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.devices.ramp import FALL_SECONDS, Flow, Ramp

RATING = 1000.0
FOREVER = 1e9

watts = st.floats(0, 1.5 * RATING)
steps = st.lists(
    st.tuples(watts, watts, st.floats(0, 0.5), st.floats(0, 0.5)), min_size=1, max_size=20
)
"""Limits for drawing and supplying, how long they are good for, and when the next ones come."""


class RampTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ramp = Ramp(RATING)

    def assertDraws(self, when: float, power_w: float) -> None:
        self.assertAlmostEqual(self.ramp.at(when).draw_w, power_w, places=6)
        self.assertEqual(self.ramp.at(when).supply_w, 0.0)

    def test_itBeginsAtZero(self) -> None:
        self.assertEqual(self.ramp.at(5.0), Flow(0.0, 0.0))

    def test_itRisesOverTheFullRatingInASecond(self) -> None:
        self.ramp.follow(RATING, 0, FOREVER, 10.0)
        self.assertDraws(10.0, 0)
        self.assertDraws(10.25, 250)
        self.assertDraws(11.0, 1000)
        self.assertDraws(20.0, 1000)

    def test_itFallsOverTheFullRatingIn100ms(self) -> None:
        self.ramp.follow(RATING, 0, FOREVER, 0.0)
        self.ramp.follow(0, 0, FOREVER, 2.0)
        self.assertDraws(2.05, 500)
        self.assertDraws(2.1, 0)

    def test_itFallsToALowerLimitAndNoFurther(self) -> None:
        self.ramp.follow(RATING, 0, FOREVER, 0.0)
        self.ramp.follow(600, 0, FOREVER, 2.0)
        self.assertDraws(2.02, 800)
        self.assertDraws(2.04, 600)
        self.assertDraws(3.0, 600)

    def test_itGoesToZeroByItselfWhenThePermissionExpires(self) -> None:
        self.ramp.follow(500, 0, 2.0, 0.0)
        self.assertDraws(2.0, 500)
        self.assertDraws(2.02, 300)
        self.assertDraws(2.05, 0)
        self.assertDraws(100.0, 0)

    def test_aPermissionThatHasExpiredAllowsNothing(self) -> None:
        self.ramp.follow(500, 0, 1.0, 2.0)
        self.assertDraws(3.0, 0)

    def test_repeatingALimitDoesNotHoldUpTheRise(self) -> None:
        for tick in range(51):
            self.ramp.follow(RATING, 0, tick / 50 + 0.2, tick / 50)
        self.assertDraws(1.0, 1000)

    def test_aDirectionReversesThroughZero(self) -> None:
        self.ramp.follow(RATING, 0, FOREVER, 0.0)
        self.ramp.follow(0, RATING, FOREVER, 2.0)
        self.assertDraws(2.05, 500)
        self.assertAlmostEqual(self.ramp.at(2.35).supply_w, 250)
        self.assertEqual(self.ramp.at(2.35).draw_w, 0.0)

    def test_anotherRatingTakesAsLongForTheWholeOfIt(self) -> None:
        self.ramp.follow(RATING, 0, FOREVER, 0.0)
        self.ramp.rate(2 * RATING, 5.0)
        self.assertDraws(5.0, 1000)
        self.ramp.follow(2 * RATING, 0, FOREVER, 6.0)
        self.assertDraws(6.25, 1500)
        self.ramp.follow(0, 0, FOREVER, 8.0)
        self.assertDraws(8.05, 1000)

    def test_nothingFlowsAboveALowerRating(self) -> None:
        for sign in (1, -1):
            self.ramp.follow(max(0, sign) * RATING, max(0, -sign) * RATING, FOREVER, 0.0)
            self.ramp.rate(RATING / 2, 5.0)
            self.assertEqual(sum(self.ramp.at(5.0)), 500)
            self.assertEqual(sum(self.ramp.at(7.0)), 500)
            self.ramp = Ramp(RATING)

    def test_contradictoryLimitsAllowNothing(self) -> None:
        self.ramp.follow(RATING, 0, FOREVER, 0.0)
        self.ramp.follow(RATING, RATING, FOREVER, 2.0)
        self.assertEqual(self.ramp.at(2.1), Flow(0.0, 0.0))

    def test_theRatingIsNeverExceeded(self) -> None:
        self.ramp.follow(9 * RATING, 0, FOREVER, 0.0)
        self.assertDraws(50.0, RATING)
        self.ramp.follow(0, 9 * RATING, FOREVER, 50.0)
        self.assertEqual(self.ramp.at(100.0), Flow(0.0, RATING))

    @given(steps)
    def test_itIsOutsideItsLimitsOnlyWhileFalling(
        self, steps: list[tuple[float, float, float, float]]
    ) -> None:
        ramp, now = Ramp(RATING), 0.0
        for draw_w, supply_w, lasts, next in steps:
            ramp.follow(draw_w, supply_w, now + lasts, now)
            before = max(ramp.at(now))
            for part in range(1, 11):
                when = now + next * part / 10
                flow = ramp.at(when)
                allowed_w = 0.0 if when > now + lasts or (draw_w and supply_w) else None
                within = (
                    flow.draw_w <= (draw_w if allowed_w is None else 0.0) + 1e-6
                    and flow.supply_w <= (supply_w if allowed_w is None else 0.0) + 1e-6
                )
                since = now + lasts if when > now + lasts else now
                self.assertTrue(within or when - since < FALL_SECONDS)
                self.assertTrue(within or max(flow) < max(before, draw_w, supply_w) + 1e-6)
                self.assertEqual(min(flow), 0.0)
            now += next

    @given(steps)
    def test_itIsQuietWhenItSaysSo(self, steps: list[tuple[float, float, float, float]]) -> None:
        ramp, now = Ramp(RATING), 0.0
        for draw_w, supply_w, lasts, next in steps:
            ramp.follow(draw_w, supply_w, now + lasts, now)
            self.assertAlmostEqual(max(ramp.at(ramp.quietAfter)), 0.0, places=6)
            now += next
