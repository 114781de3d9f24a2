"""The sources by price: what can be had up to a price, and who delivers it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, groupby
from math import fsum
from operator import attrgetter
from typing import Final

import attrs

from epnet.router.fairness import Claim, Limit, fill
from epnet.router.reasons import Reason
from epnet.router.terms import Setpoint, Setpoints, Source

RESIDUE: Final = 1e-6
"""Watts below which a set-point is zero."""

_turn = attrgetter("price", "turn")


@attrs.define(eq=False)
class Offer:
    """A source, and what of it can be used: terminal watts, and bus watts."""

    source: Source
    usable: float
    bus: float
    bound: Limit | None

    def share(self, part: float) -> Setpoint:
        """The set-point that injects `part` (0 to 1) of what can be used."""
        source = self.source
        if part <= 0.0:
            return Setpoint(source.identity, 0.0, Reason.SPARE, source.price)
        usable = self.usable
        power = usable
        if part < 1.0:
            power = min(usable, source.loss.delivering(self.bus * part))
        if power < RESIDUE:
            power = 0.0
        if part < 1.0:
            return Setpoint(source.identity, power, Reason.SHARE, source.price)
        if self.bound is not None:
            return Setpoint(source.identity, power, Reason.GROUP, self.bound.cap, self.bound.name)
        if usable >= source.max_w:
            return Setpoint(source.identity, power, Reason.OFFER, usable)
        reason = Reason.PEAK if usable >= source.loss.peak else Reason.UNCONFIRMED
        return Setpoint(source.identity, power, reason, usable)


class MeritOrder:
    """The sources by price and turn, and those that have the same in the order they are given.

    most: W at the terminals by identity, instead of each source's `max_w`.
    everything: what all of them can inject, bus watts.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        limits: Mapping[str, tuple[Limit, ...]],
        most: Mapping[str, float] | None = None,
    ) -> None:
        self._prices: list[float] = []
        self._tiers: list[list[Offer]] = []
        for (price, _), tier in groupby(sorted(sources, key=_turn), key=_turn):
            self._prices.append(price)
            self._tiers.append(_offers(list(tier), limits, most))
        # Bus watts of the tiers before each tier, and of all.
        self._sums = list(
            accumulate((fsum([offer.bus for offer in tier]) for tier in self._tiers), initial=0.0)
        )
        self.everything = self._sums[-1]

    def upTo(self, price: float) -> float:
        """C(price): the bus watts that sources at `price` or less can inject."""
        return self._sums[bisect_right(self._prices, price)]

    def largest(self) -> tuple[float, str]:
        """The most that one source alone can inject, bus watts, and which; 0 and "" for none."""
        offers = [offer for tier in self._tiers for offer in tier]
        return max(((o.bus, o.source.identity) for o in offers), default=(0.0, ""))

    def dispatch(self, used: float) -> Setpoints:
        """Set-points of all sources that together inject `used` bus watts, by identity."""
        setpoints = Setpoints()
        for tier, before, after in zip(self._tiers, self._sums, self._sums[1:], strict=False):
            need = used - before
            part = 1.0 if used >= after else need / (after - before) if need >= RESIDUE else 0.0
            for offer in tier:
                setpoints[offer.source.identity] = offer.share(part)
        return setpoints


def _offers(
    tier: Sequence[Source],
    limits: Mapping[str, tuple[Limit, ...]],
    most: Mapping[str, float] | None,
) -> list[Offer]:
    """What can be used of the sources of one price: cut in proportion where a group is full."""
    if most is None:
        usable = [min(source.max_w, source.loss.peak) for source in tier]
    else:
        usable = [min(most[source.identity], source.loss.peak) for source in tier]
    if not any(source.identity in limits for source in tier):
        return [
            Offer(source, power, source.loss.injected(power), None)
            for source, power in zip(tier, usable, strict=True)
        ]
    # Fair by weight is in proportion when the weight is what each one has.
    claims = [
        Claim(power or 1.0, 0.0, power, limits.get(source.identity, ()))
        for source, power in zip(tier, usable, strict=True)
    ]
    fill(claims)
    for claim in claims:
        for limit in claim.limits:
            limit.take(claim.high)
    return [
        Offer(source, claim.high, source.loss.injected(claim.high), claim.bound)
        for source, claim in zip(tier, claims, strict=True)
    ]
