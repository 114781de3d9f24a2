"""How set-points move in time: ramps, dead band, confirmed supply, old grants, transfers."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from epnet.router.decisions import Decision, Direction, History, TransferState
from epnet.router.dynamics import ANYWHERE, Draw, Requests, rampStep
from epnet.router.reasons import Reason, Ruling
from epnet.router.supervision import Finding, Watch
from epnet.router.transfers import TABLE, Facts, following


class RampTests(SynchronousTestCase):
    def test_theFullRangeInASecond(self) -> None:
        self.assertEqual(rampStep(22_000, None, 0.1), 2200)

    def test_aRampOfItsOwn(self) -> None:
        self.assertEqual(rampStep(22_000, 500, 0.1), 50)

    def test_aStallOrAClockThatJumpsMakesNoLeap(self) -> None:
        self.assertEqual(rampStep(1000, None, 3600), 200)
        self.assertEqual(rampStep(1000, None, -3600), 0)


class DeadBandTests(SynchronousTestCase):
    def test_aSmallIncreaseWaitsWhileTheTargetMoves(self) -> None:
        approach = ANYWHERE.seeing(1050.0, 10.0)
        self.assertTrue(approach.isHeld(1000.0, 1050.0, 22_000.0, 10.2))

    def test_theLastStepToAConstantTargetIsTaken(self) -> None:
        approach = ANYWHERE.seeing(1050.0, 10.0).seeing(1050.0, 10.3)
        self.assertFalse(approach.isHeld(1000.0, 1050.0, 22_000.0, 10.3))

    def test_theFirstStepIsTaken(self) -> None:
        self.assertFalse(ANYWHERE.seeing(60.0, 10.0).isHeld(0.0, 60.0, 22_000.0, 10.0))

    def test_ofASmallPortItIsTwoPercent(self) -> None:
        approach = ANYWHERE.seeing(1050.0, 10.0)
        self.assertFalse(approach.isHeld(1000.0, 1050.0, 2000.0, 10.0))
        self.assertTrue(approach.isHeld(1020.0, 1050.0, 2000.0, 10.0))


class RequestTests(SynchronousTestCase):
    def test_aSupplyAnswersWhatArrivedBeforeIt(self) -> None:
        requests = Requests()
        requests.sent(1000.0, 10.0)
        self.assertEqual(requests.confirmed(10.1), 0.0)
        self.assertEqual(requests.confirmed(10.16), 1000.0)

    def test_aHigherRequestIsConfirmedLater(self) -> None:
        requests = Requests()
        requests.sent(1000.0, 10.0)
        requests.sent(2000.0, 10.1)
        self.assertEqual(requests.confirmed(10.2), 1000.0)
        self.assertEqual(requests.confirmed(10.26), 2000.0)

    def test_aLowerRequestTakesBackAHigherOne(self) -> None:
        requests = Requests()
        requests.sent(2000.0, 10.0)
        requests.sent(500.0, 10.1)
        requests.sent(2000.0, 10.2)
        self.assertEqual(requests.confirmed(10.3), 500.0)
        self.assertEqual(requests.confirmed(10.4), 2000.0)


class DrawTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.draw = Draw()
        self.draw.lowered(3000.0)

    def test_anOldGrantCountsUntilTheMeterHasFallen(self) -> None:
        self.assertEqual(self.draw.most(1000.0, 2500.0, 10.0), 3000.0)
        self.assertEqual(self.draw.most(1000.0, 1000.0, 10.1), 1000.0)
        self.assertFalse(self.draw.isHigher)

    def test_orUntil500msAfterTheLowerOneWasAcknowledged(self) -> None:
        self.draw.sent(10.0)
        self.draw.heard(10.02)  # on its way before ours arrived
        self.draw.heard(10.2)
        self.assertEqual(self.draw.most(1000.0, 2500.0, 10.6), 3000.0)
        self.assertEqual(self.draw.most(1000.0, 2500.0, 10.7), 1000.0)

    def test_withoutAMeterOrAnswerItGoesOnCounting(self) -> None:
        self.draw.sent(10.0)
        self.assertEqual(self.draw.most(1000.0, None, 20.0), 3000.0)

    def test_aLostDeviceCountsFor500ms(self) -> None:
        self.draw.lost(10.0)
        self.assertEqual(self.draw.most(0.0, 900.0, 10.4), 3000.0)
        self.assertEqual(self.draw.most(0.0, 900.0, 10.5), 0.0)


class TransferTests(SynchronousTestCase):
    WELL = Facts(False, False, False, False, False, True)

    def life(self, *changes: dict[str, bool]) -> list[str]:
        state, facts, states = TransferState.IDLE, self.WELL, []
        for change in changes:
            facts = facts._replace(**change)
            state = following(state, facts)
            states.append(state.value)
        return states

    def test_theLifeOfATransfer(self) -> None:
        self.assertEqual(
            self.life(
                {"offered": True},
                {"asked": True},
                {"granted": True},
                {"flowing": True},
                {"granted": False, "asked": False},
                {"flowing": False, "offered": False},
            ),
            ["offered", "requested", "granted", "active", "draining", "idle"],
        )

    def test_shutDown(self) -> None:
        self.assertEqual(
            self.life(
                {"asked": True, "granted": True, "flowing": True},
                {"barred": True, "cooled": False, "granted": False},
                {"flowing": False},
                {"barred": False, "cooled": True, "asked": False},
            ),
            ["active", "shutdown", "cooldown", "idle"],
        )

    def test_everyStateTakesEveryFacts(self) -> None:
        for state in TransferState:
            for values in product([False, True], repeat=6):
                after = following(state, Facts(*values))
                self.assertIs(following(after, Facts(*values)), after, (state, values))

    def test_nothingButAShutdownLeadsOutOfATransferThatIsBarred(self) -> None:
        barred = Facts(True, True, True, True, True, False)
        for state in TABLE:
            self.assertIn(following(state, barred).value, ("shutdown", "cooldown"))


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watch = Watch(10_000.0)

    def over(self, seconds: float, allowed: float, measured: float) -> list[tuple[float, Finding]]:
        """What is found, and when, looking ten times a second."""
        found = []
        for tick in range(round(seconds * 10)):
            finding = self.watch.carries(allowed, measured, tick / 10)
            if finding is not None:
                found.append((tick / 10, finding))
        return found

    def test_carryingTooMuchIsWarnedOfWithin500msThenCut(self) -> None:
        found = self.over(1.0, 1000.0, 1500.0)
        self.assertEqual(found[0], (0.1, Finding.OVERDRAWING))
        self.assertEqual(found[1], (0.5, Finding.OVERDRAWN))

    def test_afterALowerGrantADeviceHasTimeToFollow(self) -> None:
        self.watch.carries(3000.0, 3000.0, 0.0)
        self.assertEqual(self.watch.carries(1000.0, 3000.0, 0.1), None)
        self.assertEqual(self.watch.carries(1000.0, 3000.0, 0.2), None)
        self.assertEqual(self.watch.carries(1000.0, 3000.0, 0.3), None)
        self.assertEqual(self.watch.carries(1000.0, 3000.0, 0.4), Finding.OVERDRAWING)

    def test_aMeterThatReadsNoNumberFindsNothing(self) -> None:
        self.assertEqual(self.over(2.0, 1000.0, float("nan")), [])

    def test_meterAndReportHaveToAgree(self) -> None:
        for tick in range(20):
            self.assertIsNone(self.watch.agrees((400, 5000), (400, 4000), tick / 10))
        self.assertIs(self.watch.agrees((400, 5000), (400, 4000), 2.0), Finding.MISMATCHED)

    def test_aMomentOfDifferenceIsARamp(self) -> None:
        for tick in range(100):
            reported = (400, 4000) if tick % 20 < 10 else (400, 4900)
            self.assertIsNone(self.watch.agrees((400, 5000), reported, tick / 10))

    def test_theVoltageHasToAgreeToo(self) -> None:
        self.watch.agrees((400, 5000), (350, 5000), 0.0)
        self.assertIs(self.watch.agrees((400, 5000), (350, 5000), 2.0), Finding.MISMATCHED)


class HistoryTests(SynchronousTestCase):
    """What an operator calls a change."""

    def setUp(self) -> None:
        self.history = History()

    def note(
        self, at: float, power: float, cause: Reason, now: Reason | None = None, by: str = ""
    ) -> None:
        state, target = TransferState.ACTIVE, Ruling(cause, 5000.0, by)
        ruling = target if now is None else Ruling(now, 5000.0)
        self.history.note(
            Decision(at, Direction.EXPORT, state, power, 5000.0, 5000.0, ruling, target)
        )

    def changes(self) -> list[tuple[float, float, float, float, Reason]]:
        return [
            (c.since, c.until, c.before_w, c.after.power_w, c.after.cause.reason)
            for c in self.history.changes
        ]

    def test_aRampIsOneChangeWithTheCauseOfItsTarget(self) -> None:
        self.note(0.0, 0.0, Reason.SUPPLY)
        self.note(2.0, 0.0, Reason.REQUEST, Reason.UNCONFIRMED)
        for step in range(1, 10):
            waits = (Reason.RAMP, Reason.UNCONFIRMED, Reason.OLD_GRANTS)[step % 3]
            self.note(2.0 + step / 10, 500.0 * step, Reason.REQUEST, waits)
        self.note(3.0, 4950.0, Reason.REQUEST, Reason.DEAD_BAND)
        self.note(3.4, 5000.0, Reason.REQUEST)
        self.assertEqual(self.changes()[1:], [(2.0, 3.4, 0.0, 5000.0, Reason.REQUEST)])
        self.assertEqual(self.history.decisions[Direction.EXPORT].power_w, 5000.0)

    def test_theOtherWayIsAnotherChange(self) -> None:
        for at, power in enumerate((1000.0, 2000.0, 3000.0, 2500.0, 1500.0)):
            self.note(float(at), power, Reason.REQUEST)
        self.assertEqual([change[2:4] for change in self.changes()], [(0, 3000), (3000, 1500)])

    def test_smallStepsBackAreNone(self) -> None:
        for at, power in enumerate((1000.0, 2000.0, 3000.0, 2990.0, 3100.0, 2960.0)):
            self.note(float(at), power, Reason.REQUEST)
        self.assertEqual(self.changes(), [(0.0, 5.0, 0.0, 2960.0, Reason.REQUEST)])

    def test_manySmallStepsBackAreOne(self) -> None:
        for step in range(10):
            self.note(float(step), 300.0 * step, Reason.REQUEST)
        for step in range(10):
            self.note(10.0 + step, 2700.0 - 50.0 * step, Reason.REQUEST)
        self.assertEqual([change[2:4] for change in self.changes()], [(0, 2600), (2600, 2250)])

    def test_whoHasRestedChangesAnew(self) -> None:
        for at, power in ((0.0, 1000.0), (1.0, 2000.0), (7.0, 3000.0)):
            self.note(at, power, Reason.REQUEST)
        self.assertEqual([change[2:4] for change in self.changes()], [(0, 2000), (2000, 3000)])

    def test_aMomentaryCauseThatMovesNothingIsForgotten(self) -> None:
        self.note(0.0, 3000.0, Reason.SHARE)
        for step in range(20):
            self.note(5.0 + step / 10, 3000.0 + step, (Reason.OFFER, Reason.SHARE)[step % 2])
        self.assertEqual(self.changes(), [(0.0, 6.9, 0.0, 3019.0, Reason.SHARE)])

    def test_aMomentaryShutdownIsNot(self) -> None:
        for at, power, cause in (
            (0.0, 3000.0, Reason.REQUEST),
            (9.0, 0.0, Reason.COOLDOWN),
            (9.5, 3000.0, Reason.REQUEST),
        ):
            self.note(at, power, cause)
        self.assertEqual([change[3] for change in self.changes()], [3000.0, 0.0, 3000.0])

    def test_toWaitAtRestIsNone(self) -> None:
        for at, cause in enumerate((Reason.SPARE, Reason.REVERSAL, Reason.SPARE)):
            self.note(2.0 * at, 0.0, cause)
        self.assertEqual(len(self.changes()), 1)

    def test_whoRulesIsPartOfTheCause(self) -> None:
        for at, by in enumerate(("group a", "group b", "group b")):
            self.note(2.0 * at, 1000.0, Reason.GROUP, by=by)
        self.assertEqual([change[0] for change in self.changes()], [0.0, 2.0])

    def test_theFirstFewWattsAreAChange(self) -> None:
        self.note(0.0, 0.0, Reason.SUPPLY)
        self.note(9.0, 20.0, Reason.SUPPLY)
        self.assertEqual(len(self.changes()), 2)

    def test_tenAreKept(self) -> None:
        for step in range(30):
            self.note(2.0 * step, 1000.0, (Reason.REQUEST, Reason.SUPPLY)[step % 2])
        self.assertEqual([change[0] for change in self.changes()], [*range(40, 60, 2)])

    def test_everyReasonHasItsSentences(self) -> None:
        for reason in Reason:
            ruling = Ruling(reason, 5.0, "x")
            self.assertNotIn("{", ruling.text + ruling.more)
