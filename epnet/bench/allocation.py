"""Who gets how much: the whole fill against the bare idea of it, and a router's whole step.

The bare fill knows prices, classes and wishes, and shares by weight; it knows no losses, minimums,
bids, groups or reasons, and rounds as it comes.  The whole fill is timed without groups, and with
eight that every sink is in one of.

The whole step is `epnet.router.planning.plan` with all ports on their way up: the fill, ramps, dead
bands, and the dispatch.  Its dearest case is that in which the sources have confirmed only half of
what is wanted: then there is a second fill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import inf, log2
from random import Random
from time import process_time
from typing import Final

import attrs

from epnet.bench.frame import Row, inTurn
from epnet.router.allocation import allocate
from epnet.router.fairness import Groups
from epnet.router.losses import Loss
from epnet.router.planning import Place, plan
from epnet.router.terms import Group, Sink, Source

SIZES: Final = (8, 64, 1000, 10_000)
"""Numbers of ports; a quarter of them sources."""

MOST_RATIO: Final = 25.0
"""How many times the bare fill the whole one may take."""

PORTS_A_ROUND: Final = 10_000
"""Small numbers of ports are decided so often that a round takes some ms."""

_LOSS: Final = Loss(0.0109, 1e-7)


@attrs.frozen
class House:
    """Ports to decide about, the same on every machine."""

    sources: list[Source]
    sinks: list[Sink]
    groups: Groups

    @property
    def repeats(self) -> int:
        """How often a round decides."""
        return max(1, PORTS_A_ROUND // (len(self.sources) + len(self.sinks)))


def house(ports: int) -> House:
    """Sources of three prices; sinks of four classes, some with minimums or bids; eight groups."""
    random = Random(ports)
    sources = [
        Source(f"source {n}", random.uniform(1e3, 1e4), random.choice([0.0, 1.0, 3.0]), _LOSS)
        for n in range(ports // 4)
    ]
    sinks = [
        Sink(
            f"sink {n}",
            random.uniform(500, 11_000),
            min_w=0.0 if n % 5 else 1380.0,
            priority=random.randint(0, 3),
            weight=random.choice([1.0, 2.0]),
            bid=inf if n % 3 else 1.0,
            loss=_LOSS,
            running=bool(n % 2),
        )
        for n in range(ports - ports // 4)
    ]
    groups = [
        Group(f"feeder {n}", 120.0 * ports, [sink.identity for sink in sinks[n::8]])
        for n in range(8)
    ]
    return House(sources, sinks, Groups(groups))


def bare(sources: list[tuple[float, float]], sinks: list[tuple[int, float, float, str]]) -> None:
    """The idea alone.  sources: price, W; sinks: class, W wanted, weight, name."""
    left = sum(watts for _, watts in sources)
    total = left
    classes: dict[int, list[tuple[float, float, float, str]]] = {}
    for priority, wanted, weight, name in sinks:
        classes.setdefault(priority, []).append((wanted / weight, wanted, weight, name))
    given = {}
    for priority in sorted(classes, reverse=True):
        step = sorted(classes[priority])
        weights = sum(sink[2] for sink in step)
        for _, wanted, weight, name in step:
            power = min(wanted, left * weight / weights)
            given[name] = power
            left -= power
            weights -= weight
    used = total - left
    for _, watts in sorted(sources):
        used -= min(watts, used)


def run(rounds: int) -> Iterator[Row]:
    """Measure every size in turn, then how the time grows."""
    wholes: dict[int, list[float]] = {}
    for size in SIZES:
        each = house(size)
        taken = inTurn(rounds, *_measures(each))
        wholes[size] = taken[1]
        yield Row(f"{size} ports", "µs", taken[1], "bare fill", taken[0], MOST_RATIO)
        yield Row(f"{size} ports, 8 groups", "µs", taken[2], "bare fill", taken[0], MOST_RATIO)
        yield Row(f"{size} ports, whole step", "µs", taken[3], "bare fill", taken[0], MOST_RATIO)
        what = f"{size} ports, 8 groups, whole step"
        yield Row(what, "µs", taken[4], "bare fill", taken[0])
        yield Row(f"{what}, half confirmed", "µs", taken[5], "bare fill", taken[0])
    for small, large in pairwise(SIZES):
        grown = [b / a for a, b in zip(wholes[small], wholes[large], strict=True)]
        expected = large * log2(large) / (small * log2(small))
        yield Row(f"growth, {small} to {large}", "times", grown, "n log n", [expected] * rounds)


def _measures(each: House) -> list[Callable[[], float]]:
    sources = [(source.price, source.max_w) for source in each.sources]
    sinks = [(sink.priority, sink.max_w, sink.weight, sink.identity) for sink in each.sinks]
    places, behind = _places(each, 1.0), _places(each, 0.5)
    none = Groups()
    return [
        lambda: _timed(each.repeats, lambda: bare(sources, sinks)),
        lambda: _timed(each.repeats, lambda: allocate(each.sources, each.sinks, none, 40.0)),
        lambda: _timed(each.repeats, lambda: allocate(each.sources, each.sinks, each.groups, 40.0)),
        lambda: _timed(each.repeats, lambda: plan(places, none, 40.0, 0.0, 0.0)),
        lambda: _timed(each.repeats, lambda: plan(places, each.groups, 40.0, 0.0, 0.0)),
        lambda: _timed(each.repeats, lambda: plan(behind, each.groups, 40.0, 0.0, 0.0)),
    ]


def _places(each: House, confirmed: float) -> list[Place]:
    """A place for each source and each sink, all at zero and free to rise.

    confirmed: which part of what they offer the sources have confirmed.
    """
    places = [
        Place(source, Sink(source.identity, 0.0), 22_000.0, confirmed_w=confirmed * source.max_w)
        for source in each.sources
    ]
    places += [
        Place(Source(sink.identity, 0.0), sink, 22_000.0, exportStep_w=2200.0)
        for sink in each.sinks
    ]
    return places


def _timed(repeats: int, decide: Callable[[], object]) -> float:
    """µs of this process for one decision."""
    began = process_time()
    for _ in range(repeats):
        decide()
    return (process_time() - began) / repeats * 1e6
