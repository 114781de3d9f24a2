"""What the commands that ask a router say: tables, screens, explanations."""

from __future__ import annotations

import io
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from epnet.cli import explain, monitor
from epnet.cli.monitor import Screen, summary
from epnet.cli.words import cut, headline, plain, span, table, watts, wide
from epnet.errors import UsageError
from epnet.router.bus import BusSettings, Claim
from epnet.wire import StorageParameters
from tests.observe.house import House, hear
from tests.observe.sitecase import SiteTestCase
from tests.observe.test_calls import SUN, WISH


def household() -> House:
    house = House()
    hear(house.plugIn("solar", "solar", "Roof"), SUN)
    hear(house.plugIn("car", "vehicle", "Car"), WISH, StorageParameters(soc=62.5))
    house.settle()
    return house


class WordTests(SynchronousTestCase):
    def test_powers(self) -> None:
        for power, text in (
            (None, "-"),
            (0, "0 W"),
            (999.4, "999 W"),
            (999.6, "1.00 kW"),
            (4200, "4.20 kW"),
            (2.5e6, "2.50 MW"),
        ):
            self.assertEqual(watts(power), text)

    def test_times(self) -> None:
        for seconds, text in ((59, "59 s"), (61, "1 min"), (7260, "2 h 1 min"), (2e6, "23 days")):
            self.assertEqual(span(seconds), text)

    def test_aTerminalObeysNothingOfADevice(self) -> None:
        self.assertEqual(plain("a\x1b[2Jb\r\n\x9bc"), "a�[2Jb���c")

    def test_linesAreCutToTheTerminal(self) -> None:
        self.assertEqual(
            [cut("abcdef", width) for width in (None, 6, 4, 0)], ["abcdef", "abcdef", "abc…", "…"]
        )


class TableTests(SynchronousTestCase):
    def test_theRouterAndItsDevices(self) -> None:
        state = household().look(3700)
        self.assertEqual(
            headline(state),
            "The house (house-router), epnet 1.0, up 1 h 1 min, 2 open sessions\n"
            "3.00 kW in, 3.00 kW out, 0 W lost in conversion",
        )
        self.assertEqual(
            list(table(state["devices"])),
            [
                "device        port  flows        granted      charge  why",
                "Car (car)     D DC  3.00 kW out  3.00 kW out  62.5 %  "
                "its own request or limit, 3000 W",
                "Roof (solar)  D DC  3.00 kW in   3.00 kW in           "
                "its share of what is needed of local production",
            ],
        )

    def test_whatIsEstimatedIsMarked(self) -> None:
        devices = household().look()["devices"]
        devices[0]["estimated"] = True
        _, car, solar, note = table(devices)
        self.assertIn("  ~3.00 kW out  ", car)
        self.assertNotIn("~", solar)
        self.assertEqual(note, "~ an estimate, for want of a meter")

    def test_twoDriversOnItsBus(self) -> None:
        house = household()
        bus = house.router.neighbours.bus
        bus.describe(BusSettings("row"))
        self.assertEqual(len(headline(house.look()).splitlines()), 2)
        bus.heard(Claim("row", ("a", "b"), 0.0), house.clock.seconds())
        house.router.allocate()
        self.assertEqual(
            headline(house.look()).splitlines()[2],
            "BUS row HAS OR HAD TWO DRIVERS: nothing flows on it",
        )

    def test_whatIsMissedLeastGoesWhereThereIsLittleRoom(self) -> None:
        devices = household().look()["devices"]
        for width, heads in (
            (66, "device        port  flows        granted      charge  why"),
            (65, "device        flows        granted      charge  why"),
            (59, "device        flows        charge  why"),
            (46, "device        flows        why"),
            (20, "device        flows…"),
        ):
            lines = list(table(devices, width))
            self.assertEqual(lines[0], heads)
            self.assertLessEqual(max(map(wide, lines)), width)

    def test_wideLettersTakeTwoColumns(self) -> None:
        house = household()
        hear(house.plugIn("truck", "vehicle", "電気自動車"), WISH)
        head, *lines = table(house.look()["devices"])
        for line in lines:
            before = line[: line.index(" D DC ")]
            self.assertEqual(wide(before), head.index("port") - 1)
        self.assertEqual(cut("電気自動車", 6), "電気…")
        self.assertEqual(wide("e\u0301"), 1)

    def test_aLineForAPipe(self) -> None:
        line = "2026-06-21T12:00:00Z  Car (car) 3.00 kW out, Roof (solar) 3.00 kW in"
        self.assertEqual(summary(household().look()), line)
        self.assertEqual(summary(House().look()), "2026-06-21T12:00:00Z  nothing flows")


class ScreenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = io.StringIO()
        self.screen = Screen(self.out, "http://router")

    def draw(self, columns: int, lines: int) -> list[str]:
        """What is on the screen after it was drawn."""
        self.out.seek(0)
        self.out.truncate()
        with patch("shutil.get_terminal_size", return_value=(columns, lines)):
            self.screen.draw()
        text = self.out.getvalue()
        self.assertTrue(text.startswith(monitor.HOME) and text.endswith(monitor.CLEAR_BELOW))
        body = text.removeprefix(monitor.HOME).removesuffix(monitor.CLEAR_BELOW)
        return [line.removesuffix(monitor.CLEAR_LINE) for line in body.split("\r\n")[:-1]]

    def log(self, *numbers: int) -> None:
        entries = [{"number": n, "time": "2026-06-21T12:00:00", "text": f"e{n}"} for n in numbers]
        self.screen.take("log", entries)

    def test_itFitsWhateverTheSize(self) -> None:
        self.screen.take("state", household().look())
        self.log(*range(1, 40))
        for columns, lines in ((80, 24), (40, 10), (200, 60), (5, 3), (1, 1)):
            shown = self.draw(columns, lines)
            self.assertLess(len(shown), lines)
            self.assertLessEqual(max(map(len, shown), default=0), columns)
        self.assertIn("12:00:00 e39", self.draw(80, 24))

    def test_itSaysThatItIsOld(self) -> None:
        self.screen.take("state", household().look())
        self.screen.trouble = "the router has hung up"
        self.assertIn("what you see is old", self.draw(80, 24)[0])
        self.screen.take("state", household().look())
        self.assertIn("The house", self.draw(80, 24)[0])

    def test_aRouterThatBeganAnewBeginsTheEventsAnew(self) -> None:
        self.screen.take("state", House().look())
        self.log(1, 2, 3)
        self.log(2, 3, 4)
        self.assertEqual(self.events(), ["e1", "e2", "e3", "e4"])
        self.log(1)
        self.assertEqual(self.events(), ["e1"])

    def events(self) -> list[str]:
        return [line[9:] for line in self.draw(80, 24) if line.startswith("12:00:00 ")]


class ExplainTests(SiteTestCase):
    def setUp(self) -> None:
        self.house = household()
        self.site = self.house.makeSite()

    def port(self, device: str) -> Any:
        return self.ask(f"/api/v1/decisions?device={device}").json()["devices"][0]

    def test_whyAndWhatMoreWouldTake(self) -> None:
        lines = list(explain.explained(self.port("car")))
        self.assertEqual(lines[0], "Car (car)")
        self.assertRegex(lines[2], r"It may draw 3.00 kW since \d\d:\d\d:\d\d \(\w+\)\.")
        self.assertEqual(lines[3], "  Why:       its own request or limit, 3000 W.")
        self.assertEqual(lines[4], "  For more:  the device has to ask for more, or bear more.")
        self.assertIn("3.00 kW, by device, port, cable and policies", lines[5])

    def test_theLastChangesNewestFirst(self) -> None:
        self.house.clock.advance(0.1)
        self.house.router.limit("car", 1000, 1e9)
        lines = list(explain.explained(self.port("car")))
        change = lines[lines.index("The last changes:") + 1]
        self.assertRegex(
            change, r"  \d\d:\d\d:\d\d {13}draw 3.00 kW -> 1.00 kW: limited by the operator"
        )

    def test_whichDevice(self) -> None:
        devices = self.ask("/api/v1/decisions").json()["devices"]
        self.assertEqual(explain._chosen(devices, "car")["device"], "car")
        self.assertEqual(explain._chosen(devices, "ROOF")["device"], "solar")
        error = self.assertRaises(UsageError, explain._chosen, devices, "boat")
        self.assertIn("its devices are: Car (car), Roof (solar)", str(error))
        error = self.assertRaises(UsageError, explain._chosen, devices * 2, "Car")
        self.assertIn("2 devices", str(error))
