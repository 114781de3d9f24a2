"""Compound values in payloads: wire-profile V4 to V7 and V9, and what voids consent."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

from epnet.wire import (
    Bounds,
    DemandParameters,
    Isolation,
    IsolationState,
    Price,
    Source,
    StorageParameters,
    SupplyParameters,
    decode,
    encode,
    shortest,
)
from tests.wire.helpers import (
    DEMAND,
    HEAD_LENGTH,
    STORAGE,
    SUPPLY,
    ValueCase,
    codes,
    messageOf,
    received,
)

NOON = datetime(2025, 2, 1, 12, tzinfo=UTC)


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
