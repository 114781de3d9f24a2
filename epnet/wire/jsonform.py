"""Messages in JSON's terms: what `epnet decode --json` prints and `epnet encode` reads.

A message is its fields by name: numbers stay integers or floats as they came, bounds are
``{"min": 200, "max": 1000}``, mixes go by the names of their sources, isolation by the name of its
state, timestamps are RFC 3339, binary is hex.  What is absent is left out.  Which fields there are
comes from the tables of the messages; how a value type looks stands here once, in each direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from epnet.errors import UsageError
from epnet.wire.compounds import BoundsKind, IsolationKind, MixKind, PricesKind
from epnet.wire.kinds import (
    Binary,
    Flag,
    InvalidField,
    InvalidValue,
    Kind,
    Quantity,
    Text,
    Timestamp,
)
from epnet.wire.registry import registeredMessages
from epnet.wire.routerpath import NamesKind
from epnet.wire.schema import Message
from epnet.wire.timestamps import formatTimestamp, parseTimestamp
from epnet.wire.values import Bounds, Isolation, IsolationState, Price, Source
from epnet.wire.walk import Fault, parse

K = TypeVar("K")
V = TypeVar("V")
JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
"""What the standard library's json takes and gives."""


def fieldsOf(message: Message) -> dict[str, JSON]:
    """The fields that are there, by name, those of extensions last; `{}` without any."""
    return {row.name: _formOf(row.kind)[0](row.kind, value) for row, value in message.present()}


def unknownOf(message: Message) -> dict[str, JSON]:
    """What came with the message that was not, or not fully, understood (V3).

    Field ids such as ``"0x4d"``, to the CBOR items as hex.  An id that is no integer is ``"cbor:"``
    and the hex of its CBOR item.
    """
    return {_shownKey(key): raw.hex() for key, raw in message.unknown.items()}


def messageFrom(
    typeName: str, fields: Mapping[str, JSON], unknown: Mapping[str, JSON] | None = None
) -> Message:
    """The message of that type with those fields: the inverse of `fieldsOf` and `unknownOf`.

    typeName: the name of a registered message class, such as "SupplyParameters".

    Raises `UsageError` for a type or a field that there is not, with the nearest that there is, and
    `InvalidValue`, a `UsageError`, for a value that does not belong there.
    """
    cls = messageNamed(typeName)
    rows = {row.name: row for row in cls.table()}
    values: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in rows:
            raise UsageError(f"{typeName} has no field {nearest(name, rows)}")
        row = rows[name]
        part = extensions if row.extension else values
        part[name] = _formOf(row.kind)[1](row.kind, value, f"{typeName}.{name}")
    for row in cls.required:
        if row.name not in values:
            raise UsageError(f"{typeName} means nothing without its field {row.name!r}")
    return cls(**values, unknown=_takenUnknown(unknown or {}), extensions=extensions)


def messageNamed(name: str) -> type[Message]:
    """The registered message class of that name.  Raises `UsageError` if there is none."""
    classes = {cls.__name__: cls for cls in registeredMessages()}
    if name not in classes:
        raise UsageError(f"there is no message type {nearest(name, classes)}")
    return classes[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """A name that is not known, with the nearest that is or else all that are, for a person."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"{name!r}; did you mean {close[0]!r}?"
    return f"{name!r}; there are {', '.join(names) or 'none'}"


def hexNumber(value: JSON, path: str) -> int:
    """An integer such as "0x4d".  Raises `InvalidValue` for anything else."""
    if isinstance(value, str) and value.removeprefix("-").startswith("0x"):
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise InvalidValue(path, value, "a number in hex such as '0x4d'")


def hexBytes(value: JSON, path: str) -> bytes:
    """Bytes such as "a10066".  Raises `InvalidValue` for anything else."""
    if isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise InvalidValue(path, value, "bytes in hex such as 'a10066'")


def _shownKey(key: int | bytes) -> str:
    return f"cbor:{key.hex()}" if isinstance(key, bytes) else f"{key:#04x}"


def _takenUnknown(given: Mapping[str, JSON]) -> dict[int | bytes, bytes]:
    return onlyOnce(
        "unknown",
        given,
        ((_takenKey(key), hexBytes(raw, f"unknown.{key}")) for key, raw in given.items()),
    )


def _takenKey(key: str) -> int | bytes:
    if key.startswith("cbor:"):
        return hexBytes(key.removeprefix("cbor:"), "unknown")
    return hexNumber(key, "unknown")


def onlyOnce(path: str, given: JSON, entries: Iterable[tuple[K, V]]) -> dict[K, V]:
    """The entries as a dictionary; raises `InvalidValue` if one is there twice."""
    found: dict[K, V] = {}
    for key, value in entries:
        if key in found:
            raise InvalidValue(path, given, "an object that names everything once")
        found[key] = value
    return found


def _keys(value: JSON, path: str, *keys: str) -> list[JSON]:
    """The values of those keys of an object that has exactly them; raises `InvalidValue`."""
    if not isinstance(value, Mapping) or set(value) != set(keys):
        raise InvalidValue(path, value, f"an object with {', '.join(keys)}")
    return [value[key] for key in keys]


def _numberOrTitle(number: int) -> str:
    """The spec's name of a source or isolation state, or its number in hex if it has none."""
    title: str = getattr(number, "title", f"{number:#04x}")
    return title


# How each value type looks: a function that shows a checked value, and its inverse.  An inverse
# raises `InvalidValue` if the value has another shape; the numbers and texts in it are checked
# afterwards, by the message's constructor.


def _plain(kind: Kind[Any], value: Any) -> JSON:
    return value  # type: ignore[no-any-return]


def _fromPlain(kind: Kind[Any], value: JSON, path: str) -> object:
    return value


def _binary(kind: Kind[Any], value: bytes) -> JSON:
    return value.hex()


def _fromBinary(kind: Kind[Any], value: JSON, path: str) -> object:
    return hexBytes(value, path)


def _timestamp(kind: Kind[Any], value: datetime) -> JSON:
    return formatTimestamp(value)


def _fromTimestamp(kind: Kind[Any], value: JSON, path: str) -> object:
    try:
        moment, deviations = parseTimestamp(value) if isinstance(value, str) else (None, [])
    except (ValueError, OverflowError):
        moment = None
    if moment is None or deviations:
        raise InvalidValue(path, value, "a timestamp such as '2025-06-01T12:30:00Z'")
    return moment


def _bounds(kind: Kind[Any], value: Bounds) -> JSON:
    return {"min": value.min, "max": value.max}


def _fromBounds(kind: Kind[Any], value: JSON, path: str) -> object:
    return _keys(value, path, "min", "max")


def _prices(kind: Kind[Any], value: Iterable[Price]) -> JSON:
    return [
        {"from": formatTimestamp(moment), "amount": amount, "currency": currency}
        for moment, amount, currency in value
    ]


def _fromPrices(kind: Kind[Any], value: JSON, path: str) -> object:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidValue(path, value, "an array of prices")
    prices = []
    for i, each in enumerate(value):
        moment, amount, currency = _keys(each, f"{path}[{i}]", "from", "amount", "currency")
        prices.append((_fromTimestamp(kind, moment, f"{path}[{i}].from"), amount, currency))
    return prices


def _mix(kind: Kind[Any], value: Mapping[int, float]) -> JSON:
    return {_numberOrTitle(source): each for source, each in value.items()}


def _fromMix(kind: Kind[Any], value: JSON, path: str) -> object:
    if not isinstance(value, Mapping):
        raise InvalidValue(path, value, "an object such as {'Wind': 70, 'Solar': 30}")
    return onlyOnce(
        path,
        value,
        ((_fromTitle(_SOURCES, key, f"{path}.{key}"), each) for key, each in value.items()),
    )


def _isolation(kind: Kind[Any], value: Isolation) -> JSON:
    return {
        "state": _numberOrTitle(value.state),
        "negative": value.negative,
        "positive": value.positive,
    }


def _fromIsolation(kind: Kind[Any], value: JSON, path: str) -> object:
    state, negative, positive = _keys(value, path, "state", "negative", "positive")
    return (_fromTitle(_STATES, state, f"{path}.state"), negative, positive)


def _fromTitle(titles: Mapping[str, int], value: JSON, path: str) -> int:
    """The inverse of `_numberOrTitle`."""
    if isinstance(value, str) and value in titles:
        return titles[value]
    if isinstance(value, str) and value.startswith("0x"):
        return hexNumber(value, path)
    raise UsageError(f"{path}: there is no {nearest(str(value), titles)}")


def _cbor(kind: Kind[Any], value: Any) -> JSON:
    return kind.pack(value).hex()


def _fromCbor(kind: Kind[Any], value: JSON, path: str) -> object:
    try:
        item, _ = parse(hexBytes(value, path))
        return kind.take(item.value, (None, "", 0), [])
    except (Fault, InvalidField) as error:
        raise InvalidValue(path, value, f"CBOR of a {kind.name} in hex ({error})") from None


def _names(kind: Kind[Any], value: tuple[str, ...]) -> JSON:
    return list(value)


_SOURCES: Final = {each.title: each for each in Source}
_STATES: Final = {each.title: each for each in IsolationState}
_Form = tuple[
    Callable[[Kind[Any], Any], JSON],
    Callable[[Kind[Any], JSON, str], object],
]
_FORMS: Final[dict[type, _Form]] = {
    Quantity: (_plain, _fromPlain),
    Text: (_plain, _fromPlain),
    Flag: (_plain, _fromPlain),
    Binary: (_binary, _fromBinary),
    Timestamp: (_timestamp, _fromTimestamp),
    BoundsKind: (_bounds, _fromBounds),
    PricesKind: (_prices, _fromPrices),
    MixKind: (_mix, _fromMix),
    IsolationKind: (_isolation, _fromIsolation),
    NamesKind: (_names, _fromPlain),
    Kind: (_cbor, _fromCbor),  # what an extension made from scratch
}


def _formOf(kind: Kind[Any]) -> _Form:
    """How a value type looks, or else the one that it is derived from."""
    return next(_FORMS[cls] for cls in type(kind).__mro__ if cls in _FORMS)
