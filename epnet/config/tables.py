"""Tables of keys: how they are declared, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from epnet.config.kinds import INVALID, Kind, Reading, Several, Spot, Text, nearest
from epnet.errors import UsageError
from epnet.limits import between, oneOf


@attrs.frozen
class Key:
    """A key of a table.

    field: what it is called where its table is made.
    default: what holds without it, in words.
    required: whether its table needs it.
    roles: the twistd plugins that it is for.
    atStart: whether it is read only when the program starts.
    """

    name: str
    kind: Kind
    meaning: str
    field: str
    default: str = ""
    required: bool = False
    roles: tuple[str, ...] = ()
    atStart: bool = False

    def bar(self, role: str) -> str:
        """Why it may not be given to a plugin; empty if it may."""
        if self.roles and role not in self.roles:
            return f"is for {' and '.join(self.roles)}, not for {role}; leave it out"
        return ""


@attrs.frozen
class Table(Kind):
    """A table with keys that are known.

    title: the table as it stands in the file.
    meaning: what it is for.
    keys: what may stand in it.
    make: makes of its values what the program uses, called with the fields of the keys that were
        given; raises `UsageError` where they do not fit together.
    """

    title: str
    meaning: str
    keys: tuple[Key, ...]
    make: Callable[..., object]
    expected: str = "a table"

    def read(self, value: object, spot: Spot) -> object:
        """Read every key, then make what they stand for if all are good."""
        if not isinstance(value, dict):
            return spot.refuse(str(self.unfit(value)))
        known = {key.name: key for key in self.keys}
        found: dict[str, object] = {}
        for name, inner in value.items():
            if name in known:
                found[known[name].field] = self._readKey(known[name], inner, spot.at(name))
            else:
                spot.at(name).refuse(self._unknown(name, spot.reading))
        lacking = [key.name for key in self.keys if key.required and key.name not in value]
        for name in lacking:
            spot.refuse(f"needs {name}")
        if lacking or INVALID in found.values() or value.keys() - known.keys():
            return INVALID
        try:
            return self.make(**found)
        except UsageError as error:
            return spot.refuse(str(error))

    def _readKey(self, key: Key, value: object, spot: Spot) -> object:
        barred = key.bar(spot.reading.role)
        return spot.refuse(barred) if barred else key.kind.read(value, spot)

    def _unknown(self, name: str, reading: Reading) -> str:
        hint = nearest(name, [key.name for key in self.keys if not key.bar(reading.role)])
        if not hint and name in reading.places:
            hint = f"; it belongs in {' or '.join(reading.places[name])}"
        return f"is not known here{hint}"


@attrs.frozen
class Named(Kind):
    """Tables by a name that the user gives, such as a device's identity."""

    each: Table
    expected: str = "a table of tables, by name"

    def read(self, value: object, spot: Spot) -> object:
        """Read each of them."""
        if not isinstance(value, dict):
            return spot.refuse(str(self.unfit(value)))
        found = {}
        for name, inner in value.items():
            good = Text().read(name, spot.at(name))
            found[name] = INVALID if good is INVALID else self.each.read(inner, spot.at(name))
        return INVALID if INVALID in found.values() else found


def tablesIn(kind: Kind) -> Iterable[Table]:
    """A table and all within it, the outermost first."""
    if isinstance(kind, Named | Several):
        yield from tablesIn(kind.each)
    elif isinstance(kind, Table):
        yield kind
        for key in kind.keys:
            yield from tablesIn(key.kind)


def key(
    of: type,
    name: str,
    kind: Kind,
    meaning: str,
    *,
    field: str = "",
    default: str = "",
    atStart: bool = False,
    roles: Iterable[str] = (),
) -> Key:
    """A key whose value becomes an attribute of a class.

    of: the attrs class; its validator gives the range, its default the default.
    field: the attribute, where that is not called as the key.
    default: what holds without it, in words, where the class does not say.
    atStart: whether it is read only when the program starts.
    roles: the twistd plugins that it is for; none for all.
    """
    attribute = attrs.fields_dict(of)[field or name]
    for validator in _validatorsOf(attribute.validator):
        kind = kind.within(validator)
    if not default and attribute.default not in (attrs.NOTHING, None):
        default = kind.describe(attribute.default)
    return Key(
        name=name,
        kind=kind,
        meaning=meaning,
        field=attribute.name,
        default=default,
        required=attribute.default is attrs.NOTHING,
        atStart=atStart,
        roles=tuple(roles),
    )


def table(name: str, of: Kind, roles: Iterable[str] = ()) -> Key:
    """A key whose value is a table, or several of them."""
    return Key(name, of, meaning="", field=name, roles=tuple(roles))


def _validatorsOf(validator: Any) -> list[Any]:
    """The range or the words that an attrs validator demands, also behind `optional`."""
    validator = getattr(validator, "validator", validator)
    return [validator] if isinstance(validator, between | oneOf) else []
