"""The accounts of a router: how much energy went through each port, and what travelled with it.

Each tick every port's meter is read.  Once a second the energies since the last time are settled:
what the sources gave is blended, and the sinks receive that blend (`epnet.router.provenance` has
the rules).  Where more than half of what was given is not received, as in the moment between a
source's start and a sink's, the half counts as lost on the way, and the router itself has used the
rest.  What is received while nothing is given counts as given, Unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from math import fsum
from typing import TYPE_CHECKING, Final

import attrs

from epnet.router.ledger import Account, Books, Kept, Record
from epnet.router.prices import commonCurrency
from epnet.router.provenance import JOULES_PER_KWH, UNKNOWN, Blend, mixed, wholePercents
from epnet.session import SLACK
from epnet.wire.values import Mix, Price

if TYPE_CHECKING:
    from epnet.router.ports import Port

SETTLE_SECONDS: Final = 1.0
"""Time between two settlements."""

MOST_CARRIED: Final = 2.0
"""How much may have been given for each joule received; more is the router's own use."""

NO_CURRENCY: Final = "XXX"
"""What ISO 4217 has for amounts in no currency."""

_NOTHING: Final = Record()


@attrs.frozen
class _Flow:
    """What went through a port since the last settlement, J."""

    port: Port
    account: Account
    joules: float


class Accounts:
    """The accounts of all ports of a router.

    tenant: whose network this is; local energy stays local only within it.
    currency: of prices, three capital letters; None for that of the devices if they agree
        (`epnet.router.prices`, rule 2).
    fee: what is added to the price of everything received, per kWh.
    timeOfDay: tells the time of day, aware, for the prices that hold.
    byPort: the accounts by the identity of the port's device.
    books: the sums, up to this moment; what `shownBooks` tells is in safety.
    network: what everybody received in the last second, or None where nobody did.
    selfConsumption: the part of that which stayed in the network, 0 to 1; None without any
        local energy in it.
    reckoning: the currency of prices now, or None where there is none.
    saved: what is in safety, or None if nothing keeps it.
    saves, saveFailures: how often they were brought there, and could not be.
    """

    def __init__(
        self,
        tenant: str | None = None,
        currency: str | None = None,
        fee: float = 0.0,
        timeOfDay: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.tenant = tenant
        self.currency = currency
        self.fee = fee
        self.byPort: dict[str, Account] = {}
        self.books = Books()
        self.network: Blend | None = None
        self.selfConsumption: float | None = None
        self.saved: Kept | None = None
        self.saves = self.saveFailures = 0
        self._timeOfDay = timeOfDay
        self._settledAt: float | None = None
        self.reckoning = currency
        self._now = self._savedAt = 0.0
        self._told: dict[float, tuple[Price, ...]] = {}

    # Time

    def advance(self, now: float, ports: Collection[Port]) -> None:
        """Read every meter, at a monotonic time, s; settle once a second."""
        self._now = now
        for port in ports:
            account = self.byPort.get(port.identity)
            if account is None:
                account = self.byPort[port.identity] = Account()
            account.meter.read(now, *port.flows())
        if self._settledAt is None:
            self._settledAt = now
        elif now + SLACK - self._settledAt >= SETTLE_SECONDS:
            self._settle(ports, now - self._settledAt)
            self._settledAt = now

    # What is kept

    def kept(self) -> Kept:
        """What is to be kept: of the ports that energy went through or is stored behind."""
        records = {
            identity: account.record()
            for identity, account in self.byPort.items()
            if account.tank is not None or not account.meter.idle
        }
        return Kept(records, attrs.evolve(self.books))

    def restore(self, kept: Kept, now: float, missed_s: float) -> None:
        """Go on from what was kept; so long, s, nothing was metered since: a gap for each port."""
        self.saved = kept
        self.books = attrs.evolve(kept.books)
        self._now = self._savedAt = now
        self.byPort = {identity: Account.of(record) for identity, record in kept.records.items()}
        if missed_s > 0.0:
            for account in self.byPort.values():
                account.meter.missed(round(missed_s * 1e6))

    def isForgettable(self, identity: str) -> bool:
        """Whether no energy has ever gone through a port."""
        account = self.byPort.get(identity)
        return account is None or account.meter.idle

    def forget(self, identity: str) -> None:
        """Forget such an account; what is said to be stored behind its port is gone, too."""
        account = self.byPort.pop(identity, None)
        if account is not None and account.tank is not None:
            tank = account.tank
            self.books.went(tank.leave(tank.joules), tank.blend)

    def wereSaved(self, kept: Kept, when: float) -> None:
        """What was to be kept at that time, s, is in safety."""
        self.saved = kept
        self.saves += 1
        self._savedAt = when

    @property
    def unsaved_s(self) -> float | None:
        """How old what is in safety is, s, or None if nothing keeps it."""
        return None if self.saved is None else self._now - self._savedAt

    def shown(self, identity: str) -> Record:
        """The account of a port for all to see.

        A meter shows only what is already in safety, so that nobody ever sees it run backwards.
        """
        if self.saved is not None:
            return self.saved.records.get(identity, _NOTHING)
        account = self.byPort.get(identity)
        return account.record() if account is not None else _NOTHING

    @property
    def shownBooks(self) -> Books:
        """The books for all to see, likewise."""
        return self.books if self.saved is None else self.saved.books

    # Settlement

    def _settle(self, ports: Collection[Port], seconds: float) -> None:
        """Blend what was given since the last time, and give it to who received it."""
        time = self._timeOfDay()
        given: list[_Flow] = []
        taken: list[_Flow] = []
        for port in ports:
            account = self.byPort[port.identity]
            account.flowed = None
            account.listen(port, self.isAbroad(port), time, self.books)
            imported, exported = account.settle()
            if imported:
                given.append(_Flow(port, account, imported))
            if exported:
                taken.append(_Flow(port, account, exported))
        asked = [self.byPort[port.identity].price for port in ports]
        self.reckoning = commonCurrency(self.currency, filter(None, asked))
        self.network = self._blended(self._collected(given, seconds), taken)
        self._give(taken)
        self._publish(ports, time)

    def _collected(self, given: list[_Flow], seconds: float) -> list[tuple[float, float, Blend]]:
        """What the sources gave: at their terminals, at the bus, and its blend."""
        parts = []
        for flow in given:
            tank = flow.account.tank
            if tank is not None:
                self.books.came(tank.take(flow.joules), UNKNOWN)
            blend = flow.account.flowed = self._blendOf(flow)
            if tank is None:
                self.books.came(flow.joules, blend)
            parts.append((flow.joules, _injected(flow, seconds), blend))
        return parts

    def _blended(self, parts: list[tuple[float, float, Blend]], taken: list[_Flow]) -> Blend | None:
        """What everybody receives: what the sources gave, with what was lost on the way."""
        received = fsum(flow.joules for flow in taken)
        if not parts and received:
            self.books.came(received, UNKNOWN)
            return attrs.evolve(UNKNOWN, unpriced=1.0)
        gave = fsum(terminal for terminal, _, _ in parts)
        self.books.energyLost += gave - received
        if not gave:
            return None
        bus = mixed(parts)
        carried = min(gave, MOST_CARRIED * received)
        self.books.carbonOwn += (gave - carried) * bus.carbon / JOULES_PER_KWH
        if not received:
            return None
        blend = bus.carrying(carried, received)
        return attrs.evolve(blend, cost=blend.cost + self.fee)

    def _give(self, taken: list[_Flow]) -> None:
        """Book what the sinks received."""
        blend, outside = self.network, 0.0
        self.selfConsumption = None
        if blend is None:
            return
        abroad = blend.abroad()
        for flow in taken:
            account = flow.account
            account.carbon_g += flow.joules * blend.carbon / JOULES_PER_KWH
            account.flowed = blend
            if account.tank is not None:
                account.tank.put(flow.joules, blend)
            else:
                self.books.went(flow.joules, blend)
            if self.isAbroad(flow.port):
                account.flowed = abroad
                outside += flow.joules
        if blend.local > 0.0:
            self.selfConsumption = 1.0 - outside / fsum(flow.joules for flow in taken)

    def _publish(self, ports: Collection[Port], time: datetime) -> None:
        """Let the router's Supplies say what is received."""
        blend = self.network
        price = mix = mixAbroad = carbon = None
        if blend is not None:
            price = blend.price
            mix, mixAbroad = _shares(blend), _shares(blend.abroad())
            carbon = round(blend.carbon, 3)
        asked = {
            port.identity: _asked(port, price if self._priced(port, ports) else None)
            for port in ports
        }
        self._tell({each for each in asked.values() if each is not None}, time)
        for port in ports:
            port.mix = mixAbroad if self.isAbroad(port) else mix
            port.carbon = carbon if port.settings.side == "C" else None
            amount = asked[port.identity]
            port.prices = None if amount is None else self._told[amount]

    def _priced(self, port: Port, ports: Iterable[Port]) -> bool:
        """Whether a device is told a price at all.

        Another router is only where anybody else has one.  A price of 0 for free sun would outdo
        all that has none, and two routers would believe in each other's for ever.
        """
        return port.settings.side != "C" or any(
            other.settings.price is not None or self.byPort[other.identity].price is not None
            for other in ports
            if other is not port
        )

    def _tell(self, prices: set[float], time: datetime) -> None:
        """Put each price into a forecast of one, the same as before while it does not change."""
        currency = self.reckoning or NO_CURRENCY
        told = {}
        for price in prices:
            before = self._told.get(price)
            if before is None or before[0].currency != currency:
                before = (Price(time.replace(microsecond=0), price, currency),)
            told[price] = before
        self._told = told

    def _blendOf(self, flow: _Flow) -> Blend:
        """What a source gave, at its price: as configured, as its device says, as it has cost.

        Local production without a price costs nothing; what comes from outside without one has no
        known price.
        """
        account, settings = flow.account, flow.port.settings
        blend = account.source if account.tank is None else account.tank.blend
        if settings.price is not None:
            return attrs.evolve(blend, cost=settings.price, unpriced=0.0)
        if account.price is not None and account.price.currency == self.reckoning:
            return attrs.evolve(blend, cost=account.price.amount, unpriced=0.0)
        if account.price is not None or (account.tank is None and settings.side in "BC"):
            return attrs.evolve(blend, cost=0.0, unpriced=1.0)
        return blend

    def isAbroad(self, port: Port) -> bool:
        """Whether a port leads to a network not known to be ours: the grid, others' routers.

        Tenants count only as far as a certificate vouches for them.
        """
        side = port.settings.side
        if side != "C":
            return side == "B"
        return self.tenant is None or port.peer is None or port.peer.tenant != self.tenant


def _asked(port: Port, price: float | None) -> float | None:
    """What is asked of a port's device: our price, or what the policy for its network says."""
    remote = port.remote
    if remote is not None and remote.price is not None:
        price = remote.price
    return None if price is None else round(price, 4)


def _shares(blend: Blend) -> Mix:
    return dict(wholePercents(blend.sources).items())


def _injected(flow: _Flow, seconds: float) -> float:
    """The energy of a source at the bus, J, by its port's loss at the average power."""
    loss = flow.port.settings.loss
    watts = min(flow.joules / seconds, loss.peak)
    return flow.joules * loss.injected(watts) / watts
