"""The contract of `IPort` as tests, for converters of any making."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from epnet.interfaces import IPort, PortReading
from epnet.testing.contract import FALL_SECONDS, LONG, OPEN_SECONDS, ROUNDING

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _Base
else:
    _Base = object


class ConverterContract(_Base):
    """Mix it into a test case of trial and say how to make the converter; the tests come with it::

        class InverterTests(ConverterContract, SynchronousTestCase):
            rating_w = 11_000.0

            def makeConverter(self, clock):
                return Inverter(clock)

    What it is connected to gives and takes all that it may.  A converter without a meter needs a
    `measured` that finds out what flows.

    rating_w: the most that it converts, W.
    settleSeconds: how long it may take to carry that, s.
    """

    rating_w: ClassVar[float]
    settleSeconds: ClassVar[float] = 5.0

    def makeConverter(self, clock: Clock) -> IPort:
        """A new converter that lives by this clock."""
        raise NotImplementedError("override makeConverter: it says which converter to test")

    def measured(self, converter: IPort) -> PortReading:
        """What flows through it now."""
        reading = converter.reading()
        assert reading is not None, "override measured() for a converter without a meter"
        return reading

    # Tools

    def new(self) -> tuple[IPort, Clock]:
        """A converter, some time after the beginning of time."""
        clock = Clock()
        clock.advance(LONG)
        return self.makeConverter(clock), clock

    def running(self) -> Iterator[tuple[IPort, Clock, bool]]:
        """A converter at its full power, inwards, and then another one outwards."""
        for inwards in (True, False):
            converter, clock = self.new()
            self.allow(converter, clock, inwards, self.rating_w)
            clock.advance(self.settleSeconds)
            self.assertGreater(self.flows(converter, inwards), 0.0, "it carries nothing")
            yield converter, clock, inwards

    def allow(
        self,
        converter: IPort,
        clock: Clock,
        inwards: bool,
        power_w: float,
        seconds: float = LONG,
    ) -> None:
        """Let it carry that much for so long, as a router does."""
        if power_w > 0.0:
            converter.close()
        limits = (power_w, 0.0) if inwards else (0.0, power_w)
        converter.setLimits(*limits, clock.seconds() + seconds)

    def flows(self, converter: IPort, inwards: bool) -> float:
        """What flows that way, W; nothing may the other way."""
        reading = self.measured(converter)
        self.assertGreaterEqual(min(reading.import_w, reading.export_w), 0.0)
        wanted, other = reading.import_w, reading.export_w
        if not inwards:
            wanted, other = other, wanted
        self.assertEqual(other, 0.0, "it flows the other way")
        return wanted

    def assertNothingFlows(self, converter: IPort) -> None:
        """Nothing does, either way."""
        reading = self.measured(converter)
        self.assertLessEqual(max(reading.import_w, reading.export_w), ROUNDING * self.rating_w)

    # The contract

    def test_1_itIsAConverter(self) -> None:
        converter, _ = self.new()
        verifyObject(IPort, converter)
        self.assertIsInstance(converter.reading(), PortReading | None)

    def test_2_nothingFlowsThroughAnOpenContactor(self) -> None:
        for inwards in (True, False):
            converter, clock = self.new()
            limits = (self.rating_w, 0.0) if inwards else (0.0, self.rating_w)
            converter.setLimits(*limits, clock.seconds() + LONG)
            for _ in range(10):
                clock.advance(self.settleSeconds / 10)
                self.assertNothingFlows(converter)

    def test_2_neverMoreThanAllowed(self) -> None:
        for converter, clock, inwards in self.running():
            for part in (0.5, 0.1, 0.7, 0.0):
                self.allow(converter, clock, inwards, part * self.rating_w)
                clock.advance(FALL_SECONDS)
                most_w = (part + ROUNDING) * self.rating_w
                for _ in range(round(self.settleSeconds / 0.05)):
                    self.assertLessEqual(self.flows(converter, inwards), most_w)
                    clock.advance(0.05)

    def test_3_limitsEndByThemselves(self) -> None:
        for converter, clock, inwards in self.running():
            self.allow(converter, clock, inwards, self.rating_w, seconds=0.2)
            # Nobody calls; not even to ask.
            clock.advance(0.2 + FALL_SECONDS)
            self.assertNothingFlows(converter)

    def test_3_oneThatHasExpiredAllowsNothing(self) -> None:
        converter, clock = self.new()
        for inwards in (True, False):
            self.allow(converter, clock, inwards, self.rating_w, seconds=-1.0)
            clock.advance(FALL_SECONDS)
            self.assertNothingFlows(converter)

    def test_4_openingTakesAtMost100ms(self) -> None:
        for converter, clock, _ in self.running():
            converter.open()
            clock.advance(FALL_SECONDS / 2)
            converter.open()
            clock.advance(FALL_SECONDS / 2)
            self.assertNothingFlows(converter)

    def test_5_whatWasAllowedBeforeItOpenedIsWorthNothing(self) -> None:
        for converter, clock, _ in self.running():
            converter.open()
            clock.advance(OPEN_SECONDS)
            converter.close()
            for _ in range(10):
                clock.advance(self.settleSeconds / 10)
                self.assertNothingFlows(converter)

    def test_5_newLimitsLetItFlowAgain(self) -> None:
        for converter, clock, inwards in self.running():
            converter.open()
            clock.advance(OPEN_SECONDS)
            self.allow(converter, clock, inwards, self.rating_w)
            clock.advance(self.settleSeconds)
            self.assertGreater(self.flows(converter, inwards), 0.0)
