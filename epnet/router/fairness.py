"""Max-min fair sharing by weight under any number of limits at once.

The *level* is the fill variable: terminal watts per unit of weight.  A claim at level L has
``min(high, max(low, weight * L))`` watts.  The level rises from zero for everyone; where a limit (a
group's cap, or what the bus can give) is reached, the claims under it stay where they are and the
others go on.  So nobody could have more without someone who has less, for its weight, having to
give.

Fairness is in terminal watts, since that is what a device sees; a limit counts terminal watts (a
group) or bus watts, with each claim's losses (the bus).  Both are increasing functions of the
level, linear or quadratic between the levels where a claim starts or ends to rise, so a limit's
level is found by bisection over those and one closed formula.

Sums are rounded once (`math.fsum`): no limit is exceeded, and no order of claims matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import fsum, inf, sqrt, ulp
from typing import Final

import attrs

from epnet.errors import UsageError
from epnet.router.losses import LOSSLESS, Loss
from epnet.router.terms import Group

_TERMINALS: Final = (1.0, 0.0)

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

    def level(self, claims: Iterable[Claim]) -> float:
        """The highest level at which `claims` are within the cap; inf if it never is reached."""
        rows = [self._row(claim) for claim in claims]
        if self._excess(rows, inf) <= 0.0:
            return inf
        edges = sorted(
            {edge for w, low, high, _, _ in rows for edge in (low / w, high / w)} | {0.0}
        )
        below, above = 0, len(edges) - 1
        while above - below > 1:
            middle = (below + above) // 2
            if self._excess(rows, edges[middle]) <= 0.0:
                below = middle
            else:
                above = middle
        return self._within(rows, edges[below], edges[above])

    def _row(self, claim: Claim) -> _Row:
        a, c = (1.0 + claim.loss.linear, claim.loss.quadratic) if self.atBus else _TERMINALS
        return (claim.weight, claim.low, claim.high, a, c)

    def _excess(self, rows: Iterable[_Row], level: float) -> float:
        """By how many watts `rows` at `level` and what was taken exceed the cap."""
        costs = [self._taken, self._carry]
        for weight, low, high, a, c in rows:
            power = weight * level
            power = low if power < low else high if power > high else power
            costs.append(power * (a + c * power))
        return fsum(costs) - self.cap

    def _within(self, rows: Iterable[_Row], start: float, end: float) -> float:
        """Solve for the level between two neighbouring edges, where the sum is one quadratic."""
        middle = (start + end) / 2
        rising = [row for row in rows if row[1] < row[0] * middle < row[2]]
        fixed = [row for row in rows if not row[1] < row[0] * middle < row[2]]
        linear = fsum([w * a for w, _, _, a, _ in rising])
        quadratic = fsum([w * w * c for w, _, _, _, c in rising])
        room = max(0.0, -self._excess(fixed, middle))
        level = start
        if rising:
            root = 2.0 * room / (linear + sqrt(linear * linear + 4.0 * quadratic * room))
            level = min(end, max(start, root))
        # The root is rounded: step down to where the cap holds exactly.
        step = ulp(level)
        while level > 0.0 and self._excess(rows, level) > 0.0:
            level = max(0.0, level - step)
            step *= 2.0
        return level


def fill(claims: Sequence[Claim]) -> None:
    """Give each claim its fair share; the lows together must be within every limit.

    Afterwards ``claim.low == claim.high`` is the share, and `claim.bound` what kept it there.
    """
    under: dict[Limit, list[Claim]] = {}
    for claim in claims:
        for limit in claim.limits:
            under.setdefault(limit, []).append(claim)
    # A limit's level only rises when another limit stops some of its claims.  So what the heap
    # holds is a lower bound, worked out anew when it comes to the top.
    pending = [(0.0, rank, limit) for rank, limit in enumerate(under)]
    heapify(pending)
    while pending:
        _, rank, limit = heappop(pending)
        level = limit.level(under[limit])
        if pending and (level, rank) > pending[0][:2]:
            heappush(pending, (level, rank, limit))
        elif level == inf:
            break
        else:
            for claim in under[limit]:
                claim.freeze(level, limit)
    for claim in claims:
        claim.low = claim.high


def limitsByMember(groups: Sequence[Group]) -> dict[str, tuple[Limit, ...]]:
    """New limits for `groups`: for each member, those of the groups it is in, at whatever depth.

    Raises `UsageError` if a group is within itself.
    """
    parents: dict[str, list[str]] = {}
    for group in groups:
        for member in group.members:
            parents.setdefault(member, []).append(group.name)
    limits = {group.name: Limit(group.name, group.max_w) for group in groups}
    return {
        member: tuple(limits[name] for name in sorted(_above(member, parents)))
        for member in sorted(parents)
    }


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
