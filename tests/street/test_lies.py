"""Neighbours that do harm: by fits and starts, by lies, under a name that is not theirs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.street.puppets import Puppet, offering, wanting
from tests.street.street import Street, grantsAreCovered, invariantsHold, noCircles


class LiesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.street = Street()
        self.street.checks = [invariantsHold, grantsAreCovered, noCircles]
        self.house = self.street.house("house")

    def tearDown(self) -> None:
        self.flushLoggedErrors()


class FitsAndStartsTests(LiesTestCase):
    """An upstream that grants and takes away at 10 Hz."""

    def setUp(self) -> None:
        super().setUp()
        self.puppet = Puppet(self.street, "puppet", self.house, dials=False)
        self.house.gadget("load", wish_w=4000.0)
        self.street.run(0.3)
        self.on = True
        self.puppet.says = lambda: [offering(5000.0 if self.on else 0.0)]

    def flap(self, seconds: float, period: float = 0.1) -> list[float]:
        """What the load was granted at each step; the puppet says anew at once."""
        granted = []
        for _ in range(round(seconds / period)):
            self.on = not self.on
            for link in self.puppet.links:
                link.publishNow()
            for _ in range(2):
                self.street.clock.advance(period / 2)
                granted.append(self.house.granted("load"))
                for check in self.street.checks:
                    check(self.street)
                if not self.on:
                    self.assertEqual(granted[-1], 0.0, "what is not there is granted")
        return granted

    def test_nothingIsEverGrantedThatIsNotThere(self) -> None:
        self.flap(20.0)
        self.assertEqual(len(self.puppet.links), 1)
        self.assertEqual(self.puppet.endings, [])

    def test_oneThatHoldsStillIsUsedAgain(self) -> None:
        self.flap(20.0)
        self.on = True
        self.street.run(5.0)
        self.assertAlmostEqual(self.house.granted("load"), 4000.0)

    def test_whatTheHouseHasItselfIsNotTouched(self) -> None:
        self.house.gadget("sun", offer_w=1500.0)
        self.house.gadget("fridge", wish_w=500.0)
        for _ in range(200):
            self.on = not self.on
            for link in self.puppet.links:
                link.publishNow()
            self.street.run(0.1)
        granted = self.house.granted("load") + self.house.granted("fridge")
        self.assertGreaterEqual(granted, 1500.0 - 1.0)


class LiarTests(LiesTestCase):
    def test_oneThatOffersWhatItHasNotGotIsFoundOut(self) -> None:
        """It says 4 kW flow, and nothing does: this cable leads somewhere else."""
        puppet = Puppet(self.street, "puppet", self.house, dials=False)
        self.house.gadget("load", wish_w=4000.0)
        self.street.run(0.3)
        puppet.says = lambda: [offering(5000.0, flowing_w=4000.0)]
        self.street.run(2.0)
        self.assertAlmostEqual(self.house.taken("puppet"), 4000.0)
        self.street.run(3.0)
        self.assertEqual(self.house.taken("puppet"), 0.0)
        self.assertEqual(self.house.granted("load"), 0.0)
        self.street.run(50.0)
        self.assertEqual(self.house.taken("puppet"), 0.0)

    def test_oneThatDrawsMoreThanItMayIsCut(self) -> None:
        self.house.gadget("sun", offer_w=3000.0)
        puppet = Puppet(self.street, "puppet", self.house)
        self.street.run(0.3)
        puppet.says = lambda: [wanting(1000.0)]
        self.street.run(2.0)
        self.assertAlmostEqual(self.house.granted("puppet"), 1000.0)
        puppet.does(import_w=5000.0)
        port = self.house.router.ports["puppet"]
        port.converter.stage.setLimits(0.0, 5000.0, 1e9)  # type: ignore[attr-defined]
        # A converter that is stuck: it lets through more than it was told.
        self.patch(port.converter, "setLimits", lambda *_: None)
        self.street.run(1.0)
        self.assertEqual(self.house.granted("puppet"), 0.0)
        self.assertEqual(port.measured().export_w, 0.0)
        self.street.run(50.0)
        self.assertEqual(self.house.granted("puppet"), 0.0)
