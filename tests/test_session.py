"""One conversation, sans I/O: every rule at the top of epnet.session."""

from itertools import pairwise

import cbor2
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import PeerError
from epnet.identity import Peer
from epnet.lifecycle import (
    Cause,
    Deviation,
    Draining,
    Effect,
    Ended,
    Ending,
    Hangup,
    Opened,
    Phase,
    Received,
    Write,
)
from epnet.limits import SessionSettings
from epnet.session import Session
from epnet.wire import (
    DemandParameters,
    Frame,
    FrameReader,
    Message,
    Ping,
    SessionParameters,
    SoftDisconnect,
    StorageParameters,
    SupplyParameters,
    decodeFrame,
    encode,
    encodeFrame,
)

GARBAGE = b"\x00" * 8
SUPPLY = SupplyParameters(voltage_limit=(200, 250), power_limit=5000)
DEMAND = DemandParameters(voltage=230, power_limit=3000)


def believe(parameters: SessionParameters) -> Peer:
    """Authenticate anybody but the thief."""
    if parameters.identity == "thief":
        raise PeerError("it is not who it says it is")
    return Peer(parameters.identity, parameters.tenant, None, True, parameters, None)


def messagesIn(effects: list[Effect]) -> list[Message]:
    """What the effects write, decoded."""
    reader = FrameReader()
    found = []
    for effect in effects:
        if isinstance(effect, Write):
            for frame in reader.feed(effect.data):
                assert isinstance(frame, Frame)
                message = decodeFrame(frame).message
                assert message is not None
                found.append(message)
    return found


class SessionTestCase(SynchronousTestCase):
    """A session at our end; the test plays the peer."""

    now = 1000.0

    def setUp(self) -> None:
        self.effects: list[Effect] = []
        self.session = Session(SessionParameters(identity="us"), believe, self.now)

    def take(self, effects: list[Effect]) -> list[Effect]:
        self.effects.extend(effects)
        return effects

    def hear(self, *messages: Message) -> list[Effect]:
        data = b"".join(map(encode, messages))
        return self.take(self.session.dataReceived(data, self.now))

    def advance(self, seconds: float) -> list[Effect]:
        self.now += seconds
        return self.take(self.session.advance(self.now))

    def wait(self, seconds: float, step: float = 0.02, *, pinging: bool = False) -> list[Effect]:
        """Let time pass in sweeps; with `pinging` the peer sends a Ping before each."""
        found: list[Effect] = []
        until = self.now + seconds - step / 2
        while self.now < until:
            if pinging:
                found += self.hear(Ping())
            found += self.advance(step)
        return found

    def open(self) -> None:
        self.take(self.session.secured(self.now))
        self.hear(SessionParameters(identity="them", tenant="demo"))
        self.assertIs(self.session.phase, Phase.OPEN)
        self.effects.clear()

    def endings(self) -> list[Ending]:
        return [effect.ending for effect in self.effects if isinstance(effect, Ended)]

    def assertEnded(self, cause: Cause, reason: str) -> Ending:
        [ending] = self.endings()
        self.assertIs(ending.cause, cause)
        self.assertIn(reason, ending.reason)
        return ending


class GreetingTests(SessionTestCase):
    def test_S1_weSpeakAtOnce(self) -> None:
        effects = self.session.secured(self.now)
        self.assertEqual(messagesIn(effects), [SessionParameters(identity="us")])

    def test_S1_opensWithThePeersParameters(self) -> None:
        self.session.secured(self.now)
        [effect] = self.hear(SessionParameters(identity="them"))
        assert isinstance(effect, Opened)
        self.assertEqual(effect.peer.identity, "them")

    def test_S1_pingMayComeFirst(self) -> None:
        self.session.secured(self.now)
        self.hear(Ping(), SessionParameters(identity="them"))
        self.assertIs(self.session.phase, Phase.OPEN)

    def test_S1_anyOtherFirstMessageIsAnsweredWithAReason(self) -> None:
        for message in (SUPPLY, DEMAND, StorageParameters(soc=50)):
            self.setUp()
            self.session.secured(self.now)
            effects = self.hear(message, SessionParameters(identity="them"))
            [farewell] = messagesIn(effects)
            assert isinstance(farewell, SoftDisconnect)
            self.assertIn("before Session Parameters", farewell.reason or "")
            self.assertEqual(effects[-1], Hangup(orderly=True))
            self.assertIsNone(self.session.consent(SupplyParameters, self.now))

    def test_S1_softDisconnectFirstIsARefusal(self) -> None:
        self.session.secured(self.now)
        self.hear(SoftDisconnect(reason="go away"))
        self.assertFalse(self.assertEnded(Cause.PEER_LEFT, "go away").wasOpen)

    def test_S1_bytesThatStartNoFrameEndItAtOnce(self) -> None:
        self.session.secured(self.now)
        effects = self.take(self.session.dataReceived(b"GET / HTTP/1.1\r\n\r\n" * 2, self.now))
        self.assertEqual(effects[-1], Hangup(orderly=False))
        self.assertEqual(messagesIn(effects), [])

    def test_S2_sameParametersAgainAreARefresh(self) -> None:
        self.open()
        self.hear(SessionParameters(identity="them", tenant="demo", name="renamed"))
        self.assertEqual(self.endings(), [])
        assert self.session.peer is not None
        self.assertEqual(self.session.peer.parameters.name, "renamed")

    def test_S2_aRefreshIsNotJudgedAgain(self) -> None:
        """To verify a certificate takes longer than anything else that a message can ask for."""
        judged: list[SessionParameters] = []

        def judge(parameters: SessionParameters) -> Peer:
            judged.append(parameters)
            return believe(parameters)

        self.session = Session(SessionParameters(identity="us"), judge, self.now)
        self.open()
        self.hear(*[SessionParameters(identity="them", tenant="demo", session=s) for s in "abc"])
        self.assertEqual(self.endings(), [])
        self.assertEqual(len(judged), 1)
        self.hear(SessionParameters(identity="thief"))
        self.assertEnded(Cause.REFUSED, "not who it says")

    def test_S2_otherParametersEndIt(self) -> None:
        for other in (SessionParameters(identity="me"), SessionParameters(identity="them")):
            self.setUp()
            self.open()
            self.hear(other)
            self.assertEnded(Cause.REFUSED, "somebody else")

    def test_S3_whoIsNotBelievedIsRefusedWithTheReason(self) -> None:
        self.session.secured(self.now)
        effects = self.hear(SessionParameters(identity="thief"))
        self.assertEqual(
            messagesIn(effects), [SoftDisconnect(reason="it is not who it says it is")]
        )
        self.assertEnded(Cause.REFUSED, "not who it says")

    def test_V10_ofAPeersReasonNoMoreIsTold(self) -> None:
        """It stands in logs, and a payload has room for 64 KiB of it."""
        self.open()
        self.hear(SoftDisconnect(reason="x" * 60_000))
        self.assertEqual(self.assertEnded(Cause.PEER_LEFT, "xxx").reason, "x" * 256)

    def test_V10_aReasonIsWhatAPeerCanRead(self) -> None:
        """As where it names an identity of 256 characters, or what is no text."""
        for reason in ("no port for " + "x" * 300, "no port for \ud800"):
            for leaves in (True, False):
                self.setUp()
                self.open()
                if leaves:
                    effects = self.session.leave(reason, None, self.now)
                else:
                    effects = self.session.refuse(reason, self.now)
                [data] = [each.data for each in effects if isinstance(each, Write)]
                [frame] = FrameReader().feed(data)
                assert isinstance(frame, Frame)
                decoded = decodeFrame(frame)
                self.assertEqual(decoded.diagnostics, ())
                assert isinstance(decoded.message, SoftDisconnect)
                said = decoded.message.reason or ""
                self.assertIn("no port for ", said)
                self.assertLessEqual(len(said), 256)
                self.assertIs(self.session.phase, Phase.LEAVING)

    def test_S4_silenceAfterTLS(self) -> None:
        self.session.secured(self.now)
        self.wait(4.9)
        self.assertEqual(self.endings(), [])
        self.wait(0.2)
        self.assertEnded(Cause.REFUSED, "within 5 s")

    def test_S4_noTLS(self) -> None:
        self.wait(9.9)
        self.assertEqual(self.endings(), [])
        self.wait(0.2)
        self.assertEnded(Cause.LOST, "no TLS handshake within 10 s")


class ConsentTests(SessionTestCase):
    def test_S5_consentLasts200ms(self) -> None:
        self.open()
        self.hear(SUPPLY)
        self.assertEqual(self.session.consent(SupplyParameters, self.now + 0.199), SUPPLY)
        self.assertIsNone(self.session.consent(SupplyParameters, self.now + 0.2))
        self.assertEqual(self.session.consentExpires(SupplyParameters), self.now + 0.2)

    def test_S5_eachKindHasItsOwnLease(self) -> None:
        self.open()
        self.hear(SUPPLY)
        self.now += 0.15
        self.hear(DEMAND)
        self.now += 0.1
        self.assertIsNone(self.session.consent(SupplyParameters, self.now))
        self.assertEqual(self.session.consent(DemandParameters, self.now), DEMAND)

    def test_theNewestRules(self) -> None:
        self.open()
        lower = SUPPLY.replace(power_limit=10)
        self.hear(SUPPLY, lower)
        self.assertEqual(self.session.consent(SupplyParameters, self.now), lower)

    def test_aVoidMessageEndsTheConsentBeforeIt(self) -> None:
        self.open()
        self.hear(SUPPLY)
        frame = bytearray(encode(SupplyParameters(power_limit=5000)))
        frame[frame.rindex(b"\x12")] = 0x11  # watts become amperes: the field is invalid (V2)
        self.take(self.session.dataReceived(bytes(frame), self.now))
        self.assertIsNone(self.session.consent(SupplyParameters, self.now))
        self.assertTrue(any(isinstance(effect, Deviation) for effect in self.effects))
        self.assertEqual(self.endings(), [])

    def test_aFewDeviationsOfAFrameSayEnough(self) -> None:
        self.open()
        price = [{3: "2025-02-01T12:00:00Z"}, {2: 1, 9: "more"}, {5: "EUR"}]
        payload = cbor2.dumps({4: {0x30: [price] * 100}})
        self.take(
            self.session.dataReceived(encodeFrame(SupplyParameters.typeId, payload), self.now)
        )
        told = [effect for effect in self.effects if isinstance(effect, Deviation)]
        self.assertEqual(len(told), 20)

    def test_aMessageThatCannotBeReadEndsTheConsentBeforeIt(self) -> None:
        self.open()
        self.hear(SUPPLY, DEMAND)
        broken = encodeFrame(SupplyParameters.typeId, b"\xa1\x02")
        self.take(self.session.dataReceived(broken, self.now))
        self.assertIsNone(self.session.consent(SupplyParameters, self.now))
        self.assertEqual(self.session.consent(DemandParameters, self.now), DEMAND)

    def test_S8_whatMayHaveWaitedIsAsOldAsThat(self) -> None:
        self.open()
        self.now += 5.0
        self.take(self.session.dataReceived(encode(SUPPLY), self.now, self.now - 0.15))
        self.assertIsNotNone(self.session.consent(SupplyParameters, self.now + 0.04))
        self.assertIsNone(self.session.consent(SupplyParameters, self.now + 0.06))

    def test_noConsentOnceLeaving(self) -> None:
        self.open()
        self.hear(SUPPLY, SoftDisconnect(reason="bye"))
        self.assertIsNone(self.session.consent(SupplyParameters, self.now))

    def test_messagesReachTheNode(self) -> None:
        self.open()
        storage = StorageParameters(soc=50)
        effects = self.hear(SUPPLY, DEMAND, storage, Ping())
        received = [effect.message for effect in effects if isinstance(effect, Received)]
        self.assertEqual(received, [SUPPLY, DEMAND, storage])
        self.assertEqual(self.session.latest(StorageParameters), storage)


class LinkTests(SessionTestCase):
    def test_S6_silenceOutsideATransfer(self) -> None:
        self.open()
        self.wait(2.9)
        self.assertEqual(self.endings(), [])
        self.wait(0.2)
        self.assertFalse(self.assertEnded(Cause.LOST, "silent").inTransfer)
        self.assertEqual(self.effects[-1], Hangup(orderly=False))

    def test_S5_silenceInATransfer(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        self.hear(SUPPLY)
        self.wait(0.18)
        self.assertEqual(self.endings(), [])
        self.wait(0.04)
        self.assertTrue(self.assertEnded(Cause.LOST, "silent for 2").inTransfer)

    def test_S5_aPingKeepsTheLinkButNotTheConsent(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        self.hear(SUPPLY)
        self.wait(1.0, pinging=True)
        self.assertEqual(self.endings(), [])
        self.assertIsNone(self.session.consent(SupplyParameters, self.now))

    def test_F7_oneStructuralErrorInATransferEndsIt(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        self.take(self.session.dataReceived(GARBAGE + encode(Ping()), self.now))
        self.assertEnded(Cause.LOST, "broken framing")

    def test_F7_theTenthWithinTenSecondsOtherwise(self) -> None:
        self.open()
        for _ in range(9):
            self.take(self.session.dataReceived(GARBAGE + encode(Ping()), self.now))
        self.assertEqual(self.endings(), [])
        self.take(self.session.dataReceived(GARBAGE + encode(Ping()), self.now))
        self.assertEnded(Cause.LOST, "broken framing 10 times")

    def test_F7_rareErrorsAreForgiven(self) -> None:
        self.open()
        for _ in range(30):
            self.take(self.session.dataReceived(GARBAGE + encode(Ping()), self.now))
            self.wait(1.2, step=0.1, pinging=True)
        self.assertEqual(self.endings(), [])

    def test_theConnectionBreaks(self) -> None:
        self.open()
        self.take(self.session.disconnected("reset by peer", self.now))
        self.assertEnded(Cause.LOST, "reset by peer")


class TooFastTests(SessionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.open()

    def hearFor(self, seconds: float, hertz: float, *messages: Message) -> None:
        """The peer sends those messages so many times a second."""
        for _ in range(round(seconds * hertz)):
            self.hear(*messages)
            self.advance(1 / hertz)

    def test_S8_moreThan100ASecondOfOneTypeForFiveSecondsIsRefusedWithAReason(self) -> None:
        self.hearFor(4.9, 120, SUPPLY)
        self.assertIs(self.session.phase, Phase.OPEN)
        self.hearFor(0.3, 120, SUPPLY)
        self.assertEnded(Cause.REFUSED, "too many messages a second of type 0xdcdcf00d")
        self.assertIn(SoftDisconnect, map(type, messagesIn(self.effects)))

    def test_S8_100ASecondOfEachTypeIsFine(self) -> None:
        self.hearFor(10, 100, SUPPLY, DEMAND, StorageParameters(soc=50), Ping())
        self.assertIs(self.session.phase, Phase.OPEN)

    def test_S8_framesThatDoNotParseCountToo(self) -> None:
        for _ in range(120 * 6):
            frame = encodeFrame(SupplyParameters.typeId, b"\xff")
            self.take(self.session.dataReceived(frame, self.now))
            self.hear(Ping())
            self.advance(1 / 120)
        self.assertEnded(Cause.REFUSED, "of type 0xdcdcf00d")


class AcknowledgementTests(SessionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_S8_dataUnacknowledgedFor200msInATransferMeansLost(self) -> None:
        self.take(self.session.setTransferring(True, self.now))
        since = self.now
        self.now += 0.199
        self.assertEqual(self.session.unacknowledged(since, self.now), [])
        self.now += 0.002
        effects = self.take(self.session.unacknowledged(since, self.now))
        self.assertEqual(effects[-1], Hangup(orderly=False))
        self.assertEnded(Cause.LOST, "our data unacknowledged for 201 ms")

    def test_S8_outsideTransfersItMayTakeLonger(self) -> None:
        self.assertEqual(self.session.unacknowledged(self.now - 2.0, self.now), [])


class SendingTests(SessionTestCase):
    def publishing(self, seconds: float, messages: list[Message]) -> list[float]:
        """The times of publications over some seconds of 20 ms sweeps."""
        times = []
        start = self.now
        for number in range(1, round(seconds / 0.02) + 1):
            self.hear(Ping())
            self.now = start + number * 0.02
            sent = messagesIn(self.session.advance(self.now))
            if self.session.publishDue(self.now):
                sent += messagesIn(self.session.publish(messages, self.now))
                times.append(self.now)
            self.sent += sent
        return times

    def setUp(self) -> None:
        super().setUp()
        self.sent: list[Message] = []

    def test_S7_tenTimesASecond(self) -> None:
        self.open()
        times = self.publishing(10.0, [SUPPLY])
        self.assertEqual(len(times), 101)
        self.assertEqual(self.sent, [SUPPLY] * 101)

    def test_S7_twentyTimesASecondInATransfer(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        times = self.publishing(10.0, [SUPPLY])
        self.assertEqual(len(times), 201)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        self.assertLess(max(gaps), 0.0667)

    def test_S7_aTransferQuickensThePaceAtOnce(self) -> None:
        self.open()
        self.session.publish([SUPPLY], self.now)
        self.session.setTransferring(True, self.now)
        self.assertTrue(self.session.publishDue(self.now + 0.05))

    def test_S7_aPingWhereThereIsNothingToSay(self) -> None:
        self.open()
        self.publishing(1.0, [])
        self.assertEqual(self.sent, [Ping()] * 11)

    def test_S7_aPingWhileWaitingForTheGreeting(self) -> None:
        self.session.secured(self.now)
        self.assertEqual(messagesIn(self.wait(1.0)), [Ping()] * 10)

    def test_S7_slowPublicationsAreFilledWithPings(self) -> None:
        settings = SessionSettings(publish=1.0)
        self.session = Session(SessionParameters(identity="us"), believe, self.now, settings)
        self.open()
        self.publishing(3.0, [SUPPLY])
        self.assertEqual(self.sent.count(SUPPLY), 4)
        self.assertGreaterEqual(len(self.sent), 29)

    def test_publishingInBetweenPostponesNothing(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        for _ in range(40):
            self.session.publish([SUPPLY], self.now)
            self.now += 0.01
        self.assertTrue(self.session.publishDue(self.now + 0.05))

    def test_noBurstAfterAStall(self) -> None:
        self.open()
        self.publishing(1.0, [SUPPLY])
        self.now += 2.0
        self.hear(Ping())
        self.assertLessEqual(len(self.publishing(1.0, [SUPPLY])), 11)

    def test_afterAStallItIsBackOnItsOwnGrid(self) -> None:
        """Or else all sessions, due at once then, would publish all at once for ever."""
        self.open()
        self.publishing(1.0, [SUPPLY])
        for late in (0.01, 0.03, 0.04, 0.06, 0.08, 0.98, 2.03):
            before = self.due()
            self.now = before + late
            self.hear(Ping())
            self.session.publish([SUPPLY], self.now)
            periods = (self.due() - before) / 0.1
            self.assertAlmostEqual(periods, round(periods), places=3)
            self.assertTrue(self.now < self.due() < self.now + 0.101)

    def due(self) -> float:
        """When it is time for the node's messages, to the millisecond."""
        return next(at for n in range(200) if self.session.publishDue(at := self.now + n / 1000))

    def test_nothingBeforeTheGreeting(self) -> None:
        self.session.secured(self.now)
        self.assertEqual(messagesIn(self.session.publish([SUPPLY], self.now)), [])
        self.assertFalse(self.session.publishDue(self.now + 1))


class LeavingTests(SessionTestCase):
    def leave(self) -> list[Effect]:
        return self.take(self.session.leave("done", True, self.now))

    def test_S10_withoutATransferAtOnce(self) -> None:
        self.open()
        effects = self.leave()
        self.assertEqual(messagesIn(effects), [SoftDisconnect(reconnect=True, reason="done")])
        self.assertEqual(effects[-1], Hangup(orderly=True))
        self.assertEnded(Cause.LEFT, "done")

    def test_S10_aTransferDrainsFirst(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        self.assertEqual(self.leave(), [Draining()])
        self.assertTrue(self.session.publishing)
        effects = self.take(self.session.setTransferring(False, self.now))
        self.assertEqual(messagesIn(effects), [SoftDisconnect(reconnect=True, reason="done")])

    def test_S10_drainingHasAnEnd(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        self.leave()
        self.wait(3.02, pinging=True)
        self.assertEnded(Cause.LEFT, "done")

    def test_S10_byForceAfterTwoSeconds(self) -> None:
        self.open()
        self.leave()
        self.wait(1.9)
        self.assertNotIn(Hangup(orderly=False), self.effects)
        self.wait(0.2)
        self.assertIn(Hangup(orderly=False), self.effects)

    def test_S10_thePeerLeavesInATransfer(self) -> None:
        self.open()
        self.session.setTransferring(True, self.now)
        self.hear(SoftDisconnect(reason="fire"))
        self.assertTrue(self.assertEnded(Cause.PEER_LEFT, "fire").inTransfer)

    def test_afterTheEndNothingIsSaidOrHeard(self) -> None:
        self.open()
        self.leave()
        self.assertEqual(self.hear(SUPPLY), [])
        self.assertEqual(messagesIn(self.session.publish([SUPPLY], self.now)), [])
        self.assertEqual(messagesIn(self.wait(1.0)), [])
