"""Trees of routers: how fast they settle, and that they come to rest."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from math import fsum

from twisted.trial.unittest import SynchronousTestCase

from epnet.router.dynamics import REVERSAL_SECONDS, TICK_SECONDS
from epnet.router.patience import HOPE_SECONDS
from tests.street.street import (
    STEP,
    Gadget,
    House,
    Street,
    grantsAreCovered,
    invariantsHold,
    noCircles,
)

NEAR = 1.0
"""W within which a power has settled."""

WATCHED = 4.0
"""How long after a step everything is watched, s; beyond the time that anything may take."""

ALONE_SECONDS = 0.7
"""What one router may take for any of these steps, s: ramps, and the answers of its sources."""

CHAIN = (None, 0, 1)
SEVEN = (None, 0, 0, 1, 1, 2, 2)


class Tree:
    """Houses below one another; `above` has for each but the first the number of the one above."""

    def __init__(self, above: Sequence[int | None], seed: int = 0) -> None:
        self.street = Street(seed)
        self.street.checks = [invariantsHold, grantsAreCovered, noCircles]
        self.houses: list[House] = []
        self.depths: list[int] = []
        for number, upper in enumerate(above):
            house = self.street.house(f"h{number}")
            self.houses.append(house)
            self.depths.append(0 if upper is None else self.depths[upper] + 1)
            if upper is not None:
                self.street.connect(house, self.houses[upper])
        self.sources: list[Gadget] = []
        self.loads: list[tuple[House, str, Gadget]] = []

    @property
    def depth(self) -> int:
        return max(self.depths)

    def source(self, house: int, watts: float) -> Gadget:
        name = f"source-{len(self.sources)}"
        self.sources.append(self.houses[house].gadget(name, offer_w=watts))
        return self.sources[-1]

    def load(self, house: int, watts: float) -> Gadget:
        name = f"load-{len(self.loads)}"
        load = self.houses[house].gadget(name, wish_w=watts)
        self.loads.append((self.houses[house], name, load))
        return load

    def begin(self) -> None:
        """Until links are up and all is settled."""
        self.street.run(3.0 + TICK_SECONDS * self.depth)

    def served(self) -> float:
        """What all loads may draw, W."""
        return fsum(house.granted(name) for house, name, _ in self.loads)

    def flowing(self) -> list[float]:
        return [way.cable.down_w() for way in self.street.ways]

    def everything(self) -> list[float]:
        """Every set-point of every router."""
        return [
            watts
            for house in self.houses
            for port in house.router.ports.values()
            for watts in (port.import_w, port.export_w)
        ]

    def settle(self, step: Callable[[], None]) -> tuple[float, int]:
        """Let something change; says how long anything moved, s, and how often one turned round.

        What turns round once may have made room for another; what does so again oscillates.
        """
        rows = [self.everything()]
        step()
        for _ in range(round(WATCHED / STEP)):
            self.street.run(STEP)
            rows.append(self.everything())
        last = rows[-1]
        moved = [
            number
            for number, row in enumerate(rows)
            if any(abs(a - b) > NEAR for a, b in zip(row, last, strict=True))
        ]
        return STEP * (max(moved, default=-1) + 1), max(map(turns, zip(*rows, strict=True)))


def turns(values: Sequence[float]) -> int:
    """How often a power that moved turned round."""
    found, direction, extreme = 0, 0, values[0]
    for value in values:
        if abs(value - extreme) <= NEAR:
            continue
        way = 1 if value > extreme else -1
        found += direction == -way
        direction, extreme = way, value
    return found


class SettlingTests(SynchronousTestCase):
    """No tree takes more than two ticks a level longer than one router alone may take."""

    def steps(self, tree: Tree, far: int) -> list[float]:
        """Steps of supply and demand at both ends of a tree, and how long each one took, s."""
        source, load = tree.source(0, 20_000.0), tree.load(far, 2000.0)
        sun, home = tree.source(far, 0.0), tree.load(0, 1000.0)
        tree.begin()
        self.assertAlmostEqual(tree.served(), 3000.0)
        took = []
        for gadget, name, watts in (
            (load, "wish_w", 9000.0),
            (load, "wish_w", 4000.0),
            (home, "wish_w", 6000.0),
            (source, "offer_w", 7000.0),
            (source, "offer_w", 12_000.0),
            (sun, "offer_w", 3000.0),
            (sun, "offer_w", 0.0),
        ):
            seconds, turned = tree.settle(partial(setattr, gadget, name, watts))
            took.append(seconds)
            self.assertLessEqual(turned, 1)
            wanted = (load.wish_w or 0.0) + (home.wish_w or 0.0)
            there = (source.offer_w or 0.0) + (sun.offer_w or 0.0)
            self.assertAlmostEqual(tree.served(), min(wanted, there), delta=NEAR)
        return took

    def check(self, above: Sequence[int | None]) -> None:
        alone = max(self.steps(Tree([None]), 0))
        tree = Tree(above)
        took = self.steps(tree, len(above) - 1)
        self.assertLessEqual(max(took), alone + 2 * tree.depth * TICK_SECONDS + 1e-9)

    def test_aChainOfThree(self) -> None:
        self.check(CHAIN)

    def test_aTreeOfSeven(self) -> None:
        self.check(SEVEN)

    def test_aChainOfEight(self) -> None:
        self.check((None, *range(7)))

    def test_aHundredTrees(self) -> None:
        for seed in range(100):
            self.checkAnyTree(seed)

    def checkAnyTree(self, seed: int) -> None:
        chance = random.Random(seed)
        above = [None, *(chance.randrange(number) for number in range(1, chance.randint(2, 6)))]
        tree = Tree(above, seed)
        for house in range(len(above)):
            if chance.random() < 0.6:
                tree.source(house, chance.choice([0.0, 1000.0, 4000.0]))
            if chance.random() < 0.7:
                tree.load(house, chance.choice([500.0, 2000.0, 5000.0]))
        tree.source(chance.randrange(len(above)), 3000.0)
        tree.load(chance.randrange(len(above)), 1000.0)
        tree.begin()
        before = tree.flowing()
        if chance.random() < 0.5:
            source = chance.choice(tree.sources)
            change = partial(setattr, source, "offer_w", chance.choice([0.0, 2000.0, 6000.0]))
        else:
            _, _, load = chance.choice(tree.loads)
            change = partial(setattr, load, "wish_w", chance.choice([0.0, 1500.0, 7000.0]))
        seconds, turned = tree.settle(change)
        reversed_ = any(a * b < 0.0 for a, b in zip(before, tree.flowing(), strict=True))
        there = fsum(source.offer_w or 0.0 for source in tree.sources)
        wanted = fsum(load.wish_w or 0.0 for _, _, load in tree.loads)
        most = ALONE_SECONDS + 2 * tree.depth * TICK_SECONDS
        most += REVERSAL_SECONDS * reversed_ + HOPE_SECONDS * (there < wanted)
        self.assertLessEqual(seconds, most + 1e-9, f"seed {seed}")
        self.assertLessEqual(turned, 2, f"seed {seed}")
        self.assertAlmostEqual(tree.served(), min(there, wanted), delta=NEAR * len(above))
