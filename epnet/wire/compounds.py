"""The value types that are composed of others (Messages §3.1.1 to §3.1.5)."""

# ruff: noqa: D102 (what an overriding method does is told by Kind)

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final

import attrs

from epnet.wire import shortest
from epnet.wire.diagnostics import Code
from epnet.wire.kinds import (
    AMOUNT,
    CURRENCY,
    CURRENT,
    ENERGY,
    PERCENTAGE,
    RESISTANCE,
    TIMESTAMP,
    VOLTAGE,
    InvalidField,
    InvalidValue,
    Kind,
    Note,
    Notes,
    Quantity,
    Trail,
    mismatch,
)
from epnet.wire.values import (
    Bounds,
    Isolation,
    IsolationState,
    Mix,
    Price,
    Source,
    isolationState,
    source,
)


@attrs.frozen
class BoundsKind(Kind[Bounds]):
    """A minimum and a maximum of the same value type (V7).

    of: that value type.
    """

    of: Quantity

    @property
    def range(self) -> str:
        return "minimum at most maximum"

    def check(self, value: object, path: str) -> Bounds:
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise InvalidValue(path, value, f"a pair (min, max) of numbers ({self.unit})")
        bounds = Bounds(
            self.of.check(value[0], f"{path}.min"), self.of.check(value[1], f"{path}.max")
        )
        if bounds.min > bounds.max:
            raise InvalidValue(path, value, "a pair (min, max) with min at most max")
        return bounds

    def pack(self, value: Bounds) -> bytes:
        of = self.of
        return shortest.head(shortest.ARRAY, 2) + of.write(value.min) + of.write(value.max)

    def take(self, data: object, trail: Trail, notes: Notes) -> Bounds:
        if type(data) is not list or len(data) != 2:
            raise mismatch(Code.VALUE_SHAPE, data, trail, "an array of a minimum and a maximum")
        of = self.of
        bounds = Bounds(
            of.read(data[0], (trail, "min", 0), notes), of.read(data[1], (trail, "max", 1), notes)
        )
        if bounds.min > bounds.max:
            text = f"the minimum {bounds.min} is above the maximum {bounds.max}"
            raise InvalidField(Code.BOUNDS_ORDER, trail, text)
        return bounds


@attrs.frozen
class PricesKind(Kind[tuple[Price, ...]]):
    """Prices in the order of their timestamps (V9)."""

    def check(self, value: object, path: str) -> tuple[Price, ...]:
        if not isinstance(value, Iterable) or isinstance(value, str | Mapping | Price):
            raise InvalidValue(path, value, "a sequence of prices")
        return _inOrder(_checkedPrice(each, f"{path}[{i}]") for i, each in enumerate(value))

    def pack(self, value: tuple[Price, ...]) -> bytes:
        parts = [shortest.head(shortest.ARRAY, len(value))]
        for price in value:
            parts += (
                shortest.head(shortest.ARRAY, 3),
                TIMESTAMP.write(price.timestamp),
                AMOUNT.write(price.amount),
                CURRENCY.write(price.currency),
            )
        return b"".join(parts)

    def take(self, data: object, trail: Trail, notes: Notes) -> tuple[Price, ...]:
        if type(data) is not list:
            raise mismatch(Code.VALUE_SHAPE, data, trail, "an array of prices")
        return _inOrder(
            _takenPrice(each, (trail, f"[{i}]", i), notes) for i, each in enumerate(data)
        )


def _inOrder(prices: Iterable[Price]) -> tuple[Price, ...]:
    return tuple(sorted(prices, key=lambda price: price.timestamp))


def _checkedPrice(value: object, path: str) -> Price:
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise InvalidValue(path, value, "a price (timestamp, amount, currency)")
    return Price(
        TIMESTAMP.check(value[0], f"{path}.timestamp"),
        AMOUNT.check(value[1], f"{path}.amount"),
        CURRENCY.check(value[2], f"{path}.currency"),
    )


def _takenPrice(data: object, trail: Trail, notes: Notes) -> Price:
    if type(data) is not list or len(data) < 3:
        raise mismatch(Code.VALUE_SHAPE, data, trail, "an array of timestamp, amount and currency")
    if len(data) > 3:
        notes.append(Note(Code.VALUE_EXTRA, trail, f"{len(data)} entries in a price"))
    return Price(
        TIMESTAMP.read(data[0], (trail, "timestamp", 0), notes),
        AMOUNT.read(data[1], (trail, "amount", 1), notes),
        CURRENCY.read(data[2], (trail, "currency", 2), notes),
    )


@attrs.frozen
class MixKind(Kind[Mix]):
    """Something by source, on the wire as an array of maps with one entry each (V5).

    of: the value type of the entries: shares, or energies.
    """

    of: Quantity

    def check(self, value: object, path: str) -> Mix:
        if not isinstance(value, Mapping):
            raise InvalidValue(path, value, f"a mapping from Source to numbers ({self.unit})")
        return MappingProxyType(
            {
                _checkedSource(key, path): self.of.check(each, f"{path}.{_name(key)}")
                for key, each in value.items()
            }
        )

    def pack(self, value: Mix) -> bytes:
        parts = [shortest.head(shortest.ARRAY, len(value))]
        for key, each in value.items():
            parts += (
                shortest.head(shortest.MAP, 1),
                shortest.head(shortest.UNSIGNED, key),
                self.of.write(each),
            )
        return b"".join(parts)

    def take(self, data: object, trail: Trail, notes: Notes) -> Mix:
        if type(data) is dict:
            notes.append(Note(Code.MIX_FORM, trail, "one map instead of an array of maps"))
            return MappingProxyType(self._added(self._entries(data, trail, notes), trail))
        if type(data) is not list:
            raise mismatch(Code.VALUE_SHAPE, data, trail, "an array of maps {source: value}")
        entries: list[tuple[Source | int, float]] = []
        for i, each in enumerate(data):
            where = (trail, f"[{i}]", i)
            if type(each) is not dict:
                raise mismatch(Code.VALUE_SHAPE, each, where, "a map {source: value}")
            if len(each) != 1:
                notes.append(Note(Code.MIX_FORM, where, f"a map with {len(each)} entries"))
            entries += self._entries(each, where, notes)
        return MappingProxyType(self._added(entries, trail))

    def _entries(
        self, data: dict[object, object], trail: Trail, notes: Notes
    ) -> list[tuple[Source | int, float]]:
        entries = []
        for key, item in data.items():
            if type(key) is not int or key < 0:
                raise mismatch(Code.VALUE_DATA, key, trail, "an unsigned integer as source")
            entries.append((source(key), self.of.read(item, (trail, _name(key), key), notes)))
        return entries

    def _added(
        self, entries: list[tuple[Source | int, float]], trail: Trail
    ) -> dict[Source | int, float]:
        """The entries as a dictionary, those of the same source added up."""
        mix: dict[Source | int, float] = {}
        for key, value in entries:
            total = mix[key] + value if key in mix else value
            if not shortest.fits(total) if isinstance(total, int) else math.isinf(total):
                text = f"the entries of {_name(key)} add up to more than a number can say"
                raise InvalidField(Code.VALUE_NOT_FINITE, trail, text)
            mix[key] = total
        return mix


@attrs.frozen
class SharesKind(MixKind):
    """A mix whose entries are shares of 100 % (V5)."""

    @property
    def range(self) -> str:
        return "100 in all"

    LEAST: ClassVar = 99.5
    MOST: ClassVar = 100.5

    def take(self, data: object, trail: Trail, notes: Notes) -> Mix:
        mix = MixKind.take(self, data, trail, notes)
        total = sum(mix.values())
        if not self.LEAST <= total <= self.MOST:
            notes.append(Note(Code.MIX_SUM, trail, f"the shares add up to {total:.6g} %"))
        return mix


def _checkedSource(key: object, path: str) -> Source | int:
    if not shortest.isUnsigned(key, 64):
        raise InvalidValue(path, key, "a Source, or the number of one")
    return source(int(key))


def _name(key: int) -> str:
    known = source(key)
    return known.title if isinstance(known, Source) else f"0x{key:02x}"


@attrs.frozen
class IsolationKind(Kind[Isolation]):
    """A state and the resistances of the negative and the positive pole (V6)."""

    def check(self, value: object, path: str) -> Isolation:
        if isinstance(value, IsolationState):
            value = Isolation(value)
        if not isinstance(value, tuple | list) or not 1 <= len(value) <= 3:
            raise InvalidValue(path, value, "an Isolation or an IsolationState")
        state, negative, positive = Isolation(*value)
        if not shortest.isUnsigned(state, 64):
            raise InvalidValue(f"{path}.state", state, "an IsolationState, or the number of one")
        return Isolation(
            isolationState(int(state)),
            None if negative is None else RESISTANCE.check(negative, f"{path}.negative"),
            None if positive is None else RESISTANCE.check(positive, f"{path}.positive"),
        )

    def pack(self, value: Isolation) -> bytes:
        return (
            shortest.head(shortest.ARRAY, 3)
            + shortest.head(shortest.UNSIGNED, value.state)
            + (shortest.NULL if value.negative is None else RESISTANCE.write(value.negative))
            + (shortest.NULL if value.positive is None else RESISTANCE.write(value.positive))
        )

    def take(self, data: object, trail: Trail, notes: Notes) -> Isolation:
        if type(data) is not list or not data:
            raise mismatch(Code.VALUE_SHAPE, data, trail, "an array of state and resistances")
        if len(data) > 3:
            notes.append(Note(Code.VALUE_EXTRA, trail, f"{len(data)} entries in an isolation"))
        if type(data[0]) is not int or data[0] < 0:
            raise mismatch(Code.VALUE_DATA, data[0], (trail, "state", 0), "an isolation state")
        state = isolationState(data[0])
        if not isinstance(state, IsolationState):
            text = f"state {state} is not in the table"
            notes.append(Note(Code.ISOLATION_STATE, (trail, "state", 0), text))
        return Isolation(
            state,
            _takenResistance(data, (trail, "negative", 1), notes),
            _takenResistance(data, (trail, "positive", 2), notes),
        )


def _takenResistance(data: list[object], trail: Trail, notes: Notes) -> float | None:
    at = trail[2]
    if len(data) <= at or data[at] is None:
        return None
    return RESISTANCE.read(data[at], trail, notes)


def _bounds(of: Quantity) -> BoundsKind:
    name = f"Bounds({of.name})"
    return BoundsKind(0x20, name, of.unit, "array", "Minimum and maximum", of)


VOLTAGE_BOUNDS: Final = _bounds(VOLTAGE)
CURRENT_BOUNDS: Final = _bounds(CURRENT)
PRICES: Final = PricesKind(0x30, "Array(Price)", "", "array", "Price forecast, per kWh")
SOURCE_MIX: Final = SharesKind(0x40, "SourceMix", "%", "array", "Share by source", PERCENTAGE)
ENERGY_MIX: Final = MixKind(0x41, "EnergyMix", "Wh", "array", "Energy by source", ENERGY)
ISOLATION: Final = IsolationKind(
    0x50, "Isolation", "", "array", "Isolation state and resistances (Ohms)"
)
