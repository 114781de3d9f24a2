"""Values in payloads: wire-profile F9 and V1 to V10, and what local users may give."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.wire import (
    Bounds,
    Code,
    Decoded,
    DemandParameters,
    InvalidValue,
    Isolation,
    IsolationState,
    Message,
    Price,
    SessionParameters,
    SoftDisconnect,
    Source,
    StorageParameters,
    SupplyParameters,
    decode,
    encode,
    shortest,
)
from epnet.wire.kinds import BINARY, InvalidField, Notes
from tests.wire.helpers import (
    DEMAND,
    DISCONNECT,
    HEAD_LENGTH,
    SESSION,
    STORAGE,
    SUPPLY,
    codes,
    messageOf,
    received,
)

NOON = datetime(2025, 2, 1, 12, tzinfo=UTC)


class ValueCase(SynchronousTestCase):
    def assertTaken(self, typeId: int, payload: str, field: str, value: object) -> Message:
        """Also strictly, without anything to report."""
        decoded = received(typeId, payload, strict=True)
        self.assertEqual(decoded.diagnostics, ())
        found = getattr(messageOf(decoded), field)
        self.assertEqual((found, type(found)), (value, type(value)))
        return messageOf(decoded)

    def assertDeviates(
        self, typeId: int, payload: str, field: str, value: object, *expected: str
    ) -> Decoded:
        """Taken leniently with a warning, refused strictly."""
        decoded = received(typeId, payload)
        self.assertEqual(getattr(messageOf(decoded), field), value)
        self.assertEqual(codes(decoded.diagnostics), list(expected))
        self.assertEqual({each.severity for each in decoded.diagnostics}, {"warning"})
        strict = received(typeId, payload, strict=True)
        self.assertIsNone(strict.message)
        self.assertEqual(codes(strict.diagnostics), list(expected))
        self.assertEqual({each.severity for each in strict.diagnostics}, {"error"})
        return decoded

    def assertInvalid(
        self, typeId: int, payload: str, field: str, code: str, path: str, offset: int
    ) -> Decoded:
        """The field is absent, and kept as it came; offset: in the payload."""
        decoded = self.assertDeviates(typeId, payload, field, None, code)
        [diagnostic] = decoded.diagnostics
        self.assertEqual(diagnostic.path, path)
        self.assertEqual(diagnostic.offset, offset + HEAD_LENGTH)
        assert decoded.frame is not None
        self.assertEqual(decoded.frame.payloadOffset, HEAD_LENGTH)
        message = messageOf(decoded)
        self.assertEqual(len(message.unknown), 1)
        self.assertEqual(encode(message)[HEAD_LENGTH:], bytes.fromhex(payload))
        return decoded

    def assertRefused(self, text: str, cls: Any, **values: object) -> None:
        error = self.assertRaises(InvalidValue, cls, **values)
        self.assertIsInstance(error, UsageError)
        self.assertIn(text, str(error))


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


class BoundsTests(ValueCase):
    """V7."""

    def test_V7_minAboveMax(self) -> None:
        decoded = self.assertInvalid(
            SUPPLY,
            "a1 00 a1 18 20 82 a1 10 19 03e8 a1 10 18 c8",
            "voltage_limit",
            "bounds.order",
            "supply.voltage_limit",
            5,
        )
        self.assertTrue(decoded.voidsConsent)
        self.assertIn("1000 is above the maximum 200", decoded.diagnostics[0].text)

    def test_V7_minEqualToMax(self) -> None:
        message = SupplyParameters(voltage_limit=(400, 400))
        self.assertEqual(decode(encode(message), strict=True).message, message)

    def test_notTwoValues(self) -> None:
        for data in ("80", "81 a1 10 00", "83 a1 10 00 a1 10 00 a1 10 00", "a1 10 00", "00", "f6"):
            payload = "a1 00 a1 18 20" + data
            self.assertInvalid(
                SUPPLY, payload, "voltage_limit", "value.shape", "supply.voltage_limit", 5
            )

    def test_pathAndOffsetOfABound(self) -> None:
        self.assertInvalid(
            SUPPLY,
            "a1 00 a1 18 20 82 a1 10 f9 7e00 a1 10 18 c8",
            "voltage_limit",
            "value.not-finite",
            "supply.voltage_limit.min",
            8,
        )

    def test_localBounds(self) -> None:
        message = SupplyParameters(voltage_limit=(200, 1000))
        self.assertEqual(message.voltage_limit, Bounds(200, 1000))
        assert message.voltage_limit is not None
        self.assertEqual(message.voltage_limit.min, 200)
        self.assertEqual(message, SupplyParameters(voltage_limit=Bounds(200, 1000)))
        for value in ((1000, 200), (1,), (1, 2, 3), 5, "ab", (math.nan, 5), (0, None)):
            self.assertRefused(
                "SupplyParameters.voltage_limit", SupplyParameters, voltage_limit=value
            )
        self.assertRefused("voltage_limit.max: inf", SupplyParameters, voltage_limit=(1, math.inf))


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


class MixTests(ValueCase):
    """V5."""

    def mix(self, data: str) -> str:
        return "a1 03 a1 18 40" + data

    def test_V5_sharesAddUpTo100(self) -> None:
        for first, second in ((69, 30.5), (70, 30.5), (70, 29.5)):
            message = SupplyParameters(power_mix={Source.WIND: first, Source.SOLAR: second})
            self.assertEqual(decode(encode(message), strict=True).diagnostics, ())

    def test_V5_sharesThatDoNot(self) -> None:
        data = self.mix("82 a1 01 a1 14 18 47 a1 09 a1 14 18 1e")
        mix = {Source.WIND: 71, Source.LOCAL_SOLAR: 30}
        decoded = self.assertDeviates(SUPPLY, data, "power_mix", mix, "mix.sum")
        self.assertFalse(decoded.voidsConsent)
        self.assertIn("101 %", decoded.diagnostics[0].text)

    def test_V5_emptyMix(self) -> None:
        self.assertDeviates(SUPPLY, self.mix("80"), "power_mix", {}, "mix.sum")

    def test_V5_oneMapWithSeveralEntries(self) -> None:
        mix = {Source.WIND: 70, Source.LOCAL_SOLAR: 30}
        data = self.mix("a2 01 a1 14 18 46 09 a1 14 18 1e")
        self.assertDeviates(SUPPLY, data, "power_mix", mix, "mix.form")
        data = self.mix("81 a2 01 a1 14 18 46 09 a1 14 18 1e")
        self.assertDeviates(SUPPLY, data, "power_mix", mix, "mix.form")

    def test_V5_unknownSourcesAreKept(self) -> None:
        data = self.mix("82 a1 01 a1 14 18 46 a1 18 4d a1 14 18 1e")
        decoded = received(SUPPLY, data, strict=True)
        self.assertEqual(decoded.diagnostics, ())
        self.assertEqual(messageOf(decoded), SupplyParameters(power_mix={1: 70, 0x4D: 30}))
        self.assertEqual(encode(messageOf(decoded))[HEAD_LENGTH:], bytes.fromhex(data))

    def test_V5_knownSourcesHaveNames(self) -> None:
        message = messageOf(received(SUPPLY, self.mix("81 a1 01 a1 14 18 64")))
        self.assertEqual(repr(message), "SupplyParameters(power_mix={Source.WIND: 100})")

    def test_V5_aSourceTwiceAddsUp(self) -> None:
        data = self.mix("83 a1 01 a1 14 18 1e a1 02 a1 14 18 28 a1 01 a1 14 18 1e")
        decoded = received(SUPPLY, data, strict=True)
        self.assertEqual(messageOf(decoded), SupplyParameters(power_mix={1: 60, 2: 40}))

    def test_V5_additionBeyondNumbers(self) -> None:
        for number in ("1b ffffffffffffffff", "fb 7fefffffffffffff"):
            data = f"a1 04 a1 18 41 82 a1 01 a1 13 {number} a1 01 a1 13 {number}"
            self.assertDeviates(STORAGE, data, "energy_mix", None, "value.not-finite")

    def test_V5_sharesWhoseSumIsInfinite(self) -> None:
        huge = "fb 7fefffffffffffff"
        decoded = received(SUPPLY, self.mix(f"82 a1 01 a1 14 {huge} a1 02 a1 14 {huge}"))
        self.assertIn("mix.sum", codes(decoded.diagnostics))

    def test_energies(self) -> None:
        data = "a1 04 a1 18 41 81 a1 01 a1 13 19 1838"
        self.assertEqual(
            received(STORAGE, data, strict=True).message, StorageParameters(energy_mix={1: 6200})
        )

    def test_whatIsNoMix(self) -> None:
        for data, code, path, offset in (
            ("00", "value.shape", "", 5),
            ("81 00", "value.shape", "[0]", 6),
            ("81 a1 20 a1 14 00", "value.data", "[0]", 6),
            ("81 a1 61 57 a1 14 00", "value.data", "[0]", 6),
            ("82 a1 01 a1 14 00 a1 02 a1 13 00", "value.type", "[1].Solar", 13),
            ("81 a1 18 4d a1 14 f6", "value.data", "[0].0x4d", 11),
        ):
            path = "supply.power_mix" + path
            self.assertInvalid(SUPPLY, self.mix(data), "power_mix", code, path, offset)

    def test_mixesCannotBeChanged(self) -> None:
        given: dict[Source | int, float] = {Source.WIND: 100}
        message = SupplyParameters(power_mix=given)
        given[Source.COAL] = 5
        self.assertEqual(message.power_mix, {1: 100})
        with self.assertRaises(TypeError):
            message.power_mix[1] = 5  # type: ignore[index]

    def test_localMixes(self) -> None:
        for mix in (5, [(1, 5)], {-1: 5}, {"Wind": 5}, {True: 5}, {2**64: 5}, {1: math.nan}):
            self.assertRefused("SupplyParameters.power_mix", SupplyParameters, power_mix=mix)
        self.assertRefused("power_mix.LocalSolar: 'x'", SupplyParameters, power_mix={9: "x"})

    def test_carbonIntensity(self) -> None:
        self.assertEqual(Source.LOCAL_SOLAR.carbon, 40)
        self.assertEqual((Source.LOCAL_WIND.title, int(Source.LOCAL_WIND)), ("LocalWind", 8))


class IsolationTests(ValueCase):
    """V6."""

    def isolation(self, data: str) -> str:
        return "a1 07 a1 18 50" + data

    def test_V6_orderIsStateNegativePositive(self) -> None:
        data = self.isolation("83 02 a1 15 01 a1 15 02")
        isolation = Isolation(IsolationState.WARNING, negative=1, positive=2)
        self.assertTaken(SUPPLY, data, "isolation", isolation)

    def test_V6_resistancesMayBeNullOrMissing(self) -> None:
        for data, isolation in (
            ("83 01 f6 f6", Isolation(IsolationState.OK)),
            ("81 01", Isolation(IsolationState.OK)),
            ("82 01 a1 15 05", Isolation(IsolationState.OK, 5)),
            ("83 01 f6 a1 15 05", Isolation(IsolationState.OK, None, 5)),
        ):
            self.assertTaken(SUPPLY, self.isolation(data), "isolation", isolation)

    def test_V6_stateThatIsNotInTheTable(self) -> None:
        decoded = self.assertDeviates(
            SUPPLY, self.isolation("83 07 f6 f6"), "isolation", Isolation(7), "isolation.state"
        )
        self.assertEqual(decoded.diagnostics[0].path, "supply.isolation.state")
        self.assertEqual(decoded.diagnostics[0].offset, HEAD_LENGTH + 6)
        self.assertFalse(decoded.voidsConsent)

    def test_V6_moreEntriesAreKept(self) -> None:
        data = self.isolation("84 01 f6 f6 05")
        isolation = Isolation(IsolationState.OK)
        decoded = self.assertDeviates(SUPPLY, data, "isolation", isolation, "value.extra")
        self.assertEqual(encode(messageOf(decoded))[HEAD_LENGTH:], bytes.fromhex(data))

    def test_whatIsNoIsolation(self) -> None:
        for data, code, path, offset in (
            ("01", "value.shape", "", 5),
            ("80", "value.shape", "", 5),
            ("81 f6", "value.data", ".state", 6),
            ("81 20", "value.data", ".state", 6),
            ("81 f9 3c00", "value.data", ".state", 6),
            ("83 01 05 f6", "value.shape", ".negative", 7),
            ("83 01 f6 a1 15 f9 7e00", "value.not-finite", ".positive", 10),
        ):
            decoded = self.assertInvalid(
                SUPPLY,
                self.isolation(data),
                "isolation",
                code,
                "supply.isolation" + path,
                offset,
            )
            self.assertTrue(decoded.voidsConsent)

    def test_localIsolation(self) -> None:
        message = SupplyParameters(isolation=IsolationState.FAULT)
        self.assertEqual(message.isolation, Isolation(IsolationState.FAULT))
        self.assertEqual(SupplyParameters(isolation=Isolation(3)), message)
        assert message.isolation is not None
        self.assertIs(type(message.isolation.state), IsolationState)
        for value in (1, (), (1, 2, 3, 4), Isolation(-1), Isolation(True), Isolation(1, math.nan)):
            self.assertRefused("SupplyParameters.isolation", SupplyParameters, isolation=value)


class TimestampTests(ValueCase):
    """V4, V9; the forms of timestamps are in test_timestamps."""

    def prices(self, *texts: str, rest: str = "a1 02 00 a1 05 63 534556") -> str:
        data = f"a1 04 a1 18 30 {0x80 + len(texts):02x}"
        for text in texts:
            data += f"83 a1 03 {shortest.text(text).hex()} {rest}"
        return data

    def test_V4_rfc3339(self) -> None:
        decoded = received(SUPPLY, self.prices("2025-02-01T12:00:00Z"), strict=True)
        self.assertEqual(decoded.diagnostics, ())
        expected = SupplyParameters(energy_prices=[Price(NOON, 0, "SEV")])
        self.assertEqual(decoded.message, expected)

    def test_V4_tag0AroundTheText(self) -> None:
        data = self.prices("2025-02-01T12:00:00Z").replace("a1 03", "a1 03 c0")
        self.assertEqual(received(SUPPLY, data, strict=True).diagnostics, ())

    def test_V4_anyOtherTagIsRefused(self) -> None:
        for tag in ("c1", "c0 c0"):
            data = self.prices("2025-02-01T12:00:00Z").replace("a1 03", "a1 03 " + tag)
            decoded = received(SUPPLY, data)
            self.assertEqual(codes(decoded.diagnostics), ["value.tag"])
            self.assertEqual(decoded.diagnostics[0].path, "supply.energy_prices[0].timestamp")

    def test_V4_withoutOffsetIsUTC(self) -> None:
        decoded = received(SUPPLY, self.prices("2025-02-01T12:00:00"))
        self.assertEqual(codes(decoded.diagnostics), ["timestamp.zone"])
        [diagnostic] = decoded.diagnostics
        self.assertEqual(diagnostic.path, "supply.energy_prices[0].timestamp")
        # The payload is long enough for its length to take a byte.
        self.assertEqual(diagnostic.offset, HEAD_LENGTH + 1 + 9)
        [price] = messageOf(decoded).energy_prices  # type: ignore[attr-defined]
        self.assertEqual(price.timestamp, NOON)

    def test_V4_whatIsNoTimestamp(self) -> None:
        for text in ("", "yesterday", "2025-02-30", "2025-02-01T24:01:00Z"):
            decoded = received(SUPPLY, self.prices(text))
            self.assertEqual(codes(decoded.diagnostics), ["timestamp.invalid"])
            self.assertEqual(messageOf(decoded).energy_prices, None)
            self.assertFalse(decoded.voidsConsent)

    def test_V4_timestampAsNumber(self) -> None:
        data = "a1 04 a1 18 30 81 83 a1 03 1a 67abcdef a1 02 00 a1 05 63 534556"
        self.assertEqual(codes(received(SUPPLY, data).diagnostics), ["value.data"])

    def test_V4_finerThanMicrosecondsIsKeptAsItCame(self) -> None:
        data = self.prices("2025-02-01T12:00:00.1234567Z")
        decoded = received(SUPPLY, data)
        self.assertEqual(codes(decoded.diagnostics), ["timestamp.precision"])
        message = messageOf(decoded)
        [price] = message.energy_prices  # type: ignore[attr-defined]
        self.assertEqual(price.timestamp, NOON + timedelta(microseconds=123456))
        self.assertEqual(encode(message)[HEAD_LENGTH + 1 :], bytes.fromhex(data))

    def test_V9_inTimestampOrder(self) -> None:
        data = self.prices("2025-02-01T12:00:00Z", "2025-02-01T12:00:00+02:00")
        message = messageOf(received(SUPPLY, data, strict=True))
        found = [price.timestamp for price in message.energy_prices]  # type: ignore[attr-defined]
        self.assertEqual(found, [NOON - timedelta(hours=2), NOON])

    def test_V9_localPricesInTimestampOrder(self) -> None:
        later, sooner = Price(NOON, 1, "SEK"), Price(NOON - timedelta(hours=1), 2, "SEK")
        self.assertEqual(
            SupplyParameters(energy_prices=[later, sooner]).energy_prices, (sooner, later)
        )

    def test_V9_currencyIsThreeCapitalLetters(self) -> None:
        for text in ("73656b", "5345", "53454b4b", "53454c31", "c384c384c384"):
            length = 0x60 + len(bytes.fromhex(text))
            rest = f"a1 02 00 a1 05 {length:02x} {text}"
            decoded = received(SUPPLY, self.prices("2025-02-01T12:00:00Z", rest=rest))
            self.assertEqual(codes(decoded.diagnostics), ["currency.form"])
            self.assertEqual(decoded.diagnostics[0].path, "supply.energy_prices[0].currency")

    def test_V9_moreEntriesAreKept(self) -> None:
        data = self.prices("2025-02-01T12:00:00Z").replace("83 a1", "84 a1") + "05"
        decoded = received(SUPPLY, data)
        self.assertEqual(codes(decoded.diagnostics), ["value.extra"])
        self.assertEqual(encode(messageOf(decoded))[HEAD_LENGTH + 1 :], bytes.fromhex(data))

    def test_whatAreNoPrices(self) -> None:
        for data, path, offset in (
            ("00", "", 5),
            ("81 00", "[0]", 6),
            ("81 82 00 00", "[0]", 6),
            ("81 83 00 00 00", "[0].timestamp", 7),
        ):
            self.assertInvalid(
                SUPPLY,
                "a1 04 a1 18 30" + data,
                "energy_prices",
                "value.shape",
                "supply.energy_prices" + path,
                offset,
            )

    def test_localPrices(self) -> None:
        good = Price(NOON, 1, "SEK")
        for value in (5, "SEK", {1: 2}, good, [5], [(NOON, 1)], [good._replace(currency="kr")]):
            self.assertRefused(
                "SupplyParameters.energy_prices", SupplyParameters, energy_prices=value
            )
        for moment in (
            "2025-02-01",
            NOON.replace(tzinfo=None),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1, seconds=1))),
        ):
            price = good._replace(timestamp=moment)  # type: ignore[arg-type]
            self.assertRefused("[0].timestamp", SupplyParameters, energy_prices=[price])


class ConsentTests(ValueCase):
    """Consent fails safe."""

    def test_invalidVoltageCurrentPowerOrIsolationVoids(self) -> None:
        for typeId, fields in ((SUPPLY, (0, 1, 2, 5, 6, 7)), (DEMAND, (0, 1, 2, 3, 4))):
            for id in fields:
                decoded = received(typeId, f"a1 {id:02x} f6")
                self.assertIsNotNone(decoded.message)
                self.assertTrue(decoded.voidsConsent, (typeId, id))

    def test_otherInvalidFieldsDoNot(self) -> None:
        for typeId, id in ((SUPPLY, 3), (SUPPLY, 4), (DEMAND, 5)):
            decoded = received(typeId, f"a1 {id:02x} f6")
            self.assertEqual(len(decoded.diagnostics), 1)
            self.assertFalse(decoded.voidsConsent)

    def test_noMessageVoids(self) -> None:
        self.assertTrue(received(SUPPLY, "00").voidsConsent)

    def test_warningsAboutUsableFieldsDoNot(self) -> None:
        self.assertFalse(received(SUPPLY, "a1 05 a2 10 05 11 06").voidsConsent)

    def test_M6_negativeDemandIsValid(self) -> None:
        decoded = decode(encode(DemandParameters(current=-32)), strict=True)
        self.assertEqual(decoded.message, DemandParameters(current=-32))
        self.assertFalse(decoded.voidsConsent)


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
