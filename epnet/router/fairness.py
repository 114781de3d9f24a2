"""Max-min fair sharing by weight under any number of limits at once.

The *level* is the fill variable: terminal watts per unit of weight.  A claim at level L has
``min(high, max(low, weight * L))`` watts.  The level rises from zero for everyone; where a limit (a
group's cap, or what the bus can give) is reached, the claims under it stay where they are and the
others go on.  So nobody could have more without someone who has less, for its weight, having to
give.

Fairness is in terminal watts, since that is what a device sees; a limit counts terminal watts (a
group) or bus watts, with each claim's losses (the bus).  Both are increasing functions of the
level, linear or quadratic between the levels where a claim starts or ends to rise, so a limit's
level is found by one sweep over those and one closed formula.

Sums are rounded once (`math.fsum`): no limit is exceeded, and no order of claims matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import fsum, inf, sqrt, ulp
from operator import itemgetter

import attrs

from epnet.errors import UsageError
from epnet.router.losses import LOSSLESS, Loss
from epnet.router.terms import Group

_Row = tuple[float, float, float, float, float]
"""A claim as one limit counts it: weight, low, high; x watts count as ``x * (a + c*x)``: a, c."""


@attrs.define(eq=False)
class Claim:
    """What one port may have: between `low` and `high` terminal watts, 0 <= low <= high.

    `limits` are those it counts against.  `fill` brings low and high together at the fair share and
    names in `bound` the limit that kept it from its original `high`, if one did.
    """

    weight: float
    low: float
    high: float
    limits: Sequence[Limit]
    loss: Loss = LOSSLESS
    bound: Limit | None = None

    def freeze(self, level: float, bound: Limit) -> None:
        """Stay at `level`, held there by `bound`."""
        power = min(self.high, max(self.low, self.weight * level))
        if power < self.high:
            self.bound = bound
        self.low = self.high = power


class Limit:
    """A cap in watts over several claims, and what was taken from it so far.

    `atBus` says whether it counts bus watts with the claims' losses, or terminal watts.
    """

    __slots__ = ("_carry", "_taken", "atBus", "cap", "name")

    def __init__(self, name: str, cap: float, atBus: bool = False) -> None:
        self.name = name
        self.cap = cap
        self.atBus = atBus
        # The sum in two parts: together they are exact to some 30 digits.
        self._taken = 0.0
        self._carry = 0.0

    @property
    def taken(self) -> float:
        """Watts taken so far."""
        return self._taken

    @property
    def left(self) -> float:
        """Watts not taken, 0 or more."""
        return max(0.0, fsum((self.cap, -self._taken, -self._carry)))

    def cost(self, claim: Claim, power: float) -> float:
        """The watts by which `power` terminal watts of `claim` count against this limit."""
        return claim.loss.withdrawn(power) if self.atBus else power

    def fits(self, watts: float) -> bool:
        """Whether `watts` more are within the cap."""
        return fsum((self._taken, self._carry, watts)) <= self.cap

    def take(self, watts: float) -> None:
        """Take `watts`; give them back if negative."""
        taken = fsum((self._taken, self._carry, watts))
        self._carry = fsum((self._taken, self._carry, watts, -taken))
        self._taken = taken

    def level(self, claims: Sequence[Claim]) -> float:
        """The highest level at which `claims` are within the cap; inf if it never is reached."""
        if self.atBus:
            rows = [
                (c.weight, c.low, c.high, 1.0 + c.loss.linear, c.loss.quadratic) for c in claims
            ]
        else:
            rows = [(c.weight, c.low, c.high, 1.0, 0.0) for c in claims]
        costs = [high * (a + c * high) for _, _, high, a, c in rows]
        costs += (self._taken, self._carry, -self.cap)
        if fsum(costs) <= 0.0:
            return inf
        return self._within(rows, *self._segment(rows))

    def _segment(self, rows: Sequence[_Row]) -> tuple[float, float]:
        """Two neighbouring edges between which the cap is reached, but for rounding.

        One sweep over the edges, where claims start and end to rise; between two of them the sum is
        one quadratic of the level.
        """
        fixed, linear, quadratic = self._taken + self._carry, 0.0, 0.0
        edges = []
        for weight, low, high, a, c in rows:
            rise, bend = weight * a, weight * weight * c
            if low <= 0.0:
                linear += rise
                quadratic += bend
            else:
                cost = low * (a + c * low)
                fixed += cost
                edges.append((low / weight, rise, bend, -cost))
            edges.append((high / weight, -rise, -bend, high * (a + c * high)))
        edges.sort(key=_first)
        start = 0.0
        for edge, rise, bend, cost in edges:
            if fixed + edge * (linear + quadratic * edge) > self.cap:
                return start, edge
            start = edge
            linear += rise
            quadratic += bend
            fixed += cost
        return start, start

    def _excess(self, rows: Iterable[_Row], level: float) -> float:
        """By how many watts `rows` at `level` and what was taken exceed the cap."""
        costs = [self._taken, self._carry, -self.cap]
        for weight, low, high, a, c in rows:
            power = weight * level
            power = low if power < low else high if power > high else power
            costs.append(power * (a + c * power))
        return fsum(costs)

    def _within(self, rows: Sequence[_Row], start: float, end: float) -> float:
        """Solve for the level between two neighbouring edges, where the sum is one quadratic."""
        middle = (start + end) / 2
        costs = [-self.cap, self._taken, self._carry]
        linears, quadratics = [], []
        for weight, low, high, a, c in rows:
            power = weight * middle
            if low < power < high:
                linears.append(weight * a)
                quadratics.append(weight * weight * c)
            else:
                power = low if power <= low else high
                costs.append(power * (a + c * power))
        linear, quadratic = fsum(linears), fsum(quadratics)
        room = max(0.0, -fsum(costs))
        level = start
        if linear > 0.0:
            root = 2.0 * room / (linear + sqrt(linear * linear + 4.0 * quadratic * room))
            level = min(end, max(start, root))
        # The root is rounded: step down to where the cap holds exactly.
        step = ulp(level)
        while level > 0.0 and self._excess(rows, level) > 0.0:
            level = max(0.0, level - step)
            step *= 2.0
        return level


_first = itemgetter(0)


def fill(claims: Sequence[Claim]) -> None:
    """Give each claim its fair share; the lows together must be within every limit.

    Afterwards ``claim.low == claim.high`` is the share, and `claim.bound` what kept it there.
    """
    under: dict[Limit, list[Claim]] = {}
    for claim in claims:
        for limit in claim.limits:
            members = under.get(limit)
            if members is None:
                under[limit] = [claim]
            else:
                members.append(claim)
    # A limit's level only rises when another limit stops some of its claims.  So what the heap
    # holds is a lower bound, worked out anew when it comes to the top.
    pending = [(0.0, rank, limit) for rank, limit in enumerate(under)]
    while pending:
        _, rank, limit = heappop(pending)
        level = limit.level(under[limit])
        if level == inf:
            continue
        if pending and (level, rank) > pending[0][:2]:
            heappush(pending, (level, rank, limit))
            continue
        for claim in under[limit]:
            claim.freeze(level, limit)
    for claim in claims:
        claim.low = claim.high


class Groups:
    """Groups made ready for the fill, once for as long as they do not change.

    groups: by name.

    Raises `UsageError` for a name given twice, or if a group is within itself.
    """

    def __init__(self, groups: Iterable[Group] = ()) -> None:
        ordered = sorted(groups, key=lambda group: group.name)
        for group, following in pairwise(ordered):
            if group.name == following.name:
                raise UsageError(f"group {group.name!r} is given twice: give each its own name")
        self.groups = {group.name: group for group in ordered}
        parents: dict[str, list[str]] = {}
        for group in ordered:
            for member in group.members:
                parents.setdefault(member, []).append(group.name)
        # Members under the same groups share one chain of limits.
        self._above = {member: tuple(sorted(_above(member, parents))) for member in sorted(parents)}
        self._chains = dict.fromkeys(self._above.values())

    def above(self, identity: str) -> tuple[str, ...]:
        """The names of the groups over a port, at whatever depth."""
        return self._above.get(identity, ())

    def limits(
        self, direction: str, withheld: Mapping[str, float] | None = None
    ) -> dict[str, tuple[Limit, ...]]:
        """New limits that hold for 'import' or 'export', by member, outer and inner groups.

        withheld: by group, the W of its cap that are not to be had.
        """
        limits = {
            name: Limit(name, group.max_w)
            for name, group in self.groups.items()
            if group.direction in ("both", direction)
        }
        for name, watts in (withheld or {}).items():
            limits[name].take(watts)
        chains = {
            chain: tuple([limits[name] for name in chain if name in limits])
            for chain in self._chains
        }
        return {member: chains[chain] for member, chain in self._above.items()}


def _above(member: str, parents: Mapping[str, Sequence[str]]) -> set[str]:
    """The names of all groups over `member`."""
    above: set[str] = set()
    new = list(parents[member])
    while new:
        name = new.pop()
        if name == member:
            raise UsageError(f"group {member!r} is within itself: take it out of its members")
        if name not in above:
            above.add(name)
            new.extend(parents.get(name, ()))
    return above
