"""The relay that misbehaves: what it does to bytes on real sockets."""

from __future__ import annotations

import time

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from epnet.testing import Relay
from tests.faults.waiting import pause, until


class Recorder(Protocol):
    """Keeps what it reads, and what became of the connection."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class RelayTests(TestCase):
    timeout = 60

    async def setUp(self) -> None:
        self.accepted: list[Recorder] = []
        self.relay = await self.relayTo(await self.listen())
        self.dialled = await self.dial(self.relayPort)
        await until(lambda: self.accepted, "the connection is carried on")
        [self.far] = self.accepted

    async def tearDown(self) -> None:
        self.relay.cut()
        await until(lambda: not self.relay.ends, "no connection is left")
        await until(lambda: all(r.lost for r in [*self.accepted, self.dialled]), "all is closed")

    async def listen(self) -> int:
        def accept() -> Recorder:
            self.accepted.append(Recorder())
            return self.accepted[-1]

        return await self.listenWith(Factory.forProtocol(accept))

    async def listenWith(self, factory: Factory) -> int:
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def relayTo(self, number: int) -> Relay:
        relay = Relay(TCP4ClientEndpoint(reactor, "127.0.0.1", number), reactor)
        self.relayPort = await self.listenWith(relay)
        return relay

    async def dial(self, number: int) -> Recorder:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", number)
        dialled: Deferred[Recorder] = connectProtocol(endpoint, Recorder())
        return await dialled

    def send(self, end: Recorder, data: bytes) -> None:
        assert end.transport is not None
        end.transport.write(data)

    async def test_carriesBothWays(self) -> None:
        self.send(self.dialled, b"up")
        self.send(self.far, b"down")
        await until(lambda: (self.far.heard, self.dialled.heard) == (b"up", b"down"), "both arrive")

    async def test_aStallHoldsBytesAndLosesNone(self) -> None:
        self.relay.stall()
        self.send(self.dialled, b"up")
        self.send(self.far, b"down")
        await pause(0.1)
        self.assertEqual((self.far.heard, self.dialled.heard), (b"", b""))
        self.relay.resume()
        await until(lambda: (self.far.heard, self.dialled.heard) == (b"up", b"down"), "both arrive")

    async def test_aStallHoldsForNewConnectionsToo(self) -> None:
        self.relay.stall()
        late = await self.dial(self.relayPort)
        self.addCleanup(self.hangUp, late)
        self.send(late, b"late")
        await until(lambda: len(self.accepted) == 2, "the connection is carried on")
        await pause(0.1)
        self.assertEqual(self.accepted[1].heard, b"")
        self.relay.resume()
        await until(lambda: self.accepted[1].heard == b"late", "it arrives")

    def hangUp(self, end: Recorder) -> None:
        assert end.transport is not None
        end.transport.loseConnection()

    async def test_aStallHoldsTheEndOfAConnectionToo(self) -> None:
        self.relay.stall()
        self.hangUp(self.dialled)
        await pause(0.1)
        self.assertIsNone(self.far.lost)
        self.relay.resume()
        await until(lambda: self.far.lost, "the other end is closed")

    async def test_theEndOfAConnectionVanishesToo(self) -> None:
        self.relay.drop()
        self.hangUp(self.dialled)
        await until(lambda: len(self.relay.ends) == 1, "one end is gone")
        await pause(0.1)
        self.assertIsNone(self.far.lost)

    async def test_theDelayHoldsBackAndKeepsTheOrder(self) -> None:
        self.relay.delay = 0.2
        began = time.monotonic()
        self.send(self.dialled, b"a")
        await pause(0.1)
        self.relay.delay = 0.0
        self.send(self.dialled, b"b")
        await until(lambda: self.far.heard == b"ab", "both arrive, the slower one first")
        self.assertGreaterEqual(time.monotonic() - began, 0.2)

    async def test_whatIsDroppedNeverArrives(self) -> None:
        self.relay.drop()
        self.send(self.dialled, b"gone")
        self.send(self.far, b"gone")
        await pause(0.1)
        self.assertEqual((self.far.heard, self.dialled.heard), (b"", b""))
        self.assertIsNone(self.far.lost)

    async def test_aCutResetsBothEndsAndForgivesTheRest(self) -> None:
        self.relay.stall()
        self.relay.drop()
        self.relay.cut()
        await until(lambda: self.far.lost and self.dialled.lost, "both are reset")
        again = await self.dial(self.relayPort)
        self.addCleanup(self.hangUp, again)
        self.send(again, b"again")
        await until(lambda: self.accepted[-1].heard == b"again", "it arrives")

    async def test_aCutLeavesNothingUnderWay(self) -> None:
        self.relay.delay = 3600.0
        self.send(self.dialled, b"never")
        await pause(0.1)
        self.relay.cut()
        await until(lambda: self.far.lost and self.dialled.lost, "both are reset")
        # Otherwise trial itself complains about a reactor that is not clean.

    async def test_oneEndClosesTheOther(self) -> None:
        self.send(self.dialled, b"last words")
        self.hangUp(self.dialled)
        await until(lambda: self.far.lost, "the other end is closed")
        self.assertEqual(self.far.heard, b"last words")

    async def test_nobodyBehindItClosesTheConnection(self) -> None:
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory())
        number = port.getHost().port
        await port.stopListening()
        deaf = await self.relayTo(number)
        lonely = await self.dial(self.relayPort)
        await until(lambda: lonely.lost, "it is closed")
        self.assertEqual(deaf.ends, set())
