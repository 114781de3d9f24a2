"""A frame byte by byte."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from epnet.wire import (
    Frame,
    FrameReader,
    Isolation,
    IsolationState,
    Ping,
    Price,
    Source,
    SupplyParameters,
    UnknownMessage,
    encode,
    encodeFrame,
)
from epnet.wire.annotate import ROW, annotate
from tests.wire import helpers
from tests.wire.test_properties import mutated


def annotated(data: bytes) -> list[tuple[int, str, str]]:
    """Depth, bytes in hex, and text of each line of the payload of a frame."""
    lines = annotate(helpers.frameIn(data), data)
    return [(line.depth, line.data.hex(), line.text) for line in lines[4:]]


def payload(text: str, typeId: int = helpers.SUPPLY) -> list[tuple[int, str, str]]:
    return annotated(encodeFrame(typeId, bytes.fromhex(text)))


class AnnotateTests(SynchronousTestCase):
    def test_whatComesBeforeThePayload(self) -> None:
        data = encode(UnknownMessage(typeId=0x01234567, payload=b"\1\2"), {0x100: b"\x61a"})
        lines = annotate(helpers.frameIn(data), data)
        self.assertEqual(
            [(line.data.hex(), line.text) for line in lines],
            [
                ("9a00000003", "frame start"),
                ("a11901006161", "headers 0x100: 6161"),
                ("1a01234567", "message type 0x01234567: not known"),
                ("42", "payload of 2 bytes"),
                ("0102", "not decoded: the message type is not known"),
            ],
        )

    def test_noPayload(self) -> None:
        data = b"\x83" + encode(Ping())[5:]
        lines = annotate(helpers.frameIn(data), data)
        self.assertEqual([line.data.hex() for line in lines], ["83", "f6", "1affffffff", "f6"])
        self.assertEqual(lines[-1].text, "no payload")

    def test_everyValueType(self) -> None:
        supply = SupplyParameters(
            voltage_limit=(200, 1000.5),
            power_limit=5000,
            power_mix={Source.WIND: 70, 77: 30},
            energy_prices=[Price(datetime(2025, 6, 1, tzinfo=UTC), 1, "SEK")],
            isolation=Isolation(IsolationState.OK, 5),
            unknown={0x4D: b"\x01", b"\x61a": b"\x41\xff"},
        )
        texts = [(depth, text) for depth, _, text in annotated(encode(supply)) if text]
        self.assertEqual(
            texts,
            [
                (0, "SupplyParameters, fields: 7"),
                (1, "voltage_limit (Bounds(Voltage))"),
                (2, "min: 200 V"),
                (2, "max: 1000.5 V"),
                (1, "power_limit: 5000 W"),
                (1, "power_mix (SourceMix)"),
                (2, "Wind: 70 %"),
                (2, "0x4d: 30 %"),
                (1, "energy_prices (Array(Price))"),
                (2, "[0]"),
                (3, "timestamp: '2025-06-01T00:00:00Z'"),
                (3, "amount: 1"),
                (3, "currency: 'SEK'"),
                (1, "isolation (Isolation)"),
                (2, "state: Ok"),
                (2, "negative: 5 Ω"),
                (2, "positive: not given"),
                (1, "0x4d, not known: 1"),
                (1, "6161, not known: ff"),
            ],
        )

    def test_theBytesOfAField(self) -> None:
        self.assertIn((1, "02a112191388", "power_limit: 5000 W"), payload("a102a112191388"))

    def test_longValuesGoOverSeveralLines(self) -> None:
        lines = payload("a101a10071" + 17 * "61", helpers.DISCONNECT)
        self.assertEqual(lines[1], (1, "01a10071" + 8 * "61", f"reason: '{17 * 'a'}'"))
        self.assertEqual(lines[2], (1, 9 * "61", ""))

    def test_valuesThatAreInvalid(self) -> None:
        for text, line in (
            ("a102a11101", (1, "02a11101", "power_limit: not Power: {17: 1}")),
            ("a10205", (1, "0205", "power_limit: not Power: 5")),
            ("a102a212011801f6", (1, "02a212011801f6", "power_limit: not Power: {1: None, 18: 1}")),
            ("a100a1182005", (1, "00a1182005", "voltage_limit: not Bounds(Voltage): {32: 5}")),
            ("a103a118408105", (2, "05", "5")),
            ("a104a118308105", (2, "05", "5")),
            ("a103a11840a101a1141846", (2, "01a1141846", "Wind: 70 %")),
            ("a103a1184081a16141a11401", (2, "a16141a11401", "6141: 1 %")),
            ("a107a118508107", (2, "07", "state: 7")),
            ("a107a118508407f6f601", (1, "01", "more than belongs here")),
            ("bf02a11201ff", (0, "ff", "end")),
            ("80", (0, "80", "[]")),
            ("a102", (0, "a102", "not decoded: ends inside an item (byte 2 of it)")),
        ):
            self.assertIn(line, payload(text))

    @given(mutated())
    def test_everyByteIsInOneLine(self, data: bytes) -> None:
        for frame in FrameReader(giveUp=None).feed(data):
            if isinstance(frame, Frame):
                own = data[frame.offset : frame.offset + frame.length]
                lines = annotate(frame, own)
                self.assertEqual(b"".join(line.data for line in lines), own)
                self.assertTrue(all(len(line.data) in range(1, ROW + 1) for line in lines))
                self.assertTrue(all(line.text.isprintable() for line in lines))
