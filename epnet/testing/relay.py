"""A TCP relay on real sockets that misbehaves when told to."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from twisted.internet.tcp import Connection


class Relay(Factory):
    """A TCP relay that misbehaves when told to; it knows nothing of what it carries.

    What it is told holds for all its connections, both ways, and for those to come.

    endpoint: where each connection that it accepts is carried on to.
    clock: for the delay.
    delay: seconds that bytes take through the relay, 0 or more; may change at any time.  Bytes
    never overtake one another.
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
