"""What is kept of what has happened: lines of the log, and what rules over the ports."""

from __future__ import annotations

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from epnet.observe import rulings
from epnet.observe.journal import Entry, Journal
from epnet.observe.rulings import Rulings
from epnet.wire import DemandParameters, SupplyParameters
from tests.observe.house import NOON, House, hear

LINE = {
    "log_level": LogLevel.info,
    "log_namespace": "epnet.test",
    "log_time": 0.0,
    "log_format": "{text}",
    "text": "x",
}
SUN = SupplyParameters(voltage_limit=(200, 1000), power_limit=5000, voltage=400)
WISH = DemandParameters(voltage=400, power_limit=3000)


class JournalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal = Journal("router")

    def test_onlyOursAndOnlyWhatIsWorthIt(self) -> None:
        self.journal({**LINE, "log_namespace": "twisted.web"})
        self.journal({**LINE, "log_level": LogLevel.debug})
        self.journal({key: LINE[key] for key in LINE if key != "log_namespace"})
        self.assertEqual(self.journal.newest, 0)

    def test_sessionsOfOthersInTheSameProcessAreNotTold(self) -> None:
        self.journal({**LINE, "us": "car"})
        self.assertEqual(self.journal.newest, 0)
        self.journal({**LINE, "us": "router", "event": "opened", "identity": "car"})
        [entry] = self.journal.since(0)
        self.assertEqual((entry["kind"], entry["device"]), ("session", "car"))

    def test_itIsBoundedByKind(self) -> None:
        self.journal.note(NOON, "the first", kind="decision")
        for number in range(500):
            self.journal({**LINE, "text": f"{number} " + "x" * 1000})
        first, *entries = self.journal.since(0)
        self.assertEqual(first["text"], "the first")
        self.assertEqual(
            (len(entries), entries[0]["number"], entries[-1]["number"]), (200, 302, 501)
        )
        self.assertEqual({len(entry["text"]) for entry in entries}, {300})
        self.assertEqual(len(self.journal.since(500)), 1)
        self.assertEqual(self.journal.since(501), [])


class RulingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House()
        self.journal = Journal()
        self.rulings = Rulings(self.house.router, self.journal, self.house.clock, lambda: NOON)
        self.rulings.startService()
        self.addCleanup(self.rulings.stopService)
        hear(self.house.plugIn("solar", "solar"), SUN)
        self.car = self.house.plugIn("car", "vehicle")
        hear(self.car, WISH)

    def told(self) -> list[Entry]:
        return [entry for entry in self.journal.since(0) if entry["device"] == "car"]

    def test_whatRulesIsToldOnce(self) -> None:
        self.house.settle(10)
        [entry] = self.told()
        self.assertEqual(entry["text"], "gets 3000 W: its own request or limit, 3000 W")
        self.assertEqual((entry["kind"], entry["level"]), ("decision", "info"))
        self.assertEqual(entry["time"], "2026-06-21T12:00:00.000+00:00")

    def test_aNewLimitIsTold(self) -> None:
        self.house.settle(10)
        self.house.router.limit("car", 1000.0, None)
        self.house.settle(10)
        self.assertEqual(self.told()[-1]["text"], "gets 1000 W: limited by the operator to 1000 W")

    def test_aPassingChangeIsNot(self) -> None:
        self.house.settle(10)
        self.house.router.limit("car", 1000.0, None)
        self.house.settle(1)
        self.house.router.limit("car", None, None)
        self.house.settle(10)
        self.assertEqual(len(self.told()), 1)

    def test_thatItGetsNothingAnyMoreIsTold(self) -> None:
        self.house.settle(10)
        hear(self.car, WISH.replace(power_limit=0))
        self.house.settle(10)
        self.assertEqual(self.told()[-1]["text"], "gets nothing: its own request or limit, 0 W")

    def test_thatASinkGivesNothingIsNoNews(self) -> None:
        self.house.settle(10)
        self.assertNotIn("gives", "".join(entry["text"] for entry in self.told()))

    def test_aFewPortsInEachTurn(self) -> None:
        self.patch(rulings, "AT_ONCE", 1)
        self.house.settle(10)
        self.assertEqual(len(self.told()), 1)

    def test_aPortThatIsGoneIsForgotten(self) -> None:
        self.house.settle(10)
        del self.house.router.ports["car"]
        self.house.settle(3)
        self.assertNotIn("car", {identity for identity, _ in self.rulings._watched})
