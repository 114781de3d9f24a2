"""Keeping one dialled connection up."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epnet.connections import Connections
from epnet.dialler import Backoff, Dialler
from epnet.factory import EPClientFactory
from epnet.lifecycle import Cause, Ending
from epnet.node import DeviceNode, parametersOf
from epnet.protocol import EPProtocol
from epnet.testing import issueTrusts
from tests.fakes import FakeDevice


@implementer(IStreamClientEndpoint)
class FakeEndpoint:
    """Each attempt is a Deferred that the test fires."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[IProtocol]] = []

    def __str__(self) -> str:
        return "router@192.0.2.1:56540"

    def connect(self, factory: object) -> Deferred[IProtocol]:
        self.attempts.append(Deferred())
        return self.attempts[-1]


class DiallerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        device = FakeDevice()
        connections = Connections(
            DeviceNode(device, parametersOf(device, "us"), self.clock), self.clock
        )
        trust = issueTrusts(Path(self.mktemp()).absolute(), "us")["us"]
        self.factory = EPClientFactory(connections, trust, backoff=Backoff(jitter=lambda: 1.0))
        self.endpoint = FakeEndpoint()
        self.dialler = Dialler(self.endpoint, self.factory, self.clock)

    def test_whatFailedIsToldWithWhereItIs(self) -> None:
        self.dialler.startService()
        with capturedLogs() as events:
            self.refuse()
        [text] = [formatEvent(event) for event in events]
        self.assertEqual(text, "us: cannot connect to router@192.0.2.1:56540: nobody listens there")

    def refuse(self) -> None:
        self.endpoint.attempts[-1].errback(ConnectionRefusedError())

    def accept(self) -> EPProtocol:
        protocol = self.factory.buildProtocol(None)
        assert isinstance(protocol, EPProtocol)
        protocol.makeConnection(StringTransport())
        self.endpoint.attempts[-1].callback(protocol)
        return protocol

    def test_dialsAtOnce(self) -> None:
        self.assertEqual(len(self.endpoint.attempts), 0)
        self.dialler.startService()
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_dialsAgainWithMorePatienceEachTime(self) -> None:
        self.dialler.startService()
        for number, delay in enumerate((0.1, 0.2, 0.4, 0.8), 1):
            self.refuse()
            self.clock.advance(delay - 0.001)
            self.assertEqual(len(self.endpoint.attempts), number)
            self.clock.advance(0.001)
            self.assertEqual(len(self.endpoint.attempts), number + 1)

    def test_dialsAgainWhenTheConnectionIsGone(self) -> None:
        self.dialler.startService()
        protocol = self.accept()
        self.clock.advance(100)
        self.assertEqual(len(self.endpoint.attempts), 1)
        protocol.connectionLost()
        self.clock.advance(0.1)
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_dialsAgainWhateverAnErrorInAnIntegrationDoes(self) -> None:
        def broken(*arguments: object) -> object:
            raise RuntimeError("a bug in an integration")

        self.dialler.startService()
        for number, (whose, name) in enumerate(
            ((self.factory.trust, "describeFailure"), (self.factory, "redialDelay")), 2
        ):
            patched = self.patch(whose, name, broken)
            self.refuse()
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1, name)
            patched.restore()
            self.clock.advance(Backoff.LONGEST)
            self.assertEqual(len(self.endpoint.attempts), number, name)

        self.patch(self.factory, "disconnected", broken)
        self.accept().connectionLost()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.clock.advance(Backoff.LONGEST)
        self.assertEqual(len(self.endpoint.attempts), 4)

    def test_M3_somebodyInChargeMayShortenTheWait(self) -> None:
        self.dialler.startService()
        for _ in range(5):
            self.refuse()
            self.dialler.dialNow()
            self.clock.advance(0)
        self.assertEqual(len(self.endpoint.attempts), 6)
        self.dialler.dialNow()  # it is dialling already
        self.clock.advance(0)
        self.assertEqual(len(self.endpoint.attempts), 6)

    def test_stopsWhileItWaits(self) -> None:
        self.dialler.startService()
        self.refuse()
        self.dialler.stopService()
        self.clock.advance(100)
        self.assertEqual(len(self.endpoint.attempts), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopsWhileItDials(self) -> None:
        self.dialler.startService()
        self.dialler.stopService()
        self.clock.advance(100)
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_stoppingLeavesTheConnectionToTakeLeave(self) -> None:
        self.dialler.startService()
        protocol = self.accept()
        self.dialler.stopService()
        assert isinstance(protocol.transport, StringTransport)
        self.assertFalse(protocol.transport.disconnecting)
        protocol.connectionLost()
        self.clock.advance(100)
        self.assertEqual(len(self.endpoint.attempts), 1)


class BackoffTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.backoff = Backoff(jitter=lambda: 1.0)

    def delays(self, count: int, ending: Ending | None = None, lasted: float = 0.0) -> list[float]:
        return [self.backoff.delay(ending, lasted) for _ in range(count)]

    def test_doublesFrom100msTo30s(self) -> None:
        self.assertEqual(self.delays(10), [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0])
        self.backoff = Backoff(jitter=lambda: 1.5)
        self.assertEqual(self.delays(20)[-2:], [30.0, 30.0])

    def test_atOnceAfterATransferWasLost(self) -> None:
        self.delays(5)
        lost = Ending(Cause.LOST, "silent", wasOpen=True, inTransfer=True)
        self.assertEqual(self.delays(1, lost, 5.0), [0.0])

    def test_notAtOnceOverAndOverAgain(self) -> None:
        lost = Ending(Cause.LOST, "broken framing", wasOpen=True, inTransfer=True)
        self.assertEqual(self.delays(3, lost, 0.9), [0.1, 0.2, 0.4])

    def test_anewAfterAStableMinute(self) -> None:
        self.delays(5)
        lost = Ending(Cause.LOST, "silent", wasOpen=True)
        self.assertEqual(self.delays(1, lost, 59.0), [3.2])
        self.assertEqual(self.delays(1, lost, 60.0), [0.1])

    def test_M3_unwanted(self) -> None:
        unwanted = Ending(Cause.PEER_LEFT, "no", reconnect=False, wasOpen=True)
        self.assertEqual(self.delays(6, unwanted), [300, 600, 1200, 2400, 3600, 3600])

    def test_M3_unwantedIsIgnoredBeforeThePeerIsValidated(self) -> None:
        self.assertEqual(self.delays(1, Ending(Cause.PEER_LEFT, "no", reconnect=False)), [0.1])

    def test_M3_soon(self) -> None:
        self.delays(5)
        update = Ending(Cause.PEER_LEFT, "update", reconnect=True, wasOpen=True)
        self.assertEqual(self.delays(1, update, 1.0), [0.1])

    def test_M3_soonButNotOverAndOverAgain(self) -> None:
        update = Ending(Cause.PEER_LEFT, "update", reconnect=True, wasOpen=True)
        self.assertEqual(self.delays(3, update, 0.9), [0.1, 0.2, 0.4])

    def test_jitterKeepsDevicesThatLostOneRouterApart(self) -> None:
        found = {Backoff().delay(None, 0.0) for _ in range(100)}
        self.assertGreater(len(found), 90)
        self.assertTrue(min(found) >= 0.1 and max(found) <= 0.15)
