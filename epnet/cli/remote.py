"""A running router, asked over HTTP by ``epnet status``, ``monitor`` and ``explain``."""

from __future__ import annotations

import argparse
import json
import os
import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from epnet.errors import EPError, UsageError

DEFAULT_URL: Final = "http://localhost:56541"
TIMEOUT_SECONDS: Final = 5.0
"""How long a router may say nothing; it tells its state each second."""
MOST_BYTES: Final = 2**26
"""The longest answer that is read."""


class RouterError(EPError):
    """The router cannot be asked, or does not answer as one.  The text says what to do."""


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add where the router is, and how it lets us in."""
    parser.add_argument(
        "--http",
        "--url",
        dest="url",
        default=os.environ.get("EPNET_URL", DEFAULT_URL),
        metavar="URL",
        help="the address of its page [default: $EPNET_URL, or %(default)s]",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        default=os.environ.get("EPNET_TOKEN_FILE"),
        metavar="FILE",
        help="a file with our token, for a router that asks for one [default: $EPNET_TOKEN_FILE]",
    )
    parser.add_argument(
        "--authority",
        type=Path,
        metavar="FILE",
        help="who vouches for its certificate, PEM [default: the system's authorities]",
    )


class RunningRouter:
    """A router at a URL.

    url: ``http://HOST[:PORT]`` or ``https://HOST[:PORT]``.
    token: what it asks for, or None.
    authority: who vouches for its certificate; None for those that the system trusts.

    Raises `UsageError` for what is no such URL, or no PEM file.
    """

    def __init__(self, url: str, token: str | None = None, authority: Path | None = None) -> None:
        self.url = url.rstrip("/")
        try:
            split = urlsplit(url)
            self._host, self._port = split.hostname, split.port
        except ValueError:
            self._host = None
        if split.scheme not in ("http", "https") or not self._host or split.path not in ("", "/"):
            raise UsageError(f"{url!r} is no address of a router: write '{DEFAULT_URL}'")
        self._context = None
        if split.scheme == "https":
            try:
                self._context = ssl.create_default_context(cafile=authority)
            except OSError as error:
                raise UsageError(f"cannot read the authority in {authority}: {error}") from error
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    @classmethod
    def of(cls, options: argparse.Namespace) -> RunningRouter:
        """The one that the arguments name."""
        token = None if options.token_file is None else _readToken(Path(options.token_file))
        return cls(options.url, token, options.authority)

    def state(self) -> Any:
        """Its state, as ``/api/v1/state`` has it."""
        return self._get("/api/v1/state")

    def decisions(self, device: str | None = None) -> Any:
        """What it has decided, as ``/api/v1/decisions`` has it."""
        query = "" if device is None else f"?device={quote(device, safe='')}"
        return self._get(f"/api/v1/decisions{query}")

    def events(self) -> Iterator[tuple[str, Any]]:
        """What it tells as it happens: the kind of each event, and what it carries.

        Ends or raises `RouterError` when the router says nothing more.
        """
        with closing(self._connection()) as connection:
            response = self._answer(connection, "/api/v1/events")
            kind = ""
            while line := self._guarded(response.readline, MOST_BYTES):
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)

    def _get(self, path: str) -> Any:
        with closing(self._connection()) as connection:
            response = self._answer(connection, path)
            text = self._guarded(response.read, MOST_BYTES)
        try:
            return json.loads(text)
        except ValueError as error:
            raise RouterError(f"what answers at {self.url} is no router of ours") from error

    def _connection(self) -> HTTPConnection:
        assert self._host is not None
        if self._context is None:
            return HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        return HTTPSConnection(
            self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._context
        )

    def _answer(self, connection: HTTPConnection, path: str) -> HTTPResponse:
        """The good answer to a request; raises `RouterError` for any other."""
        self._guarded(lambda: connection.request("GET", path, headers=self._headers))
        response: HTTPResponse = self._guarded(connection.getresponse)
        if response.status == 401:
            raise RouterError(f"the router at {self.url} wants a token: give --token-file FILE")
        if response.status != 200:
            raise RouterError(_reason(response, f"{self.url} answers {response.status}"))
        return response

    def _guarded(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except ssl.SSLCertVerificationError as error:
            raise RouterError(
                f"the certificate of {self.url} is not trusted ({error.verify_message}): "
                "give --authority FILE"
            ) from error
        except TimeoutError as error:
            raise RouterError(f"the router at {self.url} does not answer") from error
        except ConnectionRefusedError as error:
            raise RouterError(
                f"no router runs at {self.url}: start one with 'twistd -n ep-router', or say "
                "where it is with --http URL"
            ) from error
        except (OSError, HTTPException) as error:
            raise RouterError(f"cannot ask the router at {self.url}: {error}") from error


def _readToken(path: Path) -> str:
    """The token in a file: alone, or after a name as in the router's own file."""
    try:
        words = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read a token in {path}: {error}") from error
    if not 1 <= len(words) <= 2:
        raise UsageError(f"{path} must hold one token, and nothing else but a name before it")
    return words[-1]


def _reason(response: HTTPResponse, otherwise: str) -> str:
    """What a router says is wrong."""
    try:
        return str(json.loads(response.read(MOST_BYTES))["error"])
    except (ValueError, KeyError, TypeError, OSError, HTTPException):
        return otherwise
