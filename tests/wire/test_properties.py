"""What holds for any message, any split of a stream, and any bytes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import cbor2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.wire import (
    Frame,
    FrameReader,
    Gap,
    IsolationState,
    Message,
    Ping,
    SessionParameters,
    SoftDisconnect,
    Source,
    SupplyParameters,
    UnknownMessage,
    decode,
    decodeFrame,
    encode,
    messageClass,
    registeredMessages,
)
from epnet.wire.compounds import BoundsKind, IsolationKind, MixKind, PricesKind
from epnet.wire.kinds import Currency, Flag, Kind, Quantity, Text
from epnet.wire.routerpath import NamesKind
from epnet.wire.walk import Fault, Item, Skimmer, parse
from tests.wire.helpers import framesIn

some = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(some, max_examples=500)

integers = st.integers(-(2**64), 2**64 - 1) | st.integers(-30, 300)
floats = st.floats(allow_nan=False, allow_infinity=False) | st.floats(
    allow_nan=False, allow_infinity=False, width=16
)
numbers = integers | floats
texts = st.text(max_size=256)
moments = st.datetimes(
    datetime(2, 1, 1),
    datetime(9998, 1, 1),
    timezones=st.just(UTC)
    | st.builds(timezone, st.integers(-1439, 1439).map(lambda minutes: timedelta(minutes=minutes))),
)
sources = st.sampled_from(Source) | st.integers(0, 2**64 - 1)
states = st.sampled_from(IsolationState) | st.integers(0, 2**64 - 1)


def valuesOf(kind: Kind[Any]) -> st.SearchStrategy[Any]:
    """Whatever a local user may give for a field of that value type."""
    if isinstance(kind, BoundsKind):
        return st.tuples(numbers, numbers).map(lambda pair: tuple(sorted(pair)))
    if isinstance(kind, PricesKind):
        currency = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
        return st.lists(st.tuples(moments, numbers, currency), max_size=4)
    if isinstance(kind, MixKind):
        return st.dictionaries(sources, numbers, max_size=5)
    if isinstance(kind, IsolationKind):
        resistance = st.none() | numbers
        return states.flatmap(lambda state: st.tuples(st.just(state), resistance, resistance))
    if isinstance(kind, NamesKind):
        return st.lists(texts, max_size=4)
    assert isinstance(kind, Quantity | Text | Flag) and not isinstance(kind, Currency)
    return {Quantity: numbers, Text: texts, Flag: st.booleans()}.get(type(kind), numbers)


def messagesOf(cls: type[Message]) -> st.SearchStrategy[Message]:
    fields = {
        row.name: valuesOf(row.kind) if row.required else st.none() | valuesOf(row.kind)
        for row in cls.fields
    }
    free = st.integers(-(2**64), 2**64 - 1).filter(lambda key: cls.fieldOf(key) is None)
    unknown = st.dictionaries(free, items.map(cbor2.dumps), max_size=2)
    return st.fixed_dictionaries({"unknown": unknown, **fields}).map(lambda kw: cls(**kw))


items: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | integers | floats | texts | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-(2**64), 2**64 - 1) | texts, inner, max_size=3)
    ),
    max_leaves=6,
)
headers = st.none() | st.dictionaries(
    st.integers(0x100, 2**64 - 1), items.map(cbor2.dumps), min_size=1, max_size=2
)
unknownMessages = st.builds(
    UnknownMessage,
    typeId=st.integers(0x01000000, 0x7FFFFFFF).filter(lambda id: messageClass(id) is None),
    payload=st.none() | st.binary(max_size=80),
)
messages = st.one_of(*map(messagesOf, registeredMessages())) | unknownMessages
frames = st.tuples(messages, headers).map(lambda pair: encode(*pair))


deviant = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in (
            "83 f6 1a ffffffff f6",
            "9a 00000003 f6 1a ffffffff c2 41 f6",
            "9a 00000003 f6 19 ffff f6",
            "9a 00000003 bf 19 0100 01 ff 1a ffffffff f6",
            "9a 00000004 f6 1a ffffffff 01 f6",
        )
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames, good and deviant, parts of frames, and other bytes."""
    part = (
        deviant
        | frames
        | frames.flatmap(lambda data: st.integers(0, len(data)).map(lambda end: data[:end]))
    )
    return b"".join(draw(st.lists(part | st.binary(max_size=20), max_size=6)))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A frame with some bytes changed, put in or taken out."""
    data = bytearray(draw(frames))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        removed = draw(st.integers(0, 3))
        data[at : at + removed] = draw(st.binary(max_size=3))
    return bytes(data)


def shortestForm(data: bytes, at: Item) -> bool:
    """Whether no item in the data has a shorter form, judged by cbor2's canonical one."""
    if at.parts:
        return all(shortestForm(data, part) for _, part in at.parts)
    own = data[at.start : at.end]
    return isinstance(at.value, list | dict) or own == cbor2.dumps(at.value, canonical=True)


class RoundTripTests(SynchronousTestCase):
    @given(messages, headers)
    @some
    def test_anyMessage(self, message: Message, headers: dict[int, bytes] | None) -> None:
        decoded = decode(encode(message, headers))
        self.assertEqual(decoded.message, message)
        self.assertFalse(decoded.voidsConsent)
        assert decoded.frame is not None and decoded.message is not None
        self.assertEqual(decoded.frame.headers, headers)
        # Also the types of the numbers.
        self.assertEqual(
            repr(decoded.message.replace(unknown={})), repr(message.replace(unknown={}))
        )

    @given(messages)
    @some
    def test_encodingIsTheShortestExactForm(self, message: Message) -> None:
        data = encode(message.replace(unknown={}))
        frame = decode(data).frame
        assert frame is not None
        if frame.payload and not isinstance(message, UnknownMessage):
            item, indefinite = parse(frame.payload)
            self.assertIsNone(indefinite)
            self.assertTrue(shortestForm(frame.payload, item))

    @given(floats)
    @example(-0.0)
    @example(5e-324)
    @some
    def test_floatsAreExact(self, value: float) -> None:
        message = decode(encode(SupplyParameters(voltage=value))).message
        assert isinstance(message, SupplyParameters) and message.voltage is not None
        self.assertEqual(message.voltage, value)
        self.assertEqual(math.copysign(1, message.voltage), math.copysign(1, value))

    @given(mutated())
    @some
    def test_whateverIsUnderstoodSurvivesEncoding(self, data: bytes) -> None:
        """A relay that decodes and encodes changes nothing about what a message says."""
        for item in framesIn(data):
            if isinstance(item, Frame):
                first = decodeFrame(item)
                if first.message is not None:
                    second = decode(encode(first.message))
                    self.assertEqual(second.message, first.message)
                    self.assertEqual(second.voidsConsent, first.voidsConsent)


class StreamTests(SynchronousTestCase):
    @given(streams(), st.data())
    @some
    def test_F8_anySplit(self, stream: bytes, data: st.DataObject) -> None:
        whole = framesIn(stream)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        reader, found = FrameReader(), list[Frame | Gap]()
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            found += reader.feed(stream[start:end])
        self.assertEqual(found + reader.finish(), whole)

    @given(streams())
    @some
    def test_nothingIsLost(self, stream: bytes) -> None:
        """Frames and gaps lie end to end and cover the stream."""
        at = 0
        for item in framesIn(stream):
            self.assertEqual(item.offset, at)
            at += item.length if isinstance(item, Frame) else item.skipped
        self.assertEqual(at, len(stream))

    @given(st.lists(frames, max_size=5))
    @some
    def test_goodFramesHaveNoGaps(self, parts: list[bytes]) -> None:
        found = framesIn(b"".join(parts))
        self.assertEqual([getattr(item, "length", 0) for item in found], list(map(len, parts)))


class BadInputTests(SynchronousTestCase):
    def assertSensible(self, data: bytes) -> None:
        for strict in (False, True):
            decoded = decode(data, strict=strict)
            errors = [each for each in decoded.diagnostics if each.severity == "error"]
            if errors or (strict and decoded.diagnostics):
                self.assertIsNone(decoded.message)
            if decoded.message is None:
                self.assertTrue(decoded.diagnostics)
                self.assertTrue(decoded.voidsConsent)
            for each in decoded.diagnostics:
                self.assertTrue(0 <= each.offset <= len(data), each)
                self.assertTrue(each.text and each.path)
                self.assertLess(len(each.text), 300)

    @given(mutated())
    @many
    def test_mutatedFrames(self, data: bytes) -> None:
        self.assertSensible(data)

    @given(
        st.sampled_from([cls.typeId for cls in registeredMessages()]),
        st.binary(max_size=60) | items.map(cbor2.dumps),
    )
    @many
    def test_anyPayload(self, typeId: int, payload: bytes) -> None:
        self.assertSensible(
            b"\x9a\0\0\0\x03\xf6\x1a" + typeId.to_bytes(4, "big") + cbor2.dumps(payload)
        )

    @given(st.binary(max_size=60))
    @some
    def test_anyBytes(self, data: bytes) -> None:
        self.assertSensible(data)

    def test_aFrameCutAtEveryPosition(self) -> None:
        for message in (
            Ping(),
            SessionParameters(identity="a", name="b"),
            SoftDisconnect(reason="c"),
            SupplyParameters(voltage_limit=(1, 2.5), isolation=IsolationState.OK),
        ):
            data = encode(message, {0x100: b"\x82\x01\x02"})
            for end in range(len(data)):
                decoded = decode(data[:end])
                self.assertEqual(
                    [str(each.code) for each in decoded.diagnostics], ["frame.truncated"]
                )


class WalkTests(SynchronousTestCase):
    """The walk and cbor2 agree."""

    @given(items)
    @some
    def test_whatCbor2Writes(self, value: object) -> None:
        data = cbor2.dumps(value)
        item, indefinite = parse(data)
        self.assertIsNone(indefinite)
        self.assertEqual((item.start, item.end), (0, len(data)))
        if not _hasTextKeys(value):
            self.assertEqual(item.value, value)

    @given(st.binary(max_size=30))
    @many
    def test_whatIsWellFormed(self, data: bytes) -> None:
        """What the walk takes, cbor2 takes too, unless there are tags in it."""
        try:
            item, _ = parse(data)
        except Fault:
            return
        if not any(item.tags()):
            cbor2.loads(data, str_errors="replace")

    @given(items, st.data())
    @some
    def test_skimmingInPieces(self, value: object, data: st.DataObject) -> None:
        encoded = cbor2.dumps(value)
        skimmer = Skimmer()
        for end in sorted(data.draw(st.sets(st.integers(0, len(encoded) - 1), max_size=5))):
            self.assertFalse(skimmer.advance(encoded[:end]))
        self.assertTrue(skimmer.advance(encoded + b"\xff"))
        self.assertEqual(skimmer.at, len(encoded))


def _hasTextKeys(value: object) -> bool:
    if isinstance(value, dict):
        return any(isinstance(key, str) or _hasTextKeys(each) for key, each in value.items())
    return isinstance(value, list) and any(map(_hasTextKeys, value))
