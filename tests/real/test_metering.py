"""Meters that are killed: nothing but the last seconds is lost, and nobody sees them fall."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.real.metering import kill


class KillTests(SynchronousTestCase):
    def test_metersSurviveBeingKilled(self) -> None:
        campaign = kill(times=20, speed=5.0)
        self.assertEqual(campaign.kills, 20)
        self.assertGreater(len(campaign.lost), 10)
        self.assertEqual(campaign.backwards, 0)
        self.assertLessEqual(max(campaign.lost), 10.0)
        # What is counted while nobody has been shown it, and nothing else, can be lost.
        self.assertGreater(max(campaign.lost), 0.0)
