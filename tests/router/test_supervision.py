"""Devices that do not do what they were told, and cables that are not theirs: a whole router."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher

from epnet.router.decisions import Direction
from epnet.router.reasons import Reason
from tests.router.histories import Device
from tests.router.test_rules import RulesTestCase


class SupervisionTestCase(RulesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.warnings: list[tuple[float, str]] = []
        globalLogPublisher.addObserver(self._note)
        self.addCleanup(globalLogPublisher.removeObserver, self._note)

    def _note(self, event: Any) -> None:
        if "finding" in event:
            self.warnings.append((self.world.clock.seconds(), event["finding"]))

    def why(self, identity: str, direction: Direction = Direction.EXPORT) -> str:
        return self.port(identity).decisions[direction].ruling.text


class OverdrawTests(SupervisionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.plug(Device("sun", offer_w=9000))
        self.plug(Device("home", wish_w=2000))
        self.world.run(3.0)
        self.wire = self.world.wires["home"]

    def test_whoDrawsTooMuchIsWarnedOfWithin500msThenCut(self) -> None:
        began = self.world.clock.seconds()
        self.wire.lie = 1.5
        while self.wire.isClosed:
            self.world.step()
        ended = self.world.clock.seconds()
        [(warned, warning), (cut, last)] = self.warnings
        self.assertEqual(warning, "it carries more than it may")
        self.assertEqual(last, "it carried more than it may, and did not stop")
        self.assertEqual(round(warned - began, 2), 0.3)
        self.assertEqual(round(ended - began, 2), 0.7)
        self.assertEqual(cut, ended)
        self.assertEqual(self.got("home"), 0)
        self.assertIn(
            "cooling down after a shutdown: it carried more than it may", self.why("home")
        )

    def test_itComesBackAfterAMinute(self) -> None:
        self.wire.lie = 1.5
        self.world.run(1.0)
        self.wire.lie = 1.0
        self.world.run(58.0)
        self.assertEqual(self.got("home"), 0)
        self.world.run(5.0)
        self.assertAlmostEqual(self.got("home"), 2000)

    def test_anOperatorNeedNotWait(self) -> None:
        self.wire.lie = 1.5
        self.world.run(1.0)
        self.wire.lie = 1.0
        self.router.clear("home")
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("home"), 2000)

    def test_whoStopsInTimeIsOnlyWarnedOf(self) -> None:
        self.wire.lie = 1.5
        self.world.run(0.4)
        self.wire.lie = 1.0
        self.world.run(3.0)
        self.assertEqual([text for _, text in self.warnings], ["it carries more than it may"])
        self.assertAlmostEqual(self.got("home"), 2000)

    def test_aLittleMoreIsNothing(self) -> None:
        self.wire.lie = 1.04
        self.world.run(5.0)
        self.assertEqual(self.warnings, [])


class CableTests(SupervisionTestCase):
    """Two sources whose cables are mixed up: each port meters what the other's device gives."""

    def source(self, identity: str, offer_w: float, price: float) -> None:
        wires = self.world.wires
        gives = lambda: wires[identity].import_w if identity in wires else 0.0  # noqa: E731
        self.plug(Device(identity, offer_w=offer_w, gives=gives), side="B", price=price)

    def setUp(self) -> None:
        super().setUp()
        self.source("a", 3000, 0.1)
        self.source("b", 9000, 0.2)
        self.plug(Device("home", wish_w=4000))

    def test_cablesOfTheirOwnAreFine(self) -> None:
        self.world.run(10.0)
        self.assertEqual(self.warnings, [])
        self.assertEqual((round(self.gave("a")), round(self.gave("b"))), (3000, 1000))

    def test_portsWithEachOthersCablesAreShutDown(self) -> None:
        one, other = self.world.wires["a"], self.world.wires["b"]
        one.cable, other.cable = (lambda: other), (lambda: one)
        self.world.run(5.0)
        self.assertIn(
            "meter and device disagree: this cable is not that device's",
            [text for _, text in self.warnings],
        )
        self.assertFalse(one.isClosed or other.isClosed)
        self.assertEqual((self.gave("a"), self.gave("b"), self.got("home")), (0, 0, 0))
        self.assertIn("this cable is not that device's", self.why("a", Direction.IMPORT))

    def test_withinTwoSecondsAndATickOfAnOrdinaryTransfer(self) -> None:
        self.world.run(5.0)
        one, other = self.world.wires["a"], self.world.wires["b"]
        began = self.world.clock.seconds()
        one.cable, other.cable = (lambda: other), (lambda: one)
        self.world.run(4.0)
        self.assertLessEqual(self.warnings[0][0] - began, 2.2)

    def test_fivePercentIsNear(self) -> None:
        wires = self.world.wires
        self.world.devices["b"].gives = lambda: 0.96 * wires["b"].import_w
        self.world.run(10.0)
        self.assertEqual(self.warnings, [])


class VoltageTests(SupervisionTestCase):
    """Before the contactor closes, the voltage on the cable tells whose it is."""

    def setUp(self) -> None:
        super().setUp()
        self.plug(Device("sun", offer_w=3000))
        self.plug(Device("home", wish_w=2000))
        self.wire = self.world.wires["sun"]

    def test_anothersVoltageKeepsItOpen(self) -> None:
        self.wire.volts = 700.0
        for _ in range(60):
            self.world.step()
            self.assertFalse(self.wire.isClosed)
        decision = self.port("sun").decisions[Direction.IMPORT]
        self.assertIs(decision.ruling.reason, Reason.STRANGE)
        self.wire.volts = 410.0
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("sun"), 2000)

    def test_aDeadCableTellsNothing(self) -> None:
        self.wire.volts = 0.0
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("sun"), 2000)
