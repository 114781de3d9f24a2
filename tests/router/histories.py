"""Histories of a router in virtual time: devices that come, change their minds, lie, and vanish.

A `World` is a router with devices that the test plays, a step of 50 ms at a time.  `check` holds
what the router has just sent against the invariants, by arithmetic of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import fsum

import attrs
from twisted.internet.task import Clock
from zope.interface import implementer

from epnet.identity import Peer
from epnet.interfaces import IPort, PortReading
from epnet.lifecycle import Cause, Ending
from epnet.router.losses import Loss
from epnet.router.ports import Port
from epnet.router.router import Router
from epnet.router.settings import PortSettings
from epnet.wire import (
    Bounds,
    DemandParameters,
    Message,
    Price,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
)
from tests.fakes import FakeLink

STEP = 0.05
WINDOW = Bounds(200, 1000)
VOLTS = 400.0
START = datetime(2026, 6, 21, 12, tzinfo=UTC)
NEAR = 0.05
"""W within which sums of these histories, up to 100 kW, have to agree."""

CONFIRMING = 0.15
"""A tick and a round trip, s."""


@implementer(IPort)
class Wire:
    """A port's power electronics, whose meter shows what the device makes flow.

    lag: the part of a fall that a step brings; 1: at once.
    lie: what the device draws, as a part of what it may.
    volts: on its cable.
    cable: the wire of the device whose power comes in; another's where the cables are mixed up.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.import_w = self.export_w = self.flow_w = 0.0
        self.lag = 1.0
        self.lie = 1.0
        self.isClosed = False
        self.volts = VOLTS
        self.cable = lambda: self

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        self.import_w, self.export_w = import_w, export_w

    def close(self) -> None:
        self.isClosed = True

    def open(self) -> None:
        self.isClosed = False
        self.import_w = self.export_w = 0.0

    def step(self) -> None:
        """Let what is drawn follow what may be drawn."""
        aim = self.export_w * self.lie
        self.flow_w = aim if aim > self.flow_w else self.flow_w + (aim - self.flow_w) * self.lag

    def reading(self) -> PortReading:
        export_w = self.flow_w if self.isClosed else 0.0
        return PortReading(self.volts, self.cable().import_w, export_w)


@attrs.define
class Device:
    """What a test device offers and wants; None for a message that it never sends.

    silent: until when it says nothing.
    spare_a: the current that it demands to be rid of (M6).
    gives: tells the power that it reports to give, W; None for a device that reports none.
    """

    identity: str
    offer_w: float | None = None
    wish_w: float | None = None
    soc: float | None = None
    price: float | None = None
    currency: str = "EUR"
    silent: float = 0.0
    spare_a: float | None = None
    link: FakeLink | None = None
    gives: Callable[[], float] | None = None

    def says(self) -> Iterator[Message]:
        """Its messages of this moment."""
        if self.offer_w is not None:
            prices = [Price(START, self.price, self.currency)] if self.price is not None else None
            yield SupplyParameters(
                voltage_limit=WINDOW,
                power_limit=self.offer_w,
                voltage=VOLTS,
                current=None if self.gives is None else self.gives() / VOLTS,
                energy_prices=prices,
            )
        if self.spare_a is not None:
            yield DemandParameters(voltage=VOLTS, current=-self.spare_a)
        elif self.wish_w is not None:
            yield DemandParameters(voltage=VOLTS, power_limit=self.wish_w)
        if self.soc is not None:
            yield StorageParameters(soc=self.soc, capacity=10_000)


class World:
    """A router and its devices.

    sent: by device, what it was granted and asked for in each message, with times.
    """

    makeClock: Callable[[], Clock] = Clock

    def __init__(self) -> None:
        self.clock = self.makeClock()
        self.clock.advance(1000.0)
        self.settings: dict[str, PortSettings] = {}
        self.wires: dict[str, Wire] = {}
        self.devices: dict[str, Device] = {}
        self.router = Router(
            SessionParameters(identity="router"), self._makePort, self.clock, lambda: START
        )
        self._asked: dict[str, list[tuple[float, float]]] = {}
        self._heard: dict[str, float] = {}
        self._lowered: dict[str, tuple[float, float]] = {}
        self._before: dict[str, float] = {}

    def _makePort(self, peer: Peer) -> Port:
        wire = self.wires[peer.identity] = Wire(self.clock)
        return Port(peer.identity, self.settings.get(peer.identity, PortSettings()), wire)

    # What may happen

    def plug(self, device: Device, settings: PortSettings | None = None) -> None:
        """A device connects, or connects anew."""
        self.devices[device.identity] = device
        if settings is not None:
            self.settings.setdefault(device.identity, settings)
        device.link = FakeLink(self.router, self.clock, device.identity)
        self._asked[device.identity] = []
        self.router.sessionOpened(device.link)

    def unplug(self, identity: str) -> None:
        """A device is lost."""
        device = self.devices.get(identity)
        if device is not None and device.link is not None:
            link, device.link = device.link, None
            self.router.sessionClosed(link, Ending(Cause.LOST, "silent", True, None, True))
            self.check()

    def step(self) -> None:
        """50 ms: messages both ways, what flows, the router's sweep, and a check."""
        now = self.clock.seconds()
        for device in self.devices.values():
            if device.link is None:
                continue
            if device.silent <= now:
                for message in device.says():
                    if isinstance(message, SupplyParameters) or device.spare_a is not None:
                        self._heard[device.identity] = now
                    device.link.hear(message)
            device.link.publishNow()
            self._noteAsked(device, now)
        for wire in self.wires.values():
            wire.step()
        self.clock.advance(STEP)
        self.router.advance(self.clock.seconds())
        self.check()
        for port in self.router.ports.values():
            # Expiry is noticed in the sweep, not between two messages.
            self._checkConsent(port)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP)):
            self.step()

    def _noteAsked(self, device: Device, now: float) -> None:
        assert device.link is not None
        for batch in device.link.sent:
            for message in batch:
                if isinstance(message, DemandParameters):
                    self._asked[device.identity].append((now, message.power_limit or 0.0))
        device.link.sent.clear()

    # What must hold

    def check(self) -> None:
        """Raise AssertionError unless what the router has decided keeps the invariants."""
        ports = self.router.ports
        self._checkBalance(ports)
        for port in ports.values():
            self._checkPort(port)
        self._checkRises(ports)
        assert not self.router.invariants.broken, self.router.invariants.broken

    def _checkBalance(self, ports: dict[str, Port]) -> None:
        into = fsum(injected(p.settings.loss, p.import_w) for p in ports.values())
        out = fsum(withdrawn(p.settings.loss, p.export_w) for p in ports.values())
        assert abs(into - out) <= NEAR, f"1: {into} W into the bus, {out} W out of it"

    def _checkPort(self, port: Port) -> None:
        assert min(port.import_w, port.export_w) == 0.0, f"2: {port.identity} gives and takes"
        assert min(port.asked_w, port.export_w) == 0.0, f"2: {port.identity} is asked and given"
        settings = port.settings
        amps = min(settings.max_current, settings.cable_current) * settings.conductors
        carried = min(settings.max_power, amps * VOLTS)
        if port.export_w > 0.0:
            assert port.export_w <= carried + NEAR, f"2: {port.identity}: port or cable"
            assert port.export_w >= settings.min_w, f"2: {port.identity}: minimum"
        if port.import_w > 0.0:
            assert port.import_w <= carried + NEAR, f"2: {port.identity}: port or cable"

    def _checkConsent(self, port: Port) -> None:
        now = self.clock.seconds()
        for kind, power in (
            (DemandParameters if port.reversing else SupplyParameters, port.import_w),
            (DemandParameters, port.export_w),
        ):
            link = self.devices[port.identity].link
            fresh = link is not None and now < link.consentExpires(kind)
            assert fresh or not power, f"2: {port.identity} has {power} W without consent"

    def _checkRises(self, ports: dict[str, Port]) -> None:
        """8: whoever rises finds room beside what the others may still draw, and confirmed."""
        now = self.clock.seconds()
        rises = False
        draws = []
        for port in ports.values():
            before = self._before.get(port.identity, 0.0)
            rises = rises or port.export_w > before + NEAR
            if port.export_w < before - 1e-9:
                old = max(before, self._lowered.get(port.identity, (0.0, 0.0))[0])
                self._lowered[port.identity] = (old, now)
            draws.append(withdrawn(port.settings.loss, self._mayDraw(port, now)))
            self._before[port.identity] = port.export_w
        if rises:
            confirmed = fsum(
                injected(port.settings.loss, self._confirmed(port, now)) for port in ports.values()
            )
            assert fsum(draws) <= confirmed + NEAR, f"8: {fsum(draws)} W of {confirmed} W"

    def _mayDraw(self, port: Port, now: float) -> float:
        old_w, since = self._lowered.get(port.identity, (0.0, 0.0))
        flows_w = self.wires[port.identity].reading().export_w
        if now - since >= 0.5 or flows_w <= port.export_w * 1.005 + 1.0:
            self._lowered.pop(port.identity, None)
            return port.export_w
        return max(old_w, port.export_w)

    def _confirmed(self, port: Port, now: float) -> float:
        device = self.devices[port.identity]
        heard = self._heard.get(port.identity, 0.0)
        offer_w = device.offer_w if device.spare_a is None else device.spare_a * VOLTS
        if device.link is None or offer_w is None or now - heard >= 0.2 + 1e-9:
            return 0.0
        if device.spare_a is None:
            supply = device.link.supply()
            offer_w = 0.0 if supply is None else supply.power_limit or 0.0
        asked = self._asked[port.identity]
        inForce = [watts for when, watts in asked if when > heard - CONFIRMING]
        before = [watts for when, watts in asked if when <= heard - CONFIRMING + 1e-9]
        return min([offer_w, *inForce, *before[-1:]]) if before else 0.0


def injected(loss: Loss, power: float) -> float:
    return power - loss.linear * power - loss.quadratic * power * power


def withdrawn(loss: Loss, power: float) -> float:
    return power + loss.linear * power + loss.quadratic * power * power


Event = Callable[[World], None]
