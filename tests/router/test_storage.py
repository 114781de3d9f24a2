"""Storage without a price of its own, where others have one: it keeps what is left over."""

from __future__ import annotations

from math import inf

import attrs
from hypothesis import given
from hypothesis import strategies as st

from epnet.router.allocation import Sink, Source, allocate
from epnet.router.losses import Loss
from epnet.router.prices import Around, atBus, storagePrices
from epnet.router.settings import DEFAULT_PORTS
from tests.router.histories import WINDOW, Device
from tests.router.test_rules import RulesTestCase


class StorageTestCase(RulesTestCase):
    """A sun of 5 kW, a home that needs 1 kW, and a battery for 5 kW each way."""

    def house(self, sun: float | None, grid: float | None, **settings: object) -> None:
        """Prices of sun and grid, per kWh; None for none."""
        self.plug(Device("sun", offer_w=5000), price=sun)
        self.plug(Device("grid", offer_w=9000, wish_w=9000), side="B", price=grid, bid=0)
        self.plug(Device("home", wish_w=1000))
        self.plug(Device("store", offer_w=5000, wish_w=5000, soc=50), **settings)
        self.world.run(6.0)

    def night(self, seconds: float = 6.0) -> None:
        self.world.devices["sun"].offer_w = 0
        self.world.run(seconds)

    def assertPowers(self, **watts: int) -> None:
        """What each gives, or takes where it is below 0."""
        ports = {name: round(self.gave(name) - self.got(name)) for name in watts}
        self.assertEqual(ports, watts)


class WithoutAPriceTests(StorageTestCase):
    def test_itChargesFromWhatPricedSunHasLeftOver(self) -> None:
        """Else it would be emptied while the sun stands idle."""
        for grid in (0.3, None):
            self.setUp()
            self.house(0.08, grid)
            self.assertPowers(sun=5000, store=-4000, grid=0)
            self.night()
            self.assertPowers(store=1000, grid=0)

    def test_alsoWhereThereIsNoGrid(self) -> None:
        self.house(0.08, None)
        self.world.unplug("grid")
        self.world.run(3.0)
        self.assertPowers(sun=5000, store=-4000)

    def test_lossesOfItsPortDoNotMatter(self) -> None:
        self.house(0.08, None, loss=Loss(0.1))
        self.assertPowers(sun=5000, store=round(-4000 / 1.1))

    def test_itDoesNotFeedTheGridForLessThanItSaves(self) -> None:
        for priority in (0, 1):
            self.setUp()
            self.plug(
                Device("grid", offer_w=9000, wish_w=9000),
                side="B",
                price=0.3,
                bid=0.08,
                priority=priority,
            )
            self.house(None, None)
            self.assertPowers(sun=5000, store=-4000, grid=0)
            self.night()
            self.assertPowers(store=1000, grid=0)

    def test_whoBidsLessThanTheGridAsksDoesNotEmptyIt(self) -> None:
        self.house(None, 0.3)
        self.plug(Device("car", wish_w=3000), bid=0.2)
        self.night()
        self.assertPowers(store=1000, grid=0, car=0)

    def test_itNeverBuysFromTheGridThatItGivesBefore(self) -> None:
        for price in (0.3, 0.02):
            self.setUp()
            self.house(0.08, price)
            self.night()
            self.assertPowers(store=1000, grid=0)

    def test_butTakesWhatTheGridPaysFor(self) -> None:
        self.house(0.08, -0.05)
        self.assertPowers(sun=0, store=-5000, grid=6000)

    def test_dearLocalPowerIsNotForStoring(self) -> None:
        """A generator: neither where the grid says what it saves nor where free sun does."""
        for sun, grid in ((None, 0.3), (0.08, None), (None, None)):
            self.setUp()
            self.plug(Device("generator", offer_w=5000), price=0.6)
            self.house(sun, grid)
            self.assertPowers(sun=5000, store=-4000, generator=0)
            self.night()
            self.assertPowers(store=1000, generator=0)

    def test_aPortThatNobodyHasDescribed(self) -> None:
        """Also of a battery that does not say that it can give."""
        for offer in (5000, None):
            self.setUp()
            self.house(0.08, 0.3)
            self.world.unplug("store")
            battery = Device("battery", offer_w=offer, wish_w=5000, soc=50)
            self.world.plug(battery, attrs.evolve(DEFAULT_PORTS["battery"], voltage=WINDOW))
            self.world.run(6.0)
            self.assertPowers(sun=5000, battery=-4000, grid=0)

    def test_withoutAnyPriceLocalPowerComesFirst(self) -> None:
        self.house(None, None)
        self.assertPowers(sun=5000, store=-4000, grid=0)
        self.night()
        self.assertPowers(store=1000, grid=0)


prices = st.one_of(st.sampled_from([-0.1, 0.0, 0.08, 0.3]), st.floats(-1.0, 1.0))
losses = st.builds(Loss, st.one_of(st.sampled_from([0.0, 0.0109, 0.1]), st.floats(0.0, 0.5)))
batteries = st.lists(losses, min_size=1, max_size=3)


class NoCircleTests(RulesTestCase):
    """Whatever others ask, storage without a price gives to no storage, and not to itself."""

    @given(prices, st.one_of(st.just(inf), prices), losses, batteries, st.floats(0.0, 9000.0))
    def test_whereOneGivesNoneTakes(
        self, local: float, grid: float, loss: Loss, each: list[Loss], load: float
    ) -> None:
        around = Around(atBus(local, loss), grid if grid == inf else atBus(grid, loss))
        sources = [Source("sun", 3000.0, around.local, loss)]
        if grid < inf:
            sources.append(Source("grid", 9000.0, around.grid, loss))
        sinks = [Sink("home", load)]
        for number, lost in enumerate(each):
            ask, pays = storagePrices(None, True, around, lost)
            self.assertLess(pays, ask)
            self.assertLessEqual(around.local, pays if grid == inf or grid <= 0.0 else inf)
            if grid > 0.0:
                self.assertTrue(pays < ask < around.grid or grid == inf)
            sources.append(Source(f"store {number}", 2000.0, ask, lost))
            sinks.append(Sink(f"store {number}", 2000.0, bid=pays, loss=lost))
        result = allocate(sources, sinks)
        stores = [f"store {number}" for number in range(len(each))]
        gives = sum(result.sources[name].power_w for name in stores)
        takes = sum(result.sinks[name].power_w for name in stores)
        self.assertEqual(min(gives, takes), 0.0)
