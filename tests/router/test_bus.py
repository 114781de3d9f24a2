"""One bus, one driver: who hears of two lets nothing flow, and everybody gets to hear of it."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.router.bus import (
    CLEAR_SECONDS,
    LIFETIME_SECONDS,
    MOST_DRIVERS,
    WAY_SECONDS,
    Bus,
    BusSettings,
    Claim,
)

MEMBER, DRIVER = BusSettings("street"), BusSettings("street", driver=True)


def claim(*drivers: str, bus: str = "street", age_s: float = 0.0) -> Claim:
    return Claim(bus, drivers, age_s)


class BusTests(SynchronousTestCase):
    def test_aDriverNamesItselfAndAMemberWhomItHeard(self) -> None:
        self.assertEqual(Bus("a", DRIVER).claim(0.0), claim("a"))
        member = Bus("m", MEMBER)
        self.assertEqual(member.claim(0.0), claim())
        member.heard(claim("a"), 1.0)
        self.assertEqual(member.claim(1.5), claim("a", age_s=WAY_SECONDS + 0.5))
        self.assertIsNone(Bus("x").claim(0.0))

    def test_oneDriverIsNoAlarm(self) -> None:
        for bus in (Bus("a", DRIVER), Bus("m", MEMBER), Bus("x")):
            bus.heard(claim("a"), 1.0)
            self.assertFalse(bus.look(1.0))
            self.assertFalse(bus.alarm)

    def test_twoDriversAre(self) -> None:
        driver, member = Bus("a", DRIVER), Bus("m", MEMBER)
        driver.heard(claim("b"), 1.0)
        member.heard(claim("a"), 1.0)
        member.heard(claim("b"), 1.0)
        for bus in (driver, member):
            self.assertTrue(bus.look(1.0))
            self.assertTrue(bus.alarm)
            self.assertFalse(bus.look(1.0), "it has not changed again")
            self.assertEqual(bus.drivers(1.0), ("a", "b"))

    def test_anotherBusIsNoneOfOurs(self) -> None:
        bus = Bus("a", DRIVER)
        bus.heard(claim("b", bus="elsewhere"), 1.0)
        self.assertFalse(bus.look(1.0))
        elsewhere = Bus("x")
        elsewhere.heard(claim("a", "b"), 1.0)
        self.assertFalse(elsewhere.look(1.0))

    def test_theAlarmEndsAMinuteAfterTheSecondDriver(self) -> None:
        bus = Bus("a", DRIVER)
        bus.heard(claim("b"), 0.0)
        bus.look(0.0)
        for tenths in range(1, int(10 * (LIFETIME_SECONDS - WAY_SECONDS + CLEAR_SECONDS))):
            bus.look(tenths / 10)
            self.assertTrue(bus.alarm)
        self.assertTrue(bus.look(LIFETIME_SECONDS + CLEAR_SECONDS))
        self.assertFalse(bus.alarm)

    def test_aSecondDriverThatShowsUpAgainStartsTheMinuteAnew(self) -> None:
        bus = Bus("a", DRIVER)
        bus.heard(claim("b"), 0.0)
        bus.look(0.0)
        bus.look(50.0)
        bus.heard(claim("b"), 60.0)
        bus.look(60.0)
        bus.look(60.0 + LIFETIME_SECONDS)
        bus.look(59.0 + LIFETIME_SECONDS + CLEAR_SECONDS)
        self.assertTrue(bus.alarm)
        bus.look(60.0 + LIFETIME_SECONDS + CLEAR_SECONDS)
        self.assertFalse(bus.alarm)

    def test_anOperatorEndsItOnceThereIsOneDriver(self) -> None:
        bus = Bus("a", DRIVER)
        bus.heard(claim("b"), 0.0)
        bus.look(0.0)
        error = self.assertRaises(UsageError, bus.clear, 1.0)
        self.assertIn("a and b", str(error))
        self.assertTrue(bus.alarm)
        bus.clear(LIFETIME_SECONDS)
        self.assertFalse(bus.alarm)
        self.assertFalse(bus.look(LIFETIME_SECONDS))

    def test_whoIsDescribedAnewBeginsAnew(self) -> None:
        bus = Bus("a", DRIVER)
        bus.heard(claim("b"), 0.0)
        bus.look(0.0)
        bus.describe(DRIVER)
        self.assertTrue(bus.alarm)
        bus.describe(MEMBER)
        self.assertFalse(bus.alarm)
        self.assertFalse(bus.look(0.0))

    def test_whatIsOldIsForgottenHoweverOftenItIsTold(self) -> None:
        bus = Bus("a", DRIVER)
        bus.heard(claim("b", age_s=LIFETIME_SECONDS), 10.0)
        self.assertFalse(bus.look(10.0))
        bus.heard(claim("b", age_s=-5.0), 10.0)
        self.assertEqual(bus.drivers(10.0 + LIFETIME_SECONDS), ("a",))

    def test_itsMemoryIsBounded(self) -> None:
        bus = Bus("a", MEMBER)
        bus.heard(claim(*(f"driver-{number}" for number in range(1000))), 0.0)
        self.assertEqual(len(bus.drivers(0.0)), MOST_DRIVERS)

    def test_aClockThatJumpsBackKeepsNoBusDead(self) -> None:
        bus = Bus("a", DRIVER)
        bus.heard(claim("b"), 1000.0)
        bus.look(1000.0)
        bus.look(1010.0)
        bus.describe(DRIVER)
        bus.look(0.0)
        self.assertTrue(bus.alarm)
        bus.heard(claim(), 1010.0)
        bus.look(5.0)
        bus.look(5.0 + CLEAR_SECONDS)
        self.assertFalse(bus.alarm)

    def test_badNames(self) -> None:
        for name in ("", "x" * 257):
            self.assertRaises(UsageError, BusSettings, name)


@st.composite
def buses(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], set[int]]:
    """Routers on a bus, who has sessions with whom (all are in touch), and who drives."""
    count = draw(st.integers(2, 8))
    sessions = [(draw(st.integers(0, n - 1)), n) for n in range(1, count)]
    some = st.integers(0, count - 1)
    sessions += draw(st.lists(st.tuples(some, some), max_size=6))
    drivers = draw(st.sets(some, min_size=1, max_size=3))
    return count, [(a, b) for a, b in sessions if a != b], drivers


class StreetTests(SynchronousTestCase):
    @settings(max_examples=100, deadline=None)
    @given(buses(), st.integers(0, 1000))
    def test_allHearOfTwoDriversAndNobodyForEver(
        self, made: tuple[int, list[tuple[int, int]], set[int]], seed: int
    ) -> None:
        count, sessions, drivers = made
        chance = random.Random(seed)
        routers = [Bus(f"r{n}", DRIVER if n in drivers else MEMBER) for n in range(count)]
        now = 0.0

        def talk(times: int, every: float = 0.1) -> None:
            """All tell all they have sessions with, so many times, in any order."""
            nonlocal now
            for _ in range(times):
                now += every
                chance.shuffle(sessions)
                late = chance.uniform(0.0, WAY_SECONDS)
                for a, b in sessions:
                    for teller, hearer in ((a, b), (b, a)):
                        told = routers[teller].claim(now - late)
                        assert told is not None
                        routers[hearer].heard(told, now)
                for router in routers:
                    router.look(now)

        talk(count)
        self.assertEqual({router.alarm for router in routers}, {len(drivers) > 1})
        for number in sorted(drivers)[1:]:
            routers[number].describe(MEMBER)
        talk(round(LIFETIME_SECONDS * 10))
        left = {f"r{min(drivers)}"}
        self.assertEqual({d for router in routers for d in router.drivers(now)}, left)
        talk(round(CLEAR_SECONDS) + 1, every=1.0)
        self.assertFalse(any(router.alarm for router in routers))
