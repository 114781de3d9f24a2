"""What holds for any input: each target takes bytes and raises if something does not.

`stream` takes what a peer may send.  The others take the payload of a frame after a byte that says
of which, see `frameAround`, so that few inputs are spent on lengths that do not match.  Nothing
here needs the fuzzer: a test can call it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Final

from epnet.wire import (
    Decoded,
    Diagnostic,
    Frame,
    FrameReader,
    Gap,
    Message,
    MessageReader,
    Severity,
    UnknownMessage,
    codec,
    decode,
    decodeFrame,
    encode,
    encodeFrame,
    messageClass,
    registeredMessages,
)
from epnet.wire.annotate import ROW, annotate
from epnet.wire.codec import plainPayload
from epnet.wire.compounds import IsolationKind, MixKind, PricesKind
from epnet.wire.frameform import encodeForm, frameForm
from epnet.wire.kinds import Timestamp
from epnet.wire.walk import Item, RawKey, parse

UNKNOWN_TYPE: Final = 0x01234567
"""The type of the frames whose message type nobody registered."""
HEADERS: Final = 0x80
"""In the byte before a payload: that the frame has headers."""
_PIECE: Final = 8
"""The shortest pieces, in bytes; in shorter ones a stream takes too long."""
_TEXT_LIMIT: Final = 300
_QUICK: Final = codec._QUICK
_REWRITTEN: Final = (Timestamp, PricesKind, IsolationKind)
"""The value types that can say the same in several ways; so can mixes, which may add entries up."""


def stream(data: bytes) -> None:
    """A stream in pieces, of as many bytes as its first byte says, has the same frames."""
    size, data = max(_PIECE, int.from_bytes(data[:1], "big")), data[1:]
    strict = size % 2 == 0
    whole = _read([data], strict)
    pieces = _read((data[at : at + size] for at in range(0, len(data), size)), strict)
    assert pieces == whole, f"in pieces: {pieces}\nat once: {whole}"
    at = 0
    for item in whole:
        assert item.offset == at, item
        at += item.length if isinstance(item, Frame) else item.skipped
        decoded = decodeFrame(item, strict=strict) if isinstance(item, Frame) else item
        _checkDiagnostics(decoded.diagnostics, len(data))
    assert at == len(data), f"{at} of {len(data)} bytes are in a frame or a gap"


def _read(pieces: Iterable[bytes], strict: bool) -> list[Frame | Gap]:
    reader, found = FrameReader(strict=strict), list[Frame | Gap]()
    for piece in pieces:
        found += reader.feed(piece)
    return found + reader.finish()


def payload(data: bytes) -> None:
    """What a payload says is still said after decoding and encoding it."""
    frame = frameAround(data)
    decoded = decodeFrame(frame)
    _checkDiagnostics(decoded.diagnostics, len(data))
    message = decoded.message
    if message is None:
        assert decoded.voidsConsent and decoded.diagnostics, decoded
        return
    written = encode(message)
    if messageClass(frame.typeId) is not None:
        plain = encodeFrame(message.typeId, plainPayload(message))
        assert plain == written, f"{message}: {written.hex()}\nplainly: {plain.hex()}"
    again = decode(written)
    assert again.message == message, f"{message}\nencoded again: {again.message}"
    assert again.voidsConsent == decoded.voidsConsent, f"{decoded}\nencoded again: {again}"
    assert encode(again.message) == written, f"{written.hex()}, {encode(again.message).hex()}"
    _checkKept(frame, message)


def modes(data: bytes) -> None:
    """Strict, lenient, cbor2 and the walk find the same in a payload.

    How cbor2 and the walk quote an odd value differs.
    """
    frame = frameAround(data)
    lenient, strict = decodeFrame(frame), decodeFrame(frame, strict=True)
    codec._QUICK = -1  # type: ignore[misc]
    try:
        walked = decodeFrame(frame)
    finally:
        codec._QUICK = _QUICK  # type: ignore[misc]
    found = [(each.code, each.path, each.offset) for each in lenient.diagnostics]
    for other in (strict, walked):
        same = [(each.code, each.path, each.offset) for each in other.diagnostics]
        assert same == found, f"{lenient}\n{other}"
    assert all(each.severity is Severity.ERROR for each in strict.diagnostics), strict
    assert strict.message == (None if found else lenient.message), f"{lenient}\n{strict}"
    assert walked.message == lenient.message, f"cbor2: {lenient}\nwalk: {walked}"
    assert walked.voidsConsent == lenient.voidsConsent, f"cbor2: {lenient}\nwalk: {walked}"


def form(data: bytes) -> None:
    """A payload is the same after it was shown in JSON's terms; byte by byte all of it is shown."""
    around = frameAround(data)
    whole = encodeFrame(around.typeId, around.payload, around.headers)
    [frame] = _read([whole], strict=True)
    assert isinstance(frame, Frame) and not frame.diagnostics, frame
    lines = annotate(frame, whole)
    assert b"".join(line.data for line in lines) == whole
    assert all(len(line.data) <= ROW for line in lines)
    first = decodeFrame(frame)
    read = json.loads(json.dumps(frameForm(frame, first), allow_nan=False))
    again = decode(encodeForm(read))
    assert again.message == first.message, f"{first.message}\nin JSON: {again.message}"
    assert again.frame is not None and again.frame.headers == frame.headers


def alike(data: bytes) -> None:
    """A `MessageReader` that has read a frame finds what is in another one of its length.

    The other one has four bytes changed at the place that the first byte says.
    """
    at, change, rest = int.from_bytes(data[:1], "big"), data[1:5], data[5:]
    first = frameAround(rest)
    content = bytearray(first.payload or b"")
    for place, byte in enumerate(change, at):
        if place < len(content):
            content[place] ^= byte
    pieces = [
        encodeFrame(first.typeId, payload, first.headers)
        for payload in (first.payload, bytes(content), first.payload)
    ]
    reader = MessageReader()
    for piece in pieces:
        [found] = reader.feed(piece)
        assert isinstance(found, Decoded), found
        assert found.frame is not None
        # By its text, which tells 1 from 1.0 and 0.0 from -0.0.
        plain = decodeFrame(_read([piece], strict=False)[0])
        assert repr(found) == repr(plain), f"{found}\nplainly: {plain}"


def frameAround(data: bytes) -> Frame:
    """A frame with that payload; a byte before it chooses the message type and the headers."""
    types = [cls.typeId for cls in registeredMessages()] + [UNKNOWN_TYPE]
    choice, content = int.from_bytes(data[:1], "big"), data[1:]
    headers = {0x100: b"\x82\x01\x02"} if choice & HEADERS else None
    return Frame(types[(choice & ~HEADERS) % len(types)], content, headers)


def _checkDiagnostics(diagnostics: Iterable[Diagnostic], end: int) -> None:
    for each in diagnostics:
        assert 0 <= each.offset <= end, each
        assert each.path and each.text and len(each.text) < _TEXT_LIMIT, each


def _checkKept(frame: Frame, message: Message) -> None:
    """All that is in the payload is in the message: understood, or in `unknown` as it came (V3)."""
    if messageClass(frame.typeId) is None:
        assert message == UnknownMessage(typeId=frame.typeId, payload=frame.payload)
        return
    fields = _fieldsOf(frame)
    for key, raw in message.unknown.items():
        field = fields.pop(key)
        assert frame.payload and frame.payload[field.start : field.end] == raw, message
    values = {row.id: (row, value) for row, value in message.present()}
    for key, field in fields.items():
        assert isinstance(key, int) and key in values, message
        row, value = values[key]
        written, _ = parse(row.kind.write(value))
        if isinstance(row.kind, _REWRITTEN):
            assert _leaves(field) == _leaves(written), message
        elif not isinstance(row.kind, MixKind):
            assert repr(field.value) == repr(written.value), message


def _leaves(item: Item) -> int:
    """How many items have no others in them and are not null."""
    if item.parts:
        return sum(_leaves(part) for _, part in item.parts)
    return 0 if item.value in (None, [], {}) else 1


def _fieldsOf(frame: Frame) -> dict[int | bytes, Item]:
    """The fields of a payload by their ids, which are bytes where they are no integers."""
    item, _ = parse(b"\xa0" if frame.payload in (None, b"", b"\xf6") else frame.payload)
    return {key.data if isinstance(key, RawKey) else key: part for key, part in item.parts}


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (stream, payload, modes, form, alike)
}
