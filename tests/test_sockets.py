"""What the system holds back of what we send, and what it tells of it: over loopback sockets."""

from __future__ import annotations

import socket
import sys

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epnet.sockets import Acknowledgements, Outgoing, outgoingOf, sendPromptly

PUBLICATION = b"p" * 500


@implementer(IPushProducer)
class Publisher:
    """Notes whether it may publish."""

    paused = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        pass


class PromptnessTests(SynchronousTestCase):
    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.peer = socket.create_connection(listening.getsockname())
            ours, address = listening.accept()
        self.addCleanup(self.peer.close)
        ours.setblocking(False)
        self.transport = Server(ours, Protocol(), address, None, 1, MemoryReactor())
        self.addCleanup(ours.close)
        sendPromptly(self.transport)
        self.publisher = Publisher()
        self.transport.registerProducer(self.publisher, True)

    def publish(self) -> None:
        """Publish, and let the system take what it takes."""
        self.transport.write(PUBLICATION)
        self.transport.doWrite()

    def test_S7_nothingIsDelayed(self) -> None:
        self.assertTrue(self.transport.getTcpNoDelay())

    def test_S8_whatTheSystemTakesAtOnceHoldsNobodyUp(self) -> None:
        self.publish()
        self.assertFalse(self.publisher.paused)

    def test_S8_nothingMoreIsPublishedWhileAnythingIsUnsent(self) -> None:
        published = 0
        while not self.publisher.paused:
            self.publish()
            published += 1
            self.assertLess(published, 100)
        self.transport.doWrite()
        self.assertTrue(self.publisher.paused)

    def test_S8_onceThePeerReadsThereIsRoomForTheNewest(self) -> None:
        while not self.publisher.paused:
            self.publish()
        self.peer.settimeout(10)
        while self.publisher.paused:
            self.peer.recv(65536)
            self.transport.doWrite()

    def test_S8_theSystemTellsWhatIsNotAcknowledged(self) -> None:
        if sys.platform != "linux":
            self.skipTest("only Linux tells")
        while not self.publisher.paused:
            self.publish()
        outgoing = outgoingOf(self.transport)
        assert outgoing is not None
        self.assertTrue(outgoing.waiting)
        self.assertGreater(outgoing.acknowledged, 0)

    def test_whatIsNoSocketTellsNothing(self) -> None:
        sendPromptly(object())
        self.assertIsNone(outgoingOf(object()))


class AcknowledgementTests(SynchronousTestCase):
    def since(self, *seen: Outgoing | None) -> list[float | None]:
        """Look once a second, starting at 1."""
        acknowledgements = Acknowledgements()
        return [acknowledgements.waitingSince(each, now) for now, each in enumerate(seen, 1)]

    def test_S8_itWaitsFromTheFirstTimeItIsSeen(self) -> None:
        waiting = Outgoing(True, 0)
        self.assertEqual(self.since(Outgoing(False, 0), waiting, waiting), [None, 2, 2])

    def test_S8_whateverIsAcknowledgedShowsThatTheLineWorks(self) -> None:
        seen = (Outgoing(True, 0), Outgoing(True, 500), Outgoing(True, 500))
        self.assertEqual(self.since(*seen), [1, 2, 2])

    def test_nothingWaitsAnyMore(self) -> None:
        seen = (Outgoing(True, 0), Outgoing(False, 500), Outgoing(True, 500))
        self.assertEqual(self.since(*seen), [1, None, 3])

    def test_whereTheSystemDoesNotTellNothingWaits(self) -> None:
        self.assertEqual(self.since(None, None), [None, None])
