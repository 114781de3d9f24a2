"""The bytes of EP: frames and messages, in both directions.

Pure: no Twisted, no clock, no I/O.  The bytes of a connection go through a `MessageReader`, those
of a recording through a `FrameReader` and `decodeFrame`, those of a single frame through `decode`;
messages go through `encode`::

    >>> data = encode(SupplyParameters(voltage_limit=(200, 1000), power_limit=5000))
    >>> decode(data).message
    SupplyParameters(voltage_limit=Bounds(min=200, max=1000), power_limit=5000)
"""

from __future__ import annotations

from epnet.wire.codec import Decoded, decode, decodeFrame, encode, encodePayload
from epnet.wire.diagnostics import Code, Diagnostic, Severity
from epnet.wire.extensions import CARBON
from epnet.wire.frames import Frame, FrameReader, Gap, encodeFrame
from epnet.wire.kinds import InvalidValue
from epnet.wire.messages import (
    DemandParameters,
    Ping,
    SessionParameters,
    SoftDisconnect,
    StorageParameters,
    SupplyParameters,
)
from epnet.wire.reader import MessageReader
from epnet.wire.registry import (
    UnknownMessage,
    messageClass,
    register,
    registeredMessages,
    registerField,
)
from epnet.wire.routerpath import RouterPath
from epnet.wire.schema import Field, Message, field, message
from epnet.wire.values import Bounds, Isolation, IsolationState, Mix, Price, Source

__all__ = [
    "CARBON",
    "Bounds",
    "Code",
    "Decoded",
    "DemandParameters",
    "Diagnostic",
    "Field",
    "Frame",
    "FrameReader",
    "Gap",
    "InvalidValue",
    "Isolation",
    "IsolationState",
    "Message",
    "MessageReader",
    "Mix",
    "Ping",
    "Price",
    "RouterPath",
    "SessionParameters",
    "Severity",
    "SoftDisconnect",
    "Source",
    "StorageParameters",
    "SupplyParameters",
    "UnknownMessage",
    "decode",
    "decodeFrame",
    "encode",
    "encodeFrame",
    "encodePayload",
    "field",
    "message",
    "messageClass",
    "register",
    "registerField",
    "registeredMessages",
]
