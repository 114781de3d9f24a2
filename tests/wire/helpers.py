"""What the tests of epnet.wire share."""

from __future__ import annotations

from collections.abc import Iterable

from epnet.wire import Decoded, Diagnostic, Frame, FrameReader, Gap, Message, decode, encodeFrame

SUPPLY = 0xDCDCF00D
DEMAND = 0xDCDCFEED
STORAGE = 0xDCDCBA77
SESSION = 0xBABA5E55
DISCONNECT = 0xBABADEAD
PING = 0xFFFFFFFF

HEAD_LENGTH = 12
"""Of a frame without headers, up to the content of a payload of less than 24 bytes."""


def received(typeId: int, payload: str, *, strict: bool = False) -> Decoded:
    """What becomes of a frame with the payload in hex."""
    return decode(encodeFrame(typeId, bytes.fromhex(payload)), strict=strict)


def messageOf(decoded: Decoded) -> Message:
    """The message, which has to be there."""
    assert decoded.message is not None, decoded
    return decoded.message


def codes(diagnostics: Iterable[Diagnostic]) -> list[str]:
    return [str(each.code) for each in diagnostics]


def framesIn(data: bytes, *, strict: bool = False, maxPayload: int = 65536) -> list[Frame | Gap]:
    """What a reader finds in a whole stream."""
    reader = FrameReader(strict=strict, maxPayload=maxPayload)
    return reader.feed(data) + reader.finish()


def frameIn(data: bytes, *, strict: bool = False) -> Frame:
    """The only frame of a stream."""
    [frame] = framesIn(data, strict=strict)
    assert isinstance(frame, Frame), frame
    return frame


def gapIn(data: bytes, *, maxPayload: int = 65536) -> Gap:
    """The only gap of a stream."""
    [gap] = framesIn(data, maxPayload=maxPayload)
    assert isinstance(gap, Gap), gap
    return gap
