"""Keeping one dialled connection up."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epnet.connections import Backoff, Connections, Dialler
from epnet.factory import EPClientFactory
from epnet.node import DeviceNode, parametersOf
from epnet.protocol import EPProtocol
from epnet.testing import issueTrusts
from tests.fakes import FakeDevice


@implementer(IStreamClientEndpoint)
class FakeEndpoint:
    """Each attempt is a Deferred that the test fires."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[IProtocol]] = []

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
