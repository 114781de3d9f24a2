"""The simulated day and its sun."""

import math
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.devices.world import DAY_SECONDS, World, clearSky, sineOfElevation

NOON = 12 * 3600.0

latitudes = st.floats(-90, 90)
days = st.integers(1, 365)
times = st.floats(0, DAY_SECONDS)


class WorldTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(5000)

    def test_theDayPassesAtItsOwnSpeed(self) -> None:
        world = World(self.clock, start_s=6 * 3600, speed=240, day=110)
        self.assertEqual(world.timeOfDay, 6 * 3600)
        self.clock.advance(60)
        self.assertEqual(world.timeOfDay, 10 * 3600)

    def test_daysFollowEachOther(self) -> None:
        world = World(self.clock, start_s=23 * 3600, speed=3600, day=365)
        self.clock.advance(2)
        self.assertEqual((world.timeOfDay, world.dayOfYear), (3600, 1))
        self.assertEqual(world.sinceMidnight, 25 * 3600)

    def test_withoutAStartItIsNow(self) -> None:
        before = datetime.now()
        world = World(self.clock)
        apart = world.timeOfDay - (before.hour * 3600 + before.minute * 60)
        self.assertIn(apart % DAY_SECONDS, (0, 60))
        self.assertIn((world.dayOfYear - before.timetuple().tm_yday) % 365, (0, 1))


class SunTests(SynchronousTestCase):
    def degrees(self, latitude: float, day: int, timeOfDay: float) -> float:
        return math.degrees(math.asin(sineOfElevation(latitude, day, timeOfDay)))

    def test_knownElevations(self) -> None:
        self.assertApproximates(self.degrees(50, 172, NOON), 63.44, 0.1)
        self.assertApproximates(self.degrees(50, 355, NOON), 16.56, 0.1)
        self.assertApproximates(self.degrees(0, 80, NOON), 90, 1.5)
        self.assertApproximates(self.degrees(0, 80, NOON / 2), 0, 0.1)
        self.assertApproximates(self.degrees(-35, 355, NOON), 78.44, 0.1)

    @given(latitudes, days, times)
    def test_itStandsHighestAtSolarNoon(self, latitude: float, day: int, time: float) -> None:
        noon = sineOfElevation(latitude, day, NOON)
        self.assertLessEqual(sineOfElevation(latitude, day, time), noon + 1e-12)

    @given(latitudes, days, times)
    def test_morningAndAfternoonMirrorEachOther(
        self, latitude: float, day: int, time: float
    ) -> None:
        self.assertAlmostEqual(
            sineOfElevation(latitude, day, time),
            sineOfElevation(latitude, day, DAY_SECONDS - time),
        )

    @given(st.floats(-1, 0))
    def test_itGivesNothingBelowTheHorizon(self, elevation: float) -> None:
        self.assertEqual(clearSky(elevation), 0.0)

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_itGivesMoreTheHigherItStands(self, one: float, other: float) -> None:
        lower, higher = sorted((one, other))
        self.assertLessEqual(clearSky(lower), clearSky(higher))

    def test_sunlightOfKnownElevations(self) -> None:
        self.assertAlmostEqual(clearSky(1.0), 1.037, places=3)
        self.assertAlmostEqual(clearSky(0.5), 0.490, places=3)
