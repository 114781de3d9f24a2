"""Frames: where messages begin and end in a stream of bytes (Framing §4, wire-profile F1 to F8).

A frame is an array of three: headers, message type and payload.  `FrameReader` finds frames in
bytes that arrive in any pieces, in bounded memory and linear time, and finds the next one after
bytes that are none.  `encodeFrame` makes one.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

import attrs

from epnet.errors import UsageError
from epnet.wire import shortest
from epnet.wire.diagnostics import Code, Diagnostic, diagnose
from epnet.wire.schema import MAX_RESERVED_TYPE
from epnet.wire.walk import Fault, Head, Skimmer, parse, readHead

MAGIC: Final = b"\x9a\x00\x00\x00\x03"
"""What every frame starts with (F1)."""
MAX_PAYLOAD: Final = 65536
"""The largest payload that is taken unless set otherwise, in bytes (F6)."""
MAX_HEADERS: Final = 4096
"""The largest header map that is taken, in bytes (F6)."""
GIVE_UP: Final = 65536
"""How far to look for the next frame start unless set otherwise, in bytes (F7)."""
MAX_RESERVED_HEADER: Final = 0xFF
"""The last of the header keys that nobody may use (Framing §4, F3)."""

_SHORT_START: Final = 0x83
_DRAFT: Final = b"\x9a\x00\x00\x00\x04"
_TAG: Final = 0xC2

Headers = Mapping[int, bytes]


class Frame(NamedTuple):
    """A frame as it came.

    typeId: the message type.
    payload: the content of the payload byte string, or None for a bare null.
    headers: keys to CBOR items as they came, or None for a bare null.
    offset: where it starts in the stream, in bytes.
    length: its size in bytes.
    diagnostics: deviations of the frame itself.
    payloadOffset: where the content of the payload starts in the stream.
    """

    typeId: int
    payload: bytes | None
    headers: Headers | None = None
    offset: int = 0
    length: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    payloadOffset: int = 0

    def __repr__(self) -> str:
        return (
            f"Frame(typeId=0x{self.typeId:08x}, payload={reprlib.repr(self.payload)}, "
            f"headers={reprlib.repr(self.headers)}, offset={self.offset}, length={self.length}, "
            f"diagnostics={self.diagnostics!r}, payloadOffset={self.payloadOffset})"
        )


@attrs.frozen
class Gap:
    """Bytes that were no frame (F7).

    offset: where they start in the stream, in bytes.
    skipped: how many.
    diagnostics: why they were no frame.
    """

    offset: int
    skipped: int
    diagnostics: tuple[Diagnostic, ...]


class _More(Exception):
    """The frame goes on in bytes that are not here yet."""


class _Opening:
    """What comes before the content of a frame's payload, read as it arrives.

    All positions are in bytes from the start of the frame, which is where the buffer starts.

    resume: where to look on for a frame if this is none.
    contentAt, end: where the content of the payload starts and ends, once `read` is through.
    """

    __slots__ = (
        "_at",
        "_maxPayload",
        "_skimmer",
        "_step",
        "contentAt",
        "deviations",
        "end",
        "hasPayload",
        "headers",
        "resume",
        "typeId",
    )

    def __init__(self, maxPayload: int) -> None:
        self.resume = 1
        self.deviations: tuple[tuple[Code, int, str], ...] = ()
        self.headers: Headers | None = None
        self.typeId = 0
        self.hasPayload = False
        self.contentAt = 0
        self.end = 0
        self._at = 0
        self._maxPayload = maxPayload
        self._skimmer: Skimmer | None = None
        self._step = 0

    def read(self, buffer: bytearray) -> None:
        """Go on reading; raises `_More` where the bytes end too early, `Fault` for no frame."""
        while self._step < len(self._STEPS):
            self._STEPS[self._step](self, buffer)
            self._step += 1

    def _head(self, buffer: bytearray, at: int, code: Code, expected: str) -> Head:
        try:
            head = readHead(buffer, at)
        except Fault as fault:
            raise Fault(code, fault.offset, f"{fault.text}; {expected} belongs here") from None
        if head is None:
            raise _More
        return head

    def _deviates(self, code: Code, text: str) -> None:
        self.deviations += ((code, self._at, text),)

    def _readStart(self, buffer: bytearray) -> None:
        if buffer[0] == _SHORT_START:
            self._deviates(Code.FRAME_START_SHORT, "starts with 83 instead of 9A 00 00 00 03")
            self._at = 1
            return
        for at, expected in enumerate(MAGIC):
            if at == len(buffer):
                raise _More
            if buffer[at] != expected:
                found = bytes(buffer[: at + 1])
                if found == _DRAFT:
                    text = "a frame of the draft of April 2025 (9A 00 00 00 04)"
                    raise Fault(Code.FRAME_DRAFT, 0, text)
                text = f"{found.hex(' ')} where 9a 00 00 00 03 belongs"
                raise Fault(Code.FRAME_START, 0, text)
        self._at = len(MAGIC)

    def _readHeaders(self, buffer: bytearray) -> None:
        if self._skimmer is None:
            head = self._head(buffer, self._at, Code.FRAME_HEADERS, "null or a map of headers")
            if buffer[self._at] == shortest.NULL[0]:
                self._at = head.end
                return
            if head.major != shortest.MAP >> 5:
                text = f"byte 0x{buffer[self._at]:02x} where null or a map of headers belongs"
                raise Fault(Code.FRAME_HEADERS, self._at, text)
            self._skimmer = Skimmer(self._at, self._at + MAX_HEADERS)
        try:
            complete = self._skimmer.advance(buffer)
        except Fault as fault:
            self.resume = fault.offset
            size = fault.code is Code.FRAME_HEADERS_SIZE
            code = Code.FRAME_HEADERS_SIZE if size else Code.FRAME_HEADERS
            raise Fault(code, fault.offset, f"in the headers: {fault.text}") from None
        if not complete:
            raise _More
        # Never look for frames in what was read as headers: the cost would not be linear.
        self.resume = self._skimmer.at
        self._takeHeaders(bytes(buffer[self._at : self._skimmer.at]))
        self._at = self._skimmer.at

    def _takeHeaders(self, data: bytes) -> None:
        try:
            item, indefinite = parse(data)
        except Fault as fault:
            raise Fault(Code.FRAME_HEADERS, self._at + fault.offset, fault.text) from None
        headers = {}
        for key, part in item.parts:
            if not isinstance(key, int) or key < 0:
                text = "a header key that is no unsigned integer"
                raise Fault(Code.FRAME_HEADERS, self._at, text)
            if key <= MAX_RESERVED_HEADER:
                self._deviates(Code.FRAME_HEADERS_RESERVED, f"header key 0x{key:02x} is reserved")
            headers[key] = data[part.start : part.end]
        if not headers:
            self._deviates(Code.FRAME_HEADERS_EMPTY, "an empty header map instead of null")
        if indefinite == 0:
            self._deviates(Code.FRAME_HEADERS_INDEFINITE, "a header map of indefinite length")
        self.headers = MappingProxyType(headers)

    def _readType(self, buffer: bytearray) -> None:
        head = self._head(buffer, self._at, Code.FRAME_TYPE, "a message type")
        if head.major != shortest.UNSIGNED or head.info > 26:
            text = f"byte 0x{buffer[self._at]:02x} where a message type of 32 bits belongs"
            raise Fault(Code.FRAME_TYPE, self._at, text)
        self.typeId = head.argument
        if head.info < 26:
            text = f"a message type of {head.end - self._at} bytes instead of 5"
            self._deviates(Code.FRAME_TYPE_SHORT, text)
        if self.typeId <= MAX_RESERVED_TYPE:
            text = f"message type 0x{self.typeId:08x} is reserved"
            self._deviates(Code.FRAME_TYPE_RESERVED, text)
        self._at = head.end

    def _readPayload(self, buffer: bytearray) -> None:
        expected = "null or a byte string of definite length"
        at = self._at
        head = self._head(buffer, at, Code.FRAME_PAYLOAD, expected)
        tagged = buffer[at] == _TAG
        if tagged:
            at = head.end
            head = self._head(buffer, at, Code.FRAME_PAYLOAD, expected)
        if head.major == shortest.BINARY >> 5 and head.info != 31:
            if head.argument > self._maxPayload:
                text = f"a payload of {head.argument} bytes, the most is {self._maxPayload}"
                raise Fault(Code.FRAME_SIZE, at, text)
            self.hasPayload = True
            self.end = head.end + head.argument
        elif buffer[at] == shortest.NULL[0] and not tagged:
            self.end = head.end
        else:
            text = f"byte 0x{buffer[at]:02x} where {expected} belongs"
            raise Fault(Code.FRAME_PAYLOAD, at, text)
        self.contentAt = head.end
        if tagged:
            self._deviates(Code.FRAME_PAYLOAD_TAG, "tag 2 before the payload")

    _STEPS: ClassVar = (_readStart, _readHeaders, _readType, _readPayload)


class FrameReader:
    """Finds the frames in a stream that arrives in any pieces (F8).

    maxPayload: the largest payload that is taken, in bytes.
    strict: whether deviations that are taken all the same are errors.
    giveUp: how far to look for the next frame start, in bytes; None for ever.
    relative: whether offsets count from the start of each frame or gap, not of the stream.

    Keeps no more than one frame between two pieces.
    """

    __slots__ = (
        "_buffer",
        "_gap",
        "_giveUp",
        "_maxPayload",
        "_offset",
        "_opening",
        "_relative",
        "_strict",
        "lost",
    )

    def __init__(
        self,
        *,
        maxPayload: int = MAX_PAYLOAD,
        strict: bool = False,
        giveUp: int | None = GIVE_UP,
        relative: bool = False,
    ) -> None:
        self.lost = False
        """Whether the reader has given up; it takes no more then (F7)."""
        self._maxPayload = maxPayload
        self._strict = strict
        self._giveUp = giveUp
        self._relative = relative
        self._buffer = bytearray()
        self._offset = 0  # of the buffer in the stream
        self._opening: _Opening | None = None  # most of thousands have none just now
        self._gap: tuple[int, Diagnostic] | None = None

    @property
    def skipping(self) -> bool:
        """Whether the last bytes were no frame and the next frame start is being looked for.

        True as soon as that is known; the `Gap` that tells how much was skipped comes only with
        the next frame start.
        """
        return self._gap is not None

    @property
    def idle(self) -> bool:
        """Whether the next byte is expected to start a frame."""
        return not self._buffer and self._gap is None and not self.lost

    def feed(self, data: bytes) -> list[Frame | Gap]:
        """Take more bytes of the stream; return what they complete, in order."""
        found: list[Frame | Gap] = []
        if self.lost:
            return found
        self._buffer += data
        try:
            while True:
                item = self._readFrame() if self._gap is None else self._skip(*self._gap)
                if item is not None:
                    found.append(item)
                    if self._relative:
                        self._offset = 0
        except _More:
            return found

    def finish(self) -> list[Frame | Gap]:
        """Say that the stream is over; return what is left of it, as a gap."""
        if self.lost or (self._gap is None and not self._buffer):
            return []
        length = len(self._buffer)
        if self._gap is not None:
            offset, diagnostic = self._gap
        else:
            offset = self._offset
            text = f"the bytes end inside a frame, {length} bytes after its start"
            diagnostic = self._diagnose(Code.FRAME_TRUNCATED, offset + length, text)
        self._gap = None
        self._drop(length)
        return [Gap(offset, self._offset - offset, (diagnostic,))]

    def _readFrame(self) -> Frame | None:
        """The next frame; None if what comes next is none.  Raises `_More`."""
        if not self._buffer:
            raise _More
        opening = self._opening = self._opening or _Opening(self._maxPayload)
        try:
            opening.read(self._buffer)
        except Fault as fault:
            at = self._offset + fault.offset
            self._gap = (self._offset, self._diagnose(fault.code, at, fault.text))
            self._drop(opening.resume)
            return None
        if len(self._buffer) < opening.end:
            raise _More
        frame = self._frame(opening)
        self._drop(opening.end)
        return frame

    def _frame(self, opening: _Opening) -> Frame:
        content = bytes(self._buffer[opening.contentAt : opening.end])
        return Frame(
            typeId=opening.typeId,
            payload=content if opening.hasPayload else None,
            headers=opening.headers,
            offset=self._offset,
            length=opening.end,
            diagnostics=tuple(
                self._diagnose(code, self._offset + at, text)
                for code, at, text in opening.deviations
            ),
            payloadOffset=self._offset + opening.contentAt,
        )

    def _skip(self, offset: int, diagnostic: Diagnostic) -> Gap | None:
        """The gap that started at that offset, where it is over.  Raises `_More`."""
        at = self._buffer.find(MAGIC)
        # The last bytes may be the first ones of a frame.
        self._drop(max(0, len(self._buffer) - len(MAGIC) + 1) if at < 0 else at)
        skipped = self._offset - offset
        if self._giveUp is not None and skipped > self._giveUp:
            return self._loseIt(offset, diagnostic, self._giveUp)
        if at < 0:
            raise _More
        self._gap = None
        return Gap(offset, skipped, (diagnostic,))

    def _loseIt(self, offset: int, diagnostic: Diagnostic, skipped: int) -> Gap:
        text = f"no frame start within {skipped} bytes"
        lost = self._diagnose(Code.FRAME_LOST, offset + skipped, text)
        self.lost = True
        self._gap = None
        self._buffer.clear()
        return Gap(offset, skipped, (diagnostic, lost))

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count
        self._opening = None

    def _diagnose(self, code: Code, offset: int, text: str) -> Diagnostic:
        return diagnose(code, "frame", offset, text, self._strict)


def encodeFrame(typeId: int, payload: bytes | None, headers: Headers | None = None) -> bytes:
    """A frame in the form of wire-profile F1 to F5.

    typeId: the message type, 0 to 0xFFFFFFFF.
    payload: the content of the payload byte string, or None for a bare null.
    headers: keys to CBOR items as bytes.  Reserved keys are let through, for tools that pass on
        what they received.

    Raises `UsageError` where no such frame can be made.
    """
    if not shortest.isUnsigned(typeId, 32):
        raise UsageError(f"message type {typeId!r} is not a 32-bit unsigned integer")
    body = shortest.NULL if payload is None else shortest.binary(payload)
    return b"".join((MAGIC, _encodedHeaders(headers), b"\x1a", typeId.to_bytes(4, "big"), body))


def _encodedHeaders(headers: Headers | None) -> bytes:
    if not headers:
        return shortest.NULL
    parts = [shortest.head(shortest.MAP, len(headers))]
    for key, raw in headers.items():
        if not shortest.isUnsigned(key, 64):
            raise UsageError(f"header key {key!r} is not an unsigned integer")
        try:
            parse(raw)
        except Fault as fault:
            raise UsageError(
                f"header 0x{key:02x}: {raw.hex(' ')} is not one CBOR item: {fault.text}"
            ) from None
        parts += (shortest.head(shortest.UNSIGNED, key), raw)
    encoded = b"".join(parts)
    if len(encoded) > MAX_HEADERS:
        raise UsageError(f"the headers take {len(encoded)} bytes, the most is {MAX_HEADERS}")
    return encoded
