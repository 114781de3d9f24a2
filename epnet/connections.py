"""All the connections of one node: its pulse, the register of its peers, and redialling.

`Connections` holds every live protocol of a node, whichever side dialled.  Every 20 ms it looks at
all deadlines in one sweep, then lets the node act on what expired, then lets publications go out:
no connection has a timer of its own, and no message touches one.

A `Dialler` keeps one dialled connection up, with the patience of a `Backoff`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from epnet.door import Doorkeeper
from epnet.duplicates import Register
from epnet.errors import PeerError
from epnet.identity import Peer
from epnet.interfaces import INode
from epnet.lifecycle import Cause, Ending
from epnet.limits import ConnectionLimits
from epnet.wire import Diagnostic

if TYPE_CHECKING:
    from epnet.factory import EPClientFactory
    from epnet.protocol import EPProtocol

SWEEP_SECONDS: Final = 0.02
LATE_SWEEPS: Final = 3
"""Sweeps at once (40 ms late) after which all sockets are read before anyone is judged (S12)."""
STOP_SECONDS: Final = 4.0
"""How long the orderly end of all sessions may take when the node stops."""
LOOK_AGAIN_SECONDS: Final = 1.0
"""How often a dialler looks whether the connection that its peer dialled still stands."""


class Connections(Service):
    """Every live connection of one node.

    node: what stands behind them.
    clock: the one clock.
    limits: how many connections it takes.
    doorkeeper: knows those who are not validated yet.
    register: the validated sessions; at most one with each peer is announced to the node.
    deviations: how often each diagnostic code came up.
    messages: how many of the node's messages of each type were sent and received, by
        ``(type, direction)``; Pings, greetings and goodbyes are not among them.
    losses: how many transfers were lost, by cause.
    expiries: when what we present and whom we trust expire; set by whoever keeps the trust.
    """

    log = Logger()

    def __init__(
        self, node: INode, clock: IReactorTime, limits: ConnectionLimits | None = None
    ) -> None:
        self.node = node
        self.clock = clock
        self.limits = limits or ConnectionLimits()
        self.doorkeeper = Doorkeeper(clock, self.limits)
        self.register = Register(node.parameters.identity)
        self.deviations: Counter[str] = Counter()
        self.messages: Counter[tuple[str, str]] = Counter()
        self.losses: Counter[str] = Counter()
        self.expiries: Mapping[str, datetime] = {}
        self._protocols: dict[EPProtocol, None] = {}
        self._sweep: LoopingCall = LoopingCall.withCount(self._swept)
        self._sweep.clock = clock
        self._stalled = False
        self._pulsedAt = clock.seconds()
        self._emptied: Deferred[None] | None = None

    def __iter__(self) -> Iterator[EPProtocol]:
        """The live protocols, oldest first."""
        return iter(tuple(self._protocols))

    def seconds(self) -> float:
        """The time of the one clock, in s."""
        return self.clock.seconds()

    # The service

    def startService(self) -> None:
        """Begin to sweep."""
        super().startService()
        self._pulsedAt = self.seconds()
        if getattr(self.clock, "seconds", None) is time.time:
            self.log.warn(
                "this clock follows the wall clock, and leases of power with it: give a reactor "
                "from epnet.clock.steadyReactor"
            )
        self._sweep.start(SWEEP_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:
        """Leave every session in order, `reconnect` true; fires when all are gone."""
        super().stopService()
        self._emptied = Deferred()
        self.doorkeeper.close()
        deadline = self.clock.callLater(STOP_SECONDS, self._abortAll)
        for protocol in self:
            protocol.disconnect("shutting down", reconnect=True)

        def stopped(_: None) -> None:
            if deadline.active():
                deadline.cancel()
            if self._sweep.running:
                self._sweep.stop()

        self._emptied.addCallback(stopped)
        self._tellIfEmpty()
        return self._emptied

    def _abortAll(self) -> None:
        for protocol in self:
            protocol.transport.abortConnection()

    def _tellIfEmpty(self) -> None:
        if self._emptied is not None and not self._protocols and not self._emptied.called:
            self._emptied.callback(None)

    # The register

    def add(self, protocol: EPProtocol) -> None:
        """A connection was made."""
        self._protocols[protocol] = None

    def discard(self, protocol: EPProtocol) -> None:
        """A connection is gone."""
        self._protocols.pop(protocol, None)
        self._tellIfEmpty()

    def admit(self, peer: Peer, protocol: EPProtocol) -> Peer:
        """Let a validated peer in.

        Raises `PeerError` if it calls itself what we do, or if we have as many sessions as we take.
        Whom we dialled is always let in, and so is who has a session: it may have restarted.
        """
        if peer.identity == self.node.parameters.identity:
            raise PeerError(f"it calls itself {peer.identity}, which is our own identity")
        if not protocol.factory.dials and peer.identity not in self.register:
            self._checkRoom(protocol.origin)
        return peer

    def _checkRoom(self, origin: str) -> None:
        origins = [each.origin for each in self if each.session.peer is not None]
        if len(origins) >= self.limits.connections:
            raise PeerError(f"we have {len(origins)} sessions, as many as we take")
        if origins.count(origin) >= self.limits.perAddress:
            raise PeerError(
                f"we have {self.limits.perAddress} sessions with {origin or 'one place'}, as many "
                "as we take from one address"
            )

    def deviation(self, protocol: EPProtocol, diagnostic: Diagnostic) -> None:
        """Count a deviation from the specs; the first of its kind is logged."""
        self.deviations[diagnostic.code] += 1
        if self.deviations[diagnostic.code] == 1:
            self.log.warn(
                "{address} deviates from the specs: {diagnostic.text} ({diagnostic.code} at"
                " {diagnostic.path}); counted from now on",
                address=protocol.address,
                diagnostic=diagnostic,
            )

    # The pulse

    def _swept(self, sweeps: int) -> None:
        # After a stall of our own, what has arrived meanwhile is still in the sockets: the reactor
        # reads them before the next sweep.  That one judges in any case.
        self._stalled = sweeps >= LATE_SWEEPS and not self._stalled
        if not self._stalled:
            self._pulse()
            self._pulsedAt = self.seconds()

    def unreadSince(self) -> float:
        """How long bytes that are read now may have waited: since this time, in s.

        After a stall they are as old as the last pulse for all we know, and no fresh consent (S8).
        """
        now = self.seconds()
        return now if now - self._pulsedAt < LATE_SWEEPS * SWEEP_SECONDS else self._pulsedAt

    def _pulse(self) -> None:
        now = self.seconds()
        self._guarded((), self.doorkeeper.advance, now)
        for protocol in self:
            self._guarded([protocol], protocol.advance, now)
        self.register.settle(now)
        self._guarded(self, self.node.advance, now)
        for protocol in self:
            self._guarded([protocol], protocol.publishIfDue, now)

    def _guarded(
        self, endangered: Iterable[EPProtocol], call: Callable[[float], None], now: float
    ) -> None:
        """A bug never stops the pulse; it ends the connections that it leaves unguarded.

        An error in the hooks of one protocol ends that connection.  A node that cannot act on what
        expired must not let power flow, so an error there ends them all.
        """
        try:
            call(now)
        except Exception:
            for protocol in endangered:
                protocol.fail()


class Backoff:
    """How long to wait before dialling again (wire-profile M3).

    At once after a transfer was lost.  Otherwise from 100 ms, doubling to 30 s, with jitter; anew
    from 100 ms after a session that lasted a minute, or that the peer ended with `reconnect` true.
    Where the peer said `reconnect` false: 5 min, doubling to 1 h.

    jitter: gives a factor for each delay; by default between 0.5 and 1.
    """

    FIRST: Final = 0.1
    LONGEST: Final = 30.0
    UNWANTED_FIRST: Final = 300.0
    UNWANTED_LONGEST: Final = 3600.0
    STABLE_SECONDS: Final = 60.0

    def __init__(self, jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0)) -> None:
        self._jitter = jitter
        self._next = self.FIRST
        self._nextUnwanted = self.UNWANTED_FIRST

    def delay(self, ending: Ending | None, lasted: float) -> float:
        """Seconds to wait after a session that ended so (None: none came about).

        lasted: how long the session was open, in s.
        """
        if lasted >= self.STABLE_SECONDS:
            self._next = self.FIRST
            self._nextUnwanted = self.UNWANTED_FIRST
        if ending is not None and ending.wasOpen:
            if ending.cause is Cause.LOST and ending.inTransfer:
                return 0.0
            if ending.cause is Cause.PEER_LEFT and ending.reconnect is False:
                delay, self._nextUnwanted = (
                    self._nextUnwanted,
                    min(self._nextUnwanted * 2, self.UNWANTED_LONGEST),
                )
                return delay
            if ending.reconnect is True:
                self._next = self.FIRST
        delay, self._next = self._next, min(self._next * 2, self.LONGEST)
        return delay * self._jitter()


class Dialler(Service):
    """Keeps a connection to one upstream device up (Ethernet/TCP §2).

    endpoint: where to dial, TLS included.
    factory: makes the protocols and knows how long to wait in between.

    When it stops it dials no more; the connection itself is left to `Connections`, which takes
    leave of the peer first.
    """

    log = Logger()

    def __init__(
        self, endpoint: IStreamClientEndpoint, factory: EPClientFactory, clock: IReactorTime
    ) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._clock = clock
        self._attempt: Deferred[IProtocol] | None = None
        self._wait: IDelayedCall | None = None
        factory.whenDisconnected = self._again

    def startService(self) -> None:
        """Dial."""
        super().startService()
        self._dial()

    def stopService(self) -> None:
        """Dial no more."""
        super().stopService()
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None
        if self._attempt is not None:
            self._attempt.cancel()

    def _dial(self) -> None:
        self._wait = None
        if self._factory.peerIdentity in self._factory.connections.register:
            # The peer dialled us, and one connection is enough: look again later.
            self._wait = self._clock.callLater(LOOK_AGAIN_SECONDS, self._dial)
            return
        self._attempt = self._endpoint.connect(self._factory)
        self._attempt.addCallbacks(self._connected, self._failed)

    def _connected(self, protocol: IProtocol) -> None:
        self._attempt = None

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        if self.running:
            self.log.warn(
                "{identity}: cannot connect: {reason}",
                identity=self._factory.node.parameters.identity,
                reason=self._factory.trust.describeFailure(failure),
            )
            self._again()

    def _again(self) -> None:
        if self.running:
            self._wait = self._clock.callLater(self._factory.redialDelay(), self._dial)
