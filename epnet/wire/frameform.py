"""Frames in JSON's terms: one object a frame, as `epnet decode --json` prints them.

`frameForm` and `gapForm` make the objects, `encodeForm` makes the bytes of a frame again: the same
bytes if the frame was in the form that epnet sends, and the same values for any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from epnet.errors import UsageError
from epnet.wire.codec import Decoded, encodePayload
from epnet.wire.diagnostics import Diagnostic
from epnet.wire.frames import Frame, Gap, Headers, encodeFrame
from epnet.wire.jsonform import (
    JSON,
    fieldsOf,
    hexBytes,
    hexNumber,
    messageFrom,
    messageNamed,
    nearest,
    onlyOnce,
    unknownOf,
)
from epnet.wire.kinds import InvalidValue
from epnet.wire.registry import UnknownMessage, messageClass

_UNKNOWN: Final = UnknownMessage.__name__
_KEYS: Final = (
    "offset",
    "length",
    "type",
    "type_id",
    "headers",
    "fields",
    "unknown",
    "payload",
    "diagnostics",
)


def frameForm(frame: Frame, decoded: Decoded) -> dict[str, JSON]:
    """What became of a frame.

    ``payload`` is there, as hex or null, where the fields do not say it: for a message that is not
    known, a payload that nothing was made of, and none where epnet would send a map without fields.
    """
    message, cls = decoded.message, messageClass(frame.typeId)
    form: dict[str, JSON] = {
        "offset": frame.offset,
        "length": frame.length,
        "type": cls.__name__ if cls else _UNKNOWN,
        "type_id": f"{frame.typeId:#010x}",
        "headers": _shownHeaders(frame.headers),
        "fields": fieldsOf(message) if message else {},
        "unknown": unknownOf(message) if message else {},
        "diagnostics": [diagnosticForm(each) for each in decoded.diagnostics],
    }
    absent = frame.payload is None and message is not None and encodePayload(message) is not None
    if message is None or cls is None or absent:
        form["payload"] = None if frame.payload is None else frame.payload.hex()
    return form


def gapForm(gap: Gap) -> dict[str, JSON]:
    """Bytes that were no frame."""
    return {"skipped": gap.skipped, "offset": gap.offset}


def diagnosticForm(diagnostic: Diagnostic) -> dict[str, JSON]:
    """One deviation."""
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code.value,
        "path": diagnostic.path,
        "offset": diagnostic.offset,
        "text": diagnostic.text,
    }


def encodeForm(form: Mapping[str, JSON]) -> bytes:
    """The bytes of the frame of which that was made by `frameForm`, or that a person wrote.

    Only ``type``, or ``type_id`` for a type that is not registered, has to be there; ``offset``,
    ``length`` and ``diagnostics`` mean nothing here.

    Raises `UsageError`, with the key, for a key that there is not, with the nearest that there is,
    and for a value that does not belong there.
    """
    for key in form:
        if key not in _KEYS:
            raise UsageError(f"a frame has no {nearest(key, _KEYS)}")
    headers = _takenHeaders(form.get("headers"))
    fields, unknown = _object(form, "fields"), _object(form, "unknown")
    typeId = _typeId(form)
    if "payload" in form:
        if fields or unknown:
            raise UsageError("payload: there are fields as well; leave one of the two out")
        given = form["payload"]
        return encodeFrame(typeId, None if given is None else hexBytes(given, "payload"), headers)
    cls = messageClass(typeId)
    if cls is None:
        raise UsageError(f"type_id: nobody registered {typeId:#010x}; give its payload as hex")
    return encodeFrame(typeId, encodePayload(messageFrom(cls.__name__, fields, unknown)), headers)


def _object(form: Mapping[str, JSON], key: str) -> Mapping[str, JSON]:
    value = form.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidValue(key, value, "an object")
    return value


def _typeId(form: Mapping[str, JSON]) -> int:
    """The message type, which `type` and `type_id` must agree about."""
    name = form.get("type", _UNKNOWN)
    if not isinstance(name, str):
        raise InvalidValue("type", name, "the name of a message type")
    named = None if name == _UNKNOWN else messageNamed(name).typeId
    if "type_id" not in form:
        if named is None:
            raise UsageError("type: missing; name the message type, or give its type_id")
        return named
    typeId = hexNumber(form["type_id"], "type_id")
    if named not in (None, typeId):
        raise UsageError(f"type_id: {name} is {named:#010x}, not {typeId:#010x}")
    return typeId


def _shownHeaders(headers: Headers | None) -> JSON:
    if headers is None:
        return None
    return {f"{key:#04x}": raw.hex() for key, raw in headers.items()}


def _takenHeaders(given: JSON) -> dict[int, bytes]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidValue("headers", given, "null or an object")
    return onlyOnce(
        "headers",
        given,
        (
            (hexNumber(key, "headers"), hexBytes(raw, f"headers.{key}"))
            for key, raw in given.items()
        ),
    )
