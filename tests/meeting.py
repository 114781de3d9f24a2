"""Two whole devices that dial each other over a network in memory, in virtual time.

Everything that runs in a device is the real thing: dialler, door, TLS, protocol, session, register,
connections and node.  Only the network is not: each connection takes a latency of its own in either
direction, and all of them may stall for a while and then deliver what they held.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint
from zope.interface import implementer

from epnet.connections import Connections
from epnet.dialler import Backoff, Dialler
from epnet.duplicates import REASON
from epnet.factory import EPPeerFactory
from epnet.interfaces import ILink
from epnet.lifecycle import Ending
from epnet.node import DeviceNode, parametersOf
from epnet.protocol import EPProtocol
from epnet.testing import VirtualClock
from epnet.tls import Trust
from epnet.wire import DemandParameters, SessionParameters, SupplyParameters
from tests.fakes import FakeDevice
from tests.wires import Medium, Transport, Wire, protocolOf

SUPPLY = SupplyParameters(voltage_limit=(200, 250), power_limit=5000)
DEMAND = DemandParameters(voltage=230, power_limit=3000)
SIDES = ("alpha", "beta")
OTHER = {"alpha": "beta", "beta": "alpha"}
STEP = 0.01
SETTLED_SECONDS = 3.0
"""How long it may take until there is exactly one connection, and how long there may be none."""


class Broken(AssertionError):
    """The rule does not hold."""


class WatchingNode(DeviceNode):
    """Remembers which links it was told of, and the most that it had at once.

    ended: called for each link that ends, before the device gets to know.
    """

    def __init__(
        self, device: FakeDevice, parameters: SessionParameters, clock: IReactorTime
    ) -> None:
        super().__init__(device, parameters, clock)
        self.live: list[ILink] = []
        self.most = 0
        self.ended: Callable[[ILink, Ending], None] = lambda link, ending: None

    def sessionOpened(self, link: ILink) -> None:
        self.live.append(link)
        self.most = max(self.most, len(self.live))
        super().sessionOpened(link)

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        self.live.remove(link)
        self.ended(link, ending)
        super().sessionClosed(link, ending)


@attrs.frozen
class Event:
    """Something that happens at a time, s.

    what: ``dial`` (once more, whatever there is), ``vanish`` (it stops and its connections are
        half-open), ``crash`` (it stops and its system resets them), ``stall`` (of the network).
    lasts: how long it is down, or the stall, s.
    """

    at: float
    side: str
    what: str
    lasts: float = 0.0


@attrs.frozen
class Schedule:
    """All that two devices do and have done to them.

    starts: when each side begins to dial, s; None where it only listens.
    named: whether they know from the start whom they dial.
    latencies: of the first connection from the dialling end, to it, of the second...; over and
        over, s.
    transfer: whether power flows.
    lawful: whether beta knows the rule.
    """

    starts: tuple[float | None, float | None]
    events: tuple[Event, ...] = ()
    named: bool = True
    latencies: tuple[float, ...] = (0.001,)
    transfer: bool = True
    lawful: bool = True


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Dials the other side over the network."""

    def __init__(self, network: Network, side: str) -> None:
        self.network = network
        self.side = side

    def connect(self, protocolFactory: Any) -> Deferred[IProtocol]:
        connected: Deferred[IProtocol] = Deferred(lambda _: None)
        self.network.dial(self.side, protocolFactory, connected)
        return connected


class Life:
    """A device from one start to the next."""

    def __init__(self, network: Network, side: str) -> None:
        self.network = network
        self.side = side
        schedule, clock = network.schedule, network.clock
        isSource = side == "alpha"
        wants = DEMAND if schedule.transfer else None
        self.device = FakeDevice(supply=SUPPLY) if isSource else FakeDevice(demand=wants)
        self.node = WatchingNode(self.device, parametersOf(self.device, side), clock)
        self.node.ended = self._linkEnded
        self.connections = Connections(self.node, clock)
        self.connections.startService()
        self.lawful = isSource or schedule.lawful
        if not self.lawful:  # it takes every connection as it comes, and closes none
            register = self.connections.register
            register.opened = lambda protocol, now: protocol.announce()  # type: ignore[method-assign]
        trust = network.trusts[side]
        self.door = EPPeerFactory.listening(self.connections, trust).door(clock)
        self.ends: list[Transport] = []
        self.dialler = Dialler(Endpoint(network, side), self.factory(), clock)

    def factory(self) -> EPPeerFactory:
        """Who makes what this side dials."""
        other = OTHER[self.side] if self.network.schedule.named else None
        trust = self.network.trusts[self.side]
        backoff = Backoff(lambda: 1.25 if self.side == "alpha" else 1.0)
        return EPPeerFactory(self.connections, trust, identity=other, backoff=backoff)

    def stop(self, *, crash: bool) -> None:
        """Stop as ``kill -9`` does, or as without power."""
        self.connections._sweep.stop()
        if self.dialler.running:
            self.dialler.stopService()
        for end in self.ends:
            if crash and not end.closed:
                end.crash()
            end.vanished = True

    @property
    def links(self) -> list[EPProtocol]:
        """The links the node knows."""
        return [link for link in self.node.live if isinstance(link, EPProtocol)]

    def _linkEnded(self, link: ILink, ending: Ending) -> None:
        assert isinstance(link, EPProtocol)
        if ending.inTransfer and REASON in ending.reason and self.lawful:
            wire = self.network.wireOf(link)
            if wire.whole:
                self.network.broken.append(f"{self.side} ended a live transfer")


class Network:
    """Both devices and all that is between them, from the first start to the end."""

    def __init__(self, schedule: Schedule, trusts: dict[str, Trust]) -> None:
        self.schedule = schedule
        self.trusts = trusts
        self.clock = VirtualClock()
        self.broken: list[str] = []
        self._latencies = cycle(schedule.latencies)
        self._medium = Medium(self.clock)
        self._wires: list[Wire] = []
        self._settledAt = 0.0
        self._known: list[Wire] = []
        self.lives: dict[str, Life | None] = {side: Life(self, side) for side in SIDES}
        for side, start in zip(SIDES, schedule.starts, strict=True):
            if start is not None:
                self.clock.callLater(start, self._startDialling, side)
        for event in schedule.events:
            self.clock.callLater(event.at, getattr(self, f"_{event.what}"), event)

    @property
    def now(self) -> float:
        return self.clock.seconds()

    # What happens

    def _startDialling(self, side: str) -> None:
        life = self.lives[side]
        if life is not None and not life.dialler.running:
            life.dialler.startService()

    def _dial(self, event: Event) -> None:
        life = self.lives[event.side]
        if life is not None:
            connected: Deferred[IProtocol] = Deferred()
            connected.addErrback(lambda _: None)
            self.dial(event.side, life.factory(), connected)

    def _vanish(self, event: Event) -> None:
        self._stop(event, crash=False)

    def _crash(self, event: Event) -> None:
        self._stop(event, crash=True)

    def _stop(self, event: Event, *, crash: bool) -> None:
        life = self.lives[event.side]
        if life is not None:
            life.stop(crash=crash)
            self.lives[event.side] = None
            self.clock.callLater(event.lasts, self._boot, event.side)

    def _boot(self, side: str) -> None:
        life = self.lives[side] = Life(self, side)
        if self.schedule.starts[SIDES.index(side)] is not None:
            life.dialler.startService()

    def _stall(self, event: Event) -> None:
        self._medium.stalledUntil = self.now + event.lasts

    # The network

    def dial(self, side: str, factory: Any, connected: Deferred[IProtocol]) -> None:
        """One side dials; the connection is there when the other end has taken it."""
        caller = self.lives[side]
        latencies = next(self._latencies), next(self._latencies)
        wire = Wire(self._medium, latencies)
        assert caller is not None
        caller.ends.append(wire.ends[0])

        def arrives() -> None:
            callee = self.lives[OTHER[side]]
            if callee is not None:
                wire.ends[1].protocol = callee.door.buildProtocol(None)
                callee.ends.append(wire.ends[1])
                self._wires.append(wire)
                wire.ends[1].protocol.makeConnection(wire.ends[1])
            self._medium.carry(latencies[1], lambda: answered(callee is not None))

        def answered(taken: bool) -> None:
            if connected.called or wire.ends[0].vanished:
                return
            if not taken:
                connected.errback(ConnectionRefusedError())
                return
            outer = caller.network.trusts[side].clientFactory(factory, clock=self.clock)
            wire.ends[0].protocol = outer.buildProtocol(None)
            wire.ends[0].protocol.makeConnection(wire.ends[0])
            connected.callback(wire.ends[0].protocol)

        self._medium.carry(latencies[0], arrives)

    def wireOf(self, link: EPProtocol) -> Wire:
        """The connection of a link."""
        return next(wire for wire in self._wires if link in map(protocolOf, wire.ends))

    # What has to hold

    def run(self, seconds: float) -> None:
        """Let it all happen, and look every 10 ms; raises `Broken` when the rule does not hold."""
        until = self.now + seconds
        while self.now < until:
            self.clock.advance(STEP)
            self._check()

    def _check(self) -> None:
        if self.broken:
            raise Broken(f"at {self.now:.2f} s {self.broken[0]}")
        for life in self.lives.values():
            if life is not None and life.lawful and life.node.most > 1:
                raise Broken(f"at {self.now:.2f} s {life.side} has two connections")
        found = self._open
        if not set(found) <= set(self._known):
            self._settledAt = self.now  # there is a new one
        self._known = found
        if self.settled or (not found and self._mayHaveNone):
            self._settledAt = self.now
        elif self.now - self._settledAt > SETTLED_SECONDS:
            raise Broken(f"at {self.now:.2f} s it is not settled: {self}")

    def checkTheEnd(self) -> None:
        """One connection stands, and power flows on it if it is to.

        Which of its connections a peer without the rule has power on is its own matter.
        """
        beta = self.lives["beta"]
        if self.established is None or beta is None:
            raise Broken(f"in the end {self}")
        flows = beta.device.limits.draw_w > 0.0
        if self.schedule.lawful and flows is not self.schedule.transfer:
            raise Broken(f"in the end {beta.device.limits} on {self}")

    def checkNothingIsLeft(self) -> None:
        """Both stop, and then nothing is connected, and nothing is to be called any more."""
        for life in self.lives.values():
            assert life is not None
            if life.dialler.running:
                life.dialler.stopService()
            life.connections.stopService()
        self.clock.advance(12.0)
        left = self.clock.getDelayedCalls()
        connected = [list(life.connections) for life in self.lives.values() if life is not None]
        if left or any(connected):
            raise Broken(f"in the end {left} and {connected} are left")

    @property
    def _mayHaveNone(self) -> bool:
        """Whether it is not for us that there is no connection: nothing gets through, one device is
        down, or it is back and does not dial, and its old connections have to be found to be
        half-open first."""
        lives = [life for life in self.lives.values() if life is not None]
        halfOpen = any(
            [end.vanished for end in ends] == [True, False] and not ends[1].closed
            for wire in self._wires
            for ends in (wire.ends, wire.ends[::-1])
        )
        dialling = all(life.dialler.running for life in lives)
        return (
            len(lives) < 2
            or (halfOpen and not dialling)
            or not any(life.dialler.running for life in lives)
        )

    @property
    def _open(self) -> list[Wire]:
        return [wire for wire in self._wires if wire.isOpen]

    @property
    def settled(self) -> bool:
        """Whether there is one connection alone, and both know it."""
        return self._open == [self.established]

    @property
    def established(self) -> Wire | None:
        """The connection that both know, of which those with the rule know no other."""
        lives = [life for life in self.lives.values() if life is not None]
        known = [life.links for life in lives if life.lawful or len(life.links) == 1]
        for wire in self._wires:
            ends = set(map(protocolOf, wire.ends))
            if (
                len(lives) == 2
                and wire.whole
                and all(set(life.links) & ends for life in lives)
                and all(len(links) == 1 for links in known)
            ):
                return wire
        return None

    def __str__(self) -> str:
        return ", ".join(
            f"{side}: {[self._wires.index(self.wireOf(link)) for link in life.links]}"
            for side, life in self.lives.items()
            if life is not None
        )
