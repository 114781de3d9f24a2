"""Messages and frames in JSON's terms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.wire import (
    DemandParameters,
    Frame,
    Isolation,
    IsolationState,
    Message,
    Ping,
    Price,
    SoftDisconnect,
    Source,
    StorageParameters,
    SupplyParameters,
    UnknownMessage,
    decodeFrame,
    encode,
    encodeFrame,
    field,
    message,
    registeredMessages,
    registry,
)
from epnet.wire.frameform import encodeForm, frameForm, gapForm
from epnet.wire.jsonform import fieldsOf, messageFrom, unknownOf
from epnet.wire.kinds import BINARY, TIMESTAMP, Kind
from tests.wire import helpers
from tests.wire.test_properties import headers, messagesOf, mutated, unknownMessages

SUPPLY = SupplyParameters(
    voltage_limit=(200, 1000.0),
    power_limit=5000,
    power_mix={Source.WIND: 70, Source.LOCAL_SOLAR: 29.5, 0x4D: 0.5},
    energy_prices=[Price(datetime(2025, 6, 1, 12, 30, tzinfo=UTC), 1, "SEK")],
    isolation=IsolationState.OK,
    unknown={0x4D: b"\x01", -1: b"\x02", b"\x61a": b"\x03"},
)
SUPPLY_FIELDS: dict[str, Any] = {
    "voltage_limit": {"min": 200, "max": 1000.0},
    "power_limit": 5000,
    "power_mix": {"Wind": 70, "LocalSolar": 29.5, "0x4d": 0.5},
    "energy_prices": [{"from": "2025-06-01T12:30:00Z", "amount": 1, "currency": "SEK"}],
    "isolation": {"state": "Ok", "negative": None, "positive": None},
}


def throughJson(value: Any) -> Any:
    """What is left of a value after it was printed and read."""
    return json.loads(json.dumps(value))


def formOf(data: bytes) -> Any:
    """The form of the only frame in the data, printed and read."""
    frame = helpers.frameIn(data)
    return throughJson(frameForm(frame, decodeFrame(frame)))


class FieldTests(SynchronousTestCase):
    """Each value type has its form."""

    def test_everyValueType(self) -> None:
        self.assertEqual(fieldsOf(SUPPLY), SUPPLY_FIELDS)

    def test_numbersStayIntegersOrFloats(self) -> None:
        text = json.dumps(fieldsOf(DemandParameters(voltage=1, current=1.0, power_limit=1e300)))
        self.assertEqual(text, '{"voltage": 1, "current": 1.0, "power_limit": 1e+300}')

    def test_absentFieldsAreLeftOut(self) -> None:
        self.assertEqual(fieldsOf(SupplyParameters()), {})
        self.assertEqual(fieldsOf(Ping()), {})

    def test_flagsAndTexts(self) -> None:
        fields = {"reconnect": False, "reason": "normal"}
        self.assertEqual(fieldsOf(SoftDisconnect(reconnect=False, reason="normal")), fields)

    def test_energiesBySource(self) -> None:
        self.assertEqual(
            fieldsOf(StorageParameters(energy_mix={Source.HYDRO: 10})),
            {"energy_mix": {"Hydro": 10}},
        )

    def test_anIsolationStateThatIsNotKnownIsItsNumber(self) -> None:
        supply = SupplyParameters(isolation=Isolation(7, 5, 1.5))
        isolation = {"state": "0x07", "negative": 5, "positive": 1.5}
        self.assertEqual(fieldsOf(supply), {"isolation": isolation})
        self.assertEqual(messageFrom("SupplyParameters", {"isolation": isolation}), supply)

    def test_whatWasNotUnderstoodIsHex(self) -> None:
        self.assertEqual(unknownOf(SUPPLY), {"0x4d": "01", "-0x1": "02", "cbor:6161": "03"})

    def test_offsetsFromUtcAreKept(self) -> None:
        moment = datetime(2025, 6, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        supply = SupplyParameters(energy_prices=[Price(moment, 1, "SEK")])
        self.assertIn("2025-06-01T12:00:00+02:00", json.dumps(fieldsOf(supply)))

    def test_theInverse(self) -> None:
        fields, unknown = throughJson([fieldsOf(SUPPLY), unknownOf(SUPPLY)])
        self.assertEqual(messageFrom("SupplyParameters", fields, unknown), SUPPLY)


class WrongFieldTests(SynchronousTestCase):
    """What does not belong there is refused, with where it is and what belongs there."""

    def assertRefused(self, fields: dict[str, Any], *parts: str) -> None:
        error = self.assertRaises(UsageError, messageFrom, "SupplyParameters", fields)
        for part in parts:
            self.assertIn(part, str(error))

    def test_aFieldThatThereIsNot(self) -> None:
        self.assertRefused({"power_limt": 1}, "'power_limt'", "'power_limit'")
        self.assertRefused({"qqq": 1}, "'qqq'", "voltage_limit, current_limit, power_limit")

    def test_aTypeThatThereIsNot(self) -> None:
        error = self.assertRaises(UsageError, messageFrom, "SuplyParameters", {})
        self.assertIn("did you mean 'SupplyParameters'?", str(error))

    def test_aMessageWithoutWhatItNeeds(self) -> None:
        error = self.assertRaises(UsageError, messageFrom, "SessionParameters", {"name": "x"})
        self.assertIn("'identity'", str(error))

    def test_valuesOfAnotherShape(self) -> None:
        price = {"from": "2025-06-01T12:30:00Z", "amount": 1, "currency": "SEK"}
        for name, value, path in (
            ("power_limit", "5000", ".power_limit"),
            ("power_limit", True, ".power_limit"),
            ("power_limit", 2**64, ".power_limit"),
            ("power_limit", float("nan"), ".power_limit"),
            ("voltage_limit", [200, 1000], ".voltage_limit"),
            ("voltage_limit", {"min": 1}, ".voltage_limit"),
            ("voltage_limit", {"min": 1, "max": 2, "mid": 1}, ".voltage_limit"),
            ("voltage_limit", {"min": 1, "max": "2"}, ".voltage_limit.max"),
            ("voltage_limit", {"min": 2, "max": 1}, ".voltage_limit"),
            ("power_mix", ["Wind"], ".power_mix"),
            ("power_mix", {"Windy": 1}, "did you mean 'Wind'"),
            ("power_mix", {"0xzz": 1}, ".power_mix.0xzz"),
            ("power_mix", {"-0x1": 1}, ".power_mix"),
            ("power_mix", {"Wind": None}, ".power_mix.Wind"),
            ("power_mix", {"Wind": 1, "0x1": 2}, ".power_mix"),
            ("energy_prices", price, ".energy_prices"),
            ("energy_prices", "x", ".energy_prices"),
            ("energy_prices", [[]], ".energy_prices[0]"),
            ("energy_prices", [price, price | {"amount": "x"}], ".energy_prices[1].amount"),
            ("energy_prices", [price | {"currency": "sek"}], ".energy_prices[0].currency"),
            ("energy_prices", [price | {"from": "2025-06-01"}], ".energy_prices[0].from"),
            ("energy_prices", [price | {"from": "soon"}], ".energy_prices[0].from"),
            ("energy_prices", [price | {"from": 1}], ".energy_prices[0].from"),
            ("isolation", "Ok", ".isolation"),
            ("isolation", {"state": "Okay", "negative": 1, "positive": 1}, "mean 'Ok'"),
            ("isolation", {"state": 1, "negative": 1, "positive": 1}, ".isolation.state"),
            ("isolation", {"state": "Ok", "negative": "1", "positive": 1}, ".isolation.negative"),
        ):
            self.assertRefused({name: value}, f"{path}")

    def test_whatWasNotUnderstood(self) -> None:
        for unknown in ({"4d": "01"}, {"0x4d": "x"}, {"0x4d": 1}, {"0x4d": "01", "0x04d": "01"}):
            self.assertRaises(UsageError, messageFrom, "SupplyParameters", {}, unknown)


class FrameTests(SynchronousTestCase):
    """A frame is one object."""

    def test_theExample(self) -> None:
        data = encode(SoftDisconnect(reconnect=False, reason="normal"))
        self.assertEqual(
            formOf(data),
            {
                "offset": 0,
                "length": 27,
                "type": "SoftDisconnect",
                "type_id": "0xbabadead",
                "headers": None,
                "fields": {"reconnect": False, "reason": "normal"},
                "unknown": {},
                "diagnostics": [],
            },
        )

    def test_aGap(self) -> None:
        gap = helpers.gapIn(b"abc")
        self.assertEqual(throughJson(gapForm(gap)), {"skipped": 3, "offset": 0})

    def test_aMessageThatIsNotKnown(self) -> None:
        form = formOf(encode(UnknownMessage(typeId=0x01234567, payload=b"\xff")))
        self.assertEqual((form["type"], form["payload"]), ("UnknownMessage", "ff"))
        self.assertEqual((form["type_id"], form["fields"]), ("0x01234567", {}))

    def test_aPayloadOfWhichNothingWasMade(self) -> None:
        form = formOf(encodeFrame(helpers.SUPPLY, b"\xa1\x02"))
        self.assertEqual((form["type"], form["fields"]), ("SupplyParameters", {}))
        self.assertEqual(form["payload"], "a102")
        [diagnostic] = form["diagnostics"]
        self.assertEqual(
            {key: diagnostic[key] for key in ("severity", "code", "path", "offset")},
            {"severity": "error", "code": "payload.truncated", "path": "supply", "offset": 14},
        )

    def test_noPayloadIsToldFromAMapWithoutFields(self) -> None:
        self.assertNotIn("payload", formOf(encode(SoftDisconnect())))
        form = formOf(encodeFrame(helpers.DISCONNECT, None))
        self.assertEqual((form["fields"], form["payload"]), ({}, None))

    def test_headers(self) -> None:
        form = formOf(encode(Ping(), {0x100: b"\x61a"}))
        self.assertEqual(form["headers"], {"0x100": "6161"})


class EncodeTests(SynchronousTestCase):
    """The form of a frame gives its bytes again."""

    def assertBytesAgain(self, data: bytes) -> None:
        self.assertEqual(encodeForm(formOf(data)).hex(" "), data.hex(" "))

    @given(st.one_of([messagesOf(cls) for cls in registeredMessages()]), headers)
    def test_anyMessage(self, message: Message, headers: dict[int, bytes] | None) -> None:
        self.assertBytesAgain(encode(message, headers))

    @given(unknownMessages, headers)
    def test_anyMessageThatIsNotKnown(
        self, message: Message, headers: dict[int, bytes] | None
    ) -> None:
        self.assertBytesAgain(encode(message, headers))

    @given(mutated())
    def test_anyFrameHasTheSameValues(self, data: bytes) -> None:
        for frame in helpers.framesIn(data):
            if isinstance(frame, Frame):
                first = throughJson(frameForm(frame, decodeFrame(frame)))
                again = formOf(encodeForm(first))
                self.assertEqual(again["headers"], first["headers"] or None)
                for key in ("type_id", "fields", "unknown"):
                    self.assertEqual(again[key], first[key])

    def test_noPayload(self) -> None:
        for cls in registeredMessages():
            self.assertBytesAgain(encodeFrame(cls.typeId, None))

    def test_deviationsGiveTheSameValues(self) -> None:
        data = bytes.fromhex("83 f6 1a dcdcf00d 4b bf 02 a1 12 fb 40b3880000000000 ff")
        data = data[:7] + bytes([0x40 + len(data) - 8]) + data[8:]
        form = formOf(data)
        self.assertEqual(form["fields"], {"power_limit": 5000.0})
        self.assertEqual(encodeForm(form), encode(SupplyParameters(power_limit=5000.0)))

    def test_aPersonNeedsToWriteOnlyTheType(self) -> None:
        self.assertEqual(encodeForm({"type": "Ping"}), encode(Ping()))
        self.assertEqual(encodeForm({"type_id": "0xffffffff"}), encode(Ping()))
        self.assertEqual(
            encodeForm({"type_id": "0x01234567", "payload": "ff"}),
            encode(UnknownMessage(typeId=0x01234567, payload=b"\xff")),
        )

    def test_reservedHeadersThatCameAreWrittenAgain(self) -> None:
        self.assertBytesAgain(encodeFrame(helpers.PING, None, {0x4D: b"\x01"}))

    def test_wrongForms(self) -> None:
        for form, part in (
            ({}, "type"),
            ({"typ": "Ping"}, "did you mean 'type'"),
            ({"type": "Pong"}, "did you mean 'Ping'"),
            ({"type": 1}, "type"),
            ({"type": "UnknownMessage"}, "type_id"),
            ({"type": "Ping", "type_id": "0xdcdcf00d"}, "type_id"),
            ({"type": "Ping", "type_id": 1}, "type_id"),
            ({"type_id": "0x01234567"}, "payload"),
            ({"type_id": "0x1ffffffff", "payload": None}, "32-bit"),
            ({"type": "Ping", "fields": []}, "fields"),
            ({"type": "Ping", "unknown": 1}, "unknown"),
            ({"type": "Ping", "headers": []}, "headers"),
            ({"type": "Ping", "headers": {"256": "01"}}, "headers"),
            ({"type": "Ping", "headers": {"0x100": "0"}}, "headers.0x100"),
            ({"type": "Ping", "headers": {"0x100": "01", "0x0100": "01"}}, "headers"),
            ({"type": "Ping", "headers": {"0x100": ""}}, "0x100"),
            ({"type": "Ping", "payload": 1}, "payload"),
            ({"type": "SoftDisconnect", "payload": "a0", "fields": {"reason": "x"}}, "payload"),
        ):
            error = self.assertRaises(UsageError, encodeForm, form)
            self.assertIn(part, str(error), form)


class Odd(Kind[int]):
    """A value type that an extension made from scratch."""

    def check(self, value: object, path: str) -> int:
        assert isinstance(value, int)
        return value

    def pack(self, value: int) -> bytes:
        return bytes([value])

    def take(self, data: object, trail: Any, notes: Any) -> int:
        assert isinstance(data, int)
        return data


class ExtensionTests(SynchronousTestCase):
    """Messages and fields of extensions have a form as well."""

    FIELDS: Final = {"raw": "01ff", "odd": "07", "since": "2025-06-01T00:00:00Z"}

    def setUp(self) -> None:
        @message(0x01000042, "thermal")
        class Thermal(Message):
            """A message."""

            raw: Any = field(0x00, BINARY, "Raw", default=None)
            odd: Any = field(0x01, Odd(0x1000, "Odd", "", "numeric", "Odd"), "Odd", default=None)
            since: Any = field(0x02, TIMESTAMP, "Since", default=None)

        self.patch(registry, "_classes", dict(registry._classes))
        registry.register(Thermal)
        since = datetime(2025, 6, 1, tzinfo=UTC)
        self.thermal = Thermal(raw=b"\x01\xff", odd=7, since=since)

    def test_itsFields(self) -> None:
        self.assertEqual(fieldsOf(self.thermal), self.FIELDS)

    def test_theInverse(self) -> None:
        fields = throughJson(fieldsOf(self.thermal))
        self.assertEqual(messageFrom("Thermal", fields), self.thermal)

    def test_wrongValues(self) -> None:
        for fields in ({"raw": "0"}, {"odd": "zz"}, {"odd": ""}, {"odd": "0000"}):
            self.assertRaises(UsageError, messageFrom, "Thermal", fields)
