"""A street: houses with a router each, devices in them, cables between them, and one clock.

Between routers there are real sessions (`tests.street.lines`); the devices of a house are linked
directly (`tests.street.links`).  Power is that of `tests.street.cables`.  `Street.run` lets time
pass and holds, at each step, what flows and what is allowed against what must always be so.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from math import fsum

import attrs
from zope.interface import implementer

from epnet.connections import Connections
from epnet.devices.base import SimulatedDevice
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.identity import Peer
from epnet.interfaces import IDevice, ILink
from epnet.node import DeviceNode, parametersOf
from epnet.router.accounts import Accounts
from epnet.router.portmaker import portFor
from epnet.router.ports import Port
from epnet.router.router import Router
from epnet.router.settings import AC_VOLTAGE, DC_VOLTAGE, DEFAULT_PORTS, PortSettings
from epnet.testing import VirtualClock
from epnet.wire import (
    Bounds,
    DemandParameters,
    Price,
    SessionParameters,
    Source,
    StorageParameters,
    SupplyParameters,
)
from tests.street.cables import Cable, Terminal, socketFor
from tests.street.lines import BelievingTrust, Line, keepDialled, steadyBackoff
from tests.street.links import DirectLink, join

NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)

DEVICE_SECONDS = 0.05
"""How often devices speak, as in a transfer."""

STEP = 0.05
"""How often everything is checked."""

CABLE_W = 20_000.0
CABLE_PORT = PortSettings(
    side="C",
    kind="DC",
    voltage=DC_VOLTAGE,
    max_power=CABLE_W,
    max_current=1000,
    cable_current=1000,
)


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Gadget(SimulatedDevice):
    """A device that offers and wants what the test says, W, and stores where it has a charge.

    A rating far above what it offers lets it follow faster than any ramp of a router.
    """

    type = "gadget"

    offer_w: float | None = None
    wish_w: float | None = None
    soc: float | None = None
    capacity: float = 10_000.0
    price: float | None = None
    mix: dict[Source, int] | None = None
    rating: float = 50_000.0
    volts: float = 400.0

    @property
    def rating_w(self) -> float:
        return self.rating

    @property
    def window(self) -> Bounds:
        return DC_VOLTAGE if self.volts > 300 else AC_VOLTAGE

    @property
    def voltage_v(self) -> float:
        return self.volts

    def available_w(self) -> float:
        return self.offer_w or 0.0

    def wanted_w(self) -> float:
        return self.wish_w or 0.0

    def supply(self) -> SupplyParameters | None:
        if self.offer_w is None:
            return None
        prices = None if self.price is None else [Price(NOON, self.price, "EUR")]
        return self.supplyOf(self.offer_w, power_mix=self.mix, energy_prices=prices)

    def demand(self) -> DemandParameters | None:
        return None if self.wish_w is None else self.demandOf(self.wish_w)

    def storage(self) -> StorageParameters | None:
        if self.soc is None:
            return None
        return StorageParameters(soc=self.soc, capacity=self.capacity)


class Above:
    """The houses above one, the most preferred first."""

    def __init__(self) -> None:
        self.order: list[str] = []

    @property
    def any(self) -> bool:
        return bool(self.order)

    def preference(self, link: ILink) -> int | None:
        identity = link.peer.identity
        return self.order.index(identity) if identity in self.order else None


class House:
    """A router with its devices.

    above: the houses above it.
    devices, links: by identity.
    settings: of its ports, by identity of the device.
    """

    def __init__(self, street: Street, identity: str, tenant: str | None) -> None:
        self.identity = identity
        self.street = street
        self.devices: dict[str, IDevice] = {}
        self.links: dict[str, DirectLink] = {}
        self.nodes: dict[str, DeviceNode] = {}
        self.settings: dict[str, PortSettings] = {}
        self.terminals: dict[str, Terminal] = {}
        parameters = SessionParameters(identity=identity, type="router", tenant=tenant)
        self.above = Above()
        accounts = Accounts(tenant, timeOfDay=street.timeOfDay)
        self.router = Router(
            parameters,
            self._makePort,
            street.clock,
            street.timeOfDay,
            accounts,
            upstreams=self.above,
        )
        self.connections = Connections(self.router, street.clock)
        self.trust = BelievingTrust()
        self.door = EPServerFactory(self.connections, self.trust)  # type: ignore[arg-type]
        self.connections.startService()

    def _makePort(self, peer: Peer) -> Port:
        identity = peer.identity
        return portFor(identity, self.settingsOf(peer), self.terminals[identity])

    def settingsOf(self, peer: Peer) -> PortSettings:
        default = DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings(voltage=DC_VOLTAGE))
        return self.settings.get(peer.identity, default)

    def plug(
        self, identity: str, device: IDevice, settings: PortSettings | None = None
    ) -> DirectLink:
        """A device is connected to the router, for good or anew."""
        clock = self.street.clock
        if settings is not None:
            self.settings[identity] = settings
        self.devices[identity] = device
        if identity not in self.terminals:
            self.terminals[identity] = socketFor(clock, device, device.rating_w)
        tenant = self.router.parameters.tenant
        node = self.nodes[identity] = DeviceNode(device, parametersOf(device, identity), clock)
        link = self.links[identity] = join(clock, self.router, node, tenant)
        return link

    def gadget(
        self, identity: str, settings: PortSettings | None = None, **options: object
    ) -> Gadget:
        """Plug a gadget in."""
        gadget = Gadget(self.street.clock, **options)  # type: ignore[arg-type]
        self.plug(
            identity,
            gadget,
            settings
            or PortSettings(
                side="D",
                kind="DC",
                voltage=DC_VOLTAGE,
                max_power=50_000,
                max_current=1000,
                cable_current=1000,
            ),
        )
        return gadget

    def unplug(self, identity: str) -> None:
        """A device is gone."""
        del self.nodes[identity]
        self.links.pop(identity).lose()

    def pulse(self) -> None:
        """Devices and router speak to one another."""
        now = self.street.clock.seconds()
        for identity, link in self.links.items():
            link.other.publishNow()
            self.nodes[identity].advance(now)
        for link in self.links.values():
            link.publishNow()

    # What one may look at

    def granted(self, identity: str) -> float:
        """What a device, or a house, may draw by the router's newest decision, W."""
        return self.router.ports[identity].export_w

    def taken(self, identity: str) -> float:
        """What the router takes from it, W."""
        return self.router.ports[identity].import_w

    def flows(self) -> Iterator[tuple[str, float, float]]:
        """By port: what its meter reads, in and out, W."""
        for identity, port in self.router.ports.items():
            reading = port.measured()
            yield identity, reading.import_w, reading.export_w


@attrs.define(eq=False)
class Way:
    """A cable and a line between two houses; power goes down from `upper` to `lower`."""

    lower: House
    upper: House
    cable: Cable
    line: Line

    @property
    def names(self) -> tuple[str, str]:
        return self.lower.identity, self.upper.identity


class Street:
    """Houses and ways between them.

    chance: makes the phases of what repeats, and delays; the same seed gives the same street.
    """

    def __init__(self, seed: int = 0) -> None:
        self.clock = VirtualClock()
        self.clock.advance(1000.0)
        self.chance = random.Random(seed)
        self.houses: dict[str, House] = {}
        self.ways: list[Way] = []
        self.checks: list[Callable[[Street], None]] = []

    def timeOfDay(self) -> datetime:
        """Noon at the beginning."""
        return NOON + timedelta(seconds=self.clock.seconds() - 1000.0)

    def house(self, identity: str, tenant: str | None = None) -> House:
        """Build a house; its router's beat begins at a time of its own."""
        self.clock.advance(self.chance.uniform(0.0, 0.02))
        house = self.houses[identity] = House(self, identity, tenant)
        self.clock.callLater(self.chance.uniform(0.0, DEVICE_SECONDS), self._pulse, house)
        return house

    def _pulse(self, house: House) -> None:
        house.pulse()
        self.clock.callLater(DEVICE_SECONDS, self._pulse, house)

    def connect(
        self,
        lower: House,
        upper: House,
        *,
        upperDials: bool = False,
        delay: Callable[[], float] | float = 0.002,
        settings: PortSettings = CABLE_PORT,
    ) -> Way:
        """Lay a cable between two houses, and let one of them dial."""
        cable = Cable(self.clock, settings.max_power)
        for house, other, end in ((lower, upper, 0), (upper, lower, 1)):
            house.terminals[other.identity] = cable.ends[end]
            house.settings.setdefault(other.identity, settings)
        lower.above.order.append(upper.identity)
        dialling, listening = (upper, lower) if upperDials else (lower, upper)
        late = delay if callable(delay) else lambda: delay
        line = Line(self.clock, listening.door, late)
        factory = EPClientFactory(
            dialling.connections,
            dialling.trust,  # type: ignore[arg-type]
            identity=listening.identity,
            backoff=steadyBackoff(),
        )
        way = Way(lower, upper, cable, line)
        self.ways.append(way)
        keepDialled(line, factory).startService()
        return way

    def run(self, seconds: float) -> None:
        """Let time pass, and check all that must always be so."""
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)
            for check in self.checks:
                check(self)


# What must always be so


def invariantsHold(street: Street) -> None:
    """No router has found one of its own decisions wrong."""
    for house in street.houses.values():
        assert not house.router.invariants.broken, (house.identity, house.router.invariants.broken)


def grantsAreCovered(street: Street) -> None:
    """What is granted is there: by each router's own set-points."""
    for house in street.houses.values():
        ports = house.router.ports.values()
        into = fsum(port.settings.loss.injected(port.import_w) for port in ports)
        out = fsum(port.settings.loss.withdrawn(port.export_w) for port in ports)
        assert into - out > -0.1, f"{house.identity} grants {out} W of {into} W"


def noCircles(street: Street) -> None:
    """Power does not go round: following what flows down the cables never leads back."""
    goes: dict[str, list[str]] = {}
    for way in street.ways:
        flow_w = way.cable.down_w()
        if abs(flow_w) > 1.0:
            lower, upper = way.names
            giver, taker = (upper, lower) if flow_w > 0.0 else (lower, upper)
            goes.setdefault(giver, []).append(taker)
    assert not _leadsBack(goes), f"power goes round: {goes}"


def _leadsBack(goes: dict[str, list[str]]) -> bool:
    left = dict(goes)
    while left:
        ends = [giver for giver, takers in left.items() if not any(t in left for t in takers)]
        if not ends:
            return True
        for giver in ends:
            del left[giver]
    return False


GOOD_FOR = 0.35
"""How long what was granted may still be drawn, s: consent of 200 ms, its way, a sweep, a step."""


def linksHold(street: Street) -> None:
    """Over each cable nobody takes more than the other end has lately granted."""
    for way in street.ways:
        for taker, giver in (way.cable.ends, way.cable.ends[::-1]):
            most = giver.mostExported(GOOD_FOR)
            assert taker.import_w <= most + 0.1, f"{taker.import_w} W of {most} W: {way.names}"


SHORT_SECONDS = 0.5
"""How long more may be drawn in a house than comes in: a loss, its news, and what falls then, s."""


class NobodyIsShort:
    """In no house is more drawn, for long, than comes in.  To be made anew for each street."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def __call__(self, street: Street) -> None:
        now = street.clock.seconds()
        for name, house in street.houses.items():
            flows = list(house.flows())
            into, out = fsum(flow[1] for flow in flows), fsum(flow[2] for flow in flows)
            if out <= into * 1.01 + 5.0:
                self._since.pop(name, None)
            lasting = now - self._since.setdefault(name, now) if out > into * 1.01 + 5.0 else 0.0
            assert lasting <= SHORT_SECONDS, f"{name}: {out} W drawn of {into} W for {lasting} s"
