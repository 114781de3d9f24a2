"""What power that passes through a device is made of, and what it costs.  Pure.

Each part of it is so many watts and the Supply of the device that gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Final

from epnet.router.provenance import UNKNOWN, claimed, mixed, priceAt, wholePercents
from epnet.wire import Price, Source, SupplyParameters

MOST_PRICES: Final = 500
"""Of how many entries a forecast may be at the most: it has to fit into a message."""

Parts = Sequence[tuple[float, SupplyParameters]]


def mixOf(parts: Parts) -> dict[Source, int] | None:
    """The mix of all parts by their power, in whole percent; None where none of them says any.

    A part that says none counts as Unknown (Messages §3.1.3).
    """
    blends = [(power_w, claimed(supply.power_mix)) for power_w, supply in parts if power_w > 0.0]
    if not any(blend for _, blend in blends):
        return None
    return wholePercents(mixed((w, w, blend or UNKNOWN) for w, blend in blends).sources)


def pricesOf(parts: Parts) -> list[Price] | None:
    """The price of all parts by their power, from when on each of them has one.

    None where one has none, or another currency, or where they change too often to be told.
    """
    given = [(power_w, supply.energy_prices or ()) for power_w, supply in parts if power_w > 0.0]
    times = sorted({price.timestamp for _, prices in given for price in prices})
    if not times or len(times) > MOST_PRICES:
        return None
    all_w = fsum(power_w for power_w, _ in given)
    together = []
    for time in times:
        prices = [price for _, prices in given if (price := priceAt(prices, time))]
        if len(prices) == len(given):
            if len({price.currency for price in prices}) > 1:
                return None
            weights = (power_w for power_w, _ in given)
            cost = fsum(w * price.amount for w, price in zip(weights, prices, strict=True))
            together.append(Price(time, cost / all_w, prices[0].currency))
    return together or None
