"""How Python collects garbage once a program is up."""

import gc

from twisted.trial.unittest import SynchronousTestCase

from epnet.memory import settle


class SettleTests(SynchronousTestCase):
    def test_whatIsThereIsSparedAndTheOldAreRarelyLookedAt(self) -> None:
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        settle()
        self.assertGreater(gc.get_freeze_count(), 1000)
        young, middle, old = gc.get_threshold()
        self.assertGreaterEqual(young * middle * old, 1_000_000)
