"""The routers that a router is connected with: which of them is above it, and what each is told.

`Neighbours` brings the rule of `epnet.router.tree` to the ports on side C.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, Protocol

from twisted.logger import Logger

from epnet.interfaces import ILink
from epnet.router import bounds
from epnet.router.bus import Bus, Claim
from epnet.router.folding import NOTHING, Network, fold, foldedStorage
from epnet.router.reasons import Reason
from epnet.router.routerport import RouterPort
from epnet.router.tree import Link, Tree, routeFrom, routeOfStranger
from epnet.wire import Message, RouterPath

if TYPE_CHECKING:
    from epnet.router.market import Market
    from epnet.router.ports import Port

STRANGER_SECONDS: Final = 1.0
"""How long an upstream may say nothing of its way before it counts as one that never will."""


class IUpstreams(Protocol):
    """Which links lead to routers that may be above us."""

    @property
    def any(self) -> bool:
        """Whether there are any, connected or not."""

    def preference(self, link: ILink) -> int | None:
        """Its place in the order of preference, the lower the better; None for any other link."""


class NoUpstreams:
    """Of a router that is nobody's device."""

    any = False

    def preference(self, link: ILink) -> int | None:
        """None, for every link."""
        return None


class Neighbours:
    """The other routers of one router.

    upstreams: which of them may be above it.
    tree: its place among them.
    uplink: the port over which power may flow as between parent and child, or None.
    bus: the DC bus that the ports hang on, if they do.
    """

    log = Logger()

    def __init__(self, identity: str, upstreams: IUpstreams | None = None) -> None:
        self.upstreams: IUpstreams = upstreams or NoUpstreams()
        self.tree = Tree(identity)
        self.bus = Bus(identity)
        self.uplink: RouterPort | None = None
        self._since: dict[str, float] = {}
        self._strangers: set[str] = set()
        self._impostor: str | None = None

    # Sessions

    def opened(self, port: Port, link: ILink, now: float) -> None:
        """A device has connected; it may be a router.  What it said before counts no more."""
        self.closed(port)
        if isinstance(port, RouterPort):
            port.isUpstream = self.upstreams.preference(link) is not None
            port.role = Link.STANDBY if port.isUpstream else None
            port.route = self.tree.route
            self._since[port.identity] = now

    def closed(self, port: Port) -> None:
        """A device is gone."""
        self.tree.gone(port.identity)
        self._since.pop(port.identity, None)
        self._strangers.discard(port.identity)

    def heard(self, port: Port, message: Message, now: float) -> bool:
        """Take note of a message; say whether a plan should follow soon."""
        if not isinstance(port, RouterPort) or not isinstance(message, RouterPath):
            return False
        claim = Claim.of(message)
        if claim is not None:
            self.bus.heard(claim, now)
        self._strangers.discard(port.identity)
        before = self.tree.routeOf(port.identity, now)
        route = routeFrom(message, port.identity)
        self.tree.heard(port.identity, route, now)
        return route != before or self.bus.isNews(now)

    # Deciding

    def settle(self, ports: Collection[Port], now: float) -> None:
        """Choose the parent anew, and tell each port what its link is for."""
        routers = [p for p in ports if isinstance(p, RouterPort) and p.link is not None]
        self._guardBus(routers, now)
        upstreams = self._inOrder(routers)
        self._noteStrangers(upstreams, now)
        quiet = self.uplink is None or not (self.uplink.import_w or self.uplink.export_w)
        names = [port.identity for port in upstreams]
        parent = self.tree.parent
        self.tree.settle(names, now, quiet=quiet, rooted=not self.upstreams.any)
        if self.tree.parent != parent:
            self._tellOfParent()
        self.uplink = None
        for port in routers:
            known = port.isUpstream or self.tree.knows(port.identity)
            port.role = self.tree.link(port.identity, now) if known else None
            port.route = self.tree.route
            if port.isUp:
                self.uplink = port
            else:
                port.fold = NOTHING
        self._tellOfImpostor()

    def _inOrder(self, routers: Collection[RouterPort]) -> list[RouterPort]:
        found = []
        for port in routers:
            preference = self.upstreams.preference(port.link) if port.link is not None else None
            if self.bus.drives and port.isOn(self.bus.name):
                preference = None
            port.isUpstream = preference is not None
            if preference is not None and port.halted is None:
                found.append((preference, port.identity, port))
        return [port for _, _, port in sorted(found, key=lambda each: each[:2])]

    def _noteStrangers(self, upstreams: Collection[RouterPort], now: float) -> None:
        """An upstream of another make is a root by itself for as long as its session lasts."""
        for port in upstreams:
            name = port.identity
            silent = not self.tree.knows(name) and now - self._since[name] >= STRANGER_SECONDS
            if silent or name in self._strangers:
                self._strangers.add(name)
                self.tree.heard(name, routeOfStranger(name), now)

    def _guardBus(self, routers: Collection[RouterPort], now: float) -> None:
        """Let nothing flow on a bus that has two drivers; pass on what is known of them."""
        settings, changed = self.bus.settings, self.bus.look(now)
        claim = self.bus.claim(now)
        for port in routers:
            port.claim, port.halted = claim, None
            if settings is not None and self.bus.alarm and port.isOn(settings.name):
                port.halted = bounds.watts(0.0, Reason.BUS, settings.name)
        if settings is not None and changed and self.bus.alarm:
            self.log.critical(
                "ALARM: BUS {bus} HAS TWO DRIVERS, {drivers}: NOTHING FLOWS ON IT; let only one "
                "say 'driver = true' in [bus]",
                bus=settings.name,
                drivers=" and ".join(self.bus.known),
            )
        elif settings is not None and changed:
            self.log.warn("bus {bus} has no second driver any more", bus=settings.name)

    def _tellOfParent(self) -> None:
        if self.tree.parent is None:
            self.log.warn("no router above us leads to a root: we go on by ourselves")
        else:
            way = " - ".join(self.tree.route.path)
            self.log.info("we hang on {parent} now: {way}", parent=self.tree.parent, way=way)

    def _tellOfImpostor(self) -> None:
        if self.tree.impostor != self._impostor:
            self._impostor = self.tree.impostor
            if self._impostor is not None:
                self.log.error(
                    "ALARM: somebody beyond {neighbour} calls itself {identity}, as we do: give "
                    "each router an identity of its own",
                    neighbour=self._impostor,
                    identity=self.tree.identity,
                )

    def fold(self, ports: Collection[Port], network: Network, market: Market, now: float) -> None:
        """Work out what all ports together are to the parent, if there is one."""
        uplink = self.uplink
        if uplink is None:
            return
        uplink.become(*fold(network, market.trade, uplink.place, *uplink.capacity(now)), now)
        uplink.offerPrices = market.told(uplink.asks) if uplink.fold.offer_w else None
        stored = [port.stored(now) for port in ports if port is not uplink]
        uplink.folded = foldedStorage([each for each in stored if each is not None])
