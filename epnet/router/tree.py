"""Routers among routers: who hangs on whom, so that power never runs in a circle.

Pure: no I/O and no clock, every question carries its time (s of one monotonic clock).

A router may have several *upstream* routers, in an order of preference.  It chooses one of them as
its *parent*; only over that link does it take part in anything as a device.  The parents of all
routers together have to be a forest: a set of trees, each with one *root*.  Nobody sees the whole;
each tells its neighbours the way from itself to its root (`Route`, sent as Router Path), at once
when it changes and with whatever else it sends.

The rule
========

1. A route is good for 300 ms after it arrived.  One that is malformed, or would make ours longer
   than 8 routers, or leads back through ourselves, is no way to a root.
2. Roots have a rank.  0: it has no upstream at all, as the one at the transformer; 1: it has some,
   but hears of none; 2: it hears of some, but all of them lead back through itself.
3. The parent is the best upstream by the rank of its root, then, among roots of rank 2 alone, by
   the root's identity, then by the order of preference.
4. A router that has no such upstream is a root, and those under it follow it.  So is one that
   knows only roots of rank 2 whose identities sort after its own: in a ring that has lost its root,
   the one that sorts first becomes the root.  Where that is so for 2 s, the ring is none that we
   are in, and we follow it.
5. Whoever has a parent keeps it for as long as it leads to a root as good as any other.  A
   preferred one that comes back is taken again while nothing flows, after it has been there for a
   while (rule 9).  A preference is not worth a house that goes dark.

What can go wrong, and why it does not
======================================

6. *Old news.*  Each hop knows of a change later than the one before, and two routers may choose
   each other at the same moment.  So after a change of parent the new link carries nothing for
   1 s, and begins that second anew whenever the route of the parent changes.  After at most 4 hops
   the next news of what has changed is here, or a way on the circle has become too long: rule 1
   ends it.  That is sure if a hop takes at most 250 ms, and what changes is told at once.  Should
   the network be slower, the circle ends when the news is here, and until then no more flows in it
   than every router on it has been granted out of confirmed supply.
7. *Both ends think they are the lower one.*  Each hears the other's route with itself in it (rule
   1), and rule 4 makes one of them the root.  *Both think they are the upper one*: then neither
   names the other as its parent, so neither is a child and nothing flows.
8. *Two of one identity.*  At one router the door lets only one of them in.  Further away, a route
   that has our identity in it but does not go on as ours does is not about us.  Such a route is no
   way to a root for us, as it would be if it were about us; if it lasts for 3 s, somebody else
   bears our name, and `impostor` says where.
9. *Preferences that contradict each other.*  Of two routers that each prefer the other to the root,
   both would change at once, see the circle, change back, and so on for ever.  So nobody goes back
   to a preferred one sooner than 10 s after it came, times a factor between 1 and 2 that depends on
   the identity, and each time that it does the next one takes twice as long, up to an hour.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from math import inf
from typing import Final
from zlib import crc32

import attrs

from epnet.wire import RouterPath

MAX_DEPTH: Final = 8
"""The most routers on the way to a root, both ends included."""

ROUTE_SECONDS: Final = 0.3
"""How long a route is good for after it arrived."""

HOLD_SECONDS: Final = 1.0
"""How long a new link to a parent carries nothing."""

LAPSE_SECONDS: Final = 2.0
"""How long the parent may have been away to be taken back as if nothing had been."""

JOINING_SECONDS: Final = 2.0
"""How long after it has found any parent a router may still take a preferred one at once."""

RETURN_SECONDS: Final = 10.0
RETURN_LONGEST: Final = 3600.0
"""How long a preferred upstream has to be there before a router goes back to it (rule 9)."""

RING_SECONDS: Final = 2.0
"""How long the root of a ring has to stay before one that sorts before it follows it (rule 4)."""

IMPOSTOR_SECONDS: Final = 3.0
"""How long a route has to lead through somebody of our name to be no leftover of an old one."""

ROOT: Final = 0
LOST: Final = 1
RING: Final = 2
"""The ranks of roots."""


class Link(enum.Enum):
    """What the link to another router is for; the value says it to people."""

    UP = "it leads to our root"
    HELD = "it will lead to our root, and carries nothing yet"
    DOWN = "the other router hangs on us"
    STANDBY = "it stands by"


@attrs.frozen
class Route:
    """The way from a router to its root.

    rank: of the root, 0 to 2.
    path: identities, from the router itself to its root.
    """

    rank: int
    path: tuple[str, ...]

    @property
    def root(self) -> str:
        """The identity of the root."""
        return self.path[-1]

    @property
    def standing(self) -> tuple[int, str]:
        """How good the root is, the smaller the better; the same for roots that are as good."""
        return self.rank, self.root if self.rank == RING else ""


def routeFrom(message: RouterPath, sender: str) -> Route | None:
    """The route that a router tells of; None for one that makes no sense."""
    path = message.path
    if message.rank not in (ROOT, LOST, RING) or len(set(path)) < len(path):
        return None
    if not path or path[0] != sender or len(path) > MAX_DEPTH:
        return None
    return Route(int(message.rank), path)


def routeOfStranger(identity: str) -> Route:
    """The route of an upstream that does not know Router Path: a root by itself."""
    return Route(ROOT, (identity,))


@attrs.define
class _Heard:
    """What a neighbour said last: its route, or None for one that makes no sense.

    at: when, s.
    since: since when it has been the same, s.
    usableSince: since when without a break it has been a way to a root for us, s; inf: it is none.
    """

    route: Route | None
    at: float
    since: float
    usableSince: float = inf


class Tree:
    """The place of one router among the others.

    identity: its own.
    parent: the upstream it hangs on, or None for a root.
    route: its own way to its root, to be told to all neighbours.
    changes: how often its parent has changed.
    impostor: the neighbour over which somebody else of our identity is heard, or None (rule 8).
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.parent: str | None = None
        self.route = Route(ROOT, (identity,))
        self.changes = 0
        self.impostor: str | None = None
        self._heard: dict[str, _Heard] = {}
        self._above: Route | None = None
        self._opensAt = self._joinedAt = -inf
        self._left: tuple[str | None, Route | None, float] = (None, None, -inf)
        self._returnFactor = 1.0 + crc32(identity.encode()) / 2**32
        self._returns = 0
        self._doubted: dict[str, float] = {}

    # What the neighbours say

    def heard(self, identity: str, route: Route | None, now: float) -> None:
        """A neighbour told its route; None: one that makes no sense."""
        known = self._heard.setdefault(identity, _Heard(route, now, now))
        if route != known.route or now - known.at >= ROUTE_SECONDS:
            known.since = now
        known.route, known.at = route, now
        self._lookForImpostor(identity, route, now)

    def gone(self, identity: str) -> None:
        """A neighbour is gone."""
        self._heard.pop(identity, None)
        self._doubted.pop(identity, None)
        if self.impostor == identity:
            self.impostor = None

    def knows(self, identity: str) -> bool:
        """Whether that neighbour has ever told a route since it came."""
        return identity in self._heard

    def routeOf(self, identity: str, now: float) -> Route | None:
        """The fresh route of a neighbour, or None."""
        known = self._heard.get(identity)
        return known.route if known is not None and 0.0 <= now - known.at < ROUTE_SECONDS else None

    def _lookForImpostor(self, identity: str, route: Route | None, now: float) -> None:
        path = route.path if route is not None else ()
        at = path.index(self.identity) if self.identity in path else len(path)
        ours = route is not None and Route(route.rank, path[at:]) == self.route
        if at == len(path) or ours:
            self._doubted.pop(identity, None)
            if self.impostor == identity:
                self.impostor = None
        elif now - self._doubted.setdefault(identity, now) >= IMPOSTOR_SECONDS:
            self.impostor = identity

    # The choice

    def settle(self, upstreams: Sequence[str], now: float, *, quiet: bool, rooted: bool) -> bool:
        """Choose anew; say whether the own route is another one now.

        upstreams: those that are connected, the most preferred first.
        quiet: whether nothing flows over the link to the parent.
        rooted: whether no upstream is configured at all.
        """
        usable = self._usable(upstreams, now)
        chosen = self._chosen(usable, now, quiet)
        above = usable[chosen] if chosen is not None else None
        if chosen != self.parent:
            self._change(chosen, above, now)
        if above != self._above:
            self._above = above
            if now < self._opensAt:
                self._opensAt = now + HOLD_SECONDS
        before = self.route
        if above is not None:
            self.route = Route(above.rank, (self.identity, *above.path))
        else:
            rank = ROOT if rooted else self._ownRank(upstreams, now)
            self.route = Route(rank, (self.identity,))
        return self.route != before

    def _usable(self, upstreams: Iterable[str], now: float) -> dict[str, Route]:
        """The upstreams that are a way to a root, in the order given."""
        found = {}
        for identity in upstreams:
            route = self.routeOf(identity, now)
            if identity not in self._heard:
                continue
            heard = self._heard[identity]
            if route is None or not self._leadsToRoot(heard, route, now):
                heard.usableSince = inf
            else:
                heard.usableSince = min(now, heard.usableSince)
                found[identity] = route
        return found

    def _leadsToRoot(self, heard: _Heard, route: Route, now: float) -> bool:
        if self.identity in route.path or len(route.path) >= MAX_DEPTH:
            return False
        isRing = route.rank == RING and route.root > self.identity
        return not isRing or now - heard.since >= RING_SECONDS

    def _chosen(self, usable: dict[str, Route], now: float, quiet: bool) -> str | None:
        if not usable:
            return None
        best = min(usable, key=lambda each: usable[each].standing)  # the first of equals
        kept = usable.get(self.parent) if self.parent is not None else None
        if kept is None or best == self.parent or usable[best].standing < kept.standing:
            return best
        # A parent as good as the preferred one.
        if now - self._joinedAt < JOINING_SECONDS and now < self._opensAt:
            return best
        if quiet and now - self._heard[best].usableSince >= self._returnSeconds():
            self._returns += 1
            return best
        return self.parent

    def _returnSeconds(self) -> float:
        doubled = RETURN_SECONDS * 2.0 ** min(self._returns, 16)
        return self._returnFactor * min(doubled, RETURN_LONGEST)

    def _change(self, chosen: str | None, above: Route | None, now: float) -> None:
        *left, since = self._left
        isBack = self.parent is None and [chosen, above] == left and now - since < LAPSE_SECONDS
        if self.parent is None:
            self._joinedAt = now
        elif now >= self._opensAt:
            self._left = (self.parent, self._above, now)
        self.parent, self._above = chosen, above
        self._opensAt = now if isBack else now + HOLD_SECONDS
        self.changes += 1

    def _ownRank(self, upstreams: Iterable[str], now: float) -> int:
        """The rank of a router that has upstreams, and yet is a root."""
        routes = [route for each in upstreams if (route := self.routeOf(each, now)) is not None]
        back = [self.identity in route.path or route.rank == RING for route in routes]
        return RING if back and all(back) else LOST

    # What a link is for

    def link(self, identity: str, now: float) -> Link:
        """What the link to a neighbour that is a router is for now."""
        if identity == self.parent:
            return Link.UP if now >= self._opensAt else Link.HELD
        route = self.routeOf(identity, now)
        if route is None or route.path[1:2] != (self.identity,) or identity in self.route.path:
            return Link.STANDBY
        return Link.DOWN
