"""What integrators test their own devices with: no network, no waiting, real TLS.

`issueTrusts` makes an authority and certificates in a folder; `MemoryPair` connects a dialling and
a listening factory in memory, over real TLS 1.3, on a clock that only moves when told to::

    trusts = issueTrusts(Path(self.mktemp()), "my-device", "router")
    pair = MemoryPair(clientFactory, serverFactory, clock)
    pair.advance(1.0)

`Relay` stands between two programs on real sockets and misbehaves when told to: it delays, stalls,
drops and cuts::

    relay = Relay(HostnameEndpoint(reactor, "127.0.0.1", 56540), reactor)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(relay)
    relay.stall()
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer

from epnet.factory import EPFactory
from epnet.pki import initAuthority, issueCertificate
from epnet.protocol import EPProtocol
from epnet.tls import Trust
from epnet.trust.sources import TrustSources

if TYPE_CHECKING:
    from twisted.internet.tcp import Connection


def issueTrusts(folder: Path, *identities: str) -> dict[str, Trust]:
    """Make an authority and a certificate for each identity; give their trust policies."""
    authority = initAuthority(folder)
    trusts = {}
    for identity in identities:
        files = issueCertificate(authority, identity, out=folder / "certificates")
        trusts[identity] = TrustSources.ofAuthority(identity, files).load()
    return trusts


class MemoryPair:
    """A dialling and a listening end, connected in memory over TLS.

    client, server: the two protocols.
    clock: the clock of both; move it with `advance`, so that bytes move too.
    """

    STEP = 0.01

    def __init__(self, client: EPFactory, server: EPFactory, clock: Clock) -> None:
        self.clock = clock
        dialling = _wrapped(client.trust.clientFactory(client, clock=clock))
        accepting = _wrapped(server.trust.serverFactory(server, clock=clock))
        self.client = _inner(dialling)
        self.server = _inner(accepting)
        self._ends = (makeFakeServer(accepting), makeFakeClient(dialling))
        self._cut = False
        self._pump: IOPump = connect(accepting, self._ends[0], dialling, self._ends[1])
        self.settle()

    def settle(self) -> None:
        """Let everything that is under way arrive, without time passing."""
        for _ in range(100):
            self.clock.advance(0)
            if not (self._dropAll() if self._cut else self._pump.pump()):
                break

    def advance(self, seconds: float) -> None:
        """Let time pass, with bytes arriving all along."""
        until = self.clock.seconds() + seconds - self.STEP / 2
        while self.clock.seconds() < until:
            self.clock.advance(self.STEP)
            self.settle()

    def cut(self) -> None:
        """Break the line without telling either end, as a pulled cable does."""
        self._cut = True

    def _dropAll(self) -> bool:
        """What a line that is cut does: bytes vanish, and each end closes by itself alone."""
        for end in self._ends:
            end.getOutBuffer()
            if end.disconnecting and not end.disconnected:
                end.disconnected = True
                end.reportDisconnect()
        return False


def _wrapped(factory: TLSMemoryBIOFactory) -> TLSMemoryBIOProtocol:
    protocol = factory.buildProtocol(None)
    assert isinstance(protocol, TLSMemoryBIOProtocol)
    return protocol


def _inner(outer: TLSMemoryBIOProtocol) -> EPProtocol:
    protocol: IProtocol = outer.wrappedProtocol
    assert isinstance(protocol, EPProtocol)
    return protocol


class Relay(Factory):
    """A TCP relay that misbehaves when told to; it knows nothing of what it carries.

    endpoint: where each connection that it accepts is carried on to.
    clock: for the delay.
    delay: seconds that bytes take through the relay, 0 or more; may change at any time, and bytes
        never overtake one another.

    What it is told holds for all its connections, both ways, and for those to come.
    """

    noisy = False

    def __init__(self, endpoint: IStreamClientEndpoint, clock: IReactorTime) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.delay = 0.0
        self.stalled = False
        self.dropping = False
        self.ends: set[_RelayEnd] = set()

    def buildProtocol(self, addr: IAddress | None) -> _RelayEnd:
        """Take a connection, and carry it on."""
        end = _RelayEnd(self)
        end.onward = self.endpoint.connect(Factory.forProtocol(lambda: _RelayEnd(self, end)))
        end.onward.addErrback(lambda _: end.hangUp())
        return end

    def stall(self) -> None:
        """Let nothing through until `resume`, neither bytes nor the end of a connection."""
        self.stalled = True
        self._tellAll()

    def resume(self) -> None:
        """Carry on after `stall`, with all that has been held up."""
        self.stalled = False
        self._tellAll()

    def drop(self) -> None:
        """Let everything vanish, bytes and the end of a connection, as a black hole does.

        TLS does not survive missing bytes: to go on, `cut`.
        """
        self.dropping = True

    def cut(self) -> None:
        """Reset every connection, and treat new ones well: neither stalled, dropped nor delayed."""
        self.stalled = self.dropping = False
        self.delay = 0.0
        for end in tuple(self.ends):
            end.reset()

    def _tellAll(self) -> None:
        for end in tuple(self.ends):
            end.follow()


class _RelayEnd(Protocol):
    """One end of a relayed connection; what it reads is for the other end to write.

    It reads only while there is another end.
    """

    EARLY_SECONDS = 1e-6
    """A call that is scheduled for a time may come early by rounding."""

    transport: Connection

    def __init__(self, relay: Relay, other: _RelayEnd | None = None) -> None:
        self.onward: Deferred[Any] | None = None
        self._relay = relay
        self._other = other
        self._call: IDelayedCall | None = None
        self._pieces: deque[tuple[float, bytes | None]] = deque()
        self._dueAt = 0.0
        self._up = False

    def connectionMade(self) -> None:
        """A connection; the two ends know each other once the second one is up."""
        self._up = True
        self._relay.ends.add(self)
        self.transport.setTcpNoDelay(True)
        if self._other is not None:
            self._other.meet(self)
        self.follow()

    def meet(self, other: _RelayEnd) -> None:
        """The other end is up, perhaps after this one has gone."""
        self._other = other
        if self._up:
            self.follow()
        else:
            other.hangUp()

    def follow(self) -> None:
        """Read, and take what the other end holds, or do not, as the relay says."""
        if self._relay.stalled or self._other is None:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()
            self._other._deliver()

    def dataReceived(self, data: bytes) -> None:
        """Bytes for the other end."""
        self._pass(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """This end is gone: so will be the other, after what is still under way."""
        self._up = False
        self._relay.ends.discard(self)
        if self._other is None:
            if self.onward is not None:
                self.onward.cancel()
        elif self._other._up:
            self._pass(None)
        else:
            self._forget()
            self._other._forget()

    def hangUp(self) -> None:
        """Close this end in order."""
        if self._up:
            self.transport.loseConnection()

    def reset(self) -> None:
        """Close this end by force."""
        self.transport.abortConnection()

    def _pass(self, piece: bytes | None) -> None:
        """Let the other end have it when it is due; None is the end of the connection."""
        if self._relay.dropping:
            return
        self._dueAt = max(self._dueAt, self._relay.clock.seconds() + self._relay.delay)
        self._pieces.append((self._dueAt, piece))
        self._deliver()

    def _deliver(self) -> None:
        """Let the other end have all that is due, and come back for the rest."""
        now = self._relay.clock.seconds()
        while self._pieces and not self._relay.stalled:
            dueAt, piece = self._pieces[0]
            if dueAt > now + self.EARLY_SECONDS:
                self._comeBack(dueAt - now)
                break
            self._pieces.popleft()
            assert self._other is not None
            if piece is None:
                self._other.hangUp()
            elif self._other._up:
                self._other.transport.write(piece)

    def _comeBack(self, seconds: float) -> None:
        if self._call is None:
            self._call = self._relay.clock.callLater(seconds, self._back)

    def _back(self) -> None:
        self._call = None
        self._deliver()

    def _forget(self) -> None:
        """Nobody is left to have what is under way."""
        self._pieces.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None
