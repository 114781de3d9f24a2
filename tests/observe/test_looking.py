"""How observers look: all share a snapshot, and a large router is looked at a little at a time."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.observe import looking
from tests.observe.house import House


class SoonTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(looking, "AT_ONCE", 3)
        self.house = House()
        self.house.makeSite()
        self.snapshots = self.house.snapshots
        for number in range(10):
            self.house.plugIn(f"car-{number}", "vehicle")

    def turn(self) -> None:
        """Let what is due now be done; what becomes due by that is left."""
        for call in self.house.clock.getDelayedCalls():
            if call.getTime() <= self.house.clock.seconds():
                self.house.clock.calls.remove(call)
                call.func(*call.args, **call.kw)

    def test_aFewDevicesInEachTurn(self) -> None:
        looked = self.snapshots.soon()
        for _ in range(3):
            self.assertNoResult(looked)
            self.turn()
        state = self.successResultOf(looked)
        self.assertEqual(state["devices"], self.house.look()["devices"])

    def test_whoComesMeanwhileSharesIt(self) -> None:
        first, second = self.snapshots.soon(), self.snapshots.soon()
        self.house.clock.advance(0)
        third = self.snapshots.soon()
        states = [self.successResultOf(each) for each in (first, second, third)]
        self.assertEqual({id(state) for state in states}, {id(self.snapshots.state())})

    def test_whoComesAndGoesMeanwhileIsNoMistake(self) -> None:
        looked = self.snapshots.soon()
        self.turn()
        del self.house.router.ports["car-9"]
        self.house.plugIn("boat", "vehicle")
        self.house.clock.advance(0)
        devices = self.successResultOf(looked)["devices"]
        self.assertEqual([each["identity"] for each in devices], [f"car-{n}" for n in range(9)])

    def test_aMistakeIsToldAndEndsNothing(self) -> None:
        self.patch(looking, "stateWith", lambda *_: 1 // 0)
        looked = self.snapshots.soon()
        self.house.clock.advance(0)
        self.failureResultOf(looked, ZeroDivisionError)
        self.flushLoggedErrors()
        again = self.snapshots.soon()
        self.house.clock.advance(0)
        self.failureResultOf(again, ZeroDivisionError)
