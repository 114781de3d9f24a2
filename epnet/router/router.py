"""The energy router: the node behind a router's sessions (EnergyNet §2, router design).

It gives every trusted device a port, turns the devices' offers and requests into set-points by the
pure functions in `epnet.router.planning`, and publishes them: a Demand to each device that
supplies, a Supply to each that draws.  It plans 10 times a second, and in the same call whenever
something that is being used falls away: a device lost, a lower offer, an expired consent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from math import inf, isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from zope.interface import implementer

from epnet.errors import UsageError
from epnet.identity import Peer
from epnet.interfaces import ILink, INode
from epnet.lifecycle import Cause, Ending
from epnet.limits import UNVOUCHED
from epnet.router import shedding
from epnet.router.accounts import Accounts
from epnet.router.acquaintance import forgotten
from epnet.router.allocation import Allocation, allocate
from epnet.router.dynamics import TICK_SECONDS
from epnet.router.fairness import Groups
from epnet.router.folding import Network
from epnet.router.governing import govern, groupsOf
from epnet.router.invariants import Invariants
from epnet.router.market import Market
from epnet.router.neighbours import IUpstreams, Neighbours
from epnet.router.planning import Place, Plan, idleStep, plan
from epnet.router.policy import Policies
from epnet.router.portmaker import (
    IDescribable,
    IForgetting,
    IPortMaker,
    PortRefused,
    describeAnew,
    misfit,
)
from epnet.router.ports import Port
from epnet.router.records import decided, summed
from epnet.router.settings import PortSettings
from epnet.router.supervision import Finding
from epnet.session import SLACK
from epnet.wire import Message, SessionParameters

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

SHED_LIST_SECONDS: Final = 1.0
"""How often the shed list is made anew."""

HURRY_SECONDS: Final = 0.02
"""Between plans outside the ticks at least: a sweep."""

HURRY_FACTOR: Final = 5.0
"""The same, in times that the last plan took: so they cost a fifth of a core at most."""

REPLACED: Final = Ending(Cause.LEFT, "another connection takes its place")

MOST_ROUNDS: Final = 8
"""How often in one call a decision may lead to another one; the next pulse goes on from there."""


@implementer(INode)
class Router:
    """An energy router.

    parameters: what it says of itself.
    makePort: gives a newly connected device its port.
    clock: the one clock.
    timeOfDay: tells the time of day, aware, for price forecasts.
    ports: by device identity; a port stays when its device goes.
    policies: those that hold.
    decisions, decidingSeconds: how many there were, and how long they took together, s.
    accounts: the energy that went through the ports, and what travelled with it.
    invariants: what was checked of them, and what did not hold.
    standing_w: what the router itself uses, bus watts.
    mostUnvouched: how many devices it remembers when one comes that nobody vouches for.
    neighbours: the other routers.
    """

    log = Logger()

    def __init__(
        self,
        parameters: SessionParameters,
        makePort: IPortMaker,
        clock: IReactorTime,
        timeOfDay: Callable[[], datetime] = lambda: datetime.now(UTC),
        accounts: Accounts | None = None,
        upstreams: IUpstreams | None = None,
    ) -> None:
        self.parameters = parameters
        self.ports: dict[str, Port] = {}
        self.policies = Policies()
        self.decisions = 0
        self.decidingSeconds = 0.0
        self.accounts = accounts or Accounts(parameters.tenant)
        self.invariants = Invariants()
        self.standing_w = 0.0
        self.mostUnvouched = UNVOUCHED
        self.neighbours = Neighbours(parameters.identity, upstreams)
        self._makePort = makePort
        self._clock = clock
        self._market = Market(timeOfDay)
        self._groups = Groups()
        self._ungoverned: set[Port] = set()
        self._limits: dict[str, tuple[float, float | None]] = {}
        self._byLink: dict[ILink, Port] = {}
        self._dropped: set[Port] = set()
        self._shedList = shedding.NOTHING
        self._shedListAt = -inf
        self._ticked = self._planned = self._metered = clock.seconds()
        self._consentEnds = inf
        self._made: tuple[list[Port], Plan] | None = None
        self._summed: Allocation | None = None
        self._urgent = self._isMissing = False
        self._deciding = self._again = False
        self._fellAt = -inf
        self._hurriedAt = -inf
        self._pause = HURRY_SECONDS

    @property
    def allocation(self) -> Allocation:
        """The newest decision, with its sums; added up when somebody looks."""
        if self._summed is None:
            self._summed = summed(*self._made) if self._made is not None else allocate((), ())
        return self._summed

    # What operators and installers say

    def setPolicies(self, policies: Policies) -> None:
        """Replace all policies; no connection is dropped.

        Raises `UsageError` for groups that contradict each other; the old policies then stay.
        """
        groupsOf(policies, self.ports.values())
        self.policies = policies
        network = policies.network
        self.accounts.currency, self.accounts.fee = network.currency, network.fee
        self._ungoverned.update(self.ports.values())
        self.allocate()

    def limit(self, identity: str, max_w: float | None, expires: float | None) -> None:
        """Let a device take and give at most `max_w`, W, until `expires`, s of the router's clock.

        None for `max_w` lifts the limit, None for `expires` lets it hold until it is lifted.
        Raises `UsageError` for a limit below 0 or not finite.
        """
        if max_w is not None and not 0.0 <= max_w < inf:
            raise UsageError(f"max_w is {max_w}: it must be a number from 0")
        if expires is not None and not isfinite(expires):
            raise UsageError(f"expires is {expires}: it must be a time")
        if max_w is None:
            self._limits.pop(identity, None)
        else:
            self._limits[identity] = (max_w, expires)
        if identity in self.ports:
            self.ports[identity].limit(max_w, expires)
            self.allocate()

    def clear(self, identity: str) -> None:
        """An operator has seen to what a port was shut down for: a fault, a device, a cable.

        Raises `UsageError` for a device without a port, or one that still reports a fault.
        """
        port = self.ports.get(identity)
        if port is None:
            raise UsageError(f"no port belongs to {identity!r}")
        if not port.clear():
            raise UsageError(f"{identity} still reports an isolation fault: mend it first")
        self.allocate()

    def describe(self, described: Mapping[str, PortSettings], default: PortSettings | None) -> None:
        """Replace what installers say of ports; existing ports take it without being dropped.

        default: for devices that are not described; None with descriptions refuses them.  A device
        whose port is gone is disconnected.  Raises `UsageError` if ports are made by something
        that takes no descriptions.
        """
        maker = self._makePort
        if not isinstance(maker, IDescribable):
            raise UsageError("the ports of this router are not made from descriptions")
        maker.describe(described, default)
        for port in list(self.ports.values()):
            if port.peer is None:
                continue
            try:
                settings = maker.settingsOf(port.peer)
            except PortRefused as refused:
                self._refuse(port, str(refused))
                continue
            other = misfit(port, settings)
            if other is not None:
                self._refuse(port, other)
            elif settings != port.settings:
                describeAnew(port, settings)
        self._ungoverned.update(self.ports.values())
        self.allocate()

    def _refuse(self, port: Port, reason: str) -> None:
        """There is no port any more for a device: it drains and goes."""
        self.log.warn("{identity} is refused: {reason}", identity=port.identity, reason=reason)
        port.refused = True
        if port.link is None:
            self._drop(port)
        else:
            port.link.disconnect(reason)

    def _drop(self, port: Port) -> None:
        """Forget a port whose device is gone, once that can draw nothing any more."""
        if port.mayDraw:
            self._dropped.add(port)
            return
        self._dropped.discard(port)
        del self.ports[port.identity]

    # INode

    def sessionOpened(self, link: ILink) -> None:
        """A device has connected: it gets its port back, or a new one, or is refused."""
        identity = link.peer.identity
        former = self.ports.get(identity)
        if former is not None and former.link is not None:
            # The register of connections ends the old one first.  Should it not, nothing goes on.
            self.sessionClosed(former.link, REPLACED)
        try:
            port = self._portFor(link.peer)
        except PortRefused as refused:
            if link.peer.authenticated:  # of others, the story of the session says enough
                self.log.warn(
                    "{identity} is refused: {reason}", identity=identity, reason=str(refused)
                )
            link.disconnect(str(refused))
            return
        self.ports[identity] = port
        port.limit(*self._limits.get(identity, (None, None)))
        port.attach(link)
        self._byLink[link] = port
        self.neighbours.opened(port, link, self._clock.seconds())
        self._ungoverned.add(port)

    def messageReceived(self, link: ILink, message: Message) -> None:
        """Act at once on what falls below what is in use; the rest waits for the tick."""
        port = self._byLink.get(link)
        if port is None:
            return
        now = self._clock.seconds()
        stirred = self.neighbours.heard(port, message, now)
        if port.heard(message, now) or stirred:
            self._urgent = True
        if not port.overdrawn(now):
            port.actuate(now)
            if port.failed and self._look(port, now):
                self.allocate()
        elif port.isolation.blocked:
            self._shed(port, now)
            self.allocate()
        else:
            # A device stays within what it says itself, so a moment does no harm.
            self._urgent = True
            self._hurry(now)

    def publications(self, link: ILink) -> Iterable[Message]:
        """The grant and the request for the device on this link."""
        port = self._byLink.get(link)
        if port is None:
            return ()
        messages = port.messages(self._clock.seconds())
        if port.failed:
            # Its meter has been read for them, and failed.
            self.allocate()
            messages = port.messages(self._clock.seconds())
        return messages

    def advance(self, now: float) -> None:
        """Plan when the tick is due, or when consent for power in use is over; read the meters."""
        self._plan(now)
        # Not only at a tick: plans made in between put the next one off again and again.
        if now + SLACK - self._metered >= TICK_SECONDS or now < self._metered:
            self._metered = now
            self.accounts.advance(now, self.ports.values())
            if any(port.failed for port in self.ports.values()):
                self.allocate()

    def _plan(self, now: float) -> None:
        # A clock that jumped back is a reason to plan, too.
        due = now + SLACK - self._ticked >= TICK_SECONDS or now < self._ticked
        if due or self._isMissing:
            self.allocate()
        elif self._urgent:
            self._hurry(now)
        elif now >= self._consentEnds:
            self._consentEnds = min((p.consentEnds for p in self.ports.values()), default=inf)
            if now >= self._consentEnds:
                self.allocate()

    def draining(self, link: ILink) -> None:
        """The session is being closed on purpose: the port's power goes to the others."""
        port = self._byLink.get(link)
        if port is not None:
            port.leaving = True
            now = self._clock.seconds()
            self._shed(port, now)
            if port.busy:
                self._fellAway(now)

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        """A device is gone: what it supplied is missing from now on, in this very call."""
        port = self._byLink.pop(link, None)
        if port is None:
            return
        now = self._clock.seconds()
        if port.import_w or port.export_w:
            self.log.warn(
                "{identity} gone in a transfer ({import_w:.0f} W in, {export_w:.0f} W out)",
                identity=port.identity,
                import_w=port.import_w,
                export_w=port.export_w,
            )
        self._shed(port, now)
        # Another router tells its way as well as its power.
        busy = port.busy or port.settings.side == "C"
        port.detach(ending.reason, now)
        self.neighbours.closed(port)
        if port.refused:
            self._drop(port)
        if busy:
            self._fellAway(now)

    # Deciding

    def allocate(self) -> None:
        """Decide anew, actuate, and tell at once everyone whose power falls.

        Who breaks or has to be shut down meanwhile leads to another decision after this one, never
        inside it: there may be many of them, one after the other.
        """
        self._again = True
        if self._deciding:
            return
        self._deciding = True
        try:
            for _ in range(MOST_ROUNDS):
                self._again = False
                self._decide()
                if not self._again:
                    return
            self._isMissing = True
        finally:
            self._deciding = False

    def _decide(self) -> None:
        now = self._clock.seconds()
        began = perf_counter()
        self._govern()
        elapsed, self._planned = now - self._planned, now
        self._ticked = now
        self._urgent = self._isMissing = False
        self.neighbours.settle(self.ports.values(), now)
        everyone = [port for port in self.ports.values() if port.matters]
        ports = [port for port in everyone if not port.dozes(now)]
        for port in ports:
            port.look(now, elapsed)
        self._market.open(everyone, ports, self.policies)
        reserve = self.policies.network.reserve
        places = [port.place for port in ports if not port.place.idle]
        network = Network(places, self._groups, self.standing_w, reserve)
        self.neighbours.fold(everyone, network, self._market, now)

        def planned(places: Sequence[Place]) -> Plan:
            return plan(places, self._groups, self.standing_w, reserve, now)

        places = [port.place for port in ports if not port.place.idle]
        made = planned(places)
        self.invariants.check(places, made, self._groups, now, planned)
        made.steps.update((p.identity, idleStep(p.place, now)) for p in ports if p.place.idle)
        self._made, self._summed = (everyone, made), None
        fell = {port for port in ports if port.take(made.steps[port.identity], now)}
        for port in ports:
            port.follow(now)
            decided(port, made.steps[port.identity], now)
            port.doze(now)
        for port in tuple(self._dropped):
            self._drop(port)
        self._consentEnds = min((port.consentEnds for port in ports), default=inf)
        self._prepareShedding(ports, made.standing_w, now)
        took = perf_counter() - began
        self.decisions += 1
        self.decidingSeconds += took
        self._pause = min(TICK_SECONDS, max(HURRY_SECONDS, HURRY_FACTOR * took))
        self._tell(fell, ports, now)

    def _tell(self, fell: Set[Port], ports: Iterable[Port], now: float) -> None:
        """Act on the sessions, now that all is decided, and see who does not as it was told."""
        for port in ports:
            port.announce()
        for port in ports:
            if port.link is not None and (port in fell or port.hasNews):
                port.link.publishNow()
        if [port for port in ports if self._look(port, now)]:
            self.allocate()

    def _prepareShedding(self, ports: Iterable[Port], standing_w: float, now: float) -> None:
        if not 0.0 <= now - self._shedListAt < SHED_LIST_SECONDS:
            self._shedListAt = now
            places = [port.settled() for port in ports if not port.place.idle]
            self._shedList = shedding.prepare(places, self._groups, standing_w)

    def _fellAway(self, now: float) -> None:
        """Something in use is gone: plan in this call, of many losses at once for the first one.

        The others follow in the same pulse, if it is that which finds them lost, or in the next.
        """
        if 0.0 <= now - self._fellAt < HURRY_SECONDS:
            self._isMissing = True
        else:
            self._fellAt = now
            self.allocate()

    def _hurry(self, now: float) -> None:
        """Plan before the tick, unless that has just been done: many offers may fall at once."""
        if not 0.0 <= now - self._hurriedAt < self._pause:
            self._hurriedAt = now
            self.allocate()

    def _govern(self) -> None:
        """Bring policies to ports, once after either has changed."""
        if self._ungoverned:
            govern(self._ungoverned, self.policies)
            self._ungoverned.clear()
            self._groups = groupsOf(self.policies, self.ports.values())

    def _shed(self, port: Port, now: float) -> None:
        """A source falls away: what was made ready for that is done before anything else."""
        if port.import_w > 0.0 and port.identity == self._shedList.source:
            for identity, grant in self._shedList.grants.items():
                if identity in self.ports:
                    self.ports[identity].cut(grant, now)

    def _look(self, port: Port, now: float) -> bool:
        """See whether a device does what it was told; whether its port had to be shut down."""
        finding = port.supervise(now)
        if finding is None:
            return False
        self.log.warn("{identity}: {finding}", identity=port.identity, finding=finding.value)
        return finding is not Finding.OVERDRAWING

    def _portFor(self, peer: Peer) -> Port:
        """The port for a device that connects.  Raises `PortRefused` if it has none."""
        port = self.ports.get(peer.identity)
        if port is None:
            self._makeRoom(peer)
            return self._makePort(peer)
        settings = port.settings
        if isinstance(self._makePort, IDescribable):
            # Whoever comes now may be somebody who only says the name of who was here before.
            settings = self._makePort.settingsOf(peer)
        if port.refused or misfit(port, settings) is not None:
            if port.mayDraw:
                raise PortRefused("its former port has not come to rest: come again in a second")
            return self._makePort(peer)
        if settings != port.settings:
            describeAnew(port, settings)
        return port

    def _makeRoom(self, peer: Peer) -> None:
        """Forget somebody for a device that has no port.  Raises `PortRefused` as that does."""
        now = self._clock.seconds()
        port = forgotten(peer, self.ports, self.accounts, self.mostUnvouched, now)
        if port is not None and isinstance(self._makePort, IForgetting):
            self._makePort.forget(port.identity)
