"""What arrives: records one by one, and whoever sends much waits for his turn."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epnet.connections import PIECES_TOGETHER
from epnet.inflow import Inflow, Records
from epnet.lifecycle import Cause, Ending, Phase
from epnet.prompt import PromptTLS
from epnet.sockets import PIECE_BYTES
from epnet.testing import MemoryPair, issueTrusts
from epnet.turns import Turns
from epnet.wire import DemandParameters, Message, SoftDisconnect, encode
from tests.protocolcase import DEMAND, ProtocolTestCase
from tests.tlscase import End, Pace, Recorder, carry


def record(content: bytes, kind: int = 23) -> bytes:
    """A record of TLS."""
    return bytes([kind, 3, 3, *len(content).to_bytes(2, "big")]) + content


CONTENTS = st.recursive(
    st.binary(max_size=60),
    lambda inner: st.lists(inner.map(record), max_size=3).map(b"".join),
    max_leaves=5,
)
"""What a record may hold: anything, and above all what looks like records."""


class RecordsTests(SynchronousTestCase):
    @given(st.lists(st.tuples(CONTENTS, st.sampled_from([22, 23])), max_size=4), st.data())
    def test_wholeRecordsAreWholeRecords(
        self, contents: list[tuple[bytes, int]], data: st.DataObject
    ) -> None:
        whole = [record(content, kind) for content, kind in contents]
        stream = b"".join(whole)
        bounds = [0]
        for each in whole:
            bounds.append(bounds[-1] + len(each))
        # Half of the cuts are where records end, or just would if their contents were some.
        places = st.one_of(st.sampled_from(bounds), st.integers(0, len(stream)))
        looks = [at for at in range(len(stream)) if stream.startswith(b"\x17\3\3", at)]
        if looks:
            places = st.one_of(places, st.sampled_from(looks))
        cuts = [0, *sorted(data.draw(st.sets(places))), len(stream)]
        records = Records()
        for start, end in itertools.pairwise(cuts):
            piece = stream[start:end]
            inside = [at for at in bounds if start <= at <= end]
            parts = [stream[a:b] for a, b in itertools.pairwise(inside)]
            isWhole = piece and b"".join(parts) == piece
            quick = isWhole and all(part[0] == 23 and len(part) > 29 for part in parts)
            self.assertEqual(list(records.follow(piece)), parts if quick else [], (start, end))

    def test_whatLooksLikeARecordInsideAnotherIsNone(self) -> None:
        inner = record(b"x" * 40)
        outer = record(inner)
        records = Records()
        for piece in (outer[:3], outer[3:5], inner):
            self.assertEqual(list(records.follow(piece)), [])
        self.assertEqual(list(records.follow(outer)), [outer])


class PaceTests(SynchronousTestCase):
    """A peer that sends more than a piece at a time."""

    def setUp(self) -> None:
        trusts = issueTrusts(Path(self.mktemp()), "device", "router")
        self.clock = Clock()
        wrapped = Factory.forProtocol(Recorder)
        self.device = End(trusts["device"].clientFactory(wrapped, clock=self.clock), self.clock)
        self.router = End(trusts["router"].serverFactory(wrapped, clock=self.clock), self.clock)
        for _ in range(3):
            carry(self.device, self.router, [65536])
            carry(self.router, self.device, [65536])
        assert isinstance(self.router.tls, PromptTLS)
        self.tls = self.router.tls
        self.router.recorder.received = b""

    def send(self, length: int) -> None:
        """Let the device send so many bytes, all the same."""
        self.device.tls.write(b"x" * length)
        carry(self.device, self.router, [PIECE_BYTES])

    def received(self) -> int:
        return len(self.router.recorder.received)

    def test_aShortPieceIsTakenAtOnce(self) -> None:
        self.send(1000)
        self.assertEqual(self.received(), 1000)
        self.assertEqual(self.router.transport.producerState, "producing")
        self.assertIsNone(self.tls.inflow.behindSince)

    def test_soIsOneMessageThatIsLonger(self) -> None:
        self.send(PIECE_BYTES + 1000)
        self.assertEqual(self.received(), PIECE_BYTES + 1000)
        self.assertIsNone(self.tls.inflow.behindSince)

    def test_aSecondFullOneWaitsForItsTurnAndNothingMoreIsReadUntilThen(self) -> None:
        self.send(2 * PIECE_BYTES)
        self.assertEqual(self.received(), 0)
        self.assertEqual(self.router.transport.producerState, "paused")
        self.clock.advance(0)
        self.assertEqual(self.received(), 2 * PIECE_BYTES)
        self.assertEqual(self.router.transport.producerState, "producing")

    def test_soDoesAFirstOneWhereOthersSendAsMuch(self) -> None:
        assert isinstance(self.tls.inflow.pace, Pace)
        self.tls.inflow.pace.readers = readers = Turns(self.clock, most=100, pause=1.0)
        self.assertTrue(readers.spare())  # somebody else's
        self.send(PIECE_BYTES)
        self.assertEqual(self.router.transport.producerState, "paused")
        self.clock.advance(1.0)
        self.assertEqual(self.router.transport.producerState, "producing")
        self.assertEqual(self.tls.inflow.held, b"")

    def test_whatComesAfterItComesAfterItAndIsAsOld(self) -> None:
        self.clock.advance(5.0)
        self.device.tls.write(b"x" * PIECE_BYTES)
        self.device.tls.write(b"y" * 100)
        seen: list[tuple[bytes, float | None]] = []
        self.router.recorder.dataReceived = (  # type: ignore[method-assign]
            lambda data: seen.append((data[:1], self.tls.inflow.behindSince))
        )
        pieces = self.device.take()
        self.tls.dataReceived(pieces[:PIECE_BYTES])
        self.clock.advance(0.1)
        self.tls.dataReceived(pieces[PIECE_BYTES:])
        self.assertEqual(seen, [(b"x", 5.0), (b"y", 5.0)])
        self.assertIsNone(self.tls.inflow.behindSince)

    def test_whatWaitedWhileWeStalledIsOlderThanItsReading(self) -> None:
        assert isinstance(self.tls.inflow.pace, Pace)
        self.clock.advance(5.0)
        self.tls.inflow.pace.stalledSince = 2.0
        self.send(2 * PIECE_BYTES)
        self.assertEqual(self.tls.inflow.behindSince, 2.0)

    def test_itIsTakenBeforeTheEndOfTheConnection(self) -> None:
        self.send(2 * PIECE_BYTES)
        self.tls.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.received(), 2 * PIECE_BYTES)
        self.clock.advance(0)
        self.assertEqual(self.received(), 2 * PIECE_BYTES)

    def test_nothingMoreIsTakenOnceNobodyWantsAny(self) -> None:
        """Neither of the records of the same piece nor of one that waits for its turn."""
        taken: list[bytes] = []

        def aborting(data: bytes) -> None:
            taken.append(data)
            self.tls.abortConnection()

        self.router.recorder.dataReceived = aborting  # type: ignore[method-assign]
        for byte in (b"x", b"y", b"z"):
            self.device.tls.write(byte * 100)
        self.tls.dataReceived(self.device.take())
        self.assertEqual(taken, [b"x" * 100])

    def test_norOfWhatWaitsForItsTurn(self) -> None:
        self.send(2 * PIECE_BYTES)
        self.tls.abortConnection()
        self.router.transport.resumeProducing = lambda: None  # type: ignore[method-assign]
        self.clock.advance(0)
        self.assertEqual(self.received(), 0)

    def test_anErrorOfOursInItDoesNotHideTheEnd(self) -> None:
        self.send(2 * PIECE_BYTES)
        self.patch(self.router.recorder, "dataReceived", lambda data: 1 / 0)
        lost = Failure(ConnectionDone())
        self.assertRaises(ZeroDivisionError, self.tls.connectionLost, lost)
        self.assertIsNotNone(self.router.recorder.lost)

    def test_anErrorOfOursEndsItsConnection(self) -> None:
        self.send(2 * PIECE_BYTES)
        self.patch(self.router.recorder, "dataReceived", lambda data: 1 / 0)
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(self.router.transport.disconnected)


class HastyPeerTests(ProtocolTestCase):
    """A peer that sends more than is read of it in one go."""

    def test_S8_whatMayHaveWaitedIsNoConsent(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        assert isinstance(pair.server.transport, PromptTLS)
        reading = pair.server.transport.inflow
        reading.behindSince = self.clock.seconds() - 0.3
        pair.client.publishNow()
        pair.settle()
        self.assertIsNone(pair.server.demand())
        pair.client.publishNow()
        pair.settle()
        self.assertIsNotNone(pair.server.demand())

    def hasty(self) -> tuple[MemoryPair, Inflow]:
        """A peer whose pieces are never served in their turn."""
        self.server.connections.readers = Turns(Clock(), most=1)
        pair = self.pair()
        pair.advance(1.0)
        assert isinstance(pair.server.transport, PromptTLS)
        return pair, pair.server.transport.inflow

    def test_S12_itsPiecesAreReadBeforeItIsJudged(self) -> None:
        pair, reading = self.hasty()
        for _ in range(5):
            reading.behindSince = self.clock.seconds()  # another piece came just before
            pair.client.transport.write(encode(DEMAND) * 90)
            pair.advance(0.1)
        self.assertEqual(self.battery.shutDowns, [])
        self.assertIs(pair.server.session.phase, Phase.OPEN)
        self.assertGreater(self.server.connections.received[DemandParameters], 200)

    def test_withoutATransferItsPieceWaitsForHalfTheTimeOfItsSilence(self) -> None:
        self.battery.offers = None
        pair, reading = self.hasty()
        for _ in range(2):
            pair.client.transport.write(encode(DEMAND) * 90)
            pair.settle()
        self.assertTrue(reading.held)
        pair.advance(1.3)
        self.assertTrue(reading.held)
        pair.advance(0.3)
        self.assertFalse(reading.held)
        self.assertIs(pair.server.session.phase, Phase.OPEN)

    def slow(self, *, turns: bool = True) -> tuple[MemoryPair, Inflow]:
        """A peer that says no more by itself, and of which each message takes us 20 us.

        turns: whether those ever have one who wait for it.
        """
        clock = self.clock if turns else Clock()
        self.server.connections.readers = Turns(clock, PIECES_TOGETHER, 0.01)
        pair = self.pair()
        pair.advance(1.0)
        pair.client.publications = lambda: ()  # type: ignore[method-assign]

        def heard(message: Message) -> None:
            self.clock.rightNow += 20e-6

        pair.server.messageReceived = heard  # type: ignore[method-assign]
        assert isinstance(pair.server.transport, PromptTLS)
        return pair, pair.server.transport.inflow

    def test_ofALongRecordAPieceIsTakenInEachTurn(self) -> None:
        """Else a few bytes at the end of five of them kept everybody else waiting for 300 ms."""
        pair, _ = self.slow()
        counter = self.server.connections.received
        counts, before = [], counter[DemandParameters]
        pair.client.transport.write(encode(DEMAND) * 300)
        for _ in range(8):
            pair.settle()
            counts.append(counter[DemandParameters] - before)
            before = counter[DemandParameters]
            self.clock.advance(0.01)
        self.assertLessEqual(max(counts), PIECE_BYTES // len(encode(DEMAND)) + 1)
        self.assertEqual(sum(counts), 300)

    def test_aLongRecordThatTakesNoTimeIsTakenAtOnce(self) -> None:
        pair, reading = self.slow(turns=False)
        del pair.server.messageReceived
        before = self.server.connections.received[DemandParameters]
        pair.client.transport.write(encode(DEMAND) * 300)
        pair.settle()
        self.assertEqual(self.server.connections.received[DemandParameters] - before, 300)
        self.assertFalse(reading.left)

    def test_whatComesAfterALongRecordWaitsBehindIt(self) -> None:
        pair, _ = self.slow()
        last = DEMAND.replace(power_limit=1)
        pair.client.transport.write(encode(DEMAND) * 300)
        pair.client.transport.write(encode(last))
        pair.advance(0.15)
        self.assertEqual(pair.server.latest(DemandParameters), last)

    def test_whatIsLeftOfALongRecordIsAsOldAsTheRecord(self) -> None:
        pair, reading = self.slow(turns=False)
        arrivedAt = self.clock.seconds()
        pair.client.transport.write(encode(DEMAND) * 90)
        pair.settle()
        self.assertTrue(reading.left)
        self.clock.advance(0.1)
        reading.proceed()
        self.assertFalse(reading.left)
        expires = pair.server.consentExpires(DemandParameters)
        self.assertAlmostEqual(expires, arrivedAt + 0.2, delta=0.005)

    def test_whatIsLeftIsTakenBeforeItsPeerIsJudged(self) -> None:
        pair, reading = self.slow(turns=False)
        pair.client.transport.write(encode(DEMAND) * 90 + encode(DEMAND.replace(power_limit=1)))
        pair.settle()
        self.assertTrue(reading.left)
        pair.cut()
        pair.advance(0.15)
        self.assertFalse(reading.left)
        self.assertEqual(pair.server.latest(DemandParameters), DEMAND.replace(power_limit=1))

    def test_aGoodbyeBehindALongRecordIsHeard(self) -> None:
        pair, reading = self.slow(turns=False)
        endings: list[Ending] = []
        pair.server.sessionClosed = endings.append  # type: ignore[method-assign]
        goodbye = encode(SoftDisconnect(reconnect=False, reason="enough"))
        pair.client.transport.write(encode(DEMAND) * 90 + goodbye)
        pair.settle()
        self.assertTrue(reading.left)
        reading.tls.connectionLost(Failure(ConnectionAborted()))
        [ending] = endings
        self.assertEqual((ending.cause, ending.reconnect), (Cause.PEER_LEFT, False))

    def test_butNotAllThatIsLeftWhereThatTakesLong(self) -> None:
        pair, reading = self.slow(turns=False)
        pair.client.transport.write(encode(DEMAND) * 300)
        pair.settle()
        before = self.server.connections.received[DemandParameters]
        reading.tls.connectionLost(Failure(ConnectionAborted()))
        heard = self.server.connections.received[DemandParameters] - before
        self.assertLessEqual(heard, PIECE_BYTES // len(encode(DEMAND)) + 1)
        self.assertFalse(reading.left)
        self.assertIs(pair.server.session.phase, Phase.CLOSED)
        self.assertEqual(len(self.server.connections.readers), 0)

    def test_S8_itIsRefusedOnceThatIsTooMuch(self) -> None:
        pair = self.pair()
        pair.advance(1.0)
        endings: list[Ending] = []
        pair.server.sessionClosed = endings.append  # type: ignore[method-assign]
        pair.client.transport.write(encode(DEMAND) * 1000)
        pair.advance(0.1)
        [ending] = endings
        self.assertIs(ending.cause, Cause.REFUSED)
        self.assertIn("too many messages at once of type 0xdcdcfeed", ending.reason)
        self.assertLess(self.server.connections.received[DemandParameters], 600)
