"""From targets to the set-points of this moment: one pure step of all ports together.

`plan` is what the router runs at each tick.  What it needs of a port is in a `Place`; nothing else
and no clock comes in.  The steps:

1. *Targets*: the fill (`epnet.router.allocation`) over the bounds of this moment.
2. *Falls*: whoever has more than its target has its target from now on.
3. *Rises*: the fill once more, over confirmed supply, up to what ramp and dead band let a sink have
   now.  Old, higher grants are counted as if they were still drawn, at the bus and in every group;
   where the rest does not do, rises are cut in proportion.  Mostly all may rise as far as that, as
   one look at the sources tells, and there is nothing to fill.
4. *Dispatch*: the sources deliver what the sinks then have, the cheaper first, as far as they have
   confirmed it.  Where one is missing, the others replace it at once with what they offer: a ramp
   is for what is added, not for what is lost.  Only a ramp set for a source holds for it even
   then, other routers give no more than they have confirmed, and the sinks lose what is missing.
5. *Requests* to the sources go ahead of what they deliver, towards their targets, so that they can
   confirm more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Final, NamedTuple

import attrs

from epnet.router.allocation import Terms, solve
from epnet.router.dynamics import ANYWHERE, Approach, band
from epnet.router.fairness import Groups
from epnet.router.merit import RESIDUE, MeritOrder
from epnet.router.reasons import Reason
from epnet.router.terms import NOTHING, Allocation, Setpoint, Sink, Source

NEAR: Final = 1e-3
"""Watts that rounding may cost."""


@attrs.define(eq=False)
class Place:
    """A port as a plan sees it; W at its terminals.

    source, sink: its bounds, prices, class.
    range_w: its full range.
    import_w, export_w, asked_w: its set-points so far, and what its device was last asked for.
    confirmed_w: what of that it has confirmed.
    draws_w: what its device may still draw, `export_w` or an older grant.
    importStep_w, exportStep_w: how far its set-points may rise now.
    replaces: whether it may replace a lost source without a ramp.
    strict: whether nothing of it may be used that it has not confirmed, not even to replace a lost
        source: other routers, which have to ask their own sources first.
    banded: whether a dead band holds for it.
    importing, exporting: its targets so far.
    """

    source: Source
    sink: Sink
    range_w: float
    import_w: float = 0.0
    export_w: float = 0.0
    asked_w: float = 0.0
    confirmed_w: float = 0.0
    draws_w: float = 0.0
    importStep_w: float = 0.0
    exportStep_w: float = 0.0
    replaces: bool = True
    strict: bool = False
    banded: bool = True
    importing: Approach = ANYWHERE
    exporting: Approach = ANYWHERE

    @property
    def takes(self) -> bool:
        """Whether it can have power, or still draws some."""
        return self.sink.max_w > 0.0 or self.export_w > 0.0 or self.draws_w > 0.0

    @property
    def idle(self) -> bool:
        """Whether it has nothing and can have nothing: a plan need not know of it."""
        return not (self.source.max_w or self.import_w or self.asked_w or self.takes)


class Step(NamedTuple):
    """What a plan gives to a port: its next set-points, its targets so far, and what ruled."""

    import_w: float
    export_w: float
    asked_w: float
    importing: Approach
    exporting: Approach
    importTarget: Setpoint
    exportTarget: Setpoint
    importWhy: Setpoint
    exportWhy: Setpoint


class Plan(NamedTuple):
    """The steps by identity; the targets; the bus watts that the sinks have, without standing."""

    steps: dict[str, Step]
    target: Allocation
    standing_w: float
    used_w: float


@attrs.define(eq=False)
class _Rise:
    """A sink on its way up: from `base`, which it has in any case, to `goal`, if there is room."""

    place: Place
    approach: Approach
    target: Setpoint
    base: float
    goal: float
    why: Setpoint
    power: float = 0.0


def plan(
    places: Sequence[Place], groups: Groups, standing_w: float, reserve: float, now: float
) -> Plan:
    """The next set-points of all ports; see the top of this module.

    reserve: the part of the largest source that increases leave free, 0 to 1.
    """
    # Most ports can do one thing of two, at most: nothing need see the other.
    giving = [place for place in places if place.source.max_w > 0.0]
    sources = [place.source for place in giving]
    sinks = [place.sink for place in places if place.sink.max_w > 0.0]
    before = fsum([standing_w, *_withdrawn((p.sink, p.export_w) for p in places)])
    target, merit = solve(sources, sinks, groups, Terms(standing_w, reserve, before))
    rises = [_rise(place, target.sinks[place.sink.identity], now) for place in places]
    taking = [rise for rise in rises if rise.place.takes]
    delivered = None
    if any(rise.goal > rise.base for rise in taking):
        delivered = _raiseAll(taking, giving, target, merit)
        if delivered is None:
            _raise(taking, giving, sinks, groups, target.standing_w)
    goals = _goals(taking, target, merit)
    if delivered is None:
        delivered = _dispatch(taking, giving, target, merit, sinks, groups)
    steps = {
        rise.place.source.identity: _step(rise, goals, delivered, target, now) for rise in rises
    }
    used = fsum(_withdrawn((rise.place.sink, rise.power) for rise in taking))
    return Plan(steps, target, target.standing_w, used)


def _withdrawn(powers: Iterable[tuple[Sink, float]]) -> list[float]:
    return [sink.loss.withdrawn(power) for sink, power in powers if power > 0.0]


def _because(setpoint: Setpoint, reason: Reason, limit: float) -> Setpoint:
    return Setpoint(setpoint.identity, setpoint.power_w, reason, limit)


def idleStep(place: Place, now: float) -> Step:
    """The step of a place that is idle."""
    importing, exporting = place.importing.seeing(0.0, now), place.exporting.seeing(0.0, now)
    return Step(0.0, 0.0, 0.0, importing, exporting, NOTHING, NOTHING, NOTHING, NOTHING)


# Falls and rises


def _rise(place: Place, target: Setpoint, now: float) -> _Rise:
    """What a sink has in any case, and what ramp and dead band let it have."""
    wanted = target.power_w
    # Below a minimum that has just been raised, what it has is of no use to it.
    has = place.export_w if place.export_w >= place.sink.min_w else 0.0
    approach = place.exporting.seeing(wanted, now)
    if wanted <= has + RESIDUE:
        least = min(wanted, has)
        return _Rise(place, approach, target, least, least, target, least)
    if place.banded and approach.isHeld(has, wanted, place.range_w, now):
        why = _because(target, Reason.DEAD_BAND, wanted)
        return _Rise(place, approach, target, has, has, why, has)
    goal = has + place.exportStep_w
    if has < place.sink.min_w and place.exportStep_w > 0.0:
        # Less than its minimum is of no use to it: the first step leads there.
        goal = max(goal, place.sink.min_w)
    if goal >= wanted:
        return _Rise(place, approach, target, has, wanted, target, has)
    return _Rise(place, approach, target, has, goal, _because(target, Reason.RAMP, wanted), has)


def _raiseAll(
    rises: Sequence[_Rise], giving: Sequence[Place], target: Allocation, merit: MeritOrder
) -> Mapping[str, Setpoint] | None:
    """Let all sinks rise to their goals, if what that takes of the sources is confirmed.

    Gives what the sources then deliver, or None where the fill has to find out who may rise.
    Nobody's goal is above its target, and the targets are within every bid and every group's cap.
    So the fill would find the same: cheaper sources are used up before a dearer one gives anything,
    here as in the targets.
    """
    if any(rise.place.draws_w > rise.base for rise in rises):
        return None  # an old grant may still be drawn
    needed = fsum([target.standing_w, *_withdrawn((r.place.sink, r.goal) for r in rises)])
    delivered = merit.dispatch(needed)
    if needed > merit.everything or any(
        delivered[place.source.identity].power_w > place.confirmed_w for place in giving
    ):
        return None
    for rise in rises:
        rise.power = rise.goal
    return delivered


def _raise(
    rises: Sequence[_Rise],
    giving: Sequence[Place],
    sinks: Sequence[Sink],
    groups: Groups,
    standing_w: float,
) -> None:
    """Let the sinks rise towards their goals as far as confirmed supply goes."""
    sources = [place.source for place in giving]
    confirmed = {p.source.identity: min(p.source.max_w, p.confirmed_w) for p in giving}
    supply = MeritOrder(sources, groups.limits("import"), confirmed).everything
    have = fsum(_withdrawn((r.place.sink, r.base) for r in rises))
    drawn = fsum(_withdrawn((r.place.sink, max(r.base, r.place.draws_w)) for r in rises))
    if drawn > have + NEAR:
        # What is confirmed, but asked for no more from now on, is no room beside old grants.
        wanted = fsum(_withdrawn((r.place.sink, r.target.power_w) for r in rises))
        supply = min(supply, standing_w + wanted)
    room = supply - standing_w - drawn
    if room <= RESIDUE:
        free = supply - standing_w - have
        _wait(
            rises, Reason.OLD_GRANTS if free > NEAR and drawn > have + NEAR else Reason.UNCONFIRMED
        )
        return
    wishes = {r.place.sink.identity: r.goal for r in rises}
    withheld = _withheld(rises, groups) if drawn > have + NEAR else None
    # The goals are within the reserve already.  What is confirmed may be a hair short of what was
    # to be asked for: a minimum that is all there is to be had would never fit.
    terms = Terms(
        standing_w + drawn - have - RESIDUE,
        offers=confirmed,
        wishes=wishes,
        withheld=withheld,
    )
    given = solve(sources, sinks, groups, terms)[0].sinks
    part = _part(rises, given, groups, room)
    for rise in rises:
        _grant(rise, given[rise.place.sink.identity].power_w, part)


def _wait(rises: Iterable[_Rise], reason: Reason) -> None:
    """Nobody rises now."""
    for rise in rises:
        if rise.goal > rise.base:
            rise.why = _because(rise.target, reason, rise.target.power_w)


def _withheld(rises: Iterable[_Rise], groups: Groups) -> dict[str, float]:
    """By group, what old grants keep of its cap: never so much that its members had to give."""
    old: dict[str, float] = {}
    have: dict[str, float] = {}
    for rise in rises:
        for name in groups.above(rise.place.sink.identity):
            have[name] = have.get(name, 0.0) + rise.base
            old[name] = old.get(name, 0.0) + max(0.0, rise.place.draws_w - rise.base)
    caps = {
        name: group.max_w for name, group in groups.groups.items() if group.direction != "import"
    }
    return {
        name: min(watts, max(0.0, caps[name] - have[name]))
        for name, watts in old.items()
        if watts > 0.0 and name in caps
    }


def _part(
    rises: Sequence[_Rise], given: Mapping[str, Setpoint], groups: Groups, room: float
) -> float:
    """The part of their rises that all may have at once, with old grants still drawn: mostly 1.

    Less where the fill would rather take from one what another then has, which is not free yet.
    """
    costs = []
    inside: dict[str, float] = {}
    caps = {
        name: group.max_w for name, group in groups.groups.items() if group.direction != "import"
    }
    rising: dict[str, float] = {}
    for rise in rises:
        sink = rise.place.sink
        drawn = max(rise.base, rise.place.draws_w)
        after = max(drawn, given[sink.identity].power_w)
        if after > drawn:
            costs.append(sink.loss.withdrawn(after) - sink.loss.withdrawn(drawn))
        for name in groups.above(sink.identity):
            inside[name] = inside.get(name, 0.0) + drawn
            rising[name] = rising.get(name, 0.0) + after - drawn
    parts = [1.0]
    cost = fsum(costs)
    if cost > room + NEAR:
        parts.append(max(0.0, room) / cost)
    for name, watts in rising.items():
        if watts > 0.0 and name in caps and inside[name] + watts > caps[name] + RESIDUE:
            parts.append(max(0.0, caps[name] - inside[name]) / watts)
    return min(parts)


def _grant(rise: _Rise, given: float, part: float) -> None:
    """Let a sink rise to `part` of the way to what it was given."""
    if rise.goal <= rise.base:
        return
    drawn = max(rise.base, rise.place.draws_w)
    # Up to what it may still draw, nothing more is needed; and a part of what is beyond.
    power = given if given <= drawn else drawn + part * (given - drawn)
    power = max(rise.base, power)
    if power < rise.place.sink.min_w:
        power = rise.base
    rise.power = power
    if power < rise.goal - NEAR:
        rise.why = _because(rise.target, Reason.UNCONFIRMED, rise.target.power_w)


# Sources


def _goals(rises: Sequence[_Rise], target: Allocation, merit: MeritOrder) -> Mapping[str, Setpoint]:
    """What the sources are to deliver in the end, without what dead bands withhold."""
    if not any(rise.why.reason is Reason.DEAD_BAND for rise in rises):
        return target.sources
    powers = [
        (r.place.sink, r.base if r.why.reason is Reason.DEAD_BAND else r.target.power_w)
        for r in rises
    ]
    return merit.dispatch(fsum([target.standing_w, *_withdrawn(powers)]))


def _dispatch(
    rises: Sequence[_Rise],
    giving: Sequence[Place],
    target: Allocation,
    merit: MeritOrder,
    sinks: Sequence[Sink],
    groups: Groups,
) -> Mapping[str, Setpoint]:
    """What each source delivers now; takes from sinks what the sources cannot give."""
    used = fsum([target.standing_w, *_withdrawn((r.place.sink, r.power) for r in rises)])
    ready = {p.source.identity: min(p.source.max_w, max(p.confirmed_w, p.import_w)) for p in giving}
    delivered = merit.dispatch(used)
    if all(setpoint.power_w <= ready[name] + NEAR for name, setpoint in delivered.items()):
        return delivered
    sources = [place.source for place in giving]
    order = MeritOrder(sources, groups.limits("import"), ready)
    if order.everything < used - NEAR:
        _replace(giving, ready, used)
        order = MeritOrder(sources, groups.limits("import"), ready)
    if order.everything < used - NEAR:
        return _shed(rises, target, sources, sinks, groups, ready)
    return order.dispatch(used)


def _replace(giving: Sequence[Place], ready: dict[str, float], used: float) -> None:
    """Count offers that nobody has confirmed, the cheapest first, until they are enough."""
    places = [place for place in giving if not place.strict]
    places.sort(key=lambda p: (p.source.price, p.source.identity))
    short = used - fsum([p.source.loss.injected(_usable(p, ready)) for p in giving])
    for place in places:
        if short <= 0.0:
            return
        source = place.source
        had = source.loss.injected(_usable(place, ready))
        most = source.max_w
        if not place.replaces:
            most = min(most, max(ready[source.identity], place.import_w + place.importStep_w))
        ready[source.identity] = most
        short -= source.loss.injected(_usable(place, ready)) - had


def _usable(place: Place, ready: Mapping[str, float]) -> float:
    return min(ready[place.source.identity], place.source.loss.peak)


def _shed(
    rises: Sequence[_Rise],
    target: Allocation,
    sources: Sequence[Source],
    sinks: Sequence[Sink],
    groups: Groups,
    ready: Mapping[str, float],
) -> Mapping[str, Setpoint]:
    """Share anew what there is: less than the sinks have."""
    wishes = {rise.place.sink.identity: rise.power for rise in rises}
    terms = Terms(target.standing_w, offers=ready, wishes=wishes)
    allocation, _ = solve(sources, sinks, groups, terms)
    for rise in rises:
        setpoint = allocation.sinks[rise.place.sink.identity]
        if setpoint.power_w < rise.power - NEAR:
            rise.why = setpoint
        rise.power = min(rise.power, setpoint.power_w)
    return allocation.sources


def _step(
    rise: _Rise,
    goals: Mapping[str, Setpoint],
    delivered: Mapping[str, Setpoint],
    target: Allocation,
    now: float,
) -> Step:
    place = rise.place
    if not place.source.max_w:
        approach = place.importing.seeing(0.0, now)
        given, why = rise.target, rise.why
        return Step(0.0, rise.power, 0.0, approach, rise.approach, NOTHING, given, NOTHING, why)
    name = place.source.identity
    goal, deliver = goals[name].power_w, delivered[name]
    approach = place.importing.seeing(goal, now)
    asked = goal
    if goal > place.asked_w:
        if place.banded and approach.isHeld(place.asked_w, goal, place.range_w, now):
            asked, reason = place.asked_w, Reason.DEAD_BAND
        else:
            asked = min(goal, place.asked_w + place.importStep_w)
            reason = Reason.RAMP
    else:
        reason = Reason.UNCONFIRMED
    why = target.sources[name]
    if deliver.power_w > why.power_w + band(place.range_w):
        why = _because(deliver, Reason.STANDS_IN, why.power_w)
    elif deliver.power_w < min(goal, place.import_w) - NEAR:
        why = deliver
    elif deliver.power_w < goal - NEAR:
        why = _because(deliver, reason if asked < goal else Reason.UNCONFIRMED, goal)
    return Step(
        deliver.power_w,
        rise.power,
        max(asked, deliver.power_w),
        approach,
        rise.approach,
        target.sources[name],
        rise.target,
        why,
        rise.why,
    )
