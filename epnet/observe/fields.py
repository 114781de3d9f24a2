"""What a request may carry: named fields, each with a kind that reads, checks and describes it.

Stated once, a field is what the calls in `epnet.observe.api` read, and what the description of them
in `epnet.observe.openapi` says.  A value that a kind does not take raises `BadField`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

NO_CONTROLS: Final = r"[^\x00-\x1f\x7f-\x9f]"
_PLAIN: Final = re.compile(f"{NO_CONTROLS}*")


class BadField(ValueError):
    """A field of a request has no value that can be taken.  The text is for who asked."""


class Kind(Protocol):
    """A kind of value."""

    def parse(self, text: str) -> Any:
        """The value written in a query.  Raises `BadField`."""

    def check(self, value: Any) -> Any:
        """The value as it came in JSON.  Raises `BadField`."""

    def schema(self) -> dict[str, Any]:
        """It as JSON Schema."""


@attrs.frozen
class Number:
    """A finite number from `low` to `high`.

    nullable: whether null is taken as well.
    """

    low: float
    high: float
    nullable: bool = False

    def parse(self, text: str) -> float:
        """Read it."""
        try:
            # A query is ASCII; float() would take underscores and other alphabets' digits.
            number = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            number = math.nan
        self.check(number)
        return number

    def check(self, value: Any) -> float | None:
        """Take it if it is in range."""
        if value is None and self.nullable:
            return None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high:
            also = ", or null" if self.nullable else ""
            raise BadField(f"must be a number from {self.low:g} to {self.high:g}{also}")
        return float(value)

    def schema(self) -> dict[str, Any]:
        """It as JSON Schema."""
        kind: Any = ["number", "null"] if self.nullable else "number"
        return {"type": kind, "minimum": self.low, "maximum": self.high}


@attrs.frozen
class Text:
    """Some text of at most `most` characters, none of them a control character."""

    most: int
    least: int = 1

    def parse(self, text: str) -> str:
        """Read it."""
        return self.check(text)

    def check(self, value: Any) -> str:
        """Take it if it is as long as it may be."""
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            raise BadField(f"must be text of {self.least} to {self.most} characters")
        if not _PLAIN.fullmatch(value):
            raise BadField("must not hold control characters")
        if any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
            raise BadField("must be text that UTF-8 can hold")
        return value

    def schema(self) -> dict[str, Any]:
        """It as JSON Schema."""
        lengths = {"minLength": self.least, "maxLength": self.most}
        return {"type": "string", **lengths, "pattern": f"^{NO_CONTROLS}*$"}


@attrs.frozen
class Choice:
    """One of some words."""

    words: Sequence[str]

    def parse(self, text: str) -> str:
        """Read it."""
        return self.check(text)

    def check(self, value: Any) -> str:
        """Take it if it is one of them."""
        if value not in self.words:
            raise BadField(f"must be one of {', '.join(self.words)}")
        return str(value)

    def schema(self) -> dict[str, Any]:
        """It as JSON Schema."""
        return {"type": "string", "enum": list(self.words)}


@attrs.frozen
class Flag:
    """True or false."""

    def parse(self, text: str) -> bool:
        """Read it."""
        return self.check({"true": True, "false": False}.get(text))

    def check(self, value: Any) -> bool:
        """Take it if it is either."""
        if not isinstance(value, bool):
            raise BadField("must be true or false")
        return value

    def schema(self) -> dict[str, Any]:
        """It as JSON Schema."""
        return {"type": "boolean"}


@attrs.frozen
class Field:
    """A field of a query or a body.

    name, text: what it is called, and what it means.
    default: its value where it is not given, unless it is `required`.
    """

    name: str
    text: str
    kind: Kind
    required: bool = False
    default: Any = None


def readQuery(fields: Sequence[Field], given: Mapping[bytes, Sequence[bytes]]) -> dict[str, Any]:
    """The values of a query, by name.  Raises `BadField`."""
    texts = {}
    for name, values in given.items():
        if len(values) > 1:
            raise BadField(f"{_shown(name)} is given {len(values)} times: give it once")
        try:
            texts[_shown(name)] = values[0].decode()
        except UnicodeDecodeError:
            raise BadField(f"{_shown(name)} is not UTF-8") from None
    return _read(fields, texts, parse=True)


def readBody(fields: Sequence[Field], body: bytes) -> dict[str, Any]:
    """The values of a JSON object, by name.  Raises `BadField`."""
    try:
        values = json.loads(body, parse_constant=_noConstant)
    except (ValueError, RecursionError):
        raise BadField("the body is no JSON text in UTF-8") from None
    if not isinstance(values, dict):
        raise BadField("the body must be a JSON object")
    return _read(fields, values, parse=False)


def _read(fields: Sequence[Field], given: Mapping[str, Any], *, parse: bool) -> dict[str, Any]:
    known = {field.name for field in fields}
    for name in given:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise BadField(f"{name[:40]!r} is not known here; known are: {there}")
    values = {}
    for field in fields:
        if field.name in given:
            take = field.kind.parse if parse else field.kind.check
            try:
                values[field.name] = take(given[field.name])
            except BadField as error:
                raise BadField(f"{field.name} {error}") from None
        elif field.required:
            raise BadField(f"{field.name} is missing: {field.text}")
        else:
            values[field.name] = field.default
    return values


def _noConstant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")


DEVICE: Final = Text(256)
"""The kind of a device's identity (Messages §4.2 sets no bound; ours is that of a certificate)."""
