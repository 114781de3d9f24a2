"""What the pages of `epnet.observe.web` are made of: guarded, read-only HTTP resources.

Read only: GET and HEAD.  The page of a stranger in somebody's browser must not get at a router, so
every request has to name us in its Host header (which stops DNS rebinding) and, where it has an
Origin header, to come from a page of ours; and nothing here may be embedded or run foreign code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

READ_METHODS: Final = (b"GET", b"HEAD")
MAX_BODY: Final = 65536
"""Bytes of a request body that are read, and dropped, before the connection is cut."""

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


class ReadOnlyRequest(Request):
    """A request whose body, if it has one, is not kept."""

    bodyLength = 0

    def gotLength(self, length: int | None) -> None:
        """Make room for no body, whatever is announced."""
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        """Drop a part of the body; cut a sender off who does not stop."""
        self.bodyLength += len(data)
        if self.bodyLength > MAX_BODY:
            self.loseConnection()

    def process(self) -> None:
        """Answer; ``OPTIONS *`` is not special, its path is just unknown."""
        if self.path == b"*":
            self.path = b"/*"
        super().process()


class GuardedSite(Site):
    """A site that looks at every request before a resource does, and marks every answer."""

    noisy = False

    def log(self, request: http.Request) -> None:
        """Keep no access log: every viewer asks once a second."""

    def getResourceFor(self, request: ReadOnlyRequest) -> Resource:
        """The addressed resource, or the refusal of a request that is not for us."""
        request.responseHeaders.removeHeader(b"Server")
        for name, value in SECURITY_HEADERS.items():
            request.setHeader(name, value)
        refusal = _refusalOf(request)
        return refusal if refusal is not None else super().getResourceFor(request)


class Answer(Resource):
    """A resource that answers GET and HEAD, and nobody else; nothing lies below it."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        """What does not exist."""
        return NOT_FOUND

    def render(self, request: Request) -> int:
        """Answer the request."""
        if request.method not in READ_METHODS:
            request.setHeader("Allow", b", ".join(READ_METHODS))
            return Refusal(http.NOT_ALLOWED, "only GET and HEAD are answered here").answer(request)
        return self.answer(request)

    def answer(self, request: Request) -> int:
        """Answer a request to read."""
        raise NotImplementedError


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


class Branch(Answer):
    """A part of the tree of addresses.  At b"" stands what is shown for the branch itself."""

    def __init__(self, children: Mapping[bytes, Resource]) -> None:
        super().__init__()
        for path, child in children.items():
            self.putChild(path, child)

    def answer(self, request: Request) -> int:
        """A branch is nothing by itself."""
        return NOT_FOUND.answer(request)


class Refusal(Answer):
    """An error, as JSON below /api/ and else as text.

    code: the HTTP status.
    text: what is wrong, for people.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__()
        self._code = code
        self._text = text

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Whatever lies below is refused as well."""
        return self

    def render(self, request: Request) -> int:
        """Refuse, whatever the method."""
        return self.answer(request)

    def answer(self, request: Request) -> int:
        """Say what is wrong."""
        if request.path.startswith(b"/api/"):
            body = json.dumps({"error": self._text, "status": self._code})
            return reply(request, self._code, JSON, body.encode())
        return reply(request, self._code, TEXT, f"{self._code}: {self._text}\n".encode())


NOT_FOUND: Final = Refusal(http.NOT_FOUND, "there is nothing at this address")


def reply(request: Request, code: int, mediaType: str, body: bytes) -> int:
    """Send a whole answer; only its head where the request is HEAD."""
    request.setResponseCode(code)
    request.setHeader("Content-Type", mediaType)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()
    done: int = NOT_DONE_YET
    return done


def _refusalOf(request: ReadOnlyRequest) -> Refusal | None:
    """Why a request is not for us, if so."""
    hosts = request.requestHeaders.getRawHeaders("Host", [])
    if len(hosts) != 1:
        return Refusal(http.BAD_REQUEST, "give exactly one Host header")
    if not _isOurName(hosts[0], request.getHost().host):
        return Refusal(
            http.FORBIDDEN,
            "the Host header does not name this router: use localhost or the address it listens on",
        )
    for origin in request.requestHeaders.getRawHeaders("Origin", []):
        if origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
            return Refusal(http.FORBIDDEN, "requests from pages of other sites are refused")
    if request.bodyLength:
        return Refusal(http.REQUEST_ENTITY_TOO_LARGE, "send no body: there is nothing to write to")
    return None


def _isOurName(authority: str, listening: str) -> bool:
    """Whether the host of `authority` is this machine as seen from itself, or `listening`.

    authority: the value of a Host header.
    listening: the address on which the connection came in.
    """
    try:
        split = urlsplit(f"//{authority}")
        host, _ = split.hostname, split.port
    except ValueError:
        return False
    if host is None or split.netloc != authority or "@" in authority:
        return False
    if host.rstrip(".") == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or host == listening.lower()
