"""The forms of timestamps: wire-profile V4."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from twisted.trial.unittest import SynchronousTestCase

from epnet.wire.timestamps import formatTimestamp, parseTimestamp

NOON = datetime(2025, 2, 1, 12, tzinfo=UTC)


class ParseTests(SynchronousTestCase):
    def test_V4_forms(self) -> None:
        for text, moment, codes in (
            ("2025-02-01T12:00:00Z", NOON, []),
            ("2025-02-01t12:00:00z", NOON, []),
            ("2025-02-01T12:00:00+00:00", NOON, []),
            ("2025-02-01T12:00:00-00:00", NOON, []),
            ("2025-02-01T14:30:00+02:30", NOON, []),
            ("2025-02-01T12:00:00.5Z", NOON + timedelta(seconds=0.5), []),
            ("2025-02-01T12:00:00.1234560Z", NOON + timedelta(microseconds=123456), []),
            ("2025-02-01", NOON - timedelta(hours=12), ["timestamp.form", "timestamp.zone"]),
            ("2025-02-01 12:00:00Z", NOON, ["timestamp.form"]),
            ("2025-02-01T12:00Z", NOON, ["timestamp.form"]),
            ("2025-02-01 12:00", NOON, ["timestamp.form", "timestamp.zone"]),
            ("2025-02-01T12:00:00", NOON, ["timestamp.zone"]),
            (
                "2025-02-01T12:00:00.0000009Z",
                NOON,
                ["timestamp.precision"],
            ),
            ("2025-02-01T11:59:60Z", NOON, ["timestamp.precision"]),
            ("2025-02-01T11:59:60.9Z", NOON, ["timestamp.precision"]),
        ):
            self.assertEqual(parseTimestamp(text), (moment, codes), text)

    def test_V4_offsetsAreKept(self) -> None:
        moment, _ = parseTimestamp("2025-02-01T12:00:00-03:30")
        self.assertEqual(moment.utcoffset(), -timedelta(hours=3, minutes=30))

    def test_whatIsNoTimestamp(self) -> None:
        for text in (
            "",
            "2025",
            "20250201",
            "2025-W05-6",
            "2025-02-01T",
            "2025-02-01T12",
            "2025-02-01T12:00:00,5Z",
            "2025-02-01T12:00:00.Z",
            "2025-02-01T12:00:00Z\n",
            "2025-02-01  12:00",
            "2025-02-01Z",
            "2025-02-01T12:00:00+0200",
            "2025-02-01T12:00:00+24:00",
            "2025-02-01T12:00:00+01:60",
            "2025-02-29T12:00:00Z",
            "2025-02-01T25:00:00Z",
            "2025-02-01T12:00:61Z",
            "0000-02-01T12:00:00Z",
            "9999-12-31T23:59:60Z",
            "\u0662\u0660\u0662\u0665-\u0660\u0662-\u0660\u0661",
        ):
            with self.assertRaises((ValueError, OverflowError), msg=text):
                parseTimestamp(text)


class FormatTests(SynchronousTestCase):
    def test_V4_forms(self) -> None:
        for moment, text in (
            (NOON, "2025-02-01T12:00:00Z"),
            (NOON.astimezone(timezone(timedelta(hours=2))), "2025-02-01T14:00:00+02:00"),
            (
                NOON.astimezone(timezone(-timedelta(hours=3, minutes=30))),
                "2025-02-01T08:30:00-03:30",
            ),
            (NOON.astimezone(timezone(timedelta(seconds=1))), "2025-02-01T12:00:00Z"),
            (NOON + timedelta(seconds=0.5), "2025-02-01T12:00:00.5Z"),
            (NOON + timedelta(microseconds=1), "2025-02-01T12:00:00.000001Z"),
            (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        ):
            self.assertEqual(formatTimestamp(moment), text)

    def test_naive(self) -> None:
        self.assertRaises(ValueError, formatTimestamp, NOON.replace(tzinfo=None))
