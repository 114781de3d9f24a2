"""Which message type is which class, and the extensions to that (Messages §5, M4, M5)."""

from __future__ import annotations

from typing import Any, Final

import attrs

from epnet.errors import UsageError
from epnet.wire import shortest
from epnet.wire.kinds import InvalidValue, Kind
from epnet.wire.messages import (
    DemandParameters,
    Ping,
    SessionParameters,
    SoftDisconnect,
    StorageParameters,
    SupplyParameters,
)
from epnet.wire.schema import Field, Message, baseMessage


def _checkTypeId(value: object) -> int:
    if not shortest.isUnsigned(value, 32):
        raise InvalidValue("UnknownMessage.typeId", value, "a 32-bit unsigned integer")
    return int(value)


def _checkPayload(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    raise InvalidValue("UnknownMessage.payload", value, "bytes or None")


@baseMessage("unknown")
class UnknownMessage(Message):
    """A message of a type that nobody registered, with its payload as it came (M4).

    typeId: the message type, 0 to 0xFFFFFFFF.
    payload: the bytes of the payload, or None where a bare null came.
    """

    typeId: int = attrs.field(converter=_checkTypeId)  # type: ignore[misc]
    payload: bytes | None = attrs.field(default=None, converter=_checkPayload)

    def __repr__(self) -> str:
        return f"UnknownMessage(typeId=0x{self.typeId:08x}, payload={self.payload!r})"


_classes: Final[dict[int, type[Message]]] = {}


def messageClass(typeId: int) -> type[Message] | None:
    """The class of a message type, or None if nobody registered it."""
    return _classes.get(typeId)


def registeredMessages() -> tuple[type[Message], ...]:
    """All registered classes, those of the spec first."""
    return tuple(_classes.values())


def register(cls: type[Message]) -> type[Message]:
    """Have messages of its type decoded as this class, made by `epnet.wire.message`.

    Raises `UsageError` if the type is registered already.
    """
    known = _classes.get(cls.typeId)
    if known is not None:
        raise UsageError(
            f"message type 0x{cls.typeId:08x} is registered already, for {known.__name__}; "
            "an extension needs a type of its own"
        )
    _classes[cls.typeId] = cls
    return cls


def registerField(
    cls: type[Message],
    id: int,
    name: str,
    kind: Kind[Any],
    description: str,
    *,
    consent: bool = False,
) -> Field:
    """Add a field of an extension to a message; its value is in the message's `extensions`.

    The arguments are those of a row of the message's table, see `Field`.

    Raises `UsageError` if the message has that id or name already, or the id cannot be sent.
    """
    if not shortest.isUnsigned(id, 64):
        raise UsageError(f"{cls.__name__}: field id {id!r} is not an unsigned integer")
    for known in cls.table():
        if known.id == id or known.name == name:
            raise UsageError(
                f"{cls.__name__} has field 0x{known.id:02x} '{known.name}' already; "
                f"0x{id:02x} '{name}' needs an id and a name of its own"
            )
    if hasattr(cls, name):
        raise UsageError(f"{cls.__name__} has something called '{name}' already")
    row = Field(id, name, kind, description, consent, required=False, extension=True)
    cls.addField(row)
    return row


for _each in (
    Ping,
    SessionParameters,
    SoftDisconnect,
    SupplyParameters,
    DemandParameters,
    StorageParameters,
):
    register(_each)
