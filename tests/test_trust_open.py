"""The trust policy ``open``: everyone gets in, nobody is believed, and it is loud about that."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from OpenSSL import SSL, crypto
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from epnet.connections import Connections
from epnet.door import LINES
from epnet.factory import EPServerFactory
from epnet.identity import IdentityRefused, Peer
from epnet.interfaces import ITrust
from epnet.node import DeviceNode, parametersOf
from epnet.pki import CertificatePaths, initAuthority
from epnet.protocol import EPProtocol
from epnet.router.portmaker import PortMaker
from epnet.router.settings import PortSettings
from epnet.tls import Trust
from epnet.trust.policies import Everyone
from epnet.trust.sources import OPEN, TrustSources
from epnet.wire import SessionParameters, encode
from tests.fakes import FakeDevice, peerNamed
from tests.tlscase import LONG_AGO, Presenting, Recorder, TLSTestCase


class OpenTestCase(TLSTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.router = self.open(self.issue("router"))

    def open(self, paths: CertificatePaths) -> Trust:
        return TrustSources("router", paths.certificate, paths.key, OPEN).load()

    def judge(self, end: Recorder, **said: str) -> Peer:
        return self.router.authenticate(SessionParameters(**said), end.transport, expected=None)


class OpenTests(OpenTestCase):
    def test_itIsAnITrust(self) -> None:
        verifyObject(ITrust, self.router)

    def test_anyCertificateGetsInAndNobodyIsBelieved(self) -> None:
        stranger = initAuthority(Path(self.mktemp()), now=LONG_AGO)
        for paths in (
            self.issue("ev", tenant="T", provider="P"),
            self.issue("ev", stranger, tenant="T", provider="P"),
            self.issue("ev", stranger, days=10, now=LONG_AGO),
        ):
            ends = self.connect(self.server(self.router), self.foreign(Presenting(paths)))
            self.assertConnected(*ends)
            peer = self.judge(ends[0], identity="demo-grid", tenant="T", provider="P")
            self.assertEqual(
                (peer.identity, peer.tenant, peer.provider, peer.authenticated),
                ("demo-grid", None, None, False),
            )
            assert peer.certificate is not None
            self.assertEqual(peer.certificate.identities, {"ev"})

    def test_noCertificateGetsIn(self) -> None:
        ends = self.connect(self.server(self.router), self.foreign(lambda context: None))
        self.assertConnected(*ends)
        peer = self.judge(ends[0], identity="ev")
        self.assertEqual((peer.authenticated, peer.certificate), (False, None))

    def test_aCertificateThatCannotBeReadIsAsNone(self) -> None:
        ends = self.connect(self.server(self.router), self.foreign(Presenting(self.issue("ev"))))
        with patch.object(crypto.X509, "to_cryptography", side_effect=ValueError("broken")):
            self.assertIsNone(self.judge(ends[0], identity="ev").certificate)

    def test_aNameThatCannotBeShownIsRefused(self) -> None:
        """It stands in logs, on pages and in addresses, and nobody vouches for it."""
        ends = self.connect(self.server(self.router), self.foreign(lambda context: None))
        for name in ("", "car\n", "\x1b[2Jcar", "car\u202e"):
            error = self.assertRaises(IdentityRefused, self.judge, ends[0], identity=name)
            self.assertIn(f"identity {name!r} cannot be shown", str(error))
        self.assertEqual(self.judge(ends[0], identity="Lådan i källaren").tenant, None)

    def test_anyServerDoesWhateverNameWasDialled(self) -> None:
        server = self.foreign(Presenting(self.issue("r", dns=["r.example"])), isClient=False)
        self.assertConnected(*self.connect(server, self.client(self.router, "other.example")))

    def test_theExpectedLabelIsStillExpected(self) -> None:
        ends = self.connect(self.server(self.router), self.foreign(lambda context: None))
        self.assertRaises(
            IdentityRefused,
            self.router.authenticate,
            SessionParameters(identity="ev"),
            ends[0].transport,
            expected="router",
        )

    def test_itIsEncryptedAllTheSame(self) -> None:
        server, _ = self.connect(
            self.server(self.router), self.foreign(Presenting(self.issue("ev"), SSL.TLS1_2_VERSION))
        )
        self.assertEqual(server.words(), "it offered TLS 1.2 or older; EP requires TLS 1.3")

    def test_ourOwnCertificateMayBeWhatItLikes(self) -> None:
        self.open(self.issue("router", days=10, now=LONG_AGO))
        self.assertEqual(set(self.router.expiries()), {"own"})


class LoudnessTests(OpenTestCase):
    def test_itWarnsWhenItBegins(self) -> None:
        with capturedLogs() as events:
            Everyone()
        [event] = events
        self.assertEqual(event["log_level"], LogLevel.critical)
        self.assertTrue(event["security"])
        self.assertIn("TRUST POLICY OPEN", formatEvent(event))

    def visit(self, factory: EPServerFactory, identity: str) -> list[LogEvent]:
        """What is logged of a session with somebody who goes again."""
        protocol = factory.buildProtocol(None)
        assert isinstance(protocol, EPProtocol)
        server, _ = self.connect(self.server(self.router), self.foreign(lambda context: None))
        protocol.makeConnection(server.transport)
        protocol.handshakeCompleted()
        with capturedLogs() as events:
            protocol.dataReceived(encode(SessionParameters(identity=identity)))
            protocol.connectionLost(Failure(ConnectionDone()))
        return list(events)

    def listening(self, clock: Clock) -> EPServerFactory:
        device = FakeDevice()
        connections = Connections(DeviceNode(device, parametersOf(device, "us"), clock), clock)
        connections.startService()
        return EPServerFactory(connections, self.router)

    def test_itWarnsOfEachSession(self) -> None:
        events = self.visit(self.listening(Clock()), "anybody")
        [warning] = [event for event in events if event["log_level"] is LogLevel.critical]
        self.assertTrue(warning["security"])
        self.assertIn("anybody", formatEvent(warning))
        self.assertEqual(len(events), 3)

    def test_ofManyTheOthersAreCounted(self) -> None:
        """Whoever can have session after session must not fill the log with them."""
        clock = Clock()
        factory = self.listening(clock)
        for number in range(2 * LINES):
            events = self.visit(factory, f"name-{number}")
            self.assertEqual(events == [], number >= LINES, number)
        with capturedLogs() as told:
            clock.pump([0.02] * 501)
        [report] = [text for text in map(formatEvent, told) if "no line of their own" in text]
        self.assertIn(f"{2 * LINES} more have no line", report)
        self.assertEqual(len(self.visit(factory, "late")), 3)


class PortTests(OpenTestCase):
    def test_aLabelGetsNoPortThatWasDescribedForSomebody(self) -> None:
        described = PortSettings(priority=9, max_power=99_000)
        make = PortMaker(Clock(), {"ev": described})
        known = peerNamed("ev")
        label = Peer("ev", None, None, False, known.parameters, None)
        self.assertEqual(make(known).settings, described)
        self.assertEqual(make(label).settings, PortSettings())
