"""Single values in payloads: wire-profile F9, V1, V2, V3, V8 and V10."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from epnet.wire import (
    Bounds,
    Code,
    InvalidValue,
    SessionParameters,
    SoftDisconnect,
    Source,
    StorageParameters,
    SupplyParameters,
    decode,
    encode,
)
from epnet.wire.kinds import BINARY, InvalidField, Notes
from tests.wire.helpers import (
    DISCONNECT,
    HEAD_LENGTH,
    SESSION,
    STORAGE,
    SUPPLY,
    ValueCase,
    codes,
    messageOf,
    received,
)


class NumberTests(ValueCase):
    """V1."""

    def test_V1_anyNumberIsTaken(self) -> None:
        for number, value in (
            ("00", 0),
            ("18 18", 24),
            ("19 02e8", 744),
            ("1a 00000001", 1),
            ("1b ffffffffffffffff", 2**64 - 1),
            ("20", -1),
            ("3b ffffffffffffffff", -(2**64)),
            ("f9 5fd0", 500.0),
            ("fa 47435000", 50000.0),
            ("fb 4058fffe5c91d14e", 99.9999),
            ("f9 0001", 2.0**-24),
            ("fb 0000000000000001", 5e-324),
        ):
            self.assertTaken(SUPPLY, "a1 05 a1 10" + number, "voltage", value)

    def test_V1_negativeZeroStaysNegative(self) -> None:
        message = self.assertTaken(SUPPLY, "a1 05 a1 10 f9 8000", "voltage", -0.0)
        self.assertEqual(math.copysign(1, message.voltage), -1.0)  # type: ignore[attr-defined]
        self.assertEqual(encode(message)[-3:].hex(), "f98000")

    def test_V1_sentInTheShortestExactForm(self) -> None:
        for value, number in (
            (0, "00"),
            (23, "17"),
            (24, "1818"),
            (255, "18ff"),
            (256, "190100"),
            (65535, "19ffff"),
            (65536, "1a00010000"),
            (2**32, "1b0000000100000000"),
            (2**64 - 1, "1bffffffffffffffff"),
            (-1, "20"),
            (-(2**64), "3bffffffffffffffff"),
            (0.0, "f90000"),
            (500.0, "f95fd0"),
            (65504.0, "f97bff"),
            (65505.0, "fa477fe100"),
            (2.0**-24, "f90001"),
            (2.0**-25, "fa33000000"),
            (3.4028234663852886e38, "fa7f7fffff"),
            (1e300, "fb7e37e43c8800759c"),
            (0.1, "fb3fb999999999999a"),
            (5e-324, "fb0000000000000001"),
        ):
            encoded = encode(SupplyParameters(voltage=value)).hex()
            if value != 3.5e38:
                self.assertTrue(encoded.endswith("a105a110" + number), (value, encoded))
            self.assertEqual(
                decode(bytes.fromhex(encoded)).message, SupplyParameters(voltage=value)
            )

    def test_V1_integersStayIntegersAndFloatsFloats(self) -> None:
        for value in (500, 500.0):
            message = messageOf(decode(encode(SupplyParameters(voltage=value))))
            self.assertIs(type(message.voltage), type(value))  # type: ignore[attr-defined]

    def test_V1_notFinite(self) -> None:
        for number in ("f9 7e00", "fa 7fc00000", "fb 7ff8000000000000", "f9 7c00", "f9 fc00"):
            self.assertInvalid(
                SUPPLY, "a1 05 a1 10" + number, "voltage", "value.not-finite", "supply.voltage", 4
            )

    def test_V1_bignumsAndDecimalsAreRefused(self) -> None:
        for number in ("c2 41 05", "c3 41 05", "c4 82 00 01", "c5 82 00 01", "d8 1e 82 01 02"):
            payload = "a1 05 a1 10" + number
            self.assertInvalid(SUPPLY, payload, "voltage", "value.tag", "supply.voltage", 4)

    def test_V1_whatIsNoNumber(self) -> None:
        for data in ("f4", "f5", "f6", "f7", "e0", "f8 20", "61 31", "41 01", "80", "a0"):
            payload = "a1 05 a1 10" + data
            self.assertInvalid(SUPPLY, payload, "voltage", "value.data", "supply.voltage", 4)

    def test_localNumbers(self) -> None:
        for value in (math.nan, math.inf, -math.inf, "5", True, None.__class__, 2**64, 10**5000):
            self.assertRefused("SupplyParameters.voltage", SupplyParameters, voltage=value)
        self.assertRefused("nan is not a finite number (V)", SupplyParameters, voltage=math.nan)

    def test_kindsOfNumbersThatAreNumbers(self) -> None:
        message = SupplyParameters(voltage=Source.WIND)
        self.assertIs(type(message.voltage), int)


class ValueMapTests(ValueCase):
    """V2, V3."""

    def test_V2_wrongValueType(self) -> None:
        decoded = self.assertInvalid(
            SUPPLY, "a1 05 a1 11 19 02e8", "voltage", "value.type", "supply.voltage", 2
        )
        self.assertIn("0x11 where 0x10 (Voltage)", decoded.diagnostics[0].text)

    def test_V2_wrongValueTypeInBounds(self) -> None:
        payload = "a1 00 a1 18 20 82 a1 10 18 c8 a1 11 19 03e8"
        self.assertInvalid(
            SUPPLY, payload, "voltage_limit", "value.type", "supply.voltage_limit.max", 10
        )

    def test_V2_aKeyThatOnlyEqualsTheId(self) -> None:
        """16.0 and true are other keys than 16 and 1."""
        payload = "a1 05 a1 f9 4c00 19 02e8"
        self.assertInvalid(SUPPLY, payload, "voltage", "value.type", "supply.voltage", 2)
        payload = "a1 00 a1 f5 f5"
        self.assertInvalid(
            DISCONNECT, payload, "reconnect", "value.type", "disconnect.reconnect", 2
        )

    def test_V2_noValueMap(self) -> None:
        for item in ("19 02e8", "f6", "a0", "81 10", "61 56"):
            payload = "a1 05" + item
            self.assertInvalid(SUPPLY, payload, "voltage", "value.shape", "supply.voltage", 2)

    def test_V3_extraEntriesAreKept(self) -> None:
        for payload in (
            "a1 05 a2 10 19 02e8 18 99 01",
            "a1 05 a2 18 99 01 10 19 02e8",
            "a1 05 a3 61 61 00 f5 00 10 19 02e8",
        ):
            decoded = self.assertDeviates(SUPPLY, payload, "voltage", 744, "value.extra")
            self.assertFalse(decoded.voidsConsent)
            self.assertEqual(encode(messageOf(decoded))[HEAD_LENGTH:], bytes.fromhex(payload))

    def test_V3_extraEntriesDeepInside(self) -> None:
        payload = "a1 00 a1 18 20 82 a1 10 18 c8 a2 10 19 03e8 18 99 01"
        decoded = self.assertDeviates(
            SUPPLY, payload, "voltage_limit", Bounds(200, 1000), "value.extra"
        )
        self.assertEqual(decoded.diagnostics[0].path, "supply.voltage_limit.max")
        self.assertEqual(encode(messageOf(decoded))[HEAD_LENGTH:], bytes.fromhex(payload))

    def test_F9_tagsAreRefused(self) -> None:
        for tagged in ("c0", "c1", "d8 1c", "d8 1d", "d9 d9f7", "da 00010000", "db" + 8 * "ff"):
            payload = "a1 05" + tagged + "a1 10 19 02e8"
            self.assertInvalid(SUPPLY, payload, "voltage", "value.tag", "supply.voltage", 2)

    def test_F9_tagsInUnknownFieldsAreReportedAndKept(self) -> None:
        payload = "a1 18 4d 82 c1 00 a1 00 d8 2a 00"
        decoded = received(SUPPLY, payload)
        self.assertEqual(codes(decoded.diagnostics), ["value.tag", "value.tag"])
        self.assertEqual([each.offset - HEAD_LENGTH for each in decoded.diagnostics], [4, 8])
        self.assertEqual(encode(messageOf(decoded))[HEAD_LENGTH:], bytes.fromhex(payload))

    def test_F9_indefiniteItemsAreTakenLeniently(self) -> None:
        for payload in (
            "bf 05 a1 10 19 02e8 ff",
            "a1 05 bf 10 19 02e8 ff",
        ):
            self.assertDeviates(SUPPLY, payload, "voltage", 744, "payload.indefinite")
        payload = "a1 00 a1 18 20 9f a1 10 18 c8 a1 10 19 03e8 ff"
        self.assertDeviates(
            SUPPLY, payload, "voltage_limit", Bounds(200, 1000), "payload.indefinite"
        )
        payload = "a1 01 a1 00 7f 62 6e6f 60 63 6d616c ff"
        self.assertDeviates(DISCONNECT, payload, "reason", "nomal", "payload.indefinite")


class TextTests(ValueCase):
    """V10."""

    def test_V10_invalidTextMakesTheFieldInvalid(self) -> None:
        for text in ("61 ff", "62 c328", "63 eda080", "64 f4908080"):
            payload = "a1 01 a1 00" + text
            self.assertInvalid(DISCONNECT, payload, "reason", "value.text", "disconnect.reason", 4)

    def test_V10_theOtherFieldsStay(self) -> None:
        decoded = received(DISCONNECT, "a2 00 a1 01 f5 01 a1 00 61 ff")
        self.assertEqual(messageOf(decoded).reconnect, True)
        self.assertFalse(decoded.voidsConsent)

    def test_V10_invalidPiecesOfText(self) -> None:
        """Each piece has to be valid by itself."""
        decoded = received(DISCONNECT, "a1 01 a1 00 7f 61 c3 61 a9 ff")
        self.assertEqual(codes(decoded.diagnostics), ["value.text", "payload.indefinite"])

    def test_V10_sessionTextsOf256Characters(self) -> None:
        for text in ("x" * 256, "é" * 256):
            data = encode(SessionParameters(identity=text))
            self.assertEqual(decode(data).message, SessionParameters(identity=text))
        self.assertRefused("at most 256", SessionParameters, identity="x" * 257)

    def test_V10_longerSessionTextsAreAnError(self) -> None:
        text = bytes.fromhex("79 0101") + b"x" * 257
        decoded = received(SESSION, "a2 00 a1 00 61 61 03 a1 00" + text.hex())
        self.assertIsNone(decoded.message)
        [diagnostic] = decoded.diagnostics
        self.assertEqual((diagnostic.severity, diagnostic.code), ("error", "field.length"))
        self.assertEqual(diagnostic.path, "session.name")

    def test_V10_otherTextsAreAsLongAsThePayloadAllows(self) -> None:
        message = SoftDisconnect(reason="x" * 10_000)
        self.assertEqual(decode(encode(message)).message, message)

    def test_whatIsNoText(self) -> None:
        for data in ("00", "41 61", "f6", "f4", "80"):
            payload = "a1 01 a1 00" + data
            self.assertInvalid(DISCONNECT, payload, "reason", "value.data", "disconnect.reason", 4)

    def test_localTexts(self) -> None:
        self.assertRefused("not a text", SoftDisconnect, reason=b"bye")
        self.assertRefused("UTF-8", SoftDisconnect, reason="\ud800")

    def test_flags(self) -> None:
        self.assertTaken(DISCONNECT, "a1 00 a1 01 f4", "reconnect", False)
        for data in ("00", "01", "f6", "60"):
            payload = "a1 00 a1 01" + data
            self.assertInvalid(
                DISCONNECT, payload, "reconnect", "value.data", "disconnect.reconnect", 4
            )
        self.assertRefused("not True or False", SoftDisconnect, reconnect=1)


class PercentageTests(ValueCase):
    """V8."""

    def test_V8_outsideIsAWarningAndNotClamped(self) -> None:
        for number, value in (("20", -1), ("18 65", 101), ("fa 42c80001", 100.00000762939453)):
            payload = "a1 00 a1 14" + number
            self.assertDeviates(STORAGE, payload, "soc", value, "percentage.range")

    def test_V8_inside(self) -> None:
        self.assertTaken(STORAGE, "a1 00 a1 14 00", "soc", 0)
        self.assertTaken(STORAGE, "a1 00 a1 14 18 64", "soc", 100)

    def test_V8_localUsersMayGiveMore(self) -> None:
        self.assertEqual(StorageParameters(soc=100.5).soc, 100.5)


class BinaryTests(SynchronousTestCase):
    """Binary, which no field of the spec uses, but those of extensions may."""

    def test_bytes(self) -> None:
        notes: Notes = []
        self.assertEqual(BINARY.read({4: b"ab"}, (None, "field", 0), notes), b"ab")
        self.assertEqual(BINARY.write(BINARY.check(bytearray(b"ab"), "field")).hex(), "a104426162")

    def test_whatIsNoBytes(self) -> None:
        self.assertRaises(InvalidValue, BINARY.check, "ab", "field")
        error = self.assertRaises(InvalidField, BINARY.read, {4: "ab"}, (None, "field", 0), [])
        self.assertEqual(error.note.code, "value.data")


class CodeTests(SynchronousTestCase):
    """The table of diagnostics."""

    def test_codesAreTexts(self) -> None:
        self.assertEqual(Code.MIX_SUM, "mix.sum")
        self.assertEqual(f"{Code.MIX_SUM} {Code.MIX_SUM!r}", "mix.sum Code.MIX_SUM")
        self.assertEqual(Code("mix.sum").severity, "warning")

    def test_everyCodeIsDescribed(self) -> None:
        for code in Code:
            self.assertRegex(code.value, r"^[a-z]+\.[a-z]+(-[a-z]+)*$")
            self.assertRegex(code.description, r"^[A-Z0-9].*[.]$")
