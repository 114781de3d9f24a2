"""Upstream devices as people write them, and reaching one that has several addresses."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.interfaces import IAddress, IProtocol, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epnet.endpoints import EP_PORT
from epnet.errors import UsageError
from epnet.protocol import EPProtocol
from epnet.upstream import Place, Upstream, UpstreamEndpoint


class ParseTests(SynchronousTestCase):
    def test_forms(self) -> None:
        cases = {
            "router.example": (None, Place("router.example", 56540)),
            "192.0.2.1:1234": (None, Place("192.0.2.1", 1234)),
            "router-1@192.0.2.1": ("router-1", Place("192.0.2.1", EP_PORT)),
            "a@b@[2001:db8::1]:99": ("a@b", Place("2001:db8::1", 99)),
            "a,b@x": ("a,b", Place("x")),
            "[::1]": (None, Place("::1")),
            "2001:db8::1": (None, Place("2001:db8::1")),
            "a@x,192.0.2.1:99,[::1]:98": (
                "a",
                Place("x"),
                Place("192.0.2.1", 99),
                Place("::1", 98),
            ),
        }
        for text, (identity, *places) in cases.items():
            self.assertEqual(Upstream.parse(text), Upstream(tuple(places), identity))
            self.assertEqual(Upstream.parse(str(Upstream.parse(text))), Upstream.parse(text))

    def test_mistakesSayWhatToWrite(self) -> None:
        mistakes = (
            "",
            "@x",
            "x:",
            "x:0",
            "x:65536",
            "x:port",
            "[::1",
            "[::1]99",
            ":1",
            "x:٣",
            "a..b",
        )
        for text in (*mistakes, "x,", ",x", "x,,y", "a@x,a@y", "a@b..c", "a@" + 64 * "b"):
            error = self.assertRaises(UsageError, Upstream.parse, text)
            self.assertIn("[IDENTITY@]HOST[:PORT]", str(error))


class Names:
    """A resolver that knows these names; it answers at once.

    slow: those names to which it does not, and since it was asked, who waits.
    """

    def __init__(self, **names: Sequence[IAddress]) -> None:
        self.names = names
        self.asked: list[str] = []
        self.slow: dict[str, IResolutionReceiver] = {}

    def resolveHostName(
        self, receiver: IResolutionReceiver, name: str, port: int = 0, **_: object
    ) -> None:
        self.asked.append(name)
        receiver.resolutionBegan(None)
        if name in self.slow:
            self.slow[name] = receiver
        else:
            self.answer(name, receiver)

    def answer(self, name: str, receiver: IResolutionReceiver) -> None:
        for address in self.names.get(name, ()):
            receiver.addressResolved(address)
        receiver.resolutionComplete()


class PlainTrust:
    """Puts nothing on top, and remembers which names would be checked."""

    def __init__(self) -> None:
        self.names: list[str | None] = []

    def clientEndpoint(self, endpoint: object, hostname: str | None) -> object:
        if hostname == "bad name":
            raise UsageError(f"{hostname!r} is no name")
        self.names.append(hostname)
        return endpoint


V6 = IPv6Address("TCP", "2001:db8::1", EP_PORT)
V4 = IPv4Address("TCP", "192.0.2.1", EP_PORT)
SECOND = IPv4Address("TCP", "192.0.2.2", EP_PORT)


class EndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.names = Names(router=[V6, V4])
        self.reactor.nameResolver = self.names
        self.trust = PlainTrust()

    def endpoint(self, text: str) -> UpstreamEndpoint:
        return UpstreamEndpoint(self.reactor, Upstream.parse(text), self.trust)  # type: ignore[arg-type]

    def connect(self, endpoint: UpstreamEndpoint, protocol: type = Protocol) -> Deferred[IProtocol]:
        self.reactor.tcpClients.clear()
        self.reactor.connectors.clear()
        return endpoint.connect(Factory.forProtocol(protocol))

    def dialled(self) -> list[str]:
        """The addresses dialled since `connect`."""
        return [client[0] for client in self.reactor.tcpClients]

    def accept(self, number: int) -> Protocol:
        """The address that was dialled so many calls after the first answers."""
        factory = self.reactor.tcpClients[number][2]
        protocol: Protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        return protocol

    def refuse(self, number: int) -> None:
        connector = self.reactor.connectors[number]
        factory = self.reactor.tcpClients[number][2]
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))

    def test_bothFamiliesOfAName(self) -> None:
        connected = self.connect(self.endpoint("router"))
        self.assertEqual(self.dialled(), ["2001:db8::1"])
        self.refuse(0)
        self.assertEqual(self.dialled(), ["2001:db8::1", "192.0.2.1"])
        self.accept(1)
        self.successResultOf(connected)

    def test_anAddressThatDoesNotAnswerIsNotWaitedFor(self) -> None:
        connected = self.connect(self.endpoint("router"))
        self.reactor.advance(0.29)
        self.assertEqual(self.dialled(), ["2001:db8::1"])
        self.reactor.advance(0.02)
        self.assertEqual(self.dialled(), ["2001:db8::1", "192.0.2.1"])
        self.accept(1)
        self.successResultOf(connected)
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_theFirstMayAnswerAfterAll(self) -> None:
        connected = self.connect(self.endpoint("router"))
        self.reactor.advance(0.31)
        self.accept(0)
        self.successResultOf(connected)
        self.assertTrue(self.reactor.connectors[1].stoppedConnecting)

    def test_alternativesInTheOrderWritten(self) -> None:
        connected = self.connect(self.endpoint("us@192.0.2.2:99,router,192.0.2.1"))
        for number in range(3):
            self.refuse(number)
        # Each address once, whatever ways lead to it.
        self.assertEqual(self.dialled(), ["192.0.2.2", "2001:db8::1", "192.0.2.1"])
        self.assertEqual(self.reactor.tcpClients[0][1], 99)
        self.failureResultOf(connected, ConnectionRefusedError)

    def test_addressesNeedNoResolver(self) -> None:
        self.connect(self.endpoint("192.0.2.1,[::1]"))
        self.reactor.advance(0.3)
        self.assertEqual(self.dialled(), ["192.0.2.1", "::1"])
        self.assertEqual(self.names.asked, [])

    def test_aNameNobodyKnowsLeavesTheOthers(self) -> None:
        self.connect(self.endpoint("nowhere,192.0.2.2"))
        self.assertEqual(self.dialled(), ["192.0.2.2"])
        failure = self.failureResultOf(self.connect(self.endpoint("nowhere,nobody")))
        self.assertIn("nowhere and nobody", failure.getErrorMessage())

    def test_namesAreAskedForAnewEachTime(self) -> None:
        endpoint = self.endpoint("router")
        connected = self.connect(endpoint)
        connected.cancel()
        self.failureResultOf(connected)
        self.names.names["router"] = [SECOND]
        self.connect(endpoint)
        self.assertEqual(self.dialled(), ["192.0.2.2"])

    def test_aNameThatIsNotAnsweredHoldsNoOtherAddressUp(self) -> None:
        self.names.slow["router"] = None  # type: ignore[assignment]
        connected = self.connect(self.endpoint("us@router,192.0.2.2"))
        self.reactor.advance(1.0)
        self.assertEqual(self.dialled(), ["192.0.2.2"])
        self.accept(0)
        self.successResultOf(connected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_aNameThatIsNeverAnsweredIsAskedForAnew(self) -> None:
        """As where the resolver fails in its thread."""
        self.names.slow["router"] = None  # type: ignore[assignment]
        endpoint = self.endpoint("router")
        for times in (1, 2):
            connected = self.connect(endpoint)
            self.reactor.advance(1.0)
            self.failureResultOf(connected, DNSLookupError)
            self.assertEqual(self.names.asked, ["router"] * times)

    def test_anAnswerThatComesLateCountsTheNextTime(self) -> None:
        self.names.slow["router"] = None  # type: ignore[assignment]
        endpoint = self.endpoint("router")
        connected = self.connect(endpoint)
        self.reactor.advance(1.0)
        self.failureResultOf(connected, DNSLookupError)
        self.names.answer("router", self.names.slow["router"])
        self.connect(endpoint)
        self.reactor.advance(1.0)
        self.assertEqual(self.dialled(), ["2001:db8::1"])

    def test_whileNamesCannotBeLookedUpTheLastAddressesCount(self) -> None:
        endpoint = self.endpoint("router")
        connected = self.connect(endpoint)
        connected.cancel()
        self.failureResultOf(connected)
        self.names.names.clear()
        self.connect(endpoint)
        self.assertEqual(self.dialled(), ["2001:db8::1"])

    def test_whereThereWasNoSessionComesLastTheNextTime(self) -> None:
        endpoint = self.endpoint("router,192.0.2.2")
        firsts = []
        for _ in range(4):
            connected = self.connect(endpoint, EPProtocol)
            firsts += self.dialled()
            # It connects, and that is all.
            connected.addErrback(lambda _: None)
            self.reactor.tcpClients[0][2]._onConnection.callback(EPProtocol())
        self.assertEqual(firsts, ["2001:db8::1", "192.0.2.1", "192.0.2.2", "2001:db8::1"])

    def test_whereThereWasASessionStaysFirst(self) -> None:
        endpoint = self.endpoint("router")
        for _ in range(3):
            self.connect(endpoint)
            self.assertEqual(self.dialled(), ["2001:db8::1"])
            protocol = EPProtocol()
            protocol._openedAt = 0.0
            self.reactor.tcpClients[0][2]._onConnection.callback(protocol)

    def impatience(self, text: str, times: int) -> list[float]:
        """After how long a connection that is no session is given up, again and again."""
        endpoint, waited = self.endpoint(text), []
        for _ in range(times):
            connected = self.connect(endpoint)
            given: list[str] = []
            protocol = EPProtocol()
            protocol.giveUpUnlessOpen = given.append  # type: ignore[method-assign]
            self.reactor.tcpClients[0][2]._onConnection.callback(protocol)
            self.successResultOf(connected)
            began = self.reactor.seconds()
            while not given and self.reactor.seconds() < began + 20:
                self.reactor.advance(0.5)
            waited.append(self.reactor.seconds() - began)
        return waited

    def test_whereThereIsAnotherAddressASessionHasToComeSoon(self) -> None:
        self.assertEqual(self.impatience("router", 2), [2.5, 2.5])

    def test_whoIsSlowHasTwiceAsLongTheNextTime(self) -> None:
        self.assertEqual(self.impatience("router", 10)[::2], [2.5, 5, 10, 15, 15])

    def test_whereThereIsNoneItHasItsTime(self) -> None:
        self.assertEqual(self.impatience("192.0.2.2", 2), [20, 20])

    def test_cancelling(self) -> None:
        connected = self.connect(self.endpoint("router,192.0.2.2"))
        self.reactor.advance(0.31)
        connected.cancel()
        self.failureResultOf(connected)
        self.assertTrue(all(c.stoppedConnecting for c in self.reactor.connectors))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_namesAreCheckedUnlessAnIdentityIsExpected(self) -> None:
        self.connect(self.endpoint("router,192.0.2.2"))
        self.assertEqual(set(self.trust.names), {"router", "192.0.2.2"})
        self.trust.names.clear()
        self.connect(self.endpoint("us@router"))
        self.assertEqual(set(self.trust.names), {None})

    def test_aBadNameIsAMistakeAtTheStart(self) -> None:
        self.assertRaises(UsageError, self.endpoint, "router,bad name")
