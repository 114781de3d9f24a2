"""Data lines in virtual time: real sessions and real diallers; only TLS is left out.

A `Line` carries the connections that one node dials to another.  Bytes take their time on it and
stay in order, as TCP's do.  It can stall, as a cable that is plugged in again before anyone gives
up, lose everything, as one that is not, and reset what is on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from epnet.dialler import Backoff, Dialler
from epnet.errors import PeerError
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.identity import Peer
from epnet.protocol import EPProtocol
from epnet.testing import VirtualClock
from epnet.wire import SessionParameters

WINDOW_BYTES = 8192
"""How much may be under way in one direction; then its writer is told to pause."""

REFUSED_SECONDS = 0.2
"""How long it takes to see that nobody can be reached."""


class BelievingTrust:
    """Believes whatever a peer says of itself, as if its certificate said it."""

    def authenticate(
        self, parameters: SessionParameters, transport: object, *, expected: str | None
    ) -> Peer:
        if expected not in (None, parameters.identity):
            raise PeerError(f"it is {parameters.identity}, not {expected}")
        tenant = parameters.tenant
        return Peer(parameters.identity, tenant, None, True, parameters, None)

    def describeFailure(self, failure: Failure) -> str:
        return failure.getErrorMessage()


@implementer(ITransport, IConsumer)
class End:
    """One end of one connection, as a transport."""

    other: End

    def __init__(self, line: Line, protocol: EPProtocol) -> None:
        self.protocol = protocol
        self._line = line
        self._producer: IPushProducer | None = None
        self._paused = False
        self._under: deque[bytes] = deque()
        self._bytes = 0
        self._lastAt = 0.0
        self.over = False

    # What the protocol calls

    def write(self, data: bytes) -> None:
        if self.over:
            return
        self._under.append(data)
        self._bytes += len(data)
        if self._bytes > WINDOW_BYTES and self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()
        if not self._line.stalled:
            self._schedule()

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self._hangUp(ConnectionDone())

    def abortConnection(self) -> None:
        self._hangUp(ConnectionLost())

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def getPeer(self) -> str:
        return "the other end of a line"

    def getHost(self) -> str:
        return "this end of a line"

    # What happens on the way

    def _schedule(self) -> None:
        """Let what is written arrive in its time, after all that was written before."""
        clock = self._line.clock
        self._lastAt = max(self._lastAt, clock.seconds() + self._line.delay())
        clock.callLater(self._lastAt - clock.seconds(), self._arrive)

    def _arrive(self) -> None:
        if self._line.stalled or not self._under:
            return
        data = self._under.popleft()
        self._bytes -= len(data)
        if self._paused and self._bytes <= WINDOW_BYTES // 2:
            self._paused = False
            if self._producer is not None:
                self._producer.resumeProducing()
        if not self.other.over and not self._line.severed(self):
            self.other.protocol.dataReceived(data)

    def resume(self) -> None:
        """What was held back is on its way again."""
        for _ in range(len(self._under)):
            self._schedule()

    def _hangUp(self, reason: Exception) -> None:
        if self.over:
            return
        clock = self._line.clock
        self.over = True
        clock.callLater(0, self.protocol.connectionLost, Failure(reason))
        if not self._line.severed(self):
            # Behind all that was written.
            due = max(self._lastAt, clock.seconds() + self._line.delay())
            clock.callLater(due - clock.seconds(), self.other.drop, reason)

    def drop(self, reason: Exception) -> None:
        """The connection is gone, and this end gets to know."""
        if self.over or self._line.severed(self):
            return
        if self._line.stalled:
            self._line.clock.callLater(0.05, self.drop, reason)
            return
        self.over = True
        self.protocol.connectionLost(Failure(reason))


@implementer(IStreamClientEndpoint)
class Line:
    """A way for one node to dial another.

    delay: gives how long each piece takes, s.
    stalled: nothing arrives, and nothing is lost.
    """

    def __init__(
        self,
        clock: VirtualClock,
        listening: EPServerFactory,
        delay: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.clock = clock
        self.delay = delay
        self.stalled = False
        self.isCut = False
        self._listening = listening
        self._ends: set[End] = set()
        self._lost: set[End] = set()

    def connect(self, factory: Factory) -> Deferred[EPProtocol]:
        """Dial; nobody answers on a line that is cut."""
        connected: Deferred[EPProtocol] = Deferred()
        if self.isCut or self.stalled:
            self.clock.callLater(REFUSED_SECONDS, self._refuse, connected)
            return connected
        dialling = factory.buildProtocol(None)
        accepting = self._listening.buildProtocol(None)
        assert isinstance(dialling, EPProtocol) and isinstance(accepting, EPProtocol)
        near, far = End(self, dialling), End(self, accepting)
        near.other, far.other = far, near
        self._ends = {end for end in self._ends if not end.over} | {near, far}
        for end in (far, near):
            end.protocol.makeConnection(end)  # type: ignore[arg-type]
        for end in (far, near):
            self.clock.callLater(2 * self.delay(), self._secured, end)
        connected.callback(dialling)
        return connected

    @staticmethod
    def _refuse(connected: Deferred[EPProtocol]) -> None:
        if not connected.called:
            connected.errback(Failure(ConnectionRefusedError()))

    @staticmethod
    def _secured(end: End) -> None:
        if not end.over:
            end.protocol.handshakeCompleted()

    def severed(self, end: End) -> bool:
        """Whether nothing passes on the connection of this end any more."""
        return end in self._lost

    # What may happen to it

    def stall(self) -> None:
        """Hold back whatever is on the way."""
        self.stalled = True

    def resume(self) -> None:
        """Let it arrive."""
        self.stalled = False
        for end in tuple(self._ends):
            end.resume()

    def cut(self) -> None:
        """Lose everything for good, and tell neither end."""
        self.isCut = True
        self._lost |= self._ends

    def mend(self) -> None:
        """New connections can be made again."""
        self.isCut = False
        self._lost = {end for end in self._lost if not end.over}

    def reset(self) -> None:
        """End all connections at both ends, at once."""
        for end in tuple(self._ends):
            end.drop(ConnectionLost())


def keepDialled(line: Line, factory: EPClientFactory) -> Dialler:
    """Dial a line, and again whenever the connection is gone."""
    return Dialler(line, factory, line.clock)


def steadyBackoff() -> Backoff:
    """A back-off without chance in it."""
    return Backoff(jitter=lambda: 1.0)
