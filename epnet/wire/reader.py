"""The messages of one connection, as fast as they are alike (wire-profile F8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from epnet.wire.codec import Decoded, decodeFrame
from epnet.wire.frames import MAX_PAYLOAD, Frame, FrameReader, Gap, encodeFrame
from epnet.wire.layouts import START, Layouts
from epnet.wire.messages import SessionParameters, SoftDisconnect
from epnet.wire.registry import UnknownMessage
from epnet.wire.schema import Message

_ONCE: Final = (SessionParameters, SoftDisconnect)
"""What comes once in a session, so that there is nothing to be gained by learning from it."""


class MessageReader:
    """Makes messages of a stream that arrives in any pieces.

    It finds what `decodeFrame` makes of the frames of a `FrameReader`, and the gaps.  Offsets count
    from the start of each frame or gap: in a stream of days, a place in it says nothing.

    maxPayload: the largest payload that is taken, in bytes.

    Peers send the same again and again, in whole frames.  So the last piece is kept with what was
    in it, and the layouts of frames that were read (`epnet.wire.layouts`).
    """

    __slots__ = ("_alone", "_found", "_frames", "_idle", "_layouts", "_piece")

    _KEPT: Final = 2048
    """The longest piece that is kept, in bytes."""

    def __init__(self, *, maxPayload: int = MAX_PAYLOAD) -> None:
        self._frames = FrameReader(maxPayload=maxPayload, relative=True)
        self._idle = True  # whether the next byte is expected to start a frame
        self._layouts = Layouts()
        self._piece = b""
        self._found: Sequence[Decoded | Gap] | None = ()  # in that piece; None: only `_alone`
        self._alone: Message | None = None

    @property
    def skipping(self) -> bool:
        """Whether the last bytes were no frame; see `FrameReader`."""
        return self._frames.skipping

    @property
    def lost(self) -> bool:
        """Whether the reader has given up; see `FrameReader`."""
        return self._frames.lost

    def alone(self, data: bytes) -> Message | None:
        """The short way of `feed`, for a piece that is one frame built like one before.

        Gives the message of which `feed` would give nothing but that it is good, and has taken the
        piece; else None, and the piece is still to be fed.
        """
        if data == self._piece:
            return self._alone
        if self._idle:
            for layout in self._layouts.byStart.get(data[:START], ()):
                if layout.length == len(data):
                    message = layout.read(data)
                    if message is not None:
                        self._piece, self._found, self._alone = data, None, message
                        return message
        return None

    def feed(self, data: bytes) -> Sequence[Decoded | Gap]:
        """Take more bytes of the stream; return what they complete, in order."""
        if data == self._piece and self._found is not None:
            return self._found
        self._piece, self._found, self._alone = b"", (), None
        if not self._idle:
            return self._plainly(data)
        found, at = self._alike(data)
        settled = True
        if at < len(data):
            others = self._plainly(data[at:])
            settled = self._idle and all(map(_isSettled, others))
            found += others
        if settled and len(data) <= self._KEPT:
            self._piece, self._found = data, tuple(found)
            if len(found) == 1:
                self._alone = found[0].message  # type: ignore[union-attr]  # no gap is settled
        return found

    def _alike(self, data: bytes) -> tuple[list[Decoded | Gap], int]:
        """What is in the first frames, as long as each is built like one before.

        Also where the others start.
        """
        found: list[Decoded | Gap] = []
        at, layouts, new = 0, self._layouts.byStart, tuple.__new__
        while at < len(data):
            for layout in layouts.get(data[at : at + START], ()):
                end = at + layout.length
                message = layout.read(data[at:end])
                if message is not None:
                    break
            else:
                break
            content = layout.contentAt
            payload = data[at + content : end]
            # As the constructors do, in half the time.
            frame = new(Frame, (message.typeId, payload, None, 0, layout.length, (), content))
            found.append(new(Decoded, (message, frame, (), False)))
            at = end
        return found, at

    def _plainly(self, data: bytes) -> list[Decoded | Gap]:
        """What is in any bytes, by the plain path, and learn from it."""
        found: list[Decoded | Gap] = []
        for item in self._frames.feed(data):
            if isinstance(item, Frame):
                decoded = decodeFrame(item)
                self._learn(item, decoded)
                found.append(decoded)
            else:
                found.append(item)
        self._idle = self._frames.idle
        return found

    def _learn(self, frame: Frame, decoded: Decoded) -> None:
        message = decoded.message
        if frame.headers is not None or not frame.payload or not _isSettled(decoded):
            return
        assert message is not None
        if type(message) in _ONCE:
            return
        whole = encodeFrame(frame.typeId, frame.payload)
        if len(whole) == frame.length:  # or the length of the payload was not in its shortest form
            self._layouts.learn(whole, frame.payloadOffset, message)


def _isSettled(item: Decoded | Gap) -> bool:
    """Whether the same bytes mean the same for ever, whatever extensions are registered."""
    return (
        isinstance(item, Decoded)
        and item.message is not None
        and not item.diagnostics
        and not item.message.unknown
        and type(item.message) is not UnknownMessage
    )
