"""What the tests of streets stand on: lines, cables, and checks that can fail."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.testing import VirtualClock
from tests.street.cables import Cable
from tests.street.street import (
    SHORT_SECONDS,
    STEP,
    House,
    NobodyIsShort,
    Street,
    Way,
    grantsAreCovered,
    invariantsHold,
    noCircles,
)


class LineTests(SynchronousTestCase):
    """Two routers over a line that misbehaves."""

    def setUp(self) -> None:
        self.street = Street()
        self.lower, self.upper = self.street.house("lower"), self.street.house("upper")
        self.way = self.street.connect(self.lower, self.upper, delay=0.01)
        self.street.run(1.0)

    def inTouch(self) -> tuple[bool, bool]:
        """Whether each router has a session with the other."""
        found = [
            house.router.ports[other.identity].link is not None
            for house, other in ((self.lower, self.upper), (self.upper, self.lower))
        ]
        return found[0], found[1]

    def test_aSessionComesAbout(self) -> None:
        self.assertEqual(self.inTouch(), (True, True))
        self.street.run(30.0)
        self.assertEqual(self.inTouch(), (True, True))
        self.assertFalse(self.lower.connections.deviations + self.upper.connections.deviations)

    def test_aStalledLineLosesNothing(self) -> None:
        [port] = self.upper.router.ports.values()
        link = port.link
        self.way.line.stall()
        self.street.run(2.5)
        self.way.line.resume()
        self.street.run(1.0)
        self.assertIs(port.link, link)

    def test_aLineThatIsCutIsNoticedAndMended(self) -> None:
        self.way.line.cut()
        self.street.run(2.5)
        self.assertEqual(self.inTouch(), (True, True))
        self.street.run(1.0)  # 3 s of silence are too much (wire-profile S6)
        self.assertEqual(self.inTouch(), (False, False))
        self.street.run(5.0)
        self.assertEqual(self.inTouch(), (False, False))
        self.way.line.mend()
        self.street.run(10.0)
        self.assertEqual(self.inTouch(), (True, True))

    def test_aResetIsNoticedAtOnce(self) -> None:
        self.way.line.reset()
        self.assertEqual(self.inTouch(), (False, False))
        self.street.run(1.0)
        self.assertEqual(self.inTouch(), (True, True))


class CableTests(SynchronousTestCase):
    def test_whatFlowsIsWhatOneEndGivesAndTheOtherTakes(self) -> None:
        clock = VirtualClock()
        cable = Cable(clock, 10_000.0)
        lower, upper = cable.ends
        for end in cable.ends:
            end.close()
        lower.setLimits(5000.0, 0.0, 10.0)
        clock.advance(2.0)
        self.assertEqual(cable.down_w(), 0.0)
        upper.setLimits(0.0, 3000.0, 10.0)
        clock.advance(2.0)
        self.assertEqual(cable.down_w(), 3000.0)
        self.assertEqual((lower.reading().import_w, upper.reading().export_w), (3000.0, 3000.0))
        upper.setLimits(0.0, 8000.0, 10.0)
        clock.advance(2.0)
        self.assertEqual(cable.down_w(), 5000.0)
        upper.setLimits(4000.0, 0.0, 10.0)
        lower.setLimits(0.0, 2000.0, 10.0)
        clock.advance(2.0)
        self.assertEqual(cable.down_w(), -2000.0)


class CheckTests(SynchronousTestCase):
    """The checks find what they look for."""

    def setUp(self) -> None:
        self.street = Street()
        self.houses = [self.street.house(name) for name in "abc"]
        a, b, c = self.houses
        self.ways = [self.street.connect(*pair) for pair in ((a, b), (b, c), (c, a))]
        for house in self.houses:
            house.gadget(f"sun-{house.identity}", offer_w=3000.0)
            house.gadget(f"load-{house.identity}", wish_w=2000.0)
        self.street.run(3.0)

    def force(self, way: Way, down_w: float) -> None:
        """Let so much flow, whatever the routers say."""
        self.patch(way.cable, "down_w", lambda: down_w)

    def test_powerThatGoesRound(self) -> None:
        noCircles(self.street)
        for way in self.ways[:2]:
            self.force(way, 1000.0)
        noCircles(self.street)
        for way in self.ways:
            self.force(way, 1000.0)
        self.assertRaises(AssertionError, noCircles, self.street)
        self.force(self.ways[1], -1000.0)
        noCircles(self.street)
        for way in self.ways:
            self.force(way, -1000.0)
        self.assertRaises(AssertionError, noCircles, self.street)

    def test_grantsThatNobodyCovers(self) -> None:
        grantsAreCovered(self.street)
        self.houses[0].router.ports["load-a"].export_w += 1.0
        self.assertRaises(AssertionError, grantsAreCovered, self.street)

    def test_moreDrawnThanComesIn(self) -> None:
        check = NobodyIsShort()
        for _ in range(40):
            self.street.run(STEP)
            check(self.street)
        self.patch(self.houses[0], "flows", lambda: iter([("load-a", 0.0, 100.0)]))
        for _ in range(round(SHORT_SECONDS / STEP)):
            check(self.street)
            self.street.run(STEP)
        self.street.run(STEP)
        self.assertRaises(AssertionError, check, self.street)

    def test_brokenInvariants(self) -> None:
        invariantsHold(self.street)
        self.houses[0].router.invariants.broken[1] += 1
        self.assertRaises(AssertionError, invariantsHold, self.street)

    def test_powerFlowsInEachHouse(self) -> None:
        for house in self.houses:
            flows = {name: (into, out) for name, into, out in house.flows()}
            self.assertAlmostEqual(flows[f"sun-{house.identity}"][0], 2000.0)
            self.assertAlmostEqual(flows[f"load-{house.identity}"][1], 2000.0)
            self.assertIsInstance(house, House)
