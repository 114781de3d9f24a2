"""The history in SQLite: what is written is read, downsampled by age, and survives."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.interfaces import IHistoryStore, Sample, Span
from epnet.observe import sqlite
from epnet.observe.sqlite import SqliteStore

DAY = 86400
T0 = 1_800_000_000 - 1_800_000_000 % 900


def ramp(start: int, seconds: int, every: int = 1, device: str = "car") -> Iterable[Sample]:
    """A field that rises by one a second."""
    for number in range(0, seconds, every):
        yield Sample(start + number, device, {"export_w": float(number)})


class StoreTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.store = self.open()

    def open(self, keepDays: float = 3650) -> SqliteStore:
        store = SqliteStore(self.path, keepDays)
        self.addCleanup(store.close)
        return store

    def read(self, start: int, end: int, step: int, most: int = 100_000) -> list[Span]:
        return self.store.read("car", ["export_w"], start, end, step, most)

    def counts(self, start: int = 0, end: int = 2**62) -> list[int]:
        """The rows of each level, of a time."""
        with sqlite3.connect(self.path) as database:
            query = "SELECT count(*) FROM span WHERE level = ? AND time >= ? AND time < ?"
            found = [database.execute(query, [level, start, end]) for level in range(3)]
            return [rows.fetchone()[0] for rows in found]


class WriteAndReadTests(StoreTestCase):
    def test_itIsAStore(self) -> None:
        verifyObject(IHistoryStore, self.store)

    def test_secondsComeBack(self) -> None:
        values = {"import_w": 1.5, "storage.soc": 62.25}
        self.store.write([Sample(T0, "battery", values), *ramp(T0, 3)])
        self.assertEqual(self.store.devices(), ["battery", "car"])
        [span] = self.store.read("battery", [], T0, T0 + 10, 1, 9)
        self.assertEqual(span.time, T0)
        self.assertEqual(span.values, {name: (v, v, v) for name, v in values.items()})
        self.assertEqual([span.time - T0 for span in self.read(T0, T0 + 9, 1)], [0, 1, 2])
        self.assertEqual([span.time - T0 for span in self.read(T0 + 1, T0 + 2, 1)], [1])
        self.assertEqual(self.store.read("nobody", [], T0, T0 + 9, 1, 9), [])
        self.assertEqual(self.store.read("car", ["other"], T0, T0 + 9, 1, 9), [])

    def test_namesWithoutEndAreNotAllHeldInMind(self) -> None:
        """Where nobody vouches for names, as with trust ``open``, there may be any number."""
        self.patch(sqlite, "MOST_IN_MIND", 5)
        for second in range(100):
            self.store.write([Sample(T0 + second, f"name-{second}", {"export_w": 1.0})])
            self.store.write([Sample(T0 + second, "car", {"export_w": float(second)})])
        self.assertLessEqual(len(self.store._devices), 7)
        self.assertLessEqual(len(self.store._rolled), 14)
        self.assertEqual(len(self.store.devices()), 101)
        self.assertEqual(self.counts()[1], 1)  # the minute that is over
        self.assertEqual(len(self.read(T0, T0 + 100, 1)), 100)
        self.assertEqual(self.store.read("name-7", [], T0, T0 + 100, 1, 9)[0].time, T0 + 7)

    def test_anyStepIsMeanLeastAndMost(self) -> None:
        self.store.write(list(ramp(T0, 25)))
        spans = self.read(T0, T0 + 60, 10)
        self.assertEqual(
            [(span.time - T0, span.values["export_w"]) for span in spans],
            [(0, (4.5, 0, 9)), (10, (14.5, 10, 19)), (20, (22, 20, 24))],
        )

    def test_minutesAndQuartersAreMadeWhenTheyAreOver(self) -> None:
        self.store.write(list(ramp(T0, 1000)))
        self.assertEqual(self.counts(), [1000, 16, 1])
        spans = self.read(T0, T0 + 3600, 900)
        self.assertEqual(
            [(span.time - T0, span.values["export_w"]) for span in spans],
            [(0, (449.5, 0, 899)), (900, (949.5, 900, 999))],
        )

    def test_aPageAtATime(self) -> None:
        self.store.write(list(ramp(T0, 100)))
        first = self.read(T0, T0 + 100, 1, 60)
        rest = self.read(first[-1].time + 1, T0 + 100, 1, 60)
        self.assertEqual([each.time - T0 for each in first + rest], list(range(100)))

    def test_itIsThereAgain(self) -> None:
        self.store.write(list(ramp(T0, 130)))
        before = self.read(T0, T0 + 200, 60)
        self.store.close()
        self.assertEqual(self.read(T0, T0 + 200, 60), before)
        self.store = self.open()
        self.store.write([Sample(T0 + 130, "car", {"export_w": 130.0})])
        self.store.write(list(ramp(T0 + 180, 1)))
        self.assertEqual(self.counts(), [132, 3, 0])
        [span] = self.read(T0 + 120, T0 + 180, 60)
        self.assertEqual(span.values["export_w"], (125, 120, 130))

    @settings(max_examples=30, deadline=None)
    @given(
        times=st.lists(st.integers(T0 - 4000, T0 + 4000), unique=True, max_size=60),
        step=st.sampled_from([1, 7, 60, 300, 900, 2700]),
        data=st.data(),
    )
    def test_aSpanIsWhatItsSecondsAre(
        self, times: list[int], step: int, data: st.DataObject
    ) -> None:
        """However the samples come in batches, and whichever level they are read from."""
        store = SqliteStore(Path(self.mktemp()))
        try:
            left = sorted(times)
            while left:
                size = data.draw(st.integers(1, len(left)))
                batch, left = left[:size], left[size:]
                store.write([Sample(time, "car", {"w": float(time % 97)}) for time in batch])
            spans = store.read("car", [], T0 - 5400, T0 + 5400, step, 99_999)
        finally:
            store.close()
        expected: dict[int, list[float]] = {}
        for time in times:
            expected.setdefault(time - time % step, []).append(float(time % 97))
        self.assertEqual([span.time for span in spans], sorted(expected))
        for span in spans:
            values = expected[span.time]
            mean, least, most = span.values["w"]
            self.assertAlmostEqual(mean, sum(values) / len(values))
            self.assertEqual((least, most), (min(values), max(values)))


def day(end: int, device: str = "car") -> Iterable[Sample]:
    """A day until about `end`, with a sample each quarter of an hour."""
    for time in range(end - DAY - 900, end + 1, 900):
        yield Sample(time, device, {"export_w": 0.0})


class AgeTests(StoreTestCase):
    def test_finePiecesGoAndCoarseOnesStay(self) -> None:
        self.store.write(list(ramp(T0, 3600, 20)))
        self.store.write(list(day(T0 + 3 * DAY)))
        self.assertEqual(self.counts(T0, T0 + DAY), [0, 60, 4])
        spans = self.read(T0, T0 + 3600, 1)
        self.assertEqual([span.time - T0 for span in spans], list(range(0, 3600, 60)))
        self.assertEqual(spans[1].values["export_w"], (80, 60, 100))
        self.store.write(list(day(T0 + 40 * DAY)))
        self.assertEqual(self.counts(T0, T0 + DAY), [0, 0, 4])
        self.assertEqual(len(self.read(T0, T0 + 3600, 1)), 4)

    def test_nothingIsKeptLongerThanAsked(self) -> None:
        self.store = self.open(keepDays=10)
        self.store.write(list(ramp(T0, 3600, 20)))
        self.store.write(list(day(T0 + 11 * DAY)))
        self.assertEqual(self.counts(T0, T0 + DAY), [0, 0, 0])

    def test_aDeviceThatIsGoneAgesToo(self) -> None:
        self.store.write(list(ramp(T0, 60, device="gone")))
        self.store.close()
        self.store.write(list(day(T0 + 3 * DAY)))
        self.assertEqual(self.counts(T0, T0 + DAY)[0], 0)


class ClockTests(StoreTestCase):
    """A wall clock that jumps."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.open(keepDays=30)
        self.store.write([*day(T0), *ramp(T0 + 900, 3700)])

    def assertKept(self) -> None:
        self.assertEqual(self.counts(T0, T0 + 4500), [3601, 61, 5])

    def test_aYearAheadAndBackLosesNothing(self) -> None:
        before = self.read(T0, T0 + 4560, 60)
        for hour in range(23):
            self.store.write(list(ramp(T0 + 365 * DAY + hour * 3600, 3600, 300)))
        self.assertKept()
        self.store.write(list(ramp(T0 + 4600, 600)))
        self.assertEqual(self.read(T0, T0 + 4560, 60), before)
        self.assertEqual(len(self.read(T0 + 4600, T0 + 5200, 1)), 600)

    def test_norDoesItWhereTheProgramBeginsAnewMeanwhile(self) -> None:
        for hour in range(23):
            self.store.close()
            self.store.write(list(ramp(T0 + 365 * DAY + hour * 3600, 3600, 300)))
        self.assertKept()

    def test_aClockThatStaysThereIsBelievedAfterADay(self) -> None:
        self.store.write(list(ramp(T0 + 365 * DAY, 3600, 300)))
        self.store.write(list(day(T0 + 367 * DAY)))
        self.assertEqual(self.counts(T0, T0 + DAY), [0, 0, 0])

    def test_aClockAtItsBeginningLosesNothing(self) -> None:
        self.store.write(list(ramp(0, 7200, 300)))
        self.store.write(list(day(3 * DAY)))
        self.assertKept()
        self.store.write(list(ramp(T0 + 4600, 1)))
        self.assertEqual(self.counts(0, T0 - 2 * DAY), [0, 0, 0])
        self.assertKept()

    def test_aClockSetBackWritesAnew(self) -> None:
        self.store.write(list(ramp(T0 + 7200, 120)))
        self.store.write(list(ramp(T0, 180)))
        spans = self.read(T0, T0 + 180, 60)
        self.assertEqual([span.values["export_w"][0] for span in spans], [29.5, 89.5, 149.5])
        self.store.close()
        self.store.write(list(ramp(T0 + 180, 61)))
        self.assertEqual(self.read(T0 + 180, T0 + 240, 60)[0].values["export_w"], (29.5, 0, 59))


class TroubleTests(StoreTestCase):
    def test_onlyWeMayReadIt(self) -> None:
        self.store.write(list(ramp(T0, 1)))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_itIsAllOrNothing(self) -> None:
        self.store.write(list(ramp(T0, 5)))
        broken = Sample(T0 + 9, "car", {"export_w": "no number"})  # type: ignore[dict-item]
        self.assertRaises(struct.error, self.store.write, [*ramp(T0 + 5, 4), broken])
        self.store.close()
        self.assertEqual(len(self.read(T0, T0 + 99, 1)), 5)

    def test_aBrokenFileIsPutAside(self) -> None:
        self.store.write(list(ramp(T0, 50)))
        self.store.close()
        content = bytearray(self.path.read_bytes())
        content[100:] = b"\xa5" * (len(content) - 100)
        self.path.write_bytes(content)
        error = self.assertRaises(sqlite3.OperationalError, self.store.write, list(ramp(T0, 1)))
        self.assertIn("was broken and is now", str(error))
        self.store.write(list(ramp(T0, 1)))
        self.assertEqual(len(self.read(T0, T0 + 9, 1)), 1)
        [aside] = self.path.parent.glob(f"{self.path.name}.broken-*")
        self.assertEqual(aside.read_bytes(), content)

    def test_whatIsNoDatabaseIsPutAside(self) -> None:
        self.path.write_bytes(b"no database, " * 100)
        self.assertRaises(sqlite3.OperationalError, self.store.write, list(ramp(T0, 1)))
        self.store.write(list(ramp(T0, 1)))
        self.assertEqual(self.counts()[0], 1)

    def test_aFullDiskLosesNothingThatWasWritten(self) -> None:
        self.store.write(list(ramp(T0, 50)))
        pages = self.store._database().execute("PRAGMA page_count").fetchone()[0]
        self.store._database().execute(f"PRAGMA max_page_count = {pages}")
        many = list(ramp(T0 + 50, 5000))
        error = self.assertRaises(sqlite3.OperationalError, self.store.write, many)
        self.assertIn("full", str(error))
        self.store.close()
        self.assertEqual(len(self.read(T0, T0 + 9999, 1)), 50)
        self.store.write(many)
        self.assertEqual(len(self.read(T0, T0 + 9999, 1)), 5050)

    def test_aFolderThatIsGone(self) -> None:
        store = SqliteStore(self.path / "nowhere" / "history.db")
        self.assertRaises(OSError, store.write, list(ramp(T0, 1)))
