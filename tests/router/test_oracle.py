"""The fill gives what a linear programme (HiGHS) gives, where one can say it.

That is: linear losses, no minimums, one class and bid at a time.  Max-min fairness is found by its
definition, one level after the other; which sources give, by the least cost.
"""

from __future__ import annotations

from math import fsum, inf

import attrs
import highspy
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.allocation import Group, Loss, Sink, Source, allocate

NEAR = 1e-3
FEW = settings(max_examples=40, deadline=None)

watts = st.integers(1, 20).map(lambda n: n * 500.0)
losses = st.sampled_from([0.0, 0.0109, 0.1]).map(Loss)
sources = st.lists(
    st.tuples(watts, st.sampled_from([0.0, 1.0, 2.0, 3.0]), losses), min_size=1, max_size=4
).map(lambda rows: [Source(f"source {n}", *row) for n, row in enumerate(rows)])
sinks = st.lists(
    st.tuples(watts, st.sampled_from([0.5, 1.0, 2.0]), losses, st.integers(1, 2)),
    min_size=1,
    max_size=5,
).map(
    lambda rows: [
        Sink(f"sink {n}", most, weight=weight, loss=loss, priority=priority)
        for n, (most, weight, loss, priority) in enumerate(rows)
    ]
)
groups = st.lists(
    st.tuples(watts, st.frozensets(st.integers(0, 4).map(lambda n: f"sink {n}"))), max_size=3
).map(lambda rows: [Group(f"group {n}", most, members) for n, (most, members) in enumerate(rows)])


@attrs.frozen
class Programme:
    """The constraints: what the bus and the groups have left for these sinks."""

    sinks: list[Sink]
    bus: float
    caps: list[tuple[float, frozenset[str]]]

    def most(self, least: dict[str, float], rising: set[str], one: str | None) -> float:
        """The highest common level of the `rising`, or the most for `one` with nobody lower."""
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        level = solver.addVariable(0.0, 1e9)
        powers = {
            sink.identity: solver.addVariable(least.get(sink.identity, 0.0), sink.max_w)
            for sink in self.sinks
        }
        costs = [powers[s.identity] * (1.0 + s.loss.linear) for s in self.sinks]
        solver.addConstr(solver.qsum(costs) <= self.bus)
        for cap, members in self.caps:
            inside = [power for name, power in powers.items() if name in members]
            if inside:
                solver.addConstr(solver.qsum(inside) <= cap)
        if one is None:
            for sink in self.sinks:
                if sink.identity in rising:
                    solver.addConstr(powers[sink.identity] - level * sink.weight >= 0.0)
            solver.maximize(level)
            return float(solver.val(level))
        solver.maximize(powers[one])
        return float(solver.val(powers[one]))

    def fair(self) -> dict[str, float]:
        """What each sink has in the max-min fair share."""
        rising = {sink.identity for sink in self.sinks}
        weight = {sink.identity: sink.weight for sink in self.sinks}
        least: dict[str, float] = {}
        while rising:
            level = self.most(least, rising, None)
            least |= {name: max(0.0, level * weight[name] - 1e-6) for name in rising}
            stuck = {
                name for name in rising if self.most(least, rising, name) <= least[name] + 1e-3
            }
            assert stuck, "the level could have been higher"
            rising -= stuck
        return least


class OracleTests(SynchronousTestCase):
    @FEW
    @given(sources, sinks, groups)
    def test_sharesAreMaxMinFair(
        self, sources: list[Source], sinks: list[Sink], groups: list[Group]
    ) -> None:
        result = allocate(sources, sinks, groups)
        bus = fsum(s.loss.injected(s.max_w) for s in sources)
        caps = [(group.max_w, group.members) for group in groups]
        for priority in (2, 1):
            inside = [sink for sink in sinks if sink.priority == priority]
            fair = Programme(inside, bus, caps).fair() if inside else {}
            for sink in inside:
                self.assertApproximates(
                    result.sinks[sink.identity].power_w, fair[sink.identity], 0.05
                )
            bus -= fsum(s.loss.withdrawn(result.sinks[s.identity].power_w) for s in inside)
            caps = [
                (
                    cap
                    - fsum(
                        result.sinks[s.identity].power_w for s in inside if s.identity in members
                    ),
                    members,
                )
                for cap, members in caps
            ]
            bus, caps = max(0.0, bus), [(max(0.0, cap), members) for cap, members in caps]

    @FEW
    @given(sources, sinks)
    def test_sourcesCostTheLeast(self, sources: list[Source], sinks: list[Sink]) -> None:
        result = allocate(sources, sinks)
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        gives = [solver.addVariable(0.0, s.loss.injected(s.max_w)) for s in sources]
        used = min(result.bus_w, fsum(s.loss.injected(s.max_w) for s in sources))
        solver.addConstr(solver.qsum(gives) >= used)
        solver.minimize(
            solver.qsum([give * s.price for give, s in zip(gives, sources, strict=True)])
        )
        cost = fsum(s.price * s.loss.injected(result.sources[s.identity].power_w) for s in sources)
        least = fsum(
            s.price * float(solver.val(give)) for give, s in zip(gives, sources, strict=True)
        )
        self.assertApproximates(cost, least, 0.05)
        self.assertLess(cost, inf)
