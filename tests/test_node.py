"""A device behind its connections."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.interfaces import IDevice, ILink, INode
from epnet.lifecycle import Cause, Ending
from epnet.node import DeviceNode, parametersOf
from epnet.wire import (
    DemandParameters,
    Isolation,
    IsolationState,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
)
from tests.fakes import FakeDevice, FakeLink

LOST = Ending(Cause.LOST, "silent", wasOpen=True, inTransfer=True)


class DeviceNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.device = FakeDevice(
            supply=SupplyParameters(voltage_limit=(200, 250), power_limit=5000),
            demand=DemandParameters(voltage=230, power_limit=3000),
            storage=StorageParameters(soc=50),
        )
        self.node = DeviceNode(self.device, parametersOf(self.device, "us"), self.clock)
        self.link = self.connect("them")

    def connect(self, identity: str) -> FakeLink:
        link = FakeLink(self.node, self.clock, identity)
        self.node.sessionOpened(link)
        link.ask()
        return link

    def pass_(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.node.advance(self.clock.seconds())

    def test_interfaces(self) -> None:
        verifyObject(INode, self.node)
        verifyObject(ILink, self.link)
        verifyObject(IDevice, self.device)

    def test_parametersComeFromTheDevice(self) -> None:
        self.assertEqual(
            parametersOf(self.device, "us", tenant="demo"),
            SessionParameters(
                identity="us", type="fake", version="1.0", name="A fake device", tenant="demo"
            ),
        )

    def test_publishesWhatTheDeviceSays(self) -> None:
        self.assertEqual(
            list(self.link.ask().values()),
            [self.device.offers, self.device.wants, self.device.stores],
        )

    def test_drawsByThePeersSupply(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        self.assertEqual(self.device.limits.draw_w, 2000)
        self.assertEqual(self.device.limits.supply_w, 0)
        self.assertEqual(self.device.limits.expires, self.clock.seconds() + 0.2)
        self.assertTrue(self.link.transferring)

    def test_suppliesByThePeersDemand(self) -> None:
        self.link.hear(DemandParameters(voltage=230, power_limit=1500))
        self.assertEqual(self.device.limits.supply_w, 1500)
        self.assertEqual(self.device.limits.draw_w, 0)

    def test_neverMoreThanItAskedFor(self) -> None:
        self.link.hear(SupplyParameters(power_limit=9000))
        self.assertEqual(self.device.limits.draw_w, 3000)

    def test_S5_consentExpires(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        self.pass_(0.19)
        self.assertEqual(self.device.limits.draw_w, 2000)
        self.pass_(0.02)
        self.assertEqual(self.device.limits.draw_w, 0)

    def test_theTransferEndsWhenNothingFlows(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        self.pass_(0.3)
        self.assertTrue(self.link.transferring)
        self.pass_(1.0)
        self.assertFalse(self.link.transferring)

    def test_lossRunsTheControlledShutdownAtOnce(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        self.node.sessionClosed(self.link, LOST)
        self.assertEqual(self.device.shutDowns, ["silent"])
        self.assertEqual(self.device.limits.draw_w, 0)

    def test_consentIsNotInherited(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        self.node.sessionClosed(self.link, LOST)
        self.connect("them")
        self.pass_(0.02)
        self.assertEqual(self.device.limits.draw_w, 0)

    def test_aSecondLinkGetsNothing(self) -> None:
        second = self.connect("others")
        offers = second.ask()
        supply, demand = offers[SupplyParameters], offers[DemandParameters]
        assert isinstance(supply, SupplyParameters) and isinstance(demand, DemandParameters)
        self.assertEqual((supply.power_limit, demand.power_limit), (0, 0))
        second.hear(SupplyParameters(power_limit=2000))
        self.assertEqual(self.device.limits.draw_w, 0)

    def test_theSecondLinkTakesOver(self) -> None:
        second = self.connect("others")
        self.node.sessionClosed(self.link, LOST)
        self.assertIs(self.node.holder, second)
        self.assertEqual(second.ask()[DemandParameters], self.device.wants)
        second.hear(SupplyParameters(power_limit=2000))
        self.assertEqual(self.device.limits.draw_w, 2000)

    def test_onlyALinkThatLeadsUpstreamHoldsThePowerConnection(self) -> None:
        self.node = DeviceNode(
            self.device,
            parametersOf(self.device, "us"),
            self.clock,
            upstream=lambda link: link.peer.identity == "router",
        )
        stranger = self.connect("stranger")
        self.assertIsNone(self.node.holder)
        stranger.hear(SupplyParameters(power_limit=2000))
        self.assertEqual(self.device.limits.draw_w, 0)
        self.assertEqual(stranger.ask()[DemandParameters].power_limit, 0)
        router = self.connect("router")
        router.hear(SupplyParameters(power_limit=2000))
        self.assertEqual(self.device.limits.draw_w, 2000)
        self.node.sessionClosed(stranger, LOST)
        self.assertEqual(self.device.shutDowns, [])

    def test_anIsolationFaultOnEitherSideStopsBothDirections(self) -> None:
        fault, fine = Isolation(IsolationState.FAULT), Isolation(IsolationState.OK)
        offer = SupplyParameters(power_limit=2000)
        wish = DemandParameters(voltage=230, power_limit=1500)
        self.link.hear(offer.replace(isolation=fault), wish)
        self.assertEqual((self.device.limits.draw_w, self.device.limits.supply_w), (0, 0))
        self.node.sessionClosed(self.link, LOST)
        self.link = self.connect("them")
        self.link.hear(offer.replace(isolation=fine), wish)
        self.assertEqual((self.device.limits.draw_w, self.device.limits.supply_w), (0, 0))
        self.setUp()
        assert self.device.offers is not None
        self.device.offers = self.device.offers.replace(isolation=fault)
        self.link.ask()
        self.link.hear(offer, wish)
        self.assertEqual((self.device.limits.draw_w, self.device.limits.supply_w), (0, 0))

    def test_whatASecondLinkDoesLeavesTheFirstAlone(self) -> None:
        second = self.connect("others")
        self.link.hear(SupplyParameters(power_limit=2000))
        self.node.sessionClosed(second, LOST)
        self.assertEqual(self.device.shutDowns, [])
        self.assertEqual(self.device.limits.draw_w, 2000)
        self.pass_(0.02)
        self.assertEqual(self.device.limits.draw_w, 2000)

    def test_theEarlierExpiryCounts(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        first = self.clock.seconds()
        self.clock.advance(0.1)
        self.link.hear(DemandParameters(voltage=230, power_limit=1500))
        self.assertEqual(self.device.limits.expires, first + 0.2)

    def test_drainingDoesNotWaitForAPeerThatReadsSlowly(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        self.link.publishNow = lambda: None  # type: ignore[method-assign]
        self.node.draining(self.link)
        self.assertEqual(self.device.limits.draw_w, 0)

    def test_drainingWithdrawsEverything(self) -> None:
        self.link.hear(SupplyParameters(power_limit=2000))
        self.node.draining(self.link)
        [[supply, demand, _]] = self.link.sent
        assert isinstance(supply, SupplyParameters) and isinstance(demand, DemandParameters)
        self.assertEqual((supply.power_limit, demand.power_limit), (0, 0))
        self.assertEqual(self.device.limits.draw_w, 0)
        self.pass_(0.1)
        self.pass_(1.0)
        self.assertFalse(self.link.transferring)
