"""Messages as Python has them, and as payloads: wire-profile V3, V11, M1 to M7."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.wire import (
    DemandParameters,
    Frame,
    IsolationState,
    Ping,
    Price,
    SessionParameters,
    SoftDisconnect,
    Source,
    StorageParameters,
    SupplyParameters,
    UnknownMessage,
    codec,
    decode,
    decodeFrame,
    encode,
    encodeFrame,
    encodePayload,
    registeredMessages,
)
from tests.wire.helpers import (
    DISCONNECT,
    HEAD_LENGTH,
    PING,
    SESSION,
    STORAGE,
    SUPPLY,
    codes,
    messageOf,
    received,
)


class MessageTests(SynchronousTestCase):
    """What every message can do."""

    def test_docstringsTellUnitsAndRanges(self) -> None:
        for cls, text in [
            (SupplyParameters, "(Messages §4.4)"),
            (
                SupplyParameters,
                "\nvoltage_limit: Voltage limit (min-max); Bounds(Voltage) in V, min",
            ),
            (StorageParameters, "\nsoc: Current state of charge; Percentage in %, 0 to 100."),
            (SessionParameters, "\nidentity: Device identity; Text, at most 256 characters; req"),
        ]:
            self.assertIn(text, str(cls.__doc__))

    def test_plainNumbersInAndOut(self) -> None:
        message = SupplyParameters(voltage_limit=(200, 1000), power_limit=5000)
        assert message.voltage_limit is not None
        self.assertEqual((message.voltage_limit.min, message.power_limit), (200, 5000))
        self.assertIsNone(message.voltage)

    def test_immutable(self) -> None:
        message = Ping()
        for name in ("unknown", "typeId", "something"):
            with self.assertRaises(AttributeError):
                setattr(message, name, 5)
        with self.assertRaises(AttributeError):
            SupplyParameters().voltage = 5  # type: ignore[misc]

    def test_slotted(self) -> None:
        for message in (Ping(), SupplyParameters(), UnknownMessage(typeId=5)):
            self.assertFalse(hasattr(message, "__dict__"))

    def test_equality(self) -> None:
        self.assertEqual(SupplyParameters(voltage=5), SupplyParameters(voltage=5.0))
        self.assertNotEqual(SupplyParameters(voltage=5), SupplyParameters(voltage=6))
        self.assertNotEqual(SupplyParameters(), DemandParameters())
        self.assertNotEqual(Ping(), Ping(unknown={5: b"\x00"}))

    def test_keywordsOnly(self) -> None:
        self.assertRaises(TypeError, SupplyParameters, (200, 1000))
        self.assertRaises(TypeError, SupplyParameters, watts=5)

    def test_repr(self) -> None:
        message = SupplyParameters(
            voltage_limit=(200, 1000),
            power_mix={Source.WIND: 100},
            isolation=IsolationState.OK,
            unknown={0x4D: b"\x01"},
        )
        self.assertEqual(
            repr(message),
            "SupplyParameters(voltage_limit=Bounds(min=200, max=1000), "
            "power_mix={Source.WIND: 100}, "
            "isolation=Isolation(state=IsolationState.OK, negative=None, positive=None), "
            "unknown={77: b'\\x01'})",
        )
        self.assertEqual(repr(Ping()), "Ping()")
        self.assertEqual(
            repr(UnknownMessage(typeId=0xDCDC0000, payload=b"\xa0")),
            "UnknownMessage(typeId=0xdcdc0000, payload=b'\\xa0')",
        )

    def test_replace(self) -> None:
        message = SupplyParameters(voltage=5, power_limit=6)
        changed = message.replace(voltage=7, current_limit=(0, 8))
        self.assertEqual(changed, SupplyParameters(voltage=7, power_limit=6, current_limit=(0, 8)))
        self.assertEqual(message.voltage, 5)
        self.assertEqual(changed.replace(voltage=None).voltage, None)
        self.assertRaises(UsageError, message.replace, voltage="x")
        self.assertRaises(TypeError, message.replace, watts=5)

    def test_copy(self) -> None:
        message = SupplyParameters(power_mix={1: 100})
        self.assertEqual(copy.copy(message), message)

    def test_present(self) -> None:
        message = SupplyParameters(voltage=5, power_limit=0)
        found = [(row.name, row.kind.unit, value) for row, value in message.present()]
        self.assertEqual(found, [("power_limit", "W", 0), ("voltage", "V", 5)])

    def test_tables(self) -> None:
        """The six messages of the spec with its ids and names, and the one of ours."""
        tables = {
            cls.__name__: (cls.typeId, [row.name for row in cls.fields])
            for cls in registeredMessages()
        }
        self.assertEqual(
            tables,
            {
                "Ping": (0xFFFFFFFF, []),
                "SessionParameters": (
                    0xBABA5E55,
                    ["identity", "type", "version", "name", "tenant", "provider", "session"],
                ),
                "SoftDisconnect": (0xBABADEAD, ["reconnect", "reason"]),
                "SupplyParameters": (
                    0xDCDCF00D,
                    [
                        "voltage_limit",
                        "current_limit",
                        "power_limit",
                        "power_mix",
                        "energy_prices",
                        "voltage",
                        "current",
                        "isolation",
                    ],
                ),
                "DemandParameters": (
                    0xDCDCFEED,
                    [
                        "voltage",
                        "current",
                        "voltage_limit",
                        "current_limit",
                        "power_limit",
                        "duration",
                    ],
                ),
                "StorageParameters": (
                    0xDCDCBA77,
                    ["soc", "soc_target", "soc_target_time", "capacity", "energy_mix"],
                ),
                "RouterPath": (
                    0x4550524F,
                    ["rank", "path", "ready", "bus", "drivers", "drivers_age", "takes"],
                ),
            },
        )
        for cls in registeredMessages():
            self.assertEqual([row.id for row in cls.fields], list(range(len(cls.fields))))

    def test_allFieldsOfAllMessages(self) -> None:
        noon = datetime(2025, 2, 1, 12, tzinfo=UTC)
        for message in (
            SupplyParameters(
                voltage_limit=(234.5, 249.0),
                current_limit=(89, 153.5),
                power_limit=50000.0,
                power_mix={Source.WIND: 70, Source.LOCAL_SOLAR: 30},
                energy_prices=[Price(noon, 42.5, "SEK")],
                voltage=240.1,
                current=100,
                isolation=IsolationState.OK,
            ),
            DemandParameters(
                voltage=400,
                current=-32,
                voltage_limit=1000,
                current_limit=125,
                power_limit=50e3,
                duration=3_600_000,
            ),
            StorageParameters(
                soc=50,
                soc_target=80,
                soc_target_time=7_200_000,
                capacity=75_000,
                energy_mix={Source.WIND: 6200, Source.UNKNOWN: 31_300.5},
            ),
        ):
            decoded = decode(encode(message), strict=True)
            self.assertEqual(decoded.diagnostics, ())
            self.assertEqual(decoded.message, message)
            self.assertFalse(decoded.voidsConsent)


class UnknownFieldTests(SynchronousTestCase):
    """V3."""

    def test_V3_unknownFieldsSurviveARoundTrip(self) -> None:
        payload = "a3 05 a1 10 19 02e8 18 4d 82 18 01 fb 3ff8000000000000 20 a0"
        decoded = received(SUPPLY, payload, strict=True)
        self.assertEqual(decoded.diagnostics, ())
        message = messageOf(decoded)
        self.assertEqual(
            message.unknown,
            {0x4D: bytes.fromhex("82 18 01 fb 3ff8000000000000"), -1: b"\xa0"},
        )
        again = messageOf(decode(encode(message)))
        self.assertEqual(again, message)

    def test_V3_fieldIdsThatAreNoIntegers(self) -> None:
        payload = "a3 05 a1 10 19 02e8 61 56 01 f9 4500 02"
        decoded = received(SUPPLY, payload)
        self.assertEqual(codes(decoded.diagnostics), ["field.id", "field.id"])
        message = messageOf(decoded)
        self.assertEqual(message.unknown, {b"\x61\x56": b"\x01", b"\xf9\x45\x00": b"\x02"})
        self.assertEqual(encode(message)[HEAD_LENGTH:], bytes.fromhex(payload))
        self.assertIsNone(received(SUPPLY, payload, strict=True).message)

    def test_V3_aKeyThatOnlyEqualsAFieldId(self) -> None:
        for key in ("f9 4500", "fb 4014000000000000"):
            decoded = received(SUPPLY, f"a1 {key} a1 10 05")
            self.assertIsNone(messageOf(decoded).voltage)  # type: ignore[attr-defined]
        decoded = received(DISCONNECT, "a1 f5 a1 00 61 78")
        self.assertIsNone(messageOf(decoded).reason)  # type: ignore[attr-defined]
        self.assertEqual(codes(decoded.diagnostics), ["field.id"])

    def test_V3_replacedFieldsLoseWhatCameWithThem(self) -> None:
        message = messageOf(received(SUPPLY, "a2 05 a2 10 19 02e8 18 99 01 18 4d 05"))
        self.assertEqual(set(message.unknown), {5, 0x4D})
        changed = message.replace(voltage=745)
        self.assertEqual(changed, SupplyParameters(voltage=745, unknown={0x4D: b"\x05"}))
        self.assertEqual(message.replace(current=1).unknown, message.unknown)

    def test_V3_knownFieldsAreSentInOrderOfTheirIds(self) -> None:
        message = messageOf(received(DISCONNECT, "a3 18 4d 05 01 a1 00 60 00 a1 01 f5"))
        self.assertEqual(
            encode(message)[HEAD_LENGTH:].hex(" "), "a3 00 a1 01 f5 01 a1 00 60 18 4d 05"
        )

    def test_V3_fieldsKeptAsTheyCameAreInThatOrderToo(self) -> None:
        payload = "a3 20 01 00 f6 01 a1 00 60"
        message = messageOf(received(DISCONNECT, payload))
        self.assertEqual(encode(message)[HEAD_LENGTH:], bytes.fromhex(payload))

    def test_localUnknownFields(self) -> None:
        for unknown in (5, {"a": b"\x00"}, {5: "00"}, {True: b"\x00"}, {2**64: b"\x00"}):
            self.assertRaises(UsageError, Ping, unknown=unknown)
        for unknown in ({5: b""}, {5: b"\x01\x02"}, {b"": b"\x01"}, {b"\x19": b"\x01"}):
            self.assertRaises(UsageError, encode, Ping(unknown=unknown))

    def test_localUnknownFieldsThatContradict(self) -> None:
        """What decodes to another message than the one that is encoded is refused."""
        raw = bytes.fromhex("a1 10 05")
        self.assertEqual(
            encode(SupplyParameters(voltage=5, unknown={5: raw}))[HEAD_LENGTH:].hex(), "a105a11005"
        )
        for message in (
            SupplyParameters(voltage=6, unknown={5: raw}),
            SupplyParameters(unknown={5: raw}),
            SupplyParameters(voltage=5, unknown={5: b"\xf6"}),
        ):
            error = self.assertRaises(UsageError, encode, message)
            self.assertIn("SupplyParameters: voltage is", str(error))
        invalid = SupplyParameters(unknown={5: b"\xf6"})
        self.assertEqual(encode(invalid)[HEAD_LENGTH:].hex(), "a105f6")


class BrokenPayloadTests(SynchronousTestCase):
    """V11, F9, F6."""

    def assertBroken(self, payload: str, code: str, offset: int) -> None:
        for strict in (False, True):
            decoded = received(SUPPLY, payload, strict=strict)
            self.assertIsNone(decoded.message)
            self.assertTrue(decoded.voidsConsent)
            [diagnostic] = decoded.diagnostics
            self.assertEqual((diagnostic.severity, diagnostic.code), ("error", code))
            self.assertEqual(diagnostic.path, "supply")
            self.assertEqual(diagnostic.offset - HEAD_LENGTH, offset)

    def test_V11_truncated(self) -> None:
        full = "a1 05 a1 10 19 02e8"
        for length in range(1, 7):
            self.assertBroken(bytes.fromhex(full)[:length].hex(), "payload.truncated", length)

    def test_V11_claimsOfMoreThanThereIs(self) -> None:
        for claim in ("bb ffffffffffffffff", "a1 05 9b ffffffffffffffff", "a1 05 5a ffffffff"):
            self.assertBroken(claim, "payload.truncated", len(bytes.fromhex(claim)))

    def test_V11_duplicateKeys(self) -> None:
        for payload, offset in (
            ("a2 05 a1 10 01 05 a1 10 02", 5),
            ("a2 05 a1 10 01 18 05 a1 10 02", 5),
            ("a1 05 a2 10 01 10 02", 5),
            ("a1 18 4d a2 61 61 01 61 61 02", 7),
            ("a1 18 4d a2 f9 0000 01 fa 00000000 02", 8),
            ("a1 18 4d a2 81 01 01 81 01 02", 7),
            ("a1 18 4d a2 41 01 01 5f 41 01 ff 02", 7),
        ):
            self.assertBroken(payload, "payload.duplicate", offset)

    def test_keysThatOnlyLookTheSame(self) -> None:
        for entries in (
            "00 01 f9 0000 01",
            "61 61 01 41 61 01",
            "00 01 f4 01",
            "01 01 f5 01",
            "f9 0000 01 f9 8000 01",
            "f6 01 f7 01",
        ):
            self.assertEqual(received(SUPPLY, "a1 18 4d a2" + entries).diagnostics, (), entries)

    def test_V11_noMap(self) -> None:
        for payload in ("80", "00", "60", "f7", "f4", "82 01 02"):
            self.assertBroken(payload, "payload.map", 0)

    def test_V11_notWellFormed(self) -> None:
        for payload, offset in (("a1 05 1c", 2), ("ff", 0), ("a1 ff", 1), ("a1 05 f8 1f", 2)):
            self.assertBroken(payload, "payload.cbor", offset)

    def test_F9_trailingBytes(self) -> None:
        for payload in ("a0 00", "a0 ff", "a0 a0", "a0 1c", "f6 f6"):
            self.assertBroken(payload, "payload.trailing", 1)

    def test_F6_nesting(self) -> None:
        deep = "a1 18 4d" + "81" * 15
        self.assertEqual(received(SUPPLY, deep + "00").diagnostics, ())
        self.assertBroken(deep + "81 00", "payload.depth", 18)
        self.assertBroken(deep + "c1 00", "payload.depth", 18)

    def test_longPayloadsAreReadAlike(self) -> None:
        filler = "18 4d 59 0c00" + "00" * 0xC00
        # No cbor2 for these: the hashes of many map keys could collide.
        self.patch(codec, "cbor2", None)
        decoded = received(SUPPLY, "a2 05 a1 10 19 02e8" + filler)
        self.assertEqual(messageOf(decoded).voltage, 744)  # type: ignore[attr-defined]
        self.assertEqual(decoded.diagnostics, ())


class MessagePointTests(SynchronousTestCase):
    """M1 to M7."""

    def test_M1_typeOfStorage(self) -> None:
        self.assertEqual(StorageParameters.typeId, STORAGE)

    def test_M3_softDisconnectIsSentAsAMap(self) -> None:
        self.assertEqual(encode(SoftDisconnect())[-2:].hex(), "41a0")

    def test_M3_flagUnsetOrWithoutPayload(self) -> None:
        for payload in (None, b"", b"\xf6", b"\xa0"):
            decoded = decode(encodeFrame(DISCONNECT, payload), strict=True)
            self.assertEqual(decoded.message, SoftDisconnect())
            self.assertEqual(decoded.diagnostics, ())

    def test_M4_unknownTypesAreDelivered(self) -> None:
        for payload in (None, b"", b"\xf6", b"\xff\xff", bytes.fromhex("a1 05 c1 00")):
            data = encodeFrame(0xDCDC0001, payload)
            decoded = decode(data, strict=True)
            self.assertEqual(decoded.diagnostics, ())
            self.assertEqual(decoded.message, UnknownMessage(typeId=0xDCDC0001, payload=payload))
            self.assertEqual(encode(messageOf(decoded)), data)
            self.assertFalse(decoded.voidsConsent)

    def test_M4_localUnknownMessages(self) -> None:
        for typeId in (-1, 2**32, "5", True):
            self.assertRaises(UsageError, UnknownMessage, typeId=typeId)
        self.assertRaises(UsageError, UnknownMessage, typeId=5, payload="x")
        message = UnknownMessage(typeId=5, payload=b"x")
        self.assertEqual(message.replace(payload=None), UnknownMessage(typeId=5))

    def test_M7_withoutIdentity(self) -> None:
        for payload, offset in (("a0", 0), ("a1 01 a1 00 61 61", 0), ("a1 00 a1 01 f5", 2)):
            decoded = received(SESSION, payload)
            self.assertIsNone(decoded.message)
            missing = decoded.diagnostics[-1]
            self.assertEqual((missing.severity, missing.code), ("error", "field.required"))
            self.assertEqual(missing.path, "session.identity")
            self.assertEqual(missing.offset, HEAD_LENGTH + offset)
        self.assertIsNone(decode(encodeFrame(SESSION, None)).message)

    def test_M7_identityAlone(self) -> None:
        decoded = received(SESSION, "a1 00 a1 00 61 61", strict=True)
        self.assertEqual(decoded.message, SessionParameters(identity="a"))

    def test_M7_localSessionWithoutIdentity(self) -> None:
        with self.assertRaises(TypeError):
            SessionParameters()  # type: ignore[call-arg]
        self.assertRaises(UsageError, SessionParameters, identity=None)

    def test_pingMayCarryFields(self) -> None:
        message = Ping(unknown={0x4D: b"\x01"})
        self.assertEqual(decode(encode(message)).message, message)
        self.assertEqual(messageOf(received(PING, "a0")), Ping())

    def test_encodePayload(self) -> None:
        self.assertIsNone(encodePayload(Ping()))
        self.assertEqual(encodePayload(SoftDisconnect(reconnect=True)), b"\xa1\x00\xa1\x01\xf5")

    def test_strictAppliesToTheFrameToo(self) -> None:
        frame = decode(bytes.fromhex("83 f6 1a ffffffff f6")).frame
        assert isinstance(frame, Frame)
        self.assertIsNotNone(decodeFrame(frame).message)
        strict = decodeFrame(frame, strict=True)
        self.assertIsNone(strict.message)
        self.assertEqual([each.severity for each in strict.diagnostics], ["error"])
