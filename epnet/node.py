"""A device behind its connections: what `ep-client`, `ep-server` and `ep-peer` run.

`DeviceNode` publishes what its `IDevice` offers, wants and stores, and turns the peer's messages
into the device's limits.  It is the same towards a router and device to device: power out is
allowed by our Supply and the peer's Demand, power in by the peer's Supply and our Demand.

A device has one power connection, so one link at a time holds it: of those that lead upstream, the
one that opened first.  On any other link the device offers and asks for nothing.  A device through
which others are connected is `epnet.middle`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from zope.interface import implementer

from epnet.consent import (
    IsolationGuard,
    Transfer,
    allowedPower,
    withheldDemand,
    withheldSupply,
)
from epnet.interfaces import IDevice, ILink, INode, Limits
from epnet.lifecycle import Ending
from epnet.wire import DemandParameters, Message, SessionParameters, SupplyParameters

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


@implementer(INode)
class DeviceNode:
    """An `IDevice` as the node behind our sessions.

    device: the device.
    parameters: what we say of it; `parametersOf` makes them from the device.
    clock: the one clock.
    upstream: which links lead to where power comes from and goes to; by default all do.
    """

    def __init__(
        self,
        device: IDevice,
        parameters: SessionParameters,
        clock: IReactorTime,
        *,
        upstream: Callable[[ILink], bool] = lambda link: True,
    ) -> None:
        self.device = device
        self.isUpstream = upstream
        self.parameters = parameters
        self._clock = clock
        self._links: dict[ILink, None] = {}
        self._leaving: set[ILink] = set()
        self._transfer = Transfer(device.rating_w)
        self._isolation = IsolationGuard()
        self._supply: SupplyParameters | None = None
        self._demand: DemandParameters | None = None

    @property
    def holder(self) -> ILink | None:
        """The link that holds the power connection."""
        return next(iter(self._links), None)

    # INode

    def sessionOpened(self, link: ILink) -> None:
        """A link more; the first one that leads upstream holds the power connection."""
        if self.isUpstream(link):
            self._links[link] = None

    def messageReceived(self, link: ILink, message: Message) -> None:
        """Follow what the holder now allows, without waiting for the sweep."""
        if link is not self.holder:
            return
        now = self._clock.seconds()
        if isinstance(message, SupplyParameters):
            self._isolation.note(message, now)
        self.advance(now)

    def publications(self, link: ILink) -> Iterable[Message]:
        """What the device offers, wants and stores, for the holder; nothing on other links."""
        supply, demand, storage = self.device.supply(), self.device.demand(), self.device.storage()
        withheld = link is not self.holder or link in self._leaving
        if supply is not None and withheld:
            supply = withheldSupply(supply)
        if demand is not None and withheld:
            demand = withheldDemand(demand)
        if link is self.holder:
            self._supply, self._demand = supply, demand
            if supply is not None:
                self._isolation.note(supply, self._clock.seconds())
        return [message for message in (supply, demand, storage) if message is not None]

    def advance(self, now: float) -> None:
        """Give the device its limits, and say whether the transfer is ongoing."""
        link = self.holder
        if link is None:
            return
        withheld = link in self._leaving or self._isolation.blocked
        draw_w = 0.0 if withheld else allowedPower(link.supply(), self._demand)
        supply_w = 0.0 if withheld else allowedPower(self._supply, link.demand())
        expiries = [
            link.consentExpires(kind)
            for kind, power_w in ((SupplyParameters, draw_w), (DemandParameters, supply_w))
            if power_w > 0.0
        ]
        self.device.setLimits(Limits(draw_w, supply_w, min(expiries, default=now)))
        reading = self.device.reading()
        measured_w = reading.draw_w + reading.supply_w
        link.setTransferring(self._transfer.update(draw_w + supply_w, measured_w, now))

    def draining(self, link: ILink) -> None:
        """Withdraw every offer on the link, so that its transfer ramps to zero."""
        self._leaving.add(link)
        link.publishNow()
        if link is self.holder:
            self.advance(self._clock.seconds())

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        """Shut the transfer down; the next link in line holds the power connection."""
        held = link is self.holder
        self._links.pop(link, None)
        self._leaving.discard(link)
        if held:
            self._supply = self._demand = None
            self._isolation.interrupt()
            self._transfer = Transfer(self.device.rating_w)
            self.device.shutDown(ending.reason)


def parametersOf(
    device: IDevice, identity: str, tenant: str | None = None, provider: str | None = None
) -> SessionParameters:
    """The Session Parameters (Messages §4.2) of a device with that identity."""
    return SessionParameters(
        identity=identity,
        type=device.type,
        version=device.version,
        name=device.name,
        tenant=tenant,
        provider=provider,
    )
