"""Who gets a TLS connection, and what each side is told when there is none."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epnet.errors import UsageError
from epnet.handshake import certificateProblem, describeFailure
from epnet.identity import IdentityRefused, Peer
from epnet.interfaces import ITrust
from epnet.pem import readCertificates, readPrivateKey
from epnet.pki import (
    Authority,
    CertificatePaths,
    initAuthority,
    issueCertificate,
)
from epnet.tls import AuthorityTrust, Credentials
from epnet.wire import SessionParameters

LONG_AGO = datetime.now(UTC) - timedelta(days=100)


@implementer(IHandshakeListener)
class Recorder(Protocol):
    """Says hello and remembers what happens to its connection."""

    handshaken = False
    received = b""
    lost: Failure | None = None

    def connectionMade(self) -> None:
        self.transport.write(b"hello")

    def handshakeCompleted(self) -> None:
        self.handshaken = True

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason

    def words(self) -> str:
        """Why the connection was lost, as an operator reads it."""
        assert self.lost is not None, "it is still connected"
        return AuthorityTrust.describeFailure(self.lost)


class Talker(Recorder):
    """A peer without TLS: it sends these bytes as they are."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting

    def connectionMade(self) -> None:
        self.transport.write(self.greeting)


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class ForeignTLS:
    """A peer's TLS of other making than ours: anything OpenSSL does, and it verifies nothing."""

    def __init__(self, configure: Callable[[SSL.Context], object]) -> None:
        self.context = SSL.Context(SSL.TLS_METHOD)
        configure(self.context)

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)

    serverConnectionForTLS = clientConnectionForTLS


class StandardLibraryClient(Protocol):
    """A client on Python's own `ssl`, which can resume a session and tell whether it did."""

    def __init__(
        self, paths: CertificatePaths, resuming: StandardLibraryClient | None = None
    ) -> None:
        if resuming is None:
            self.context = ssl.create_default_context(cafile=str(paths.authority))
            self.context.check_hostname = False
            self.context.load_cert_chain(paths.certificate, paths.key)
        else:
            self.context = resuming.context
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = resuming and resuming.tls.session
        self.tls = self.context.wrap_bio(self.incoming, self.outgoing, session=session)
        self.received = b""

    def connectionMade(self) -> None:
        self.proceed()

    def dataReceived(self, data: bytes) -> None:
        self.incoming.write(data)
        self.proceed()

    def proceed(self) -> None:
        try:
            self.tls.do_handshake()
            self.received += self.tls.read(1000)
        except ssl.SSLWantReadError:
            pass
        self.transport.write(self.outgoing.read())


@attrs.frozen
class Presenting:
    """Configures a `ForeignTLS` with a certificate."""

    paths: CertificatePaths
    newestVersion: int = 0  # OpenSSL's for "any"

    def __call__(self, context: SSL.Context) -> None:
        context.use_certificate(readCertificates(self.paths.certificate)[0])
        context.use_privatekey(readPrivateKey(self.paths.key))
        context.set_max_proto_version(self.newestVersion)


class TLSTestCase(SynchronousTestCase):
    """Makes certificates and connections in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = Factory.forProtocol(Recorder)
        self.authority = initAuthority(Path(self.mktemp()), now=LONG_AGO)

    def issue(
        self, identity: str, authority: Authority | None = None, **options: object
    ) -> CertificatePaths:
        out = Path(self.mktemp())
        return issueCertificate(authority or self.authority, identity, out=out, **options)

    def trust(self, identity: str, **options: object) -> AuthorityTrust:
        return load(self.issue(identity, **options))

    def server(self, trust: AuthorityTrust) -> IProtocol:
        return trust.serverFactory(self.factory, clock=self.clock).buildProtocol(None)

    def client(self, trust: AuthorityTrust, hostname: str | None = None) -> IProtocol:
        return trust.clientFactory(self.factory, hostname, clock=self.clock).buildProtocol(None)

    def foreign(
        self, configure: Callable[[SSL.Context], object], *, isClient: bool = True
    ) -> IProtocol:
        factory = TLSMemoryBIOFactory(ForeignTLS(configure), isClient, self.factory, self.clock)
        return factory.buildProtocol(None)

    def connect(self, server: IProtocol, client: IProtocol) -> tuple[Recorder, Recorder]:
        """Connect two protocols and let them talk until nothing moves any more."""
        # The wrappers forget their protocols when the connection is lost.
        ends = [getattr(end, "wrappedProtocol", end) for end in (server, client)]
        connect(
            server, makeFakeServer(server), client, makeFakeClient(client), clock=self.clock
        ).flush()
        return ends[0], ends[1]

    def assertConnected(self, *ends: Recorder) -> None:
        for end in ends:
            self.assertIsNone(end.lost, end.lost and end.words())
            self.assertEqual(end.received, b"hello")

    def assertRefused(self, server: IProtocol, client: IProtocol, *words: str) -> None:
        """Connect; nothing may arrive, and each side must have the words for why."""
        ends = self.connect(server, client)
        self.assertEqual([end.words() for end in ends], list(words))
        self.assertEqual([end.received for end in ends], [b"", b""])


def load(paths: CertificatePaths) -> AuthorityTrust:
    return AuthorityTrust.load(paths.certificate, paths.key, [paths.authority])


class ConnectionTests(TLSTestCase):
    def test_devicesOfOneAuthorityConnectWithTLS13(self) -> None:
        server, client = self.server(self.trust("router")), self.client(self.trust("ev"))
        self.assertConnected(*self.connect(server, client))
        self.assertEqual(client.getHandle().get_protocol_version_name(), "TLSv1.3")

    def test_offeredSessionIsNotResumed(self) -> None:
        factory = self.trust("router").serverFactory(self.factory, clock=self.clock)
        paths = self.issue("ev")
        first = StandardLibraryClient(paths)
        self.connect(factory.buildProtocol(None), first)
        second = StandardLibraryClient(paths, resuming=first)
        self.connect(factory.buildProtocol(None), second)
        self.assertEqual((first.received, second.received), (b"hello", b"hello"))
        self.assertFalse(second.tls.session_reused)

    def test_clientWithoutCertificateIsRefused(self) -> None:
        self.assertRefused(
            self.server(self.trust("router")),
            self.foreign(lambda context: None),
            "it presented no certificate",
            "it requires a certificate and got none from us",
        )

    def test_clientOfAForeignAuthorityIsRefused(self) -> None:
        stranger = self.issue("ev", initAuthority(Path(self.mktemp())))
        self.assertRefused(
            self.server(self.trust("router")),
            self.foreign(Presenting(stranger)),
            "its certificate is not from a trusted authority",
            "it does not trust the authority of our certificate",
        )

    def test_serverOfAForeignAuthorityIsRefused(self) -> None:
        stranger = self.issue("router", initAuthority(Path(self.mktemp())))
        self.assertRefused(
            self.foreign(Presenting(stranger), isClient=False),
            self.client(self.trust("ev")),
            "it does not trust the authority of our certificate",
            "its certificate is not from a trusted authority",
        )

    def test_selfSignedCertificateIsRefused(self) -> None:
        stranger = initAuthority(Path(self.mktemp()))

        def presentItself(context: SSL.Context) -> None:
            context.use_certificate(stranger.certificate)
            context.use_privatekey(stranger.key)

        self.assertRefused(
            self.server(self.trust("router")),
            self.foreign(presentItself),
            "its certificate is self-signed and not trusted",
            "it does not trust the authority of our certificate",
        )

    def test_expiredClientIsRefused(self) -> None:
        self.assertRefused(
            self.server(self.trust("router")),
            self.foreign(Presenting(self.issue("ev", days=10, now=LONG_AGO))),
            "its certificate has expired",
            "it says that our certificate has expired",
        )

    def test_expiredServerIsRefused(self) -> None:
        self.assertRefused(
            self.foreign(Presenting(self.issue("r", days=10, now=LONG_AGO)), isClient=False),
            self.client(self.trust("ev")),
            "it says that our certificate has expired",
            "its certificate has expired",
        )

    def test_clientThatIsNotValidYetIsRefused(self) -> None:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        self.assertRefused(
            self.server(self.trust("router")),
            self.foreign(Presenting(self.issue("ev", now=tomorrow))),
            "its certificate is not valid yet (or a clock is wrong)",
            "it refused our certificate",
        )

    def test_clientThatOffersTLS12IsRefused(self) -> None:
        self.assertRefused(
            self.server(self.trust("router")),
            self.foreign(Presenting(self.issue("ev"), SSL.TLS1_2_VERSION)),
            "it offered TLS 1.2 or older; EP requires TLS 1.3",
            "it does not accept TLS 1.3, which EP requires",
        )

    def test_serverThatSpeaksTLS12IsRefused(self) -> None:
        server = self.foreign(Presenting(self.issue("r"), SSL.TLS1_2_VERSION), isClient=False)
        ends = self.connect(server, self.client(self.trust("ev")))
        self.assertEqual(ends[1].words(), "it does not accept TLS 1.3, which EP requires")

    def test_peersWithoutTLSAreRefused(self) -> None:
        for greeting, words in (
            (bytes.fromhex("9a00000003f61adcdcba77f6"), "it does not speak TLS"),
            (b"GET / HTTP/1.1\r\n\r\n", "it does not speak TLS but HTTP"),
        ):
            trust = self.trust("router")
            server, _ = self.connect(self.server(trust), Talker(greeting))
            _, client = self.connect(Talker(greeting), self.client(trust))
            self.assertEqual((server.words(), client.words()), (words, words))

    def test_intermediateAuthorityIsBelievedWithoutItsRoot(self) -> None:
        _, intermediate = self.rootAndIntermediate()
        paths = self.issue("ev")
        trust = AuthorityTrust(Credentials.load(paths.certificate, paths.key), [intermediate])
        self.assertConnected(*self.connect(self.server(trust), self.client(trust)))

    def test_intermediateCertificateIsPresentedToWhoBelievesTheRoot(self) -> None:
        root, intermediate = self.rootAndIntermediate()
        paths = self.issue("ev")
        with paths.certificate.open("ab") as file:
            file.write(intermediate.public_bytes(Encoding.PEM))
        paths.authority.write_bytes(root.public_bytes(Encoding.PEM))
        trust = load(paths)
        self.assertConnected(*self.connect(self.server(trust), self.client(trust)))

    def rootAndIntermediate(self) -> tuple[x509.Certificate, x509.Certificate]:
        """A root's certificate, and one by it for the authority that issues in these tests."""
        rootKey = ec.generate_private_key(ec.SECP256R1())
        rootName = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
        builder = x509.CertificateBuilder(
            issuer_name=rootName,
            serial_number=1,
            not_valid_before=LONG_AGO,
            not_valid_after=self.authority.certificate.not_valid_after_utc,
            extensions=[
                x509.Extension(
                    x509.BasicConstraints.oid, True, x509.BasicConstraints(True, path_length=None)
                )
            ],
        )
        root = builder.subject_name(rootName).public_key(rootKey.public_key())
        intermediate = builder.subject_name(self.authority.certificate.subject).public_key(
            self.authority.key.public_key()
        )
        return root.sign(rootKey, SHA256()), intermediate.sign(rootKey, SHA256())


class HostNameTests(TLSTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client_ = self.trust("ev")
        self.named = self.trust("router", dns=["router.example"], ip=["192.0.2.1", "fe80::1"])

    def test_namesInTheCertificateAreAccepted(self) -> None:
        for name in ("router.example", "ROUTER.example", "192.0.2.1", "fe80::1", "fe80::1%eth0"):
            ends = self.connect(self.server(self.named), self.client(self.client_, name))
            self.assertConnected(*ends)

    def test_otherNamesAreRefused(self) -> None:
        for name in ("other.example", "192.0.2.2", "::1"):
            self.assertRefused(
                self.server(self.named),
                self.client(self.client_, name),
                "it broke off; our certificate may lack the name or address it dialled",
                f"its certificate is not for the dialled {name!r}; dial IDENTITY@HOST to "
                "expect its identity instead",
            )

    def test_certificateWithoutHostNamesServesAnyHost(self) -> None:
        for name in ("other.example", "192.0.2.2"):
            server = self.server(self.trust("router"))
            self.assertConnected(*self.connect(server, self.client(self.client_, name)))

    def test_certificateWithoutAlternativeNamesServesAnyHost(self) -> None:
        server = self.foreign(self.presentingAlternativeNames(None), isClient=False)
        self.assertConnected(*self.connect(server, self.client(self.client_, "other.example")))

    def test_addressThatStandsAsADNSNameIsRefused(self) -> None:
        mistaken = x509.SubjectAlternativeName([x509.DNSName("192.0.2.1")])
        server = self.foreign(self.presentingAlternativeNames(mistaken), isClient=False)
        _, client = self.connect(server, self.client(self.client_, "192.0.2.1"))
        self.assertEqual(client.words(), "its certificate carries an invalid DNS name")

    def test_certificateThatCannotBeParsedIsRefused(self) -> None:
        server, client = self.server(self.named), self.client(self.client_, "router.example")
        with patch.object(crypto.X509, "to_cryptography", side_effect=ValueError("broken")):
            _, ours = self.connect(server, client)
        self.assertEqual(ours.words(), "its certificate cannot be read")

    def presentingAlternativeNames(
        self, names: x509.ExtensionType | None
    ) -> Callable[[SSL.Context], object]:
        """Configures a foreign TLS with a certificate that has just these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateBuilder(
            issuer_name=self.authority.certificate.subject,
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "router")]),
            public_key=key.public_key(),
            serial_number=1,
            not_valid_before=LONG_AGO,
            not_valid_after=self.authority.certificate.not_valid_after_utc,
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)

        def configure(context: SSL.Context) -> None:
            context.use_certificate(builder.sign(self.authority.key, SHA256()))
            context.use_privatekey(key)

        return configure

    def test_noNameIsCheckedWhenNoneIsGiven(self) -> None:
        self.assertConnected(*self.connect(self.server(self.named), self.client(self.client_)))

    def test_dnsNameIsIndicatedToTheServerAndAnAddressIsNot(self) -> None:
        for name, indicated in (
            ("router.example", b"router.example"),
            ("käfer.example", b"xn--kfer-loa.example"),
            ("192.0.2.1", None),
        ):
            server = self.server(self.trust("router"))
            self.connect(server, self.client(self.client_, name))
            self.assertEqual(server.getHandle().get_servername(), indicated)

    def test_whatCannotBeAHostIsAUsageError(self) -> None:
        for name in ("", "a..b", "x" * 64):
            endpoint = TCP4ClientEndpoint(MemoryReactorClock(), "ignored", 1)
            error = self.assertRaises(UsageError, self.named.clientEndpoint, endpoint, name)
            self.assertIn(repr(name), str(error))

    def test_endpointGivesTheProtocolAndChecksTheName(self) -> None:
        reactor = MemoryReactorClock()
        tcp = TCP4ClientEndpoint(reactor, "192.0.2.2", 56540)
        endpoint = self.client_.clientEndpoint(tcp, "192.0.2.2", clock=self.clock)
        connecting = endpoint.connect(self.factory)
        client = reactor.tcpClients[0][2].buildProtocol(None)
        self.connect(self.server(self.named), client)
        recorder = self.successResultOf(connecting)
        self.assertIn("not for the dialled '192.0.2.2'", recorder.words())


class AuthenticationTests(TLSTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.router = self.trust("router", tenant="T", provider="P")
        self.ev = self.trust("ev", tenant="T")

    def authenticate(self, expected: str | None = None, **said: str) -> Peer:
        """Let the router judge what a device with the certificate "ev" says about itself."""
        server, _ = self.connect(self.server(self.router), self.client(self.ev))
        return self.router.authenticate(
            SessionParameters(**said), server.transport, expected=expected
        )

    def test_identityOfTheCertificateIsAuthenticated(self) -> None:
        peer = self.authenticate(identity="ev", expected="ev")
        self.assertEqual((peer.identity, peer.tenant, peer.provider), ("ev", "T", None))
        self.assertTrue(peer.authenticated)
        self.assertEqual(peer.certificate, self.ev.ownIdentity)

    def test_bothSidesAuthenticateTheOther(self) -> None:
        _, client = self.connect(self.server(self.router), self.client(self.ev))
        said = SessionParameters(identity="router")
        peer = self.ev.authenticate(said, client.transport, expected=None)
        self.assertEqual((peer.identity, peer.provider), ("router", "P"))

    def test_otherIdentityTenantOrExpectationIsRefused(self) -> None:
        for said in (
            {"identity": "router"},
            {"identity": "ev", "tenant": "other"},
            {"identity": "ev", "expected": "router"},
        ):
            self.assertRaises(IdentityRefused, self.authenticate, **said)

    def test_connectionWithoutCertificateIsRefused(self) -> None:
        server = self.server(self.router)  # its handshake has not begun
        server.makeConnection(makeFakeServer(server))
        error = self.assertRaises(
            IdentityRefused,
            self.router.authenticate,
            SessionParameters(identity="ev"),
            server,
            expected=None,
        )
        self.assertEqual(str(error), "no certificate was presented")

    def test_certificateThatCannotBeParsedIsRefused(self) -> None:
        with patch.object(crypto.X509, "to_cryptography", side_effect=ValueError("broken")):
            error = self.assertRaises(IdentityRefused, self.authenticate, identity="ev")
        self.assertEqual(str(error), "the certificate cannot be read")


class LoadTests(TLSTestCase):
    def test_policyIsAnITrust(self) -> None:
        verifyObject(ITrust, self.trust("ev"))

    def assertUsageError(self, paths: CertificatePaths, *words: str) -> None:
        error = self.assertRaises(UsageError, load, paths)
        for word in words:
            self.assertIn(word, str(error))
        self.assertNotIn("\n", str(error))

    def test_ownIdentityIsReadFromTheCertificate(self) -> None:
        identity = self.trust("ev", tenant="T").ownIdentity
        self.assertEqual((identity.identities, identity.tenant), ({"ev"}, "T"))

    def test_missingFilesAreNamed(self) -> None:
        for field in ("certificate", "key", "authority"):
            paths = self.issue("ev")
            getattr(paths, field).unlink()
            self.assertUsageError(paths, str(getattr(paths, field)), f"--{field}", "not exist")

    def test_unreadableFileIsNamed(self) -> None:
        paths = attrs.evolve(self.issue("ev"), key=Path("/"))
        self.assertUsageError(paths, "cannot read the key file /")

    def test_filesThatAreNotPEMAreNamed(self) -> None:
        for field in ("certificate", "key", "authority"):
            paths = self.issue("ev")
            getattr(paths, field).write_text("nonsense")
            self.assertUsageError(paths, str(getattr(paths, field)), "PEM", "-----BEGIN")

    def test_encryptedKeyIsExplained(self) -> None:
        paths = self.issue("ev")
        key = readPrivateKey(paths.key)
        encryption = BestAvailableEncryption(b"secret")
        paths.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        self.assertUsageError(paths, str(paths.key), "encrypted with a password")

    def test_keyThatCannotSignIsRefused(self) -> None:
        paths = self.issue("ev")
        key = x25519.X25519PrivateKey.generate()
        paths.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.assertUsageError(paths, str(paths.key), "TLS 1.3")

    def test_keyOfAnotherCertificateIsRefused(self) -> None:
        paths, other = self.issue("ev"), self.issue("other")
        self.assertUsageError(attrs.evolve(paths, key=other.key), "does not belong")

    def test_ownCertificateMustBeValidNow(self) -> None:
        past = self.issue("ev", days=10, now=LONG_AGO)
        future = self.issue("ev", now=datetime.now(UTC) + timedelta(days=1))
        self.assertUsageError(past, str(past.certificate), "has expired", "epnet pki issue")
        self.assertUsageError(future, str(future.certificate), "not valid yet")

    def test_ownCertificateMustBeFromTheAuthority(self) -> None:
        paths, other = self.issue("ev"), self.issue("ev", initAuthority(Path(self.mktemp())))
        self.assertUsageError(
            attrs.evolve(paths, authority=other.authority),
            "our certificate is not from a trusted authority",
            "--authority",
        )

    def test_ownCertificateMustBeReadable(self) -> None:
        with patch("epnet.tls.readCertificate", side_effect=IdentityRefused("broken")):
            self.assertUsageError(self.issue("ev"), "our certificate: broken")

    def test_keyThatOthersCanReadIsWarnedAbout(self) -> None:
        paths = self.issue("ev")
        for mode, warnings in ((0o600, 0), (0o640, 0), (0o644, 1)):
            paths.key.chmod(mode)
            with capturedLogs() as events:
                load(paths)
            warned = [event for event in events if event["log_level"] is LogLevel.warn]
            self.assertEqual(len(warned), warnings, oct(mode))

    def test_keyStaysOutOfTheRepresentation(self) -> None:
        paths = self.issue("ev")
        self.assertNotIn("Key", repr(Credentials.load(paths.certificate, paths.key)))
        self.assertNotIn("Key", repr(self.authority))


class WordsTests(SynchronousTestCase):
    """Failures that no test above brings about."""

    def test_problemOfTheAuthorityIsToldFromOneOfTheCertificate(self) -> None:
        self.assertEqual(
            certificateProblem("its certificate", 10, 0), "its certificate has expired"
        )
        self.assertEqual(
            certificateProblem("its certificate", 10, 1),
            "the authority of its certificate has expired",
        )

    def test_unlistedProblemKeepsItsNumber(self) -> None:
        self.assertIn("X.509 error 999", certificateProblem("its certificate", 999, 0))

    def test_unlistedAlertsAndReasonsAreQuoted(self) -> None:
        alert = SSL.Error([("SSL routines", "", "ssl/tls alert access denied")])
        self.assertIn("'access denied'", describeFailure(Failure(alert)))
        reason = SSL.Error([("SSL routines", "", "some reason"), ("", "", "another")])
        self.assertEqual(describeFailure(Failure(reason)), "TLS failed: some reason, another")

    def test_errorsWithoutAQueueAreDescribed(self) -> None:
        for error in (SSL.Error(), SSL.SysCallError(-1, "Unexpected EOF"), SSL.ZeroReturnError()):
            self.assertEqual(describeFailure(Failure(error)), "TLS failed: the peer broke off")

    def test_endOfAConnectionIsDescribedByItself(self) -> None:
        for error in (ConnectionDone(), ConnectionLost(), IdentityRefused("no")):
            self.assertEqual(describeFailure(Failure(error)), str(error))
