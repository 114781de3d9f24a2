"""Who gives and who gets how much: one pure function from sources and sinks to set-points.

No I/O, no clock, no state: the same ports give the same answer to the last bit, in whatever order
they come.  What is *not* decided here is decided before (which bounds hold at this moment) or after
(ramps, dead bands, confirmed supply).

The rules
=========

1. Power is summed at the bus, in bus watts, where conservation is linear; `Loss` leads from
   terminal watts there and back.  What a port and what a group may have are terminal watts.
2. Sources are used in the order of their price at the bus, the cheaper first.  Sources of one price
   share what is needed of them in proportion to what they have.
3. The router's standing losses are served first.  Then the sinks, by class (`priority`), the higher
   first; within a class by bid, the higher first.
4. A sink takes only power whose price is at most its bid: those of one class and bid may together
   use what the sources up to that price can inject, less what is used already.
5. Of those, each that has a minimum is admitted if its minimum still fits: running ones first, then
   the heavier, then by identity.  One that is not admitted gets nothing.
6. The rest is shared max-min fairly by weight, in terminal watts, within each sink's maximum and
   each group's cap (`epnet.router.fairness`).
7. A group's cap holds for its sinks together and for its sources together.  The cheaper sources of
   a group come first; those of one price are cut in proportion.
8. A device that offers power and wants some never does both.  It buys only below its own price, and
   after all who would pay that price, in the lowest class that one of them is in.  So what it gets
   is only ever power for which nobody needs its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from math import fsum, inf, nextafter
from typing import Final

import attrs

from epnet.errors import UsageError
from epnet.router.fairness import Claim, Limit, fill, limitsByMember
from epnet.router.losses import Loss
from epnet.router.reasons import Reason
from epnet.router.terms import (
    MOST,
    Allocation,
    Group,
    Setpoint,
    Sink,
    Source,
    checkRange,
)

__all__ = ["Allocation", "Group", "Loss", "Reason", "Setpoint", "Sink", "Source", "allocate"]

RESIDUE: Final = 1e-6
"""Watts below which a set-point is zero."""


def allocate(
    sources: Iterable[Source],
    sinks: Iterable[Sink],
    groups: Iterable[Group] = (),
    standing_w: float = 0.0,
) -> Allocation:
    """Share the power of `sources` among `sinks` by the rules at the top of this module.

    `standing_w` is what the router itself uses, 0 to 1e12 bus watts.  Raises `UsageError` for a
    name given twice, or a group within itself; a member of a group that is not here now is no
    mistake.
    """
    sources = sorted(sources, key=lambda source: source.identity)
    sinks = sorted(sinks, key=lambda sink: sink.identity)
    groups = sorted(groups, key=lambda group: group.name)
    checkRange("the router", "standing_w", standing_w, 0.0, MOST)
    _checkNames(sources, sinks, groups)
    merit = _MeritOrder(sources, limitsByMember(groups))
    everything = merit.upTo(inf)
    bus = Limit("the bus", everything, atBus=True)
    bus.take(min(standing_w, everything))
    standing = bus.taken
    wants = _ranked(sinks, {source.identity: source.price for source in sources if source.max_w})
    limits = limitsByMember(groups)
    for want in wants:
        want.claim.limits = (bus, *limits.get(want.sink.identity, ()))
    for (_, bid), step in groupby(wants, key=_Want.order):
        bus.cap = max(bus.taken, merit.upTo(-bid))
        _serve(list(step), everything)
    delivered = {setpoint.identity: setpoint for setpoint in merit.dispatch(bus.taken)}
    return _summed(sources, sinks, delivered, _explained(wants), standing)


@attrs.define(eq=False)
class _Offer:
    """A source and the terminal watts of it that can be used."""

    source: Source
    usable: float
    bound: Limit | None

    @property
    def bus(self) -> float:
        return self.source.loss.injected(self.usable)

    def share(self, part: float) -> Setpoint:
        """The set-point that injects `part` (0 to 1) of what can be used."""
        source = self.source
        power = source.loss.delivering(self.bus * part) if part < 1.0 else self.usable
        power = min(self.usable, power) if power >= RESIDUE else 0.0
        reason, limit, by = Reason.OFFER, source.max_w, ""
        if part <= 0.0:
            reason, limit = Reason.SPARE, source.price
        elif part < 1.0:
            reason, limit = Reason.SHARE, source.price
        elif self.bound is not None:
            reason, limit, by = Reason.GROUP, self.bound.cap, self.bound.name
        elif self.usable < source.max_w:
            reason, limit = Reason.PEAK, self.usable
        return Setpoint(source.identity, power, reason, limit, by)


class _MeritOrder:
    """The sources by price: what can be had up to a price, and who delivers it."""

    def __init__(self, sources: Iterable[Source], limits: Mapping[str, tuple[Limit, ...]]) -> None:
        self._prices: list[float] = []
        self._tiers: list[list[_Offer]] = []
        for price, tier in groupby(sorted(sources, key=_price), key=_price):
            self._prices.append(price)
            self._tiers.append(_offers(list(tier), limits))
        # Bus watts of the tiers before each tier, and of all.
        self._sums = list(
            accumulate((fsum(offer.bus for offer in tier) for tier in self._tiers), initial=0.0)
        )

    def upTo(self, price: float) -> float:
        """C(price): the bus watts that sources at `price` or less can inject."""
        return self._sums[bisect_right(self._prices, price)]

    def dispatch(self, used: float) -> Iterator[Setpoint]:
        """Set-points of all sources that together inject `used` bus watts."""
        for tier, before, after in zip(self._tiers, self._sums, self._sums[1:], strict=False):
            need = used - before
            part = 1.0 if used >= after else need / (after - before) if need >= RESIDUE else 0.0
            for offer in tier:
                yield offer.share(part)


def _price(source: Source) -> float:
    return source.price


def _offers(tier: Iterable[Source], limits: Mapping[str, tuple[Limit, ...]]) -> list[_Offer]:
    """What can be used of the sources of one price: cut in proportion where a group is full."""
    offers = []
    claims = {}
    for source in tier:
        usable = min(source.max_w, source.loss.peak)
        # Fair by weight is in proportion when the weight is what each one has.
        claims[source.identity] = Claim(usable or 1.0, 0.0, usable, limits.get(source.identity, ()))
    fill(list(claims.values()))
    for source in tier:
        claim = claims[source.identity]
        for limit in claim.limits:
            limit.take(claim.high)
        offers.append(_Offer(source, claim.high, claim.bound))
    return offers


@attrs.define(eq=False)
class _Want:
    """A sink on its way to a set-point.  `priority` and `bid` are those that count (rule 8)."""

    sink: Sink
    priority: int
    bid: float
    claim: Claim
    power: float = 0.0
    reason: Reason = Reason.REQUEST
    limit: float = 0.0
    by: str = ""

    def order(self) -> tuple[float, float]:
        """What steps are sorted by: higher class first, then higher bid."""
        return (-self.priority, -self.bid)

    def refuse(self, left: float, by: str) -> None:
        """Give it nothing: its minimum does not fit."""
        self.claim.high = 0.0
        self.reason, self.limit, self.by = Reason.MINIMUM, left, by

    def take(self) -> None:
        """Take from the limits what the claim was given."""
        if self.claim.high >= RESIDUE:
            self.power = self.claim.high
            for limit in self.claim.limits:
                limit.take(limit.cost(self.claim, self.power))

    def explain(self, everything: float) -> None:
        """Note what ruled; `everything` is what all sources can inject."""
        bound = self.claim.bound
        if self.reason is Reason.MINIMUM:
            return
        if bound is None:
            self.reason, self.limit = Reason.REQUEST, self.sink.max_w
        elif not bound.atBus:
            self.reason, self.limit, self.by = Reason.GROUP, bound.cap, bound.name
        elif bound.taken >= everything - RESIDUE:
            self.reason = Reason.SUPPLY
        elif self.bid < self.sink.bid:
            self.reason, self.limit = Reason.OWN_PRICE, nextafter(self.bid, inf)
        else:
            self.reason, self.limit = Reason.BID, self.bid


def _ranked(sinks: Iterable[Sink], asks: Mapping[str, float]) -> list[_Want]:
    """The sinks in the order in which they are served; `asks` is the price of each seller."""
    wants = []
    for sink in sinks:
        ask = asks.get(sink.identity)
        bid = sink.bid if ask is None else min(sink.bid, nextafter(ask, -inf))
        claim = Claim(sink.weight, 0.0, sink.max_w, (), sink.loss)
        wants.append(_Want(sink, sink.priority, bid, claim))
    if any(want.sink.identity in asks for want in wants):
        _standBack(wants, asks)
    return sorted(wants, key=_Want.order)


def _standBack(wants: Iterable[_Want], asks: Mapping[str, float]) -> None:
    """Put each seller into the lowest class of those who pay its price (rule 8).

    Who pays a seller's price bids more than the seller itself may, so by falling bids all of them
    have their place before the seller gets its own.
    """
    bids: list[float] = []
    lowest: list[int] = []
    for want in sorted(wants, key=lambda want: -want.bid):
        if want.sink.identity in asks:
            paying = bisect_right(bids, -asks[want.sink.identity])
            want.priority = min([want.priority, *lowest[max(0, paying - 1) : paying]])
        if want.sink.max_w > 0.0:
            bids.append(-want.bid)
            lowest.append(min([want.priority, *lowest[-1:]]))


def _serve(step: Sequence[_Want], everything: float) -> None:
    """Share what is left among the sinks of one class and bid."""
    _admit(step)
    fill([want.claim for want in step])
    for want in step:
        want.take()
    for want in step:
        want.explain(everything)


def _admit(step: Iterable[_Want]) -> None:
    """Reserve minimums as long as they fit: running sinks first, then weight, then identity."""
    reserved = []
    picky = [want for want in step if want.sink.min_w > 0.0 < want.sink.max_w]
    for want in sorted(picky, key=lambda want: (not want.sink.running, -want.sink.weight)):
        claim, least = want.claim, want.sink.min_w
        full = [limit for limit in claim.limits if not limit.fits(limit.cost(claim, least))]
        if least > claim.high:
            want.refuse(claim.high, "its own maximum")
        elif full:
            want.refuse(full[0].left, full[0].name)
        else:
            claim.low = least
            reserved.append(claim)
            for limit in claim.limits:
                limit.take(limit.cost(claim, least))
    for claim in reserved:
        for limit in claim.limits:
            limit.take(-limit.cost(claim, claim.low))


def _explained(wants: Sequence[_Want]) -> dict[str, Setpoint]:
    """The sinks' set-points, by identity; those short of supply name the highest class that is."""
    short = max((want.priority for want in wants if want.reason is Reason.SUPPLY), default=0)
    lacking = [want for want in wants if want.reason is Reason.SUPPLY and want.priority == short]
    lack = fsum(want.sink.max_w - want.power for want in lacking)
    for want in wants:
        if want.reason is Reason.SUPPLY:
            want.limit, want.by = lack, str(short)
    return {
        want.sink.identity: Setpoint(
            want.sink.identity, want.power, want.reason, want.limit, want.by
        )
        for want in wants
    }


def _summed(
    sources: Iterable[Source],
    sinks: Iterable[Sink],
    delivered: Mapping[str, Setpoint],
    received: Mapping[str, Setpoint],
    standing: float,
) -> Allocation:
    """The set-points with their sums."""
    given = [(source.loss, delivered[source.identity].power_w) for source in sources]
    taken = [(sink.loss, received[sink.identity].power_w) for sink in sinks]
    bus = fsum(loss.injected(power) for loss, power in given)
    lost = [power - loss.injected(power) for loss, power in given]
    lost += [loss.withdrawn(power) - power for loss, power in taken]
    return Allocation(delivered, received, bus, fsum(lost), standing)


def _checkNames(sources: Sequence[Source], sinks: Sequence[Sink], groups: Sequence[Group]) -> None:
    """Raise `UsageError` if a name stands for two; all are sorted by name."""
    ports = {source.identity for source in sources} | {sink.identity for sink in sinks}
    named = {
        "source": [source.identity for source in sources],
        "sink": [sink.identity for sink in sinks],
        "group": [group.name for group in groups],
    }
    for kind, names in named.items():
        for name, following in pairwise(names):
            if name == following:
                raise UsageError(f"{kind} {name!r} is given twice: give each its own name")
    for group in groups:
        if group.name in ports:
            raise UsageError(f"group {group.name!r} has the name of a port: rename the group")
