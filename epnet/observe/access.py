"""Who may ask the router over HTTP: by the name they call it, where they come from, their token.

Two dangers are met here.  The page of a stranger in somebody's browser must not get at a router, so
every request names us in its Host header (which stops DNS rebinding) and, where it has an Origin
header, comes from a page of ours.  And beyond this machine everybody shows a token: as
``Authorization: Bearer TOKEN``, or as the password that a browser asks for (``Basic``).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs
from twisted.web import http
from twisted.web.server import Request

from epnet.endpoints import addressText
from epnet.errors import UsageError

LEAST_TOKEN: Final = 20
"""Characters of a token: fewer could be guessed."""

OPEN_PATHS: Final = (b"/healthz", b"/readyz")
"""What is said without a token: nothing but yes or no."""


@attrs.frozen
class Denial:
    """Why a request is not answered: an HTTP status, and words."""

    code: int
    text: str


@attrs.frozen
class Access:
    """Who is answered.

    tokens: the name of each token's owner; empty where none is asked for.
    hosts: further names of ours, as in a certificate, in lower case.
    """

    tokens: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    hosts: frozenset[str] = frozenset()

    def denial(self, request: Request) -> Denial | None:
        """Why the request is not for us or not allowed, if so."""
        hosts = request.requestHeaders.getRawHeaders("Host", [])
        if len(hosts) != 1:
            return Denial(http.BAD_REQUEST, "give exactly one Host header")
        if not self._isOurs(hosts[0], request.getHost()):
            return Denial(
                http.FORBIDDEN,
                "the Host header does not name this router: use localhost, the address it listens "
                "on, or a name in its certificate",
            )
        for origin in request.requestHeaders.getRawHeaders("Origin", []):
            if origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
                return Denial(http.FORBIDDEN, "requests from pages of other sites are refused")
        if self.tokens and request.path not in OPEN_PATHS and self._owner(request) is None:
            return Denial(http.UNAUTHORIZED, "show a token: 'Authorization: Bearer TOKEN'")
        return None

    def who(self, request: Request) -> str:
        """Who asks, for the log."""
        owner = self._owner(request) or "somebody without a token"
        return f"{owner} at {addressText(request.getClientAddress())}"

    def _owner(self, request: Request) -> str | None:
        """Whose token the request shows; all tokens are compared, in the same time each."""
        shown = _shownToken(request.requestHeaders.getRawHeaders("Authorization", []))
        owner = None
        for token, name in self.tokens.items():
            if hmac.compare_digest(token.encode(), shown):
                owner = name
        return owner

    def _isOurs(self, authority: str, listening: object) -> bool:
        """Whether the host of `authority`, a Host header, is this machine as it is called here.

        listening: the address on which the connection came in.
        """
        host = _hostOf(authority)
        if host is None:
            return False
        if host.rstrip(".") in self.hosts | {"localhost"}:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or host == _plain(str(getattr(listening, "host", "")))


def readTokens(path: Path) -> dict[str, str]:
    """The owners of the tokens in a file, by token: a line each, ``NAME TOKEN``; # begins comments.

    Raises `UsageError` where it cannot be read, may be read by others, or has no good token.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the tokens in {path}: {error}") from error
    if mode & 0o077:
        raise UsageError(f"{path} can be read by others: 'chmod 600 {path}'")
    tokens = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or len(words[1]) < LEAST_TOKEN or not words[1].isascii():
            raise UsageError(
                f"{path}, line {number}: write 'NAME TOKEN', the token of {LEAST_TOKEN} or more "
                "characters; 'openssl rand -hex 32' makes one"
            )
        tokens[words[1]] = words[0]
    if not tokens:
        raise UsageError(f"there is no token in {path}: write a line 'NAME TOKEN'")
    return tokens


def isLoopback(host: str) -> bool:
    """Whether what listens on that address hears this machine alone."""
    try:
        return ip_address(_plain(host)).is_loopback
    except ValueError:
        return False


def _plain(host: str) -> str:
    """An address as it is called: IPv4 on a socket for both families is IPv4."""
    return host.lower().removeprefix("::ffff:")


def _hostOf(authority: str) -> str | None:
    """The host in ``host[:port]``, in lower case; None where it is not of that form."""
    try:
        split = urlsplit(f"//{authority}")
        host, _ = split.hostname, split.port
    except ValueError:
        return None
    return host if host and split.netloc == authority and "@" not in authority else None


def _shownToken(headers: Sequence[str]) -> bytes:
    """The token in the one Authorization header; empty where there is none."""
    if len(headers) != 1:
        return b""
    scheme, _, value = headers[0].partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
