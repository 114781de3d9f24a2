"""Names without end, where nobody vouches for them: what is remembered, what never forgotten."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from epnet.lifecycle import Cause, Ending
from epnet.router.ledger import Account, Kept, Record
from epnet.router.portmaker import PortMaker
from epnet.router.settings import PortSettings
from epnet.wire import Isolation, IsolationState, StorageParameters, SupplyParameters
from tests.fakes import FakeLink, peerNamed
from tests.router.test_drivers import HERE as DRIVERS
from tests.router.test_router import RouterTestCase

LEFT = Ending(Cause.PEER_LEFT, "bye", wasOpen=True)
MOST = 5
NAMES = [f"name-{number}" for number in range(MOST)]
OTHERS = [f"other-{number}" for number in range(2 * MOST)]


class AcquaintanceTests(RouterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.router.mostUnvouched = MOST

    @property
    def accounts(self) -> dict[str, Account]:
        return self.router.accounts.byPort

    def arrive(self, identity: str, type: str = "solar", *, vouched: bool = False) -> FakeLink:
        link = FakeLink(self.router, self.clock, identity, type)
        link.peer = evolve(link.peer, authenticated=vouched)
        self.router.sessionOpened(link)
        return link

    def leave(self, link: FakeLink) -> None:
        self.tick()
        self.router.sessionClosed(link, LEFT)
        self.tick()

    def visit(self, identities: list[str]) -> None:
        for identity in identities:
            self.leave(self.arrive(identity))

    def assertLetIn(self, identity: str) -> None:
        self.assertEqual(self.arrive(identity).disconnected, [])

    def assertRefused(self, identity: str) -> None:
        with capturedLogs() as events:
            [(reason, _)] = self.arrive(identity).disconnected
        self.assertEqual(list(events), [])
        self.assertIn("we know 5 devices, as many as we take", reason)
        self.assertNotIn(identity, self.router.ports)

    def test_namesWithoutEndAreNotAllRemembered(self) -> None:
        self.visit(NAMES + OTHERS)
        self.assertEqual(list(self.router.ports), OTHERS[MOST:])
        self.assertEqual(self.accounts.keys(), self.router.ports.keys())

    def test_whoIsHereIsNotForgotten(self) -> None:
        links = [self.arrive(name) for name in NAMES]
        self.assertRefused("late")
        self.assertEqual(self.arrive("car", vouched=True).disconnected, [])
        self.leave(links[3])
        self.leave(links[4])
        self.assertLetIn("late")
        self.assertNotIn("name-3", self.router.ports)

    def test_norIsWhoHasOnlyJustGone(self) -> None:
        links = [self.arrive(name) for name in NAMES]
        self.tick()
        self.router.sessionClosed(links[3], LEFT)
        self.assertRefused("late")
        self.tick()
        self.assertLetIn("late")

    def test_whoIsKnownComesBack(self) -> None:
        self.visit(NAMES)
        port = self.router.ports["name-2"]
        self.assertLetIn("name-2")
        self.assertIs(self.router.ports["name-2"], port)
        self.assertEqual(len(self.router.ports), MOST)

    def test_whoIsVouchedForAlwaysGetsInAndIsNeverForgotten(self) -> None:
        self.leave(self.arrive("trusty", vouched=True))
        self.visit(NAMES)
        self.arrive("car", vouched=True)
        self.visit(OTHERS)
        self.assertLessEqual({"trusty", "car"}, self.router.ports.keys())

    def test_whatWasMeteredIsNeverForgotten(self) -> None:
        for name in NAMES:
            link = self.arrive(name)
            self.tick()
            self.converters[name].import_w = 1000.0
            self.tick()
            self.converters[name].import_w = 0.0
            self.leave(link)
        energies = {name: a.meter.imported.millijoules for name, a in self.accounts.items()}
        self.assertTrue(all(energies.values()), energies)
        self.tick(60.0)
        self.assertRefused("late")
        after = {name: a.meter.imported.millijoules for name, a in self.accounts.items()}
        self.assertEqual(after, energies)
        self.assertLetIn("name-0")

    def test_accountsOfEarlierTimesCount(self) -> None:
        kept = Kept({name: Record(imported=1) for name in NAMES})
        self.router.accounts.restore(kept, self.clock.seconds(), 0.0)
        self.assertRefused("late")
        self.assertLetIn("name-0")
        self.assertEqual(len(self.accounts), MOST)

    def test_aFaultIsNotForgotten(self) -> None:
        faulty = self.arrive("faulty")
        faulty.hear(SupplyParameters(isolation=Isolation(IsolationState.FAULT)))
        self.leave(faulty)
        self.visit(OTHERS)
        self.assertTrue(self.router.ports["faulty"].isolation.blocked)

    def test_norIsARestBeforeItIsOver(self) -> None:
        self.visit(["hasty"])
        self.router.ports["hasty"].shutDown("for a test", 60.0, self.clock.seconds())
        self.visit(OTHERS)
        self.assertIn("hasty", self.router.ports)
        self.tick(60.0)
        self.visit(NAMES)
        self.assertNotIn("hasty", self.router.ports)

    def test_anOperatorsLimitHoldsForWhoWasForgotten(self) -> None:
        self.visit(["limited"])
        self.router.limit("limited", 7.0, None)
        self.visit(NAMES)
        self.assertNotIn("limited", self.router.ports)
        self.assertLetIn("limited")
        bound = self.router.ports["limited"]._restraints.operatorBound(self.clock.seconds())
        assert bound is not None
        self.assertEqual(bound.watts, 7.0)

    def test_theBooksBalanceWithoutWhatWasSaidToBeStored(self) -> None:
        battery = self.arrive("battery", "battery")
        battery.hear(StorageParameters(capacity=1000.0, soc=50))
        for _ in range(20):
            self.tick()
        tank = self.accounts["battery"].tank
        assert tank is not None
        self.assertGreater(tank.joules, 0.0)
        self.leave(battery)
        self.visit(NAMES)
        self.assertNotIn("battery", self.accounts)
        books = self.router.accounts.books
        self.assertGreater(books.energyIn, 0.0)
        self.assertAlmostEqual(books.energyIn, books.energyOut + books.energyLost)

    def test_whatDroveAForgottenPortIsLetGoOf(self) -> None:
        described = PortSettings(converter=f"{DRIVERS}.Inverter")
        self.router._makePort = maker = PortMaker(Clock(), {}, described)  # type: ignore[arg-type]
        self.visit(["car"])
        first = self.router.ports["car"].converter
        self.assertIs(maker(peerNamed("car")).converter, first)
        self.visit(NAMES)
        self.assertIsNot(maker(peerNamed("car")).converter, first)
