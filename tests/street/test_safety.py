"""No tree, no loop and no timing lets grants exceed supply anywhere, or power go round.

Streets of chance, with loops in them, and whatever may happen to them: lines that stall, are cut
and mended, sessions that are reset, devices that come, go and change their minds.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.street.street import (
    Gadget,
    NobodyIsShort,
    Street,
    grantsAreCovered,
    invariantsHold,
    linksHold,
    noCircles,
)

Event = tuple[str, int, float]


@attrs.frozen
class Plot:
    """What a street is made of, and what happens to it.

    uppers: by house, the houses that it hangs on; loops are welcome.
    grids: which houses have a grid.
    events: what happens, to which one, and how many s after the one before.
    """

    uppers: list[list[int]]
    grids: list[int]
    seed: int
    events: list[Event]


KINDS = ["stall", "resume", "cut", "mend", "reset", "wish", "offer", "pull", "plug"]


@st.composite
def plots(draw: st.DrawFn) -> Plot:
    count = draw(st.integers(2, 6))
    some = st.integers(0, count - 1)
    uppers = [
        draw(st.lists(some.filter(lambda n, own=own: n != own), max_size=2, unique=True))  # type: ignore[misc]
        for own in range(count)
    ]
    events = st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.floats(0.0, 1.5))
    return Plot(
        uppers,
        draw(st.lists(some, max_size=2, unique=True)),
        draw(st.integers(0, 1000)),
        draw(st.lists(events, max_size=12)),
    )


class Play:
    """A plot that is played."""

    def __init__(self, plot: Plot) -> None:
        self.street = street = Street(plot.seed)
        chance = street.chance
        self.houses = [street.house(f"house-{number}") for number in range(len(plot.uppers))]
        self.gadgets: list[Gadget] = []
        for number, house in enumerate(self.houses):
            self.gadgets.append(house.gadget(f"load-{number}", wish_w=chance.uniform(0, 5000)))
            self.gadgets.append(house.gadget(f"sun-{number}", offer_w=chance.uniform(0, 5000)))
        for number in plot.grids:
            self.gadgets.append(self.houses[number].gadget(f"grid-{number}", offer_w=10_000.0))
        laid: set[frozenset[int]] = set()
        for lower, uppers in enumerate(plot.uppers):
            for upper in uppers:
                pair = frozenset((lower, upper))
                if pair in laid:  # each is told to hang on the other one
                    self.houses[lower].above.order.append(self.houses[upper].identity)
                    continue
                laid.add(pair)
                street.connect(
                    self.houses[lower],
                    self.houses[upper],
                    upperDials=chance.random() < 0.3,
                    delay=self._delay(),
                )
        street.checks = [
            invariantsHold,
            grantsAreCovered,
            noCircles,
            linksHold,
            NobodyIsShort(),
        ]

    def _delay(self) -> Callable[[], float]:
        chance, most = self.street.chance, self.street.chance.choice((0.0, 0.01, 0.08))
        return lambda: chance.uniform(0.0, most)

    def happen(self, kind: str, which: int) -> None:
        """Let something happen."""
        chance, ways = self.street.chance, self.street.ways
        if kind in ("stall", "resume", "cut", "mend", "reset") and ways:
            line = ways[which % len(ways)].line
            {
                "stall": line.stall,
                "resume": line.resume,
                "cut": line.cut,
                "mend": line.mend,
                "reset": line.reset,
            }[kind]()
        elif kind == "wish":
            self.houses[which % len(self.houses)]
            loads = [g for g in self.gadgets if g.wish_w is not None]
            loads[which % len(loads)].wish_w = chance.choice((0.0, chance.uniform(0, 9000)))
        elif kind == "offer":
            suns = [g for g in self.gadgets if g.offer_w is not None]
            suns[which % len(suns)].offer_w = chance.choice((0.0, chance.uniform(0, 9000)))
        elif kind in ("pull", "plug"):
            self._plug(which, kind == "plug")

    def _plug(self, which: int, plug: bool) -> None:
        number = which % len(self.houses)
        house, name = self.houses[number], f"sun-{number}"
        if plug and name not in house.links:
            house.plug(name, house.devices[name])
        elif not plug and name in house.links:
            house.unplug(name)


class SafetyTests(SynchronousTestCase):
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(plots())
    def test_nothingIsGrantedThatIsNotThereAndNothingGoesRound(self, plot: Plot) -> None:
        play = Play(plot)
        play.street.run(3.0)
        for kind, which, after in plot.events:
            play.street.run(after)
            play.happen(kind, which)
        play.street.run(3.0)
