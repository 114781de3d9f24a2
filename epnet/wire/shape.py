"""How value types are composed of others, for tools that go through the bytes of a value.

The value types themselves are in `epnet.wire.kinds` and `epnet.wire.compounds`; this says about
each what stands where in its data.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from epnet.wire.compounds import BoundsKind, IsolationKind, MixKind, PricesKind
from epnet.wire.kinds import AMOUNT, CURRENCY, RESISTANCE, TIMESTAMP, Kind
from epnet.wire.values import IsolationState, Source


class Layout(enum.StrEnum):
    """What the data of a value type is."""

    SINGLE = "single"
    """One CBOR item."""
    RECORD = "record"
    """An array with one item for each part."""
    RECORDS = "records"
    """An array of such arrays."""
    BY_SOURCE = "by source"
    """An array of maps with one entry each, from a source to the one part."""


@attrs.frozen
class Part:
    """One item in the data of a composed value type.

    name: in paths.
    kind: its value type; None for a bare number without one.
    titles: what its numbers mean, if they are not quantities.
    """

    name: str
    kind: Kind[Any] | None
    titles: Mapping[int, str] = {}


@attrs.frozen
class Shape:
    """What stands where in the data of a value type."""

    layout: Layout
    parts: tuple[Part, ...] = ()


SOURCES: Final = {int(each): each.title for each in Source}
"""The names of the sources by their number."""

_STATES: Final = {int(each): each.title for each in IsolationState}
_ISOLATION: Final = Shape(
    Layout.RECORD,
    (
        Part("state", None, _STATES),
        Part("negative", RESISTANCE),
        Part("positive", RESISTANCE),
    ),
)
_PRICES: Final = Shape(
    Layout.RECORDS,
    (Part("timestamp", TIMESTAMP), Part("amount", AMOUNT), Part("currency", CURRENCY)),
)
_SHAPES: Final[dict[type, Callable[[Any], Shape]]] = {
    BoundsKind: lambda kind: Shape(Layout.RECORD, (Part("min", kind.of), Part("max", kind.of))),
    IsolationKind: lambda kind: _ISOLATION,
    PricesKind: lambda kind: _PRICES,
    MixKind: lambda kind: Shape(Layout.BY_SOURCE, (Part("", kind.of),)),
    Kind: lambda kind: Shape(Layout.SINGLE),
}


def shapeOf(kind: Kind[Any]) -> Shape:
    """What stands where in the data of a value type."""
    return next(_SHAPES[cls] for cls in type(kind).__mro__ if cls in _SHAPES)(kind)
