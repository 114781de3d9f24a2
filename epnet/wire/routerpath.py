"""Router Path: how routers tell each other of the way to their root, a message of epnet's own.

It is an extension (M5), made as anybody's would be.  A peer that does not know it sees an
`UnknownMessage` (M4) and goes on as before.  What routers do with it: `epnet.router.tree`.
"""

# ruff: noqa: D102 (what an overriding method does is told by Kind)

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from epnet.wire import shortest
from epnet.wire.diagnostics import Code
from epnet.wire.kinds import (
    AMOUNT,
    DURATION,
    POWER,
    InvalidField,
    InvalidValue,
    Kind,
    Notes,
    Text,
    Trail,
)
from epnet.wire.kinds import mismatch as _mismatch
from epnet.wire.messages import SESSION_TEXT
from epnet.wire.registry import register
from epnet.wire.schema import Attribute, Message, Number, Words, field, message

MOST_NAMES: Final = 16
"""How many identities a field may hold."""

RequiredNumber = Attribute[float, float]
Names = Attribute["tuple[str, ...] | None", Iterable[str] | None]
RequiredNames = Attribute[tuple[str, ...], Iterable[str]]


@attrs.frozen
class NamesKind(Kind[tuple[str, ...]]):
    """Identities in an order that means something.

    of: the value type of each.
    """

    of: Text

    @property
    def range(self) -> str:
        return f"at most {MOST_NAMES}, each of at most {self.of.maxLength} characters"

    def check(self, value: object, path: str) -> tuple[str, ...]:
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise InvalidValue(path, value, "a sequence of identities")
        names = tuple(self.of.check(each, f"{path}[{i}]") for i, each in enumerate(value))
        if len(names) > MOST_NAMES:
            raise InvalidValue(path, value, f"a sequence of at most {MOST_NAMES} identities")
        return names

    def pack(self, value: tuple[str, ...]) -> bytes:
        return shortest.head(shortest.ARRAY, len(value)) + b"".join(map(self.of.pack, value))

    def take(self, data: object, trail: Trail, notes: Notes) -> tuple[str, ...]:
        if type(data) is not list:
            raise _mismatch(Code.VALUE_SHAPE, data, trail, "an array of texts")
        if len(data) > MOST_NAMES:
            text = f"{len(data)} identities, the most is {MOST_NAMES}"
            raise InvalidField(Code.FIELD_LENGTH, trail, text)
        return tuple(self.of.take(each, (trail, f"[{i}]", i), notes) for i, each in enumerate(data))


IDENTITIES: Final = NamesKind(
    0x4550, "Identities", "", "array", "Identities of devices", SESSION_TEXT
)


@message(0x4550524F, "path")
class RouterPath(Message):
    """How a router reaches the root of its tree, and what it carries over this link (ours, M5)."""

    rank: RequiredNumber = field(0x00, AMOUNT, "Rank of the root, 0 first")
    path: RequiredNames = field(0x01, IDENTITIES, "From the sender to its root")
    ready: Number = field(0x02, POWER, "What it is ready to give the receiver", default=None)
    bus: Words = field(0x03, SESSION_TEXT, "Name of the bus it is on", default=None)
    drivers: Names = field(0x04, IDENTITIES, "Drivers of that bus it has heard of", default=None)
    drivers_age: Number = field(0x05, DURATION, "Age of the oldest word on these", default=None)
    takes: Number = field(0x06, POWER, "What it takes from the receiver at most", default=None)


register(RouterPath)
