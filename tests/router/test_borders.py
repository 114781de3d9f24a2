"""Energy that crosses from one network to the next: what it is, what it costs, what it emitted."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from epnet.router.losses import Loss
from epnet.router.ports import Port
from epnet.router.settings import PortSettings
from epnet.wire import (
    CARBON,
    DemandParameters,
    Price,
    Source,
    StorageParameters,
    SupplyParameters,
    decode,
    encode,
)
from tests.router.plant import NOON, Plant

LOSS = Loss(0.04)
CABLE = PortSettings(side="C", kind="DC", loss=LOSS)
SUN = SupplyParameters(power_mix={Source.LOCAL_SOLAR: 100})
GAS = SupplyParameters(power_mix={Source.GAS: 100}, energy_prices=[Price(NOON, 0.30, "EUR")])


def told(plant: Plant, port: Port) -> SupplyParameters:
    """The Supply that a router sends, as it arrives."""
    plant.hear(port.identity, DemandParameters(voltage=230, power_limit=1000))
    for message in port.messages(plant.clock.seconds()):
        received = decode(encode(message))
        if isinstance(received.message, SupplyParameters):
            assert not received.diagnostics
            return received.message
    raise AssertionError("no Supply")


class BorderTests(SynchronousTestCase):
    """A network with sun and gas, one that passes power on, and one that uses it."""

    def setUp(self) -> None:
        self.first, self.middle, self.last = Plant("one"), Plant("two"), Plant("three")
        self.first.add("sun", "solar", SUN)
        self.first.add("gas", "generator", GAS)
        self.first.add("next", "router", settings=CABLE, tenant="two")
        self.middle.add("before", "router", settings=CABLE, tenant="one")
        self.middle.add("next", "router", settings=CABLE, tenant="three")
        self.last.add("before", "router", settings=CABLE, tenant="two")
        self.last.add("home", "home", settings=PortSettings(loss=LOSS))

    def flow(self) -> None:
        """3 kW of sun and 1 kW of gas go all the way; each router loses 4 % twice."""
        self.first.flow("sun", import_w=3000.0)
        self.first.flow("gas", import_w=1000.0)
        watts = LOSS.receiving(4000.0)
        self.first.flow("next", export_w=watts)
        self.crosses(self.first, self.middle)
        self.middle.flow("before", import_w=watts)
        watts = LOSS.receiving(LOSS.injected(watts))
        self.middle.flow("next", export_w=watts)
        self.crosses(self.middle, self.last)
        self.last.flow("before", import_w=watts)
        self.watts = LOSS.receiving(LOSS.injected(watts))
        self.last.flow("home", export_w=self.watts)
        self.last.run()

    def crosses(self, giver: Plant, taker: Plant) -> None:
        giver.run()
        taker.hear("before", told(giver, giver.ports["next"]))

    def test_mixPriceAndCarbonArriveAtTheFarEndWithLosses(self) -> None:
        self.flow()
        supply = told(self.last, self.last.ports["home"])
        self.assertEqual(supply.power_mix, {Source.SOLAR: 75, Source.GAS: 25})
        [price] = supply.energy_prices or ()
        self.assertAlmostEqual(price.amount, 1000 * 0.30 / self.watts, places=3)
        network = self.last.accounts.network
        assert network is not None
        self.assertAlmostEqual(network.carbon, (3000 * 40 + 1000 * 500) / self.watts, places=2)

    def test_whatOneBooksAsGoneTheNextBooksAsCome(self) -> None:
        self.flow()
        for giver, taker in pairwise((self.first, self.middle, self.last)):
            gone, come = giver.accounts.books, taker.accounts.books
            self.assertAlmostEqual(gone.energyOut, come.energyIn, places=2)
            self.assertAlmostEqual(gone.carbonOut, come.carbonIn, places=5)

    def test_carbonIsToldToRoutersAlone(self) -> None:
        self.flow()
        self.assertIn(CARBON.name, told(self.first, self.first.ports["next"]).extensions)
        self.assertFalse(told(self.last, self.last.ports["home"]).extensions)

    def test_whereTheOtherTellsNoCarbonTheMixDoes(self) -> None:
        self.middle.hear("before", SUN)
        self.middle.flow("before", import_w=1000.0)
        self.middle.flow("next", export_w=1000.0)
        self.middle.run()
        network = self.middle.accounts.network
        assert network is not None
        self.assertAlmostEqual(network.carbon, Source.LOCAL_SOLAR.carbon)
        self.assertEqual(network.sources, {Source.SOLAR: 1.0})

    def test_carbonThatCannotBeIsNotBelieved(self) -> None:
        for carbon, believed in ((-1.0, 40.0), (1e6, 40.0), (1.0, 1.0)):
            lie = SUN.replace(extensions={CARBON.name: carbon})
            self.middle.hear("before", lie)
            self.middle.run()
            self.assertEqual(self.middle.accounts.byPort["before"].source.carbon, believed)

    def test_ofADeviceOnlyItsMixCounts(self) -> None:
        self.first.hear("sun", SUN.replace(extensions={CARBON.name: 1.0}))
        self.first.run()
        self.assertEqual(self.first.accounts.byPort["sun"].source.carbon, 40.0)

    def test_storedEnergyKeepsItsCarbonOnTheWay(self) -> None:
        """What a neighbour's battery gives carries what it was charged with."""
        battery = StorageParameters(soc=0, capacity=1000)
        self.first.add("battery", "battery", SupplyParameters(), battery)
        self.first.run()
        self.first.flow("gas", import_w=1000.0)
        self.first.flow("battery", export_w=1000.0)
        self.first.run(10.0)
        self.first.flow("gas")
        self.first.flow("battery", import_w=1000.0)
        self.first.flow("next", export_w=LOSS.receiving(1000.0))
        self.first.run(2.0)
        self.crosses(self.first, self.middle)
        self.middle.run()
        source = self.middle.accounts.byPort["before"].source
        self.assertAlmostEqual(source.carbon, 500 * 1.04, places=1)
        self.assertEqual(source.sources, {Source.GAS: 1.0})


class PriceTests(SynchronousTestCase):
    """Of a price another router hears only where somebody else has one."""

    def setUp(self) -> None:
        self.plant = Plant("one")
        self.plant.add("sun", "solar", SUN)
        self.plant.add("next", "router", settings=CABLE, tenant="two")
        self.plant.add("home", "home")
        self.plant.flow("sun", import_w=3000.0)
        self.plant.flow("next", export_w=2000.0)
        self.plant.flow("home", export_w=1000.0)

    def prices(self, identity: str) -> list[float]:
        self.plant.run()
        supply = told(self.plant, self.plant.ports[identity])
        return [price.amount for price in supply.energy_prices or ()]

    def test_freeSunHasNoPriceForThemWhileNothingHas(self) -> None:
        self.assertEqual(self.prices("home"), [0.0])
        self.assertEqual(self.prices("next"), [])

    def test_itHasOneOnceAnythingElseHas(self) -> None:
        self.plant.add("gas", "generator", GAS)
        self.assertEqual(self.prices("next"), [0.0])

    def test_whatTheyTellUsIsNoReasonToTellThem(self) -> None:
        self.plant.hear("next", GAS)
        self.assertEqual(self.prices("next"), [])
        self.assertEqual(self.prices("home"), [0.0])
