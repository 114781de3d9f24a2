"""Who asks and who pays how much at this moment: prices put into the ports' places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from math import fsum, inf

from twisted.logger import Logger

from epnet.router.folding import Trade
from epnet.router.policy import Policies
from epnet.router.ports import Port
from epnet.router.prices import (
    FIRST,
    LAST,
    Around,
    asking,
    atBus,
    commonCurrency,
    firmPower,
    isPrice,
    storagePrices,
)
from epnet.router.settings import Tier
from epnet.wire import Price, SupplyParameters

LOW_HYSTERESIS = 2.0
"""Percent by which the charge of all storage has to rise above its minimum to be used again."""


class Market:
    """Prices of all ports, and whether all storage together is low.

    timeOfDay: tells the time of day, aware, for forecasts.
    foreign: the currencies of forecasts that cannot be compared.
    low: whether storage is kept for what must be served.
    trade: what is for other networks: grids without a known price are not.
    """

    log = Logger()

    def __init__(self, timeOfDay: Callable[[], datetime]) -> None:
        self._timeOfDay = timeOfDay
        self.foreign: frozenset[str] = frozenset()
        self.low = False
        self.trade = Trade(frozenset(), priced=False)
        self._currency: str | None = None
        self._around = Around()
        self._told: tuple[Price, ...] = ()

    def open(self, everyone: Collection[Port], ports: Collection[Port], policies: Policies) -> None:
        """Put the prices of this moment into the places of ports.

        everyone: who has a part in it: these ports, and others of which nothing has changed.
        """
        self._lookUp(ports)
        forecasts = {
            port.identity: port.forecast.price
            for port in everyone
            if port.forecast.price is not None
        }
        currency = commonCurrency(policies.network.currency, forecasts.values())
        currencies = {price.currency for price in forecasts.values()}
        self._noteForeign(frozenset(currencies - {currency}))
        known = {
            identity: price.amount
            for identity, price in forecasts.items()
            if price.currency == currency
        }
        anyKnown = bool(known) or any(port.settings.price is not None for port in everyone)
        self._currency = currency
        self._around = _around(everyone, known) if anyKnown else Around()
        self.low = self._isLow(everyone, policies.network.min_soc)
        for port in ports:
            self._price(port, known.get(port.identity), anyKnown)
        grids = [port for port in everyone if port.settings.side == "B" and port.rank]
        self.trade = Trade(
            frozenset(port.identity for port in grids), anyKnown and currency is not None
        )

    def told(self, price: float) -> tuple[Price, ...] | None:
        """What another network is told of a price; None where none is known."""
        if self._currency is None or not self.trade.priced or not isPrice(price):
            return None
        amount = round(price, 4)
        if [(each.amount, each.currency) for each in self._told] != [(amount, self._currency)]:
            when = self._timeOfDay().replace(microsecond=0)
            self._told = (Price(when, amount, self._currency),)
        return self._told

    def _noteForeign(self, currencies: frozenset[str]) -> None:
        if currencies and currencies != self.foreign:
            self.log.warn(
                "prices in {currencies} cannot be compared: they count as unknown",
                currencies=", ".join(sorted(currencies)),
            )
        self.foreign = currencies

    def _lookUp(self, ports: Collection[Port]) -> None:
        """Bring forecasts up to now."""
        when = self._timeOfDay()
        for port in ports:
            supply = port.said(SupplyParameters)
            port.forecast.at(None if supply is None else supply.energy_prices, when)

    def _isLow(self, ports: Collection[Port], least: float) -> bool:
        if least <= 0.0:
            return False
        stored, capacity = [], []
        for port in ports:
            storage = port.storage
            if storage is None or storage.soc is None or not storage.capacity:
                continue
            if storage.capacity < 0.0:
                continue
            # Who only charges, as most vehicles do, holds nothing for the network.
            if port.link is not None and port.link.latest(SupplyParameters) is not None:
                stored.append(storage.soc * storage.capacity)
                capacity.append(storage.capacity)
        if not capacity:
            return False
        soc = fsum(stored) / fsum(capacity)
        return soc <= least or (self.low and soc < least + LOW_HYSTERESIS)

    def _price(self, port: Port, forecast: float | None, anyKnown: bool) -> None:
        settings, place, tier = port.settings, port.place, port.tier
        known = settings.price if settings.price is not None else forecast
        port.rank = "" if known is not None else tier.words
        bid = settings.bid
        if tier is Tier.STORAGE:
            ask, pays = storagePrices(known, anyKnown, self._around, settings.loss)
            if isinstance(bid, Tier) and bid is Tier.LOCAL:
                bid = max(0.0, self._around.local)
            if port.supplies:
                bid = min(bid, pays)
            if self.low:
                ask = LAST
        else:
            price = asking(known, tier, anyKnown)
            ask = atBus(price, settings.loss) if known is not None else price
        place.source.price = FIRST if port.reversing else ask
        sink = place.sink
        sink.bid = bid
        if port.remote is not None and port.remote.price is not None:
            sink.bid = min(sink.bid, port.remote.price)
        sink.firm_w = firmPower(port.storage, sink.max_w) if sink.bid < inf else 0.0


def _around(ports: Collection[Port], known: Mapping[str, float]) -> Around:
    """What storage without a price goes by; `known`: the forecasts that can be compared."""
    local, grid = [], []
    for port in ports:
        settings = port.settings
        price = settings.price if settings.price is not None else known.get(port.identity)
        if settings.side == "B":
            if price is not None:
                grid.append(atBus(asking(price, Tier.GRID, True), settings.loss))
        elif port.tier is Tier.LOCAL and port.supplies:
            local.append(atBus(asking(price, Tier.LOCAL, True), settings.loss))
    return Around(min(local, default=0.0), min(grid, default=inf))
