"""The simulated converter of a router port."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.interfaces import IPort, PortReading
from epnet.router.converter import SimulatedConverter
from epnet.testing import ConverterContract


class ContractTests(ConverterContract, SynchronousTestCase):
    rating_w = 10_000.0

    def makeConverter(self, clock: Clock) -> IPort:
        return SimulatedConverter(clock, self.rating_w)


class SimulatedConverterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.port = SimulatedConverter(self.clock, 10_000.0, voltage_v=400.0)

    def test_itIsAPort(self) -> None:
        verifyObject(IPort, self.port)

    def test_itStartsOpen(self) -> None:
        self.port.setLimits(5000, 0, 100.0)
        self.clock.advance(1.0)
        self.assertFalse(self.port.isClosed)
        self.assertEqual(self.port.reading(), PortReading(400.0, 0.0, 0.0))

    def test_importFollowsItsSetPoint(self) -> None:
        self.port.close()
        self.port.setLimits(5000, 0, 100.0)
        self.clock.advance(0.25)
        self.assertEqual(self.port.reading(), PortReading(400.0, 2500.0, 0.0))
        self.clock.advance(0.25)
        self.assertEqual(self.port.reading(), PortReading(400.0, 5000.0, 0.0))

    def test_exportFollowsItsSetPoint(self) -> None:
        self.port.close()
        self.port.setLimits(0, 5000, 100.0)
        self.clock.advance(1.0)
        self.assertEqual(self.port.reading(), PortReading(400.0, 0.0, 5000.0))

    def test_aDecreaseTakesAtMost100ms(self) -> None:
        self.port.close()
        self.port.setLimits(0, 10_000, 100.0)
        self.clock.advance(1.0)
        self.port.setLimits(0, 0, 100.0)
        self.clock.advance(0.1)
        self.assertAlmostEqual(self.port.reading().export_w, 0.0, places=6)
        self.assertTrue(self.port.isClosed)

    def test_setPointsExpireWithoutACall(self) -> None:
        self.port.close()
        self.port.setLimits(0, 1000, 0.2)
        self.clock.advance(0.2)
        self.assertAlmostEqual(self.port.reading().export_w, 1000.0)
        self.clock.advance(0.1)
        self.assertEqual(self.port.reading().export_w, 0.0)

    def test_openedItCarriesNothingWithin100ms(self) -> None:
        self.port.close()
        self.port.setLimits(10_000, 0, 100.0)
        self.clock.advance(1.0)
        self.port.open()
        self.clock.advance(0.1)
        self.assertFalse(self.port.isClosed)
        self.assertEqual(self.port.reading().import_w, 0.0)

    def test_openedItTakesNoSetPoints(self) -> None:
        self.port.close()
        self.port.open()
        self.port.setLimits(10_000, 0, 100.0)
        self.clock.advance(1.0)
        self.assertEqual(self.port.reading().import_w, 0.0)

    def test_withoutAMeterItReadsNothing(self) -> None:
        port = SimulatedConverter(self.clock, 10_000.0, meters=False)
        port.close()
        port.setLimits(5000, 0, 100.0)
        self.clock.advance(1.0)
        self.assertIsNone(port.reading())
        self.assertTrue(port.isClosed)
