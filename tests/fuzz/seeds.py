"""What the fuzzer starts from, made from the tables of the messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, Final

from epnet.wire import (
    Field,
    Frame,
    FrameReader,
    Isolation,
    IsolationState,
    Message,
    Price,
    Source,
    encode,
    encodeFrame,
    registeredMessages,
    shortest,
)
from epnet.wire.compounds import BoundsKind, IsolationKind, MixKind, PricesKind
from epnet.wire.frames import MAGIC
from epnet.wire.kinds import Binary, Flag, Kind, Quantity, Text, Timestamp
from epnet.wire.routerpath import NamesKind
from tests.fuzz.targets import HEADERS, UNKNOWN_TYPE
from tests.wire import test_examples

_PRICES: Final = (
    Price(datetime(2025, 6, 1, 12, 30, tzinfo=UTC), 1, "SEK"),
    Price(datetime(2025, 6, 1, 13, tzinfo=timezone(timedelta(hours=2, minutes=30))), -0.25, "EUR"),
)
_VALUES: Final[dict[type, Any]] = {
    BoundsKind: (-200, 1000.5),
    PricesKind: _PRICES,
    MixKind: {Source.WIND: 70, Source.LOCAL_SOLAR: 29.5, 0x4D: 0.5},
    IsolationKind: Isolation(IsolationState.OK, 1e6, 70000),
    Quantity: 99.9999,
    Text: "a text, ž",
    NamesKind: ("house-1", "ž"),
    Flag: True,
    Binary: b"\x01\xff",
    Timestamp: datetime(2025, 6, 1, 12, 30, 0, 250000, tzinfo=UTC),
}
_FRAMES: Final = (
    "83 f6 1a ffffffff f6",  # F1
    "9a 00000004 f6 1a ffffffff 01 f6",
    "9a 00000003 f6 1a ffffffff c2 41 f6",  # F2
    "9a 00000003 bf 19 0100 01 ff 1a ffffffff f6",  # F3
    "9a 00000003 f6 19 ffff f6",  # F4
    "9a 00000003 f6 1a ffffffff 5b ffffffffffffffff",  # F6
)
"""Frames that deviate."""
_PAYLOADS: Final = (
    (0xDCDCF00D, "bf 02 bf 12 f9 5fd0 ff 18 4d f7 ff"),  # F9
    (0xDCDCF00D, "a1 02 a1 12 f9 7c00"),  # V1
    (0xDCDCF00D, "a1 02 a2 12 05 13 06"),  # V3
    (0xDCDCF00D, "a1 61 61 01"),
    (0xDCDCF00D, "a1 03 a1 1840 a2 01 a1 14 00 00 a1 14 01"),  # V5
    (0xDCDCBA77, "a1 04 a1 1841 82 a1 01 a1 13 1b ffffffffffffffff a1 01 a1 13 01"),
    (0xDCDCF00D, "a1 07 a1 1850 84 01 f6 f6 00"),  # V6
    (0xBABA5E55, "a1 00 a1 00 61 ff"),  # V10
    (0xBABADEAD, "a1 00 a1 01 f8 14"),  # V11
)
"""Payloads that deviate, of a message type."""
_TIMES: Final = (
    b"2025-02-01 12:00",
    b"2025-02-01",
    b"2016-12-31T23:59:60Z",
    b"2025-02-01t12:00:00.1234567z",
    b"0001-01-01T00:00:00+23:59",
)


def valueOf(kind: Kind[Any]) -> Any:
    """Some value of a value type."""
    return next(_VALUES[cls] for cls in type(kind).__mro__ if cls in _VALUES)


def messages() -> Iterator[Message]:
    """Of each type one with all fields, and then each field alone, as far as it may be alone."""
    for cls in registeredMessages():
        yield _messageOf(cls, cls.table()).replace(unknown={0x4D: b"\x81\x01"})
        for row in cls.table():
            yield _messageOf(cls, {*cls.required, row})


def _messageOf(cls: type[Message], rows: Iterable[Field]) -> Message:
    values = {row.name: valueOf(row.kind) for row in rows if not row.extension}
    extensions = {row.name: valueOf(row.kind) for row in rows if row.extension}
    return cls(**values, extensions=extensions)


def _odd() -> Iterator[bytes]:
    """Frames that are not as they should be."""
    yield from map(bytes.fromhex, _FRAMES)
    for typeId, payload in _PAYLOADS:
        yield encodeFrame(typeId, bytes.fromhex(payload))
    for text in _TIMES:
        stamp = b"\xc0" + shortest.text(text.decode())
        price = b"\x81\x83\xa1\x03" + stamp + bytes.fromhex("a1 02 f9 5150 a1 05 63 53454b")
        yield encodeFrame(0xDCDCF00D, b"\xa1\x04\xa1\x18\x30" + price)


def frames() -> list[bytes]:
    """The frames of the spec's examples, of all messages, and some that deviate."""
    examples = [test_examples.PING, test_examples.SESSION]
    examples += [test_examples.DISCONNECT, test_examples.SUPPLY]
    return [
        *examples,
        *map(encode, messages()),
        *_odd(),
        encodeFrame(UNKNOWN_TYPE, b"\xff\x00", {0x100: b"\xa1\x61\x61\xf6", 2**64 - 1: b"\x00"}),
    ]


def streams() -> list[bytes]:
    """For the target `stream`: every frame alone, short ones in pairs, and parts of them."""
    alone = frames()
    short = [each for each in alone if len(each) < 40]
    pairs = [first + second for first, second in pairwise(short)]
    parts = [b"\x9a" + each[:-5] + b"\0" + alone[0] for each in short]
    return [b"\x08" + each for each in [*alone, *pairs, *parts]]


def payloads() -> list[bytes]:
    """For the targets `payload` and `form`."""
    places = {cls.typeId: place for place, cls in enumerate(registeredMessages())}
    found = []
    for data in frames():
        for item in FrameReader().feed(data):
            if isinstance(item, Frame) and item.payload is not None:
                place = places.get(item.typeId, len(places))
                found += [bytes([place]) + item.payload, bytes([HEADERS | place]) + item.payload]
    return found


def changes() -> list[bytes]:
    """For the target `alike`: payloads of which no byte is changed, and some numbers are."""
    changed = []
    for data in payloads():
        places = [at for at, byte in enumerate(data[1:]) if byte in (0xF9, 0xFA, 0xFB, 0x19)]
        changed += [bytes(5) + data] + [bytes([at + 2, 1, 0, 0, 0]) + data for at in places]
    return changed


def dictionary() -> list[bytes]:
    """Bytes that mean something: frame starts, heads, ids of types, fields and value types."""
    classes = registeredMessages()
    rows = [row for cls in classes for row in cls.table()]
    return [
        MAGIC,
        *(b"\xf6\x1a" + cls.typeId.to_bytes(4, "big") for cls in classes),
        *{shortest.number(row.id) + row.kind.prefix for row in rows},
        *{row.kind.prefix for row in rows},
        *(bytes([head]) for head in (0x5F, 0x7F, 0x9F, 0xBF, 0xC0, 0xC2, 0xF6, 0xF7, 0xF8, 0xFF)),
        *(bytes([major << 5 | 27]) + b"\xff" * 8 for major in range(7)),
        *(bytes.fromhex(each) for each in ("f97e00", "f97c00", "fa7f800000", "fb7fefffffffffffff")),
        *_TIMES,
    ]
