"""What must always hold of a decision, checked while the router runs: counted, never fatal.

The numbers are those of the router design.  Each plan is checked for balance (1), bounds (2), and
increases into what others may still draw (8); every `FULLY_SECONDS` also for the order of sources
(3), classes (4), fairness (5), the order of the ports (6), and what less supply would do (7), which
cost more.  What holds over minutes (9, 10) is watched by `epnet.router.constancy`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import fsum, inf
from typing import Final

from twisted.logger import Logger

from epnet.router.allocation import Terms, solve
from epnet.router.constancy import Constancy
from epnet.router.fairness import Groups
from epnet.router.planning import Place, Plan
from epnet.router.reasons import Reason

FULLY_SECONDS: Final = 5.0
"""How often everything is checked."""

TELL_SECONDS: Final = 60.0
"""How often it is logged that an invariant does not hold; counted it is each time."""

LESS: Final = 0.9
"""The part of its supply that the router is thought to have for invariant 7."""

NEAR: Final = 1e-2
"""Watts within which bounds hold; and a millionth of what flows."""


class Invariants:
    """Checks of one router's decisions.

    checked, broken: how often each invariant was checked, and did not hold, by its number.
    """

    log = Logger()

    def __init__(self) -> None:
        self.checked: Counter[int] = Counter()
        self.broken: Counter[int] = Counter()
        self._fullyAt = -inf
        self._constancy = Constancy()
        self._toldAt: dict[int, float] = {}

    def check(
        self,
        places: Sequence[Place],
        made: Plan,
        groups: Groups,
        now: float,
        again: Callable[[Sequence[Place]], Plan],
    ) -> None:
        """Check a plan; `places` are as they were when it was made, `again` makes it again."""
        for number, check in _ALWAYS:
            self._note(number, check(places, made, groups), now)
        if not 0.0 <= now - self._fullyAt < FULLY_SECONDS:
            self._fullyAt = now
            for number, check in _SOMETIMES:
                self._note(number, check(places, made, groups), now)
            self._note(6, order(made, again(places[::-1])), now)
        if self._constancy.look(places, made, groups, now):
            self._note(9, self._constancy.starving(), now)
            self._note(10, self._constancy.moving(), now)

    def _note(self, number: int, wrongs: Iterator[str], now: float) -> None:
        self.checked[number] += 1
        wrong = next(wrongs, None)
        if wrong is None:
            return
        self.broken[number] += 1
        if not 0.0 <= now - self._toldAt.get(number, -inf) < TELL_SECONDS:
            self._toldAt[number] = now
            self.log.error("invariant {number} does not hold: {wrong}", number=number, wrong=wrong)


def balance(places: Sequence[Place], made: Plan, groups: Groups) -> Iterator[str]:
    """1. What is put on the bus is what is taken off it, losses and standing use included."""
    into = fsum([p.source.loss.injected(made.steps[p.source.identity].import_w) for p in places])
    out = fsum([p.sink.loss.withdrawn(made.steps[p.sink.identity].export_w) for p in places])
    out += made.standing_w
    if abs(into - out) > NEAR + 1e-6 * out + 1e-5 * len(places):
        yield f"{into:.6g} W go into the bus, {out:.6g} W come out of it"


def bounds(places: Sequence[Place], made: Plan, groups: Groups) -> Iterator[str]:
    """2. No bound and no group is exceeded; a sink has nothing, or its minimum at least."""
    given: dict[str, float] = {}
    got: dict[str, float] = {}
    for place in places:
        name = place.source.identity
        step = made.steps[name]
        if not 0.0 <= step.import_w <= place.source.max_w + NEAR:
            yield f"{name} gives {step.import_w:.6g} W of {place.source.max_w:.6g} W"
        if not 0.0 <= step.export_w <= place.sink.max_w + NEAR:
            yield f"{name} gets {step.export_w:.6g} W of {place.sink.max_w:.6g} W"
        if 0.0 < step.export_w < place.sink.min_w - NEAR:
            yield f"{name} gets {step.export_w:.6g} W, below its minimum"
        if step.import_w > 0.0 and step.export_w > 0.0:
            yield f"{name} gives and gets"
        for above in groups.above(name):
            given[above] = given.get(above, 0.0) + step.import_w
            got[above] = got.get(above, 0.0) + step.export_w
    for group in groups.groups.values():
        for sums, direction in ((given, "import"), (got, "export")):
            inside = sums.get(group.name, 0.0)
            if group.direction in ("both", direction) and inside > group.max_w + NEAR:
                yield f"group {group.name} has {inside:.6g} W of {group.max_w:.6g} W"


def room(places: Sequence[Place], made: Plan, groups: Groups) -> Iterator[str]:
    """8. Who rises takes nothing that another may still draw, and nothing that is not confirmed."""
    rises, drawn, confirmed = [], [], []
    for place in places:
        after = made.steps[place.sink.identity].export_w
        before = min(place.export_w, after)
        most = max(before, place.draws_w)
        if after > most:
            loss = place.sink.loss
            rises.append(loss.withdrawn(after) - loss.withdrawn(most))
        drawn.append(place.sink.loss.withdrawn(most))
        source = place.source
        usable = min(source.max_w, place.confirmed_w, source.loss.peak)
        confirmed.append(source.loss.injected(usable))
    free = fsum(confirmed) - fsum(drawn) - made.standing_w
    rise = fsum(rises)
    if rise > max(0.0, free) + NEAR + 1e-6 * rise:
        yield f"grants rise by {rise:.6g} W into {free:.6g} W that are free"


def meritOrder(places: Sequence[Place], made: Plan, groups: Groups) -> Iterator[str]:
    """3. A dearer source is meant to run only if the cheaper ones, but for groups, are full."""
    given = made.target.sources
    running = [p.source.price for p in places if given[p.source.identity].power_w > NEAR]
    dearest = max(running, default=-inf)
    for place in places:
        source = place.source
        power = given[source.identity].power_w
        full = min(source.max_w, source.loss.peak)
        cheaper = source.price < dearest and not groups.above(source.identity)
        if cheaper and power < full - NEAR - 1e-6 * full:
            yield f"{source.identity} is cheaper and gives {power:.6g} W of {full:.6g} W"


def classes(places: Sequence[Place], made: Plan, groups: Groups) -> Iterator[str]:
    """4. No lower class is meant to be served while a higher one with at least its bid is short."""
    got = made.target.sinks
    sinks = sorted((p.sink for p in places), key=lambda sink: (-sink.priority, -sink.bid))
    selling = {p.source.identity for p in places if p.source.max_w > 0.0}
    short: list[tuple[int, float, str]] = []
    for sink in sinks:
        setpoint = got[sink.identity]
        for priority, bid, name in short:
            lower = sink.priority < priority and sink.bid <= bid
            if lower and setpoint.power_w > sink.firm_w + NEAR and sink.identity not in selling:
                yield f"{sink.identity} is served while {name} of a higher class is short"
        lacks = setpoint.reason is Reason.SUPPLY and setpoint.power_w < sink.max_w - NEAR
        known = any(bid >= sink.bid for _, bid, _ in short)
        if lacks and not known and sink.identity not in selling:
            short.append((sink.priority, sink.bid, sink.identity))


def fairness(places: Sequence[Place], made: Plan, groups: Groups) -> Iterator[str]:
    """5. Of those in one class, bid and chain of groups, nobody short has less for its weight."""
    got = made.target.sinks
    levels: dict[object, tuple[float, str]] = {}
    waiting: list[tuple[object, float, str]] = []
    for place in places:
        sink = place.sink
        setpoint = got[sink.identity]
        if place.source.max_w > 0.0 or sink.firm_w > 0.0:
            continue
        key: object = (sink.priority, sink.bid, groups.above(sink.identity))
        level = setpoint.power_w / sink.weight
        if setpoint.power_w > sink.min_w and level > levels.get(key, (0.0, ""))[0]:
            levels[key] = (level, sink.identity)
        if setpoint.power_w < sink.max_w - NEAR and setpoint.reason is not Reason.MINIMUM:
            waiting.append((key, level, sink.identity))
    for key, level, name in waiting:
        most, other = levels.get(key, (0.0, ""))
        if level < most - NEAR - 1e-6 * most:
            yield f"{name} is short with {level:.6g} W a weight, {other} has {most:.6g} W"


def order(made: Plan, again: Plan) -> Iterator[str]:
    """6. The same ports in another order get the same."""
    for name, step in made.steps.items():
        if step != again.steps[name]:
            yield f"{name} gets something else if the ports come in another order"


def growth(places: Sequence[Place], made: Plan, groups: Groups) -> Iterator[str]:
    """7. With less supply nobody would be meant to have more, minimums and some mixtures aside.

    As with the property it can be said where there are no minimums and nothing is firm; with groups
    only of one bid and none of them over a source.
    """
    sinks = [p.sink for p in places if p.sink.max_w > 0.0]
    sources = [p.source for p in places if p.source.max_w > 0.0]
    if any(sink.min_w > 0.0 or sink.firm_w > 0.0 for sink in sinks):
        return
    selling = {source.identity for source in sources}
    if groups.groups and (
        len({sink.bid for sink in sinks}) > 1
        or any(groups.above(source.identity) for source in sources)
        or any(sink.identity in selling for sink in sinks)
    ):
        return
    less = {source.identity: LESS * source.max_w for source in sources}
    now, _ = solve(sources, sinks, groups, Terms(made.standing_w))
    then, _ = solve(sources, sinks, groups, Terms(made.standing_w, offers=less))
    for name, setpoint in then.sinks.items():
        had = now.sinks[name].power_w
        if setpoint.power_w > had + NEAR + 1e-6 * had:
            yield f"{name} would get {setpoint.power_w:.6g} W of less, and gets {had:.6g} W"


Check = Callable[[Sequence[Place], Plan, Groups], Iterator[str]]

_ALWAYS: Final[tuple[tuple[int, Check], ...]] = ((1, balance), (2, bounds), (8, room))
_SOMETIMES: Final[tuple[tuple[int, Check], ...]] = (
    (3, meritOrder),
    (4, classes),
    (5, fairness),
    (7, growth),
)
