"""What travels with power: its sources, its carbon, its price (Messages §3.1.2 to §3.1.4).

Pure arithmetic on two things: a `Blend`, what one kilowatt-hour is made of, and a `Tank`, an amount
of stored energy of one blend.

The rules
=========

1. The mix out of the bus is the mix into it, weighted by bus watts: everybody gets the same
   (*proportional sharing*), for electricity has no other path that could be told apart.
2. Who receives energy carries what was lost on the way.  The carbon and the price of all that the
   sources gave, at their terminals, go with what the sinks received, at theirs: price out is
   (Σ given · price + fees) / Σ received, and carbon likewise.
3. Storage is a stirred tank: what flows in mixes with what is there, what flows out is like all of
   it.  What storage loses in itself leaves its carbon and its cost behind, on the rest.
4. What was measured rules.  A device's own word on its content counts where nothing was measured:
   for what it holds when it is first seen, and for what it holds beyond what flowed in here.
   Without its word that is Unknown.
5. Local sources lose the word *Local* when they leave for a network that is not ours.  Their
   carbon stays what it was: one router tells the other, for a mix in whole percents cannot say it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import attrs

from epnet.router.terms import MOST
from epnet.wire import Source
from epnet.wire.values import Mix, Price

JOULES_PER_KWH: Final = 3_600_000.0

LEAST: Final = 1e-3
"""The least energy that carries what is lost with the rest of it, J: what a meter can tell."""

MOST_CARBON: Final = 1e5
"""Beyond any real carbon intensity, however much was lost on the way, g CO2eq/kWh."""

_LOCAL: Final = {Source.LOCAL_WIND: Source.WIND, Source.LOCAL_SOLAR: Source.SOLAR}


@attrs.frozen
class Blend:
    """What a kilowatt-hour of some energy is made of.

    sources: the part of each source, 0 to 1, adding up to 1.
    carbon: g CO2eq per kWh, what was lost on the way included.
    cost: what it has cost per kWh, what was lost on the way included; without the part that has no
        known price.
    unpriced: the part whose price nobody knows, 0 to 1.
    """

    sources: Mapping[Source, float]
    carbon: float
    cost: float = 0.0
    unpriced: float = 0.0

    @property
    def price(self) -> float | None:
        """The price per kWh; None where more than 1/200 of it has no known price."""
        return self.cost if self.unpriced <= 0.005 else None

    @property
    def local(self) -> float:
        """The part from local sources, 0 to 1."""
        return sum(self.sources.get(source, 0.0) for source in _LOCAL)

    def carrying(self, given: float, received: float) -> Blend:
        """The blend of what was received, above 0, when so much was given to that end."""
        factor = given / received
        return attrs.evolve(self, carbon=self.carbon * factor, cost=self.cost * factor)

    def emitting(self, carbon: float | None) -> Blend:
        """The same with the carbon that another router tells, g CO2eq/kWh, if that can be."""
        if carbon is None or not 0.0 <= carbon <= MOST_CARBON:
            return self
        return attrs.evolve(self, carbon=float(carbon))

    def abroad(self) -> Blend:
        """The same in a network that is not ours: nothing in it is local (rule 5)."""
        if not any(source in self.sources for source in _LOCAL):
            return self
        sources: dict[Source, float] = {}
        for source, part in self.sources.items():
            source = _LOCAL.get(source, source)
            sources[source] = sources.get(source, 0.0) + part
        return attrs.evolve(self, sources=sources)


def blendOf(source: Source) -> Blend:
    """Energy of one source, at no cost, with the carbon of the spec's table (Messages §3.1.3)."""
    return Blend(MappingProxyType({source: 1.0}), float(source.carbon))


UNKNOWN: Final = blendOf(Source.UNKNOWN)
"""Energy that nobody knows anything of."""


def blendFrom(mix: Mix | None) -> Blend | None:
    """The blend that a power mix or an energy mix says; None where it says none.

    Sources that are not in the table count as Unknown (wire-profile V5).  A negative entry, nothing
    but zeros, or a sum beyond all that is real says nothing.
    """
    if not mix or min(mix.values()) < 0:
        return None
    total = float(sum(mix.values()))
    if not 0.0 < total <= MOST:
        return None
    parts = (
        (key if isinstance(key, Source) else Source.UNKNOWN, amount / total)
        for key, amount in mix.items()
    )
    return _blendOfParts(tuple(parts))


@lru_cache(maxsize=256)
def _blendOfParts(parts: tuple[tuple[Source, float], ...]) -> Blend:
    """The blend of these parts, which add up to 1; many devices say the same again and again."""
    sources: dict[Source, float] = {}
    for source, part in parts:
        sources[source] = sources.get(source, 0.0) + part
    carbon = sum(part * source.carbon for source, part in sources.items())
    return Blend(MappingProxyType(sources), carbon)


def claimed(mix: Mix | None) -> Blend | None:
    """The blend of a Supply's power mix; None unless its shares add up to 100 % ± 0.5 (V5)."""
    if mix is None or not 99.5 <= sum(mix.values()) <= 100.5:
        return None
    return blendFrom(mix)


def mixed(parts: Iterable[tuple[float, float, Blend]]) -> Blend:
    """What comes of several energies: (at its terminals, at the bus, its blend), J, not all 0.

    Sources, and what has no price, are weighted by the energy at the bus; carbon and cost are those
    of the energy at the terminals, and so per kWh *there* (rules 1 and 2).
    """
    sources: dict[Source, float] = {}
    carbon = cost = unpriced = atTerminals = atBus = 0.0
    for terminal, bus, blend in parts:
        for source, part in blend.sources.items():
            sources[source] = sources.get(source, 0.0) + bus * part
        carbon += terminal * blend.carbon
        cost += terminal * blend.cost
        unpriced += bus * blend.unpriced
        atTerminals += terminal
        atBus += bus
    return Blend(
        {source: amount / atBus for source, amount in sources.items()},
        carbon / atTerminals,
        cost / atTerminals,
        unpriced / atBus,
    )


def wholePercents(parts: Mapping[Source, float]) -> dict[Source, int]:
    """Shares in whole percent that add up to exactly 100, rounded by largest remainder.

    parts: of a total of 1.  Of equal remainders the larger part is rounded up, then the source of
    the lower number.  What comes to 0 % is left out.
    """
    shares = {source: int(100.0 * part) for source, part in parts.items()}
    ranked = sorted(parts, key=lambda s: (shares[s] - 100.0 * parts[s], -parts[s], s))
    for source in ranked[: 100 - sum(shares.values())]:
        shares[source] += 1
    return {source: share for source, share in sorted(shares.items()) if share}


def priceAt(prices: tuple[Price, ...] | None, time: datetime) -> Price | None:
    """The price of a forecast that holds at a time: the newest that has begun (wire-profile V9).

    None before the first, and where it is beyond all that is real: one such would make the prices
    of all others infinite.
    """
    begun = bisect_right(prices, time, key=lambda price: price.timestamp) if prices else 0
    price = prices[begun - 1] if prices and begun else None
    return price if price is not None and abs(price.amount) <= MOST else None


@attrs.define(eq=False)
class Tank:
    """The energy in a storage device, all of one blend (rule 3).

    joules: how much, as the port's meter and the device tell it.
    """

    joules: float = 0.0
    blend: Blend = UNKNOWN

    @property
    def carbon_g(self) -> float:
        """The carbon of all that is in it, g CO2eq."""
        return self.joules * self.blend.carbon / JOULES_PER_KWH

    def put(self, joules: float, blend: Blend) -> None:
        """So much flowed in."""
        if joules > 0.0:
            parts = ((self.joules, self.joules, self.blend), (joules, joules, blend))
            self.blend = mixed(part for part in parts if part[0] > 0.0)
            self.joules += joules

    def take(self, joules: float) -> float:
        """So much flowed out; says how much of it nobody knew to be there.

        That much was found in it before (rule 4), so it counts as flown in, Unknown.
        """
        found = max(0.0, joules - self.joules)
        self.put(found, UNKNOWN)
        self.joules = max(0.0, self.joules - joules)  # what was found may be an ulp too little
        return found

    def hold(self, joules: float, found: Blend, slack: float) -> float:
        """Its device says that so much is in it, give or take `slack`, J.

        More is taken for energy that flowed in elsewhere, of the blend `found`: says how much.
        Less is taken for losses in the device, which the rest carries; the last of it stays, for
        else nothing could.
        """
        more = max(0.0, joules - slack - self.joules)
        self.put(more, found)
        left = joules + slack
        if LEAST <= left < self.joules:
            self.blend = self.blend.carrying(self.joules, left)
            self.joules = left
        return more

    def leave(self, joules: float) -> float:
        """So much, if that was there, flowed out where nothing is metered; says how much did."""
        left = min(max(0.0, joules), self.joules)
        self.joules -= left
        return left
