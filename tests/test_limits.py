"""How many may connect, who makes room, how fast is too fast."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.limits import ConnectionLimits, MessageRate, Strangers, neighbourhood

SUPPLY, DEMAND = 1, 2


class ConnectionLimitsTests(SynchronousTestCase):
    def test_theDefaultsLeaveRoomForStrangersOfManyAddresses(self) -> None:
        limits = ConnectionLimits()
        self.assertLess(limits.strangersPerAddress, limits.strangers)

    def test_whatIsOutOfRangeIsSaidByName(self) -> None:
        error = self.assertRaises(UsageError, ConnectionLimits, strangers=0)
        self.assertEqual(str(error), "strangers is 0: it must be between 1 and 100000")


class NeighbourhoodTests(SynchronousTestCase):
    def test_anIPv4AddressIsItself(self) -> None:
        self.assertEqual(neighbourhood("192.0.2.7"), "192.0.2.7")

    def test_anIPv4AddressOnASocketForBothFamiliesIsTheSame(self) -> None:
        self.assertEqual(neighbourhood("::ffff:192.0.2.7"), "192.0.2.7")

    def test_anIPv6NetworkOf64BitsIsOne(self) -> None:
        self.assertEqual(neighbourhood("2001:db8:0:1::7"), neighbourhood("2001:db8:0:1:ffff::1"))
        self.assertNotEqual(neighbourhood("2001:db8:0:1::7"), neighbourhood("2001:db8:0:2::7"))

    def test_linkLocalAddressesCountSingly(self) -> None:
        self.assertNotEqual(neighbourhood("fe80::1%eth0"), neighbourhood("fe80::2%eth0"))

    def test_whatIsNoAddressIsItself(self) -> None:
        self.assertEqual(neighbourhood("/run/ep.sock"), "/run/ep.sock")


class StrangersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.strangers: Strangers[str] = Strangers(most=4, mostPerAddress=3)

    def arrive(self, *names: str) -> list[str | None]:
        """Let strangers arrive; the address is the first letter of the name."""
        return [self.strangers.arrived(name, name[0]) for name in names]

    def test_S4_atTheCapOfAnAddressItsOldestMakesRoom(self) -> None:
        self.assertEqual(self.arrive("b1", "a1", "a2", "a3", "a4"), [None] * 4 + ["a1"])

    def test_S4_atTheTotalTheOldestOfTheBusiestAddressMakesRoom(self) -> None:
        self.assertEqual(self.arrive("b1", "a1", "a2", "c1", "d1"), [None] * 4 + ["a1"])

    def test_S4_ofManyAddressesTheOldestMakesRoom(self) -> None:
        self.assertEqual(self.arrive("a1", "b1", "c1", "d1", "e1"), [None] * 4 + ["a1"])

    def test_whoLeftDoesNotCount(self) -> None:
        self.arrive("a1", "a2", "a3")
        self.strangers.left("a1")
        self.assertEqual(self.arrive("a4"), [None])

    def test_leavingTwiceIsFine(self) -> None:
        self.arrive("a1")
        self.strangers.left("a1")
        self.strangers.left("a1")
        self.assertEqual(len(self.strangers), 0)

    @given(st.lists(st.integers(0, 6), max_size=60))
    def test_S4_neverMoreThanAllowedAndNeverTheNewcomer(self, addresses: list[int]) -> None:
        strangers: Strangers[int] = Strangers(most=7, mostPerAddress=3)
        present: dict[int, str] = {}
        for number, address in enumerate(map(str, addresses)):
            present[number] = address
            madeRoom = strangers.arrived(number, address)
            if madeRoom is not None:
                del present[madeRoom]
            self.assertIn(number, present)
            self.assertEqual(list(strangers), list(present))
            self.assertLessEqual(len(present), 7)
            self.assertLessEqual(list(present.values()).count(address), 3)


class MessageRateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rate = MessageRate(0.0)
        self.now = 0.0

    def second(self, *counts: tuple[int, int], lasting: float = 1.0) -> int | None:
        """Let a second pass with so many messages of each type."""
        for typeId, count in counts:
            for _ in range(count):
                self.assertFalse(self.rate.count(typeId, self.now + lasting))
        self.now += lasting
        return self.rate.tooFast(self.now)

    def test_S8_moreThan100ASecondForFiveSecondsIsTooFast(self) -> None:
        said = [self.second((SUPPLY, 150)) for _ in range(5)]
        self.assertEqual(said, [None] * 4 + [SUPPLY])

    def test_S8_100ASecondIsNotWhereverASecondIsCut(self) -> None:
        for _ in range(50):
            self.assertIsNone(self.second((SUPPLY, 101)))

    def test_S8_itTakesFiveSecondsOnEnd(self) -> None:
        for _ in range(4):
            self.second((SUPPLY, 150))
        self.second((SUPPLY, 50))
        self.assertIsNone(self.second((SUPPLY, 150)))

    def test_S8_eachTypeCountsForItself(self) -> None:
        for _ in range(10):
            self.assertIsNone(self.second((SUPPLY, 80), (DEMAND, 80)))

    def test_aStallOfOursMakesNobodyFast(self) -> None:
        for _ in range(10):
            self.assertIsNone(self.second((SUPPLY, 300), lasting=3.0))

    def test_itIsJudgedOnceASecond(self) -> None:
        for _ in range(50):
            self.assertIsNone(self.second((SUPPLY, 8), lasting=0.02))

    def many(self, count: int, typeId: int = SUPPLY) -> bool:
        """So many at once; whether the last one was too many."""
        for _ in range(count):
            tooMany = self.rate.count(typeId, self.now)
        return tooMany

    def test_S8_whatIsTooMuchInFiveSecondsIsTooMuchAtOnce(self) -> None:
        self.assertFalse(self.many(500))
        self.assertTrue(self.many(1))

    def test_S8_butNotOfWhomWeHaveNotReadForLong(self) -> None:
        self.now = 3.0
        self.assertFalse(self.many(800))
        self.assertTrue(self.many(1))

    def test_S8_manyDifferentTypesCountAsOne(self) -> None:
        self.assertTrue(any(self.many(1, typeId) for typeId in range(1000)))

    def test_S8_theUsualOnesStillCountForThemselves(self) -> None:
        self.many(400, SUPPLY)
        for typeId in range(1000, 1400):
            self.assertFalse(self.many(1, typeId))
        self.assertFalse(self.many(100, SUPPLY))
