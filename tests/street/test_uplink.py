"""A network as one device of the router above it."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.losses import Loss
from epnet.router.policy import NetworkPolicy, Policies, RemotePolicy
from epnet.router.routerport import RouterPort
from epnet.router.settings import DC_VOLTAGE, PortSettings
from epnet.router.tree import Link
from tests.street.street import (
    CABLE_PORT,
    House,
    Street,
    grantsAreCovered,
    invariantsHold,
    noCircles,
)


class StreetTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.street = Street()
        self.street.checks = [invariantsHold, grantsAreCovered, noCircles]

    def run_(self, seconds: float) -> None:
        self.street.run(seconds)

    def port(self, house: House, other: House) -> RouterPort:
        port = house.router.ports[other.identity]
        assert isinstance(port, RouterPort)
        return port

    def role(self, house: House, other: House) -> Link | None:
        return self.port(house, other).role


class PairTests(StreetTestCase):
    """A house below another one."""

    upperDials = False

    def setUp(self) -> None:
        super().setUp()
        self.top, self.low = self.street.house("top", "top"), self.street.house("low", "low")
        self.way = self.street.connect(self.low, self.top, upperDials=self.upperDials)

    def test_whatItNeedsComesFromAbove(self) -> None:
        self.top.gadget("source", offer_w=10_000.0)
        self.low.gadget("sun", offer_w=1000.0)
        self.low.gadget("load", wish_w=3000.0)
        self.run_(3.0)
        self.assertAlmostEqual(self.low.granted("load"), 3000.0)
        self.assertAlmostEqual(self.low.taken("top"), 2000.0)
        self.assertAlmostEqual(self.way.cable.down_w(), 2000.0)

    def test_aMinimumThatIsAllThatItNeeds(self) -> None:
        """What the house asks for may come to a hair less behind the losses of its uplink."""
        for watts in (1380.0, 1381.0, 4140.0, 2070.0):
            low, top = self.street.house(f"low {watts}"), self.street.house(f"top {watts}")
            settings = attrs.evolve(CABLE_PORT, loss=Loss(0.1, 1e-6))
            self.street.connect(low, top, settings=settings)
            top.gadget("source", offer_w=10_000.0)
            port = PortSettings(
                side="D", kind="DC", voltage=DC_VOLTAGE, max_current=1000, min_w=watts
            )
            low.gadget("car", port, wish_w=watts)
            self.run_(4.0)
            self.assertAlmostEqual(low.granted("car"), watts)

    def test_whatItHasLeftGoesUp(self) -> None:
        self.top.gadget("load", wish_w=5000.0)
        self.low.gadget("sun", offer_w=4000.0)
        self.low.gadget("fridge", wish_w=1000.0)
        self.run_(3.0)
        self.assertAlmostEqual(self.low.granted("fridge"), 1000.0)
        self.assertAlmostEqual(self.top.granted("load"), 3000.0)
        self.assertAlmostEqual(self.way.cable.down_w(), -3000.0)

    def test_nothingFlowsInTheFirstSecond(self) -> None:
        self.top.gadget("source", offer_w=10_000.0)
        self.low.gadget("load", wish_w=3000.0)
        self.run_(1.0)
        self.assertIs(self.role(self.low, self.top), Link.HELD)
        self.assertEqual(self.way.cable.down_w(), 0.0)
        self.run_(0.3)
        self.assertIs(self.role(self.low, self.top), Link.UP)
        self.assertIs(self.role(self.top, self.low), Link.DOWN)

    def test_itTurnsRoundWithTheSun(self) -> None:
        self.top.gadget("source", offer_w=2000.0)
        self.top.gadget("load", wish_w=5000.0)
        sun = self.low.gadget("sun", offer_w=0.0)
        self.low.gadget("fridge", wish_w=1000.0)
        self.run_(3.0)
        self.assertAlmostEqual(self.way.cable.down_w(), 1000.0)
        sun.offer_w = 4000.0
        self.run_(4.0)
        self.assertAlmostEqual(self.way.cable.down_w(), -3000.0)
        self.assertAlmostEqual(self.top.granted("load"), 5000.0)
        sun.offer_w = 0.0
        self.run_(4.0)
        self.assertAlmostEqual(self.way.cable.down_w(), 1000.0)

    def test_localConsumersComeBeforeThoseAbove(self) -> None:
        self.top.gadget("load", wish_w=5000.0)
        self.low.gadget("sun", offer_w=4000.0)
        self.run_(3.0)
        self.assertAlmostEqual(self.way.cable.down_w(), -4000.0)
        self.low.gadget("load", wish_w=3000.0)
        self.run_(3.0)
        self.assertAlmostEqual(self.low.granted("load"), 3000.0)
        self.assertAlmostEqual(self.way.cable.down_w(), -1000.0)

    def test_aPolicyForTheOthersTenant(self) -> None:
        self.top.gadget("load", wish_w=5000.0)
        self.low.gadget("sun", offer_w=4000.0)
        self.low.router.setPolicies(Policies(remotes={"top": RemotePolicy("top", max_w=500.0)}))
        self.run_(3.0)
        self.assertAlmostEqual(self.way.cable.down_w(), -500.0)
        self.low.router.setPolicies(Policies(remotes={"top": RemotePolicy("top", access="import")}))
        self.run_(1.0)
        self.assertEqual(self.way.cable.down_w(), 0.0)

    def test_aLimitOfTheNetwork(self) -> None:
        self.top.gadget("source", offer_w=10_000.0)
        self.low.gadget("load", wish_w=3000.0)
        self.low.router.setPolicies(Policies(network=NetworkPolicy(max_import_w=700.0)))
        self.run_(3.0)
        self.assertAlmostEqual(self.port(self.top, self.low).export_w, 700.0)
        self.assertAlmostEqual(self.low.granted("load"), 700.0)

    def test_priceMixAndStorageGoWithIt(self) -> None:
        load = self.top.gadget("load", wish_w=3000.0)
        self.low.gadget("sun", offer_w=4000.0, price=0.12)
        self.low.gadget("battery", offer_w=1000.0, soc=50.0, capacity=8000.0, price=0.3)
        self.low.gadget("store", soc=100.0, capacity=2000.0)
        self.run_(4.0)
        port = self.port(self.top, self.low)
        assert port.link is not None
        supply = port.link.supply()
        assert supply is not None and supply.energy_prices is not None
        self.assertEqual([price.amount for price in supply.energy_prices], [0.12])
        self.assertAlmostEqual(supply.power_limit or 0.0, 4000.0)
        load.wish_w = 5000.0
        self.run_(4.0)
        self.assertAlmostEqual(self.top.granted("load"), 5000.0)
        supply = port.link.supply()
        assert supply is not None and supply.energy_prices is not None
        self.assertEqual([price.amount for price in supply.energy_prices], [0.3158])
        stored = port.stored(self.street.clock.seconds())
        assert stored is not None
        self.assertEqual((stored.capacity, stored.soc), (10_000.0, 60.0))

    def test_theUplinkIsLostAndComesBack(self) -> None:
        """Islanding: the local network goes on by itself, and nothing steps down afterwards."""
        self.top.gadget("source", offer_w=10_000.0)
        self.low.gadget("sun", offer_w=1000.0)
        self.low.gadget("light", wish_w=800.0)
        heater = self.low.gadget("heater", wish_w=2000.0)
        self.low.settings["heater"] = self.low.router.ports["heater"].settings
        self.run_(3.0)
        self.assertAlmostEqual(self.low.granted("heater"), 2000.0)
        self.way.line.cut()
        self.run_(0.4)
        kept = self.low.granted("light") + self.low.granted("heater")
        self.assertAlmostEqual(kept, 1000.0)
        self.run_(5.0)
        self.assertAlmostEqual(self.low.granted("light") + self.low.granted("heater"), 1000.0)
        self.way.line.mend()
        least = kept
        for _ in range(600):
            self.run_(0.05)
            least = min(least, self.low.granted("light") + self.low.granted("heater"))
        self.assertGreater(least, 999.0, "somebody stepped down")
        self.assertAlmostEqual(self.low.granted("heater"), 2000.0)
        self.assertEqual(heater.wish_w, 2000.0)


class UpperDialsTests(PairTests):
    """The same where the upper router dials."""

    upperDials = True
