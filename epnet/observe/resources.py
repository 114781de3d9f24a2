"""What the pages of `epnet.observe.web` are made of: guarded, bounded HTTP resources.

Every request is looked at by `epnet.observe.access` before a resource sees it; no body is kept but
a small one of a POST; every answer forbids browsers to run foreign code or to embed it elsewhere.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.protocols.policies import WrappingFactory
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from epnet.observe.access import Access, Denial

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

READ_METHODS: Final = (b"GET", b"HEAD")
MAX_KEPT: Final = 4096
"""Bytes of a request body that are kept, where a body is wanted."""
MAX_BODY: Final = 65536
"""Bytes of a request body that are read, and dropped, before the connection is cut."""
MAX_CONNECTIONS: Final = 256
"""HTTP connections at a time; further ones are closed at once."""

SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class BoundedRequest(Request):
    """A request of whose body only a little is kept.

    bodyLength: bytes of the body that have come.
    """

    bodyLength = 0

    def gotLength(self, length: int | None) -> None:
        """Make room for a small body, whatever is announced."""
        self.content: BytesIO = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep or drop a part of the body; cut a sender off who does not stop."""
        self.bodyLength += len(data)
        if self.bodyLength <= MAX_KEPT:
            self.content.write(data)
        elif self.bodyLength > MAX_BODY:
            self.loseConnection()

    def process(self) -> None:
        """Answer; ``OPTIONS *`` is not special, its path is just unknown."""
        if self.path == b"*":
            self.path = b"/*"
        super().process()


class GuardedSite(Site):
    """A site that looks at every request before a resource does, and marks every answer.

    access: who is answered.
    """

    noisy = False

    def __init__(self, root: Resource, access: Access, **settings: object) -> None:
        super().__init__(root, requestFactory=BoundedRequest, **settings)
        self._access = access

    def log(self, request: http.Request) -> None:
        """Keep no access log: every viewer asks all the time.  What changes something is logged."""

    def getResourceFor(self, request: BoundedRequest) -> Resource:
        """The addressed resource, or the refusal of a request that is not for us."""
        request.responseHeaders.removeHeader(b"Server")
        for name, value in SECURITY_HEADERS.items():
            request.setHeader(name, value)
        denial = self._access.denial(request)
        return Refusal(denial) if denial is not None else super().getResourceFor(request)


class CountedFactory(WrappingFactory):
    """Lets only so many connections stand at a time."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection more; None, which closes it, where there are too many."""
        return super().buildProtocol(addr) if len(self.protocols) < MAX_CONNECTIONS else None


class Answer(Resource, ABC):
    """A resource that answers GET and HEAD, and nobody else; nothing lies below it."""

    methods: tuple[bytes, ...] = READ_METHODS

    def getChild(self, path: bytes, request: Request) -> Resource:
        """What does not exist."""
        return NOT_FOUND

    def render(self, request: BoundedRequest) -> int:
        """Answer the request."""
        if request.method not in self.methods:
            request.setHeader("Allow", b", ".join(self.methods))
            allowed = " and ".join(method.decode() for method in self.methods)
            return refuse(request, http.NOT_ALLOWED, f"only {allowed} is answered here")
        most = MAX_KEPT if request.method == b"POST" else 0
        if request.bodyLength > most:
            return refuse(request, http.REQUEST_ENTITY_TOO_LARGE, f"send at most {most} bytes")
        return self.answer(request)

    @abstractmethod
    def answer(self, request: Request) -> int:
        """Answer a request to read."""


class Content(Answer):
    """Something to read.

    mediaType: of what `read` gives.
    read: makes the body anew for each request.
    """

    def __init__(self, mediaType: str, read: Callable[[], bytes]) -> None:
        super().__init__()
        self._mediaType = mediaType
        self._read = read

    def answer(self, request: Request) -> int:
        """Give it."""
        return reply(request, http.OK, self._mediaType, self._read())


class Branch(Resource):
    """A part of the tree of addresses.  At b"" stands what is shown for the branch itself."""

    def __init__(self, children: Mapping[bytes, Resource]) -> None:
        super().__init__()
        for path, child in children.items():
            self.putChild(path, child)

    def getChild(self, path: bytes, request: Request) -> Resource:
        """What does not exist."""
        return NOT_FOUND

    def render(self, request: Request) -> int:
        """A branch is nothing by itself."""
        return NOT_FOUND.render(request)


class Refusal(Resource):
    """An error, as JSON below /api/ and else as text, for whatever lies below it as well."""

    def __init__(self, denial: Denial) -> None:
        super().__init__()
        self._denial = denial

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Whatever lies below is refused as well."""
        return self

    def render(self, request: Request) -> int:
        """Refuse, whatever the method."""
        return refuse(request, self._denial.code, self._denial.text)


NOT_FOUND: Final = Refusal(Denial(http.NOT_FOUND, "there is nothing at this address"))


def refuse(request: Request, code: int, text: str) -> int:
    """Say what is wrong, with that HTTP status: as JSON below /api/ and else as text."""
    if code == http.UNAUTHORIZED:
        request.setHeader("WWW-Authenticate", 'Basic realm="epnet router", charset="UTF-8"')
    if request.path.startswith(b"/api/"):
        return replyJson(request, code, {"error": text, "status": code})
    return reply(request, code, TEXT, f"{code}: {text}\n".encode())


def reply(request: Request, code: int, mediaType: str, body: bytes) -> int:
    """Send a whole answer; only its head where the request is HEAD."""
    request.setResponseCode(code)
    request.setHeader("Content-Type", mediaType)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()
    done: int = NOT_DONE_YET
    return done


def replyJson(request: Request, code: int, value: object) -> int:
    """Send a whole answer as JSON."""
    return reply(request, code, JSON, json.dumps(value, allow_nan=False).encode())


def abort(request: Request) -> None:
    """Break the connection off, whatever has not been sent."""
    request.channel.forceAbortClient()
