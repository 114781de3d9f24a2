"""The byte examples of the messages spec, as they are printed there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epnet.wire import (
    Bounds,
    Isolation,
    IsolationState,
    Message,
    Ping,
    Price,
    SessionParameters,
    SoftDisconnect,
    Source,
    StorageParameters,
    SupplyParameters,
    decode,
    encode,
)
from epnet.wire.compounds import ENERGY_MIX, ISOLATION, PRICES, SOURCE_MIX, VOLTAGE_BOUNDS
from epnet.wire.kinds import (
    AMOUNT,
    BINARY,
    CURRENCY,
    CURRENT,
    DURATION,
    ENERGY,
    FLAG,
    PERCENTAGE,
    POWER,
    TEXT,
    TIMESTAMP,
    VOLTAGE,
    Kind,
    Notes,
)
from epnet.wire.walk import parse

PING = bytes.fromhex("9A 00 00 00 03 F6 1A FF FF FF FF F6")
SESSION = bytes.fromhex(
    "9A 00 00 00 03 F6 1A BA BA 5E 55 58 6C A7"
    "00 A1 00 6C 30 31 32 33 34 35 36 37 38 39 61 62"
    "01 A1 00 67 76 65 68 69 63 6C 65"
    "02 A1 00 63 31 2E 30"
    "03 A1 00 6C 54 65 73 74 20 56 65 68 69 63 6C 65"
    "04 A1 00 64 64 65 6D 6F"
    "05 A1 00 64 64 65 6D 6F"
    "06 A1 00 78 24"
) + (b"d060dedb-6a00-4ab7-8f7a-3d4e2f4b1c90")
DISCONNECT = bytes.fromhex(
    "9A 00 00 00 03 F6 1A BA BA DE AD 4F A2 00 A1 01 F4 01 A1 00 66 6E 6F 72 6D 61 6C"
)
SUPPLY = bytes.fromhex(
    "9A 00 00 00 03 F6 1A DC DC F0 0D 58 27 A3"
    "00 A1 18 20 82 A1 10 F9 5B 54 A1 10 F9 5B C8"
    "01 A1 18 20 82 A1 11 F9 55 90 A1 11 F9 58 CC"
    "02 A1 12 FA 47 43 50 00"
)


class MessageExamples(SynchronousTestCase):
    """Frames."""

    def assertExample(self, data: bytes, message: Message) -> None:
        decoded = decode(data, strict=True)
        self.assertEqual(decoded.diagnostics, ())
        self.assertEqual(decoded.message, message)
        self.assertEqual(encode(message), data)

    def test_ping(self) -> None:
        self.assertExample(PING, Ping())

    def test_sessionParametersM2(self) -> None:
        """The payload of the example is 108 bytes long, not 88."""
        message = SessionParameters(
            identity="0123456789ab",
            type="vehicle",
            version="1.0",
            name="Test Vehicle",
            tenant="demo",
            provider="demo",
            session="d060dedb-6a00-4ab7-8f7a-3d4e2f4b1c90",
        )
        self.assertExample(SESSION, message)

    def test_softDisconnect(self) -> None:
        self.assertExample(DISCONNECT, SoftDisconnect(reconnect=False, reason="normal"))

    def test_supplyParameters(self) -> None:
        message = SupplyParameters(
            voltage_limit=(234.5, 249.0), current_limit=(89.0, 153.5), power_limit=50000.0
        )
        self.assertExample(SUPPLY, message)

    def test_storageTypeM1(self) -> None:
        """The type in the example is that of Demand Parameters by mistake."""
        data = encode(StorageParameters(soc=50))
        self.assertEqual(data.hex(), "9a00000003f61adcdcba7746a100a1141832")


class ValueExamples(SynchronousTestCase):
    """Values."""

    def assertExample(self, kind: Kind[Any], hexes: str, value: object) -> None:
        data, notes = bytes.fromhex(hexes), Notes()
        item, _ = parse(data)
        read = kind.read(item.value, (None, "field", 0), notes)
        self.assertEqual((read, notes), (value, []))
        self.assertEqual(type(read), type(value))
        self.assertEqual(kind.write(kind.check(value, "field")), data)

    def test_singleValues(self) -> None:
        for kind, hexes, value in [
            (TEXT, "A1 00 6C 30 31 32 33 34 35 36 37 38 39 61 62", "0123456789ab"),
            (FLAG, "A1 01 F4", False),
            (AMOUNT, "A1 02 F9 52 00", 48.0),
            (BINARY, "A1 04 44 01 02 03 04", b"\1\2\3\4"),
            (CURRENCY, "A1 05 63 53 45 4B", "SEK"),
            (DURATION, "A1 06 19 03 E8", 1000),
            (VOLTAGE, "A1 10 19 02 E8", 744),
            (CURRENT, "A1 11 F9 5C 92", 292.5),
            (POWER, "A1 12 FA 47 43 50 00", 50000.0),
            (ENERGY, "A1 13 1A 00 BD 83 BD", 12420029),
            (PERCENTAGE, "A1 14 FB 40 58 FF FE 5C 91 D1 4E", 99.9999),
        ]:
            self.assertExample(kind, hexes, value)

    def test_bounds(self) -> None:
        self.assertExample(
            VOLTAGE_BOUNDS, "A1 18 20 82 A1 10 18 C8 A1 10 19 03 E8", Bounds(200, 1000)
        )

    def test_sourceMix(self) -> None:
        hexes = "A1 18 40 82 A1 01 A1 14 18 46 A1 09 A1 14 18 1E"
        mix = SOURCE_MIX.check({Source.WIND: 70, Source.LOCAL_SOLAR: 30}, "field")
        self.assertExample(SOURCE_MIX, hexes, mix)

    def test_energyMix(self) -> None:
        hexes = "A1 18 41 83 A1 01 A1 13 19 18 38 A1 03 A1 13 19 CB 20 A1 09 A1 13 19 09 56"
        mix = ENERGY_MIX.check({1: 6200, 3: 52000, 9: 2390}, "field")
        self.assertExample(ENERGY_MIX, hexes, mix)

    def test_isolation(self) -> None:
        hexes = "A1 18 50 83 01 A1 15 19 03 E8 A1 15 19 03 E8"
        self.assertExample(ISOLATION, hexes, Isolation(IsolationState.OK, 1000, 1000))

    def test_datesOfTheExamplesV4(self) -> None:
        """The spec's own timestamps lack an offset: they are taken, and that is said."""
        noon = bytes.fromhex("A1 18 30 81 83 A1 03 70") + b"2025-02-01 12:00"
        item, _ = parse(noon + bytes.fromhex("A1 02 F9 51 50 A1 05 63 53 45 4B"))
        notes = Notes()
        [price] = PRICES.read(item.value, (None, "field", 0), notes)
        self.assertEqual(price, Price(datetime(2025, 2, 1, 12, tzinfo=UTC), 42.5, "SEK"))
        self.assertEqual([note.code for note in notes], ["timestamp.form", "timestamp.zone"])
        item, _ = parse(bytes.fromhex("A1 03 6A 32 30 32 35 2D 30 32 2D 30 31"))
        moment = TIMESTAMP.read(item.value, (None, "field", 0), notes)
        self.assertEqual(moment, datetime(2025, 2, 1, tzinfo=UTC))
