"""The energy router: the node behind a router's sessions (EnergyNet §2, router design).

It gives every trusted device a port, turns the devices' offers and requests into set-points by the
pure function in `epnet.router.allocation`, and publishes them: a Demand to each device that
supplies, a Supply to each that draws.  Allocation runs 10 times a second, and in the same call
whenever something that is being used falls away: a device lost, a lower offer, an expired consent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Final

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from epnet.interfaces import ILink, INode
from epnet.lifecycle import Ending
from epnet.router.accounts import Accounts
from epnet.router.allocation import Allocation, allocate
from epnet.router.decisions import Direction
from epnet.router.policy import Policies
from epnet.router.ports import Port, PortMaker, PortRefused
from epnet.router.settings import PortSettings
from epnet.router.terms import Sink
from epnet.session import SLACK
from epnet.wire import Message, SessionParameters, SupplyParameters

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

TICK_SECONDS: Final = 0.1


@implementer(INode)
class Router:
    """An energy router.

    parameters: what it says of itself.
    makePort: gives a newly connected device its port.
    clock: the one clock.
    ports: by device identity; a port stays when its device goes.
    allocation: the newest decision.
    decisions, decidingSeconds: how many there were, and how long they took together, s.
    accounts: the energy that went through the ports, and what travelled with it.
    """

    log = Logger()

    def __init__(
        self,
        parameters: SessionParameters,
        makePort: PortMaker,
        clock: IReactorTime,
        accounts: Accounts | None = None,
    ) -> None:
        self.parameters = parameters
        self.ports: dict[str, Port] = {}
        self.allocation: Allocation = allocate((), ())
        self.decisions = 0
        self.decidingSeconds = 0.0
        self.accounts = accounts or Accounts(parameters.tenant)
        self._makePort = makePort
        self._clock = clock
        self._policies = Policies()
        self._undescribed: set[str] = set()
        self._ticked = clock.seconds()

    # INode

    def sessionOpened(self, link: ILink) -> None:
        """A device has connected: it gets its port back, or a new one."""
        identity = link.peer.identity
        if identity in self._undescribed:
            self.ports.pop(identity, None)
        try:
            if identity not in self.ports:
                self.ports[identity] = self._makePort(link.peer)
        except PortRefused as error:
            link.disconnect(str(error))
            return
        self.ports[identity].attach(link)

    def describe(self, described: Mapping[str, PortSettings], default: PortSettings | None) -> None:
        """Replace what installers say of the ports; connections stay where there is a port."""
        self._makePort.describe(described, default)
        self._undescribed.clear()
        for port in self.ports.values():
            if port.peer is None:
                continue
            try:
                port.settings = self._makePort.settingsOf(port.peer)
            except PortRefused as error:
                self._undescribed.add(port.identity)
                if port.link is not None:
                    port.link.disconnect(str(error))
        self.allocate()

    def setPolicies(self, policies: Policies) -> None:
        """Replace all policies."""
        self._policies = policies
        self.allocate()

    def messageReceived(self, link: ILink, message: Message) -> None:
        """Act at once on what falls below what is in use; the rest waits for the tick."""
        port = self._portOf(link)
        if port is None:
            return
        now = self._clock.seconds()
        if isinstance(message, SupplyParameters):
            port.noteIsolation(message, now)
        if port.overdrawn:
            self.allocate()
        else:
            port.actuate(now)

    def publications(self, link: ILink) -> Iterable[Message]:
        """The grant and the request for the device on this link."""
        port = self._portOf(link)
        return port.messages() if port is not None else ()

    def advance(self, now: float) -> None:
        """Allocate when the tick is due, or when consent has expired for power in use."""
        due = now + SLACK - self._ticked >= TICK_SECONDS
        if due or any(port.overdrawn for port in self.ports.values()):
            self.allocate()
            self.accounts.advance(now, self.ports.values())

    def draining(self, link: ILink) -> None:
        """The session is being closed on purpose: the port's power goes to the others."""
        port = self._portOf(link)
        if port is not None:
            port.leaving = True
            self.allocate()

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        """A device is gone: what it supplied is missing from now on, in this very call."""
        port = self._portOf(link)
        if port is None:
            return
        if port.import_w or port.export_w:
            self.log.warn(
                "{identity} gone in a transfer ({import_w:.0f} W in, {export_w:.0f} W out)",
                identity=port.identity,
                import_w=port.import_w,
                export_w=port.export_w,
            )
        port.detach()
        self.allocate()

    # The operator

    def limit(self, identity: str, max_w: float | None, expires: float | None) -> None:
        """Let a device take and give at most `max_w`, W, until `expires`, s of the router's clock.

        None for `max_w` lifts the limit, None for `expires` lets it hold until it is lifted.
        """
        if identity in self.ports:
            self.ports[identity].limit(
                inf if max_w is None else max_w, inf if expires is None else expires
            )
            self.allocate()

    # Deciding

    def allocate(self) -> None:
        """Decide anew, actuate, and tell at once everyone whose power falls."""
        now = self._ticked = self._clock.seconds()
        began = perf_counter()
        ports = self.ports.values()
        for port in ports:
            port.expire(now)
        self.allocation = allocate(
            [p.source() for p in ports], self._sinks(), self._policies.groups
        )
        self.decisions += 1
        self.decidingSeconds += perf_counter() - began
        sources, sinks = self.allocation.sources, self.allocation.sinks
        for port in ports:
            identity = port.identity
            port.note(sources[identity], Direction.IMPORT, port.importBound(), now)
            port.note(sinks[identity], Direction.EXPORT, port.exportBound(), now)
            if port.setPoints(sources[identity].power_w, sinks[identity].power_w, now):
                assert port.link is not None
                port.link.publishNow()

    def _sinks(self) -> list[Sink]:
        """The ports as sinks; none of another router's while any other router offers power.

        A circle of routers would have to pass power on from one router to another somewhere.
        """
        ports = self.ports.values()
        offered = any(port.settings.side == "C" and port.importBound() > 0.0 for port in ports)
        return [
            attrs.evolve(port.sink(), max_w=0.0)
            if offered and port.settings.side == "C"
            else port.sink()
            for port in ports
        ]

    def _portOf(self, link: ILink) -> Port | None:
        port = self.ports.get(link.peer.identity)
        return port if port is not None and port.link is link else None
