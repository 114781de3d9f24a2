"""Routers speak to one another often enough, however seldom they speak to everybody else."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.limits import SessionSettings
from epnet.wire import RouterPath
from tests.street.street import House, Street, grantsAreCovered, invariantsHold, linksHold


class PaceTests(SynchronousTestCase):
    def street(self, publish_hz: float) -> tuple[House, House]:
        """A house with a grid, and one under it that needs some of it."""
        self.clocked = street = Street()
        street.checks = [invariantsHold, grantsAreCovered, linksHold]
        upper, lower = street.house("upper"), street.house("lower")
        for house in (upper, lower):
            house.connections.sessionSettings = SessionSettings(publish=1 / publish_hz)
        street.connect(lower, upper)
        upper.gadget("grid", offer_w=9000.0)
        lower.gadget("lamp", wish_w=1000.0)
        return upper, lower

    def test_aSlowPaceKeepsNobodyApart(self) -> None:
        for publish_hz in (1, 2, 5, 10):
            _, lower = self.street(publish_hz)
            self.clocked.run(3.0)
            for _ in range(20):
                self.clocked.run(0.1)
                self.assertEqual(round(lower.granted("lamp")), 1000, f"{publish_hz} Hz")

    def test_noMoreIsSaidThanBefore(self) -> None:
        upper, lower = self.street(10)
        lower.unplug("lamp")
        self.clocked.run(3.0)
        before = upper.connections.sent[RouterPath]
        self.clocked.run(10.0)
        self.assertLessEqual(upper.connections.sent[RouterPath] - before, 101)
