"""Sessions over real TLS in memory: two nodes that talk, part, and lose one another."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from twisted.internet.error import ConnectionAborted
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from epnet import protocol as protocolModule
from epnet.errors import UsageError
from epnet.factory import EPClientFactory, EPPeerFactory
from epnet.interfaces import IClient, ILink, IPeer, IServer, ITrust, Reading
from epnet.lifecycle import Cause, Ending, Phase
from epnet.limits import SessionSettings
from epnet.node import DeviceNode
from epnet.sockets import Outgoing
from epnet.testing import MemoryPair
from epnet.wire import DemandParameters, Message, SupplyParameters, encode
from tests.fakes import FakeDevice
from tests.protocolcase import DEMAND, TRUSTS, ProtocolTestCase


class InterfaceTests(ProtocolTestCase):
    def test_rolesAndPolicy(self) -> None:
        verifyObject(IServer, self.server)
        verifyObject(IClient, self.client)
        verifyObject(ITrust, TRUSTS["charger"])
        peer = EPPeerFactory(self.connections("x", FakeDevice()), TRUSTS["charger"])
        verifyObject(IPeer, peer)

    def test_theProtocolIsALink(self) -> None:
        verifyObject(ILink, self.pair().client)


class TransferTests(ProtocolTestCase):
    def test_bothEndsOpen(self) -> None:
        pair = self.pair()
        self.assertEqual(pair.client.peer.identity, "battery")
        self.assertEqual(pair.server.peer.identity, "charger")

    def test_powerFlowsByConsent(self) -> None:
        pair = self.pair()
        pair.advance(0.3)
        self.assertEqual(self.charger.limits.draw_w, 3000)
        self.assertEqual(self.battery.limits.supply_w, 3000)
        self.assertTrue(pair.client.session.transferring)
        self.assertTrue(pair.server.session.transferring)

    def test_itGoesOn(self) -> None:
        pair = self.pair()
        pair.advance(10.0)
        self.assertIs(pair.client.session.phase, Phase.OPEN)
        self.assertEqual(self.charger.shutDowns, [])
        self.assertEqual(self.charger.limits.draw_w, 3000)

    def test_S5_aCutLineShutsBothEndsDown(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        pair.cut()
        cutAt = self.clock.seconds()
        while not (self.charger.shutDowns and self.battery.shutDowns):
            pair.advance(0.01)
            self.assertLess(self.clock.seconds() - cutAt, 0.25)
        self.assertIn("silent for 2", self.charger.shutDowns[0])

    def test_S5_lossOfASlowPeerIsLouderAndLater(self) -> None:
        self.beSlow({"charger": 400})
        with capturedLogs() as events:
            pair = self.pair()
        [told] = [formatEvent(e) for e in events if "SILENT" in (e["log_format"] or "")]
        self.assertIn("charger MAY BE SILENT FOR 400 ms", told)
        pair.advance(1.0)
        pair.cut()
        pair.advance(0.23)
        # Its consent has ended all the same; the session goes on.
        self.assertEqual(self.battery.limits.supply_w, 0)
        self.assertEqual(self.battery.shutDowns, [])
        self.assertNotEqual(self.charger.shutDowns, [])
        pair.advance(0.11)
        self.assertEqual(self.battery.shutDowns, [])
        pair.advance(0.1)
        self.assertEqual(len(self.battery.shutDowns), 1)

    def test_S5_alsoWhileItIsConnected(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        for loss_ms in (400, 300, 200):
            self.beSlow({"charger": loss_ms})
            self.assertEqual(pair.server.session.settings.loss, loss_ms / 1000)
        self.beSlow({"charger": 400})
        pair.cut()
        pair.advance(0.33)
        self.assertEqual(self.battery.shutDowns, [])
        self.beSlow({})
        pair.advance(0.02)
        self.assertEqual(len(self.battery.shutDowns), 1)

    def test_otherTimesReachTheSessionsThatAreOpen(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        self.server.connections.setSessions(SessionSettings(publishInTransfer=0.01), {})
        before = self.client.connections.received[SupplyParameters]
        pair.advance(1.0)
        received = self.client.connections.received[SupplyParameters] - before
        self.assertGreater(received, 45)  # the sweep lets 50 a second go out

    def beSlow(self, loss_ms: dict[str, float]) -> None:
        """The configuration is read anew."""
        self.server.connections.setSessions(SessionSettings(), loss_ms)

    def test_S5_onlyForThePeerItIsMeantForAndOnlyWithinBounds(self) -> None:
        self.beSlow({"somebody": 400})
        self.assertEqual(self.pair().server.session.settings.loss, 0.2)
        for loss_ms in (199, 401):
            self.assertRaises(UsageError, self.beSlow, {"charger": loss_ms})

    def test_S5_notForWhoOnlySaysSo(self) -> None:
        self.beSlow({"charger": 400})
        trust = TRUSTS["battery"]
        believe = trust.authenticate
        self.patch(
            trust,
            "authenticate",
            lambda *a, **k: attrs.evolve(believe(*a, **k), authenticated=False),
        )
        self.assertEqual(self.pair().server.session.settings.loss, 0.2)

    def test_S10_stoppingDrainsSaysWhyAndCloses(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        stopped = self.client.connections.stopService()
        pair.advance(2.0)
        self.successResultOf(stopped)
        [reason] = self.battery.shutDowns
        self.assertEqual(reason, "shutting down")
        self.assertEqual(list(self.server.connections), [])

    def test_S10_stoppingIsBoundedWhenPowerDoesNotFall(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        self.patch(self.charger, "reading", lambda: Reading(230.0, 3000.0, 0.0))
        stopped = self.client.connections.stopService()
        pair.advance(4.1)
        self.successResultOf(stopped)

    def test_S10_stoppingIsBoundedWhenThePeerIsStuck(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        pair.cut()
        stopped = self.client.connections.stopService()
        pair.advance(4.5)
        self.successResultOf(stopped)


class RefusalTests(ProtocolTestCase):
    def test_S3_theIdentityMustMatchTheCertificate(self) -> None:
        self.client.node.parameters = self.client.node.parameters.replace(identity="thief")
        with capturedLogs() as events:
            pair = self.pair()
            pair.advance(1.0)
        self.assertIsNot(pair.server.session.phase, Phase.OPEN)
        warnings = [formatEvent(e) for e in events if e["log_level"] is LogLevel.warn]
        self.assertTrue(any("thief" in text and "charger" in text for text in warnings), warnings)

    def test_theExpectedIdentity(self) -> None:
        self.client = EPClientFactory(
            self.client.connections, TRUSTS["charger"], identity="somebody-else"
        )
        pair = self.pair()
        self.assertIsNot(pair.client.session.phase, Phase.OPEN)

    def test_ourOwnIdentityIsRefused(self) -> None:
        self.server.trust = TRUSTS["charger"]
        self.server.node.parameters = self.client.node.parameters
        pair = self.pair()
        self.assertIsNot(pair.client.session.phase, Phase.OPEN)

    def test_aSecondConnectionDoesNotDisplaceALivingOne(self) -> None:
        first = self.pair()
        first.advance(0.5)
        second = self.pair()
        for _ in range(50):
            second.advance(0.01)
            first.settle()
        self.assertIs(first.server.session.phase, Phase.OPEN)
        self.assertIsNot(second.server.session.phase, Phase.OPEN)
        self.assertEqual(self.charger.limits.draw_w, 3000)


class ImpatienceTests(ProtocolTestCase):
    def test_aSessionIsNot(self) -> None:
        pair = MemoryPair(self.client, self.server, self.clock)
        self.assertIs(pair.client.session.phase, Phase.OPEN)
        pair.client.giveUpUnlessOpen("for a test")
        self.assertIs(pair.client.session.phase, Phase.OPEN)

    def test_aSilentHostIsLeftWithTheReason(self) -> None:
        tls = TRUSTS["charger"].clientFactory(self.client, clock=self.clock).buildProtocol(None)
        assert tls is not None
        transport = StringTransport()
        tls.makeConnection(transport)
        with capturedLogs() as events:
            tls.wrappedProtocol.giveUpUnlessOpen("no session within 2.5 s")
            self.assertTrue(transport.disconnected)
            tls.connectionLost(Failure(ConnectionAborted()))
        [text] = [formatEvent(event) for event in events if event.get("event") == "refused"]
        self.assertIn("no session within 2.5 s", str(text))


class SlowReaderTests(ProtocolTestCase):
    def test_S8_nothingIsPublishedToAPeerThatDoesNotRead(self) -> None:
        pair = self.pair()
        asked: list[int] = []

        def publications() -> Iterable[Message]:
            asked.append(1)
            return [DEMAND]

        pair.client.publications = publications  # type: ignore[method-assign]
        pair.client.pauseProducing()
        pair.advance(0.1)
        self.assertEqual(asked, [])
        pair.client.resumeProducing()
        self.assertEqual(asked, [1])


class StallTests(ProtocolTestCase):
    def test_S12_afterAStallSocketsAreReadBeforeAnyoneIsJudged(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        self.clock.advance(0.5)
        pair.server.publishNow()
        pair.client.publishNow()
        pair.advance(0.5)
        self.assertEqual(self.charger.shutDowns, [])
        self.assertIs(pair.client.session.phase, Phase.OPEN)

    def test_S8_whatWaitedWhileWeStalledIsNoConsent(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        pair.server.publishNow()
        pair.client.publishNow()
        self.clock.advance(0.5)
        pair.settle()
        self.assertIsNone(pair.client.supply())
        pair.advance(0.2)
        self.assertEqual(self.charger.limits.draw_w, 3000)

    def test_S12_whoeverIsSilentAllTheSameIsLost(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        pair.cut()
        for _ in range(2):
            self.clock.advance(0.5)
        self.assertEqual(len(self.charger.shutDowns), 1)

    def test_anErrorInOneProtocolDoesNotStopThePulse(self) -> None:
        pair = self.pair()

        def broken() -> Iterable[Message]:
            raise RuntimeError("a bug in an integration")

        pair.client.publications = broken  # type: ignore[method-assign]
        pair.advance(0.5)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(list(self.client.connections), [])
        pair = self.pair()
        pair.advance(0.5)
        self.assertEqual(self.charger.limits.draw_w, 3000)

    def test_whoLeavesWhileItPublishesStillSaysGoodbye(self) -> None:
        pair = self.pair()
        endings: list[Ending] = []
        pair.server.sessionClosed = endings.append  # type: ignore[method-assign]

        def last() -> Iterable[Message]:
            pair.client.disconnect("enough")
            return ()

        pair.client.publications = last  # type: ignore[method-assign]
        pair.advance(0.5)
        [ending] = endings
        self.assertEqual((ending.cause, ending.reason), (Cause.PEER_LEFT, "enough"))

    def test_aTransportThatFailsEndsItsOwnConnectionAlone(self) -> None:
        self.client.connections.register.opened = (  # type: ignore[method-assign]
            lambda protocol, now: protocol.announce()
        )
        first, second = self.pair(), self.pair()

        def broken(data: bytes) -> None:
            raise RuntimeError("a bug in a transport")

        first.client.transport.write = broken  # type: ignore[method-assign]
        first.advance(0.2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIs(first.client.session.phase, Phase.CLOSED)
        self.assertIs(second.client.session.phase, Phase.OPEN)

    def test_whatIsSaidWhileOneFailsComesAfterWhatWasSaidBefore(self) -> None:
        """Else a peer would take the older grant for the newest."""
        self.client.connections.register.opened = (  # type: ignore[method-assign]
            lambda protocol, now: protocol.announce()
        )
        first, second = self.pair(), self.pair()
        first.advance(0.2)
        sent: list[bytes] = []
        said = iter([DEMAND.replace(power_limit=watts) for watts in (2000, 1000)])
        second.client.transport.write = sent.append  # type: ignore[method-assign]
        second.client.publications = lambda: [next(said)]  # type: ignore[method-assign]

        def broken(data: bytes) -> None:
            raise RuntimeError("a bug in a transport")

        first.client.transport.write = broken  # type: ignore[method-assign]
        first.client.sessionClosed = lambda _: second.client.publishNow()  # type: ignore[method-assign]
        connections = self.client.connections
        connections._publish([first.client, second.client], self.clock.seconds() + 0.1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        expected = [encode(DEMAND.replace(power_limit=watts)) for watts in (2000, 1000)]
        self.assertEqual(sent, expected)

    def test_anErrorInTheNodeEndsAllConnectionsAndNotThePulse(self) -> None:
        pair = self.pair()
        pair.advance(0.5)

        def broken(now: float) -> None:
            raise RuntimeError("a bug in a node")

        self.patch(self.client.node, "advance", broken)
        pair.advance(0.1)
        self.assertNotEqual(self.flushLoggedErrors(RuntimeError), [])
        self.assertEqual(list(self.client.connections), [])
        self.assertNotEqual(self.charger.shutDowns, [])

    def test_anErrorOfOurOwnInThePulseIsToldOnceAndDoesNotStopIt(self) -> None:
        for name, method in (("register", "settle"), ("doorkeeper", "advance")):
            self.setUp()
            pair = self.pair()

            def broken(now: float) -> None:
                raise RuntimeError("a bug of ours")

            self.patch(getattr(self.client.connections, name), method, broken)
            pair.advance(0.5)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            pair.cut()
            pair.advance(0.3)
            self.assertIs(pair.client.session.phase, Phase.CLOSED)

    def test_anErrorInTheNodeShutsTheTransferDown(self) -> None:
        """Whatever raises, the session ends, the device stops, and the client dials again."""

        def broken(*arguments: object) -> None:
            raise RuntimeError("a bug in a driver")

        for name in ("setLimits", "reading", "supply", "storage"):
            self.setUp()
            redialled: list[str] = []
            self.client.whenDisconnected = lambda done=redialled: done.append("again")
            pair = self.pair()
            pair.advance(0.5)
            restore = self.patch(self.charger, name, broken)
            pair.advance(0.2)
            restore.restore()
            pair.advance(0.2)
            self.assertNotEqual(self.flushLoggedErrors(RuntimeError), [], name)
            self.assertEqual(len(self.charger.shutDowns), 1, name)
            self.assertEqual(self.charger.limits.draw_w, 0)
            self.assertEqual(redialled, ["again"], name)
            self.assertEqual(list(self.client.connections), [])
            assert isinstance(self.client.node, DeviceNode)
            self.assertIsNone(self.client.node.holder)

    def test_anErrorInShutDownDoesNotStopRedialling(self) -> None:
        redialled: list[str] = []
        self.client.whenDisconnected = lambda: redialled.append("again")
        pair = self.pair()
        pair.advance(0.5)

        def broken(reason: str) -> None:
            raise RuntimeError("a bug in a driver")

        self.patch(self.charger, "shutDown", broken)
        pair.cut()
        pair.advance(0.5)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(redialled, ["again"])
        self.assertNotIn("battery", self.client.connections.register)

    def test_anErrorInARoleThatHearsOfTheEndDoesNotKeepItFromTheNode(self) -> None:
        def broken(*arguments: object) -> None:
            raise RuntimeError("a bug in an integration")

        for name in ("sessionEnded", "disconnected"):
            self.setUp()
            pair = self.pair()
            pair.advance(0.5)
            self.patch(self.client, name, broken)
            pair.cut()
            pair.advance(0.5)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1, name)
            self.assertEqual(len(self.charger.shutDowns), 1, name)
            self.assertNotIn("battery", self.client.connections.register)
            self.assertEqual(list(self.client.connections), [], name)

    def test_anErrorInATrustThatDescribesTheEndDoesNotKeepItFromTheNode(self) -> None:
        def broken(*arguments: object) -> str:
            raise RuntimeError("a bug in an integration")

        pair = self.pair()
        pair.advance(0.5)
        self.patch(self.client.trust, "describeFailure", broken)
        pair.client.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(self.charger.shutDowns), 1)
        self.assertEqual(list(self.client.connections), [])


class SocketTests(ProtocolTestCase):
    def test_S7_S8_socketsSendPromptly(self) -> None:
        told: list[object] = []
        self.patch(protocolModule, "sendPromptly", told.append)
        pair = self.pair()
        self.assertIn(pair.client.transport.transport, told)
        self.assertIn(pair.server.transport.transport, told)

    def test_S8_dataThatNobodyAcknowledgesEndsATransfer(self) -> None:
        self.patch(protocolModule, "outgoingOf", lambda transport: Outgoing(True, 0))
        pair = self.pair()
        pair.advance(0.5)
        self.assertIn("our data unacknowledged for 200 ms", self.charger.shutDowns[0])

    def test_S10_aLostLinkIsAbortedAndAnIntendedEndIsNot(self) -> None:
        for end, aborted in (("cut", True), ("leave", False)):
            self.setUp()
            pair = self.pair()
            pair.advance(0.5)
            calls: list[str] = []
            transport = pair.client.transport
            self.patch(transport, "abortConnection", lambda c=calls: c.append("abort"))
            if end == "cut":
                pair.cut()
            else:
                pair.client.disconnect("done")
            pair.advance(1.5)
            self.assertEqual(calls, ["abort"] * aborted)


class CounterTests(ProtocolTestCase):
    def test_messagesByTypeAndDirection(self) -> None:
        self.pair().advance(1.0)
        connections = self.client.connections
        self.assertAlmostEqual(connections.sent[DemandParameters], 20, delta=1)
        self.assertAlmostEqual(connections.received[SupplyParameters], 20, delta=1)

    def test_lostTransfersByCause(self) -> None:
        pair = self.pair()
        pair.advance(0.5)
        pair.cut()
        pair.advance(0.5)
        self.assertEqual(dict(self.client.connections.losses), {"lost": 1})

    def test_transfersThatWereEndedOnPurposeAreNotLost(self) -> None:
        pair = self.pair()
        pair.advance(0.5)
        self.client.connections.stopService()
        pair.advance(2.0)
        self.assertEqual(dict(self.client.connections.losses), {})
