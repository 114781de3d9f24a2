"""Connections in memory on which what is sent takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from epnet.door import Stranger
from epnet.protocol import EPProtocol


class Medium:
    """What all connections go through: it may stall, and then deliver what it held.

    stalledUntil: nothing arrives before that time, s.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.stalledUntil = 0.0

    def carry(self, latency: float, arrive: Callable[[], None]) -> None:
        """Let something arrive, in the order in which it was sent."""
        now = self.clock.seconds()
        self.clock.callLater(max(0.0, self.stalledUntil - now) + latency, arrive)


class Wire:
    """One connection between two devices, and its two ends."""

    def __init__(self, medium: Medium, latencies: tuple[float, float]) -> None:
        self.medium = medium
        self.ends = [Transport(self, latency) for latency in latencies]
        self.ends[0].other, self.ends[1].other = self.ends[1], self.ends[0]

    @property
    def isOpen(self) -> bool:
        """Whether both ends are there and have validated each other."""
        return self.whole and all(isPublishing(protocolOf(end)) for end in self.ends)

    @property
    def whole(self) -> bool:
        """Whether both ends are there."""
        return not any(end.closed or end.vanished for end in self.ends)


class Transport:
    """One end of a wire, as its protocol sees it.

    vanished: whether the device that had it is no more.
    """

    disconnecting = False

    def __init__(self, wire: Wire, latency: float) -> None:
        self.wire = wire
        self.latency = latency
        self.protocol: Any = None
        self.other: Transport = self
        self.closed = self.vanished = False

    def write(self, data: bytes) -> None:
        if not (self.closed or self.vanished):
            self._send(lambda: self.other._hear(data))

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self._close(ConnectionDone())

    def abortConnection(self) -> None:
        self._close(ConnectionLost())

    def crash(self) -> None:
        """The device is no more, and its system resets the connection."""
        self._send(lambda: self.other._lose(ConnectionLost()))
        self.vanished = True

    def _close(self, reason: Exception) -> None:
        if not (self.closed or self.vanished):
            self._send(lambda: self.other._lose(reason))
            self.wire.medium.clock.callLater(0, self._lose, reason)

    def _send(self, arrive: Callable[[], None]) -> None:
        self.wire.medium.carry(self.latency, arrive)

    def _hear(self, data: bytes) -> None:
        if not (self.closed or self.vanished):
            self.protocol.dataReceived(data)

    def _lose(self, reason: Exception) -> None:
        if not (self.closed or self.vanished):
            self.closed = True
            if self.protocol is not None:
                self.protocol.connectionLost(Failure(reason))

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 56540)

    getHost = getPeer

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """All that is written leaves at once."""

    def unregisterProducer(self) -> None:
        """As `registerProducer`."""

    def pauseProducing(self) -> None:
        """What arrives meanwhile is held by who paused it."""

    def resumeProducing(self) -> None:
        """As `pauseProducing`."""


def protocolOf(end: Transport) -> EPProtocol | None:
    """The EP protocol at the end of a wire, once there is one."""
    protocol = end.protocol
    if isinstance(protocol, Stranger):
        return protocol.protocol
    return getattr(protocol, "wrappedProtocol", None)


def isPublishing(protocol: EPProtocol | None) -> bool:
    """Whether its session is open."""
    return protocol is not None and hasattr(protocol, "session") and protocol.session.publishing
