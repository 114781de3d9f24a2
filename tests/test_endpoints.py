"""Addresses as people write them, and listening."""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from epnet.endpoints import (
    Listener,
    addressText,
    defaultListen,
    serverEndpoint,
)
from epnet.errors import UsageError


class ListenerTests(SynchronousTestCase):
    def test_listensWhileItRuns(self) -> None:
        reactor = MemoryReactorClock()
        listener = Listener(reactor, "tcp:1234:interface=127.0.0.1", Factory())
        listener.privilegedStartService()
        [(port, *_)] = reactor.tcpServers
        self.assertEqual(port, 1234)
        assert listener.listening is not None
        self.assertIsInstance(listener.listening.getHost(), IPv4Address)
        listener.stopService()
        self.assertIsNone(listener.listening)

    def test_manyMayWaitUnlessTheStringSaysOtherwise(self) -> None:
        reactor = MemoryReactorClock()
        for text in ("tcp:1234", "tcp:1234:backlog=7", "tcp6:1234"):
            serverEndpoint(reactor, text).listen(Factory())
        self.assertEqual([backlog for _, _, backlog, _ in reactor.tcpServers], [512, 7, 512])

    def test_aTakenPortIsALine(self) -> None:
        reactor = MemoryReactorClock()

        def taken(*args: object, **kwargs: object) -> None:
            raise CannotListenError("127.0.0.1", 1234, OSError(98, "Address already in use"))

        reactor.listenTCP = taken
        listener = Listener(reactor, "tcp:1234", Factory())
        error = self.assertRaises(SystemExit, listener.privilegedStartService)
        self.assertEqual(
            str(error),
            "cannot listen on port 1234 of 127.0.0.1: Address already in use. Stop what uses the"
            " port, or choose another one with --listen or --http.",
        )

    def test_noEndpoint(self) -> None:
        reactor = MemoryReactorClock()
        for text in ("", "nonsense", "tcp", "tcp:many", "tcp:1:2:3:4:5"):
            error = self.assertRaises(UsageError, serverEndpoint, reactor, text)
            self.assertIn(repr(text), str(error))

    def test_theDefaultIsAnEndpoint(self) -> None:
        serverEndpoint(MemoryReactorClock(), defaultListen())


class AddressTextTests(SynchronousTestCase):
    def test_forPeople(self) -> None:
        cases = {
            "192.0.2.1:99": IPv4Address("TCP", "192.0.2.1", 99),
            "[2001:db8::1]:99": IPv6Address("TCP", "2001:db8::1", 99),
            "192.0.2.7:99": IPv6Address("TCP", "::ffff:192.0.2.7", 99),
            "something else": "something else",
        }
        for text, address in cases.items():
            self.assertEqual(addressText(address), text)
