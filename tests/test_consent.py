"""How much a Supply and a Demand together allow, and when a transfer is ongoing."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.consent import (
    IsolationGuard,
    Transfer,
    allowedPower,
    blocksPower,
    offeredPower,
    requestedPower,
    withheldDemand,
    withheldSupply,
)
from epnet.wire import (
    DemandParameters,
    Isolation,
    IsolationState,
    SupplyParameters,
    decode,
    encodeFrame,
)

amounts = st.none() | st.floats(0, 1e5)


class AllowedPowerTests(SynchronousTestCase):
    supply = SupplyParameters(voltage_limit=(200, 250), current_limit=(0, 20), power_limit=5000)
    demand = DemandParameters(voltage=230, current_limit=16, power_limit=3000)

    def test_theLeastOfAllLimits(self) -> None:
        cases = [
            (self.supply, self.demand, 3000),
            (self.supply.replace(power_limit=2000), self.demand, 2000),
            (self.supply.replace(current_limit=(0, 5)), self.demand, 1150),
            (self.supply, self.demand.replace(power_limit=None), 3680),
            (self.supply, self.demand.replace(current=4), 920),
            (self.supply, DemandParameters(voltage=230, current=10), 2300),
            (SupplyParameters(power_limit=100), DemandParameters(power_limit=80), 80),
        ]
        for supply, demand, expected in cases:
            self.assertAlmostEqual(allowedPower(supply, demand), expected)

    def test_nothingWithoutBoth(self) -> None:
        self.assertEqual(allowedPower(None, self.demand), 0)
        self.assertEqual(allowedPower(self.supply, None), 0)

    def test_nothingWithoutAnyLimit(self) -> None:
        self.assertEqual(allowedPower(SupplyParameters(voltage_limit=(200, 250)), self.demand), 0)
        self.assertEqual(allowedPower(self.supply, DemandParameters(voltage=230)), 0)

    def test_nothingWhereVoltagesDoNotMeet(self) -> None:
        for demand in (
            self.demand.replace(voltage=400),
            self.demand.replace(voltage=48),
            DemandParameters(voltage_limit=48, power_limit=3000),
        ):
            self.assertEqual(allowedPower(self.supply, demand), 0)

    def test_nothingAtMoreVoltageThanSomebodyBears(self) -> None:
        cases = [
            (self.supply.replace(voltage=251), self.demand),  # above its own window
            (self.supply.replace(voltage=240), self.demand.replace(voltage_limit=235)),
            (self.supply, self.demand.replace(voltage=230, voltage_limit=220)),
            (SupplyParameters(power_limit=5000), DemandParameters(voltage=-230, power_limit=100)),
        ]
        for supply, demand in cases:
            self.assertEqual(allowedPower(supply, demand), 0)

    def test_anOpenContactorMeasuresNoVoltage(self) -> None:
        self.assertEqual(allowedPower(self.supply.replace(voltage=0), self.demand), 3000)

    def test_aCurrentWithoutAVoltageAllowsNothing(self) -> None:
        self.assertEqual(requestedPower(DemandParameters(current_limit=16)), 0)
        self.assertEqual(requestedPower(DemandParameters(current_limit=16), 230), 3680)
        self.assertEqual(offeredPower(SupplyParameters(current_limit=(0, 16), power_limit=9)), 0)

    def test_currentsOfASupplyAtTheDemandedThenMeasuredThenLowestVoltage(self) -> None:
        supply = SupplyParameters(current_limit=(0, 10), voltage=240, voltage_limit=(200, 250))
        self.assertEqual(offeredPower(supply, 230), 2300)
        self.assertEqual(offeredPower(supply), 2400)
        self.assertEqual(offeredPower(supply.replace(voltage=None)), 2000)

    def test_aDemandThatLeavesTheVoltageToTheSupplierIsReckonedAtThat(self) -> None:
        demand = DemandParameters(current_limit=10)
        window = SupplyParameters(voltage_limit=(200, 250), power_limit=5000)
        cases = [
            (window.replace(voltage=240), 2400),  # as measured
            (window, 2000),  # the least that its window makes of the current
            (window.replace(voltage=0), 2000),  # behind an open contactor
            (window.replace(voltage=190), 2000),
            (window.replace(voltage=251), 0),  # above its own window: nothing meets that
            (SupplyParameters(voltage=240, power_limit=5000), 2400),
            (SupplyParameters(power_limit=5000), 0),  # nobody names a voltage
        ]
        for supply, expected in cases:
            self.assertEqual(allowedPower(supply, demand), expected)

    def test_anOpenContactorDoesNotKeepACurrentLimitAtNothing(self) -> None:
        supply = SupplyParameters(voltage_limit=(200, 250), current_limit=(0, 10), voltage=0)
        self.assertEqual(allowedPower(supply, DemandParameters(power_limit=9000)), 2000)
        self.assertEqual(offeredPower(supply), 2000)

    def test_M6_reverseDemandIsNoRequest(self) -> None:
        self.assertEqual(requestedPower(DemandParameters(voltage=230, current=-10)), 0)

    def test_M6_norIsItOneAtAVoltageBelowZero(self) -> None:
        """As a meter shows that is connected the wrong way round: two signs are no permission."""
        supplies = [
            SupplyParameters(voltage=-230, power_limit=1000),
            SupplyParameters(voltage_limit=(-250, -200), power_limit=1000),
            SupplyParameters(voltage_limit=(-250, 250), power_limit=1000),
        ]
        for supply in supplies:
            for demand in (DemandParameters(current=-10), DemandParameters(current_limit=-10)):
                self.assertEqual(allowedPower(supply, demand), 0)
        backwards = supplies[0].replace(current_limit=(-20, -10), power_limit=None)
        self.assertEqual(allowedPower(backwards, DemandParameters(power_limit=1000)), 0)

    def test_isolationFaultBlocks(self) -> None:
        faulty = self.supply.replace(isolation=Isolation(IsolationState.FAULT, 10, 10))
        self.assertTrue(blocksPower(faulty))
        self.assertEqual(allowedPower(faulty, self.demand), 0)

    def test_whatIsNotUnderstoodBlocks(self) -> None:
        for isolation in ("a1185083 07f6f6", "a1185083 61 61 f6f6"):
            payload = bytes.fromhex("a2 02a112191388 07" + isolation)
            supply = decode(encodeFrame(SupplyParameters.typeId, payload)).message
            assert isinstance(supply, SupplyParameters)
            self.assertTrue(blocksPower(supply))

    def test_otherIsolationStatesDoNot(self) -> None:
        for state in (IsolationState.UNKNOWN, IsolationState.OK, IsolationState.WARNING):
            supply = self.supply.replace(isolation=Isolation(state, None, None))
            self.assertEqual(allowedPower(supply, self.demand), 3000)

    def test_withheldAllowsNothing(self) -> None:
        self.assertEqual(allowedPower(withheldSupply(self.supply), self.demand), 0)
        self.assertEqual(allowedPower(self.supply, withheldDemand(self.demand)), 0)

    @given(amounts, amounts, amounts, amounts, st.none() | st.floats(-100, 1e3))
    def test_neverAboveAnyLimitAndNeverNegative(
        self,
        offered: float | None,
        offeredCurrent: float | None,
        wanted: float | None,
        wantedCurrent: float | None,
        current: float | None,
    ) -> None:
        allowed = allowedPower(
            SupplyParameters(
                current_limit=None if offeredCurrent is None else (0, offeredCurrent),
                power_limit=offered,
            ),
            DemandParameters(
                voltage=230, current=current, current_limit=wantedCurrent, power_limit=wanted
            ),
        )
        self.assertGreaterEqual(allowed, 0)
        for limit in (offered, wanted):
            self.assertLessEqual(allowed, float("inf") if limit is None else limit)
        for amperes in (offeredCurrent, wantedCurrent, current):
            if amperes is not None:
                self.assertLessEqual(allowed, max(0, amperes * 230))


class IsolationGuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.guard = IsolationGuard()
        self.now = 0.0

    def note(self, state: IsolationState | None, seconds: float = 0.0) -> bool:
        """Report a state from now until so many seconds later; whether it blocks then."""
        isolation = None if state is None else Isolation(state)
        until = self.now + seconds
        self.guard.note(SupplyParameters(isolation=isolation), self.now)
        while self.now < until:
            self.now += 0.5
            self.guard.note(SupplyParameters(isolation=isolation), self.now)
        return self.guard.blocked

    def test_onlyAFaultBlocks(self) -> None:
        for state in (None, IsolationState.OK, IsolationState.WARNING, IsolationState.UNKNOWN):
            self.assertFalse(self.note(state, 100))
        self.assertTrue(self.note(IsolationState.FAULT))

    def test_aCleanMinuteEndsIt(self) -> None:
        self.note(IsolationState.FAULT)
        self.assertTrue(self.note(IsolationState.OK, 59.5))
        self.assertFalse(self.note(IsolationState.OK, 0.5))

    def test_nothingButOkIsClean(self) -> None:
        self.note(IsolationState.FAULT)
        for state in (None, IsolationState.WARNING, IsolationState.UNKNOWN):
            self.assertTrue(self.note(state, 100))

    def test_anythingElseStartsTheMinuteAnew(self) -> None:
        for state in (None, IsolationState.UNKNOWN, IsolationState.FAULT):
            self.setUp()
            self.note(IsolationState.FAULT)
            self.note(IsolationState.OK, 59)
            self.note(state)
            self.assertTrue(self.note(IsolationState.OK, 59))
            self.assertFalse(self.note(IsolationState.OK, 1))

    def test_anInterruptedMinuteStartsAnew(self) -> None:
        self.note(IsolationState.FAULT)
        self.note(IsolationState.OK, 59)
        self.guard.interrupt()
        self.assertTrue(self.note(IsolationState.OK, 59))


class TransferTests(SynchronousTestCase):
    def test_fromPermissionUntilQuietForASecond(self) -> None:
        transfer = Transfer(rating_w=1000)
        self.assertFalse(transfer.update(0, 0, 0.0))
        self.assertTrue(transfer.update(500, 0, 1.0))
        self.assertTrue(transfer.update(0, 500, 2.0))
        self.assertTrue(transfer.update(0, 9.9, 3.0))
        self.assertTrue(transfer.update(0, 9.9, 3.9))
        self.assertFalse(transfer.update(0, 9.9, 4.0))

    def test_powerThatStillFlowsKeepsItOngoing(self) -> None:
        transfer = Transfer(rating_w=1000)
        transfer.update(500, 500, 0.0)
        transfer.update(0, 0, 1.0)
        transfer.update(0, 10, 1.5)
        self.assertTrue(transfer.update(0, 0, 2.4))
        self.assertTrue(transfer.update(0, 0, 3.3))
        self.assertFalse(transfer.update(0, 0, 3.4))

    def test_newPermissionKeepsItOngoing(self) -> None:
        transfer = Transfer(rating_w=1000)
        transfer.update(500, 0, 0.0)
        transfer.update(0, 0, 0.5)
        transfer.update(1, 0, 1.0)
        self.assertTrue(transfer.update(0, 0, 1.6))
