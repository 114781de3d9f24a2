"""From frames to messages and back (wire-profile F9, V1 to V11, M1 to M7).

An ordinary payload is decoded by cbor2 in one call and then checked against the message's table.
Only where that finds something to report, or cbor2 refuses, does `epnet.wire.walk` go through the
bytes once more, to say where and why, and to keep what was not understood.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import attrs
import cbor2

from epnet.errors import UsageError
from epnet.wire import shortest
from epnet.wire.diagnostics import Code, Diagnostic, Severity, diagnose
from epnet.wire.frames import Frame, FrameReader, Gap, Headers, encodeFrame
from epnet.wire.kinds import InvalidField, Note, Trail
from epnet.wire.messages import Ping
from epnet.wire.registry import UnknownMessage, messageClass
from epnet.wire.schema import Field, Message
from epnet.wire.walk import MAX_DEPTH, Fault, Item, RawKey, parse
from epnet.wire.writers import writerOf

_QUICK: Final = 2048
"""The longest payload that cbor2 gets to see, in bytes.

Core messages are under 1 KiB.  In a larger one, a sender could make the hashes of so many map keys
collide that building the map takes a noticeable time.
"""
_NO_FIELDS: Final = shortest.head(shortest.MAP, 0)
_NO_PAYLOAD: Final = (None, b"", shortest.NULL)
_KEPT: Final = frozenset({Code.VALUE_EXTRA, Code.TIMESTAMP_PRECISION})
"""What is said of values that carry more than was understood."""


class Decoded(NamedTuple):
    """What became of a frame.

    message: the message, or None if nothing was made of it.
    frame: the frame, or None if there was none.
    diagnostics: deviations of the frame and of its payload, in order.
    voidsConsent: whether it is worth nothing as consent to transfer power: there is no message, or
        a voltage, current, power or isolation field of it was invalid.
    """

    message: Message | None
    frame: Frame | None
    diagnostics: tuple[Diagnostic, ...] = ()
    voidsConsent: bool = True


class _Refuse(dict[int, Any]):
    """Has every tag refused."""

    def __missing__(self, tag: int) -> Any:
        return _refuse


def _refuse(*_: object) -> Any:
    raise ValueError("tag")


_REFUSE: Final = _Refuse()


class _Payload:
    """One payload of a known message, being read."""

    def __init__(self, cls: type[Message], data: bytes) -> None:
        self._cls = cls
        self._data = data
        self._tree: Item | None = None
        self._indefinite: int | None = None
        self._notes: list[Note] = []
        self._values: dict[str, Any] = {}
        self._extensions: dict[str, Any] = {}
        self._unknown: dict[int | bytes, bytes] = {}
        self._invalid: list[Field] = []

    @property
    def void(self) -> bool:
        """Whether a field that matters for consent was invalid."""
        return any(row.consent for row in self._invalid)

    def read(self) -> Message:
        """The message, worthless where a required field is missing and that was noted.

        Raises `Fault` for a broken payload.
        """
        content = self._quickly() if len(self._data) <= _QUICK else None
        if content is None:
            content = self._walked().value
        if type(content) is not dict:
            raise Fault(Code.PAYLOAD_MAP, 0, "the payload is no map")
        for position, (key, item) in enumerate(content.items()):
            row = self._cls.fieldOf(key) if type(key) is int else None
            if row is None:
                self._keep(position)
            else:
                self._readField(row, item, position)
        for row in self._cls.required:
            if row.name not in self._values:
                self._notes.append(Note(Code.FIELD_REQUIRED, row.trail, f"without {row.name}"))
        return self._cls.fromWire(self._values, self._unknown, self._extensions)

    def _quickly(self) -> object:
        """What cbor2 makes of the payload, or None if it refuses or anything is left over."""
        stream = io.BytesIO(self._data)
        decoder = cbor2.CBORDecoder(
            stream,
            semantic_decoders=_REFUSE,
            tag_hook=_refuse,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        try:
            content = decoder.decode()
        except (cbor2.CBORError, ValueError):
            return None
        return content if stream.tell() == len(self._data) else None

    def _walked(self) -> Item:
        """The payload with all positions.  Raises `Fault`."""
        if self._tree is None:
            self._tree, self._indefinite = parse(self._data)
        return self._tree

    def _readField(self, row: Field, item: object, position: int) -> None:
        notes = self._notes
        before = len(notes)
        try:
            value = row.kind.read(item, row.trail, notes)
        except InvalidField as invalid:
            notes.append(invalid.note)
            self._invalid.append(row)
            self._keep(position)
            return
        known = self._extensions if row.extension else self._values
        known[row.name] = value
        if len(notes) > before and any(note.code in _KEPT for note in notes[before:]):
            self._keep(position)

    def _keep(self, position: int) -> None:
        """Keep a field as it came (V3)."""
        key, part = self._walked().parts[position]
        raw = self._data[part.start : part.end]
        self._unknown[key.data if isinstance(key, RawKey) else key] = raw

    def diagnostics(self, base: int, strict: bool) -> list[Diagnostic]:
        """What there is to report about the payload, which starts at `base` in the stream."""
        label, found = self._cls.label, []
        for note in self._notes:
            names, steps = _followed(note.trail)
            path = "".join(name if name[:1] == "[" else f".{name}" for name in names if name)
            offset = base + self._walked().locate(steps).start
            found.append(diagnose(note.code, label + path, offset, note.text, strict))
        if self._tree is not None:
            found += self._reportedOddities(self._tree, base, strict)
        return found

    def _reportedOddities(self, tree: Item, base: int, strict: bool) -> list[Diagnostic]:
        """What only the walk finds: indefinite lengths, odd field ids, tags in unknown fields."""
        label, found = self._cls.label, []
        if self._indefinite is not None:
            text = "an item of indefinite length"
            at = base + self._indefinite
            found.append(diagnose(Code.PAYLOAD_INDEFINITE, label, at, text, strict))
        for key, part in tree.parts:
            if isinstance(key, RawKey):
                text = f"the field id {key.data[:16].hex(' ')} is no integer"
                found.append(diagnose(Code.FIELD_ID, label, base + part.start, text, strict))
            elif self._cls.fieldOf(key) is not None:
                continue
            for tagged in part.tags():
                text = "a tag in an unknown field"
                found.append(diagnose(Code.VALUE_TAG, label, base + tagged.start, text, strict))
        return found


def _followed(trail: Trail) -> tuple[list[str], list[int]]:
    """The names and the steps that lead from the message to a part of it."""
    names, steps = [], []
    at: Trail | None = trail
    while at is not None:
        at, name, step = at
        names.append(name)
        steps.append(step)
    return names[::-1], steps[::-1]


def decodeFrame(frame: Frame, *, strict: bool = False) -> Decoded:
    """Make a message of a frame; never raises, whatever the bytes.

    strict: every deviation is an error, so that there is a message only without any.
    """
    diagnostics = list(frame.diagnostics)
    if strict:
        diagnostics = [attrs.evolve(each, severity=Severity.ERROR) for each in diagnostics]
    cls = messageClass(frame.typeId)
    message: Message | None = None
    void = False
    if cls is None:
        message = UnknownMessage(typeId=frame.typeId, payload=frame.payload)
    else:
        content = _NO_FIELDS if frame.payload in _NO_PAYLOAD else frame.payload
        assert content is not None
        payload = _Payload(cls, content)
        try:
            message = payload.read()
            diagnostics += payload.diagnostics(frame.payloadOffset, strict)
            void = payload.void
        except Fault as fault:
            diagnostics.append(_broken(frame, cls.label, fault, strict))
    if diagnostics and any(each.severity is Severity.ERROR for each in diagnostics):
        message = None
    return Decoded(message, frame, tuple(diagnostics), void or message is None)


def _broken(frame: Frame, label: str, fault: Fault, strict: bool) -> Diagnostic:
    """What to say of a payload that does not parse (V11), or is perhaps no CBOR at all (F3)."""
    code = Code.PAYLOAD_NOT_UNDERSTOOD if frame.headers else fault.code
    return diagnose(code, label, frame.payloadOffset + fault.offset, fault.text, strict)


def decode(data: bytes, *, strict: bool = False) -> Decoded:
    """Make a message of the bytes of exactly one frame; never raises, whatever the bytes.

    strict: every deviation is an error, so that there is a message only without any.
    """
    reader = FrameReader(strict=strict)
    found = reader.feed(data) + reader.finish()
    if not found:
        text = "there are no bytes at all"
        nothing = diagnose(Code.FRAME_TRUNCATED, "frame", 0, text, strict)
        return Decoded(None, None, (nothing,))
    first = found[0]
    if isinstance(first, Gap):
        return Decoded(None, None, first.diagnostics)
    decoded = decodeFrame(first, strict=strict)
    excess = len(data) - first.length
    if not excess:
        return decoded
    text = f"{excess} bytes after the frame"
    trailing = diagnose(Code.FRAME_TRAILING, "frame", first.length, text, strict)
    return Decoded(None, first, (*decoded.diagnostics, trailing))


def encode(message: Message, headers: Headers | None = None) -> bytes:
    """A message as a frame, every value in the shortest form that keeps it exact (V1).

    headers: of the application: keys from 0x100 to CBOR items as bytes.

    Raises `UsageError` for headers with reserved keys or that are no CBOR, and for a message that
    contradicts itself: with a field in `unknown` that does not say what the field's attribute
    says.
    """
    if not headers:
        return message.wire or _encoded(message)
    for key in headers:
        if shortest.isUnsigned(key, 8):
            raise UsageError(f"header key 0x{key:02x} is reserved; use one from 0x100")
    return encodeFrame(message.typeId, encodePayload(message), headers)


def _encoded(message: Message) -> bytes:
    """A message as a frame without headers, which it keeps for the next to whom it goes."""
    data = encodeFrame(message.typeId, encodePayload(message))
    if not message.unknown:  # whose bytes may come to mean something, as a field of an extension
        object.__setattr__(message, "wire", data)
    return data


def encodePayload(message: Message) -> bytes | None:
    """The content of the payload of a message, or None for none.  Raises as `encode`."""
    if isinstance(message, UnknownMessage):
        return message.payload
    data = writerOf(type(message))(message)  # type: ignore[arg-type]  # classes are hashable
    if data is None:
        return plainPayload(message)
    return None if data == _NO_FIELDS and type(message) is Ping else data


def plainPayload(message: Message) -> bytes | None:
    """The same as `encodePayload`, of any message with a table, and slower."""
    unknown = message.unknown
    _checkUnknown(message, unknown)
    items = {row.id: row.kind.write(value) for row, value in message.present()}
    items.update((key, raw) for key, raw in unknown.items() if isinstance(key, int))
    odd = [key + raw for key, raw in unknown.items() if isinstance(key, bytes)]
    if type(message) is Ping and not items and not odd:
        return None
    parts = [shortest.head(shortest.MAP, len(items) + len(odd))]
    for key in sorted(items):
        parts += (shortest.number(key), items[key])
    return b"".join(parts + odd)


def _checkUnknown(message: Message, unknown: Mapping[int | bytes, bytes]) -> None:
    """Refuse what would not decode to the same message again."""
    for key, raw in unknown.items():
        for item in (raw,) if isinstance(key, int) else (key, raw):
            try:
                parsed, _ = parse(item)
            except Fault as fault:
                raise UsageError(
                    f"{type(message).__name__}.unknown: {item.hex(' ')} is not one CBOR item: "
                    f"{fault.text}"
                ) from None
        row = message.fieldOf(key) if isinstance(key, int) else None
        if row is None:
            continue
        try:
            value = row.kind.read(parsed.value, row.trail, [])
        except InvalidField:
            value = None
        given = dict(message.present()).get(row)
        if value != given:
            raise UsageError(
                f"{type(message).__name__}: {row.name} is {given!r}, but the bytes for it in "
                f"unknown say {value!r}; use replace() to change a field"
            )
