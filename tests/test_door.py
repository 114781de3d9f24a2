"""Accepted connections before their TLS stands: who waits, whose turn it is, who makes room."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.tcp import Port
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect, makeFakeClient
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.bench.attackers import clientHello
from epnet.connections import Connections
from epnet.door import ACCEPTED_TOGETHER, LINES, Doorkeeper, Stranger
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.interfaces import ITrust
from epnet.lifecycle import Phase
from epnet.limits import ConnectionLimits
from epnet.node import DeviceNode, parametersOf
from epnet.protocol import EPProtocol
from epnet.testing import issueTrusts
from tests.fakes import FakeDevice, Reactor

LIMITS = ConnectionLimits(strangers=6, strangersPerAddress=4, handshakes=2)
PIECE_OF_A_HELLO = b"\x16\x03\x01\x02\x00\x01"

TRUSTS: dict[str, ITrust] = {}
"""Made once for the module: making keys takes longer than the tests."""


class Wire(StringTransport):
    """A TCP transport in memory."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class DoorTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.pumps: list[IOPump] = []
        if not TRUSTS:
            TRUSTS.update(issueTrusts(Path(self.mktemp()).absolute(), "device", "other", "router"))
        self.clock = Clock()
        self.open(LIMITS)

    def open(self, limits: ConnectionLimits) -> None:
        """Open the door of a router with those limits."""
        self.connections = self.makeConnections("router", limits)
        self.keeper = self.connections.doorkeeper
        self.door = EPServerFactory(self.connections, TRUSTS["router"]).door(self.clock)

    def makeConnections(self, identity: str, limits: ConnectionLimits = LIMITS) -> Connections:
        device = FakeDevice()
        node = DeviceNode(device, parametersOf(device, identity), self.clock)
        connections = Connections(node, self.clock, limits)
        connections.startService()
        return connections

    def knock(self, host: str = "192.0.2.1") -> tuple[Stranger, Wire]:
        """Somebody connects and says nothing."""
        address = IPv4Address("TCP", host, 4711)
        stranger = self.door.buildProtocol(address)
        transport = Wire(peerAddress=address)
        stranger.makeConnection(transport)
        return stranger, transport

    def knocks(self, count: int, data: bytes) -> list[tuple[Stranger, Wire]]:
        """So many connect, each from an address of its own, and send the same."""
        made = [self.knock(f"192.0.2.{number}") for number in range(count)]
        for stranger, _ in made:
            stranger.dataReceived(data)
        return made

    def begun(self, made: list[tuple[Stranger, Wire]]) -> list[bool]:
        """Whose handshake has begun."""
        return [stranger.protocol is not None for stranger, _ in made]

    def later(self, seconds: float) -> None:
        """Let time pass, a sweep at a time."""
        for _ in range(round(seconds / 0.02)):
            self.clock.advance(0.02)


class ArrivalTestCase(DoorTestCase):
    """Devices arrive."""

    def arrive(
        self, identity: str = "device", host: str = "192.0.2.1"
    ) -> tuple[Stranger, EPProtocol]:
        address = IPv4Address("TCP", host, 4711)
        stranger = self.door.buildProtocol(address)
        trust = TRUSTS[identity]
        factory = EPClientFactory(self.makeConnections(identity), trust)
        dialling = trust.clientFactory(factory, clock=self.clock).buildProtocol(None)
        assert dialling is not None
        device: EPProtocol = dialling.wrappedProtocol
        ends = FakeTransport(stranger, True, peerAddress=address), makeFakeClient(dialling)
        self.pumps.append(connect(stranger, ends[0], dialling, ends[1], clock=self.clock))
        for _ in range(20):
            self.clock.advance(0.01)
            for pump in self.pumps:
                pump.flush()
        return stranger, device


class DeviceTests(ArrivalTestCase):
    """A device that is let in."""

    def test_itsSessionOpensAndItIsNoStrangerAnyMore(self) -> None:
        stranger, device = self.arrive()
        assert stranger.protocol is not None
        self.assertIs(stranger.protocol.session.phase, Phase.OPEN)
        self.assertIs(device.session.phase, Phase.OPEN)
        self.assertEqual(len(self.keeper), 0)

    def test_itGetsInPastAnyNumberOfSilentStrangers(self) -> None:
        for number in range(300):
            self.knock(f"192.0.2.{number % 250}")
        _, device = self.arrive()
        self.assertIs(device.session.phase, Phase.OPEN)

    def test_itsGreetingWaitsForItsTurnAsItsHandshakeDoes(self) -> None:
        done: list[Phase] = []
        proceed = Stranger.proceed

        def proceeding(stranger: Stranger) -> None:
            proceed(stranger)
            assert stranger.protocol is not None
            done.append(stranger.protocol.session.phase)

        self.patch(Stranger, "proceed", proceeding)
        self.arrive()
        self.assertIs(done[-1], Phase.OPEN)
        self.assertEqual(done.count(Phase.OPEN), 1)  # and then it waits for nobody any more

    def test_strangersNeverMakeItLeave(self) -> None:
        _, device = self.arrive()
        for number in range(300):
            self.knock(f"192.0.2.{number % 250}")
        self.assertIs(device.session.phase, Phase.OPEN)

    def test_theEndOfItsConnectionEndsItsSession(self) -> None:
        stranger, _ = self.arrive()
        protocol = stranger.protocol
        assert protocol is not None
        stranger.connectionLost(Failure(ConnectionDone()))
        self.assertIs(protocol.session.phase, Phase.CLOSED)
        self.assertEqual(list(self.connections), [])

    def test_S4_whoShookHandsIsAStrangerUntilItSaysWhoItIs(self) -> None:
        self.patch(EPProtocol, "handshakeCompleted", lambda protocol: None)
        stranger, _ = self.arrive()
        self.assertEqual(len(self.keeper), 1)
        self.assertIsNotNone(stranger.protocol)


class SessionLimitTests(ArrivalTestCase):
    """Validated peers: as many as are taken, and who is let in all the same."""

    def assertLetIn(self, device: EPProtocol) -> None:
        self.assertIs(device.session.phase, Phase.OPEN)

    def assertRefused(self, device: EPProtocol) -> None:
        self.assertIsNot(device.session.phase, Phase.OPEN)

    def test_sessionsInTotal(self) -> None:
        self.open(ConnectionLimits(connections=1))
        self.assertLetIn(self.arrive("device", "192.0.2.1")[1])
        self.assertRefused(self.arrive("other", "192.0.2.2")[1])

    def test_sessionsWithOneAddress(self) -> None:
        self.open(ConnectionLimits(perAddress=1))
        self.assertLetIn(self.arrive("device", "192.0.2.1")[1])
        self.assertRefused(self.arrive("other", "192.0.2.1")[1])
        self.assertLetIn(self.arrive("other", "192.0.2.2")[1])

    def test_whoIsGoneMakesRoom(self) -> None:
        self.open(ConnectionLimits(connections=1, perAddress=1))
        for name in ("device", "other", "device"):
            stranger, device = self.arrive(name, "192.0.2.1")
            self.assertLetIn(device)
            self.pumps.clear()
            stranger.connectionLost(Failure(ConnectionDone()))

    def test_strangersDoNotCount(self) -> None:
        self.open(ConnectionLimits(connections=1))
        self.knocks(3, PIECE_OF_A_HELLO)
        self.assertLetIn(self.arrive()[1])

    def test_whoHasASessionMayComeBack(self) -> None:
        self.open(ConnectionLimits(connections=1, perAddress=1))
        self.arrive()
        self.pumps.clear()  # its old connection is half-open
        self.assertLetIn(self.arrive()[1])


class MakingRoomTests(DoorTestCase):
    def test_theDoorIsAFactory(self) -> None:
        verifyObject(IProtocolFactory, self.door)

    def test_S4_thereIsNothingBehindAStrangerThatIsSilent(self) -> None:
        stranger, transport = self.knock()
        self.later(1.0)
        self.assertIsNone(stranger.protocol)
        self.assertFalse(transport.disconnecting)

    def test_S4_theOldestStrangerOfAnAddressMakesRoom(self) -> None:
        transports = [self.knock()[1] for _ in range(5)]
        self.assertEqual([t.disconnecting for t in transports], [True] + [False] * 4)
        self.assertEqual(len(self.keeper), 4)

    def test_S4_theOldestStrangerMakesRoom(self) -> None:
        transports = [self.knock(f"192.0.2.{number}")[1] for number in range(7)]
        self.assertEqual([t.disconnecting for t in transports], [True] + [False] * 6)

    def test_whoMadeRoomInHisHandshakeIsToldWhyInTheLog(self) -> None:
        with capturedLogs() as events:
            made = self.knocks(1, PIECE_OF_A_HELLO)
            self.later(0.1)
            for number in range(10, 16):
                self.knock(f"192.0.2.{number}")
            made[0][0].connectionLost(Failure(ConnectionDone()))
            self.later(0.02)
        self.assertIn("too many connections", "\n".join(map(str, map(formatEvent, events))))

    def test_howManyMadeRoomIsLoggedNowAndThen(self) -> None:
        with capturedLogs() as events:
            for _ in range(50):
                for _ in range(10):
                    self.knock()
                self.later(0.1)
        texts = [str(formatEvent(event)) for event in events]
        told = [text for text in texts if "made room" in text]
        self.assertEqual(len(told), 1, told)
        self.assertEqual(self.keeper.madeRoom, 496)

    def test_stoppingTurnsAwayWhoHasNotBegun(self) -> None:
        _, transport = self.knock()
        self.successResultOf(self.connections.stopService())
        self.assertTrue(transport.disconnecting)


class HandshakeTimeTests(DoorTestCase):
    def test_S4_aSilentStrangerHas10Seconds(self) -> None:
        _, transport = self.knock()
        self.later(9.9)
        self.assertFalse(transport.disconnecting)
        self.later(0.2)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.keeper), 0)

    def test_S4_aSlowHandshakeHasNoLonger(self) -> None:
        stranger, transport = self.knock()
        for piece in (PIECE_OF_A_HELLO, b"\x00", b"\x01", b"\xfc"):
            self.later(2.0)
            stranger.dataReceived(piece)
        self.later(1.9)
        self.assertFalse(transport.disconnecting)
        self.later(0.2)
        self.assertTrue(transport.disconnecting)


class TurnTests(DoorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.reactor = Reactor()
        self.connections.doorkeeper = Doorkeeper(self.reactor, LIMITS)  # type: ignore[arg-type]
        self.door = EPServerFactory(self.connections, TRUSTS["router"]).door(self.clock)

    def test_aFewHandshakesAreComputedInEachTurnInOrder(self) -> None:
        made = self.knocks(5, PIECE_OF_A_HELLO)
        self.assertEqual(self.begun(made), [False] * 5)
        self.reactor.turn()
        self.assertEqual(self.begun(made), [True] * 2 + [False] * 3)
        self.reactor.turn()
        self.assertEqual(self.begun(made), [True] * 4 + [False])
        self.reactor.turn()
        self.assertEqual(self.begun(made), [True] * 5)

    def test_nobodyHoldsAPlaceWhileHeIsAwaited(self) -> None:
        self.knocks(4, PIECE_OF_A_HELLO)
        self.reactor.turn()
        self.reactor.turn()
        late, _ = self.knock("192.0.2.100")
        late.dataReceived(PIECE_OF_A_HELLO)
        self.reactor.turn()
        self.assertIsNotNone(late.protocol)

    def test_noMoreIsReadUntilTheTurnComes(self) -> None:
        [(_, transport)] = self.knocks(1, PIECE_OF_A_HELLO)
        self.assertEqual(transport.producerState, "paused")
        self.reactor.turn()
        self.assertEqual(transport.producerState, "producing")

    def test_whatItSaidBehindItsGreetingIsTakenThoughItIsNoStrangerAnyMore(self) -> None:
        [(stranger, transport)] = self.knocks(1, PIECE_OF_A_HELLO)
        self.reactor.turn()
        stranger.dataReceived(b"more")
        assert stranger.protocol is not None
        stranger.protocol.whenKnown()  # for its greeting, which was read elsewhere
        self.assertEqual(len(self.connections.doorkeeper), 0)
        self.reactor.turn()
        self.assertEqual(transport.producerState, "producing")

    def test_nothingIsComputedForWhoIsGone(self) -> None:
        made = self.knocks(3, PIECE_OF_A_HELLO)
        made[0][0].connectionLost(Failure(ConnectionDone()))
        self.reactor.turn()
        self.assertEqual(self.begun(made), [False, True, True])

    def test_anErrorOfOursEndsOneConnectionOnly(self) -> None:
        made = self.knocks(4, PIECE_OF_A_HELLO)
        self.patch(made[0][0], "proceed", lambda: 1 / 0)
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(made[0][1].disconnecting)
        self.assertEqual(self.begun(made), [False, True, True, True])

    def test_whatIsLeftOfAStrangerIsClearedAwayInItsTurn(self) -> None:
        made = self.knocks(3, PIECE_OF_A_HELLO)
        self.reactor.turn()
        for stranger, _ in made[:2]:
            stranger.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(list(self.connections)), 2)
        self.reactor.turn()  # for the third one, who came before that, and the first one
        self.assertEqual(len(list(self.connections)), 2)
        self.reactor.turn()
        self.assertEqual(list(self.connections), [made[2][0].protocol])

    def test_fewConnectionsAreAcceptedTogether(self) -> None:
        port = self.listen()
        port.numberAccepts = 100
        for _ in range(3):
            stranger = self.door.buildProtocol(None)
            transport = Wire()
            transport.server = port  # type: ignore[attr-defined]
            stranger.makeConnection(transport)
        self.assertEqual(len(self.reactor.calls), 1)
        self.reactor.turn()
        self.assertEqual(port.numberAccepts, ACCEPTED_TOGETHER)

    def listen(self) -> Port:
        return Port(0, self.door)


class GarbageTests(DoorTestCase):
    """Python frees at once what nothing holds; what holds itself waits for a look at everything."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(gc.enable)
        gc.disable()

    def assertNothingIsLeft(self, flight: bytes, turnedAway: bool = False) -> None:
        stranger, transport = self.knock()
        stranger.dataReceived(flight)
        self.later(0.1)
        assert stranger.protocol is not None
        seen = [weakref.ref(stranger.protocol), weakref.ref(stranger.protocol.transport)]
        if turnedAway:
            stranger.turnAway("for a test")
        stranger.connectionLost(Failure(ConnectionDone()))
        self.later(0.1)
        transport.unregisterProducer()
        del stranger, transport
        self.assertEqual([each() for each in seen], [None, None])

    def test_ofAHandshakeThatIsBrokenOff(self) -> None:
        self.assertNothingIsLeft(clientHello())

    def test_ofAHandshakeThatTookTooLong(self) -> None:
        self.assertNothingIsLeft(clientHello(), turnedAway=True)

    def test_ofWhoSpeaksNoTLS(self) -> None:
        self.assertNothingIsLeft(b"GET / HTTP/1.1\r\n\r\n")


class LogTests(DoorTestCase):
    """Who knocks often cannot fill the log."""

    def knockInVain(self, times: int) -> list[str]:
        """So many speak no TLS; gives what the log says until the next report."""
        with capturedLogs() as events:
            for number in range(times):
                stranger, _ = self.knock(f"192.0.2.{number % 250}")
                stranger.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
                self.later(0.02)
                stranger.connectionLost(Failure(ConnectionDone()))
                self.later(0.02)
            self.later(10.1)
        return [str(formatEvent(event)) for event in events]

    def test_aFewHaveALineEach(self) -> None:
        told = self.knockInVain(3)
        self.assertEqual(len([text for text in told if "speak TLS but HTTP" in text]), 3)
        self.assertEqual(self.keeper.untold, 0)

    def test_ofManyTheOthersAreCounted(self) -> None:
        told = self.knockInVain(100)
        lines = len([text for text in told if "speak TLS but HTTP" in text])
        self.assertLessEqual(lines, LINES + 1)
        [report] = [text for text in told if "more have no line" in text]
        self.assertIn(f"{100 - lines} more have no line of their own", report)

    def test_afterAWhileTheyHaveLinesAgain(self) -> None:
        self.knockInVain(100)
        self.assertEqual(len(self.knockInVain(3)), 3)
