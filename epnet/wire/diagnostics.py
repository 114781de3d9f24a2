"""Diagnostics: what was found wrong with received bytes, and where.

Nothing that arrives is ever silently dropped or repaired; each deviation from the wire profile
yields one `Diagnostic`.  What can be found is listed once, in `Code`.
"""

from __future__ import annotations

import enum

import attrs


class Severity(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Nothing was made of it: no frame, or no message."""
    WARNING = "warning"
    """It was read all the same, as far as it goes; in strict mode this is an error."""


class Code(enum.StrEnum):
    """Every kind of diagnostic: a stable code, how bad it is in lenient mode, what it means."""

    severity: Severity
    description: str

    def __new__(cls, code: str, severity: Severity, description: str) -> Code:
        """Make the string that also carries a severity and a description."""
        self = str.__new__(cls, code)
        self._value_ = code
        self.severity = severity
        self.description = description
        return self

    def __repr__(self) -> str:
        return f"Code.{self.name}"

    FRAME_START = (
        "frame.start",
        Severity.ERROR,
        "The bytes do not start a frame: 9A 00 00 00 03 was expected (F1).",
    )
    FRAME_DRAFT = (
        "frame.draft",
        Severity.ERROR,
        "The frame is in the form of the draft of April 2025 (9A 00 00 00 04), which had the "
        "payload inline after its length. The sender needs an update (F1).",
    )
    FRAME_HEADERS = (
        "frame.headers",
        Severity.ERROR,
        "The headers are neither null nor a well-formed map with different unsigned integers "
        "as keys (F3).",
    )
    FRAME_HEADERS_SIZE = (
        "frame.headers-size",
        Severity.ERROR,
        "The header map is larger than 4 KiB (F6).",
    )
    FRAME_TYPE = (
        "frame.type",
        Severity.ERROR,
        "The message type is not an unsigned integer of at most 32 bits (F4).",
    )
    FRAME_PAYLOAD = (
        "frame.payload",
        Severity.ERROR,
        "The payload is neither null nor a byte string of definite length (F5).",
    )
    FRAME_SIZE = (
        "frame.size",
        Severity.ERROR,
        "The payload is larger than the limit (F6).",
    )
    FRAME_TRUNCATED = (
        "frame.truncated",
        Severity.ERROR,
        "The bytes end before the frame is complete.",
    )
    FRAME_TRAILING = (
        "frame.trailing",
        Severity.ERROR,
        "There are bytes after the frame where exactly one frame was expected.",
    )
    FRAME_LOST = (
        "frame.lost",
        Severity.ERROR,
        "There was no frame start within the distance in which one is looked for, 64 KiB unless "
        "set otherwise; the stream was given up (F7).",
    )
    FRAME_START_SHORT = (
        "frame.start-short",
        Severity.WARNING,
        "The frame starts with 83 instead of 9A 00 00 00 03 (F1).",
    )
    FRAME_HEADERS_EMPTY = (
        "frame.headers-empty",
        Severity.WARNING,
        "There is an empty header map where null was expected (F3).",
    )
    FRAME_HEADERS_INDEFINITE = (
        "frame.headers-indefinite",
        Severity.WARNING,
        "The header map has no definite length (F3).",
    )
    FRAME_HEADERS_RESERVED = (
        "frame.headers-reserved",
        Severity.WARNING,
        "A header has a reserved key, 0x00 to 0xFF (F3).",
    )
    FRAME_TYPE_SHORT = (
        "frame.type-short",
        Severity.WARNING,
        "The message type is shorter than the five bytes 1A xx xx xx xx (F4).",
    )
    FRAME_TYPE_RESERVED = (
        "frame.type-reserved",
        Severity.WARNING,
        "The message type is in the reserved range, up to 0x00FFFFFF (F4).",
    )
    FRAME_PAYLOAD_TAG = (
        "frame.payload-tag",
        Severity.WARNING,
        "The payload byte string carries tag 2 (C2), as a revision of May 2025 had it (F2).",
    )
    PAYLOAD_CBOR = (
        "payload.cbor",
        Severity.ERROR,
        "The payload is not well-formed CBOR (V11).",
    )
    PAYLOAD_TRUNCATED = (
        "payload.truncated",
        Severity.ERROR,
        "The payload ends inside a CBOR item (V11).",
    )
    PAYLOAD_TRAILING = (
        "payload.trailing",
        Severity.ERROR,
        "There are bytes after the one CBOR item of the payload (F9).",
    )
    PAYLOAD_DUPLICATE = (
        "payload.duplicate",
        Severity.ERROR,
        "A map has the same key twice (F9, V11).",
    )
    PAYLOAD_DEPTH = (
        "payload.depth",
        Severity.ERROR,
        "Arrays, maps and tags are nested more than 16 deep (F6).",
    )
    PAYLOAD_MAP = (
        "payload.map",
        Severity.ERROR,
        "The payload is neither a map nor empty (V11).",
    )
    PAYLOAD_NOT_UNDERSTOOD = (
        "payload.not-understood",
        Severity.WARNING,
        "The payload does not parse, and the frame has headers, which may announce another "
        "serialization: not understood, and no consent (F3).",
    )
    PAYLOAD_INDEFINITE = (
        "payload.indefinite",
        Severity.WARNING,
        "The payload contains an item without a definite length (F9).",
    )
    FIELD_ID = (
        "field.id",
        Severity.WARNING,
        "A field id of the message is not an integer; the field was kept as it came (V3).",
    )
    FIELD_REQUIRED = (
        "field.required",
        Severity.ERROR,
        "A field is missing or invalid without which the message means nothing (M7).",
    )
    FIELD_LENGTH = (
        "field.length",
        Severity.ERROR,
        "A text of the Session Parameters is longer than 256 characters (V10).",
    )
    VALUE_SHAPE = (
        "value.shape",
        Severity.WARNING,
        "The value is not built as its value type says, such as {type id: value}; the field is "
        "invalid.",
    )
    VALUE_TYPE = (
        "value.type",
        Severity.WARNING,
        "The value has the id of another value type; the field is invalid (V2).",
    )
    VALUE_DATA = (
        "value.data",
        Severity.WARNING,
        "The value has the wrong CBOR data type, such as a text for a number; the field is "
        "invalid.",
    )
    VALUE_TAG = (
        "value.tag",
        Severity.WARNING,
        "There is a CBOR tag that the profile does not allow; the field is invalid if it is one "
        "that epnet knows (F9, V1).",
    )
    VALUE_TEXT = (
        "value.text",
        Severity.WARNING,
        "The text is not valid UTF-8; the field is invalid (V10).",
    )
    VALUE_NOT_FINITE = (
        "value.not-finite",
        Severity.WARNING,
        "The number is NaN or infinite; the field is invalid (V1).",
    )
    VALUE_EXTRA = (
        "value.extra",
        Severity.WARNING,
        "The value has more entries than its value type; the field was kept as it came (V3).",
    )
    BOUNDS_ORDER = (
        "bounds.order",
        Severity.WARNING,
        "The minimum is above the maximum; the field is invalid (V7).",
    )
    PERCENTAGE_RANGE = (
        "percentage.range",
        Severity.WARNING,
        "The percentage is outside 0 to 100 (V8).",
    )
    MIX_FORM = (
        "mix.form",
        Severity.WARNING,
        "The mix is not an array of maps with one entry each (V5).",
    )
    MIX_SUM = (
        "mix.sum",
        Severity.WARNING,
        "The shares do not add up to 100 % ± 0.5 (V5).",
    )
    TIMESTAMP_INVALID = (
        "timestamp.invalid",
        Severity.WARNING,
        "The text is no date and time that can be read; the field is invalid (V4).",
    )
    TIMESTAMP_FORM = (
        "timestamp.form",
        Severity.WARNING,
        "The timestamp is not complete as RFC 3339 has it (V4).",
    )
    TIMESTAMP_ZONE = (
        "timestamp.zone",
        Severity.WARNING,
        "The timestamp has no offset from UTC and was taken as UTC (V4).",
    )
    TIMESTAMP_PRECISION = (
        "timestamp.precision",
        Severity.WARNING,
        "The timestamp is a leap second or finer than a microsecond; the nearest time that can "
        "be told was taken, and the field kept as it came (V4).",
    )
    CURRENCY_FORM = (
        "currency.form",
        Severity.WARNING,
        "The currency is not three capital letters; the field is invalid (V9).",
    )
    ISOLATION_STATE = (
        "isolation.state",
        Severity.WARNING,
        "The isolation state is not in the table; it blocks power (V6).",
    )


@attrs.frozen
class Diagnostic:
    """One deviation.

    severity: `Severity.ERROR` or `Severity.WARNING`, which equal 'error' and 'warning'.
    code: what kind of deviation; equals its text, such as 'value.not-finite'.
    path: where in the message, such as 'supply.voltage_limit.min' or 'frame.headers'.
    offset: where in the stream, in bytes from its start.
    text: what was found, for people.
    """

    severity: Severity
    code: Code
    path: str
    offset: int
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.path}: {self.text} ({self.code}, byte {self.offset})"


def diagnose(code: Code, path: str, offset: int, text: str, strict: bool) -> Diagnostic:
    """A diagnostic of the severity that the code has in that mode."""
    severity = Severity.ERROR if strict else code.severity
    return Diagnostic(severity, code, path, offset, text)
