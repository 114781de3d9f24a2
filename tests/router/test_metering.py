"""Meters: exact, only ever rising, with their gaps and refusals."""

from __future__ import annotations

from fractions import Fraction
from math import inf, nan

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.metering import GAP, Meter

watts = st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, 1e12]))
steps = st.floats(0.000001, 0.2)
anything = st.one_of(watts, st.floats(), st.sampled_from([nan, inf, -inf, -1.0, 1e13]))


class CountingTests(SynchronousTestCase):
    def test_aKilowattForAnHourIsAKilowattHour(self) -> None:
        meter = Meter()
        for tick in range(36_001):
            meter.read(tick / 10, 1000.0, 0.0)
        self.assertEqual(meter.imported.millijoules, 3_600_000_000)
        self.assertEqual(meter.exported.millijoules, 0)
        self.assertEqual((meter.gaps, meter.refused), (0, 0))

    def test_aRampCountsByItsMiddle(self) -> None:
        meter = Meter()
        meter.read(0.0, 0.0, 0.0)
        meter.read(0.2, 0.0, 100.0)
        self.assertEqual(meter.exported.millijoules, 10_000)

    def test_theFirstReadingCountsNothing(self) -> None:
        meter = Meter()
        self.assertTrue(meter.idle)
        meter.read(1000.0, 5000.0, 5000.0)
        self.assertTrue(meter.idle)

    def test_nothingIsCountedAcrossAGap(self) -> None:
        meter = Meter()
        meter.read(0.0, 1000.0, 0.0)
        meter.read(0.2, 1000.0, 0.0)
        self.assertEqual((meter.imported.millijoules, meter.gaps), (200_000, 0))
        meter.read(0.400001, 1000.0, 0.0)
        self.assertEqual(meter.imported.millijoules, 200_000)
        self.assertEqual((meter.gaps, meter.gapMicroseconds), (1, 200_001))
        meter.read(0.5, 1000.0, 0.0)
        self.assertEqual(meter.imported.millijoules, 299_999)

    def test_aRefusedReadingIsBridgedIfTheNextIsNear(self) -> None:
        for bad in (nan, inf, -inf, -0.001, 1.1e12):
            meter = Meter()
            meter.read(0.0, 1000.0, 0.0)
            meter.read(0.1, bad, 0.0)
            meter.read(0.1, 0.0, bad)
            meter.read(0.2, 1000.0, 0.0)
            self.assertEqual(meter.refused, 2)
            self.assertEqual(meter.imported.millijoules, 200_000)

    def test_aReadingOutOfOrderIsRefused(self) -> None:
        meter = Meter()
        meter.read(1.0, 1000.0, 0.0)
        meter.read(0.9, 1000.0, 0.0)
        meter.read(1.1, 1000.0, 0.0)
        self.assertEqual(meter.refused, 1)
        self.assertEqual(meter.imported.millijoules, 100_000)

    def test_whatIsEstimatedIsToldApart(self) -> None:
        meter = Meter()
        meter.read(0.0, 1000.0, 0.0)
        meter.read(0.1, 1000.0, 0.0)
        meter.read(0.2, 1000.0, 0.0, estimated=True)
        meter.read(0.3, 1000.0, 0.0)
        meter.read(0.4, 1000.0, 0.0)
        self.assertEqual(meter.imported.millijoules, 400_000)
        self.assertEqual(meter.imported.estimated, 200_000)


class Properties(SynchronousTestCase):
    @given(st.lists(st.tuples(steps, watts), min_size=1, max_size=50), watts)
    def test_theSumIsExact(self, readings: list[tuple[float, float]], first_w: float) -> None:
        meter = Meter()
        meter.read(0.0, first_w, 0.0)
        now, energy, last = 0.0, Fraction(0), (0, round(first_w * 1000))
        for step, power_w in readings:
            now += step
            at = (round(now * 1e6), round(power_w * 1000))
            if at[0] - last[0] <= GAP:
                energy += Fraction((at[0] - last[0]) * (at[1] + last[1]), 2)  # nJ
            meter.read(now, power_w, 0.0)
            last = at
        self.assertEqual(meter.imported.millijoules, energy // 1_000_000)

    @given(watts, watts, st.integers(2, GAP), st.data())
    def test_readingALineOnceMoreChangesLittle(
        self, before_w: float, after_w: float, length: int, data: st.DataObject
    ) -> None:
        middle = data.draw(st.integers(1, length - 1))
        between_w = before_w + (after_w - before_w) * middle / length
        whole, split = Meter(), Meter()
        for meter in (whole, split):
            meter.read(0.0, 0.0, before_w)
        split.read(middle / 1e6, 0.0, between_w)
        for meter in (whole, split):
            meter.read(length / 1e6, 0.0, after_w)
        # 50 µJ, a floating-point step of the power between, and the millijoule of the display.
        allowed = 1 + 1e-15 * max(before_w, after_w) * 1000
        self.assertLessEqual(abs(whole.exported.millijoules - split.exported.millijoules), allowed)

    @given(st.lists(st.tuples(st.floats(0, 1e6), anything, anything, st.booleans())))
    @example([(0.0, 5.0, 0.0, False), (0.1, nan, inf, False), (0.05, -5.0, -inf, True)])
    def test_countersNeverFallWhateverArrives(
        self, readings: list[tuple[float, float, float, bool]]
    ) -> None:
        meter = Meter()
        shown = [0] * 7
        for now, import_w, export_w, estimated in readings:
            meter.read(now, import_w, export_w, estimated)
            newly = [
                meter.imported.millijoules,
                meter.imported.estimated,
                meter.exported.millijoules,
                meter.exported.estimated,
                meter.gaps,
                meter.gapMicroseconds,
                meter.refused,
            ]
            self.assertTrue(all(map(int.__ge__, newly, shown)), (shown, newly))
            shown = newly
        self.assertLessEqual(meter.imported.estimated, meter.imported.millijoules)
