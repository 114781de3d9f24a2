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

import enum
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from math import fsum, inf, nextafter
from typing import Final

import attrs

from epnet.errors import UsageError
from epnet.router.fairness import Claim, Group, Limit, fill, limitsByMember
from epnet.router.losses import LOSSLESS, Loss

RESIDUE: Final = 1e-6
"""Watts below which a set-point is zero."""

_MOST: Final = 1e12
"""The largest watts and prices taken: beyond any real one, and safe to square."""


@attrs.frozen
class Source:
    """What a port could put on the bus: up to `max_w` terminal watts, at `price` at the bus.

    Where no price is known the caller gives tiers: local wind and solar 0, storage 1, other routers
    2, the grid 3.
    """

    identity: str
    max_w: float
    price: float = 0.0
    loss: Loss = LOSSLESS


@attrs.frozen
class Sink:
    """What a port wants from the bus: nothing, or `min_w` to `max_w` terminal watts.

    It takes only power whose price is at most `bid`; `running` says that it has a grant now.
    """

    identity: str
    max_w: float
    min_w: float = 0.0
    priority: int = 1
    weight: float = 1.0
    bid: float = inf
    loss: Loss = LOSSLESS
    running: bool = False


class Reason(enum.Enum):
    """Which bound or rule set a set-point; the value is a sentence with the set-point's fields."""

    REQUEST = "its own request or limit, {limit:g} W"
    MINIMUM = "its minimum does not fit: {limit:g} W left under {by}"
    GROUP = "group {by} has no more than {limit:g} W for its members"
    BID = "no more power at a price up to its bid of {limit:g}"
    OWN_PRICE = "it offers power at {limit:g} itself, and buys only what is cheaper and left over"
    SUPPLY = "short of supply: class {by} lacks {limit:g} W"
    OFFER = "all that it offers, {limit:g} W"
    PEAK = "above {limit:g} W its losses would grow faster than its power"
    SHARE = "its share of what is needed at its price, {limit:g}"
    SPARE = "not needed: what is cheaper than its price, {limit:g}, is enough"


@attrs.frozen
class Setpoint:
    """The power one port is to have in one direction, in terminal watts, and why.

    `limit` is the number that ruled, watts or a price as `reason` says; `by` names the group or the
    class that ruled, or is empty.
    """

    identity: str
    power_w: float
    reason: Reason
    limit: float
    by: str = ""

    @property
    def text(self) -> str:
        """The reason in plain words."""
        return self.reason.value.format(limit=self.limit, by=self.by)


@attrs.frozen
class Allocation:
    """Set-points for every source and sink given, and the sums.

    `bus_w` goes over the bus; `losses_w` is lost in the ports' conversion; `standing_w` is what
    the standing losses got, less than was asked for only if all sources together have less.  What
    the sources deliver is what the sinks receive and `losses_w` and `standing_w`.
    """

    sources: Mapping[str, Setpoint]
    sinks: Mapping[str, Setpoint]
    bus_w: float
    losses_w: float
    standing_w: float


def allocate(
    sources: Iterable[Source],
    sinks: Iterable[Sink],
    groups: Iterable[Group] = (),
    standing_w: float = 0.0,
) -> Allocation:
    """Share the power of `sources` among `sinks` by the rules at the top of this module.

    `standing_w` is what the router itself uses, in bus watts.  Raises `UsageError` for numbers out
    of their range, a name given twice, or groups within themselves; members of groups that are not
    here now are no mistake.
    """
    sources = sorted(sources, key=lambda source: source.identity)
    sinks = sorted(sinks, key=lambda sink: sink.identity)
    groups = sorted(groups, key=lambda group: group.name)
    _check(sources, sinks, groups, standing_w)
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
        self.power = self.claim.high if self.claim.high >= RESIDUE else 0.0
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
    """The sinks in the order in which they are served.

    `asks` is the price of each device that offers power too: it buys below that price only, and is
    put into the lowest class of those who pay as much (rule 8).
    """
    wants = []
    for sink in sinks:
        ask = asks.get(sink.identity)
        bid = sink.bid if ask is None else min(sink.bid, nextafter(ask, -inf))
        claim = Claim(sink.weight, 0.0, sink.max_w, (), sink.loss)
        wants.append(_Want(sink, sink.priority, bid, claim))
    bids: list[float] = []
    lowest: list[int] = []
    for want in sorted(wants, key=lambda want: -want.bid):
        if want.sink.identity in asks:
            paying = bisect_right(bids, -asks[want.sink.identity])
            want.priority = min([want.priority, *lowest[:paying][-1:]])
        if want.sink.max_w > 0.0:
            bids.append(-want.bid)
            lowest.append(min([want.priority, *lowest[-1:]]))
    return sorted(wants, key=_Want.order)


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


def _check(
    sources: Sequence[Source], sinks: Sequence[Sink], groups: Sequence[Group], standing_w: float
) -> None:
    """Raise `UsageError` for what no allocation can be made of."""
    _inRange("the router", "standing_w", standing_w, 0.0, _MOST)
    for source in sources:
        name = f"source {source.identity!r}"
        _inRange(name, "max_w", source.max_w, 0.0, _MOST)
        _inRange(name, "price", source.price, -_MOST, _MOST)
        _checkLoss(name, source.loss)
    for sink in sinks:
        name = f"sink {sink.identity!r}"
        _inRange(name, "max_w", sink.max_w, 0.0, _MOST)
        _inRange(name, "min_w", sink.min_w, 0.0, _MOST)
        _inRange(name, "priority", sink.priority, -_MOST, _MOST)
        _inRange(name, "weight", sink.weight, 1e-6, 1e6)
        _inRange(name, "bid", sink.bid, -inf, inf)
        _checkLoss(name, sink.loss)
    for group in groups:
        _inRange(f"group {group.name!r}", "max_w", group.max_w, 0.0, _MOST)
    ports = {source.identity for source in sources} | {sink.identity for sink in sinks}
    _checkNames("source", [source.identity for source in sources])
    _checkNames("sink", [sink.identity for sink in sinks])
    _checkNames("group", [group.name for group in groups])
    for group in groups:
        if group.name in ports:
            raise UsageError(f"group {group.name!r} has the name of a port: rename the group")


def _checkLoss(name: str, loss: Loss) -> None:
    _inRange(name, "loss.linear", loss.linear, 0.0, 0.999)
    _inRange(name, "loss.quadratic", loss.quadratic, 0.0, 1.0)


def _checkNames(kind: str, names: Sequence[str]) -> None:
    for name, following in pairwise(names):
        if name == following:
            raise UsageError(f"{kind} {name!r} is given twice: merge the two")


def _inRange(name: str, field: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name}: {field} is {value}: it must be from {least:g} to {most:g}")
