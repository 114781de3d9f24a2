"""The calls of the HTTP interface: each one stated once, then read, checked, answered, described.

A `Call` says what it takes; its handler gets the values by name and answers.  What is wrong with a
request is answered here, before a handler sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from epnet.observe.fields import DEVICE, BadField, Field, readBody, readQuery
from epnet.observe.resources import JSON, NOT_FOUND, READ_METHODS, Answer, Branch, refuse

Handler = Callable[[Request, dict[str, Any]], int]
"""Answers a request, given the values of its fields."""


@attrs.frozen
class Call:
    """One call.

    path: its address; ``{device}`` in it stands for the identity of a device.
    name, text: what it is called, and what it does.
    handler: answers it.
    fields: of the query, or of the JSON body where the call changes something.
    changes: whether it is a POST that changes something.
    answers: the JSON Schema of a good answer by media type; a stream has the empty one.
    failures: which HTTP statuses beside the usual ones say what.
    """

    path: str
    name: str
    text: str
    handler: Handler
    fields: Sequence[Field] = ()
    changes: bool = False
    answers: Mapping[str, Any] = attrs.field(factory=lambda: {JSON: {"type": "object"}})
    failures: Mapping[int, str] = attrs.field(factory=dict)

    @property
    def method(self) -> str:
        """The HTTP method, HEAD beside GET apart."""
        return "POST" if self.changes else "GET"


class CallResource(Answer):
    """What stands at the address of a call.

    device: the identity in the address, where there is one.
    """

    def __init__(self, call: Call, device: str | None = None) -> None:
        super().__init__()
        self.methods = (b"POST",) if call.changes else READ_METHODS
        self._call = call
        self._device = device

    def answer(self, request: Request) -> int:
        """Read the fields and let the handler answer."""
        call = self._call
        if call.changes and _mediaType(request) != JSON:
            return refuse(request, http.UNSUPPORTED_MEDIA_TYPE, f"send a body of type {JSON}")
        try:
            values = readQuery(() if call.changes else call.fields, request.args or {})
            if call.changes:
                assert request.content is not None
                values = readBody(call.fields, request.content.read())
        except BadField as error:
            return refuse(request, http.BAD_REQUEST, str(error))
        if self._device is not None:
            values["device"] = self._device
        return call.handler(request, values)


class Devices(Branch):
    """The calls below the identity of a device.

    calls: by the last part of their address.
    """

    def __init__(self, calls: Mapping[bytes, Call]) -> None:
        super().__init__({})
        self._calls = calls

    def getChild(self, path: bytes, request: Request) -> Resource:
        """What is below one identity."""
        try:
            device = DEVICE.parse(path.decode())
        except (UnicodeDecodeError, BadField):
            return NOT_FOUND
        return Branch({last: CallResource(call, device) for last, call in self._calls.items()})


def tree(calls: Sequence[Call]) -> Branch:
    """The resources of all calls, which are at ``/api/v1/NAME`` or ``…/devices/{device}/NAME``."""
    below = {call.path.rpartition("/")[2].encode(): call for call in calls}
    devices = {last: call for last, call in below.items() if "{device}" in call.path}
    others = {last: CallResource(call) for last, call in below.items() if last not in devices}
    return Branch({b"v1": Branch({**others, b"devices": Devices(devices)})})


def _mediaType(request: Request) -> str:
    [header, *_] = request.requestHeaders.getRawHeaders("Content-Type", [""])
    return str(header.partition(";")[0].strip().lower())
