"""A device in the middle: others are connected through it (Ethernet/TCP §2).

A charger or an inverter with further devices behind it stands in their power path.  To its upstream
it is one device; to those behind it, it is their upstream:

1. What it offers and asks for upstream is its own and that of all devices behind it, together, and
   never more than its upstream connection carries.
2. What flows behind it is a part of what its upstream allows at this moment: a grant is shared
   fairly among its own need and theirs; a request is met from those that produce before those that
   store, and fairly among equals.  It has no power of its own to give: what one device behind it
   offers is never granted to another one without the upstream.  Who does that is a router.
3. A share rises only into what the others have left: their meters have to show it first.
4. Every set-point behind it ends with the consent of the upstream, if nothing else ends it before.
   When the upstream is lost, leaves, or allows nothing, all transfers behind it end in the same
   turn, as its own does.
5. Isolation blocks a port behind it as it would at a router.  Blocked upstream, all is blocked.
6. What it offers says what all of it is made of, and what it costs where all has a price in one
   currency: by the power that flows, or that is offered where none does.  Those behind it get to
   know the mix and the prices of the upstream.  What is stored behind it is not added to what the
   device itself stores: the upstream would take all that is asked for as a wish to store, and what
   a car drives away with as lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import fsum
from typing import TYPE_CHECKING, Final

import attrs
from zope.interface import implementer

from epnet.consent import offeredPower, requestedPower
from epnet.devices.base import currentFor
from epnet.identity import Peer
from epnet.interfaces import IDevice, ILink, Limits, Reading
from epnet.lifecycle import Ending
from epnet.limits import UNVOUCHED
from epnet.node import DeviceNode
from epnet.passage import mixOf, pricesOf
from epnet.router.acquaintance import whoMakesRoom
from epnet.router.plainport import PlainPort
from epnet.router.portmaker import PortRefused
from epnet.router.settings import Tier
from epnet.wire import (
    DemandParameters,
    Message,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

NOTHING: Final = Limits(0.0, 0.0, 0.0)


@attrs.define
class _Part:
    """One who has a share of the power: the device itself, or a port behind it, in one direction.

    bound_w: the most it may have, W.
    had_w: the share it has had so far, W.
    flows_w: what its meter shows, W.
    tier: whose turn it is, lower first.
    """

    bound_w: float
    had_w: float
    flows_w: float
    tier: int = 0


@implementer(IDevice)
class MiddleDevice:
    """A device and those connected through it, as their upstream sees them: one device.

    own: the device itself.
    clock: the one clock.
    rating_w: the most that its upstream connection carries, W, above 0.
    ports: those behind it, by identity; a port stays when its device goes.
    """

    def __init__(self, own: IDevice, clock: IReactorTime, rating_w: float) -> None:
        self.own = own
        self.type, self.version, self.name = own.type, own.version, own.name
        self.rating_w = rating_w
        self.ports: dict[str, PlainPort] = {}
        self._clock = clock
        self._limits = NOTHING
        self._own_w = (0.0, 0.0)

    # What it says upstream

    def supply(self) -> SupplyParameters | None:
        """What it and those behind it could supply; None where none of them ever does."""
        own = self.own.supply()
        behind_w = fsum(port.importBound() for port in self.ports.values())
        if own is None and not self._hasHeard(SupplyParameters):
            return None
        own_w = 0.0 if own is None else offeredPower(own)
        power_w = min(self.rating_w, own_w + behind_w)
        reading = self.reading()
        base = own if own is not None and not behind_w else self._madeOf(own)
        return base.replace(
            voltage_limit=own and own.voltage_limit,
            voltage=reading.voltage_v,
            current_limit=(0, _current(power_w, reading.voltage_v)),
            power_limit=power_w,
            current=_current(reading.supply_w, reading.voltage_v),
            isolation=own and own.isolation,
        )

    def _madeOf(self, own: SupplyParameters | None) -> SupplyParameters:
        """What the power of all of them is made of, and costs."""
        said = [(port, port.link and port.link.supply()) for port in self.ports.values()]
        flows = [(port.measured().import_w, supply) for port, supply in said if supply]
        offered = [(port.importBound(), supply) for port, supply in said if supply]
        if own is not None:
            flows.append((self.own.reading().supply_w, own))
            offered.append((offeredPower(own), own))
        parts = flows if any(power_w > 0.0 for power_w, _ in flows) else offered
        return SupplyParameters(power_mix=mixOf(parts), energy_prices=pricesOf(parts))

    def demand(self) -> DemandParameters | None:
        """What it and those behind it would draw; None where none of them ever does."""
        own = self.own.demand()
        behind_w = fsum(port.exportBound() for port in self.ports.values())
        if own is None and not self._hasHeard(DemandParameters):
            return None
        reading = self.reading()
        own_w = 0.0 if own is None else requestedPower(own, reading.voltage_v)
        power_w = min(self.rating_w, own_w + behind_w)
        base = own if own is not None and not behind_w else DemandParameters()
        voltage = reading.voltage_v if own is None or own.voltage is None else own.voltage
        return base.replace(
            voltage=voltage,
            voltage_limit=own and own.voltage_limit,
            current_limit=_current(power_w, voltage),
            power_limit=power_w,
            current=None,
        )

    def storage(self) -> StorageParameters | None:
        """What the device itself stores."""
        return self.own.storage()

    def reading(self) -> Reading:
        """What flows at its upstream connection: its own and what passes through."""
        own = self.own.reading()
        behind = [port.measured() for port in self.ports.values()]
        draw_w = own.draw_w + fsum(each.export_w for each in behind)
        supply_w = own.supply_w + fsum(each.import_w for each in behind)
        net_w = draw_w - supply_w
        return Reading(own.voltage_v, max(0.0, net_w), max(0.0, -net_w))

    def _hasHeard(self, kind: type[Message]) -> bool:
        return any(port.link and port.link.latest(kind) for port in self.ports.values())

    # What it is allowed

    def setLimits(self, limits: Limits) -> None:
        """Share what the upstream allows."""
        self._limits = limits
        self.share()

    def shutDown(self, reason: str) -> None:
        """Shut down, and everyone behind with it."""
        self._limits = NOTHING
        self._own_w = (0.0, 0.0)
        self.own.shutDown(reason)
        self._setPorts([(0.0, 0.0)] * len(self.ports))
        for port in self.ports.values():
            port.open()

    def share(self) -> None:
        """Give everybody a share of what is allowed now; tell at once those whose share falls."""
        limits = self._limits
        if self._clock.seconds() >= limits.expires or min(limits.draw_w, limits.supply_w) > 0.0:
            limits = NOTHING
        draws = shares(self._parts(draws=True), min(limits.draw_w, self.rating_w))
        supplies = shares(self._parts(draws=False), min(limits.supply_w, self.rating_w))
        [self._own_w, *behind] = zip(draws, supplies, strict=True)
        self.own.setLimits(Limits(*self._own_w, limits.expires))
        self._setPorts([(import_w, export_w) for export_w, import_w in behind])

    def _parts(self, *, draws: bool) -> list[_Part]:
        """Those among whom a grant is shared, or of whom a request is asked."""
        reading, ports = self.own.reading(), self.ports.values()
        if draws:
            wish, had_w = self.own.demand(), self._own_w[0]
            own_w = 0.0 if wish is None else requestedPower(wish, reading.voltage_v)
            return [
                _Part(own_w, had_w, reading.draw_w),
                *(_Part(p.exportBound(), p.export_w, p.measured().export_w) for p in ports),
            ]
        offer, had_w = self.own.supply(), self._own_w[1]
        own_w = 0.0 if offer is None else offeredPower(offer)
        tier = Tier.LOCAL if self.own.storage() is None else Tier.STORAGE
        return [
            _Part(own_w, had_w, reading.supply_w, tier),
            *(_Part(p.importBound(), p.import_w, p.measured().import_w, p.tier) for p in ports),
        ]

    def _setPorts(self, setPoints: Sequence[tuple[float, float]]) -> None:
        now = self._clock.seconds()
        for port, (import_w, export_w) in zip(self.ports.values(), setPoints, strict=True):
            if port.setPoints(import_w, export_w, now, self._limits.expires) and port.link:
                port.link.publishNow()

    # Those behind it

    def heard(self, port: PlainPort, message: Message) -> None:
        """A device behind has spoken: act at once on what falls below what is in use."""
        now = self._clock.seconds()
        if isinstance(message, SupplyParameters):
            port.noteIsolation(message, now)
        if port.overdrawn:
            self.share()
        else:
            port.actuate(now, self._limits.expires)


class MiddleNode(DeviceNode):
    """The node of a device in the middle.

    device: the device itself.
    rating_w: the most that its upstream connection carries, W, above 0.
    makePort: gives a device that connects for the first time its port, or again once that has
        been forgotten.
    upstream: which links lead upstream; the others lead to devices behind it.
    mostUnvouched: how many devices it remembers when one comes that nobody vouches for.
    """

    device: MiddleDevice

    def __init__(
        self,
        device: IDevice,
        parameters: SessionParameters,
        clock: IReactorTime,
        *,
        rating_w: float,
        makePort: Callable[[Peer], PlainPort],
        upstream: Callable[[ILink], bool],
    ) -> None:
        middle = MiddleDevice(device, clock, rating_w)
        super().__init__(middle, parameters, clock, upstream=upstream)
        self._makePort = makePort
        self.mostUnvouched = UNVOUCHED

    def sessionOpened(self, link: ILink) -> None:
        """A link more, upstream or to a device behind."""
        if self.isUpstream(link):
            super().sessionOpened(link)
            return
        try:
            self._portFor(link.peer).attach(link)
        except PortRefused as refused:
            link.disconnect(str(refused))

    def _portFor(self, peer: Peer) -> PlainPort:
        """The port of a device behind.  Raises `PortRefused` if it has none."""
        ports = self.device.ports
        if peer.identity not in ports:
            gone = (p for p in ports.values() if _isForgettable(p))
            forgotten = whoMakesRoom(peer, ports, self.mostUnvouched, gone)
            if forgotten is not None:
                del ports[forgotten.identity]
            ports[peer.identity] = self._makePort(peer)
        return ports[peer.identity]

    def messageReceived(self, link: ILink, message: Message) -> None:
        """Follow what the upstream allows, and what those behind want."""
        port = self._portOf(link)
        if port is None:
            super().messageReceived(link, message)
        else:
            self.device.heard(port, message)

    def publications(self, link: ILink) -> Iterable[Message]:
        """Upstream all offers and needs together; behind, each one's grant and request."""
        port = self._portOf(link)
        if port is None:
            return super().publications(link)
        upstream = self.holder.supply() if self.holder is not None else None
        messages = port.messages(self._clock.seconds())
        return [_comingFrom(upstream, message) for message in messages]

    def advance(self, now: float) -> None:
        """Share what is allowed now."""
        super().advance(now)
        if self.holder is None:
            self.device.share()

    def draining(self, link: ILink) -> None:
        """A link is being left: bring its transfer to zero, and with the upstream's all others."""
        port = self._portOf(link)
        if port is None:
            super().draining(link)
        else:
            port.leaving = True
            self.device.share()

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        """Shut down all that depends on the link."""
        port = self._portOf(link)
        if port is None:
            super().sessionClosed(link, ending)
        else:
            port.release()
            self.device.share()

    def _portOf(self, link: ILink) -> PlainPort | None:
        port = self.device.ports.get(link.peer.identity)
        return port if port is not None and port.link is link else None


def _isForgettable(port: PlainPort) -> bool:
    """Whether its device has gone, nothing flows any more, and nothing of it would be missed."""
    return port.link is None and not port.isolation.blocked and not any(port.flows()[:2])


def shares(parts: Sequence[_Part], room_w: float) -> list[float]:
    """Share power among parts: no more than each may have, and than there is room for, W.

    Lower tiers first, max-min fairly within one.  A part that had more than its share falls at
    once; one that had less rises only into what is free with all others counted at what they may
    still carry.
    """
    targets = [0.0] * len(parts)
    left_w = room_w
    for tier in sorted({part.tier for part in parts}):
        members = [i for i, part in enumerate(parts) if part.tier == tier]
        # The smallest first: what one does not use is for the others.
        for position, i in enumerate(sorted(members, key=lambda i: parts[i].bound_w)):
            targets[i] = min(parts[i].bound_w, left_w / (len(members) - position))
            left_w = max(0.0, left_w - targets[i])
    held = [
        max(part.flows_w, min(part.had_w, target))
        for part, target in zip(parts, targets, strict=True)
    ]
    rises = [max(0.0, target - held_w) for target, held_w in zip(targets, held, strict=True)]
    free = max(0.0, room_w - fsum(held)) / (fsum(rises) or 1.0)
    return [
        min(target, held_w + rise * min(1.0, free))
        for target, held_w, rise in zip(targets, held, rises, strict=True)
    ]


def _comingFrom(upstream: SupplyParameters | None, message: Message) -> Message:
    """A message to one behind; a grant says what the upstream says of its power."""
    if upstream is None or not isinstance(message, SupplyParameters):
        return message
    return message.replace(power_mix=upstream.power_mix, energy_prices=upstream.energy_prices)


def _current(power_w: float, voltage_v: float) -> float | None:
    """The current that carries a power, A; None where there is no voltage."""
    return currentFor(power_w, voltage_v) if voltage_v > 0.0 else None
