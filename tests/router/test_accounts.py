"""The accounts: what every port's device received, and that nothing appears or gets lost."""

from __future__ import annotations

from math import fsum

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.accounts import Accounts
from epnet.router.losses import Loss
from epnet.router.provenance import JOULES_PER_KWH
from epnet.router.settings import PortSettings
from epnet.wire import (
    DemandParameters,
    Message,
    Source,
    StorageParameters,
    SupplyParameters,
    decode,
    encode,
)
from epnet.wire.values import Price
from tests.router.plant import NOON, Plant

WIND = SupplyParameters(power_mix={Source.WIND: 100})
SUN = SupplyParameters(power_mix={Source.LOCAL_SOLAR: 100})


def costing(amount: float, currency: str = "EUR", **fields: object) -> SupplyParameters:
    return SupplyParameters(energy_prices=[Price(NOON, amount, currency)], **fields)  # type: ignore[arg-type]


class AccountsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.plant = Plant(tenant="home")
        self.accounts = self.plant.accounts

    def granted(self, identity: str) -> SupplyParameters:
        """The Supply that the router sends to a device, as it arrives there."""
        port = self.plant.ports[identity]
        self.plant.hear(identity, DemandParameters(voltage=230, power_limit=1000))
        for message in port.messages(self.plant.clock.seconds()):
            received = decode(encode(message)).message
            if isinstance(received, SupplyParameters):
                return received
        self.fail("no Supply")


class MixTests(AccountsTestCase):
    def test_everybodyReceivesTheMixOfTheBus(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.add(
            "grid", "grid", SupplyParameters(power_mix={Source.GAS: 60, Source.WIND: 40})
        )
        self.plant.add("home", "home")
        self.plant.add("car", "vehicle")
        self.plant.flow("sun", import_w=3000)
        self.plant.flow("grid", import_w=1000)
        self.plant.flow("home", export_w=500)
        self.plant.flow("car", export_w=3500)
        self.plant.run()
        for identity in ("home", "car"):
            self.assertEqual(
                self.granted(identity).power_mix,
                {Source.LOCAL_SOLAR: 75, Source.GAS: 15, Source.WIND: 10},
            )
        network = self.accounts.network
        assert network is not None
        self.assertAlmostEqual(network.carbon, 0.75 * 40 + 0.25 * (0.6 * 500 + 0.4 * 35))

    def test_withoutAMixTheTypeAndTheSideSayIt(self) -> None:
        for type, side, source in (
            ("solar", "D", Source.LOCAL_SOLAR),
            ("wind", "D", Source.LOCAL_WIND),
            ("solar", "B", Source.UNKNOWN),
            ("grid", "B", Source.UNKNOWN),
            ("generator", "D", Source.UNKNOWN),
        ):
            for supply in (
                SupplyParameters(power_limit=1000),
                SupplyParameters(power_mix={Source.WIND: 50}),
            ):
                plant = Plant()
                plant.add("source", type, supply, settings=PortSettings(side=side))
                plant.add("home", "home")
                plant.flow("source", import_w=100)
                plant.flow("home", export_w=100)
                plant.run()
                assert plant.accounts.network is not None
                self.assertEqual(plant.accounts.network.sources, {source: 1.0}, (type, side))

    def test_sourcesAreWeightedByWhatReachesTheBus(self) -> None:
        lossy = PortSettings(side="D", loss=Loss(0.5))
        self.plant.add("sun", "solar", SUN)
        self.plant.add("mill", "wind", WIND, settings=lossy)
        self.plant.add("home", "home")
        self.plant.flow("sun", import_w=1000)
        self.plant.flow("mill", import_w=2000)
        self.plant.flow("home", export_w=2000)
        self.plant.run()
        network = self.accounts.network
        assert network is not None
        self.assertEqual(network.sources, {Source.LOCAL_SOLAR: 0.5, Source.WIND: 0.5})
        self.assertAlmostEqual(network.carbon, (1000 * 40 + 2000 * 35) / 2000)

    def test_localEnergyLeavesAsPlainEnergy(self) -> None:
        roles = {
            "grid": (PortSettings(side="B"), None, Source.SOLAR),
            "ours": (PortSettings(side="C"), "home", Source.LOCAL_SOLAR),
            "theirs": (PortSettings(side="C"), "others", Source.SOLAR),
            "nameless": (PortSettings(side="C"), None, Source.SOLAR),
        }
        self.plant.add("sun", "solar", SUN)
        self.plant.flow("sun", import_w=4000)
        for identity, (port, tenant, _) in roles.items():
            self.plant.add(identity, "router", settings=port, tenant=tenant)
            self.plant.flow(identity, export_w=1000)
        self.plant.run()
        for identity, (_, _, source) in roles.items():
            self.assertEqual(self.granted(identity).power_mix, {source: 100}, identity)
        self.assertAlmostEqual(self.accounts.selfConsumption or 0, 0.25)

    def test_whatComesFromOthersIsNotLocalHere(self) -> None:
        self.plant.add("theirs", "router", SUN, tenant="others")
        self.plant.add("home", "home")
        self.plant.flow("theirs", import_w=1000)
        self.plant.flow("home", export_w=1000)
        self.plant.run()
        self.assertEqual(self.granted("home").power_mix, {Source.SOLAR: 100})
        self.assertIsNone(self.accounts.selfConsumption)

    def test_nothingThatWasNotUnderstoodIsPassedOn(self) -> None:
        # {0x40: [{0x4d: {0x14: 100}}, ...]} and a field 0x7f that nobody knows
        strange = SupplyParameters(power_mix={0x4D: 40, Source.WIND: 60}, unknown={0x7F: b"\x01"})
        self.plant.add("grid", "grid", strange)
        self.plant.add("home", "home")
        self.plant.flow("grid", import_w=1000)
        self.plant.flow("home", export_w=1000)
        self.plant.run()
        supply = self.granted("home")
        self.assertEqual(supply.power_mix, {Source.UNKNOWN: 40, Source.WIND: 60})
        self.assertEqual(supply.unknown, {})

    def test_whereNothingFlowsNothingIsSaid(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.add("home", "home")
        self.plant.run()
        self.assertIsNone(self.granted("home").power_mix)
        self.plant.flow("sun", import_w=1000)
        self.plant.flow("home", export_w=1000)
        self.plant.run()
        self.assertIsNotNone(self.granted("home").power_mix)
        self.plant.flow("sun")
        self.plant.flow("home")
        self.plant.run(2)
        self.assertIsNone(self.granted("home").power_mix)
        self.assertIsNone(self.granted("home").energy_prices)

    def test_aSourceThatIsGoneCountsForWhatItGave(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.add("home", "home")
        self.plant.run()
        self.plant.flow("sun", import_w=1000)
        self.plant.flow("home", export_w=1000)
        self.plant.run(0.5)
        self.plant.ports["sun"].detach("gone", self.plant.clock.seconds())
        self.plant.flow("sun")
        self.plant.flow("home")
        self.plant.run(0.5)
        assert self.accounts.network is not None
        self.assertEqual(self.accounts.network.sources, {Source.LOCAL_SOLAR: 1.0})


class PriceTests(AccountsTestCase):
    def trade(self, given_w: float, received_w: float) -> SupplyParameters:
        self.plant.add("home", "home")
        for identity in list(self.plant.ports):
            self.plant.flow(identity, import_w=given_w)
        self.plant.flow("home", export_w=received_w)
        self.plant.run()
        return self.granted("home")

    def priceOf(self, supply: SupplyParameters) -> tuple[float, str] | None:
        if supply.energy_prices is None:
            return None
        [price] = supply.energy_prices
        return price.amount, price.currency

    def test_aPriceBeyondAllThatIsRealIsNone(self) -> None:
        self.plant.add("grid", "grid", costing(1e308))
        self.plant.add("other", "router", costing(-1e308))
        self.assertIsNone(self.priceOf(self.trade(1000, 1900)))

    def test_thePriceOfAllThatWasGivenIsBorneByWhatWasReceived(self) -> None:
        self.plant.add("grid", "grid", costing(0.30))
        self.plant.add("other", "router", costing(0.10))
        self.accounts.fee = 0.05
        supply = self.trade(1000, 1900)
        self.assertEqual(self.priceOf(supply), (round((0.3 + 0.1) / 1.9 + 0.05, 4), "EUR"))

    def test_localEnergyWithoutAPriceIsFree(self) -> None:
        self.plant.add("grid", "grid", costing(0.30))
        self.plant.add("sun", "solar", SUN)
        self.assertEqual(self.priceOf(self.trade(1000, 2000)), (0.15, "EUR"))

    def test_withoutAPriceFromOutsideNobodyKnows(self) -> None:
        self.plant.add("grid", "grid", WIND)
        self.plant.add("sun", "solar", SUN)
        supply = self.trade(1000, 2000)
        self.assertIsNone(supply.energy_prices)
        self.assertIsNotNone(supply.power_mix)

    def test_theConfiguredPriceRules(self) -> None:
        settings = PortSettings(side="B", price=0.25)
        self.plant.add("grid", "grid", costing(0.30), settings=settings)
        self.assertEqual(self.priceOf(self.trade(1000, 1000)), (0.25, "EUR"))

    def test_pricesInTwoCurrenciesDoNotAddUp(self) -> None:
        self.plant.add("grid", "grid", costing(0.30, "EUR"))
        self.plant.add("other", "router", costing(3.0, "SEK"))
        self.assertIsNone(self.trade(1000, 2000).energy_prices)
        self.accounts.currency = "EUR"
        self.plant.flow("other")
        self.plant.flow("home", export_w=1000)
        self.plant.run(2)
        self.assertEqual(self.priceOf(self.granted("home")), (0.3, "EUR"))

    def test_thePriceThatHoldsNowCounts(self) -> None:
        later = Price(NOON.replace(hour=13), 0.5, "EUR")
        self.plant.add(
            "grid", "grid", SupplyParameters(energy_prices=[Price(NOON, 0.2, "EUR"), later])
        )
        self.assertEqual(self.priceOf(self.trade(1000, 1000)), (0.2, "EUR"))
        self.plant.clock.advance(3600)
        self.plant.run(2)
        self.assertEqual(self.priceOf(self.granted("home")), (0.5, "EUR"))

    def test_aPriceIsToldSinceWhenItHolds(self) -> None:
        self.plant.add("grid", "grid", costing(0.2))
        first = self.trade(1000, 1000).energy_prices
        self.plant.run(5)
        self.assertEqual(self.granted("home").energy_prices, first)
        assert first is not None
        self.assertEqual(first[0].timestamp, NOON.replace(second=1))

    def test_whatLessThanHalfArrivesOfIsTheRoutersOwnUse(self) -> None:
        self.plant.add("grid", "grid", costing(0.2))
        self.assertEqual(self.priceOf(self.trade(1000, 10)), (0.4, "EUR"))
        gave = 1000 / JOULES_PER_KWH * 1000
        self.assertAlmostEqual(self.accounts.books.carbonOwn, gave * 0.98)
        self.assertAlmostEqual(self.accounts.books.carbonOut, gave * 0.02)


class StorageTests(AccountsTestCase):
    def test_aStoreStartsAsUnknownAndIsStirred(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.add("battery", "battery", StorageParameters(soc=50, capacity=2))
        self.plant.add("home", "home")
        self.plant.flow("sun", import_w=3600)
        self.plant.flow("battery", export_w=3600)
        self.plant.run()
        tank = self.accounts.byPort["battery"].tank
        assert tank is not None
        self.assertAlmostEqual(tank.joules, 7200)
        self.assertEqual(tank.blend.sources, {Source.UNKNOWN: 0.5, Source.LOCAL_SOLAR: 0.5})
        self.plant.hear("battery", StorageParameters(soc=100, capacity=2))
        self.plant.flow("sun")
        self.plant.flow("battery", import_w=1800)
        self.plant.flow("home", export_w=1800)
        self.plant.run()
        self.assertEqual(
            self.granted("home").power_mix, {Source.UNKNOWN: 50, Source.LOCAL_SOLAR: 50}
        )
        self.assertAlmostEqual(self.accounts.network.carbon if self.accounts.network else 0, 520)

    def test_whatADeviceBringsAlongIsOfItsOwnWord(self) -> None:
        mix = {Source.HYDRO: 1500, Source.GAS: 500}
        self.plant.add("car", "vehicle", StorageParameters(energy_mix=mix))
        self.plant.run()
        tank = self.accounts.byPort["car"].tank
        assert tank is not None
        self.assertAlmostEqual(tank.joules, 2000 * 3600)
        self.assertEqual(tank.blend.sources, {Source.HYDRO: 0.75, Source.GAS: 0.25})
        # Once we know, its word does not turn gas into wind.
        self.plant.hear("car", StorageParameters(energy_mix={Source.WIND: 2000}))
        self.plant.run(3)
        self.assertEqual(tank.blend.sources, {Source.HYDRO: 0.75, Source.GAS: 0.25})

    def test_aCarThatWasAwayComesBackWithWhatIsLeft(self) -> None:
        self.plant.add("car", "vehicle", StorageParameters(soc=100, capacity=10))
        self.plant.run()
        tank = self.accounts.byPort["car"].tank
        assert tank is not None
        carbon = tank.carbon_g
        self.plant.ports["car"].detach("gone", self.plant.clock.seconds())
        self.plant.run()
        self.plant.plugIn("car", "vehicle", StorageParameters(soc=38, capacity=10))
        self.plant.run()
        self.assertAlmostEqual(tank.joules, 0.4 * 36000)
        self.assertAlmostEqual(tank.blend.carbon, 1000)
        self.assertAlmostEqual(self.accounts.books.carbonOut, 0.6 * carbon)

    def test_stepsInTheStateOfChargeDoNotMakeEnergyUnknown(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.add("battery", "battery", StorageParameters(soc=0, capacity=1))
        for second in range(1, 100):
            self.plant.flow("sun", import_w=36)
            self.plant.flow("battery", export_w=36)
            self.plant.run()
            self.plant.hear("battery", StorageParameters(soc=second // 2 * 2, capacity=1))
        tank = self.accounts.byPort["battery"].tank
        assert tank is not None
        self.assertEqual(tank.blend.sources, {Source.LOCAL_SOLAR: 1.0})

    def test_nonsenseAboutStorageIsNotBelieved(self) -> None:
        for storage in (
            StorageParameters(soc=50),
            StorageParameters(soc=150, capacity=1000),
            StorageParameters(soc=50, capacity=-1000),
            StorageParameters(soc=50, capacity=1e300),
            StorageParameters(energy_mix={Source.WIND: -5}),
        ):
            plant = Plant()
            plant.add("battery", "battery", storage)
            plant.run()
            tank = plant.accounts.byPort["battery"].tank
            assert tank is not None
            self.assertEqual(tank.joules, 0.0)

    def test_storedEnergyIsSoldForWhatItHasCost(self) -> None:
        self.plant.add("grid", "grid", costing(0.2))
        self.plant.add("battery", "battery", StorageParameters(soc=0, capacity=100))
        self.plant.flow("grid", import_w=1100)
        self.plant.flow("battery", export_w=1000)
        self.plant.run(5)
        self.plant.add("home", "home")
        self.plant.flow("grid")
        self.plant.flow("battery", import_w=500)
        self.plant.flow("home", export_w=500)
        self.plant.run()
        prices = self.granted("home").energy_prices
        assert prices is not None
        self.assertAlmostEqual(prices[0].amount, 0.22)


class RecordTests(AccountsTestCase):
    def test_accountsGoOnFromTheirRecords(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.add("battery", "battery", StorageParameters(soc=50, capacity=10))
        self.plant.add("idle", "home")
        self.plant.flow("sun", import_w=1000)
        self.plant.flow("battery", export_w=1000)
        self.plant.meters["battery"].broken = True
        self.plant.ports["battery"].export_w = 1000
        self.plant.run(5)
        kept = self.accounts.kept()
        records = kept.records
        self.assertEqual(set(records), {"sun", "battery"})
        self.assertGreater(kept.books.energyIn, 0)
        self.assertEqual(records["battery"].exportedEstimated, 5_000_000)
        again = Accounts()
        again.restore(kept, 0.0, 0.0)
        self.assertEqual(again.kept(), kept)
        self.assertEqual(again.shown("battery"), records["battery"])

    def test_whatIsStoredIsNotFoundAgainAfterARestart(self) -> None:
        self.plant.add("battery", "battery", StorageParameters(soc=50, capacity=10))
        self.plant.run(2)
        found = self.accounts.books.energyIn
        self.assertEqual(found, 5 * 3600)
        kept = self.accounts.kept()
        self.plant.accounts = Accounts(timeOfDay=self.plant.timeOfDay)
        self.plant.accounts.restore(kept, self.plant.clock.seconds(), 0.0)
        self.plant.run(2)
        self.assertEqual(self.plant.accounts.books.energyIn, found)

    def test_theTimeThatNobodyMeteredIsAGap(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.flow("sun", import_w=1000)
        self.plant.run()
        again = Accounts()
        again.restore(self.accounts.kept(), 0.0, 12.5)
        meter = again.byPort["sun"].meter
        self.assertEqual((meter.gaps, meter.gapMicroseconds), (1, 12_500_000))

    def test_whatIsShownIsWhatIsSaved(self) -> None:
        self.plant.add("sun", "solar", SUN)
        self.plant.flow("sun", import_w=1000)
        self.plant.run(1)
        self.assertEqual(self.accounts.shown("sun").imported, 1_000_000)
        self.assertEqual(self.accounts.shown("nobody").imported, 0)
        self.assertIsNone(self.accounts.unsaved_s)
        self.accounts.wereSaved(self.accounts.kept(), 1.0)
        saved = self.accounts.shownBooks
        self.plant.run(2)
        self.assertEqual(self.accounts.shownBooks, saved)
        self.assertNotEqual(self.accounts.books, saved)
        self.assertEqual(self.accounts.shown("sun").imported, 1_000_000)
        self.assertEqual(self.accounts.byPort["sun"].meter.imported.millijoules, 3_000_000)


# Random histories

ROLES: dict[str, tuple[str, PortSettings, list[Message]]] = {
    "sun": ("solar", PortSettings(side="D", loss=Loss(0.01)), [SUN]),
    "grid": ("grid", PortSettings(side="B", loss=Loss(0.02, 1e-6)), [costing(0.3)]),
    "other": ("router", PortSettings(side="C"), [WIND]),
    "home": ("home", PortSettings(side="A", loss=Loss(0.005)), []),
    "battery": ("battery", PortSettings(side="D"), [StorageParameters(soc=50, capacity=1)]),
    "car": ("vehicle", PortSettings(side="D"), [StorageParameters(energy_mix={Source.GAS: 2})]),
}

powers = st.one_of(st.just(0.0), st.floats(0.01, 10_000))
flows = st.dictionaries(st.sampled_from(sorted(ROLES)), st.tuples(powers, powers))
charges = st.builds(
    StorageParameters,
    soc=st.one_of(st.none(), st.integers(-10, 110)),
    capacity=st.one_of(st.none(), st.floats(0, 5)),
    energy_mix=st.one_of(
        st.none(), st.dictionaries(st.sampled_from(list(Source)), st.floats(-1, 5))
    ),
)
events = st.one_of(
    st.tuples(st.just("flow"), flows),
    st.tuples(st.just("charge"), st.sampled_from(["battery", "car"]), charges),
    st.tuples(st.just("leave"), st.sampled_from(sorted(ROLES))),
    st.tuples(st.just("return"), st.sampled_from(sorted(ROLES))),
)


class ConservationTests(SynchronousTestCase):
    def check(self, plant: Plant) -> None:
        books = plant.accounts.books
        tanks = [account.tank for account in plant.accounts.byPort.values()]
        stored = fsum(tank.joules for tank in tanks if tank)
        carbon = fsum(tank.carbon_g for tank in tanks if tank)
        near = 1e-9 * (1 + books.energyIn)
        self.assertAlmostEqual(
            books.energyIn, books.energyOut + books.energyLost + stored, delta=near
        )
        near = 1e-9 * (1 + books.carbonIn)
        self.assertAlmostEqual(
            books.carbonIn, books.carbonOut + books.carbonOwn + carbon, delta=near
        )
        self.assertTrue(all(tank.joules >= 0 for tank in tanks if tank))

    @settings(max_examples=200, deadline=None)
    @given(st.lists(events, min_size=1, max_size=12))
    @example(
        [
            ("leave", "car"),
            ("flow", {"car": (9609.9375, 0.0)}),
            ("charge", "car", StorageParameters(soc=29, capacity=1.3578839516290466)),
        ]
    )
    def test_nothingAppearsAndNothingGetsLost(self, history: list[tuple[object, ...]]) -> None:
        plant = Plant()
        for identity, (type, port, messages) in ROLES.items():
            plant.add(identity, type, *messages, settings=port)
        for kind, *what in history:
            self.happen(plant, kind, *what)
            plant.run()
            self.check(plant)

    def happen(self, plant: Plant, kind: object, *what: object) -> None:
        if kind == "flow":
            [flowing] = what
            assert isinstance(flowing, dict)
            for identity in ROLES:
                plant.flow(identity, *flowing.get(identity, (0.0, 0.0)))
            return
        identity, *messages = what
        assert isinstance(identity, str)
        if kind == "leave":
            plant.ports[identity].detach("gone", plant.clock.seconds())
        elif kind == "return" or plant.ports[identity].link is None:
            type, _, always = ROLES[identity]
            plant.plugIn(identity, type, *always, *messages)  # type: ignore[arg-type]
        else:
            plant.hear(identity, *messages)  # type: ignore[arg-type]

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(powers, powers, st.floats(0, 1)), min_size=1, max_size=8))
    def test_whatIsDeliveredCarriesTheLossesOfConversion(
        self, history: list[tuple[float, float, float]]
    ) -> None:
        """On a bus in balance, with losses in all ports, none is left for the router."""
        plant = Plant()
        for identity, (type, port, messages) in ROLES.items():
            plant.add(identity, type, *messages, settings=port)
        for sun_w, grid_w, part in history:
            sun, grid, home = (ROLES[each][1].loss for each in ("sun", "grid", "home"))
            bus_w = sun.injected(sun_w) + grid.injected(grid_w)
            plant.flow("sun", import_w=sun_w)
            plant.flow("grid", import_w=grid_w)
            plant.flow("home", export_w=home.receiving(part * bus_w))
            plant.flow("battery", export_w=(1 - part) * bus_w)
            plant.run()
            self.check(plant)
        # A meter counts whole millijoules.
        self.assertLess(plant.accounts.books.carbonOwn, 1e-6)
