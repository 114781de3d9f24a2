"""Links that close a loop stand by, and take over when the tree breaks."""

from __future__ import annotations

from collections.abc import Callable

from epnet.router.tree import Link
from tests.street.street import STEP, House
from tests.street.test_uplink import StreetTestCase

BREAK_SECONDS = 2.0
"""How long a break may last for those who have another way (issue of the street)."""


class LoopTests(StreetTestCase):
    """A house with two ways up, to two houses under one transformer."""

    def setUp(self) -> None:
        super().setUp()
        self.top, self.west, self.east, self.low = (
            self.street.house(name) for name in ("top", "west", "east", "low")
        )
        for house in (self.west, self.east):
            self.street.connect(house, self.top)
        self.preferred = self.street.connect(self.low, self.west)
        self.other = self.street.connect(self.low, self.east)
        self.top.gadget("source", offer_w=10_000.0)
        self.low.gadget("load", wish_w=3000.0)
        self.run_(5.0)

    def test_onlyThePreferredWayCarries(self) -> None:
        self.assertAlmostEqual(self.preferred.cable.down_w(), 3000.0)
        self.assertEqual(self.other.cable.down_w(), 0.0)
        self.assertIs(self.role(self.low, self.east), Link.STANDBY)
        self.assertIs(self.role(self.east, self.low), Link.STANDBY)

    def breaking(self, how: Callable[[], None]) -> float:
        """How long the load is without all its power when something breaks, s."""
        how()
        without = 0.0
        for _ in range(round(4.0 / STEP)):
            self.run_(STEP)
            if self.low.granted("load") < 2999.0:
                without += STEP
        self.assertAlmostEqual(self.low.granted("load"), 3000.0)
        return without

    def test_theOtherTakesOverWhenTheConnectionIsReset(self) -> None:
        self.preferred.line.stall()  # or it would be there again at once
        self.assertLessEqual(self.breaking(self.preferred.line.reset), BREAK_SECONDS)
        self.assertAlmostEqual(self.other.cable.down_w(), 3000.0)

    def test_theOtherTakesOverWhenTheLineIsCut(self) -> None:
        self.assertLessEqual(self.breaking(self.preferred.line.cut), BREAK_SECONDS)

    def test_theOtherTakesOverWhenTheLineStalls(self) -> None:
        self.assertLessEqual(self.breaking(self.preferred.line.stall), BREAK_SECONDS)

    def test_theOtherTakesOverWhenTheWayAboveBreaks(self) -> None:
        above = self.street.ways[0]
        self.assertEqual(above.names, ("west", "top"))
        self.assertLessEqual(self.breaking(above.line.cut), BREAK_SECONDS)

    def test_thePreferredOneIsTakenAgainWhenNothingFlows(self) -> None:
        self.breaking(self.preferred.line.cut)
        self.preferred.line.mend()
        self.run_(30.0)
        self.assertAlmostEqual(self.other.cable.down_w(), 3000.0)
        load = self.low.devices["load"]
        load.wish_w = 0.0  # type: ignore[attr-defined]
        self.run_(2.0)
        load.wish_w = 3000.0  # type: ignore[attr-defined]
        self.run_(3.0)
        self.assertAlmostEqual(self.preferred.cable.down_w(), 3000.0)


class RingTests(StreetTestCase):
    """Each house is above another one, on purpose."""

    def ring(self, names: str) -> list[House]:
        houses = [self.street.house(name) for name in names]
        for lower, upper in zip(houses, houses[1:] + houses[:1], strict=True):
            self.street.connect(lower, upper)
        return houses

    def test_theOneThatSortsFirstIsTheRoot(self) -> None:
        houses = self.ring("dbcae")
        houses[0].gadget("sun", offer_w=6000.0)
        for house in houses[1:]:
            house.gadget(f"load-{house.identity}", wish_w=1000.0)
        self.run_(8.0)
        roots = {house.router.neighbours.tree.route.root for house in houses}
        self.assertEqual(roots, {"a"})
        for house in houses[1:]:
            self.assertAlmostEqual(house.granted(f"load-{house.identity}"), 1000.0)

    def test_twoThatEachThinkTheOtherAbove(self) -> None:
        one, other = self.ring("ab")
        one.gadget("sun", offer_w=3000.0)
        other.gadget("load", wish_w=2000.0)
        self.run_(6.0)
        self.assertAlmostEqual(other.granted("load"), 2000.0)

    def test_twoThatEachThinkTheOtherBelow(self) -> None:
        one, other = self.ring("ab")
        one.above.order.clear()
        other.above.order.clear()
        one.gadget("sun", offer_w=3000.0)
        other.gadget("load", wish_w=2000.0)
        self.run_(6.0)
        self.assertEqual(other.granted("load"), 0.0)
        self.assertIs(self.role(one, other), Link.STANDBY)


class NameTests(StreetTestCase):
    """Two routers of one identity, with others in between."""

    def test_anAlarmAndNoPower(self) -> None:
        top, beyond, middle, low = (
            self.street.house(n) for n in ("top", "beyond", "middle", "low")
        )
        twin = House(self.street, "low", None)
        self.street.connect(twin, top)
        self.street.connect(beyond, twin)
        self.street.connect(middle, beyond)
        self.street.connect(low, middle)
        twin.gadget("source", offer_w=3000.0)
        low.gadget("load", wish_w=1000.0)
        self.street.clock.advance(1.0)
        self.assertEqual(low.router.neighbours.tree.impostor, None)
        self.street.clock.advance(6.0)
        self.assertEqual(low.router.neighbours.tree.impostor, "middle")
        self.assertEqual(low.granted("load"), 0.0)
