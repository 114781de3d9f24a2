"""Several routers on one DC bus: one drives it, and two are one too many."""

from __future__ import annotations

from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epnet.observe.snapshot import snapshot
from epnet.router.bus import CLEAR_SECONDS, LIFETIME_SECONDS, BusSettings
from tests.street.street import House, Street, grantsAreCovered, invariantsHold, linksHold

DRIVER, MEMBER = BusSettings("row", driver=True), BusSettings("row")


class BusTests(SynchronousTestCase):
    """A driver with a grid, two members under it, and one more house over a cable of its own."""

    def setUp(self) -> None:
        self.street = Street()
        self.street.checks = [invariantsHold, grantsAreCovered, linksHold]
        names = ("driver", "left", "right", "aside")
        self.houses = {name: self.street.house(name) for name in names}
        for lower, upper in (("left", "driver"), ("right", "driver"), ("aside", "right")):
            self.street.connect(self.houses[lower], self.houses[upper])
        for name, settings in (("driver", DRIVER), ("left", MEMBER), ("right", MEMBER)):
            self.be(name, settings)
        self.houses["driver"].gadget("grid", offer_w=20_000.0)
        self.houses["driver"].gadget("lamp-driver", wish_w=500.0)
        self.houses["left"].gadget("lamp-left", wish_w=1000.0)
        self.houses["right"].gadget("sun-right", offer_w=700.0)
        self.houses["right"].gadget("lamp-right", wish_w=2000.0)
        self.houses["aside"].gadget("sun-aside", offer_w=300.0)
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.street.run(5.0)

    def be(self, name: str, settings: BusSettings | None) -> None:
        self.houses[name].router.neighbours.bus.describe(settings)

    def granted(self) -> list[int]:
        """What the lamps have, W: driver, left, right."""
        lamps = ("driver", "left", "right")
        return [round(self.houses[name].granted(f"lamp-{name}")) for name in lamps]

    def alarms(self) -> list[bool]:
        return [house.router.neighbours.bus.alarm for house in self.houses.values()]

    def flowsOnTheBus(self) -> float:
        return sum(abs(way.cable.down_w()) for way in self.street.ways if way.upper is self.driver)

    @property
    def driver(self) -> House:
        return self.houses["driver"]

    def test_oneDriverFeedsAll(self) -> None:
        self.assertEqual(self.granted(), [500, 1000, 2000])
        self.assertEqual(self.alarms(), [False] * 4)
        self.assertGreater(self.flowsOnTheBus(), 1900.0)

    def test_twoDriversAreNoticedByAllAndMadeSafe(self) -> None:
        self.be("right", DRIVER)
        self.street.run(0.3)
        self.assertEqual(self.alarms(), [True, True, True, False])
        self.street.run(0.7)
        # Each goes on with what it has; the cable to the house aside is none of the bus's.
        self.assertEqual(self.granted(), [500, 0, 1000])
        self.assertEqual(self.flowsOnTheBus(), 0.0)
        for name in ("left", "right"):
            port = self.houses[name].router.ports["driver"]
            self.assertFalse(port.converter.stage.isClosed)  # type: ignore[attr-defined]

    def test_itIsLoudAboutIt(self) -> None:
        self.be("right", DRIVER)
        self.street.run(1.0)
        loud = [event for event in self.events if event["log_level"] is LogLevel.critical]
        self.assertEqual(len(loud), 3)
        self.assertEqual({event["drivers"] for event in loud}, {"driver and right"})
        for name in ("driver", "left", "right"):
            house = self.houses[name]
            other = "left" if name == "driver" else "driver"
            for decision in house.router.ports[other].decisions.values():
                self.assertIn("bus row has two drivers", decision.ruling.text)
            state = snapshot(house.router, house.connections, 1.0, self.street.timeOfDay())
            self.assertEqual(
                state["bus"],
                {
                    "name": "row",
                    "driver": name != "left",
                    "drivers": ["driver", "right"],
                    "alarm": True,
                },
            )
        aside = self.houses["aside"]
        state = snapshot(aside.router, aside.connections, 1.0, self.street.timeOfDay())
        self.assertIsNone(state["bus"])

    def test_itIsClearAMinuteAfterThereIsOneDriver(self) -> None:
        self.be("right", DRIVER)
        self.street.run(2.0)
        self.be("right", MEMBER)
        self.street.run(CLEAR_SECONDS - 1.0)
        self.assertEqual(self.flowsOnTheBus(), 0.0)
        self.street.run(LIFETIME_SECONDS + 6.0)
        self.assertEqual(self.alarms(), [False] * 4)
        self.assertEqual(self.granted(), [500, 1000, 2000])

    def test_anOperatorMayClearItSooner(self) -> None:
        self.be("right", DRIVER)
        self.street.run(2.0)
        self.be("right", MEMBER)
        self.street.run(LIFETIME_SECONDS)
        for house in self.houses.values():
            house.router.neighbours.bus.clear(self.street.clock.seconds())
        self.street.run(5.0)
        self.assertEqual(self.granted(), [500, 1000, 2000])

    def test_aDriverHangsOnNobodyOnItsBus(self) -> None:
        self.driver.above.order.append("left")
        self.houses["left"].gadget("grid-left", offer_w=9000.0)
        self.driver.unplug("grid")
        self.street.run(5.0)
        self.assertIsNone(self.driver.router.neighbours.tree.parent)
        self.assertEqual(self.granted(), [500, 1000, 2000])
