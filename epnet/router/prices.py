"""What power costs: forecasts, fixed prices, and an order where no price is known.  Pure.

Prices are per kWh at the port's terminals; the fill compares prices *at the bus*, losses included.

1. A price that the installer gives rules; else the one of the device's forecast that holds now;
   else none is known.
2. Only one currency can be compared.  It is the network policy's; without one, that of the
   forecasts if all agree.  A forecast in another currency is no known price.
3. Where no price at all is known, sources stand in the order of their `Tier`, and bids are tiers.
4. Where one is known, local power without one is free, and other routers and the grid without a
   price are dearer than any known price: nobody who bids a price buys at one that he does not know.
5. Storage without a price is then worth what it saves: it gives just before the grid does at its
   known price.  Where that is not known or not above zero, it buys what the cheapest local source
   has left over, and asks for as much more as it loses of it.  Either way what it pays is below
   what it asks by its losses: it neither buys from the grid that it gives before, nor from itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf, nextafter
from typing import Final, NamedTuple

from epnet.router.losses import Loss
from epnet.router.settings import Tier
from epnet.router.terms import MOST
from epnet.wire import Price, StorageParameters

STORAGE_EFFICIENCY: Final = 0.95
"""What a storage keeps of energy on its way in, and again out: messages do not tell."""

LAST: Final = MOST / 10
"""A price that is paid only to serve what must be served."""

FIRST: Final = -MOST / 10
"""The price of energy that a device wants to be rid of (M6)."""

_MOST_PRICE: Final = 1e9
"""Beyond any real price: a forecast that says more says this much."""

_UNKNOWN: Final = {Tier.LOCAL: 0.0, Tier.STORAGE: 1e-6, Tier.ROUTER: 1e6, Tier.GRID: 2e6}
"""The prices of sources without one, where others have one: see rule 4.

That of storage is the least that it pays: what is free, it takes (rule 5)."""

SLACK_SECONDS: Final = 15 * 60
"""A charge that must begin within this time is due now."""


class Forecast:
    """The price of a device's newest forecast (V9), looked up only when it can have changed.

    price: the entry that held when it was looked up last, or None.
    """

    __slots__ = ("_prices", "_times", "_until", "price")

    def __init__(self) -> None:
        self._prices: Sequence[Price] | None = None
        self._times: Sequence[datetime] = ()
        self._until: tuple[datetime, datetime] | None = None
        self.price: Price | None = None

    def isOf(self, prices: Sequence[Price] | None) -> bool:
        """Whether it has looked up these."""
        return prices is self._prices or (prices or None) == self._prices

    def at(self, prices: Sequence[Price] | None, when: datetime) -> Price | None:
        """The entry of `prices` that holds at a time of day (aware); None before the first."""
        if not prices:
            self._prices = self.price = None
            return None
        if prices is not self._prices and prices != self._prices:
            self._times = [price.timestamp for price in prices]
            self._until = None
        self._prices = prices
        if self._until is None or not self._until[0] <= when < self._until[1]:
            index = bisect_right(self._times, when)
            start = self._times[index - 1] if index else datetime.min.replace(tzinfo=when.tzinfo)
            end = (
                self._times[index]
                if index < len(self._times)
                else datetime.max.replace(tzinfo=when.tzinfo)
            )
            self._until = (start, end)
            self.price = prices[index - 1] if index else None
        return self.price


def commonCurrency(given: str | None, forecasts: Iterable[Price]) -> str | None:
    """The currency in which prices are compared: the given one, or the one of all forecasts."""
    if given is not None:
        return given
    currencies = {price.currency for price in forecasts}
    return currencies.pop() if len(currencies) == 1 else None


def asking(known: float | None, tier: Tier, anyKnown: bool) -> float:
    """The price of a source at its terminals, or what stands for it.

    known: its price, or None; anyKnown: whether any source's price is known.
    """
    if known is not None:
        return max(-_MOST_PRICE, min(_MOST_PRICE, known))
    return _UNKNOWN[tier] if anyKnown else float(tier)


def isPrice(amount: float) -> bool:
    """Whether that is a price, where any is known, and not what stands for one."""
    return -_MOST_PRICE <= amount < _UNKNOWN[Tier.ROUTER]


def atBus(price: float, loss: Loss, stored: bool = False) -> float:
    """What a source asks for a kWh at the bus, for a price at its terminals.

    stored: whether it comes out of a storage, whose own losses have to be paid, too.
    """
    kept = 1.0 - loss.linear
    if stored:
        kept *= STORAGE_EFFICIENCY
    # Losses make dear power dearer; they do not make it better to be paid for power.
    return min(price / kept, LAST) if price > 0.0 else price


def storageBid(value: float, loss: Loss) -> float:
    """What a storage pays for a kWh at the bus, if stored energy is worth `value` a kWh."""
    kept = STORAGE_EFFICIENCY / (1.0 + loss.linear)
    return value * kept if value > 0.0 else value / kept


class Around(NamedTuple):
    """The prices at the bus that storage without one goes by.

    local: what the cheapest local source asks; 0 without any.
    grid: what the cheapest grid with a known price asks; inf without any.
    """

    local: float = 0.0
    grid: float = inf


def storagePrices(
    known: float | None, anyKnown: bool, around: Around, loss: Loss
) -> tuple[float, float]:
    """What storage asks for a kWh at the bus, and what it pays for one there.

    known: its own price, or None; anyKnown: whether any source's price is known.
    """
    if known is not None:
        price = asking(known, Tier.STORAGE, anyKnown)
        ask = atBus(price, loss, stored=True)
        return ask, min(storageBid(price, loss), nextafter(ask, -inf))
    if not anyKnown:
        return float(Tier.STORAGE), storageBid(Tier.STORAGE, loss)
    kept = STORAGE_EFFICIENCY**2 * (1.0 - loss.linear) / (1.0 + loss.linear)
    if 0.0 < around.grid < inf:
        ask = nextafter(around.grid, 0.0)
        return ask, ask * kept
    pays = max(around.local, _UNKNOWN[Tier.STORAGE])
    return pays / kept, pays


def firmPower(storage: StorageParameters | None, most: float) -> float:
    """The part of a wish of `most` W that must be served now to reach the target in time, W.

    Evenly over the time that is left; all of it once there are less than 15 min of slack.  Nothing
    without a target and its time, or where capacity or charge are not known.
    """
    if storage is None or storage.soc_target_time is None or storage.soc_target is None:
        return 0.0
    if storage.soc is None or storage.capacity is None:
        return 0.0
    missing_wh = (storage.soc_target - storage.soc) / 100.0 * storage.capacity / STORAGE_EFFICIENCY
    if missing_wh <= 0.0 or most <= 0.0:
        return 0.0
    left_s = storage.soc_target_time / 1000.0
    if left_s - missing_wh / most * 3600.0 < SLACK_SECONDS:
        return most
    return min(most, missing_wh / left_s * 3600.0)
