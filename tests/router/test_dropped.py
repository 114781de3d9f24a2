"""Ports that are dropped or replaced: what their devices may still draw is nobody else's yet."""

from __future__ import annotations

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.lifecycle import Cause, Ending
from epnet.router.converter import SimulatedConverter
from epnet.router.dynamics import OLD_GRANT_SECONDS
from epnet.router.portmaker import PortMaker
from epnet.router.router import Router
from epnet.router.settings import PortSettings
from epnet.wire import Message, SessionParameters
from tests.fakes import FakeLink
from tests.router.test_router import offer, wish
from tests.router.test_rules import DC

LOST = Ending(Cause.LOST, "silent", wasOpen=True, inTransfer=True)
FIRST = attrs.evolve(DC, priority=2)
"""Of the car: it has all, and the home gets what it leaves."""

OTHERS = {"sun": DC, "home": DC}


class DroppedTests(SynchronousTestCase):
    """No port has a meter: what was granted counts until 500 ms after a loss."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.router = Router(
            SessionParameters(identity="router"),
            PortMaker(self.clock, {**OTHERS, "car": FIRST}, meters=False),
            self.clock,
        )
        self.links: dict[str, FakeLink] = {}
        self.connect("sun", offer(5000))
        self.connect("car", wish(5000, 500))
        self.connect("home", wish(5000, 500))
        self.run_(3.0)
        self.assertEqual((self.got("car"), self.got("home")), (5000, 0))

    def connect(self, identity: str, *says: Message) -> FakeLink:
        link = FakeLink(self.router, self.clock, identity)
        self.router.sessionOpened(link)
        if not link.disconnected:
            self.links[identity] = link
            link.hear(*says)
        return link

    def lose(self, identity: str) -> None:
        self.router.sessionClosed(self.links.pop(identity), LOST)

    def describe(self, car: PortSettings | None) -> None:
        described = OTHERS if car is None else {**OTHERS, "car": car}
        self.router.describe(described, None)

    def run_(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            for link in self.links.values():
                link.repeat()
                link.publishNow()
            self.clock.advance(0.05)
            self.router.advance(self.clock.seconds())

    def got(self, identity: str) -> float:
        return self.router.ports[identity].export_w

    def assertWaits(self) -> None:
        """Nobody gets what the car may still draw, and then the home gets all of it."""
        for _ in range(round(OLD_GRANT_SECONDS / 0.05) - 1):
            self.run_(0.05)
            self.assertEqual(self.got("home"), 0)
        self.run_(2.0)
        self.assertEqual(self.got("home"), 5000)

    def test_aDeviceThatIsLostWhileItsRefusalDrains(self) -> None:
        car = self.links["car"]
        self.describe(None)
        self.assertEqual(len(car.disconnected), 1)
        self.router.draining(car)
        self.run_(0.05)
        self.lose("car")
        self.assertWaits()
        self.assertNotIn("car", self.router.ports)

    def test_aPortThatIsGoneWhenItsDeviceHasJustBeenLost(self) -> None:
        self.lose("car")
        self.describe(None)
        self.assertWaits()
        self.assertNotIn("car", self.router.ports)

    def test_anotherPortForADeviceThatHasJustBeenLost(self) -> None:
        """Its old port comes to rest first: until then it is turned away, and comes again."""
        self.lose("car")
        self.describe(attrs.evolve(FIRST, side="C"))
        early = self.connect("car")
        self.assertEqual([reconnect for _, reconnect in early.disconnected], [None])
        self.assertWaits()
        again = self.connect("car")
        self.assertEqual(again.disconnected, [])
        self.assertEqual(self.router.ports["car"].settings.side, "C")

    def test_anotherConnectionWhileTheOldOneIsOpen(self) -> None:
        """It never happens: the register of connections ends the old one first."""
        converter = self.router.ports["car"].converter
        assert isinstance(converter, SimulatedConverter)
        self.assertTrue(converter.isClosed)
        old = self.links["car"]
        new = self.connect("car", wish(5000, 500))
        self.assertEqual(new.disconnected, [])
        self.assertEqual((self.got("car"), list(self.router.publications(old))), (0, []))
        self.links.pop("car")
        self.clock.advance(0.1)
        self.assertFalse(converter.isClosed)

    def test_anotherPortWhileTheOldConnectionIsOpen(self) -> None:
        port = self.router.ports["car"]
        assert isinstance(port.converter, SimulatedConverter)
        self.describe(attrs.evolve(FIRST, side="C"))
        self.connect("car", wish(5000, 500))
        self.assertFalse(port.busy)
        self.links.pop("car")
        self.assertWaits()
        self.assertFalse(port.converter.isClosed)
