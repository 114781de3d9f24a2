"""Written writers: for each message class a function that makes payloads as fast as it can.

The plain path, `epnet.wire.codec.plainPayload`, goes through the table of a message and has each
value type pack its value.  The function does the same in one go, in half the time: its text is
made of the table once, and it takes numbers as `epnet.wire.shortest` remembers them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, Final

from epnet.wire import shortest
from epnet.wire.compounds import BoundsKind, IsolationKind, MixKind, PricesKind, SharesKind
from epnet.wire.kinds import (
    AMOUNT,
    CURRENCY,
    RESISTANCE,
    TIMESTAMP,
    Kind,
    Percentage,
    Quantity,
)
from epnet.wire.schema import Message

Writer = Callable[[Message], bytes | None]

_FUNCTION: Final = """
def write(message):
    {values} = content(message)
    if unknown or extensions:
        return None
    parts, fields = [b""], 0
{fields}
    parts[0] = head({map}, fields)
    return join(parts)
"""
_FIELD: Final = """
    if {value} is not None:
        fields += 1
        {lines}
"""


@cache
def writerOf(cls: type[Message]) -> Writer:
    """The function that makes the payload of a message of that class.

    It returns None where only the plain path can: for a message with something in `unknown` or
    `extensions`.
    """
    rows = sorted(cls.fields, key=lambda row: row.id)
    names: dict[str, Any] = {
        "content": attrgetter("unknown", "extensions", *(row.name for row in rows)),
        "head": shortest.head,
        "join": b"".join,
        "text": shortest.text,
        "packMoment": TIMESTAMP.pack,
        "floats": shortest.floats,
        "integers": shortest.integers,
    }
    fields = []
    for place, row in enumerate(rows):
        value, lead, other = f"value{place}", f"lead{place}", f"other{place}"
        lines, names[other] = _field(row.kind, value, lead, other)
        names[lead] = shortest.number(row.id) + row.kind.prefix
        fields.append(_FIELD.format(value=value, lines="\n        ".join(lines)))
    values = ["unknown", "extensions", *(f"value{place}" for place in range(len(rows)))]
    text = _FUNCTION.format(values=", ".join(values), fields="".join(fields), map=shortest.MAP)
    exec(compile(text, f"<writer of {cls.__name__}>", "exec"), names)
    return names["write"]  # type: ignore[no-any-return]


def _field(kind: Kind[Any], value: str, lead: str, other: str) -> tuple[list[str], Any]:
    """The lines that write a value after its id and type, and what `other` is in them."""
    lines = _LINES.get(type(kind))
    single: Kind[Any] = _OF.get(type(kind), getattr(kind, "of", kind))
    if lines is None or type(single) not in (Quantity, Percentage):
        return [f"parts += {lead}, {other}({value})"], kind.pack
    return lines(value, lead, other), single.prefix


def _number(name: str) -> str:
    return f"floats[{name}] if type({name}) is float else integers[{name}]"


def _quantity(value: str, lead: str, prefix: str) -> list[str]:
    return [f"parts += {lead}, {_number(value)}"]


def _bounds(value: str, lead: str, prefix: str) -> list[str]:
    low, high = _number("low"), _number("high")
    return [
        f"low, high = {value}",
        f"parts += {lead}, {_PAIR}, {prefix}, {low}, {prefix}, {high}",
    ]


def _mix(value: str, lead: str, prefix: str) -> list[str]:
    return [
        f"parts += {lead}, head({shortest.ARRAY}, len({value}))",
        f"for source, part in {value}.items():",
        f"    parts += {_ENTRY}, integers[source], {prefix}, {_number('part')}",
    ]


def _prices(value: str, lead: str, prefix: str) -> list[str]:
    return [
        f"parts += {lead}, head({shortest.ARRAY}, len({value}))",
        f"for moment, amount, currency in {value}:",
        f"    parts += {_PRICE}, packMoment(moment), {prefix}, {_number('amount')}",
        f"    parts += {_CURRENCY}, text(currency)",
    ]


def _isolation(value: str, lead: str, prefix: str) -> list[str]:
    return [
        f"state, low, high = {value}",
        f"parts += {lead}, {_TRIPLE}, integers[state]",
        f"parts += ({_NULL},) if low is None else ({prefix}, {_number('low')})",
        f"parts += ({_NULL},) if high is None else ({prefix}, {_number('high')})",
    ]


_PAIR: Final = repr(shortest.head(shortest.ARRAY, 2))
_TRIPLE: Final = repr(shortest.head(shortest.ARRAY, 3))
_ENTRY: Final = repr(shortest.head(shortest.MAP, 1))
_PRICE: Final = repr(shortest.head(shortest.ARRAY, 3) + TIMESTAMP.prefix)
_CURRENCY: Final = repr(CURRENCY.prefix)
_NULL: Final = repr(shortest.NULL)
_OF: Final[dict[type, Kind[Any]]] = {PricesKind: AMOUNT, IsolationKind: RESISTANCE}
"""The kind of the numbers in the data of a kind, where that does not say so itself."""
_LINES: Final[dict[type, Callable[[str, str, str], list[str]]]] = {
    Quantity: _quantity,
    Percentage: _quantity,
    BoundsKind: _bounds,
    MixKind: _mix,
    SharesKind: _mix,
    PricesKind: _prices,
    IsolationKind: _isolation,
}
"""By the kind itself: one derived from it may differ."""
