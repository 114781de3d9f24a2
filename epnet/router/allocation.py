"""Who gives and who gets how much: one pure function from sources and sinks to set-points.

No I/O, no clock, no state: the same ports give the same answer to the last bit, in whatever order
they come.  What is *not* decided here is decided before (which bounds hold at this moment) or after
(ramps, dead bands, confirmed supply).

The rules
=========

1. Power is summed at the bus, in bus watts, where conservation is linear; `Loss` leads from
   terminal watts there and back.  What a port and what a group may have are terminal watts.
2. Sources are used in the order of their price at the bus, the cheaper first; at one price our own
   come first, then those of the routers below us, then the router above us.  Sources that are equal
   in that share what is needed of them in proportion to what they have.
3. The router's standing losses are served first.  Then the sinks, by class (`priority`), the higher
   first; within a class by bid, the higher first.
4. A sink takes only power whose price is at most its bid: those of one class and bid may together
   use what the sources up to that price can inject, less what is used already.
5. Of those, each that has a minimum is admitted if its minimum still fits: running ones first, then
   the heavier, then by identity.  One that is not admitted gets nothing.  One that has waited for
   long comes before those that have run for long: the longest wait first.  While it needs more room
   than has come free, the others that wait may not have the places of those that have run for long:
   it would never find them free together.
6. The rest is shared max-min fairly by weight, in terminal watts, within each sink's maximum and
   each group's cap (`epnet.router.fairness`).
7. A group's cap holds for its sinks together and for its sources together.  The cheaper sources of
   a group come first; those of one price are cut in proportion.
8. A device that offers power and wants some never does both.  It buys only below its own price, and
   after all who would pay that price, in the lowest class that one of them is in.  So what it gets
   is only ever power for which nobody needs its own.
9. The firm part of a sink's wish is served as if its bid were infinite, the rest by its bid.
10. Of all that the sources can inject, `reserve` times the largest one's part stays free, unless
    that much was in use before: a reserve holds back increases and takes nothing away.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import fsum, inf, nextafter
from operator import attrgetter
from typing import Final

import attrs

from epnet.errors import UsageError
from epnet.router.fairness import Claim, Groups, Limit, fill
from epnet.router.losses import Loss
from epnet.router.merit import RESIDUE, MeritOrder
from epnet.router.reasons import Reason
from epnet.router.terms import (
    MOST,
    Allocation,
    Group,
    Setpoint,
    Setpoints,
    Sink,
    Source,
    checkRange,
)

__all__ = ["Allocation", "Group", "Loss", "Reason", "Setpoint", "Sink", "Source", "allocate"]

_identity = attrgetter("identity")


def allocate(
    sources: Iterable[Source],
    sinks: Iterable[Sink],
    groups: Iterable[Group] | Groups = (),
    standing_w: float = 0.0,
    reserve: float = 0.0,
    before_w: float = 0.0,
) -> Allocation:
    """Share the power of `sources` among `sinks` by the rules at the top of this module.

    `standing_w` is what the router itself uses, 0 to 1e12 bus watts, `reserve` a part from 0 to 1,
    `before_w` the bus watts in use before.  Raises `UsageError` for a name given twice, or a group
    within itself; a member of a group that is not here now is no mistake.
    """
    groups = groups if isinstance(groups, Groups) else Groups(groups)
    checkRange("the router", "standing_w", standing_w, 0.0, MOST)
    return solve(sources, sinks, groups, Terms(standing_w, reserve, before_w))[0]


TOLD: Final = 0.5
"""Watts; a class that lacks less is not short: nobody is told that it lacks 0 W."""


@attrs.frozen
class Terms:
    """What else the fill goes by; see `allocate`.

    offers, wishes: W by identity, instead of the sources' and the sinks' `max_w`.
    withheld: by group, the W of its cap that its sinks cannot have.
    """

    standing_w: float = 0.0
    reserve: float = 0.0
    before_w: float = 0.0
    offers: Mapping[str, float] | None = None
    wishes: Mapping[str, float] | None = None
    withheld: Mapping[str, float] | None = None


def solve(
    sources: Iterable[Source], sinks: Iterable[Sink], groups: Groups, terms: Terms
) -> tuple[Allocation, MeritOrder]:
    """What `allocate` does, with all that a plan needs, and the sources by price."""
    sources = sorted(sources, key=_identity)
    sinks = sorted(sinks, key=_identity)
    _checkNames(sources, sinks, groups)
    merit = MeritOrder(sources, groups.limits("import"), terms.offers)
    bus = _Bus(merit, terms)
    asks = {source.identity: source.price for source in sources if source.max_w}
    wants = _ranked(sinks, asks, terms.wishes)
    limits = groups.limits("export", terms.withheld)
    alone = (bus.limit,)
    for want in wants:
        above = limits.get(want.sink.identity)
        want.claim.limits = alone + above if above else alone
    for (_, bid), step in groupby(wants, key=_order):
        bus.allow(-bid)
        _serve(list(step), bus)
    delivered = merit.dispatch(bus.limit.taken)
    return _summed(sources, sinks, delivered, _explained(wants), bus.standing), merit


class _Bus:
    """What the sinks may use of the bus, and what they use.

    limit: the cap of this moment, and what was taken.
    standing: bus watts that the standing losses got.
    """

    def __init__(self, merit: MeritOrder, terms: Terms) -> None:
        self._merit = merit
        self.everything = self.most = merit.everything
        self.largest = ""
        self.free = 0.0
        if terms.reserve > 0.0:
            largest_w, self.largest = merit.largest()
            self.free = terms.reserve * largest_w
            self.most = min(self.everything, max(terms.before_w, self.everything - self.free))
        self.limit = Limit("the bus", self.everything, atBus=True)
        self.limit.take(min(terms.standing_w, self.everything))
        self.standing = self.limit.taken

    def allow(self, bid: float) -> None:
        """From now on, serve those who pay up to `bid`."""
        self.limit.cap = max(self.limit.taken, min(self._merit.upTo(bid), self.most))

    @property
    def exhausted(self) -> bool:
        """Whether there is no more, at whatever price."""
        return self.limit.taken >= self.everything - RESIDUE

    @property
    def reserved(self) -> bool:
        """Whether there is no more but the reserve."""
        return self.limit.taken >= self.most - RESIDUE


@attrs.define(eq=False)
class _Want:
    """A sink on its way to a set-point.  `priority` and `bid` are those that count (rule 8).

    firm: the same sink's firm part, served before (rule 9); its power is within this one's.
    """

    sink: Sink
    priority: int
    bid: float
    claim: Claim
    firm: _Want | None = None
    power: float = 0.0
    reason: Reason = Reason.REQUEST
    limit: float = 0.0
    by: str = ""

    def refuse(self, left: float, by: str) -> None:
        """Give it nothing: its minimum does not fit."""
        self.claim.high = 0.0
        self.reason, self.limit, self.by = Reason.MINIMUM, left, by

    def take(self) -> None:
        """Take from the limits what the claim was given."""
        claim = self.claim
        if claim.high >= RESIDUE:
            self.power = claim.high
            for limit in claim.limits:
                limit.take(limit.cost(claim, self.power))

    def resume(self) -> None:
        """Go on from what the firm part has: counted once, and not to be lost."""
        if self.firm is not None:
            self.claim.low = self.firm.power
            for limit in self.claim.limits:
                limit.take(-limit.cost(self.claim, self.firm.power))

    def explain(self, bus: _Bus) -> None:
        """Note what ruled."""
        bound = self.claim.bound
        if self.reason is Reason.MINIMUM:
            return
        if bound is None:
            self.reason, self.limit = Reason.REQUEST, self.sink.max_w
        elif not bound.atBus:
            self.reason, self.limit, self.by = Reason.GROUP, bound.cap, bound.name
        elif bus.exhausted:
            self.reason = Reason.SUPPLY
        elif bus.reserved:
            self.reason, self.limit, self.by = Reason.RESERVE, bus.free, bus.largest
        elif self.bid < self.sink.bid:
            self.reason, self.limit = Reason.OWN_PRICE, nextafter(self.bid, inf)
        else:
            self.reason, self.limit = Reason.BID, self.bid


def _order(want: _Want) -> tuple[float, float]:
    """What steps are sorted by: higher class first, then higher bid."""
    return (-want.priority, -want.bid)


def _ranked(
    sinks: Iterable[Sink], asks: Mapping[str, float], wishes: Mapping[str, float] | None
) -> list[_Want]:
    """The sinks in the order in which they are served; `asks` is the price of each seller."""
    wants = []
    selling = False
    for sink in sinks:
        ask = asks.get(sink.identity)
        bid = sink.bid
        if ask is not None:
            bid = min(bid, nextafter(ask, -inf))
            selling = True
        wish = sink.max_w if wishes is None else wishes[sink.identity]
        want = _Want(sink, sink.priority, bid, Claim(sink.weight, 0.0, wish, (), sink.loss))
        if sink.firm_w > 0.0 and bid < inf and ask is None:
            most = min(wish, max(sink.firm_w, sink.min_w))
            claim = Claim(sink.weight, 0.0, most, (), sink.loss)
            want.firm = _Want(sink, sink.priority, inf, claim)
            wants.append(want.firm)
        wants.append(want)
    if selling:
        _standBack(wants, asks)
    wants.sort(key=_order)
    return wants


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


def _serve(step: Sequence[_Want], bus: _Bus) -> None:
    """Share what is left among the sinks of one class and bid."""
    for want in step:
        want.resume()
    _admit(step)
    fill([want.claim for want in step])
    for want in step:
        want.take()
    for want in step:
        want.explain(bus)


def _admit(step: Iterable[_Want]) -> None:
    """Reserve minimums as long as they fit (rule 5)."""
    picky = [want for want in step if want.sink.min_w > 0.0 < want.claim.high]
    if not picky:
        return
    held = [want.claim for want in step if want.claim.low > 0.0]
    for claim in held:
        _reserve(claim, 1.0)
    turns = sorted(picky, key=_turn)
    possible = {want.sink.identity for want in turns if want.sink.waited_s and not _full(want)}
    for number, want in enumerate(turns, 1):
        claim, least = want.claim, want.sink.min_w
        if claim.low >= least:
            continue
        full = _full(want)
        if least > claim.high:
            want.refuse(claim.high, "its own maximum")
        elif full:
            want.refuse(full[0].left, full[0].name)
            if want.sink.identity in possible:
                turns[number:] = sorted(turns[number:], key=_later)
        else:
            claim.low = least
            held.append(claim)
            _reserve(claim, 1.0)
    for claim in held:
        _reserve(claim, -1.0)


def _reserve(claim: Claim, sign: float) -> None:
    for limit in claim.limits:
        limit.take(sign * limit.cost(claim, claim.low))


def _full(want: _Want) -> list[Limit]:
    """The limits that its minimum does not fit under."""
    claim, least = want.claim, want.sink.min_w
    return [limit for limit in claim.limits if not limit.fits(limit.cost(claim, least))]


def _turn(want: _Want) -> tuple[float, float, float]:
    """Whose minimum is tried first; of equals, the first by identity."""
    sink = want.sink
    if sink.running and not sink.yields:
        return (0, 0.0, -sink.weight)
    if sink.waited_s > 0.0:
        return (1, -sink.waited_s, -sink.weight)
    return (2 if sink.running else 3, 0.0, -sink.weight)


def _later(want: _Want) -> tuple[float, float, float]:
    """The same while one that waits has found no room: who runs goes on running."""
    turn, wait, weight = _turn(want)
    return (2.5 if turn == 1 else turn, wait, weight)


def _explained(wants: Sequence[_Want]) -> Setpoints:
    """The sinks' set-points, by identity; those short of supply name the highest class that is."""
    lacking = [want for want in wants if want.reason is Reason.SUPPLY]
    lacks: dict[int, float] = {}
    for want in lacking:
        lacks[want.priority] = lacks.get(want.priority, 0.0) + want.sink.max_w - want.power
    short = max((each for each, lack in lacks.items() if lack >= TOLD), default=0)
    for want in lacking:
        if lacks[want.priority] < TOLD:
            want.reason, want.limit = Reason.REQUEST, want.sink.max_w
        else:
            want.limit, want.by = lacks[short], str(short)
    # A firm part comes before the whole, which then takes its place.
    return Setpoints(
        (
            want.sink.identity,
            Setpoint(want.sink.identity, want.power, want.reason, want.limit, want.by),
        )
        for want in wants
    )


def _summed(
    sources: Iterable[Source],
    sinks: Iterable[Sink],
    delivered: Mapping[str, Setpoint],
    received: Mapping[str, Setpoint],
    standing: float,
) -> Allocation:
    """The set-points with their sums."""
    injected, lost = [], []
    for source in sources:
        power = delivered[source.identity].power_w
        if power > 0.0:
            bus = source.loss.injected(power)
            injected.append(bus)
            lost.append(power - bus)
    for sink in sinks:
        power = received[sink.identity].power_w
        if power > 0.0:
            lost.append(sink.loss.withdrawn(power) - power)
    return Allocation(delivered, received, fsum(injected), fsum(lost), standing)


def _checkNames(sources: Sequence[Source], sinks: Sequence[Sink], groups: Groups) -> None:
    """Raise `UsageError` if a name stands for two; sources and sinks are sorted by name."""
    for kind, ports in (("source", sources), ("sink", sinks)):
        before = None
        for port in ports:
            name = port.identity
            if name == before:
                raise UsageError(f"{kind} {name!r} is given twice: give each its own name")
            if name in groups.groups:
                raise UsageError(f"group {name!r} has the name of a port: rename the group")
            before = name
