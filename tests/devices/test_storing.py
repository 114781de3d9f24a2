"""Batteries and cars: what is stored is the integral of the power carried."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.devices.battery import Battery
from epnet.devices.ev import Vehicle
from epnet.devices.reservoir import Reservoir
from epnet.errors import UsageError
from epnet.interfaces import Limits

HOUR = 3600.0
TICK = 0.005

limits = st.lists(
    st.tuples(
        st.sampled_from(("draw", "supply", "both", "none", "shutDown")),
        st.floats(0, 8000),
        st.floats(0, 0.6),
        st.integers(1, 80),
    ),
    max_size=12,
)
"""What is permitted, how much, for how long, and for how many ticks nothing new comes."""


def apply(battery: Battery, clock: Clock, what: str, power_w: float, lasts: float) -> None:
    """Give a battery a permission, or none."""
    if what == "shutDown":
        battery.shutDown("test")
        return
    draw_w = power_w if what in ("draw", "both") else 0.0
    supply_w = power_w if what in ("supply", "both") else 0.0
    battery.setLimits(Limits(draw_w, supply_w, clock.seconds() + lasts))


class ChargeTests(SynchronousTestCase):
    """The state of charge follows the power, whatever the permissions."""

    def battery(self, clock: Clock, soc: float = 50.0, efficiency: float = 81.0) -> Battery:
        return Battery(clock, speed=3600, soc=soc, efficiency=efficiency, min_soc=20, max_soc=90)

    @given(limits, st.sampled_from((20.0, 22.0, 50.0, 88.0, 90.0)))
    @settings(max_examples=60, deadline=None)
    def test_itIsTheIntegralOfThePower(
        self, sequence: list[tuple[str, float, float, int]], soc: float
    ) -> None:
        clock = Clock()
        battery = self.battery(clock, soc)
        stored_wh = battery.reservoir.stored_wh
        for what, power_w, lasts, ticks in sequence:
            apply(battery, clock, what, power_w, lasts)
            for _ in range(ticks):
                clock.advance(TICK / 2)
                reading = battery.reading()
                clock.advance(TICK / 2)
                # At 3600 world seconds a second, W for a second are Wh.
                stored_wh += (reading.draw_w * 0.9 - reading.supply_w / 0.9) * TICK
        storage = battery.storage()
        self.assertApproximates(storage.soc, stored_wh / 100, 0.2)

    @given(limits, st.floats(0, 100))
    @settings(max_examples=60, deadline=None)
    def test_itNeverLeavesItsBounds(
        self, sequence: list[tuple[str, float, float, int]], soc: float
    ) -> None:
        clock = Clock()
        battery = self.battery(clock, soc)
        lowest, highest = min(soc, 20.0), max(soc, 90.0)
        for what, power_w, lasts, ticks in sequence:
            apply(battery, clock, what, power_w, 100 * lasts)
            clock.advance(ticks)
            storage = battery.storage()
            self.assertTrue(lowest - 1e-9 <= storage.soc <= highest + 1e-9, storage.soc)

    @given(st.integers(1, 50))
    def test_itDoesNotMatterHowOftenOneAsks(self, questions: int) -> None:
        clock, stored = Clock(), []
        for count in (1, questions):
            battery = self.battery(clock)
            battery.setLimits(Limits(4000, 0, clock.seconds() + 1.0))
            for _ in range(count):
                clock.advance(2.0 / count)
                battery.reading()
            stored.append(battery.reservoir.stored_wh)
        # 2300 Wh went in; a bend of the ramp inside a step costs about 2 Wh at this speed.
        self.assertApproximates(stored[0], stored[1], 5.0)

    def test_aRampAndAPlateauByHand(self) -> None:
        clock = Clock()
        battery = Battery(clock, speed=3600, soc=50, efficiency=100, capacity_wh=100_000)
        battery.setLimits(Limits(5000, 0, 2.0))
        clock.advance(10.0)
        # 1 s up to 5 kW, 1 s at 5 kW, 0.1 s down.
        self.assertAlmostEqual(battery.storage().soc, 50 + (2500 + 5000 + 250) / 1000, places=3)

    def test_aRampAloneByHand(self) -> None:
        clock = Clock()
        battery = Battery(clock, speed=3600, soc=50, efficiency=100, capacity_wh=100_000)
        battery.setLimits(Limits(5000, 0, 2.0))
        clock.advance(1.0)
        self.assertAlmostEqual(battery.storage().soc, 50 + 2500 / 1000, places=3)

    def test_aNewPermissionDoesNotChangeWhatWasCarried(self) -> None:
        for end in (lambda b: b.setLimits(Limits(0, 0, 0)), lambda b: b.shutDown("test")):
            clock = Clock()
            battery = Battery(clock, speed=3600, soc=50, efficiency=100, capacity_wh=100_000)
            battery.setLimits(Limits(5000, 0, 2.0))
            clock.advance(1.5)
            end(battery)
            clock.advance(1.0)
            gained = battery.storage().soc - 50
            self.assertApproximates(gained, (2500 + 2500 + 250) / 1000, 0.01)

    def test_itGivesNoMoreThanItsTaperAllows(self) -> None:
        clock = Clock()
        battery = self.battery(clock, soc=22.5, efficiency=100)
        battery.setLimits(Limits(0, 5000, 1e9))
        # As far as the ramp is below the taper, 2500 W, the two do not differ.
        clock.advance(0.5)
        before = battery.storage().soc
        power_w = battery.reading().supply_w
        clock.advance(0.02)
        self.assertLess(power_w, 2500)
        self.assertApproximates(before - battery.storage().soc, power_w * 0.02 / 100, 0.02)

    def test_aChargeAndADischargeCostTheRoundTrip(self) -> None:
        clock = Clock()
        battery = Battery(clock, speed=3600, soc=50, efficiency=81)
        battery.setLimits(Limits(1000, 0, 2.0))
        clock.advance(10.0)
        gained = battery.storage().soc - 50
        battery.setLimits(Limits(0, 810, clock.seconds() + 2.0))
        clock.advance(10.0)
        self.assertApproximates(battery.storage().soc, 50, 0.01 * gained)

    def test_aLongPauseCostsNothing(self) -> None:
        clock = Clock()
        battery = self.battery(clock)
        battery.setLimits(Limits(1000, 0, 0.2))
        clock.advance(1.0)
        soc = battery.storage().soc
        clock.advance(1e9)
        self.assertEqual(battery.storage().soc, soc)


class BatteryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def offers(self, soc: float) -> tuple[float, float]:
        """What a battery from 20 to 90 % would supply and draw at a state of charge."""
        battery = Battery(self.clock, soc=soc, min_soc=20, max_soc=90)
        return battery.supply().power_limit, battery.demand().power_limit

    def test_inBetweenItGivesAndTakesAll(self) -> None:
        self.assertEqual(self.offers(50), (5000, 5000))

    def test_itTapersNearFull(self) -> None:
        self.assertApproximates(self.offers(87.5)[1], 2500, 0.01)
        self.assertEqual(self.offers(90), (5000, 0))

    def test_itTapersNearItsReserve(self) -> None:
        self.assertApproximates(self.offers(22.5)[0], 2500, 0.01)
        self.assertEqual(self.offers(20), (0, 5000))

    def test_outsideItsBoundsItMovesTowardsThem(self) -> None:
        self.assertEqual(self.offers(5), (0, 5000))
        self.assertEqual(self.offers(99), (5000, 0))

    def test_itGetsFull(self) -> None:
        battery = Battery(self.clock, soc=80, speed=3600)
        battery.setLimits(Limits(5000, 0, 1e9))
        self.clock.advance(30.0)
        self.assertEqual(battery.demand().power_limit, 0)
        self.assertApproximates(battery.storage().soc, 100, 1e-3)
        self.assertEqual(battery.reading().draw_w, 0.0)

    def test_theLastBitDoesNotTakeForEver(self) -> None:
        battery = Battery(self.clock, soc=99.9, speed=3600)
        battery.setLimits(Limits(5000, 0, 1e9))
        self.clock.advance(0.3)
        self.assertEqual(battery.demand().power_limit, 0)

    def test_itsVoltageRisesWithItsCharge(self) -> None:
        low, high = (Battery(self.clock, soc=soc).voltage_v for soc in (0, 100))
        self.assertEqual((low, high), (360, 440))

    def test_itsBoundsMustLeaveRoom(self) -> None:
        error = self.assertRaises(UsageError, Battery, self.clock, min_soc=50, max_soc=50)
        self.assertIn("min_soc=50 is not below max_soc=50", str(error))


class VehicleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def car(self, **options: float) -> Vehicle:
        return Vehicle(self.clock, start=8 * HOUR, speed=3600, **options)

    def test_itWantsNothingBeforeItIsPluggedIn(self) -> None:
        car = self.car(plug=9 * HOUR)
        self.assertEqual(car.demand().power_limit, 0)
        self.assertIsNone(car.demand().duration)
        self.clock.advance(1.0)
        self.assertEqual(car.demand().power_limit, 11_000)
        self.clock.advance(20.0)
        self.assertEqual(car.demand().power_limit, 11_000)

    def test_itDrawsNothingBeforeItIsPluggedIn(self) -> None:
        car = self.car(plug=9 * HOUR)
        car.setLimits(Limits(11_000, 0, 0.9))
        self.clock.advance(0.9)
        self.assertEqual(car.reading().draw_w, 0.0)
        self.assertEqual(car.storage().soc, 50)

    def test_itSaysHowLongItWillTake(self) -> None:
        # 30 % of 60 kWh at 95 % and 11 kW.
        duration = self.car().demand().duration
        self.assertEqual(duration, round(18 / 0.95 / 11 * HOUR * 1000))

    def test_itChargesToItsTarget(self) -> None:
        car = self.car(soc=70)
        car.setLimits(Limits(11_000, 0, 1e9))
        self.clock.advance(10.0)
        self.assertApproximates(car.storage().soc, 80, 1e-3)
        self.assertEqual(car.storage().soc_target, 80)
        self.assertEqual(car.demand().power_limit, 0)


class ReservoirTests(SynchronousTestCase):
    @given(st.lists(st.floats(-500, 500)), st.floats(0, 100))
    def test_itStaysBetweenFloorAndCeiling(self, energies: list[float], stored: float) -> None:
        reservoir = Reservoir(100.0, stored, 10.0, 90.0, 0.9)
        for energy in energies:
            if energy > 0:
                reservoir.put(energy)
            else:
                reservoir.take(-energy)
            self.assertTrue(min(stored, 10.0) <= reservoir.stored_wh <= max(stored, 90.0))
            self.assertTrue(0.0 <= reservoir.intake() <= 1.0)
            self.assertTrue(0.0 <= reservoir.outlet() <= 1.0)
