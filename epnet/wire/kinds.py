"""The value types (Messages §3.1): how a value looks in Python, and on the wire.

On the wire every value is a map from the id of its value type to its data.  A `Kind` is a value
type with the three things one does with it: *check* what a local user gives, *write* it, *read*
what a peer sent.  The value types of single values stand in the table at the end; those that are
composed of others are in `epnet.wire.compounds`.
"""

# ruff: noqa: D102 (what an overriding method does is told by Kind)

from __future__ import annotations

import math
import reprlib
from abc import ABC, abstractmethod
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import ClassVar, Final, Generic, TypeVar

import attrs

from epnet.errors import UsageError
from epnet.wire import shortest
from epnet.wire.diagnostics import Code
from epnet.wire.timestamps import fixOffset, formatTimestamp, parseTimestamp
from epnet.wire.walk import BadText, Tagged

T = TypeVar("T")

Trail = tuple["Trail | None", str, int]
"""Where in a payload: where its container is, its name, and its map key or array position."""


class InvalidValue(UsageError):
    """A local value that cannot go into a message: which field, what was given, what belongs."""

    def __init__(self, path: str, value: object, expected: str) -> None:
        super().__init__(f"{path}: {_shown(value)} is not {expected}")
        self.path = path
        self.value = value
        self.expected = expected


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python refuses to write out integers of thousands of digits
        return f"such a long {type(value).__name__}"


@attrs.frozen
class Note:
    """Something to report about a payload, before its path and offset are worked out."""

    code: Code
    trail: Trail
    text: str


class InvalidField(Exception):
    """What a peer sent in a field is not a value of its value type."""

    def __init__(self, code: Code, trail: Trail, text: str) -> None:
        super().__init__(text)
        self.note = Note(code, trail, text)


Notes = list[Note]


@attrs.frozen
class Kind(ABC, Generic[T]):
    """A value type.

    id: its number on the wire.
    name: as in the spec.
    unit: the unit's symbol, or nothing.
    data: the group of CBOR data types, as in the spec.
    description: as in the spec.
    """

    id: int
    name: str
    unit: str
    data: str
    description: str
    prefix: bytes = attrs.field(init=False, repr=False)

    @prefix.default
    def _prefix(self) -> bytes:
        return shortest.head(shortest.MAP, 1) + shortest.number(self.id)

    @property
    def range(self) -> str:
        """What its values are by meaning, beyond what their type says."""
        return ""

    @abstractmethod
    def check(self, value: object, path: str) -> T:
        """Take a local user's value of that path, or raise `InvalidValue`."""

    @abstractmethod
    def pack(self, value: T) -> bytes:
        """The data of a checked value."""

    @abstractmethod
    def take(self, data: object, trail: Trail, notes: Notes) -> T:
        """Make a value of received data, or raise `InvalidField`; note lesser deviations."""

    def write(self, value: T) -> bytes:
        """A checked value with its value type."""
        return self.prefix + self.pack(value)

    def read(self, item: object, trail: Trail, notes: Notes) -> T:
        """Make a value of a received item that should be a map from our id to data.

        Raises `InvalidField`; notes lesser deviations.
        """
        if type(item) is dict and len(item) == 1:
            [(key, data)] = item.items()
            if key == self.id and type(key) is int:
                return self.take(data, (trail, "", self.id), notes)
        return self.take(self._find(item, trail, notes), (trail, "", self.id), notes)

    def _find(self, item: object, trail: Trail, notes: Notes) -> object:
        """Our data in an item that is not simply a map with one entry of our id."""
        if type(item) is not dict or not item:
            raise mismatch(Code.VALUE_SHAPE, item, trail, f"a map {{0x{self.id:02x}: {self.name}}}")
        ids = [key for key in item if type(key) is int]
        if self.id not in ids:
            found = ", ".join(f"0x{key:02x}" for key in ids[:3]) or "no integer"
            text = f"value type {found} where 0x{self.id:02x} ({self.name}) belongs"
            raise InvalidField(Code.VALUE_TYPE, trail, text)
        notes.append(Note(Code.VALUE_EXTRA, trail, f"{len(item)} entries in a value map"))
        return next(data for key, data in item.items() if type(key) is int and key == self.id)


def mismatch(code: Code, item: object, trail: Trail, expected: str) -> InvalidField:
    """The exception for an item that is not what it should be; tags and bad texts have codes."""
    if isinstance(item, Tagged):
        return InvalidField(Code.VALUE_TAG, trail, f"tag {item.tag} where {expected} belongs")
    if isinstance(item, BadText):
        return InvalidField(Code.VALUE_TEXT, trail, "a text that is not valid UTF-8")
    return InvalidField(code, trail, f"{_quoted(item)} where {expected} belongs")


def _quoted(item: object) -> str:
    """What a peer sent, in part: it can be large and deep."""
    text = _BRIEF.repr(item)
    return text if len(text) <= _QUOTE else f"{text[:_QUOTE]}..."


_QUOTE: Final = 100
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxlevel = 2


@attrs.frozen
class Quantity(Kind[float]):
    """A number with a unit: any finite integer or float (V1)."""

    def check(self, value: object, path: str) -> float:
        if isinstance(value, int) and not isinstance(value, bool):
            if shortest.fits(value):
                return int(value)
        elif isinstance(value, float) and math.isfinite(value):
            return float(value)
        unit = f" ({self.unit})" if self.unit else ""
        raise InvalidValue(path, value, f"a finite number{unit} or an integer of up to 64 bits")

    def pack(self, value: float) -> bytes:
        return shortest.number(value)

    def take(self, data: object, trail: Trail, notes: Notes) -> float:
        if type(data) is int:
            return data
        if type(data) is not float:
            raise mismatch(Code.VALUE_DATA, data, trail, "a number")
        if not math.isfinite(data):
            raise InvalidField(Code.VALUE_NOT_FINITE, trail, f"the number is {data}")
        return data


@attrs.frozen
class Percentage(Quantity):
    """A percentage: 0 to 100 by meaning, never clamped (V8)."""

    @property
    def range(self) -> str:
        return "0 to 100"

    def take(self, data: object, trail: Trail, notes: Notes) -> float:
        value = Quantity.take(self, data, trail, notes)
        if not 0 <= value <= 100:
            notes.append(Note(Code.PERCENTAGE_RANGE, trail, f"{value} %"))
        return value


@attrs.frozen
class Text(Kind[str]):
    """A text.

    maxLength: the most characters that are taken, if there is a limit (V10).
    """

    maxLength: int | None = None

    @property
    def range(self) -> str:
        return "" if self.maxLength is None else f"at most {self.maxLength} characters"

    def check(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            raise InvalidValue(path, value, "a text")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue(path, value, "a text that UTF-8 can say") from None
        if self.maxLength is not None and len(value) > self.maxLength:
            raise InvalidValue(path, value, f"a text of at most {self.maxLength} characters")
        return str(value)

    def pack(self, value: str) -> bytes:
        return shortest.text(value)

    def take(self, data: object, trail: Trail, notes: Notes) -> str:
        if type(data) is not str:
            raise mismatch(Code.VALUE_DATA, data, trail, "a text")
        if self.maxLength is not None and len(data) > self.maxLength:
            text = f"{len(data)} characters, the most is {self.maxLength}"
            raise InvalidField(Code.FIELD_LENGTH, trail, text)
        return data


@attrs.frozen
class Currency(Text):
    """A currency: three capital letters (V9)."""

    def check(self, value: object, path: str) -> str:
        if not isinstance(value, str) or not _isCurrency(value):
            raise InvalidValue(path, value, "a currency of three capital letters such as 'SEK'")
        return str(value)

    def take(self, data: object, trail: Trail, notes: Notes) -> str:
        value = Text.take(self, data, trail, notes)
        if not _isCurrency(value):
            text = f"{_quoted(value)} is not three capital letters"
            raise InvalidField(Code.CURRENCY_FORM, trail, text)
        return value


def _isCurrency(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


@attrs.frozen
class Flag(Kind[bool]):
    """True or false."""

    def check(self, value: object, path: str) -> bool:
        if not isinstance(value, bool):
            raise InvalidValue(path, value, "True or False")
        return value

    def pack(self, value: bool) -> bytes:
        return shortest.TRUE if value else shortest.FALSE

    def take(self, data: object, trail: Trail, notes: Notes) -> bool:
        if type(data) is not bool:
            raise mismatch(Code.VALUE_DATA, data, trail, "true or false")
        return data


@attrs.frozen
class Binary(Kind[bytes]):
    """Bytes."""

    def check(self, value: object, path: str) -> bytes:
        if not isinstance(value, bytes | bytearray):
            raise InvalidValue(path, value, "bytes")
        return bytes(value)

    def pack(self, value: bytes) -> bytes:
        return shortest.binary(value)

    def take(self, data: object, trail: Trail, notes: Notes) -> bytes:
        if type(data) is not bytes:
            raise mismatch(Code.VALUE_DATA, data, trail, "a byte string")
        return data


@attrs.frozen
class Timestamp(Kind[datetime]):
    """A moment: an aware datetime; RFC 3339 on the wire (V4)."""

    _TEXTS: ClassVar = {
        Code.TIMESTAMP_FORM: "is not complete as RFC 3339 has it",
        Code.TIMESTAMP_ZONE: "has no offset, taken as UTC",
        Code.TIMESTAMP_PRECISION: "is a leap second or finer than a microsecond",
    }

    def check(self, value: object, path: str) -> datetime:
        if not isinstance(value, datetime):
            raise InvalidValue(path, value, "a datetime with a time zone")
        try:
            return fixOffset(value)
        except (ValueError, OverflowError):
            raise InvalidValue(path, value, "a datetime with a time zone") from None

    def pack(self, value: datetime) -> bytes:
        return _packedTimestamp(value, value.tzinfo)

    def take(self, data: object, trail: Trail, notes: Notes) -> datetime:
        if isinstance(data, Tagged) and data.tag == 0:
            data = data.value
        if type(data) is not str:
            raise mismatch(Code.VALUE_DATA, data, trail, "a timestamp as text")
        try:
            moment, codes = parseTimestamp(data)
        except (ValueError, OverflowError) as error:
            text = f"{_quoted(data)} is no timestamp: {error}"
            raise InvalidField(Code.TIMESTAMP_INVALID, trail, text) from None
        for code in codes:
            notes.append(Note(code, trail, f"{_quoted(data)} {self._TEXTS[code]}"))
        return moment


@lru_cache(maxsize=1024)
def _packedTimestamp(moment: datetime, _: tzinfo | None) -> bytes:
    """A checked moment; a price is sent many times.  Equal ones may have different offsets."""
    return shortest.text(formatTimestamp(moment))


TEXT: Final = Text(0x00, "Text", "", "text", "Text (UTF-8 encoded)")
FLAG: Final = Flag(0x01, "Flag", "", "bool", "Boolean flag (true/false)")
AMOUNT: Final = Quantity(0x02, "Amount", "", "numeric", "Numeric amount (any number)")
TIMESTAMP: Final = Timestamp(0x03, "Timestamp", "", "text", "Date, time and time zone (RFC 3339)")
BINARY: Final = Binary(0x04, "Binary", "", "binary", "Raw binary data (byte array)")
CURRENCY: Final = Currency(0x05, "Currency", "", "text", "Currency code (ISO 4217)")
DURATION: Final = Quantity(0x06, "Duration", "ms", "numeric", "Duration (milliseconds)")
VOLTAGE: Final = Quantity(0x10, "Voltage", "V", "numeric", "Voltage (Volts)")
CURRENT: Final = Quantity(0x11, "Current", "A", "numeric", "Current (Amperes)")
POWER: Final = Quantity(0x12, "Power", "W", "numeric", "Power (Watts)")
ENERGY: Final = Quantity(0x13, "Energy", "Wh", "numeric", "Energy (Watt-hours)")
PERCENTAGE: Final = Percentage(0x14, "Percentage", "%", "numeric", "Percentage value (Percent)")
RESISTANCE: Final = Quantity(0x15, "Resistance", "Ω", "numeric", "Resistance (Ohms)")
