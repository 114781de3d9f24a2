"""A CBOR item byte by byte: whether it is well-formed, where it ends, where its parts are.

This is the slow path.  Ordinary payloads go through cbor2 in one call; when cbor2 refuses one, or
when something in it needs an offset or has to be kept as it came, this module looks again.

`Skimmer` is RFC 8949 appendix C without recursion, over pieces of data.  `parse` makes a tree of
`Item` out of data that is one item.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import attrs

from epnet.wire.diagnostics import Code

MAX_DEPTH: Final = 16
"""How deep arrays, maps and tags may be nested (wire-profile F6)."""

Data = bytes | bytearray

_UNSIGNED, _NEGATIVE, _BINARY, _TEXT, _ARRAY, _MAP, _TAG, _OTHER = range(8)
_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE: Final = {20: False, 21: True, 22: None}


class Fault(Exception):
    """The bytes are not one CBOR item that EP takes: why, and where, in bytes from the start."""

    def __init__(self, code: Code, offset: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.offset = offset
        self.text = text


class Head(NamedTuple):
    """The first bytes of an item: major type, additional information, argument, where it ends."""

    major: int
    info: int
    argument: int
    end: int


def readHead(data: Data, at: int) -> Head | None:
    """The head of the item there, or None if the data ends within it.

    Raises `Fault` for a byte that starts no item.
    """
    if at >= len(data):
        return None
    major, info = data[at] >> 5, data[at] & 0x1F
    if info < 24 or info == _INDEFINITE:
        return Head(major, info, info, at + 1)
    if info > 27:
        raise Fault(Code.PAYLOAD_CBOR, at, f"byte 0x{data[at]:02x} starts no CBOR item")
    end = at + 1 + (1 << (info - 24))
    if end > len(data):
        return None
    return Head(major, info, int.from_bytes(data[at + 1 : end], "big"), end)


class Skimmer:
    """Finds where one CBOR item ends, at a cost linear in its length however it arrives.

    at: where in the data the item starts; in the end, where it ends.
    limit: where it has to end at the latest, if there is a limit.
    """

    # One entry for each open container: how many items it still takes, or what may come until
    # a break closes it.
    _ANY, _KEY, _VALUE, _BINARIES, _TEXTS = -1, -2, -3, -4, -5
    _AFTER: Final = {_ANY: _ANY, _KEY: _VALUE, _VALUE: _KEY, _BINARIES: _BINARIES, _TEXTS: _TEXTS}
    _UNTIL_BREAK: Final = {_BINARY: _BINARIES, _TEXT: _TEXTS, _ARRAY: _ANY, _MAP: _KEY}
    _CHUNKS: Final = {_BINARIES: _BINARY, _TEXTS: _TEXT}

    def __init__(self, at: int = 0, limit: int | None = None) -> None:
        self.at = at
        self._limit = limit
        self.indefinite: int | None = None
        """Where the first item without a definite length is."""
        self._open = [1]

    def advance(self, data: Data) -> bool:
        """Go on in the data, which may have grown at its end; say whether the item is complete.

        Raises `Fault` for bytes that can be no part of an item.
        """
        while self._open:
            if self._open[-1] == 0:
                self._open.pop()
                continue
            parsed = readHead(data, self.at)
            if parsed is None:
                self._checkLimit(len(data))
                return False
            major, info, argument, end = parsed
            if major == _OTHER and info == _INDEFINITE:
                self._close()
            else:
                self._take(major, info)
                self._enter(major, info, argument)
            if major in (_BINARY, _TEXT) and info != _INDEFINITE:
                end += argument
            self._checkLimit(end - 1)
            self.at = end
        return self.at <= len(data)

    def _checkLimit(self, reached: int) -> None:
        if self._limit is not None and reached >= self._limit:
            raise Fault(Code.FRAME_HEADERS_SIZE, self.at, "larger than the limit")

    def _take(self, major: int, info: int) -> None:
        """Count an item towards the container it is in."""
        top = self._open[-1]
        if top > 0:
            self._open[-1] = top - 1
            return
        chunk = self._CHUNKS.get(top)
        if chunk is not None and (major != chunk or info == _INDEFINITE):
            raise Fault(Code.PAYLOAD_CBOR, self.at, "something else in a string of several pieces")
        self._open[-1] = self._AFTER[top]

    def _enter(self, major: int, info: int, argument: int) -> None:
        """Open the container that an item may be."""
        if info == _INDEFINITE:
            if major not in self._UNTIL_BREAK:
                raise Fault(Code.PAYLOAD_CBOR, self.at, "an integer or tag without a value")
            if self.indefinite is None:
                self.indefinite = self.at
            self._open.append(self._UNTIL_BREAK[major])
        elif major in (_ARRAY, _MAP, _TAG):
            self._open.append({_ARRAY: argument, _MAP: 2 * argument, _TAG: 1}[major])
        elif major == _OTHER and info == 24 and argument < 32:
            raise Fault(Code.PAYLOAD_CBOR, self.at, "a simple value in two bytes instead of one")
        if len(self._open) > MAX_DEPTH + 1:
            raise Fault(Code.PAYLOAD_DEPTH, self.at, f"nested more than {MAX_DEPTH} deep")

    def _close(self) -> None:
        """Close the container that a break ends."""
        if self._open[-1] >= 0 or self._open[-1] == self._VALUE:
            raise Fault(Code.PAYLOAD_CBOR, self.at, "a break where nothing can end")
        self._open.pop()


@attrs.frozen
class Tagged:
    """A value with a tag."""

    tag: int
    value: object


@attrs.frozen
class BadText:
    """A text that is not valid UTF-8."""

    data: bytes


@attrs.frozen
class Simple:
    """A simple value without a meaning in EP, such as undefined."""

    number: int


@attrs.frozen
class RawKey:
    """A map key that is no integer: its bytes as they came."""

    data: bytes


@attrs.define(eq=False)
class Item:
    """An item and where it is, in bytes.

    value: what cbor2 would make of it, with the classes above where cbor2 would refuse; keys of
        maps are integers or `RawKey`.
    parts: what is in it, by position in an array, by key in a map, by 0 under a tag.
    """

    start: int
    end: int
    value: object
    parts: tuple[tuple[int | RawKey, Item], ...] = ()
    _byKey: dict[int | RawKey, Item] | None = attrs.field(default=None, init=False, repr=False)

    def locate(self, steps: Iterable[int]) -> Item:
        """The part that these keys and positions lead to, as far as they lead anywhere."""
        item = self
        for step in steps:
            while isinstance(item.value, Tagged):
                item = item.parts[0][1]
            item = item._part(step) or item
        return item

    def _part(self, step: int) -> Item | None:
        # A payload can have a great many deviations in one great map: no search for each.
        if self._byKey is None:
            self._byKey = dict(self.parts)
        return self._byKey.get(step)

    def tags(self) -> Iterator[Item]:
        """The items with a tag, this one included."""
        if isinstance(self.value, Tagged):
            yield self
        for _, part in self.parts:
            yield from part.tags()


def parse(data: bytes) -> tuple[Item, int | None]:
    """Read data that is exactly one item; also say where its first indefinite length is.

    Raises `Fault` when it is anything else, is nested too deep, or has a key twice in a map.
    """
    skimmer = Skimmer()
    if not skimmer.advance(data):
        raise Fault(Code.PAYLOAD_TRUNCATED, len(data), "ends inside an item")
    if skimmer.at < len(data):
        excess = len(data) - skimmer.at
        raise Fault(Code.PAYLOAD_TRAILING, skimmer.at, f"{excess} bytes after the item")
    return _build(data, 0), skimmer.indefinite


def _build(data: bytes, at: int) -> Item:
    """The item there; the data is known to be well-formed, and not nested too deep."""
    parsed = readHead(data, at)
    assert parsed is not None
    major, info, argument, end = parsed
    return _BUILDERS[major](data, at, end, None if info == _INDEFINITE else argument)


def _unsigned(data: bytes, at: int, end: int, argument: int | None) -> Item:
    assert argument is not None
    return Item(at, end, argument)


def _negative(data: bytes, at: int, end: int, argument: int | None) -> Item:
    assert argument is not None
    return Item(at, end, -1 - argument)


def _binary(data: bytes, at: int, end: int, argument: int | None) -> Item:
    if argument is not None:
        return Item(at, end + argument, data[end : end + argument])
    chunks, end = _sequence(data, end, None)
    return Item(at, end, b"".join(chunk.value for chunk in chunks))  # type: ignore[misc]


def _text(data: bytes, at: int, end: int, argument: int | None) -> Item:
    if argument is None:
        # Each piece has to be valid by itself (RFC 8949 §3.2.3).
        chunks, end = _sequence(data, end, None)
        values = [chunk.value for chunk in chunks]
        bad = any(isinstance(value, BadText) for value in values)
        return Item(at, end, BadText(data[at:end]) if bad else "".join(values))  # type: ignore[arg-type]
    raw = data[end : end + argument]
    try:
        return Item(at, end + argument, raw.decode())
    except UnicodeDecodeError:
        return Item(at, end + argument, BadText(raw))


def _array(data: bytes, at: int, end: int, argument: int | None) -> Item:
    items, end = _sequence(data, end, argument)
    return Item(at, end, [item.value for item in items], tuple(enumerate(items)))


def _map(data: bytes, at: int, end: int, argument: int | None) -> Item:
    items, end = _sequence(data, end, None if argument is None else 2 * argument)
    value: dict[int | RawKey, object] = {}
    parts = []
    seen = set()
    for key, item in zip(items[::2], items[1::2], strict=True):
        identity = _identity(data, key)
        if identity in seen:
            raise Fault(Code.PAYLOAD_DUPLICATE, key.start, "a key for the second time in a map")
        seen.add(identity)
        name = key.value if type(key.value) is int else RawKey(data[key.start : key.end])
        value[name] = item.value
        parts.append((name, item))
    return Item(at, end, value, tuple(parts))


def _identity(data: bytes, key: Item) -> object:
    """What two keys have in common if they are the same, however they are written.

    Never a float or a tuple of the sender's choice, whose hashes he can make collide.
    """
    if type(key.value) is float:
        return struct.pack(">d", key.value)
    if type(key.value) in (int, str, bytes):
        return key.value
    return RawKey(data[key.start : key.end])


def _tag(data: bytes, at: int, end: int, argument: int | None) -> Item:
    assert argument is not None
    inner = _build(data, end)
    return Item(at, inner.end, Tagged(argument, inner.value), ((0, inner),))


def _other(data: bytes, at: int, end: int, argument: int | None) -> Item:
    form = _FLOATS.get(data[at] & 0x1F)
    if form is not None:
        return Item(at, end, struct.unpack_from(form, data, at + 1)[0])
    assert argument is not None
    return Item(at, end, _SIMPLE[argument] if argument in _SIMPLE else Simple(argument))


_BUILDERS: Final = (_unsigned, _negative, _binary, _text, _array, _map, _tag, _other)


def _sequence(data: bytes, at: int, count: int | None) -> tuple[list[Item], int]:
    """So many items, or those up to a break, and where they end."""
    items: list[Item] = []
    while data[at] != _BREAK if count is None else len(items) < count:
        item = _build(data, at)
        items.append(item)
        at = item.end
    return items, at + (count is None)
