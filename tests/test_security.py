"""Attacks on a router that listens, each over real TLS in memory, with a device under its care.

The table of ``docs/security.rst`` names these tests; `TableTests` holds the two together.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect, makeFakeClient
from twisted.trial.unittest import SynchronousTestCase

from epnet.connections import Connections
from epnet.door import Stranger
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.lifecycle import Phase
from epnet.node import DeviceNode, parametersOf
from epnet.pem import readCertificates, readPrivateKey
from epnet.pki import Authority, CertificatePaths, initAuthority, issueCertificate
from epnet.protocol import EPProtocol
from epnet.tls import Trust
from epnet.trust.revocation import revocationPaths, revoke
from epnet.trust.sources import TrustSources
from epnet.wire import DemandParameters, Ping, SessionParameters, SupplyParameters, encode
from tests.fakes import FakeDevice
from tests.tlscase import LONG_AGO, ForeignTLS, Presenting, StandardLibraryClient, Talker

PAGE = Path(__file__).parent.parent / "docs/security.rst"
SUPPLY = SupplyParameters(voltage_limit=(200, 250), power_limit=5000)
DEMAND = DemandParameters(voltage=230, power_limit=3000)
ATTACKER = IPv4Address("TCP", "192.0.2.66", 6666)
HANDSHAKE_RECORD, DATA_RECORD = 0x16, 0x17


class Attacker(Protocol):
    """Says something as soon as TLS is up at its end, and remembers what it is told."""

    def __init__(self, words: bytes = b"") -> None:
        self.words = words
        self.received = b""
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        if self.words:
            self.say(self.words)

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def sayBeneathTLS(self, data: bytes) -> None:
        """Put bytes on the wire as they are."""
        assert isinstance(self.transport, TLSMemoryBIOProtocol)
        self.transport.transport.write(data)  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class RouterCase(SynchronousTestCase):
    """A router that gives power to a device, and what it logs."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pumps: list[IOPump] = []
        self.state = Path(self.mktemp()).absolute()
        self.authority = initAuthority(self.state, now=LONG_AGO)
        self.node = self.makeNode("router", FakeDevice(supply=SUPPLY))
        self.router = EPServerFactory(self.connectionsOf(self.node), self.trust("router"))
        self.device = FakeDevice(demand=DEMAND)
        self.events: list[LogEvent] = []
        logs = capturedLogs()
        self.events = logs.__enter__()
        self.addCleanup(logs.__exit__, None, None, None)
        self.victim = self.arrive("victim", self.device)
        assert self.device.limits.draw_w == 3000

    # The house

    def issue(self, identity: str, by: Authority | None = None, **how: object) -> CertificatePaths:
        out = Path(self.mktemp())
        return issueCertificate(by or self.authority, identity, out=out, **how)  # type: ignore[arg-type]

    def trust(self, identity: str, **how: object) -> Trust:
        return TrustSources.ofAuthority(identity, self.issue(identity, **how)).load()

    def makeNode(self, identity: str, device: FakeDevice) -> DeviceNode:
        return DeviceNode(device, parametersOf(device, identity), self.clock)

    def connectionsOf(self, node: DeviceNode) -> Connections:
        connections = Connections(node, self.clock)
        connections.startService()
        return connections

    def arrive(self, identity: str, device: FakeDevice) -> EPProtocol:
        """An honest device connects."""
        trust = self.trust(identity)
        factory = EPClientFactory(self.connectionsOf(self.makeNode(identity, device)), trust)
        outer = trust.clientFactory(factory, clock=self.clock).buildProtocol(None)
        assert isinstance(outer, TLSMemoryBIOProtocol)
        protocol = outer.wrappedProtocol
        assert isinstance(protocol, EPProtocol)
        self.plug(outer, IPv4Address("TCP", "192.0.2.7", 4711))
        self.later(0.5)
        return protocol

    def plug(self, client: IProtocol, address: IPv4Address = ATTACKER) -> Stranger:
        """Connect a protocol to the router."""
        stranger = self.router.door(self.clock).buildProtocol(address)
        ends = FakeTransport(stranger, True, peerAddress=address), makeFakeClient(client)
        self.pumps.append(connect(stranger, ends[0], client, ends[1], clock=self.clock))
        return stranger

    def later(self, seconds: float) -> None:
        """Let time pass, with bytes arriving all along."""
        for _ in range(round(seconds / 0.02)):
            self.clock.advance(0.02)
            for pump in self.pumps:
                while pump.pump():
                    self.clock.advance(0)

    # The attacker

    def dial(self, configure: Callable[[SSL.Context], object], words: bytes = b"") -> Attacker:
        """Somebody connects, with an OpenSSL of his own, and says something."""
        attacker = Attacker(words)
        tls = ForeignTLS(configure)
        outer = TLSMemoryBIOFactory(tls, True, Factory.forProtocol(lambda: attacker), self.clock)
        self.plug(outer.buildProtocol(None))
        self.later(0.3)
        return attacker

    def greeting(self, identity: str, **said: str) -> bytes:
        return encode(SessionParameters(identity=identity, **said))

    def assertRefused(self, words: str) -> None:
        """The attacker is gone and got no session, the log says why, the device has noticed
        nothing."""
        told = [event for event in self.events if event.get("security")]
        texts = [str(formatEvent(event)) for event in told]
        found = [text for text in texts if words in text and "192.0.2.66" in text]
        self.assertEqual(len(found), 1, texts)
        self.assertLeftAlone()

    def assertLeftAlone(self) -> None:
        """There is one session, that of the device, and its power flows."""
        open_ = [each.peer.identity for each in self.router.connections if each.session.publishing]
        self.assertEqual(open_, ["victim"])
        self.assertEqual(self.device.shutDowns, [])
        self.assertEqual(self.device.limits.draw_w, 3000)


class CertificateAttacks(RouterCase):
    """Who should not be believed."""

    def test_downgradeToTLS12(self) -> None:
        self.dial(Presenting(self.issue("ev"), SSL.TLS1_2_VERSION))
        self.assertRefused("it offered TLS 1.2 or older")

    def test_noTLSAtAll(self) -> None:
        self.plug(Talker(self.greeting("ev")))
        self.later(0.3)
        self.assertRefused("it does not speak TLS")

    def test_noCertificate(self) -> None:
        self.dial(lambda context: None, self.greeting("ev"))
        self.assertRefused("it presented no certificate")

    def test_expiredCertificate(self) -> None:
        old = self.issue("ev", days=10, now=LONG_AGO)
        self.dial(Presenting(old), self.greeting("ev"))
        self.assertRefused("its certificate has expired; certificate sha256:")

    def test_certificateNotValidYet(self) -> None:
        early = self.issue("ev", now=datetime.now(UTC) + timedelta(days=1))
        self.dial(Presenting(early), self.greeting("ev"))
        self.assertRefused("its certificate is not valid yet")

    def test_certificateOfAnotherAuthority(self) -> None:
        other = initAuthority(Path(self.mktemp()))  # of the same name
        self.dial(Presenting(self.issue("ev", other)), self.greeting("ev"))
        self.assertRefused("its certificate is not from a trusted authority")

    def test_selfSignedCertificate(self) -> None:
        own = initAuthority(Path(self.mktemp()), name="ev")

        def presentItself(context: SSL.Context) -> None:
            context.use_certificate(own.certificate)
            context.use_privatekey(own.key)

        self.dial(presentItself, self.greeting("ev"))
        self.assertRefused("its certificate is self-signed and not trusted")

    def test_certificateOfAVersionThatThereIsNot(self) -> None:
        own = initAuthority(Path(self.mktemp()), name="ev")
        der = own.certificate.public_bytes(Encoding.DER)
        of3, of8 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"
        odd = crypto.load_certificate(crypto.FILETYPE_ASN1, der.replace(of3, of8, 1))

        def present(context: SSL.Context) -> None:
            context.use_certificate(odd)
            context.use_privatekey(own.key)

        self.dial(present, self.greeting("ev"))
        self.assertRefused("its certificate is self-signed and not trusted")

    def test_certificateIssuedByADevice(self) -> None:
        paths = self.issue("ev")
        key = readPrivateKey(paths.key)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        [certificate] = readCertificates(paths.certificate)
        device = Authority(Path(self.mktemp()), certificate, key)
        device.directory.mkdir()
        forged = Presenting(self.issue("router-2", device))

        def presentChain(context: SSL.Context) -> None:
            forged(context)
            context.add_extra_chain_cert(certificate)

        self.dial(presentChain, self.greeting("router-2"))
        self.assertRefused("the authority of its certificate may not issue certificates")

    def test_revokedCertificate(self) -> None:
        stolen = self.issue("ev")
        revoke(self.state, ["ev"])
        self.router.trust = self.revoking()
        self.dial(Presenting(stolen), self.greeting("ev"))
        self.assertRefused("its certificate has been revoked")

    def revoking(self) -> Trust:
        files = self.issue("router")
        crl = revocationPaths(self.state)[0]
        return TrustSources(
            "router", files.certificate, files.key, authorities=[files.authority], crl=crl
        ).load()

    def test_certificateWithoutItsKey(self) -> None:
        stolen = self.issue("victim")
        [certificate] = readCertificates(stolen.certificate)

        def present(context: SSL.Context) -> None:
            context.use_certificate(certificate)
            context.use_privatekey(keyThatClaimsToBeOf(certificate.public_key()))

        self.dial(present, self.greeting("victim"))
        self.assertRefused("it does not have the key of the certificate it shows")


class IdentityAttacks(RouterCase):
    """Who has a good certificate and says what is not in it."""

    def test_anotherIdentity(self) -> None:
        attacker = self.dial(Presenting(self.issue("ev")), self.greeting("house-2"))
        self.assertRefused("identity 'house-2' is not in the certificate, which is for 'ev'")
        self.assertIn(b"is not in the certificate", attacker.received)

    def test_theIdentityOfAConnectedDevice(self) -> None:
        self.dial(Presenting(self.issue("ev")), self.greeting("victim"))
        self.assertRefused("identity 'victim' is not in the certificate, which is for 'ev'")

    def test_theIdentityOfTheRouter(self) -> None:
        self.dial(Presenting(self.issue("router")), self.greeting("router"))
        self.assertRefused("which is our own identity")

    def test_anotherIdentityLater(self) -> None:
        self.dial(Presenting(self.issue("ev")), self.greeting("ev") + self.greeting("victim"))
        self.assertRefused("identity 'victim' is not in the certificate")

    def test_anotherTenant(self) -> None:
        files = self.issue("ev", tenant="Kvarteret")
        self.dial(Presenting(files), self.greeting("ev", tenant="Slottet"))
        self.assertRefused("tenant 'Slottet' differs from the certificate's 'Kvarteret'")

    def test_anotherProvider(self) -> None:
        files = self.issue("ev", provider="Nät AB")
        self.dial(Presenting(files), self.greeting("ev", provider="Gratis AB"))
        self.assertRefused("provider 'Gratis AB' differs from the certificate's 'Nät AB'")

    def test_tenantThatNoCertificateVouchesFor(self) -> None:
        self.dial(Presenting(self.issue("ev")), self.greeting("ev", tenant="Slottet"))
        [ev] = [p.peer for p in self.router.connections if p.peer.identity == "ev"]
        self.assertIsNone(ev.tenant)


class HandshakeAttacks(RouterCase):
    """Who misuses TLS."""

    def test_slowHandshake(self) -> None:
        stranger = self.plug(Protocol())
        for _ in range(4):
            stranger.dataReceived(b"\x16")
            self.later(2.45)
        self.assertEqual(len(self.router.connections.doorkeeper), 1)
        self.later(0.4)
        self.assertEqual(len(self.router.connections.doorkeeper), 0)
        self.assertRefused("no TLS handshake within 10 s")

    def test_handshakeAndThenSilence(self) -> None:
        self.dial(Presenting(self.issue("ev")))
        self.later(5.0)
        self.assertRefused("no Session Parameters within 5 s")

    def test_dataBeforeTheHandshakeIsComplete(self) -> None:
        early = record(DATA_RECORD, self.greeting("ev").ljust(64, b"\0"))
        self.plug(Talker(clientHello() + early))
        self.later(0.3)
        self.assertRefused("TLS failed")

    def test_resumption(self) -> None:
        files = self.issue("ev")
        first = StandardLibraryClient(files)
        self.plug(first)
        self.later(0.1)
        second = StandardLibraryClient(files, resuming=first)
        self.plug(second)
        self.later(0.1)
        self.assertIsNotNone(second.tls.version())
        self.assertFalse(second.tls.session_reused)

    def test_renegotiation(self) -> None:
        secrets: list[bytes] = []

        def keepSecrets(context: SSL.Context) -> None:
            Presenting(self.issue("ev"))(context)
            context.set_keylog_callback(lambda connection, line: secrets.append(line))

        attacker = self.dial(keepSecrets)
        [secret] = [each.split()[2] for each in secrets if each.startswith(b"CLIENT_TRAFFIC")]
        again = encrypted(bytes.fromhex(secret.decode()), clientHello()[5:], HANDSHAKE_RECORD)
        attacker.sayBeneathTLS(again)
        self.later(0.3)
        self.assertRefused("TLS failed: unexpected message")

    def test_oversizedHandshake(self) -> None:
        hello = b"\x01\xff\xff\xff" + bytes(16380)  # of 16 MiB, it says
        self.plug(Talker(record(HANDSHAKE_RECORD, hello) * 4))
        self.later(0.3)
        self.assertRefused("TLS failed: excessive message size")

    def test_garbageBeneathTLS(self) -> None:
        attacker = self.dial(Presenting(self.issue("ev")), self.greeting("ev"))
        attacker.sayBeneathTLS(record(DATA_RECORD, bytes(range(100))))
        self.later(0.3)
        self.assertRefused("TLS failed: decryption failed or bad record mac")


class MessageAttacks(RouterCase):
    """Who sends what a session has no use for."""

    def test_garbageInsteadOfAGreeting(self) -> None:
        self.dial(Presenting(self.issue("ev")), b"\xff" * 100)
        self.assertRefused("its first bytes start no EP frame; certificate sha256:")

    def test_powerBeforeTheGreeting(self) -> None:
        self.dial(Presenting(self.issue("ev")), encode(DEMAND) + self.greeting("ev"))
        self.assertRefused("DemandParameters before Session Parameters")

    def test_oversizedFrame(self) -> None:
        frame = bytes.fromhex("9a00000003 f6 1adcdcfeed 5a7fffffff")  # of 2 GiB, it says
        self.dial(Presenting(self.issue("ev")), frame + bytes(1000))
        self.assertRefused("its first bytes start no EP frame")

    def test_oversizedFrameInASession(self) -> None:
        frame = bytes.fromhex("9a00000003 f6 1adcdcfeed 5a7fffffff")
        attacker = self.dial(Presenting(self.issue("ev")), self.greeting("ev"))
        attacker.say(frame + bytes(100_000))
        self.later(0.3)
        self.assertIsNotNone(attacker.lost)
        self.assertLeftAlone()

    def test_messageFlood(self) -> None:
        attacker = self.dial(Presenting(self.issue("ev")), self.greeting("ev"))
        for _ in range(350):
            attacker.say(encode(Ping()) * 3)  # 150 a second
            self.later(0.02)
        self.assertRefused("too many messages a second of type")
        self.assertIn(b"too many messages", attacker.received)

    def test_messageFloodAtFullSpeed(self) -> None:
        attacker = self.dial(Presenting(self.issue("ev")), self.greeting("ev"))
        attacker.say(encode(Ping()) * 100_000)
        self.later(0.3)
        self.assertRefused("too many messages at once of type")
        self.assertIn(b"too many messages", attacker.received)

    def test_halfOpenConnection(self) -> None:
        self.dial(Presenting(self.issue("ev")), self.greeting("ev"))
        self.assertEqual(len(list(self.router.connections)), 2)
        self.pumps.pop()
        self.later(3.2)
        self.assertLeftAlone()
        told = [str(formatEvent(event)) for event in self.events]
        self.assertEqual(len([text for text in told if "ev at 192.0.2.66:6666 over" in text]), 1)


class CrowdAttacks(RouterCase):
    """Who comes in great numbers."""

    def test_connectionFlood(self) -> None:
        for number in range(2000):
            stranger = self.plug(Protocol(), IPv4Address("TCP", f"192.0.2.{number % 250}", number))
            stranger.dataReceived(b"\x16\x03\x01\x02\x00\x01")
            self.pumps.pop()
            if number % 20 == 0:
                self.later(0.02)
        self.assertLeftAlone()
        self.assertIs(self.arrive("ev", FakeDevice()).session.phase, Phase.OPEN)

    def test_silentStrangers(self) -> None:
        for number in range(300):
            self.plug(Protocol(), IPv4Address("TCP", f"192.0.2.{number % 250}", number))
        self.later(1.0)
        self.assertLeftAlone()
        self.assertIs(self.arrive("ev", FakeDevice()).session.phase, Phase.OPEN)
        self.later(10.0)
        self.assertEqual(len(self.router.connections.doorkeeper), 0)


class TableTests(SynchronousTestCase):
    """The page says what is tested, and what is tested is on the page."""

    def named(self) -> set[str]:
        return set(re.findall(r"``(tests\.[\w.]+\.test_\w+)``", PAGE.read_text()))

    def test_everyTestThatIsNamedExistsAndRuns(self) -> None:
        self.assertGreater(len(self.named()), 30)
        for name in self.named():
            module, case, method = name.rsplit(".", 2)
            kind = getattr(importlib.import_module(module), case)
            self.assertTrue(issubclass(kind, SynchronousTestCase), name)
            for where in (kind, getattr(kind, method)):
                self.assertFalse(getattr(where, "skip", None), name)
                self.assertFalse(getattr(where, "todo", None), name)

    def test_everyAttackIsOnThePage(self) -> None:
        kinds = (
            CertificateAttacks,
            IdentityAttacks,
            HandshakeAttacks,
            MessageAttacks,
            CrowdAttacks,
        )
        here = {
            f"tests.test_security.{kind.__name__}.{name}"
            for kind in kinds
            for name in vars(kind)
            if name.startswith("test_")
        }
        self.assertEqual(here - self.named(), set())


# Bytes that no TLS library of good faith makes


def record(kind: int, content: bytes) -> bytes:
    """A TLS record."""
    return bytes([kind, 3, 3]) + len(content).to_bytes(2) + content


def clientHello() -> bytes:
    """The record with which a client begins."""
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(65536)


def encrypted(secret: bytes, content: bytes, kind: int) -> bytes:
    """The first record under a traffic secret of TLS_AES_256_GCM_SHA384 (RFC 8446 §5.2, §7.3)."""
    inner = content + bytes([kind])
    header = bytes([DATA_RECORD, 3, 3]) + (len(inner) + 16).to_bytes(2)
    key, nonce = expanded(secret, b"key", 32), expanded(secret, b"iv", 12)
    return header + AESGCM(key).encrypt(nonce, inner, header)


def expanded(secret: bytes, label: bytes, length: int) -> bytes:
    """What follows from a secret; under ``traffic upd`` the one after an update of the key."""
    full = b"tls13 " + label
    info = length.to_bytes(2) + bytes([len(full)]) + full + b"\0"
    return HKDFExpand(SHA384(), length, info).derive(secret)


def keyThatClaimsToBeOf(public: object) -> crypto.PKey:
    """A private key with the public key of somebody else in its file (RFC 5915)."""
    assert isinstance(public, ec.EllipticCurvePublicKey)
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    der = (
        bytes.fromhex("3077 020101 0420")
        + private.to_bytes(32)
        + bytes.fromhex("a00a 06082a8648ce3d030107 a144 034200")
        + point
    )
    return crypto.load_privatekey(crypto.FILETYPE_ASN1, der)
