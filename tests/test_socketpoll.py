"""Reading from many sockets in one go; the reactor's calls are made by hand."""

from __future__ import annotations

import select
import socket
from typing import Any
from unittest import skipUnless

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.factory import EPFactory
from epnet.lifecycle import Phase
from epnet.socketpoll import PolledSocket, SocketPoll
from epnet.sockets import PIECE_BYTES
from tests.protocolcase import ProtocolTestCase


class Ending(Protocol):
    """What the reactor's own way tells."""

    reason: Failure | None = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Keep why."""
        self.reason = reason


class End:
    """Our end of a connection, and the peer's.

    received: what has come.
    given: whether it was given up.
    """

    def __init__(self, reactor: MemoryReactorClock, socketPoll: SocketPoll) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.peer = socket.create_connection(listening.getsockname())
            self.socket, address = listening.accept()
        self.protocol = Ending()
        self.transport = Server(self.socket, self.protocol, address, None, 1, reactor)
        self.protocol.makeConnection(self.transport)
        self.transport.startReading()
        self.received = b""
        self.given = False
        self.polled: PolledSocket = socketPoll.take(self.transport, self)

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data

    def giveUp(self) -> None:
        """Note it."""
        self.given = True

    def reset(self) -> None:
        """Let the peer end the connection by force."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.peer.close()


@skipUnless(hasattr(select, "epoll"), "this system has no epoll: the reactor reads")
class SocketPollTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.socketPoll = SocketPoll(self.reactor)
        self.ends: list[End] = []

    def tearDown(self) -> None:
        for end in self.ends:
            end.polled.stopProducing()
            end.socket.close()
            end.peer.close()

    def end(self) -> End:
        end = End(self.reactor, self.socketPoll)
        self.ends.append(end)
        return end

    def read(self) -> None:
        """Do what the reactor does: on loopback, what has been sent has arrived."""
        if select.select([self.socketPoll], [], [], 0)[0]:
            self.socketPoll.doRead()

    def test_bytesOfAllComeInOneGo(self) -> None:
        ends = [self.end() for _ in range(3)]
        for number, end in enumerate(ends):
            end.peer.send(bytes([number]) * 5)
        self.read()
        self.assertEqual([end.received for end in ends], [b"\0" * 5, b"\1" * 5, b"\2" * 5])

    def test_theReactorKnowsItInTheirStead(self) -> None:
        self.end(), self.end()
        self.assertEqual(self.reactor.getReaders(), [self.socketPoll])
        verifyObject(IReadDescriptor, self.socketPoll)

    def test_andNoLongerOnceThereIsNone(self) -> None:
        first, second = self.end(), self.end()
        first.polled.stopProducing()
        self.assertEqual(self.reactor.getReaders(), [self.socketPoll])
        second.polled.stopProducing()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.socketPoll.fileno(), -1)
        third = self.end()
        third.peer.send(b"supply")
        self.read()
        self.assertEqual(third.received, b"supply")

    def test_aPieceIsReadAtATime(self) -> None:
        end = self.end()
        end.peer.send(b"x" * (PIECE_BYTES + 1))
        self.read()
        self.assertEqual(len(end.received), PIECE_BYTES)
        self.read()
        self.assertEqual(len(end.received), PIECE_BYTES + 1)

    def test_theReactorFindsTheEnd(self) -> None:
        end = self.end()
        end.peer.send(b"last")
        self.read()
        end.peer.close()
        self.read()
        self.assertEqual(end.received, b"last")
        self.assertEqual(self.reactor.getReaders(), [end.transport])
        self.assertIsInstance(end.transport.doRead(), ConnectionDone)

    def test_theReactorFindsAReset(self) -> None:
        end = self.end()
        end.reset()
        self.read()
        self.assertEqual(self.reactor.getReaders(), [end.transport])
        self.assertIsInstance(end.transport.doRead(), ConnectionLost)

    def test_nothingIsReadInAPause(self) -> None:
        end, other = self.end(), self.end()
        end.polled.pauseProducing()
        end.peer.send(b"supply")
        self.read()
        self.assertEqual(end.received, b"")
        self.assertEqual(self.reactor.getReaders(), [self.socketPoll])
        end.polled.resumeProducing()
        self.read()
        self.assertEqual(end.received, b"supply")
        self.assertEqual(other.received, b"")

    def test_aPauseHoldsForWhatTheReactorGotBack(self) -> None:
        end = self.end()
        end.peer.shutdown(socket.SHUT_WR)
        self.read()
        end.polled.pauseProducing()
        self.assertEqual(self.reactor.getReaders(), [])

    def test_aTransportThatIsBeingClosedIsNotReadAgain(self) -> None:
        end = self.end()
        end.transport.write(b"goodbye")
        end.polled.pauseProducing()
        end.transport.loseConnection()
        end.polled.resumeProducing()
        self.assertEqual(self.reactor.getReaders(), [])

    def test_oneMayBeTheEndOfAnother(self) -> None:
        first, second = self.end(), self.end()

        def closing(data: bytes) -> None:
            for end in (first, second):
                end.received += data
                end.polled.stopProducing()

        for end in (first, second):
            end.dataReceived = closing  # type: ignore[method-assign]
            end.peer.send(b"supply")
        self.read()
        self.assertEqual((first.received, second.received), (b"supply", b"supply"))

    def test_anErrorOfOursEndsOneOnly(self) -> None:
        first, second = self.end(), self.end()
        first.dataReceived = lambda _: 1 / 0  # type: ignore[assignment,method-assign,return-value]
        for end in (first, second):
            end.peer.send(b"supply")
        self.read()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((first.given, second.given), (True, False))
        self.assertEqual(second.received, b"supply")

    def test_norDoesOneInGivingItUp(self) -> None:
        first, second = self.end(), self.end()
        for name in ("dataReceived", "giveUp"):
            setattr(first, name, lambda *_: 1 / 0)
        for end in (first, second):
            end.peer.send(b"supply")
        self.read()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(second.received, b"supply")
        first.polled.resumeProducing()
        self.reactor.advance(0)
        self.assertEqual(first.socket.fileno(), -1)
        self.assertEqual(self.reactor.getReaders(), [self.socketPoll])

    def test_anErrorAfterItsEndIsOnlyLogged(self) -> None:
        end = self.end()

        def ending(data: bytes) -> None:
            end.polled.stopProducing()
            raise ZeroDivisionError

        end.dataReceived = ending  # type: ignore[method-assign]
        end.peer.send(b"supply")
        self.read()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertFalse(end.given)

    def test_itsNumberMayBeSomebodyElsesAfterTheEnd(self) -> None:
        end = self.end()
        gone = end.polled
        gone.stopProducing()
        end.polled = self.socketPoll.take(end.transport, end)
        gone.pauseProducing()
        gone.stopProducing()
        end.peer.send(b"supply")
        self.read()
        self.assertEqual(end.received, b"supply")

    def test_theEndOfTheReactorIsTheirs(self) -> None:
        ends = [self.end(), self.end()]
        for end in ends:
            end.protocol.connectionLost = (  # type: ignore[method-assign]
                lambda reason, end=end: end.polled.stopProducing()
            )
        self.socketPoll.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual([end.socket.fileno() for end in ends], [-1, -1])

    def test_onlyOnAReactorThatWatchesFiles(self) -> None:
        self.assertIsNone(SocketPoll.on(Clock()))
        self.assertIsInstance(SocketPoll.on(self.reactor), SocketPoll)


class Wire:
    """Two nodes with a connection between them on the loopback interface.

    client, server: the two protocols.
    """

    def __init__(self, client: EPFactory, server: EPFactory, reactor: MemoryReactorClock) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            sockets = [socket.create_connection(listening.getsockname())]
            accepted, address = listening.accept()
        self._reactor = reactor
        self.numbers = [sockets[0].fileno(), accepted.fileno()]
        ends = (
            client.trust.clientFactory(client, clock=reactor).buildProtocol(None),
            server.trust.serverFactory(server, clock=reactor).buildProtocol(None),
        )
        self.client, self.server = (end.wrappedProtocol for end in ends)
        self.transports = [
            Server(each, end, address, None, number, reactor)
            for number, (each, end) in enumerate(zip((*sockets, accepted), ends, strict=True))
        ]
        for end, transport in zip(ends, self.transports, strict=True):
            end.makeConnection(transport)
            transport.startReading()
        self.settle()

    def settle(self) -> None:
        """Do what a reactor does until nothing is to be done."""
        for _ in range(100):
            self._reactor.advance(0)
            ready, writable, _ = select.select(
                self._reactor.getReaders(), self._reactor.getWriters(), [], 0
            )
            if not (ready or writable):
                return
            for each in ready:
                self._lost(each, each.doRead())
            for each in writable:
                self._lost(each, each.doWrite())

    def _lost(self, each: Any, why: Exception | None) -> None:
        if why is not None:
            self._reactor.removeReader(each)
            each.connectionLost(Failure(why))

    def advance(self, seconds: float) -> None:
        """Let time pass, with bytes arriving all along."""
        for _ in range(round(seconds / 0.02)):
            self._reactor.advance(0.02)
            self.settle()


@skipUnless(hasattr(select, "epoll"), "this system has no epoll: the reactor reads")
class SessionTests(ProtocolTestCase):
    """Sessions that are read that way."""

    makeClock = MemoryReactorClock

    def wire(self) -> Wire:
        assert isinstance(self.clock, MemoryReactorClock)
        wire = Wire(self.client, self.server, self.clock)
        for transport in wire.transports:
            self.addCleanup(transport.connectionLost, Failure(ConnectionDone()))
        wire.advance(0.5)
        return wire

    def readers(self) -> list[object]:
        """Those that the reactor knows."""
        assert isinstance(self.clock, MemoryReactorClock)
        return list(self.clock.getReaders())

    def test_theReactorKnowsOnlyWhoReadsThem(self) -> None:
        wire = self.wire()
        polls = [each.connections.socketPoll for each in (self.client, self.server)]
        self.assertEqual(set(self.readers()), set(polls))
        self.assertIs(wire.server.session.phase, Phase.OPEN)
        self.assertIsNotNone(wire.client.supply())
        self.assertIsNotNone(wire.server.demand())

    def test_aConnectionThatBreaksIsNoticedAtOnce(self) -> None:
        wire = self.wire()
        wire.client.transport.abortConnection()
        wire.settle()
        self.assertIs(wire.server.session.phase, Phase.CLOSED)
        self.assertEqual(self.readers(), [])

    def test_itsNumberIsFreeForTheNextOne(self) -> None:
        for leave in ("abortConnection", "loseConnection"):
            first = self.wire()
            getattr(first.client.transport, leave)()
            first.client.transport.unregisterProducer()
            first.advance(0.1)
            second = self.wire()
            self.assertEqual(second.numbers, first.numbers)
            self.assertIsNotNone(second.server.demand())
            second.client.transport.abortConnection()
            second.settle()
