"""The fast paths of encoding write what the plain ones write."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone

import attrs
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.wire import (
    IsolationState,
    Message,
    Ping,
    Price,
    SessionParameters,
    SupplyParameters,
    UnknownMessage,
    decode,
    encode,
    encodeFrame,
    encodePayload,
    registeredMessages,
    registerField,
    shortest,
)
from epnet.wire.codec import plainPayload
from epnet.wire.kinds import POWER, TIMESTAMP
from epnet.wire.timestamps import formatTimestamp
from tests.wire.test_extensions import ExtensionCase
from tests.wire.test_properties import messagesOf, moments, numbers, some

known = st.one_of(*map(messagesOf, registeredMessages()))


class PayloadTests(SynchronousTestCase):
    @given(known)
    @some
    def test_asThePlainPath(self, message: Message) -> None:
        for each in (message, message.replace(unknown={})):
            self.assertEqual(encodePayload(each), plainPayload(each))

    @given(known)
    @some
    def test_aFrameIsTheSameTheSecondTime(self, message: Message) -> None:
        first, again = encode(message), encode(message)
        self.assertEqual(first, encodeFrame(message.typeId, plainPayload(message)))
        self.assertEqual(again, first)


class NumberTests(SynchronousTestCase):
    def assertPlain(self, value: float) -> None:
        for _ in range(2):
            self.assertEqual(shortest.number(value), shortest.plainNumber(value))

    @given(numbers)
    @example(0)
    @example(0.0)
    @example(-0.0)
    @some
    def test_asThePlainPath(self, value: float) -> None:
        self.assertPlain(value)
        if float(value) == value:
            self.assertPlain(float(value))
            self.assertPlain(-float(value))

    def test_equalNumbersOfDifferentTypes(self) -> None:
        class Odd(float):
            pass

        for value, data in [
            (Odd(1), "f93c00"),
            (1, "01"),
            (True, "01"),
            (IsolationState.OK, "01"),
            (1.0, "f93c00"),
            (Odd(0.0), "f90000"),
            (-0.0, "f98000"),
            (0.0, "f90000"),
            (0, "00"),
        ]:
            self.assertEqual(shortest.number(value).hex(), data, repr(value))

    def test_onlySoManyAreKept(self) -> None:
        self.patch(shortest._Memo, "LIMIT", 10)
        memo = shortest._Memo(shortest.plainNumber)
        for value in range(1000, 1100):
            self.assertEqual(memo[value], shortest.plainNumber(value))
            self.assertLessEqual(len(memo), 10)


class TimestampTests(SynchronousTestCase):
    @given(moments, st.integers(-1439, 1439))
    @some
    def test_equalMomentsKeepTheirOffsets(self, moment: datetime, minutes: int) -> None:
        other = moment.astimezone(timezone(timedelta(minutes=minutes)))
        self.assertEqual(other, moment)
        for each in (moment, other, moment):
            written = TIMESTAMP.pack(TIMESTAMP.check(each, "moment"))
            self.assertEqual(written, shortest.text(formatTimestamp(each)))


class WireTests(ExtensionCase):
    """A message keeps its bytes for the next to whom it goes."""

    def test_isNotEncodedAgain(self) -> None:
        message = SupplyParameters(voltage=1)
        self.assertIs(encode(message), encode(message))
        self.assertIs(encode(message, {}), encode(message))

    def test_headersAreNotKept(self) -> None:
        message = SupplyParameters(voltage=1)
        plain = encode(message)
        withHeaders = encode(message, {0x100: b"\x01"})
        self.assertNotEqual(withHeaders, plain)
        self.assertEqual(encode(message), plain)
        self.assertEqual(encode(message, {0x100: b"\x01"}), withHeaders)

    def test_isNoPartOfWhatItSays(self) -> None:
        message, other = SupplyParameters(voltage=1), SupplyParameters(voltage=1)
        before = repr(message)
        encode(message)
        self.assertEqual(message, other)
        self.assertEqual(repr(message), before)
        self.assertEqual(encode(message.replace(voltage=2)), encode(SupplyParameters(voltage=2)))

    def test_anUnknownMessage(self) -> None:
        message = UnknownMessage(typeId=0x01000042, payload=b"\x01")
        self.assertIs(encode(message), encode(message))

    def test_notWhereALaterExtensionMayContradictIt(self) -> None:
        message = SupplyParameters(unknown={0x1000: b"\xa1\x12\x01"})
        encode(message)
        registerField(SupplyParameters, 0x1000, "extra", POWER, "More")
        self.assertRaises(UsageError, encode, message)


class UncheckedTests(SynchronousTestCase):
    """Messages that were decoded are made without a constructor, and like any other."""

    def decoded(self) -> Message:
        data = encode(SupplyParameters(voltage=1, energy_prices=[self.price]))
        message = decode(data).message
        assert message is not None
        return message

    price = Price(datetime(2026, 1, 1, tzinfo=UTC), 1, "SEK")

    def test_sameClassAndValues(self) -> None:
        message = self.decoded()
        given = SupplyParameters(voltage=1, energy_prices=[self.price])
        self.assertIs(type(message), SupplyParameters)
        self.assertEqual((message, repr(message)), (given, repr(given)))
        self.assertEqual(message.replace(voltage=2), given.replace(voltage=2))

    def test_immutableAndSlotted(self) -> None:
        message = self.decoded()
        for name in ("voltage", "unknown", "wire", "other"):
            with self.assertRaises(attrs.exceptions.FrozenInstanceError):
                setattr(message, name, None)
            with self.assertRaises(attrs.exceptions.FrozenInstanceError):
                delattr(message, name)
        self.assertFalse(hasattr(message, "__dict__"))

    def test_copies(self) -> None:
        session = decode(encode(SessionParameters(identity="a"))).message
        ping = decode(encode(Ping())).message
        for message in (session, ping):
            self.assertEqual(copy.copy(message), message)
