"""A whole local network as one device: what it needs of its parent, and what it offers it.

Two questions to the fill (`epnet.router.allocation`), of which nothing is carried out:

*Need*: if the parent could give all that the link carries, and nothing went up, how much of it
would be used at the price that it asks?  Local sources come before it at equal prices.

*Offer*: if the parent would take all that the link carries, and nothing came down, how much would
be left for it at each price?  A Supply has one price: which of them is offered now is a matter of
time (`epnet.router.ladder`).  Where no prices are known, there is one offer, of all that is left.

Needs come first: a network that needs anything offers nothing.  So at most one of the two is above
zero, and both are what is left when all below has been settled among itself.  Neither has a ramp in
it: the ramps are where power is made and used, and what is confirmed there paces all levels above.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, inf
from typing import Final, NamedTuple

import attrs

from epnet.router.allocation import Terms, solve
from epnet.router.fairness import Groups
from epnet.router.ladder import Rung
from epnet.router.planning import Place
from epnet.router.prices import LAST
from epnet.router.terms import Source
from epnet.wire import Source as EnergySource
from epnet.wire import StorageParameters

LEAST_NEED_W: Final = 1.0
LEAST_OFFER_W: Final = 100.0
"""Less is not worth telling; a smaller offer at a low price would hide a larger one above it."""

ROUNDING: Final = 1e-12
"""The part of a need by which rounding may leave it short at the bus, behind losses: a minimum that
is all that is wanted would never fit."""


class Fold(NamedTuple):
    """What a network is to its parent now.

    need_w, offer_w: W at the terminals of the link; at most one of them above 0.
    price: what the offer costs at the bus.
    """

    need_w: float = 0.0
    offer_w: float = 0.0
    price: float = inf


NOTHING: Final = Fold()


class Network(NamedTuple):
    """All that the questions are about.

    places: of all ports, with their bounds and prices of this moment.
    """

    places: Sequence[Place]
    groups: Groups
    standing_w: float
    reserve: float


class Trade(NamedTuple):
    """What is for others, and at what price.

    kept: identities of those whose power is not.
    priced: whether prices are known, and told.
    """

    kept: frozenset[str]
    priced: bool


def fold(
    network: Network, trade: Trade, uplink: Place, import_w: float, export_w: float
) -> tuple[float, list[Rung]]:
    """What the network needs over `uplink`, which carries that much each way, and what it offers.

    The offer is empty where anything is needed; otherwise it has a rung for each price.
    """
    need_w = _need(network, uplink, import_w) if import_w > 0.0 else 0.0
    if need_w >= LEAST_NEED_W:
        return need_w, []
    return 0.0, _offer(network, trade, uplink, export_w) if export_w > 0.0 else []


def _need(network: Network, uplink: Place, most_w: float) -> float:
    name = uplink.source.identity
    source = attrs.evolve(uplink.source, max_w=most_w)
    others = [place for place in network.places if place is not uplink]
    sources = [source, *(place.source for place in others)]
    before = fsum(place.sink.loss.withdrawn(place.export_w) for place in network.places)
    terms = Terms(network.standing_w, network.reserve, network.standing_w + before)
    allocation, _ = solve(sources, [place.sink for place in others], network.groups, terms)
    return min(most_w, allocation.sources[name].power_w * (1.0 + ROUNDING))


def _offer(network: Network, trade: Trade, uplink: Place, most_w: float) -> list[Rung]:
    others = [place for place in network.places if place is not uplink]
    sources = [place.source for place in others if place.source.max_w > 0.0]
    sinks = [place.sink for place in others if place.sink.max_w > 0.0]
    before = fsum(place.sink.loss.withdrawn(place.export_w) for place in network.places)
    terms = Terms(network.standing_w, network.reserve, network.standing_w + before)
    rungs: list[Rung] = []
    for price in _prices(trade, sources):
        sink = attrs.evolve(uplink.sink, max_w=most_w, bid=min(price, uplink.sink.bid), firm_w=0.0)
        allocation, _ = solve(sources, [*sinks, sink], network.groups, terms)
        offer_w = allocation.sinks[sink.identity].power_w
        if offer_w >= LEAST_OFFER_W + (rungs[-1].watts if rungs else 0.0):
            rungs.append(Rung(price, offer_w))
    return rungs


def _prices(trade: Trade, sources: Iterable[Source]) -> list[float]:
    """The prices at which there may be something; only the highest where they are not told."""
    found = sorted(
        each.price for each in sources if each.identity not in trade.kept and each.price < LAST
    )
    if not trade.priced:
        return found[-1:]
    told = {round(price, 4): price for price in found}
    return list(told.values())


def foldedStorage(stored: Sequence[StorageParameters]) -> StorageParameters | None:
    """All storage as one: capacities added, charge by capacity, the earliest time; None for none.

    Storage that does not tell its capacity or its charge is left out.
    """
    known = [s for s in stored if s.capacity and s.capacity > 0.0 and s.soc is not None]
    if not known:
        return None
    mix: dict[EnergySource | int, float] = {}
    for each in known:
        for source, energy in (each.energy_mix or {}).items():
            mix[source] = mix.get(source, 0.0) + energy
    times = [s.soc_target_time for s in known if s.soc_target is not None and s.soc_target_time]
    targets = [s.soc if s.soc_target is None else s.soc_target for s in known]
    return StorageParameters(
        capacity=fsum(s.capacity or 0.0 for s in known),
        soc=_byCapacity(known, [s.soc for s in known]),
        soc_target=_byCapacity(known, targets) if times else None,
        soc_target_time=min(times, default=None),
        energy_mix=mix or None,
    )


def _byCapacity(stored: Sequence[StorageParameters], values: Sequence[float | None]) -> float:
    """The mean, weighted by capacity."""
    weights = [s.capacity or 0.0 for s in stored]
    pairs = zip(weights, values, strict=True)
    return fsum(weight * (value or 0.0) for weight, value in pairs) / fsum(weights)
