"""Streets made by chance: trees of routers with devices, and how they settle."""

from __future__ import annotations

import random
from collections.abc import Iterable

import attrs

from tests.street.street import (
    Gadget,
    House,
    Street,
    grantsAreCovered,
    invariantsHold,
    noCircles,
)

TICK = 0.1
NEAR_W = 2.0
"""W by which a set-point may move and still stand."""

LONGEST_WAIT = 12.0
"""s in which everything has to come to rest from nothing, at the latest."""


def depthOf(parents: dict[str, str]) -> int:
    """How many links the longest way to a root has."""

    def depth(name: str) -> int:
        return 1 + depth(parents[name]) if name in parents else 0

    return max((depth(name) for name in parents), default=0)


@attrs.define(eq=False)
class Tree:
    """A street that is a tree, with gadgets everywhere.

    parents: by house.
    """

    street: Street
    parents: dict[str, str]
    gadgets: dict[str, Gadget] = attrs.field(factory=dict)

    @property
    def depth(self) -> int:
        return depthOf(self.parents)

    def setPoints(self) -> dict[tuple[str, str], float]:
        """All set-points, W into the routers, by house and port."""
        return {
            (house.identity, name): port.import_w - port.export_w
            for house in self.street.houses.values()
            for name, port in house.router.ports.items()
        }

    def settle(self, quiet: float = 1.0, longest: float = LONGEST_WAIT) -> float:
        """Run until nothing has moved for so long, s; says when the last one moved, s from now."""
        began = self.street.clock.seconds()
        moved, before = began, self.setPoints()
        while (now := self.street.clock.seconds()) - moved < quiet:
            assert now - began < longest, f"still moving after {longest} s"
            self.street.run(0.05)
            after = self.setPoints()
            changed = {key for key in after if abs(after[key] - before.get(key, 0.0)) > NEAR_W}
            if changed:
                moved, before = self.street.clock.seconds(), after
        return moved - began

    def turns(self, seconds: float) -> int:
        """Run; how often any one set-point has changed its mind: gone up, then down, or so."""
        last = self.setPoints()
        ways = dict.fromkeys(last, 0)
        counts = dict.fromkeys(last, 0)
        for _ in range(round(seconds / 0.05)):
            self.street.run(0.05)
            for key, watts in self.setPoints().items():
                step = watts - last.get(key, 0.0)
                if abs(step) > NEAR_W:
                    way = 1 if step > 0.0 else -1
                    if ways.get(key, 0) == -way:
                        counts[key] = counts.get(key, 0) + 1
                    ways[key] = way
                    last[key] = watts
        return max(counts.values(), default=0)


def grow(seed: int, most: int = 10, depth: int = 6) -> Tree:
    """A tree of chance: 3 to `most` houses, each under an earlier one."""
    chance = random.Random(seed)
    street = Street(seed)
    street.checks = [invariantsHold, grantsAreCovered, noCircles]
    count = chance.randint(3, most)
    tree = Tree(street, {})
    houses: list[House] = []
    for number in range(count):
        house = street.house(f"house-{number}")
        if houses:
            uppers = [
                each
                for each in houses
                if depthOf({**tree.parents, house.identity: each.identity}) <= depth
            ]
            upper = chance.choice(uppers)
            tree.parents[house.identity] = upper.identity
            upperDials = chance.random() < 0.3
            street.connect(house, upper, upperDials=upperDials, delay=chance.choice((0.0, 0.005)))
        houses.append(house)
    for house in houses:
        furnish(tree, house, chance)
    return tree


def furnish(tree: Tree, house: House, chance: random.Random) -> None:
    """Put devices of chance into a house."""
    name = house.identity.removeprefix("house-")

    def watts(most: float) -> float:
        return float(chance.randrange(0, round(most), 100))

    def add(kind: str, **options: float) -> None:
        tree.gadgets[f"{kind}-{name}"] = house.gadget(f"{kind}-{name}", **options)

    if chance.random() < 0.7:
        add("load", wish_w=watts(6000))
    if chance.random() < 0.5:
        add("sun", offer_w=watts(8000))
    if chance.random() < 0.3:
        add("car", wish_w=watts(11_000))
    if house.identity not in tree.parents:
        add("grid", offer_w=10_000.0 + watts(10_000))


def names(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Links as text."""
    return [f"{lower} under {upper}" for lower, upper in pairs]
