"""The invariants of the fill, over random ports, prices, classes, minimums, losses and groups.

Each is checked from the set-points alone, by its own arithmetic, not by that of the fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum, inf

import attrs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.allocation import Allocation, Group, Loss, Setpoint, Sink, Source, allocate

NEAR = 1e-3
"""Watts within which a bound counts as reached; set-points of these tests are up to 20 kW."""

MANY = settings(max_examples=200, deadline=None)


@attrs.frozen
class Case:
    """What one call of `allocate` is given."""

    sources: Sequence[Source]
    sinks: Sequence[Sink]
    groups: Sequence[Group]
    standing: float

    def allocate(self) -> Allocation:
        return allocate(self.sources, self.sinks, self.groups, self.standing)


watts = st.one_of(st.sampled_from([0.0, 1000.0, 1380.0, 5000.0]), st.floats(0, 20000))
losses = st.builds(Loss, st.sampled_from([0.0, 0.01, 0.2]), st.sampled_from([0.0, 1e-6, 1e-4]))
names = st.sampled_from([f"port {number}" for number in range(9)])
prices = st.sampled_from([-0.5, 0.0, 1.0, 2.0, 3.0])

sources = st.builds(Source, names, watts, prices, losses)
sinks = st.builds(
    Sink,
    names,
    watts,
    st.one_of(st.just(0.0), watts),
    st.integers(0, 2),
    st.sampled_from([0.5, 1.0, 1.7, 4.0]),
    st.one_of(st.just(inf), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.5])),
    losses,
    st.booleans(),
)


def byIdentity(port: Source | Sink) -> str:
    return port.identity


@st.composite
def groupLists(draw: st.DrawFn) -> list[Group]:
    """Up to three groups; each may hold ports and the groups before it, so that they nest."""
    groups: list[Group] = []
    for number in range(draw(st.integers(0, 3))):
        members = draw(st.frozensets(names, max_size=5))
        inner = draw(st.frozensets(st.integers(0, number - 1)) if number else st.just(frozenset()))
        members |= {groups[index].name for index in inner}
        groups.append(Group(f"group {number}", draw(watts), members))
    return groups


cases = st.builds(
    Case,
    st.lists(sources, max_size=6, unique_by=byIdentity),
    st.lists(sinks, max_size=8, unique_by=byIdentity),
    groupLists(),
    st.sampled_from([0.0, 40.0, 700.0]),
)

growths = st.tuples(cases, sources, st.sampled_from(["no groups", "one bid"]))
"""A case, what is offered besides, and what of the case is left out."""


def leaves(group: Group, groups: Iterable[Group]) -> set[str]:
    """The ports in `group`, at whatever depth."""
    inner = {other.name: other for other in groups}
    ports: set[str] = set()
    for member in group.members:
        ports |= leaves(inner[member], groups) if member in inner else {member}
    return ports


def total(setpoints: Mapping[str, Setpoint], ports: Iterable[str]) -> float:
    return fsum(setpoints[port].power_w for port in ports if port in setpoints)


def fullGroups(case: Case, setpoints: Mapping[str, Setpoint]) -> list[set[str]]:
    """The ports of each group that has reached its cap."""
    ports = [(group, leaves(group, case.groups)) for group in case.groups]
    return [inside for group, inside in ports if total(setpoints, inside) >= group.max_w - NEAR]


def injected(source: Source, power: float) -> float:
    return power - source.loss.linear * power - source.loss.quadratic * power**2


def withdrawn(sink: Sink, power: float) -> float:
    return power + sink.loss.linear * power + sink.loss.quadratic * power**2


def mostUsable(source: Source) -> float:
    """The source's maximum, or where more at the terminals would be less at the bus."""
    if not source.loss.quadratic:
        return source.max_w
    return min(source.max_w, (1 - source.loss.linear) / (2 * source.loss.quadratic))


class Invariants(SynchronousTestCase):
    """Invariants 1 to 7 of the allocation, one test or more each."""

    @MANY
    @given(cases)
    def test_1_theBusIsInBalance(self, case: Case) -> None:
        result = case.allocate()
        into = fsum(injected(port, result.sources[port.identity].power_w) for port in case.sources)
        out = fsum(withdrawn(port, result.sinks[port.identity].power_w) for port in case.sinks)
        tolerance = 1e-6 * max(len(case.sources), into)
        self.assertApproximates(into, out + result.standing_w, tolerance)
        self.assertApproximates(into, result.bus_w, tolerance)
        terminals = total(result.sources, result.sources) - total(result.sinks, result.sinks)
        self.assertApproximates(terminals, result.losses_w + result.standing_w, tolerance)
        self.assertLessEqual(result.standing_w, case.standing)

    @MANY
    @given(cases)
    def test_2_noPortExceedsItsMaximumOrIsBelowItsMinimum(self, case: Case) -> None:
        result = case.allocate()
        for source in case.sources:
            power = result.sources[source.identity].power_w
            self.assertTrue(0.0 <= power <= source.max_w)
            self.assertLessEqual(power, mostUsable(source) + NEAR)
        for sink in case.sinks:
            power = result.sinks[sink.identity].power_w
            self.assertTrue(power == 0.0 or sink.min_w <= power <= sink.max_w)

    @MANY
    @given(cases)
    def test_2_noGroupExceedsItsCap(self, case: Case) -> None:
        result = case.allocate()
        for group in case.groups:
            inside = leaves(group, case.groups)
            self.assertLessEqual(total(result.sinks, inside), group.max_w)
            self.assertLessEqual(total(result.sources, inside), group.max_w)

    @MANY
    @given(cases)
    def test_2_noDeviceGivesAndTakesAtOnce(self, case: Case) -> None:
        result = case.allocate()
        for name in result.sources.keys() & result.sinks.keys():
            self.assertEqual(0.0, min(result.sources[name].power_w, result.sinks[name].power_w))

    @MANY
    @given(cases)
    def test_3_aDearerSourceRunsOnlyIfTheCheaperAreFull(self, case: Case) -> None:
        result = case.allocate()
        full = fullGroups(case, result.sources)
        running = [port for port in case.sources if result.sources[port.identity].power_w]
        dearest = max((port.price for port in running), default=-inf)
        for port in case.sources:
            capped = any(port.identity in inside for inside in full)
            if port.price < dearest and not capped:
                power = result.sources[port.identity].power_w
                self.assertApproximates(power, mostUsable(port), NEAR)

    @MANY
    @given(cases)
    def test_3_noSinkPaysMoreThanItsBid(self, case: Case) -> None:
        result = case.allocate()
        for bid in {sink.bid for sink in case.sinks}:
            cheap = fsum(
                injected(port, result.sources[port.identity].power_w)
                for port in case.sources
                if port.price <= bid
            )
            taken = fsum(
                withdrawn(port, result.sinks[port.identity].power_w)
                for port in case.sinks
                if port.bid <= bid
            )
            self.assertLessEqual(taken, cheap + NEAR)

    @MANY
    @given(cases)
    def test_4_noLowerClassIsServedWhileAHigherIsShort(self, case: Case) -> None:
        result = case.allocate()
        full = fullGroups(case, result.sinks)
        selling = {source.identity for source in case.sources if source.max_w}
        for short in case.sinks:
            power = result.sinks[short.identity].power_w
            barred = (short.min_w > 0.0 and not power) or any(short.identity in g for g in full)
            if barred or power >= short.max_w - NEAR or short.identity in selling:
                continue
            for lower in case.sinks:
                if lower.priority < short.priority and lower.bid <= short.bid:
                    self.assertLess(result.sinks[lower.identity].power_w, NEAR)

    @MANY
    @given(cases)
    def test_5_everyoneShortHasABottleneckInWhichNobodyHasMore(self, case: Case) -> None:
        """What makes a share max-min fair (Bertsekas and Gallager, Data Networks, §6.5)."""
        result = case.allocate()
        full = fullGroups(case, result.sinks)
        everybody = {sink.identity for sink in case.sinks}
        selling = {source.identity for source in case.sources if source.max_w}
        for short in case.sinks:
            power = result.sinks[short.identity].power_w
            refused = short.min_w > 0.0 and not power
            if refused or power >= short.max_w - NEAR or short.identity in selling:
                continue
            bottlenecks = [inside for inside in full if short.identity in inside]
            if isExhausted(case, result, short):
                bottlenecks.append(everybody)
            equals = [
                other
                for other in case.sinks
                if (other.priority, other.bid) == (short.priority, short.bid)
                and other.identity not in selling
            ]
            self.assertTrue(
                any(
                    all(
                        result.sinks[other.identity].power_w / other.weight
                        <= power / short.weight + NEAR
                        or result.sinks[other.identity].power_w <= other.min_w
                        for other in equals
                        if other.identity in inside
                    )
                    for inside in bottlenecks
                ),
                f"{short} could have more than {power} W",
            )

    @MANY
    @given(cases)
    def test_6_theOrderOfTheInputsDoesNotMatter(self, case: Case) -> None:
        other = attrs.evolve(
            case,
            sources=case.sources[::-1],
            sinks=case.sinks[3:] + case.sinks[:3],
            groups=case.groups[::-1],
        )
        # As text, so that the last bit and the order of the set-points count too.
        self.assertEqual(repr(case.allocate()), repr(other.allocate()))

    @MANY
    @given(growths)
    def test_7_moreSupplyLowersNobody(self, growth: tuple[Case, Source, str]) -> None:
        """With caps *and* bids a higher class may use up a cap that a lower one then lacks."""
        case, more, kind = growth
        selling = {source.identity for source in case.sources}
        assume(more.identity in selling or more.identity not in {s.identity for s in case.sinks})
        eager = [attrs.evolve(sink, min_w=0.0) for sink in case.sinks]
        groups: Sequence[Group] = ()
        if kind == "one bid":
            eager = [attrs.evolve(s, bid=inf) for s in eager if s.identity not in selling]
            groups = [
                attrs.evolve(group, members=group.members - selling - {more.identity})
                for group in case.groups
            ]
        before = Case(case.sources, eager, groups, case.standing)
        after = attrs.evolve(before, sources=increased(case.sources, more))
        least = before.allocate().sinks
        for name, setpoint in after.allocate().sinks.items():
            self.assertGreaterEqual(setpoint.power_w, least[name].power_w - NEAR)


def increased(sources: Sequence[Source], more: Source) -> list[Source]:
    """`sources` and `more`, or the one of its name with more: if it offers anything at all."""
    if more.identity not in {source.identity for source in sources}:
        return [*sources, more]
    return [
        attrs.evolve(source, max_w=source.max_w + more.max_w)
        if source.identity == more.identity and source.max_w
        else source
        for source in sources
    ]


def isExhausted(case: Case, result: Allocation, sink: Sink) -> bool:
    """Whether all that `sink` would pay for is used, by it and those before it and beside it."""
    probe = Sink("probe", 1e6, bid=sink.bid)
    supply = allocate(case.sources, [probe], case.groups).bus_w
    # Storage may be served later than its class and bid say: counting it early hides no waste,
    # since in this place it only ever takes what nobody before it wanted.
    used = result.standing_w + fsum(
        withdrawn(port, result.sinks[port.identity].power_w)
        for port in case.sinks
        if (port.priority, port.bid) >= (sink.priority, sink.bid)
    )
    return used >= supply - NEAR
