"""The dissector for Wireshark: Lua, made from the tables of messages and value types.

The Lua code beside this module walks through CBOR and frames in general; which messages, fields,
units and diagnostics there are is put in front of it as tables.  `dissector` makes the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from epnet.wire import registeredMessages
from epnet.wire.compounds import BoundsKind, IsolationKind, MixKind, PricesKind, SharesKind
from epnet.wire.diagnostics import Code
from epnet.wire.frames import MAX_HEADERS, MAX_PAYLOAD, MAX_RESERVED_HEADER
from epnet.wire.kinds import (
    Binary,
    Currency,
    Flag,
    Kind,
    Percentage,
    Quantity,
    Text,
    Timestamp,
)
from epnet.wire.routerpath import MOST_NAMES, NamesKind
from epnet.wire.schema import MAX_RESERVED_TYPE, Message
from epnet.wire.shape import SOURCES, Layout, Part, shapeOf
from epnet.wire.values import Source
from epnet.wire.walk import MAX_DEPTH

MARK: Final = "-- Made by epnet"
"""What a dissector of ours starts with."""

_PARTS: Final = ("cbor.lua", "values.lua", "frames.lua")
_HEADING: Final = f"""\
{MARK} from the tables of its messages and value types; do not edit it, make it
-- again with `epnet dissector`.
--
-- The Energy Protocol (EP) over Ethernet/TCP, for Wireshark: frames in plain TCP, and in TLS where
-- Wireshark has the keys.  Display filters are ep.MESSAGE.FIELD, such as
-- ep.supply.power_limit > 5000, and ep.diagnostic.CODE for what deviates from the specs.
"""
_FORMS: Final[dict[type, str]] = {
    Quantity: "quantity",
    Percentage: "percentage",
    Text: "text",
    Currency: "currency",
    Flag: "flag",
    Binary: "binary",
    Timestamp: "timestamp",
    BoundsKind: "bounds",
    PricesKind: "prices",
    MixKind: "mix",
    SharesKind: "shares",
    IsolationKind: "isolation",
    NamesKind: "names",
    Kind: "other",
}
"""The names of the Lua functions that read the value types."""


def dissector(port: int) -> str:
    """The dissector as Lua, for all messages that are registered.

    port: the TCP port on which EP is spoken.
    """
    code = "".join(files(__name__).joinpath(part).read_text("utf-8") for part in _PARTS)
    limits = {
        "port": port,
        "depth": MAX_DEPTH,
        "headers": MAX_HEADERS,
        "payload": MAX_PAYLOAD,
        "reservedType": MAX_RESERVED_TYPE,
        "reservedHeader": MAX_RESERVED_HEADER,
    }
    tables = {
        "LIMITS": limits,
        "CODES": {each.value: _codeTable(each) for each in Code},
        "SOURCES": SOURCES,
        "SOURCE_FILTERS": {int(each): each.name.lower() for each in Source},
        "TYPES": {cls.typeId: cls.__name__ for cls in registeredMessages()},
        "MESSAGES": {cls.typeId: _messageTable(cls) for cls in registeredMessages()},
    }
    shown = "\n".join(f"local {name} = {_lua(table)}" for name, table in tables.items())
    return f"{_HEADING}\n{shown}\n\n{code}"


def _codeTable(code: Code) -> dict[str, object]:
    return {"severity": code.severity.value, "text": code.description}


def _messageTable(cls: type[Message]) -> dict[str, object]:
    fields = {
        row.id: {
            "name": row.name,
            "description": row.description,
            "required": row.required,
            "kind": _kindTable(row.kind),
        }
        for row in cls.table()
    }
    return {"name": cls.__name__, "label": cls.label, "fields": fields}


def _kindTable(kind: Kind[Any]) -> dict[str, object]:
    form = next(_FORMS[cls] for cls in type(kind).__mro__ if cls in _FORMS)
    table = {"id": kind.id, "name": kind.name, "unit": kind.unit, "form": form}
    if isinstance(kind, Text) and kind.maxLength is not None:
        table["maxLength"] = kind.maxLength
    if isinstance(kind, NamesKind):
        table |= {"most": MOST_NAMES, "maxLength": kind.of.maxLength}
    shape = shapeOf(kind)
    if shape.layout is not Layout.SINGLE:
        table["parts"] = [_partTable(part) for part in shape.parts]
        table["sources"] = shape.layout is Layout.BY_SOURCE
    return table


def _partTable(part: Part) -> dict[str, object]:
    table: dict[str, object] = {"name": part.name}
    return table | (
        {"titles": part.titles} if part.kind is None else {"kind": _kindTable(part.kind)}
    )


def _lua(value: object, indent: str = "") -> str:
    """A value as a Lua expression."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    inner = indent + "    "
    if isinstance(value, Mapping):
        entries = [f"[{_lua(key)}] = {_lua(each, inner)}" for key, each in value.items()]
    elif isinstance(value, list):
        entries = [_lua(each, inner) for each in value]
    else:
        raise TypeError(f"{value!r} has no place in a table")
    return "{\n" + "".join(f"{inner}{entry},\n" for entry in entries) + indent + "}"


def _quoted(text: str) -> str:
    """A text as a Lua literal, whatever is in it."""
    safe = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(safe.get(c, c if c >= " " else f"\\{ord(c):03}") for c in text) + '"'
