"""The port to another router (EnergyNet §2.2, side C): above us, below us, or standing by.

Towards a router *below*, it is a port as any other, but for one thing: what the other router offers
is only what it could give if it asked its own sources, so nothing of it is used before the other
one has told that it is *ready* (Router Path).

Towards the router *above*, our parent, it speaks as a device, for the whole network
(`epnet.router.folding`): its Demand is what the network needs, its Supply what it offers.  The
parent's Supply is then a grant, confirmed by the parent, and is used without asking again; its
Demand is a request, for which our own sources are asked, and `ready` says how far they have come.

Towards all others, and for a second towards a new parent, it *stands by*: it needs and offers
nothing, grants nothing and asks for nothing, whatever the other one says.

What holds when things go wrong:

1. What we take from the parent is never more than its newest Supply says, nor than we have asked it
   for; each is good for 200 ms.  When the grant falls, our sinks fall in the same call.
2. Nothing is passed on that is not here: need and offer are worked out from what all others have
   said in the last 200 ms, and a grant given below rises only into what the parent has granted.
3. A link that is not a link up or down any more carries nothing from that very plan on.
4. A router below that has fallen silent about its way (300 ms) stands by, even if its Demand is
   fresh: it may hang on somebody else by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from epnet.consent import CONSENT_LIFETIME, offeredPower, requestedPower
from epnet.interfaces import ILink, IPort
from epnet.router import bounds, speech
from epnet.router.bounds import Bound
from epnet.router.bus import Claim
from epnet.router.dynamics import TICK_SECONDS
from epnet.router.folding import NOTHING, Fold
from epnet.router.ladder import Ladder, Rung
from epnet.router.patience import NEWS_W, Hope, Trust
from epnet.router.planning import Place, Step
from epnet.router.ports import Port
from epnet.router.reasons import Reason
from epnet.router.settings import PortSettings, Tier
from epnet.router.tree import ROOT, Link, Route
from epnet.session import SLACK
from epnet.wire import (
    DemandParameters,
    Message,
    RouterPath,
    StorageParameters,
    SupplyParameters,
)
from epnet.wire.values import Price

UPLINK_PRIORITY = 0
"""The highest class of what goes up, where no policy gives it one: local ones come first."""

BELOW, ABOVE = 1, 2
"""The turns of sources at one price, after our own."""


class _Told(NamedTuple):
    """What the other router was told last: powers, W, the way, and who drives our bus."""

    powers: tuple[float, ...]
    route: Route
    drivers: tuple[str, ...] = ()


class RouterPort(Port):
    """A port to another router.

    isUpstream: whether the other one may be our parent.
    role: what the link is for now; None: the other one knows nothing of ways, and is a device.
    route: our own way, which the other one is told.
    fold: what our network is to the other one, if that is our parent.
    offerPrices: what our offer costs, or None where that is not known.
    folded: all storage of our network, or None.
    claim: what it is told of our bus, or None.
    halted: why nothing may flow over it, as over all that hang on our bus, or None.
    """

    def __init__(self, identity: str, settings: PortSettings, converter: IPort) -> None:
        self.isUpstream = False
        self.role: Link | None = None
        self.route = Route(ROOT, (identity,))
        self.fold = NOTHING
        self.offerPrices: tuple[Price, ...] | None = None
        self.folded: StorageParameters | None = None
        self.claim: Claim | None = None
        self.halted: Bound | None = None
        self._bus: str | None = None
        self._knowsWays = False
        self._ready_w, self._takes_w, self._readyAt = 0.0, 0.0, -inf
        self._heard: dict[type[Message], float] = {}
        self._ladder = Ladder()
        self._hope = Hope()
        self._trust = Trust()
        self._told = _Told((), self.route)
        self._toldAt = self._lookedAt = -inf
        super().__init__(identity, settings, converter)

    def isOn(self, bus: str) -> bool:
        """Whether it hangs on that bus: the other router says so; nobody knows it of a stranger."""
        return not self._knowsWays or self._bus == bus

    @property
    def blocked(self) -> bool:
        """Whether nothing may flow: as of any port, or because its bus has two drivers."""
        return super().blocked or self.halted is not None

    def _stopped(self, now: float) -> Bound | None:
        stopped = super()._stopped(now)
        return stopped if stopped is not None else self.halted

    @property
    def isUp(self) -> bool:
        """Whether power may flow over it as between our parent and us."""
        return self.role is Link.UP

    @property
    def tier(self) -> Tier:
        """Where it stands in the order of sources."""
        return Tier.ROUTER

    @property
    def stores(self) -> bool:
        """A whole network is no storage, whatever is in it."""
        return False

    def _noteStorage(self, now: float) -> None:
        """What a network stores is its own matter: it is only passed on, see `stored`."""

    def attach(self, link: ILink) -> None:
        """The other router has connected; nothing of what it said before counts."""
        super().attach(link)
        self._readyAt = -inf
        self._heard.clear()
        self._knowsWays = False
        self.role, self.fold = None, NOTHING

    def heard(self, message: Message, now: float) -> bool:
        """Take note of a message; a change is passed on without waiting for the tick."""
        super().heard(message, now)
        if isinstance(message, RouterPath):
            self._ready_w = said_w = max(0.0, message.ready or 0.0)
            self._takes_w = max(0.0, message.takes or 0.0)
            self._readyAt = now
            self._bus, self._knowsWays = message.bus, True
        elif isinstance(message, SupplyParameters):
            said_w = offeredPower(message)
        elif isinstance(message, DemandParameters):
            said_w = requestedPower(message)
        else:
            return False
        before_w = self._heard.get(type(message), 0.0)
        self._heard[type(message)] = said_w
        return abs(said_w - before_w) > NEWS_W

    def ready(self, now: float) -> float:
        """What a router below has confirmed of what we ask it for, W."""
        fresh = 0.0 <= now - self._readyAt < CONSENT_LIFETIME
        return min(self._ready_w, self.asked_w) if fresh else 0.0

    def beyond(self) -> tuple[float, float]:
        """What the other end of the cable gives and takes at most, W: for a simulated converter."""
        return (self._ready_w, self._takes_w) if self._knowsWays else (inf, inf)

    # What it may carry

    def look(self, now: float, elapsed: float) -> Place:
        """Bring its place up to now.  There is no ramp but one that an installer has set."""
        place = super().look(now, elapsed)
        self._lookedAt = now
        place.source.turn = ABOVE if self.isUpstream else BELOW
        if self.remote is None:
            most = UPLINK_PRIORITY if self.isUp else self.settings.priority
            place.sink.priority = min(self.settings.priority, most)
        place.banded = False  # it would add up from level to level
        place.strict = self.role is not None
        if self.settings.ramp_w_s is None:
            place.importStep_w = place.exportStep_w = inf
        if self.isUp:
            place.import_w = min(place.import_w, self.imports.watts)
        elif self.role is not None:
            place.confirmed_w = self.ready(now)
            place.import_w = min(place.import_w, place.confirmed_w)
            doubted = self._trust.doubts(self.asked_w, place.confirmed_w, now)
            if doubted and place.confirmed_w < self.imports.watts:
                self.imports = bounds.watts(place.confirmed_w, Reason.UNREADY)
                place.source.max_w = place.confirmed_w
        return place

    def capacity(self, now: float) -> tuple[float, float]:
        """What it could carry each way if the other router gave and took all, W."""
        if self._stopped(now) is not None or self.link is None:
            return 0.0, 0.0
        amps = self.standing.amps
        most = amps * self.wireVoltage()
        operator = self._restraints.operatorBound(now)
        most = most if operator is None else min(most, operator.watts)
        return min(self.standing.imports.watts, most), min(self.standing.exports.watts, most)

    def become(self, need_w: float, rungs: Sequence[Rung], now: float) -> None:
        """Be that much to the parent, and no more, in the plan being made."""
        rung = self._ladder.choose(rungs, self.export_w, now) if rungs else Rung(inf, 0.0)
        self.fold = fold = Fold(need_w, rung.watts, rung.price)
        place = self.place
        place.confirmed_w = min(self.imports.watts, need_w)
        hopes = self._hope.holds(need_w, self.imports, now)
        place.source.max_w = need_w if hopes else place.confirmed_w
        if need_w < self.imports.watts:
            self.imports = bounds.watts(need_w, Reason.REQUEST)
        if fold.offer_w < self.exports.watts:
            self.exports = bounds.watts(fold.offer_w, Reason.OFFER)
            place.sink.max_w = fold.offer_w
        place.sink.bid = min(place.sink.bid, fold.price)

    @property
    def asks(self) -> float:
        """The price of our offer at the terminals: as the policy for its network has it, or ours.

        What is lost on the way from the bus has to be paid, too.
        """
        if self.remote is not None and self.remote.price is not None:
            return self.remote.price
        lost = self.settings.loss.linear if self.fold.price > 0.0 else 0.0
        return self.fold.price * (1.0 + lost)

    def _bounds(self, now: float) -> tuple[Bound, Bound]:
        standby = self._standby() if self.halted is None else None
        return super()._bounds(now) if standby is None else (standby, standby)

    def _standby(self) -> Bound | None:
        if self.link is None or self.role in (None, Link.UP, Link.DOWN):
            return None
        assert self.role is not None
        return Bound(0.0, Reason.STANDBY, 0.0, self.role.value)

    def overdrawn(self, now: float) -> bool:
        """Whether a set-point is above what may flow now."""
        if super().overdrawn(now):
            return True
        return self.role is Link.DOWN and self.import_w > self.ready(now)

    @property
    def consentEnds(self) -> float:
        """When the consent for what flows ends, s: with the word of a router below, too."""
        ends = super().consentEnds
        uses = self.role is Link.DOWN and self.import_w > 0.0
        return min(ends, self._readyAt + CONSENT_LIFETIME) if uses else ends

    def take(self, step: Step, now: float) -> bool:
        """Take new set-points; nothing is asked of a parent but by what the network needs."""
        fell = super().take(step, now)
        if self.isUpstream and self.role is not Link.DOWN:
            self.asked_w = self.import_w
        return fell

    # What it says

    def messages(self, now: float) -> list[Message]:
        """What goes to the other router now, the way with it."""
        if self.link is None:
            return []
        above = self.isUpstream and self.role is not Link.DOWN
        told = self._asDevice(now) if above else super().messages(now)
        self._told, self._toldAt = self._toTell(), now
        way = RouterPath(
            rank=self.route.rank,
            path=self.route.path,
            ready=self.export_w,
            takes=self.import_w,
        )
        return [*told, way if self.claim is None else way.replace(**self.claim.fields())]

    def _asDevice(self, now: float) -> list[Message]:
        """Need, offer and storage of the whole network; nothing on a link that is not up."""
        need_w, offer_w, _ = self.fold if self.isUp else NOTHING
        grant = self.said(SupplyParameters)
        if grant is not None:
            voltage = speech.importVoltage(self.settings, grant)
        else:
            voltage = speech.exportVoltage(self.settings, None)
        self._draw.sent(now)
        flowing_w = self.measured().export_w
        supply = speech.grant(self.settings, offer_w, self.exportVoltage(), flowing_w)
        supply = self.telling(supply).replace(energy_prices=self.offerPrices)
        told: list[Message] = [speech.request(self.settings, need_w, voltage), supply]
        return told if self.folded is None else [*told, self.folded]

    def _toTell(self) -> _Told:
        powers = (self.fold.need_w, self.fold.offer_w, self.export_w, self.import_w, self.asked_w)
        drivers = self.claim.drivers if self.claim is not None else ()
        return _Told(powers, self.route, drivers)

    @property
    def hasNews(self) -> bool:
        """Whether the other router should know at once: what is new, and at each tick what is not.

        However seldom we publish (`publish_hz`), a way is good for 300 ms only.
        """
        now, before = self._toTell(), self._told
        if self.link is None:
            return False
        if self._lookedAt - self._toldAt >= TICK_SECONDS - SLACK:
            return True
        return now[1:] != before[1:] or any(
            abs(new - old) > NEWS_W for new, old in zip(now.powers, before.powers, strict=False)
        )
