"""The prompt way for bytes beside the plain one: the same, only sooner."""

from __future__ import annotations

import select
import socket
from pathlib import Path
from random import Random
from typing import ClassVar

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epnet import inflow
from epnet.prompt import BEHIND_BYTES, PromptTLSFactory, PromptTransport
from epnet.sockets import sendPromptly
from epnet.testing import issueTrusts
from epnet.tls import Trust
from tests.test_security import HANDSHAKE_RECORD, encrypted, expanded
from tests.test_sockets import Publisher
from tests.tlscase import End, Recorder, carry

PIECE = b"p" * 1500
KEY_UPDATE_REQUESTED = bytes.fromhex("18 000001 01")  # RFC 8446 §4.6.3


class TransportTests(SynchronousTestCase):
    """A prompt transport on a loopback socket, with the reactor's calls made by hand."""

    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.peer = socket.create_connection(listening.getsockname())
            ours, address = listening.accept()
        ours.setblocking(False)
        self.peer.settimeout(5)
        self.addCleanup(self.peer.close)
        self.addCleanup(ours.close)
        self.reactor = MemoryReactorClock()
        self.result: object = None
        self.below = Server(ours, Protocol(), address, None, 1, self.reactor)
        sendPromptly(self.below)
        self.transport = PromptTransport(self.below)
        self.publisher = Publisher()
        self.transport.registerProducer(self.publisher, True)

    def fill(self) -> bytes:
        """Write until something waits; gives all that was written."""
        for count in range(1, 10_000):
            self.transport.write(PIECE)
            if self.publisher.paused:
                return PIECE * count
        self.fail("the system takes everything")

    def drain(self, length: int) -> bytes:
        """Read so much, and let the transport below write whenever it wants to."""
        received = b""
        for _ in range(10_000):
            if select.select([self.peer], [], [], 0.01)[0]:
                received += self.peer.recv(4096)
            if self.below in self.reactor.getWriters():
                # The system may take nothing yet though all it had has been read: hence no waiting.
                self.result = self.below.doWrite()
            if len(received) >= length:
                return received
        self.fail(f"only {len(received)} bytes of {length} arrive")

    def test_whatTheSystemTakesLeavesAtOnce(self) -> None:
        self.transport.writeSequence([b"su", b"pply"])
        self.assertEqual(self.peer.recv(10), b"supply")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_theRestIsSentInOrderAndThePublisherPausedSoLong(self) -> None:
        written = self.fill()
        self.transport.write(b"last")
        self.assertEqual(self.drain(len(written) + 4), written + b"last")
        self.assertFalse(self.publisher.paused)
        self.assertEqual(self.reactor.getWriters(), [])

    def test_aPieceTakenInPartIsSentWhole(self) -> None:
        piece = Random(1).randbytes(256_000)
        self.transport.write(piece)
        self.assertTrue(self.publisher.paused)
        self.assertEqual(self.drain(len(piece)), piece)

    def test_afterThatItIsPromptAgain(self) -> None:
        self.drain(len(self.fill()))
        self.transport.write(b"supply")
        self.assertEqual(self.peer.recv(10), b"supply")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_itClosesOnceTheRestIsSent(self) -> None:
        written = self.fill()
        self.transport.loseConnection()
        self.assertEqual(self.drain(len(written)), written)
        self.assertIsInstance(self.result, ConnectionDone)

    def test_whatFollowsWhatWaitsIsBounded(self) -> None:
        """A peer may make TLS answer, and not read the answers."""
        self.fill()
        for _ in range(BEHIND_BYTES // 100):
            self.transport.write(b"a" * 100)
        self.reactor.advance(0)
        self.assertTrue(self.below.connected)
        self.transport.write(b"a" * 100)
        self.reactor.advance(0)
        self.assertFalse(self.below.connected)
        self.assertTrue(self.transport.overrun)

    def test_asMuchMayFollowAgainOnceAllIsSent(self) -> None:
        for _ in range(3):
            written = self.fill()
            self.transport.write(b"a" * (BEHIND_BYTES // 2))
            self.drain(len(written) + BEHIND_BYTES // 2)
        self.assertFalse(self.transport.overrun)

    def test_nothingIsReadOnceItIsBeingClosed(self) -> None:
        for close in (self.transport.loseConnection, self.transport.abortConnection):
            stopped: list[None] = []
            self.transport.reading = reading = Publisher()
            reading.stopProducing = lambda: stopped.append(None)  # type: ignore[method-assign] # noqa: B023
            close()
            self.assertEqual(len(stopped), 1)

    def test_whoComesLateIsPaused(self) -> None:
        self.fill()
        self.transport.unregisterProducer()
        late = Publisher()
        self.transport.registerProducer(late, True)
        self.assertTrue(late.paused)

    def test_nobodyIsResumedAfterItLeft(self) -> None:
        written = self.fill()
        self.transport.unregisterProducer()
        self.drain(len(written))
        self.assertTrue(self.publisher.paused)

    def test_aBrokenConnectionIsForTheTransportBelowToFind(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.peer.close()
        self.transport.write(b"supply")
        self.assertEqual(self.reactor.getWriters(), [self.below])
        self.assertIsInstance(self.below.doWrite(), Exception)

    def test_nothingIsWrittenOnceItIsGone(self) -> None:
        self.below.connectionLost(Failure(ConnectionDone()))
        self.transport.write(b"supply")
        self.assertEqual(self.reactor.getWriters(), [])


WORDS = st.one_of(
    st.tuples(st.just("write"), st.booleans(), st.integers(1, 20_000)),
    st.tuples(st.just("carry"), st.booleans(), st.lists(st.integers(1, 3000), max_size=3)),
    st.tuples(st.just("spoil"), st.booleans(), st.lists(st.integers(1, 3000), max_size=3)),
    st.tuples(st.just("close"), st.booleans(), st.none()),
    st.tuples(st.just("abort"), st.booleans(), st.none()),
)
"""What happens, at the client or on its way to the server (True), or the other way around."""


class LikenessTests(SynchronousTestCase):
    """The same story told with Twisted's TLS and with the prompt one at either end."""

    trusts: ClassVar[dict[str, Trust]]

    def setUp(self) -> None:
        self.trusts = issueTrusts(Path(self.mktemp()), "device", "router")

    def story(
        self,
        steps: list[tuple[str, bool, object]],
        client: type[TLSMemoryBIOFactory],
        server: type[TLSMemoryBIOFactory],
    ) -> list[object]:
        """What both ends see of it."""
        clock = Clock()
        wrapped = Factory.forProtocol(Recorder)
        self.trusts["device"].tlsFactory, self.trusts["router"].tlsFactory = client, server
        ends = (
            End(self.trusts["device"].clientFactory(wrapped, clock=clock), clock),
            End(self.trusts["router"].serverFactory(wrapped, clock=clock), clock),
        )
        for what, isClient, argument in steps:
            source, target = ends if isClient else ends[::-1]
            if what == "write":
                source.tls.write(bytes(argument))
            elif what == "close":
                source.tls.loseConnection()
            elif what == "abort":
                source.tls.abortConnection()
            else:
                carry(source, target, argument or [65536], what == "spoil")
            clock.advance(0)  # the turn of the reactor that Twisted's TLS waits for
        for _ in range(6):
            for source, target in (ends, ends[::-1]):
                carry(source, target, [65536])
        for end in ends:
            end.endIfItWants()
        return [
            (
                end.recorder.handshaken,
                end.recorder.received,
                end.recorder.lost and end.recorder.words(),
            )
            for end in ends
        ]

    @settings(deadline=None)
    @given(st.lists(WORDS, max_size=12))
    @example([("carry", each % 2 == 0, [5, 1]) for each in range(6)])
    @example([("write", True, 1), ("close", False, None)])
    @example([("write", True, 99), ("write", True, 98), ("write", True, 97), ("carry", True, None)])
    @example([("write", True, 99), ("write", True, 98), ("abort", True, None)])
    def test_prompt(self, steps: list[tuple[str, bool, object]]) -> None:
        shaken = [("carry", each % 2 == 0, None) for each in range(4)]
        for story in (steps, shaken + steps):
            plain = self.story(story, TLSMemoryBIOFactory, TLSMemoryBIOFactory)
            for factories in (
                (PromptTLSFactory, PromptTLSFactory),
                (PromptTLSFactory, TLSMemoryBIOFactory),
                (TLSMemoryBIOFactory, PromptTLSFactory),
            ):
                self.assertEqual(self.story(story, *factories), plain)

    def test_aGoodbyeInARecordThatWasMadeLonger(self) -> None:
        """A peer may pad its records (RFC 8446 §5.4), and then its last one is not short."""
        self.patch(inflow, "_SHORT_BYTES", 20)  # which counts ours as such a one
        steps = [("carry", each % 2 == 0, None) for each in range(4)]
        steps += [("write", True, 99), ("carry", True, None), ("close", True, None)]
        plain = self.story(steps, TLSMemoryBIOFactory, TLSMemoryBIOFactory)
        self.assertEqual(self.story(steps, TLSMemoryBIOFactory, PromptTLSFactory), plain)

    def test_whatTLSAsksForInALongRecordIsAnsweredAsInAnyOther(self) -> None:
        """Else the answers to a peer that asks and asks would be kept until we have words."""
        secrets: list[bytes] = []
        context = self.trusts["device"]._context
        context.set_keylog_callback(lambda connection, line: secrets.append(line))
        clock, wrapped = Clock(), Factory.forProtocol(Protocol)
        device = End(self.trusts["device"].clientFactory(wrapped, clock=clock), clock)
        router = End(self.trusts["router"].serverFactory(wrapped, clock=clock), clock)
        for _ in range(2):
            carry(device, router, [65536])
            carry(router, device, [65536])
        [told] = [each.split()[2] for each in secrets if each.startswith(b"CLIENT_TRAFFIC")]
        secret = bytes.fromhex(told.decode())
        padded = KEY_UPDATE_REQUESTED + bytes([HANDSHAKE_RECORD]) + bytes(20)
        answers = []
        for _ in range(3):
            router.tls.dataReceived(encrypted(secret, padded, 0))
            answers.append(len(router.take()))
            secret = expanded(secret, b"traffic upd", 48)
        # OpenSSL answers the first one with what comes next, be it another one or words of ours.
        self.assertEqual(answers, [0, 27, 27])
