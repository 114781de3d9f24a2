"""The role of strangers who mean no good: they are silent, half-silent, or many."""

from __future__ import annotations

import ssl
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.internet.tcp import Client
from twisted.python.failure import Failure

from epnet.bench.crowd import ADDRESSES
from epnet.bench.processes import LOOPBACK

AT_ONCE: Final = 100
"""How many attempts of a flood are under way at a time."""
GARBAGE: Final = b"GET / HTTP/1.1\r\n\r\n"


def clientHello() -> bytes:
    """The first flight of a TLS handshake; repeated, it costs nobody but the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


class _Stranger(Protocol):
    """Says the same to everybody, or nothing.

    ready: fires when it has said it and got an answer, or at once where it has nothing to say.
    """

    transport: Client

    def __init__(self, words: bytes) -> None:
        self.ready: Deferred[None] = Deferred()
        self._words = words

    def connectionMade(self) -> None:
        if self._words:
            self.transport.write(self._words)
        else:
            self.ready.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self._done()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._done()

    def _done(self) -> None:
        if not self.ready.called:
            self.ready.callback(None)


class _Strangers(ClientFactory):
    noisy = False

    def __init__(self, stranger: _Stranger) -> None:
        self.stranger = stranger

    def buildProtocol(self, addr: object) -> _Stranger:
        return self.stranger

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self.stranger.connectionLost(reason)


class Attackers:
    """Strangers at one port."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self._reactor = reactor
        self._hello = clientHello()
        self._staying: list[_Stranger] = []

    def stay(self, port: int, silent: int, halfSilent: int) -> Deferred[None]:
        """Connect so many that say nothing at all, and so many that begin a handshake and stop."""
        words = [b""] * silent + [self._hello] * halfSilent
        strangers = [self._connect(port, each, LOOPBACK) for each in words]
        self._staying += strangers
        return gatherResults([each.ready for each in strangers]).addCallback(lambda _: None)

    def leave(self) -> None:
        """Break all connections that stay."""
        for stranger in self._staying:
            if stranger.transport is not None:
                stranger.transport.abortConnection()
        self._staying.clear()

    def flood(self, port: int, attempts: int) -> Deferred[float]:
        """Connect so often, as fast as it goes; answers how long it took, in s.

        Half of them begin a handshake and hang up, a quarter sends garbage, a quarter is silent.
        """
        numbers = count()
        began = self._reactor.seconds()
        over: Deferred[float] = Deferred()
        under = AT_ONCE

        def attempt() -> None:
            nonlocal under
            number = next(numbers)
            if number < attempts:
                self._attempt(port, number).addCallback(lambda _: attempt())
                return
            under -= 1
            if not under:
                over.callback(self._reactor.seconds() - began)

        for _ in range(AT_ONCE):
            attempt()
        return over

    def _attempt(self, port: int, number: int) -> Deferred[None]:
        words = (self._hello, GARBAGE, self._hello, b"")[number % 4]
        stranger = self._connect(port, words, f"127.0.0.{2 + number % ADDRESSES}")
        if not words:
            self._staying.append(stranger)
            return stranger.ready
        return stranger.ready.addCallback(lambda _: self._hangUp(stranger))

    def _hangUp(self, stranger: _Stranger) -> None:
        if stranger.transport is not None:
            stranger.transport.abortConnection()

    def _connect(self, port: int, words: bytes, address: str) -> _Stranger:
        stranger = _Stranger(words)
        where = (address, 0) if ADDRESSES > 1 else None
        self._reactor.connectTCP(LOOPBACK, port, _Strangers(stranger), bindAddress=where)
        return stranger
