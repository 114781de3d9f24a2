"""Where an upstream device is, and how it is reached (Ethernet/TCP §2).

An upstream device may have several addresses: written as alternatives, or behind one DNS name, in
either family of IP.  All of them are tried, in the order written and then in that of the resolver:
the next one is begun when the one before has failed, or has not answered for 300 ms, and the first
that is up is taken.  One whose connection never became a session (a host that accepts and then says
nothing, a wrong certificate) comes last the next time.  While there is another address to try, a
session has 2.5 s to come about; twice as long each time, since a router that is busy with hundreds
of devices needs longer.

Power must not hang on a resolver.  A name is waited for for a second; one that is not answered by
then, or that cannot be looked up, counts as what it was when it last could.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from epnet.endpoints import EP_PORT
from epnet.errors import UsageError
from epnet.protocol import EPProtocol

if TYPE_CHECKING:
    from epnet.interfaces import ITrust

CONNECT_SECONDS: Final = 10
"""How long an address may take to answer."""
STAGGER_SECONDS: Final = 0.3
"""How long an address may take before the next one is tried beside it (RFC 8305 §5: 0.25)."""


RESOLVE_SECONDS: Final = 1.0
"""How long a name is waited for; what is found later counts the next time."""
SESSION_SECONDS: Final = 2.5
"""How long a session may take to come about while there is another address to try, at first."""
SESSION_LONGEST_SECONDS: Final = 15.0
"""The most that may become, the time of a handshake and a greeting."""


@attrs.frozen
class Place:
    """A host (DNS name or IP address) and a port."""

    host: str
    port: int = EP_PORT

    def __str__(self) -> str:
        """As it is written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@attrs.frozen
class Upstream:
    """An upstream device as written: ``[IDENTITY@]HOST[:PORT][,HOST[:PORT]]...``.

    places: where it is; all of them are the same device.
    identity: what it must show instead of the host's name, or None.
    """

    places: tuple[Place, ...]
    identity: str | None = None

    def __str__(self) -> str:
        """As it is written, with each port."""
        places = ",".join(map(str, self.places))
        return f"{self.identity}@{places}" if self.identity else places

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Read it; an IPv6 address with a port stands in brackets.  Raises `UsageError`."""
        identity, at, places = text.rpartition("@")
        found = [_parsePlace(place) for place in places.split(",")]
        # An identity with both is more likely one that was repeated before each address.
        if None in found or (at and not identity) or ("@" in identity and "," in identity):
            raise UsageError(
                f"{text!r} is no upstream address: write [IDENTITY@]HOST[:PORT], for example "
                "'router.example', '192.0.2.1:56540' or 'router-1@[2001:db8::1]:56540'; further "
                "addresses of the same device follow after commas"
            )
        return cls(tuple(place for place in found if place), identity or None)


def _parsePlace(text: str) -> Place | None:
    """Read ``HOST[:PORT]``; None for what is none."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
        valid = bool(bracket) and (not rest or rest.startswith(":"))
    elif text.count(":") > 1:  # a bare IPv6 address
        host, port, valid = text, "", True
    else:
        host, colon, port = text.partition(":")
        valid = not colon or bool(port)
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    number = int(port) if digits else 0 if port else EP_PORT
    valid = valid and 0 < number < 65536 and _mayBeHost(host)
    return Place(host, number) if valid else None


def _mayBeHost(host: str) -> bool:
    """Whether a resolver takes it at all; what it does not take it never answers."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


@attrs.frozen
class _Way:
    """One address to dial, and the endpoint that does, TLS included."""

    address: IPv4Address | IPv6Address
    endpoint: IStreamClientEndpoint


@implementer(IStreamClientEndpoint)
class UpstreamEndpoint:
    """Connects to an upstream device, wherever it can be reached.

    reactor: for time, names and sockets.
    upstream: where it is.
    trust: puts TLS on top; without an identity in `upstream`, the name dialled is checked.

    Raises `UsageError` for a host that is neither a DNS name nor an IP address.
    """

    def __init__(self, reactor: Any, upstream: Upstream, trust: ITrust) -> None:
        self._reactor = reactor
        self._upstream = upstream
        self._trust = trust
        self._known: dict[Place, list[IPv4Address | IPv6Address]] = {}
        self._failed: dict[IAddress, int] = {}
        self._last: tuple[IAddress, IProtocol] | None = None
        for place in upstream.places:
            self._way(place, IPv4Address("TCP", "192.0.2.1", place.port))

    def __str__(self) -> str:
        """Where it connects to."""
        return str(self._upstream)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fires with the protocol, or fails as the last address that was tried did."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        self._judgeLast()
        found = await gatherResults([self._resolve(place) for place in self._upstream.places])
        ways = list({way.address: way for part in found for way in part}.values())
        if not ways:
            hosts = " and ".join(place.host for place in self._upstream.places)
            raise DNSLookupError(f"no address is known for {hosts}")
        self._failed = {way.address: self._failed.get(way.address, 0) for way in ways}
        ways.sort(key=lambda way: self._failed[way.address])
        way, protocol = await _Race(self._reactor, ways, factory).won
        self._last = way.address, protocol
        if len(ways) > 1 and isinstance(protocol, EPProtocol):
            patience = SESSION_SECONDS * 2 ** self._failed[way.address]
            self._beImpatient(protocol, min(patience, SESSION_LONGEST_SECONDS))
        return protocol

    def _beImpatient(self, protocol: EPProtocol, seconds: float) -> None:
        """Give a connection up that is no session by then, so that the next address is tried."""
        reason = f"no session within {seconds:g} s, and there is another address"
        self._reactor.callLater(seconds, protocol.giveUpUnlessOpen, reason)

    def _judgeLast(self) -> None:
        """Count it against an address if its last connection never became a session."""
        if self._last is not None:
            address, protocol = self._last
            hadSession = not isinstance(protocol, EPProtocol) or protocol.wasOpen
            self._failed[address] = 0 if hadSession else self._failed[address] + 1
            self._last = None

    def _resolve(self, place: Place) -> Deferred[list[_Way]]:
        """The addresses of a place; none where its name is not known and never was."""
        try:
            literal = ip_address(place.host)
        except ValueError:
            resolved = _Resolved(partial(self._known.__setitem__, place))
            self._reactor.nameResolver.resolveHostName(resolved, place.host, place.port)
            resolved.done.addTimeout(RESOLVE_SECONDS, self._reactor, lambda *_: None)
            return resolved.done.addCallback(
                lambda _: [self._way(place, address) for address in self._known.get(place, ())]
            )
        kind = IPv4Address if literal.version == 4 else IPv6Address
        done: Deferred[list[_Way]] = Deferred()
        done.callback([self._way(place, kind("TCP", place.host, place.port))])
        return done

    def _way(self, place: Place, address: IPv4Address | IPv6Address) -> _Way:
        kind = TCP4ClientEndpoint if isinstance(address, IPv4Address) else TCP6ClientEndpoint
        plain = kind(self._reactor, address.host, address.port, CONNECT_SECONDS)
        hostname = None if self._upstream.identity else place.host
        return _Way(address, self._trust.clientEndpoint(plain, hostname))


@implementer(IResolutionReceiver)
class _Resolved:
    """Collects what a resolver finds.

    found: called with it, whenever that is, if it is anything.
    done: fires when there is no more.
    """

    def __init__(self, found: Callable[[list[IPv4Address | IPv6Address]], None]) -> None:
        self.done: Deferred[None] = Deferred()
        self._tell = found
        self._found: list[IPv4Address | IPv6Address] = []

    def resolutionBegan(self, resolutionInProgress: object) -> None:
        """The resolver has begun."""

    def addressResolved(self, address: IAddress) -> None:
        """One address."""
        if isinstance(address, IPv4Address | IPv6Address):
            self._found.append(address)

    def resolutionComplete(self) -> None:
        """There are no more."""
        if self._found:
            self._tell(self._found)
        self.done.callback(None)


class _Race:
    """Connects one way after the other, until one is up or all have failed.

    won: fires with the first that is up and its protocol; cancel it to stop.
    """

    def __init__(
        self, clock: IReactorTime, ways: Iterable[_Way], factory: IProtocolFactory
    ) -> None:
        self.won: Deferred[tuple[_Way, IProtocol]] = Deferred(lambda _: self._stop())
        self._clock = clock
        self._factory = factory
        self._waiting = deque(ways)
        self._pending: dict[_Way, Deferred[IProtocol]] = {}
        self._next: IDelayedCall | None = None
        self._over = False
        self._begin()

    def _begin(self) -> None:
        self._next = None
        way = self._waiting.popleft()
        attempt = self._pending[way] = way.endpoint.connect(self._factory)
        if self._waiting:
            self._next = self._clock.callLater(STAGGER_SECONDS, self._begin)
        attempt.addCallbacks(self._up, self._down, callbackArgs=(way,), errbackArgs=(way,))

    def _up(self, protocol: IProtocol, way: _Way) -> None:
        del self._pending[way]
        self._stop()
        self.won.callback((way, protocol))

    def _down(self, failure: Failure, way: _Way) -> None:
        del self._pending[way]
        if self._over:
            return
        if self._waiting:
            if self._next is not None:
                self._next.cancel()
            self._begin()
        elif not self._pending:
            self.won.errback(failure)

    def _stop(self) -> None:
        """Begin nothing more, and cancel what is under way."""
        self._over = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        for attempt in tuple(self._pending.values()):
            attempt.cancel()
