"""What every simulated device has to keep, and the behaviour of those that store nothing."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.consent import allowedPower, offeredPower, requestedPower
from epnet.devices.base import SimulatedDevice, currentFor
from epnet.devices.grid import Grid
from epnet.devices.load import Load, activity
from epnet.devices.makers import parseDevice
from epnet.devices.solar import Solar
from epnet.errors import UsageError
from epnet.interfaces import IDevice, Limits
from epnet.wire import (
    Bounds,
    DemandParameters,
    IsolationState,
    Source,
    SupplyParameters,
    decode,
    encode,
)

NOON = "start=12:00,day=172"
DEVICES = {
    "solar": f"solar:{NOON}",
    "battery": f"battery:{NOON}",
    "ev": f"ev:{NOON}",
    "load": "load:start=19:00",
    "grid": "grid",
}
"""Each kind of device, at a time when it has something to do."""

DRAWING = ("battery", "ev", "load", "grid")
SUPPLYING = ("solar", "battery", "grid")

HOUR = 3600.0


class KindTests(SynchronousTestCase):
    """What all kinds have in common, besides the contract."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)

    def make(self, kind: str) -> SimulatedDevice:
        device = parseDevice(DEVICES[kind], self.clock)
        assert isinstance(device, SimulatedDevice)
        return device

    def running(self, kind: str) -> SimulatedDevice:
        """A device that carries all it can, in the direction it is for."""
        device = self.make(kind)
        most_w = device.rating_w
        draw_w, supply_w = (most_w, 0.0) if kind in DRAWING else (0.0, most_w)
        device.setLimits(Limits(draw_w, supply_w, self.clock.seconds() + 100))
        self.clock.advance(2.0)
        self.assertGreater(self.carried(device), 0.5 * most_w)
        return device

    def carried(self, device: SimulatedDevice) -> float:
        reading = device.reading()
        self.assertEqual(min(reading.draw_w, reading.supply_w), 0.0)
        return reading.draw_w + reading.supply_w

    def test_eachIsADevice(self) -> None:
        for kind in DEVICES:
            device = self.make(kind)
            verifyObject(IDevice, device)
            self.assertRegex(device.version, r"^\d+\.\d+$")
            self.assertGreater(device.rating_w, 0.0)

    def test_eachCanBeNamed(self) -> None:
        self.assertEqual(parseDevice("grid:name=Our meter", self.clock).name, "Our meter")
        self.assertEqual(parseDevice("ev", self.clock).name, "Simulated vehicle")

    def test_theTypesARouterKnows(self) -> None:
        types = {kind: self.make(kind).type for kind in DEVICES}
        self.assertEqual(
            types,
            {
                "solar": "solar",
                "battery": "battery",
                "ev": "vehicle",
                "load": "home",
                "grid": "grid",
            },
        )

    def test_afterShutDownOnlyPowerAboveZeroStartsANewTransfer(self) -> None:
        for kind in DEVICES:
            device = self.running(kind)
            device.shutDown("lost")
            self.clock.advance(0.1)
            device.setLimits(Limits(0, 0, 1e9))
            self.assertFalse(device.stage.isClosed)
            device.setLimits(Limits(1e9, 0, 1e9) if kind in DRAWING else Limits(0, 1e9, 1e9))
            self.clock.advance(1.0)
            self.assertTrue(device.stage.isClosed)
            self.assertGreater(self.carried(device), 0.5 * device.rating_w)

    def test_limitsInTheDirectionItDoesNotHaveDoNothing(self) -> None:
        for kind in DEVICES:
            device = self.make(kind)
            for limits, able in (
                (Limits(1000, 0, 1e9), kind in DRAWING),
                (Limits(0, 1000, 1e9), kind in SUPPLYING),
            ):
                device.setLimits(limits)
                self.clock.advance(2.0)
                self.assertEqual(self.carried(device) > 0.0, able, f"{kind}: {limits}")


class MessageTests(SynchronousTestCase):
    """What devices say is readable as what they mean (wire-profile, *Consent fails safe*)."""

    def setUp(self) -> None:
        self.clock = Clock()

    def supply(self, text: str) -> SupplyParameters:
        supply = parseDevice(text, self.clock).supply()
        assert supply is not None
        return supply

    def demand(self, text: str) -> DemandParameters:
        demand = parseDevice(text, self.clock).demand()
        assert demand is not None
        return demand

    def test_onlyWhatADeviceDoesIsSaid(self) -> None:
        said = {}
        for kind, text in DEVICES.items():
            device = parseDevice(text, self.clock)
            said[kind] = (
                device.supply() is not None,
                device.demand() is not None,
                device.storage() is not None,
            )
        self.assertEqual(
            said,
            {
                "solar": (True, False, False),
                "battery": (True, True, True),
                "ev": (False, True, True),
                "load": (False, True, False),
                "grid": (True, True, False),
            },
        )

    def test_aRouterThatLimitsNothingMayDrawAllThatIsOffered(self) -> None:
        for kind in SUPPLYING:
            supply = self.supply(DEVICES[kind])
            everything = DemandParameters(voltage=supply.voltage, power_limit=1e9)
            self.assertGreater(supply.power_limit, 0)
            self.assertEqual(allowedPower(supply, everything), supply.power_limit)

    def test_aRouterThatLimitsNothingMayGiveAllThatIsWanted(self) -> None:
        for kind in DRAWING:
            demand = self.demand(DEVICES[kind])
            everything = SupplyParameters(power_limit=1e9)
            self.assertGreater(demand.power_limit, 0)
            self.assertEqual(allowedPower(everything, demand), demand.power_limit)

    def test_portsOfTheUsualVoltagesSuitThem(self) -> None:
        usual = {"grid": Bounds(207, 253), "load": Bounds(207, 253)}
        for kind in DRAWING:
            port = SupplyParameters(
                voltage_limit=usual.get(kind, Bounds(200, 1000)), power_limit=1e9
            )
            self.assertGreater(allowedPower(port, self.demand(DEVICES[kind])), 0.0)

    def test_zeroIsSaidInEveryLimit(self) -> None:
        night = self.supply("solar:start=00:00,day=172")
        self.assertEqual((night.power_limit, night.current_limit), (0, (0, 0)))
        full = self.demand("ev:soc=80")
        self.assertEqual((full.power_limit, full.current_limit), (0, 0))
        self.assertEqual((offeredPower(night), requestedPower(full)), (0, 0))

    def test_aSupplyCarriesWhatIsMeasured(self) -> None:
        for kind in SUPPLYING:
            device = parseDevice(DEVICES[kind], self.clock)
            device.setLimits(Limits(0, 1000, 1e9))
            self.clock.advance(1.0)
            supply, reading = device.supply(), device.reading()
            assert supply is not None
            self.assertEqual(supply.voltage, reading.voltage_v)
            self.assertAlmostEqual(supply.voltage * supply.current, 1000.0)
            self.assertTrue(supply.voltage_limit.min <= supply.voltage <= supply.voltage_limit.max)

    def test_whatIsSaidSurvivesTheWireWithoutDiagnostics(self) -> None:
        for text in DEVICES.values():
            device = parseDevice(text, self.clock)
            for message in (device.supply(), device.demand(), device.storage()):
                if message is not None:
                    decoded = decode(encode(message))
                    self.assertEqual(decoded.message, message)
                    self.assertEqual(list(decoded.diagnostics), [])

    @given(st.floats(0, 1e6), st.floats(1, 2000))
    def test_currentTimesVoltageIsNeverBelowThePower(self, power_w: float, volts: float) -> None:
        current = currentFor(power_w, volts)
        self.assertGreaterEqual(current * volts, power_w)
        self.assertLessEqual(current * volts, power_w * (1 + 1e-12) + 1e-300)


class SolarTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def solar(self, **options: object) -> Solar:
        return Solar(self.clock, **{"peak_w": 5000, "day": 172, **options})  # type: ignore[arg-type]

    def test_itOffersNothingAtNight(self) -> None:
        self.assertEqual(self.solar(start=0).available_w(), 0.0)

    def test_itOffersMostAtNoon(self) -> None:
        solar = self.solar(start=0, speed=HOUR)
        offers = []
        for _ in range(24):
            offers.append(solar.available_w())
            self.clock.advance(1.0)
        self.assertEqual(max(offers), offers[12])
        self.assertGreater(offers[12], 0.8 * 5000)
        self.assertEqual(sorted(offers[:13]), offers[:13])

    def test_itNeverOffersMoreThanItsPeak(self) -> None:
        solar = self.solar(start=12 * HOUR, latitude=23.44)
        self.assertEqual(solar.available_w(), 5000)

    def test_itCarriesNoMoreThanTheSunGives(self) -> None:
        solar = self.solar(start=18 * HOUR, speed=HOUR)
        solar.setLimits(Limits(0, 5000, 1e9))
        self.clock.advance(1.0)
        self.assertEqual(solar.reading().supply_w, solar.available_w())
        self.clock.advance(3.0)
        self.assertEqual(solar.reading().supply_w, 0.0)

    def test_itIsLocalSolarPowerAndSound(self) -> None:
        supply = self.solar().supply()
        assert supply.isolation is not None and supply.power_mix is not None
        self.assertEqual(dict(supply.power_mix), {Source.LOCAL_SOLAR: 100})
        self.assertEqual(supply.isolation.state, IsolationState.OK)


class LoadTests(SynchronousTestCase):
    @given(st.floats(0, 24 * HOUR))
    def test_activityStaysBetweenRestAndPeak(self, time: float) -> None:
        self.assertTrue(0.0 <= activity(time) <= 1.0)

    def test_itPeaksInTheMorningAndHigherInTheEvening(self) -> None:
        night, morning, midday, evening = (activity(h * HOUR) for h in (3, 7.5, 13, 19))
        self.assertTrue(night < 0.01 and midday < 0.01)
        self.assertEqual((morning, evening), (0.6, 1.0))

    def test_midnightIsNoBreak(self) -> None:
        self.assertAlmostEqual(activity(0), activity(24 * HOUR - 1e-6))

    def test_itWantsWhatTheHouseholdUses(self) -> None:
        clock = Clock()
        evening = Load(clock, base_w=300, peak_w=2000, start=19 * HOUR)
        night = Load(clock, base_w=300, peak_w=2000, start=3 * HOUR)
        self.assertEqual(evening.demand().power_limit, 2000)
        self.assertApproximates(night.demand().power_limit, 300, 1)

    def test_itsBaseMayNotBeAboveItsPeak(self) -> None:
        error = self.assertRaises(UsageError, Load, Clock(), base_w=2000, peak_w=1000)
        self.assertIn("base_w=2000 is above peak_w=1000", str(error))


class GridTests(SynchronousTestCase):
    def test_itGivesAndTakesUpToItsFuse(self) -> None:
        grid = Grid(Clock(), fuse_a=16)
        demand = grid.demand()
        assert demand is not None
        self.assertEqual(grid.supply().power_limit, 3680)
        self.assertEqual(demand.power_limit, 3680)

    def test_itSaysWhatItsEnergyCostsAndIsMadeOf(self) -> None:
        supply = parseDevice("grid:price=0.30 EUR,mix=Wind 60/Gas 40", Clock()).supply()
        assert supply is not None and supply.energy_prices is not None
        [price] = supply.energy_prices
        self.assertEqual(price[1:], (0.3, "EUR"))
        self.assertEqual(supply.power_mix, {Source.WIND: 60, Source.GAS: 40})
        self.assertEqual(Grid(Clock()).supply().power_mix, {Source.UNKNOWN: 100})
        self.assertIsNone(Grid(Clock()).supply().energy_prices)

    def test_aPriceOrMixThatIsNoneIsRefused(self) -> None:
        for bad in (
            "price=0.30",
            "price=nan EUR",
            "price=0.30 eur",
            "mix=Wind 60",
            "mix=Wind 60/Wind 40",
            "mix=Wind 110/Gas -10",
            "mix=Wine 100",
            "mix=Wind",
            "mix=Wind nan",
        ):
            with self.assertRaisesRegex(UsageError, "device grid: .*expected"):
                parseDevice(f"grid:{bad}", Clock())

    def test_phasesAddUp(self) -> None:
        self.assertEqual(Grid(Clock(), fuse_a=20, phases=3, voltage=400).rating_w, 24_000)

    def test_withoutFeedInItNeverDraws(self) -> None:
        clock = Clock()
        grid = Grid(clock, feed_in=False)
        self.assertIsNone(grid.demand())
        grid.setLimits(Limits(1000, 0, 1e9))
        clock.advance(1.0)
        self.assertEqual(grid.reading().draw_w, 0.0)
