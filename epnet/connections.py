"""All the connections of one node: its pulse, and the register of its peers.

`Connections` holds every live protocol of a node, whichever side dialled.  Every 20 ms it looks at
all deadlines in one sweep, then lets the node act on what expired, then lets publications go out:
no connection has a timer of its own, and no message touches one.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from epnet.door import Doorkeeper
from epnet.duplicates import Register
from epnet.errors import PeerError
from epnet.identity import Peer
from epnet.interfaces import INode
from epnet.limits import ConnectionLimits, SessionSettings
from epnet.socketpoll import SocketPoll
from epnet.turns import Turns
from epnet.wire import Diagnostic, Message

if TYPE_CHECKING:
    from epnet.protocol import EPProtocol

SWEEP_SECONDS: Final = 0.02
LATE_SWEEPS: Final = 3
"""Sweeps at once (40 ms late) after which all sockets are read before anyone is judged (S12)."""
SENT_TOGETHER: Final = 64
"""How many publications are made before these are sent."""
PIECES_TOGETHER: Final = 16
"""How many pieces of peers that send more than one at a time are taken in one go."""
PIECES_PAUSE_SECONDS: Final = 0.005
"""The time in between: so they take a tenth of our time at most, however many send however much,
and less where we are busy."""
STOP_SECONDS: Final = 4.0
"""How long the orderly end of all sessions may take when the node stops."""


class Connections(Service):
    """Every live connection of one node.

    node: what stands behind them.
    clock: the one clock.
    limits: how many connections it takes.
    sessionSettings: times and limits of each session, unless its factory has others; see
        `setSessions`.
    doorkeeper: knows those who are not validated yet.
    readers: where what is read of peers that send much at a time waits for its turn.
    socketPoll: what reads from the sockets of sessions; None where the reactor does.
    register: the validated sessions; at most one with each peer is announced to the node.
    deviations: how often each diagnostic code came up.
    sent, received: how many of the node's messages of each type there were; Pings, greetings and
        goodbyes are not among them.
    losses: how many transfers were lost, by cause.
    patience: how long a peer may be silent in a transfer, by its identity, where that is not what
        these settings say.
    misconfigured: what is wrong with the configuration file, so that it is not in force; set by
        whoever keeps it.
    expiries: when what we present and whom we trust expire; set by whoever keeps the trust.
    """

    log = Logger()

    def __init__(
        self, node: INode, clock: IReactorTime, limits: ConnectionLimits | None = None
    ) -> None:
        self.node = node
        self.clock = clock
        self.limits = limits or ConnectionLimits()
        self.sessionSettings = SessionSettings()
        self.doorkeeper = Doorkeeper(clock, self.limits)
        self.readers = Turns(clock, PIECES_TOGETHER, PIECES_PAUSE_SECONDS, part=0.0)
        self.socketPoll = SocketPoll.on(clock)
        self.register = Register(node.parameters.identity)
        self.deviations: Counter[str] = Counter()
        self.sent: Counter[type[Message]] = Counter()
        self.received: Counter[type[Message]] = Counter()
        self.losses: Counter[str] = Counter()
        self.patience: Mapping[str, float] = {}
        self.misconfigured: Sequence[str] = ()
        self.expiries: Mapping[str, datetime] = {}
        self._wakes: dict[EPProtocol, float] = {}
        self._sessions: set[EPProtocol] = set()
        self._sessionsFrom: Counter[str] = Counter()
        self._sweep: LoopingCall = LoopingCall.withCount(self._swept)
        self._sweep.clock = clock
        self._stalled = False
        self._failing: list[Callable[[float], None]] = []
        self._pulsedAt = clock.seconds()
        self._held: list[tuple[EPProtocol, bytes]] | None = None
        self._emptied: Deferred[None] | None = None

    def __iter__(self) -> Iterator[EPProtocol]:
        """The live protocols, oldest first."""
        return iter(tuple(self._wakes))

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
        if self._emptied is not None and not self._wakes and not self._emptied.called:
            self._emptied.callback(None)

    # The register

    def add(self, protocol: EPProtocol) -> None:
        """A connection was made."""
        self._wakes[protocol] = -inf

    def wake(self, protocol: EPProtocol) -> None:
        """Look at a connection in the next pulse: its session sleeps no longer."""
        if protocol in self._wakes:
            self._wakes[protocol] = -inf

    def opened(self, protocol: EPProtocol) -> None:
        """The peer of a connection is validated: from now on it counts as a session."""
        self._sessions.add(protocol)
        self._sessionsFrom[protocol.origin] += 1
        self.register.opened(protocol, self.seconds())

    def discard(self, protocol: EPProtocol) -> None:
        """A connection is gone."""
        self._wakes.pop(protocol, None)
        if protocol in self._sessions:
            self._sessions.remove(protocol)
            self._sessionsFrom[protocol.origin] -= 1
            if not self._sessionsFrom[protocol.origin]:
                del self._sessionsFrom[protocol.origin]
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

    def setSessions(self, settings: SessionSettings, loss_ms: Mapping[str, float]) -> None:
        """Take other times and limits for all sessions, also those that are open.

        settings: those of all whose factory has no others.
        loss_ms: how long single peers may be silent in a transfer, by their identity, 200 to 400 ms
            (wire-profile S5).  It holds for peers whose identity somebody vouches for.

        Consent stays good for 200 ms: for a peer that is silent for longer, power is ramped down
        in between, and its session kept.  Raises `UsageError` for a time out of range.
        """
        self.patience = {
            identity: SessionSettings(loss=milliseconds / 1000).loss
            for identity, milliseconds in loss_ms.items()
        }
        self.sessionSettings = settings
        for protocol in self:
            if protocol.session.publishing:
                protocol.takeSettings()

    def setLimits(self, limits: ConnectionLimits) -> None:
        """Take other limits from now on; who is connected stays."""
        self.limits = limits
        self.doorkeeper.setLimits(limits)

    def _checkRoom(self, origin: str) -> None:
        if len(self._sessions) >= self.limits.connections:
            raise PeerError(f"we have {len(self._sessions)} sessions, as many as we take")
        if self._sessionsFrom[origin] >= self.limits.perAddress:
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

    def unreadSince(self, now: float) -> float:
        """How long bytes that are read now may have waited: since this time, in s.

        After a stall they are as old as the last pulse for all we know, and no fresh consent (S8).
        """
        return now if now - self._pulsedAt < LATE_SWEEPS * SWEEP_SECONDS else self._pulsedAt

    def _pulse(self) -> None:
        now = self.seconds()
        self._guarded((), self.doorkeeper.advance, now)
        # Most of thousands only wait for their peer, and are not touched.
        awake = [protocol for protocol, wakeAt in self._wakes.items() if wakeAt <= now]
        for protocol in awake:
            try:
                protocol.advance(now)
            except Exception:
                protocol.fail()
        self._guarded((), self.register.settle, now)
        self._guarded(self, self.node.advance, now)
        self._publish(awake, now)
        for protocol in awake:
            if protocol in self._wakes:
                self._wakes[protocol] = protocol.session.wakeAt

    def _publish(self, awake: Sequence[EPProtocol], now: float) -> None:
        """Let what is due go out: a few are made, then these are sent, and so on.

        Making and sending by turns would cost a tenth more: each is other code on other memory.
        """
        for first in range(0, len(awake), SENT_TOGETHER):
            self._held = []
            for protocol in awake[first : first + SENT_TOGETHER]:
                try:
                    protocol.publishIfDue(now)
                except Exception:
                    protocol.fail()
            self.flush()

    def send(self, protocol: EPProtocol, data: bytes) -> None:
        """Send data of a protocol, at the latest with what else goes out in this pulse."""
        if self._held is None:
            protocol.transport.write(data)
        else:
            self._held.append((protocol, data))

    def flush(self) -> None:
        """Send what is held, and hold no more."""
        held, self._held = deque(self._held or ()), None
        while held:
            protocol, data = held.popleft()
            try:
                protocol.transport.write(data)
            except Exception:
                self._held = list(held)  # what is said because of it comes after that
                protocol.fail()
                held, self._held = deque(self._held or ()), None

    def _guarded(
        self, endangered: Iterable[EPProtocol], call: Callable[[float], None], now: float
    ) -> None:
        """A bug never stops the pulse; it ends the connections that it leaves unguarded.

        An error in the hooks of one protocol ends that connection.  A node that cannot act on what
        expired must not let power flow, so an error there ends them all.  One that ends none is
        logged the first time.
        """
        try:
            call(now)
        except Exception:
            if not endangered and call not in self._failing:
                self._failing.append(call)
                self.log.failure("error in our own code, in each pulse perhaps; told once")
            for protocol in endangered:
                protocol.fail()
