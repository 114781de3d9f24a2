"""A ramp behind a contactor."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.devices.ramp import Flow
from epnet.devices.stage import PowerStage

FOREVER = 1e9


class PowerStageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def running(self, fallSeconds: float = 0.1) -> PowerStage:
        """A stage that draws its full 1000 W."""
        stage = PowerStage(self.clock, 1000.0, fallSeconds=fallSeconds)
        stage.close()
        stage.setLimits(1000, 0, FOREVER)
        self.clock.advance(1.0)
        self.assertEqual(stage.flow(), Flow(1000.0, 0.0))
        return stage

    def test_nothingFlowsBeforeItIsClosed(self) -> None:
        stage = PowerStage(self.clock, 1000.0)
        stage.setLimits(1000, 0, FOREVER)
        self.clock.advance(2.0)
        self.assertFalse(stage.isClosed)
        self.assertEqual(stage.flow(), Flow(0.0, 0.0))

    def test_limitsGivenWhileOpenAreNotFollowedLater(self) -> None:
        stage = PowerStage(self.clock, 1000.0)
        stage.setLimits(1000, 0, FOREVER)
        stage.close()
        self.clock.advance(2.0)
        self.assertEqual(stage.flow(), Flow(0.0, 0.0))

    def test_itOpensAtNearZeroCurrent(self) -> None:
        stage = self.running()
        stage.open()
        self.clock.advance(0.05)
        self.assertTrue(stage.isClosed)
        self.assertAlmostEqual(stage.flow().draw_w, 500.0)
        self.clock.advance(0.0495)
        self.assertFalse(stage.isClosed)
        self.assertEqual(stage.flow(), Flow(0.0, 0.0))

    def test_nearZeroIsAPartOfItsRating(self) -> None:
        stage = self.running()
        stage.rate(100_000.0)
        stage.open()
        self.assertFalse(stage.isClosed)

    def test_itOpensAfterHalfASecondWhateverFlows(self) -> None:
        stage = self.running(fallSeconds=10.0)
        stage.open()
        self.clock.advance(0.49)
        self.assertGreater(stage.flow().draw_w, 900.0)
        self.clock.advance(0.02)
        self.assertFalse(stage.isClosed)
        self.assertEqual(stage.flow(), Flow(0.0, 0.0))

    def test_closedAgainItStartsFromZero(self) -> None:
        stage = self.running(fallSeconds=10.0)
        stage.open()
        self.clock.advance(0.6)
        stage.close()
        self.assertEqual(stage.flow(), Flow(0.0, 0.0))

    def test_beingToldAgainDoesNotHoldUpTheOpening(self) -> None:
        stage = self.running(fallSeconds=10.0)
        for _ in range(6):
            stage.open()
            self.clock.advance(0.1)
        self.assertFalse(stage.isClosed)

    def test_limitsDoNotStopTheOpening(self) -> None:
        stage = self.running()
        stage.open()
        stage.setLimits(1000, 0, FOREVER)
        self.clock.advance(0.1)
        self.assertFalse(stage.isClosed)

    def test_closingStopsTheOpening(self) -> None:
        stage = self.running()
        stage.open()
        self.clock.advance(0.05)
        stage.close()
        stage.setLimits(1000, 0, FOREVER)
        self.clock.advance(1.0)
        self.assertEqual(stage.flow(), Flow(1000.0, 0.0))
