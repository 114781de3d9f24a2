"""Who knocks: accepted connections before their TLS stands (wire-profile S4).

A `Door` stands in place of the TLS factory where a node listens.  Behind it there is next to
nothing of a *stranger* until its first bytes arrive.  Its handshake is computed, and what is left
of it cleared away, when its turn comes (`epnet.turns`): in the order in which their bytes arrived,
with all other connections served in between.  So it is with its greeting, which takes about as
long.  So a storm of handshakes takes the time that the others leave, and makes nobody wait for
long.  Nobody holds a place while it is awaited.

The `Doorkeeper` of a node knows all strangers at all its doors, decides with `epnet.limits` who
makes room, and ends handshakes that take too long.
"""

from __future__ import annotations

from operator import sub
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Port
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from epnet.endpoints import originOf
from epnet.errors import PeerError
from epnet.lifecycle import Phase
from epnet.limits import ConnectionLimits, Strangers
from epnet.protocol import EPProtocol
from epnet.securitylog import securityLog
from epnet.turns import Turns

if TYPE_CHECKING:
    from twisted.internet.tcp import Connection

    from epnet.factory import EPFactory

ACCEPTED_TOGETHER: Final = 8
"""How many connections are accepted in a turn of the reactor; by itself it goes on to hundreds."""
REPORT_SECONDS: Final = 10.0
"""How often at most the log says how many strangers came to nothing."""
LINES: Final = 20
"""How many of them, and of sessions that nobody vouches for, have their own lines in that time."""


class Doorkeeper:
    """All strangers of one node.

    clock: the one clock.
    madeRoom: how many strangers had to make room so far.
    silent: how many never sent anything in the time that a handshake may take.
    untold: of how many more the log has no line of its own.
    """

    def __init__(self, clock: IReactorTime, limits: ConnectionLimits) -> None:
        self.madeRoom = 0
        self.silent = 0
        self.untold = 0
        self._clock = clock
        self._strangers: Strangers[Stranger] = Strangers(
            limits.strangers, limits.strangersPerAddress
        )
        self._turns = Turns(clock, limits.handshakes)
        self._accepting: set[Port] = set()
        self._linesLeft = LINES
        self._reported = (0, 0, 0)
        self._reportAt = 0.0

    def __len__(self) -> int:
        """How many strangers there are."""
        return len(self._strangers)

    def setLimits(self, limits: ConnectionLimits) -> None:
        """Take other limits from now on."""
        self._strangers.setMost(limits.strangers, limits.strangersPerAddress)
        self._turns.most = limits.handshakes

    def seconds(self) -> float:
        """The time of the one clock, in s."""
        return self._clock.seconds()

    def accepted(self, port: Port) -> None:
        """A port accepts connections: let there be few in a turn, whatever waits there."""
        if not self._accepting:
            self._clock.callLater(0, self._slowDown)
        self._accepting.add(port)

    def _slowDown(self) -> None:
        for port in self._accepting:
            port.numberAccepts = ACCEPTED_TOGETHER
        self._accepting.clear()

    def arrived(self, stranger: Stranger) -> None:
        """One more; the oldest makes room where there are too many."""
        oldest = self._strangers.arrived(stranger, originOf(stranger.address))
        if oldest is not None:
            self.madeRoom += 1
            oldest.turnAway("too many connections that have not said who they are")

    def left(self, stranger: Stranger) -> None:
        """One is gone."""
        self._strangers.left(stranger)
        self._turns.forget(stranger)

    def known(self, stranger: Stranger) -> None:
        """One is no stranger any more; what it has said behind its greeting still has its turn."""
        self._strangers.left(stranger)

    def queue(self, stranger: Stranger) -> None:
        """There is something to compute: what it sent before its session is open, or it is gone."""
        self._turns.queue(stranger)

    def mayTell(self) -> bool:
        """Whether one more that nobody vouches for has a line in the log; else it is counted."""
        if self._linesLeft:
            self._linesLeft -= 1
            return True
        self.untold += 1
        return False

    def advance(self, now: float) -> None:
        """Look at the deadlines, and tell now and then of how many there is no line."""
        for stranger in self._strangers:
            stranger.advance(now)
        counts = self.madeRoom, self.silent, self.untold
        if now < self._reportAt or (counts == self._reported and self._linesLeft == LINES):
            return
        if counts != self._reported:
            madeRoom, silent, untold = map(sub, counts, self._reported)
            securityLog.warn(
                "connections that nobody vouches for: {madeRoom} made room for others, "
                "{silent} sent nothing in time, {untold} more have no line of their own",
                madeRoom=madeRoom,
                silent=silent,
                untold=untold,
                security=True,
            )
        self._reported, self._reportAt = counts, now + REPORT_SECONDS
        self._linesLeft = LINES

    def close(self) -> None:
        """Turn everybody away who has not even begun a session."""
        for stranger in self._strangers:
            if stranger.protocol is None:
                stranger.turnAway("shutting down")


class Door(Factory):
    """What a node listens with: its doorkeeper before TLS.

    doorkeeper: that of the node.
    wrapped: makes the TLS around an `EPProtocol`.
    """

    noisy = False

    def __init__(self, factory: EPFactory, clock: IReactorTime | None = None) -> None:
        """Stand before a factory.

        clock: decides when collected writes leave; None for the reactor.
        """
        self.doorkeeper = factory.connections.doorkeeper
        self._factory = factory
        self.wrapped = factory.trust.serverFactory(factory, clock=clock)

    @property
    def handshake(self) -> float:
        """The time for a handshake, in s."""
        return self._factory.sessionSettings.handshake

    def buildProtocol(self, addr: IAddress | None) -> Stranger:
        """Somebody knocks."""
        return Stranger(self, addr)

    def doStart(self) -> None:
        """Start the factories behind, too."""
        super().doStart()
        self.wrapped.doStart()

    def doStop(self) -> None:
        """Stop the factories behind, too."""
        super().doStop()
        self.wrapped.doStop()


class Stranger(Protocol):
    """One accepted connection: holds its bytes until their turn, until its session is open.

    address: where it comes from.
    protocol: the session's protocol, once its handshake has begun.
    """

    transport: Connection

    def __init__(self, door: Door, address: IAddress | None) -> None:
        self.address = address
        self.protocol: EPProtocol | None = None
        self._door = door
        self._tls: TLSMemoryBIOProtocol | None = None
        self._held = b""
        self._lost: Failure | None = None
        self._refusal: Failure | None = None
        self._since = door.doorkeeper.seconds()

    # Twisted's calls

    def connectionMade(self) -> None:
        """A connection; there may never be more of it."""
        port = getattr(self.transport, "server", None)
        if isinstance(port, Port):
            self._door.doorkeeper.accepted(port)
        self._door.doorkeeper.arrived(self)

    def dataReceived(self, data: bytes) -> None:
        """Of its handshake, or its greeting: wait for the turn, and read no more until then."""
        self._held += data
        self.transport.pauseProducing()
        self._door.doorkeeper.queue(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone; what hangs on a session ends at once, everything else in its turn."""
        self._door.doorkeeper.left(self)
        if self._tls is None or self.protocol is None:
            return
        self._lost = reason
        if self.protocol.wasOpen:
            self._clearAway(self._tls, reason)
        else:
            self._door.doorkeeper.queue(self)

    # The doorkeeper's calls

    def proceed(self) -> None:
        """Compute the answer to what it sent, or clear away what is left of it."""
        if self._lost is not None and self._tls is not None:
            self._clearAway(self._tls, self._lost)
            return
        self.transport.resumeProducing()
        held, self._held = self._held, b""
        tls = self._tls or self._begin()
        tls.dataReceived(held)
        if self.protocol is not None and self.protocol.wasOpen:
            self.dataReceived = tls.dataReceived  # type: ignore[method-assign]

    def giveUp(self) -> None:
        """An error of ours came up in its turn."""
        self.turnAway("an error at our end")

    def _clearAway(self, tls: TLSMemoryBIOProtocol, reason: Failure) -> None:
        """Tell those behind it, and let go of them: no garbage collector shall have to look.

        In a handshake that somebody breaks off TLS is left out.  It would look for what nobody
        said any more, and the exception about that would hold all of this in a circle.
        """
        shaking, self._tls = self._shaking(), None
        self.__dict__.pop("dataReceived", None)
        if shaking and (self._refusal or not self.transport.disconnecting):
            assert self.protocol is not None
            tls.factory.unregisterProtocol(tls)
            tls.getHandle().set_app_data(None)  # that was TLS
            self.protocol.connectionLost(self._refusal or reason)
        else:
            tls.connectionLost(reason)

    def _begin(self) -> TLSMemoryBIOProtocol:
        tls = self._door.wrapped.buildProtocol(self.address)
        assert isinstance(tls, TLSMemoryBIOProtocol)
        assert isinstance(tls.wrappedProtocol, EPProtocol)
        self._tls, self.protocol = tls, tls.wrappedProtocol
        self.protocol.whenKnown = lambda: self._door.doorkeeper.known(self)
        tls.makeConnection(self.transport)
        return tls

    def _shaking(self) -> bool:
        """Whether the handshake is still to come, or under way."""
        return self.protocol is None or self.protocol.session.phase is Phase.CONNECTING

    def advance(self, now: float) -> None:
        """Look at the time that the handshake takes; for the greeting the session does."""
        if now - self._since >= self._door.handshake and self._shaking():
            if self._tls is None:
                self._door.doorkeeper.silent += 1
            self.turnAway(f"no TLS handshake within {self._door.handshake:g} s")

    def turnAway(self, reason: str) -> None:
        """End the connection by force."""
        self._door.doorkeeper.left(self)
        if self._tls is None:
            self.transport.abortConnection()
        else:
            self._refusal = Failure(PeerError(reason))
            self._tls.failVerification(self._refusal)
