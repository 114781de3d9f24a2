"""A frame byte by byte, with what the bytes mean: the view of the examples in the specs.

Every byte of the frame is in exactly one line, in order, whatever the bytes.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

from epnet.wire.frames import MAGIC, Frame, Headers
from epnet.wire.kinds import Kind
from epnet.wire.registry import messageClass
from epnet.wire.schema import Message
from epnet.wire.shape import SOURCES, Layout, Part, shapeOf
from epnet.wire.walk import Fault, Item, RawKey, Skimmer, parse, readHead

ROW: Final = 12
"""The most bytes in a line."""
_SHORT_START: Final = 0x83
_BREAK: Final = b"\xff"
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = 256


@attrs.frozen
class Line:
    """Some bytes and what they mean.

    depth: how deep to indent it.
    data: the bytes, at most `ROW` of them.
    text: what they mean, fit for a terminal; empty where a line goes on.
    """

    depth: int
    data: bytes
    text: str


def annotate(frame: Frame, data: bytes) -> list[Line]:
    """The lines of a frame; data: its bytes, from its first to its last."""
    content = frame.payloadOffset - frame.offset
    lines = [*_opening(frame, data[:content])]
    if frame.payload:
        lines += _payload(messageClass(frame.typeId), data[content:])
    return [row for line in lines for row in _rows(line)]


def _rows(line: Line) -> Iterator[Line]:
    """A line, over as many lines as its bytes need."""
    yield attrs.evolve(line, data=line.data[:ROW])
    for at in range(ROW, len(line.data), ROW):
        yield Line(line.depth, line.data[at : at + ROW], "")


def _opening(frame: Frame, data: bytes) -> Iterator[Line]:
    """What comes before the content of the payload."""
    writer = _Writer(data)
    writer.line(1 if data[0] == _SHORT_START else len(MAGIC), 0, "frame start")
    skimmer = Skimmer(writer.at)
    skimmer.advance(data)
    writer.line(skimmer.at, 0, _described(frame.headers))
    head = readHead(data, writer.at)
    assert head is not None  # or it would be no frame
    cls = messageClass(frame.typeId)
    name = cls.__name__ if cls else "not known"
    writer.line(head.end, 0, f"message type 0x{frame.typeId:08x}: {name}")
    size = "no payload" if frame.payload is None else f"payload of {len(frame.payload)} bytes"
    writer.line(len(data), 0, size)
    return iter(writer.lines)


def _described(headers: Headers | None) -> str:
    if headers is None:
        return "no headers"
    return "headers " + ", ".join(f"0x{key:02x}: {raw.hex()}" for key, raw in headers.items())


def _payload(cls: type[Message] | None, data: bytes) -> Iterator[Line]:
    """The content of a payload."""
    writer = _Writer(data)
    if cls is None:
        writer.line(len(data), 0, "not decoded: the message type is not known")
        return iter(writer.lines)
    try:
        item, _ = parse(data)
    except Fault as fault:
        writer.line(len(data), 0, f"not decoded: {fault.text} (byte {fault.offset} of it)")
        return iter(writer.lines)
    if isinstance(item.value, dict):
        writer.open(item, 0, f"{cls.__name__}, fields: {len(item.parts)}")
        for key, part in item.parts:
            row = None if isinstance(key, RawKey) else cls.fieldOf(key)
            if row is None:
                writer.line(part.end, 1, f"{_key(key)}, not known: {shownValue(part.value)}")
            else:
                writer.value(row.name, row.kind, part, 1)
    writer.close(item, 0)
    return iter(writer.lines)


def _key(key: int | RawKey) -> str:
    return key.data.hex() if isinstance(key, RawKey) else f"0x{key:02x}"


def shownValue(value: object) -> str:
    """A value in a few words, fit for a terminal whatever a peer put in it."""
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "null"
    return value.hex() if isinstance(value, bytes) else _BRIEF.repr(value)


class _Writer:
    """Goes through an item from its first byte to its last.

    at: the first byte that is in no line yet.
    """

    def __init__(self, data: bytes) -> None:
        self.lines: list[Line] = []
        self.at = 0
        self._data = data

    def line(self, end: int, depth: int, text: str) -> None:
        """Put the bytes up to there into a line."""
        self.lines.append(Line(depth, self._data[self.at : end], text))
        self.at = end

    def open(self, item: Item, depth: int, text: str) -> None:
        """Put all up to the first part of a container into a line."""
        head = readHead(self._data, item.start)
        assert head is not None  # or it would be no item
        self.line(head.end, depth, text)

    def close(self, item: Item, depth: int) -> None:
        """Put what is left of an item into a line: a break, or all if it was not understood."""
        if self.at < item.end:
            left = self._data[self.at : item.end]
            text = "more than belongs here" if left.strip(_BREAK) else "end"
            self.line(item.end, depth, text if item.parts else shownValue(item.value))

    def value(self, name: str, kind: Kind[Any], item: Item, depth: int) -> None:
        """A value map of that value type, and its key before it."""
        shape = shapeOf(kind)
        isOurs = len(item.parts) == 1 and item.parts[0][0] == kind.id
        data = item.parts[0][1] if isOurs else item
        if not isOurs or (shape.parts and not isinstance(data.value, list | dict)):
            self.line(item.end, depth, f"{name}: not {kind.name}: {shownValue(item.value)}")
            return
        if shape.layout is Layout.SINGLE:
            unit = f" {kind.unit}" if kind.unit else ""
            self.line(item.end, depth, f"{name}: {shownValue(data.value)}{unit}")
            return
        self.open(data, depth, f"{name} ({kind.name})")
        _INSIDE[shape.layout](self, shape.parts, data, depth + 1)
        self.close(data, depth)
        self.close(item, depth)

    def record(self, parts: Sequence[Part], data: Item, depth: int) -> None:
        """The items of an array, one for each part."""
        for part, (_, item) in zip(parts, data.parts, strict=False):
            if item.value is None:
                self.line(item.end, depth, f"{part.name}: not given")
            else:
                self.part(part, part.name, item, depth)

    def part(self, part: Part, name: str, item: Item, depth: int) -> None:
        """One item in the data of a composed value type."""
        if part.kind is not None:
            self.value(name, part.kind, item, depth)
            return
        number = item.value
        title = part.titles.get(number) if isinstance(number, int) else None
        self.line(item.end, depth, f"{name}: {title or shownValue(number)}")

    def records(self, parts: Sequence[Part], data: Item, depth: int) -> None:
        """The arrays in an array."""
        for index, item in data.parts:
            if isinstance(item.value, list):
                self.open(item, depth, f"[{index}]")
                self.record(parts, item, depth + 1)
            self.close(item, depth)

    def bySource(self, parts: Sequence[Part], data: Item, depth: int) -> None:
        """The maps in an array, or the one map."""
        for item in [data] if isinstance(data.value, dict) else [each for _, each in data.parts]:
            for key, value in item.parts if isinstance(item.value, dict) else ():
                name = None if isinstance(key, RawKey) else SOURCES.get(key)
                self.part(parts[0], name or _key(key), value, depth)
            self.close(item, depth)


_INSIDE: Final = {
    Layout.RECORD: _Writer.record,
    Layout.RECORDS: _Writer.records,
    Layout.BY_SOURCE: _Writer.bySource,
}
