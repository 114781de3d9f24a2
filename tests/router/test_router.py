"""The router: consent in, set-points out; what happens when something falls away."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epnet.errors import UsageError
from epnet.identity import Peer
from epnet.interfaces import INode, IPort, PortReading
from epnet.lifecycle import Cause, Ending
from epnet.router.decisions import Direction, TransferState
from epnet.router.portmaker import portFor
from epnet.router.ports import Port
from epnet.router.reasons import Reason
from epnet.router.router import Router
from epnet.router.settings import DEFAULT_PORTS, PortSettings
from epnet.router.supervision import LOSS_COOLDOWN_SECONDS
from epnet.wire import (
    Bounds,
    DemandParameters,
    Isolation,
    IsolationState,
    RouterPath,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
)
from tests.fakes import FakeLink

LOST = Ending(Cause.LOST, "silent", wasOpen=True, inTransfer=True)
DC = Bounds(200, 1000)


@implementer(IPort)
class FakeConverter:
    """Power electronics that follow at once."""

    def __init__(self) -> None:
        self.closed = False
        self.import_w = self.export_w = self.expires = 0.0

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        self.import_w, self.export_w, self.expires = import_w, export_w, expires

    def close(self) -> None:
        self.closed = True

    def open(self) -> None:
        self.closed = False
        self.import_w = self.export_w = 0.0

    def reading(self) -> PortReading | None:
        return PortReading(0.0, self.import_w, self.export_w)


class RouterTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.converters: dict[str, FakeConverter] = {}
        self.settings: dict[str, PortSettings] = {}
        self.links: dict[str, FakeLink] = {}
        self.router = Router(SessionParameters(identity="router"), self.makePort, self.clock)

    def makePort(self, peer: Peer) -> Port:
        converter = self.converters[peer.identity] = FakeConverter()
        default = DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings())
        return portFor(peer.identity, self.settings.get(peer.identity, default), converter)

    def connect(self, identity: str, type: str) -> FakeLink:
        link = FakeLink(self.router, self.clock, identity, type)
        self.links[identity] = link
        self.router.sessionOpened(link)
        return link

    def tick(self, seconds: float = 0.1) -> None:
        self.clock.advance(seconds)
        self.router.advance(self.clock.seconds())

    def settle(self, seconds: float = 3.0, quiet: tuple[str, ...] = ()) -> None:
        """Let time pass in which all devices but the `quiet` say again what they said last."""
        for _ in range(round(seconds / 0.05)):
            for identity, link in self.links.items():
                if identity not in quiet and self.router.ports[identity].link is link:
                    link.repeat()
                    link.publishNow()
            self.tick(0.05)

    def grant(self, link: FakeLink) -> float:
        """What the router's Supply to that device allows."""
        supply = link.ask()[SupplyParameters]
        assert isinstance(supply, SupplyParameters) and supply.power_limit is not None
        return supply.power_limit

    def request(self, link: FakeLink) -> float:
        """What the router's Demand asks of that device."""
        demand = link.ask()[DemandParameters]
        assert isinstance(demand, DemandParameters) and demand.power_limit is not None
        return demand.power_limit


def offer(power_w: float) -> SupplyParameters:
    return SupplyParameters(voltage_limit=(400, 800), power_limit=power_w, voltage=600)


def wish(power_w: float, voltage: float = 400) -> DemandParameters:
    return DemandParameters(voltage=voltage, power_limit=power_w)


class ConsentTests(RouterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.solar = self.connect("solar", "solar")
        self.car = self.connect("car", "vehicle")

    def test_interfaces(self) -> None:
        verifyObject(INode, self.router)
        verifyObject(IPort, FakeConverter())

    def test_nothingIsSaidToADeviceThatHasSaidNothing(self) -> None:
        self.settle()
        self.assertEqual(self.solar.ask(), {})

    def test_supplyAndDemandMeet(self) -> None:
        self.solar.hear(offer(5000))
        self.car.hear(wish(3000))
        self.settle()
        self.assertAlmostEqual(self.request(self.solar), 3000)
        self.assertAlmostEqual(self.grant(self.car), 3000)
        self.assertTrue(self.solar.transferring)
        self.assertTrue(self.car.transferring)

    def test_theMetersAreReadHoweverOftenOffersFall(self) -> None:
        self.solar.hear(offer(5000))
        self.car.hear(wish(4900))
        self.settle()
        self.tick()
        before = self.router.accounts.byPort["car"].meter.exported.millijoules
        for step in range(40):
            self.solar.hear(offer(4900 - 10 * step))
            self.car.hear(wish(4900))
            self.tick(0.05)
        meter = self.router.accounts.byPort["car"].meter
        self.assertEqual(meter.gaps, 0)
        self.assertGreater(meter.exported.millijoules - before, 2.0 * 4400e3)

    def test_demandWithoutSupplyGetsAZeroGrant(self) -> None:
        self.car.hear(wish(3000))
        self.settle()
        grant = self.car.ask()[SupplyParameters]
        assert isinstance(grant, SupplyParameters)
        self.assertEqual(grant.power_limit, 0)
        self.assertEqual(grant.current_limit, (0, 0))
        self.assertFalse(self.car.transferring)

    def test_theGrantStatesCurrentAtTheDemandedVoltage(self) -> None:
        self.solar.hear(offer(5000))
        self.car.hear(wish(4000, voltage=400))
        self.settle()
        grant = self.car.ask()[SupplyParameters]
        assert isinstance(grant, SupplyParameters) and grant.current_limit is not None
        self.assertEqual(grant.voltage, 400)
        self.assertAlmostEqual(grant.current_limit.max, 10)

    def test_S5_anExpiredOfferStopsEveryoneWhoLivedOnIt(self) -> None:
        self.solar.hear(offer(5000))
        self.car.hear(wish(3000))
        self.settle()
        self.clock.advance(0.1)
        self.car.hear(wish(3000))
        self.tick(0.06)  # the offer is 210 ms old
        self.assertEqual(self.grant(self.car), 0)
        self.assertEqual(self.grantSentLast(self.car), 0)

    def grantSentLast(self, link: FakeLink) -> float | None:
        [supply] = [m for m in link.sent[-1] if isinstance(m, SupplyParameters)]
        return supply.power_limit

    def test_aLowerOfferActsInTheSameTurn(self) -> None:
        self.solar.hear(offer(5000))
        self.car.hear(wish(3000))
        self.settle()
        self.solar.hear(offer(1000))
        self.assertAlmostEqual(self.grantSentLast(self.car) or 0, 1000)
        self.assertAlmostEqual(self.converters["car"].export_w, 1000)

    def test_aHigherOfferWaitsForTheTick(self) -> None:
        self.solar.hear(offer(1000))
        self.car.hear(wish(3000))
        self.settle()
        self.car.sent.clear()
        self.solar.hear(offer(5000))
        self.assertEqual(self.car.sent, [])
        self.car.hear(wish(3000))
        self.settle()
        self.assertAlmostEqual(self.grant(self.car), 3000)

    def test_aLostDeviceIsReplacedInTheSameTurn(self) -> None:
        grid = self.connect("grid", "grid")
        grid.hear(SupplyParameters(voltage_limit=(207, 253), power_limit=2000, voltage=230))
        self.solar.hear(offer(3000))
        self.car.hear(wish(4000))
        self.settle()
        self.assertAlmostEqual(self.grant(self.car), 4000)
        self.assertAlmostEqual(self.request(grid), 1000)
        self.solar.node.sessionClosed(self.solar, LOST)
        self.assertAlmostEqual(self.grantSentLast(self.car) or 0, 2000)
        self.assertAlmostEqual(self.request(grid), 2000)
        self.assertFalse(self.converters["solar"].closed)

    def test_consentIsNotInheritedByTheNextSession(self) -> None:
        self.solar.hear(offer(3000))
        self.car.hear(wish(3000))
        self.settle()
        self.router.sessionClosed(self.solar, LOST)
        self.solar = self.connect("solar", "solar")
        self.tick(0.05)
        self.assertEqual(self.grant(self.car), 0)

    def test_aSessionThatLeavesGivesItsPowerBackFirst(self) -> None:
        self.solar.hear(offer(5000))
        self.car.hear(wish(3000))
        self.settle()
        self.router.draining(self.car)
        self.assertEqual(self.grantSentLast(self.car), 0)
        self.assertEqual(self.request(self.solar), 0)

    def test_whoIsGoneIsSaidToBe(self) -> None:
        """Once and for all, whatever its port did: else its last decision would stand for ever."""
        idle = self.connect("idle", "solar")
        idle.hear(offer(0))
        self.solar.hear(offer(3000))
        self.car.hear(wish(3000))
        self.settle()
        self.assertEqual(self.router.ports["solar"].states[Direction.IMPORT], TransferState.ACTIVE)
        for link in (idle, self.solar):
            self.router.sessionClosed(link, LOST)
        self.clock.advance(LOSS_COOLDOWN_SECONDS)
        self.router.advance(self.clock.seconds())
        for name in ("idle", "solar"):
            port = self.router.ports[name]
            self.assertFalse(port.matters)
            for decision in port.decisions.values():
                self.assertIs(decision.ruling.reason, Reason.ABSENT)
                self.assertIs(decision.state, TransferState.IDLE)
                self.assertEqual((decision.power_w, decision.bound_w), (0.0, 0.0))

    def test_theEndOfAnOlderSessionLeavesTheNewOneAlone(self) -> None:
        again = self.connect("solar", "solar")
        again.hear(offer(5000))
        self.car.hear(wish(3000))
        self.settle()
        self.router.sessionClosed(self.solar, LOST)
        self.assertAlmostEqual(self.grant(self.car), 3000)


class LimitTests(RouterTestCase):
    def test_theCableLimitsTheDevice(self) -> None:
        self.settings["car"] = PortSettings(side="D", voltage=DC, max_current=32, cable_current=5)
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(offer(9000))
        car.hear(wish(6000, voltage=400))
        self.settle()
        self.assertAlmostEqual(self.grant(car), 2000)

    def test_aVoltageThePortCannotDoGetsNothing(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(offer(9000))
        car.hear(wish(6000, voltage=1500))
        self.settle()
        self.assertEqual(self.grant(car), 0)

    def test_aFuseLimitsTheGrid(self) -> None:
        self.settings["grid"] = PortSettings(side="B", max_current=16)
        grid, car = self.connect("grid", "grid"), self.connect("car", "vehicle")
        grid.hear(SupplyParameters(voltage_limit=(207, 253), power_limit=20000, voltage=230))
        car.hear(wish(6000))
        self.settle()
        self.assertAlmostEqual(self.request(grid), 16 * 230)

    def test_powerCarriesAnExpiryToTheConverter(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(offer(9000))
        car.hear(wish(6000))
        self.settle()
        self.clock.advance(0.05)
        solar.repeat()
        now = self.clock.seconds()
        self.assertAlmostEqual(self.converters["solar"].expires, now + 0.2)
        self.assertAlmostEqual(self.converters["car"].expires, now + 0.1)
        self.assertTrue(self.converters["car"].closed)

    def test_theConvertersPermissionIsRenewedWithEachMessage(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(offer(9000))
        car.hear(wish(6000))
        self.settle()
        self.clock.advance(0.05)
        solar.hear(offer(9000))
        car.hear(wish(6000))
        for name in ("solar", "car"):
            self.assertAlmostEqual(self.converters[name].expires, self.clock.seconds() + 0.2)

    def test_noMoreVoltageThanTheDeviceBears(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(offer(9000))
        car.hear(DemandParameters(voltage_limit=300, power_limit=3000))
        self.settle()
        grant = car.ask()[SupplyParameters]
        assert isinstance(grant, SupplyParameters)
        self.assertEqual(grant.voltage, 300)

    def test_nothingFromASourceAboveThePortsVoltage(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(SupplyParameters(power_limit=5000, voltage=1500))
        car.hear(wish(3000))
        self.settle()
        self.assertEqual(self.request(solar), 0)

    def test_aDeviceThatLeftMayComeBack(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        self.router.draining(car)
        self.router.sessionClosed(car, Ending(Cause.LEFT, "bye", wasOpen=True))
        car = self.connect("car", "vehicle")
        solar.hear(offer(5000))
        car.hear(wish(3000))
        self.settle()
        self.assertAlmostEqual(self.grant(car), 3000)

    def test_expiryDoesNotWaitForTheTick(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(offer(5000))
        car.hear(wish(3000))
        self.settle()
        solar.repeat()
        self.clock.advance(0.1)
        car.repeat()
        self.tick(0.08)  # a tick; the offer is 180 ms old
        self.assertAlmostEqual(self.grant(car), 3000)
        self.tick(0.03)  # no tick is due; the offer is 210 ms old
        self.assertEqual(self.grant(car), 0)

    def test_tenTimesASecond(self) -> None:
        for _ in range(500):
            self.tick(0.02)
        self.assertAlmostEqual(self.router.decisions, 100, delta=1)

    def test_minimumsAndWhoRunsAreHandedOn(self) -> None:
        self.settings["car"] = PortSettings(side="D", voltage=DC, min_w=2000)
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        solar.hear(offer(1000))
        car.hear(wish(6000))
        self.settle()
        self.assertEqual(self.grant(car), 0)
        self.assertFalse(self.converters["car"].closed)
        solar.hear(offer(5000))
        car.hear(wish(6000))
        self.settle()
        self.assertAlmostEqual(self.grant(car), 5000)
        self.assertTrue(self.router.ports["car"].place.sink.running)


class OrderTests(RouterTestCase):
    """Sources in the order local, storage, grid; batteries take only what is left over."""

    def setUp(self) -> None:
        super().setUp()
        self.solar = self.connect("solar", "solar")
        self.battery = self.connect("battery", "battery")
        self.grid = self.connect("grid", "grid")
        self.home = self.connect("home", "home")

    def hear(self, solar_w: float, home_w: float) -> None:
        self.solar.hear(offer(solar_w))
        self.battery.hear(offer(2000), wish(1500), StorageParameters(soc=50))
        self.grid.hear(
            SupplyParameters(voltage_limit=(207, 253), power_limit=4000, voltage=230),
            wish(4000, voltage=230),
        )
        self.home.hear(wish(home_w, voltage=230))
        self.settle()

    def test_localFirstThenStorageThenGrid(self) -> None:
        self.hear(solar_w=1000, home_w=4000)
        self.assertAlmostEqual(self.request(self.solar), 1000)
        self.assertAlmostEqual(self.request(self.battery), 2000)
        self.assertAlmostEqual(self.request(self.grid), 1000)
        self.assertAlmostEqual(self.grant(self.home), 4000)
        self.assertEqual(self.grant(self.battery), 0)

    def test_surplusChargesTheBatteryThenFeedsTheGrid(self) -> None:
        self.hear(solar_w=6000, home_w=1000)
        self.assertAlmostEqual(self.grant(self.home), 1000)
        self.assertAlmostEqual(self.grant(self.battery), 1500)
        self.assertAlmostEqual(self.grant(self.grid), 3500)
        self.assertEqual(self.request(self.battery), 0)
        self.assertEqual(self.request(self.grid), 0)

    def test_theGridNeverChargesTheBattery(self) -> None:
        self.hear(solar_w=0, home_w=0)
        self.assertEqual(self.grant(self.battery), 0)
        self.assertEqual(self.request(self.grid), 0)


class IsolationTests(RouterTestCase):
    def test_aFaultBlocksThePortUntilCleanForAMinute(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        faulty = offer(5000).replace(isolation=Isolation(IsolationState.FAULT, 10, 10))
        clean = offer(5000).replace(isolation=Isolation(IsolationState.OK, 1000, 1000))
        solar.hear(clean)
        car.hear(wish(3000))
        self.settle()
        self.assertAlmostEqual(self.grant(car), 3000)
        solar.hear(faulty)
        self.assertEqual(self.grant(car), 0)
        self.assertFalse(self.converters["solar"].closed)
        self.router.sessionClosed(solar, LOST)
        solar = self.connect("solar", "solar")
        solar.hear(clean)
        self.settle(59.9)
        self.assertEqual(self.grant(car), 0)
        self.settle(3.0)
        self.assertAlmostEqual(self.grant(car), 3000)

    def test_anOperatorClearsAFaultThatIsMended(self) -> None:
        solar, car = self.connect("solar", "solar"), self.connect("car", "vehicle")
        faulty = offer(5000).replace(isolation=Isolation(IsolationState.FAULT, 10, 10))
        solar.hear(faulty)
        car.hear(wish(3000))
        self.settle()
        error = self.assertRaises(UsageError, self.router.clear, "solar")
        self.assertIn("still reports an isolation fault", str(error))
        solar.hear(offer(5000))
        self.settle(5.0)
        self.assertEqual(self.grant(car), 0)
        self.router.clear("solar")
        self.settle()
        self.assertAlmostEqual(self.grant(car), 3000)
        self.assertRaises(UsageError, self.router.clear, "nobody")


class RoutersTests(RouterTestCase):
    """Nothing may flow in a circle of routers."""

    def test_anotherRoutersPortIsOnSideC(self) -> None:
        self.connect("neighbour", "router")
        self.assertEqual(self.router.ports["neighbour"].settings.side, "C")

    def test_twoRoutersSayNothingToOneAnotherThatBothWaitToHear(self) -> None:
        neighbour = self.connect("neighbour", "router")
        self.connect("solar", "solar").hear(offer(3000))
        self.tick()
        self.assertEqual(set(neighbour.ask()), {RouterPath})

    def test_oneThatTellsNoWayIsADevice(self) -> None:
        west, east = self.connect("west", "router"), self.connect("east", "router")
        west.hear(offer(4000))
        east.hear(wish(2000))
        self.settle()
        self.assertAlmostEqual(self.grant(east), 2000)

    def test_oneThatHangsOnSomebodyElseStandsBy(self) -> None:
        east, solar = self.connect("east", "router"), self.connect("solar", "solar")
        for path, granted_w in ((["east", "west"], 0), (["east", "router"], 2000), (["east"], 0)):
            east.hear(wish(2000), RouterPath(rank=0, path=path))
            solar.hear(offer(5000))
            self.settle()
            self.assertAlmostEqual(self.grant(east), granted_w)

    def test_nothingIsUsedBeforeARouterIsReady(self) -> None:
        west, car = self.connect("west", "router"), self.connect("car", "vehicle")
        for ready_w in (4000, 1000, 0):
            way = RouterPath(rank=0, path=["west", "router"], ready=ready_w)
            west.hear(offer(4000), way)
            car.hear(wish(3000))
            self.settle()
            self.assertAlmostEqual(self.grant(car), min(ready_w, 3000))

    def test_whatIsNoLongerReadyIsTakenBackAtOnce(self) -> None:
        west, car = self.connect("west", "router"), self.connect("car", "vehicle")
        west.hear(offer(4000), RouterPath(rank=0, path=["west", "router"], ready=4000))
        car.hear(wish(3000))
        self.settle()
        west.hear(RouterPath(rank=0, path=["west", "router"], ready=1000))
        self.assertAlmostEqual(self.grant(car), 1000)
