"""Where to listen and what to dial: endpoint strings, default port, addresses as people write them.

TLS is always put on top of an endpoint by the trust policy; none of these strings says so.
"""

from __future__ import annotations

import socket
from typing import Final

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from epnet.errors import UsageError
from epnet.limits import neighbourhood

BACKLOG: Final = 512
"""How many connections the system holds until we accept them.

By itself Twisted says 50: while strangers knock more often than that, a device would not get
through, and try again only a second later.
"""
EP_PORT: Final = 0xDCDC
"""The default listening port of the Energy Protocol, 56540 (Ethernet/TCP §2)."""


def defaultListen() -> str:
    """The endpoint string for `EP_PORT` on all interfaces, in both families where there are two."""
    return f"tcp6:{EP_PORT}:interface=\\:\\:" if _hasIPv6() else f"tcp:{EP_PORT}"


def _hasIPv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def serverEndpoint(reactor: IReactorCore, text: str) -> IStreamServerEndpoint:
    """The endpoint for a Twisted endpoint string; raises `UsageError` for one that is none.

    TCP has our `BACKLOG` where the string has none.
    """
    isShort = text.startswith("tcp") and ":backlog=" not in text
    try:
        endpoint: IStreamServerEndpoint = serverFromString(
            reactor, f"{text}:backlog={BACKLOG}" if isShort else text
        )
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise UsageError(
            f"{text!r} is no endpoint to listen on ({error}): write 'tcp:{EP_PORT}' or "
            f"'tcp:{EP_PORT}:interface=192.0.2.1'"
        ) from error
    return endpoint


def addressText(address: object) -> str:
    """An address for people: ``192.0.2.1:56540`` or ``[2001:db8::1]:56540``.

    IPv4 on a socket for both families shows as what it is.
    """
    if not isinstance(address, IPv4Address | IPv6Address):
        return str(address)
    host = address.host.removeprefix("::ffff:")
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


def originOf(address: object) -> str:
    """What counts as one address where connections are limited; empty for what has no host."""
    return neighbourhood(address.host) if isinstance(address, IPv4Address | IPv6Address) else ""


class Listener(Service):
    """Listens on an endpoint while the service runs.

    A port that is taken ends the program at start with one line, before anything else has begun.

    text: the endpoint string, for messages.
    what: what listens there, for the log; ``{address}`` in it becomes the address.
    listening: the port, while there is one.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorCore,
        text: str,
        factory: IProtocolFactory,
        what: str = "listening on {address}",
    ) -> None:
        self.text = text
        self.what = what
        self.listening: IListeningPort | None = None
        self._reactor = reactor
        self._endpoint = serverEndpoint(reactor, text)
        self._factory = factory

    def privilegedStartService(self) -> None:
        """Take the port; raises SystemExit with a line for the user where that fails."""
        super().privilegedStartService()
        failures: list[Failure] = []
        self._endpoint.listen(self._factory).addCallbacks(self._listens, failures.append)
        if failures:
            raise SystemExit(
                f"cannot listen on {self._whereAndWhy(failures[0].value)}. Stop what uses the "
                "port, or choose another one with --listen or --http."
            )

    def _whereAndWhy(self, error: BaseException | None) -> str:
        if not isinstance(error, CannotListenError):
            return f"{self.text}: {error}"
        where = "" if error.interface in ("", "::") else f" of {error.interface}"
        return f"port {error.port}{where}: {error.socketError.strerror}"

    def dialled(self) -> IStreamClientEndpoint:
        """The endpoint on this host that reaches the port; only while it listens."""
        assert self.listening is not None
        address = self.listening.getHost()
        assert isinstance(address, IPv4Address | IPv6Address)
        host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(address.host, address.host)
        return HostnameEndpoint(self._reactor, host, address.port)

    def _listens(self, port: IListeningPort) -> None:
        self.listening = port
        self.log.info(self.what, address=addressText(port.getHost()))

    def stopService(self) -> Deferred[object] | None:
        """Give the port back."""
        super().stopService()
        port, self.listening = self.listening, None
        return maybeDeferred(port.stopListening) if port is not None else None
