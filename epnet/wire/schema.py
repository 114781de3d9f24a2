"""What a message is: a table of fields, and the class that is made of it.

A message class is a class body with one line a field.  `message` turns it into an immutable,
slotted class whose constructor checks what it is given, and whose table (`Message.fields`) the
encoder, the decoder and the documentation read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import make_dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar, dataclass_transform

import attrs

from epnet.errors import UsageError
from epnet.wire import shortest
from epnet.wire.kinds import InvalidValue, Kind, Trail
from epnet.wire.values import Bounds, Isolation, IsolationState, Mix, Price

MAX_RESERVED_TYPE: Final = 0x00FFFFFF
"""The last of the message types that nobody may register (Framing §4, F4)."""

Out = TypeVar("Out", covariant=True)
In = TypeVar("In", contravariant=True)


class Attribute(Protocol[Out, In]):
    """For type checkers: a field that reads as `Out` and takes `In` in the constructor."""

    def __get__(self, instance: object, owner: Any) -> Out:
        """What the field reads as."""

    def __set__(self, instance: object, value: In) -> None:
        """What the constructor takes; messages are immutable."""


Number = Attribute[float | None, float | None]
Words = Attribute[str | None, str | None]
RequiredWords = Attribute[str, str]
Truth = Attribute[bool | None, bool | None]
Range = Attribute[Bounds | None, Bounds | tuple[float, float] | None]
Shares = Attribute[Mix | None, Mapping[Any, float] | None]
Prices = Attribute[tuple[Price, ...] | None, "tuple[Price, ...] | list[Price] | None"]
Insulation = Attribute[Isolation | None, Isolation | IsolationState | None]
Raw = Attribute[Mapping[int | bytes, bytes], Mapping[Any, bytes]]
Additions = Attribute[Mapping[str, Any], Mapping[str, Any]]


@attrs.frozen(eq=False)
class Field:
    """One row of a message's table.

    id: the field's number on the wire.
    name: as in the spec, in snake_case.
    kind: its value type.
    description: what it means.
    consent: whether an invalid value of it voids the message as consent to transfer power.
    required: whether the message means nothing without it.
    extension: whether it was added by `registerField`.
    trail: where it is in a payload.
    """

    id: int
    name: str
    kind: Kind[Any]
    description: str
    consent: bool
    required: bool
    extension: bool = False
    trail: Trail = attrs.field(init=False, repr=False)

    @trail.default
    def _trail(self) -> Trail:
        return (None, self.name, self.id)


def field(
    id: int,
    kind: Kind[Any],
    description: str,
    *,
    consent: bool = False,
    default: Any = attrs.NOTHING,
) -> Any:
    """A field of a message: a row of its table, see `Field`.  Without a default it is required."""
    row = {"id": id, "kind": kind, "description": description, "consent": consent}
    return attrs.field(default=default, metadata={_ROW: row})


_ROW: Final = "epnet"
_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})
_Class = TypeVar("_Class", bound=type)


def _build(cls: _Class, label: str) -> _Class:
    """Make a message class of a class whose body holds its table."""
    rows: list[Field] = []

    def connect(cls: type, attributes: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
        connected = []
        for each in attributes:
            if _ROW in each.metadata:
                required = each.default is attrs.NOTHING
                row = Field(name=each.name, required=required, **each.metadata[_ROW])
                rows.append(row)
                each = each.evolve(converter=_converter(row, cls.__name__))
            connected.append(each)
        return connected

    built: Any = attrs.frozen(cls, kw_only=True, repr=False, field_transformer=connect)
    names = [each.name for each in attrs.fields(built) if each.init]
    built.names = tuple(sorted(names, key=lambda name: name in ("unknown", "extensions")))
    built._byId = {row.id: row for row in rows}
    built.fields = tuple(rows)
    built.required = tuple(row for row in rows if row.required)
    built.label = label
    if len(built._byId) < len(rows):
        raise UsageError(f"{cls.__name__}: two fields have the same id")
    built.unchecked = _unchecked(built)
    built.__doc__ = "\n\n".join([cls.__doc__ or "", "\n".join(map(_documented, rows))]).rstrip()
    return built  # type: ignore[no-any-return]


def _documented(row: Field) -> str:
    """A line about a field: what it means, its value type, its unit, its range."""
    kind = row.kind
    unit = f" in {kind.unit}" if kind.unit else ""
    limits = f", {kind.range}" if kind.range else ""
    required = "; required" if row.required else ""
    return f"{row.name}: {row.description}; {kind.name}{unit}{limits}{required}."


def _unchecked(cls: Any) -> Any:
    """A constructor that takes the values of a message by position, and checks none of them.

    A frozen class is slow to fill.  So the values go into a class of the same slots that is not
    frozen, whose instances become messages once they are complete.
    """

    def become(self: Any) -> None:
        self.__class__ = cls

    slots = [*cls.names, ("wire", Any, None)]
    methods = {
        "__post_init__": become,
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,
    }
    return make_dataclass(
        cls.__name__, slots, bases=cls.__bases__, namespace=methods, eq=False, slots=True
    )


def _converter(row: Field, owner: str) -> Callable[[object], object]:
    check, path, required = row.kind.check, f"{owner}.{row.name}", row.required

    def convert(value: object) -> object:
        return None if value is None and not required else check(value, path)

    return convert


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def message(typeId: int, label: str) -> Callable[[_Class], _Class]:
    """Make a message class of a subclass of `Message` whose body holds its table.

    typeId: the message type, 0x01000000 to 0xFFFFFFFF.
    label: what paths in diagnostics start with.

    Raises `UsageError` for a type id that is reserved or out of range, for two fields with the
    same id, and for one with a name that `Message` uses.
    """
    if not shortest.isUnsigned(typeId, 32) or typeId <= MAX_RESERVED_TYPE:
        raise UsageError(
            f"message type {typeId!r} is reserved or no 32-bit unsigned integer; "
            "use one from 0x01000000 to 0xffffffff"
        )

    def decorate(cls: _Class) -> _Class:
        for name in vars(cls).get("__annotations__", ()):
            if hasattr(Message, name):
                raise UsageError(f"{cls.__name__}: every message has something called '{name}'")
        built = _build(cls, label)
        built.typeId = typeId  # type: ignore[attr-defined]
        return built

    return decorate


def _checkUnknown(value: object) -> Mapping[int | bytes, bytes]:
    if not isinstance(value, Mapping):
        raise InvalidValue("unknown", value, "a mapping from field ids to CBOR items as bytes")
    for key, raw in value.items():
        if isinstance(key, int):
            usable = shortest.fits(key) and not isinstance(key, bool)
        else:
            usable = isinstance(key, bytes)
        if not usable or not isinstance(raw, bytes):
            raise InvalidValue("unknown", {key: raw}, "a field id and a CBOR item as bytes")
    return MappingProxyType(dict(value)) if value else _NOTHING


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(attrs.field,))
def baseMessage(label: str) -> Callable[[_Class], _Class]:
    """Make a message class that has no type id of its own."""
    return lambda cls: _build(cls, label)


@baseMessage("message")
class Message:
    """What all messages have in common.

    Messages are immutable; every field can be left out unless it says otherwise, and is None then.

    typeId: the message type.
    label: what paths in diagnostics start with.
    fields: the rows of the table, without those of extensions.
    required: those without which the message means nothing.
    unchecked: makes a message of all its values by position, without a look at them.

    unknown: fields that are not, or not fully, understood, as they came: field id to CBOR item.
        They are there again when the message is encoded (V3).  A field of which something was
        understood is in here and in its attribute; one whose value is invalid is only in here.
        An id that is no integer is the bytes of its CBOR item.
    extensions: values of fields that were added by `registerField`, by name.

    wire: the message as a frame, once it was encoded; not part of what it says.

    Raises `InvalidValue`, a `UsageError`, for values that cannot be sent.
    """

    typeId: ClassVar[int]
    label: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    required: ClassVar[tuple[Field, ...]]
    _byId: ClassVar[dict[int, Field]]
    names: ClassVar[tuple[str, ...]]
    unchecked: ClassVar[Callable[..., Any]]

    unknown: Raw = attrs.field(default=_NOTHING, converter=_checkUnknown)
    extensions: Additions = attrs.field(default=_NOTHING)
    wire: bytes | None = attrs.field(default=None, init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.extensions is not _NOTHING:
            object.__setattr__(self, "extensions", self._checkExtensions(self.extensions))

    def _checkExtensions(self, given: object) -> Mapping[str, Any]:
        owner = type(self).__name__
        if not isinstance(given, Mapping):
            raise InvalidValue(f"{owner}.extensions", given, "a mapping from names to values")
        rows = {row.name: row for row in self._byId.values() if row.extension}
        checked = {}
        for name, value in given.items():
            if name not in rows:
                known = ", ".join(sorted(rows)) or "none"
                expected = f"the name of a registered extension field ({known})"
                raise InvalidValue(f"{owner}.extensions", name, expected)
            checked[name] = rows[name].kind.check(value, f"{owner}.{name}")
        return MappingProxyType(checked) if checked else _NOTHING

    @classmethod
    def table(cls) -> tuple[Field, ...]:
        """The rows of the message's table, those of extensions last."""
        return tuple(cls._byId.values())

    @classmethod
    def fieldOf(cls, id: int) -> Field | None:
        """The row of that id, if there is one."""
        return cls._byId.get(id)

    @classmethod
    def addField(cls, row: Field) -> None:
        """Add the row of an extension's field; `registerField` is the checked way."""
        cls._byId[row.id] = row

    def present(self) -> Iterator[tuple[Field, Any]]:
        """The fields that are there, with their values, those of extensions last."""
        for row in self.fields:
            value = getattr(self, row.name)
            if value is not None:
                yield row, value
        if self.extensions:
            for row in self._byId.values():
                if row.name in self.extensions:
                    yield row, self.extensions[row.name]

    def replace(self, **changes: Any) -> Self:
        """The same message with some fields changed; None takes a field out.

        What had come in `unknown` for a changed field is gone.  Raises as the constructor.
        """
        values = {name: getattr(self, name) for name in self.names}
        changed = {
            row.id
            for row in self._byId.values()
            if ("extensions" if row.extension else row.name) in changes
        }
        values["unknown"] = {key: raw for key, raw in self.unknown.items() if key not in changed}
        return type(self)(**{**values, **changes})

    def __repr__(self) -> str:
        parts = []
        for name in self.names:
            value = getattr(self, name)
            if value is not None and value is not _NOTHING:
                shown = dict(value) if isinstance(value, MappingProxyType) else value
                parts.append(f"{name}={shown!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    @classmethod
    def fromWire(
        cls,
        values: Mapping[str, object],
        unknown: Mapping[int | bytes, bytes],
        extensions: Mapping[str, object],
    ) -> Self:
        """Make a message of values that the decoder has made and checked."""
        made: Self = cls.unchecked(
            *map(values.get, cls.names[: len(cls.fields)]),
            MappingProxyType(unknown) if unknown else _NOTHING,
            MappingProxyType(extensions) if extensions else _NOTHING,
        )
        return made
