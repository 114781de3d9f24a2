"""What fuzzing found, and that its targets hold for what it starts from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo

from twisted.trial.unittest import SynchronousTestCase

from epnet.wire import Price, SupplyParameters, decode, encode, encodeFrame
from tests.fuzz import seeds, targets


class SeedTests(SynchronousTestCase):
    def test_streams(self) -> None:
        for data in seeds.streams():
            targets.stream(data)

    def test_payloads(self) -> None:
        for data in seeds.payloads():
            targets.payload(data)
            targets.modes(data)
            targets.form(data)

    def test_changes(self) -> None:
        for data in seeds.changes():
            targets.alike(data)


class QuoteTests(SynchronousTestCase):
    def test_aDeepValueIsQuotedInPart(self) -> None:
        value = b"\x66quoted"
        for _ in range(3):
            value = b"\x86" + value * 6
        for field in (3, 4, 5):
            payload = bytes([0xA1, field]) + value
            [diagnostic] = decode(encodeFrame(SupplyParameters.typeId, payload)).diagnostics
            self.assertIn(" belongs", diagnostic.text)
            self.assertLess(len(diagnostic.text), 200)


class Berlin(tzinfo):
    """The time zone in the night in which its clocks were put back from 3:00 to 2:00."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        return timedelta(hours=1 if moment.fold or moment.hour > 2 else 2)

    def dst(self, moment: datetime | None) -> timedelta:
        return self.utcoffset(moment) - timedelta(hours=1)

    def tzname(self, moment: datetime | None) -> str:
        return "Berlin"


class TimeZoneTests(SynchronousTestCase):
    """V4, V9: prices at times that a clock shows twice."""

    def setUp(self) -> None:
        night = datetime(2025, 10, 26, tzinfo=Berlin())
        self.summer = Price(night.replace(hour=2, minute=45), 1, "EUR")
        self.winter = Price(night.replace(hour=2, minute=15, fold=1), 2, "EUR")
        self.supply = SupplyParameters(energy_prices=[self.winter, self.summer])

    def test_theyAreInOrder(self) -> None:
        assert self.supply.energy_prices is not None
        self.assertEqual([price.amount for price in self.supply.energy_prices], [1, 2])

    def test_theyAreTheSameOnTheOtherSide(self) -> None:
        again = decode(encode(self.supply)).message
        self.assertEqual(again, self.supply)
        self.assertEqual(repr(again), repr(self.supply))

    def test_theyKeepTheirOffsets(self) -> None:
        assert self.supply.energy_prices is not None
        offsets = [price.timestamp.utcoffset() for price in self.supply.energy_prices]
        self.assertEqual(offsets, [timedelta(hours=2), timedelta(hours=1)])

    def test_foldMeansNothingWhereTheOffsetIsFixed(self) -> None:
        for zone in (UTC, timezone(timedelta(hours=2))):
            moment = datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=zone)
            supply = SupplyParameters(energy_prices=[Price(moment, 1, "EUR")])
            self.assertEqual(repr(decode(encode(supply)).message), repr(supply))
