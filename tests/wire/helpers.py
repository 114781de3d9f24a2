"""What the tests of epnet.wire share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.wire import (
    Decoded,
    Diagnostic,
    Frame,
    FrameReader,
    Gap,
    InvalidValue,
    Message,
    decode,
    encode,
    encodeFrame,
)

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
