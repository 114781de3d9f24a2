"""Who gets a TLS connection, and what each side is told when there is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.test.iosim import makeFakeServer

from epnet.errors import UsageError
from epnet.identity import IdentityRefused, Peer
from epnet.pem import readCertificates, readPrivateKey
from epnet.pki import initAuthority
from epnet.tls import Credentials, Trust
from epnet.trust.policies import Authorities
from epnet.trust.revocation import Revocations
from epnet.wire import SessionParameters
from tests.tlscase import (
    LONG_AGO,
    Presenting,
    Recorder,
    StandardLibraryClient,
    Talker,
    TLSTestCase,
    load,
)


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
            "it trusts neither our certificate nor its authority",
        )

    def test_serverOfAForeignAuthorityIsRefused(self) -> None:
        stranger = self.issue("router", initAuthority(Path(self.mktemp())))
        self.assertRefused(
            self.foreign(Presenting(stranger), isClient=False),
            self.client(self.trust("ev")),
            "it trusts neither our certificate nor its authority",
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
            "it trusts neither our certificate nor its authority",
        )

    def test_expiredClientIsRefused(self) -> None:
        self.assertRefused(
            self.server(self.trust("router")),
            self.foreign(Presenting(self.issue("ev", days=10, now=LONG_AGO))),
            "its certificate has expired",
            "it says that our certificate has expired",
        )

    def test_refusalsLeaveTheNextConnectionAlone(self) -> None:
        factory = self.trust("router").serverFactory(self.factory, clock=self.clock)
        stranger = initAuthority(Path(self.mktemp()), now=LONG_AGO)
        for paths in (
            self.issue("foreign", stranger),
            self.issue("expired", days=10, now=LONG_AGO),
            self.issue("both", stranger, days=10, now=LONG_AGO),
        ):
            server, _ = self.connect(factory.buildProtocol(None), self.foreign(Presenting(paths)))
            self.assertIsNotNone(server.lost)
            good = self.foreign(Presenting(self.issue("ev")))
            self.assertConnected(*self.connect(factory.buildProtocol(None), good))

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
        trust = Trust(Credentials.load(paths.certificate, paths.key), Authorities([intermediate]))
        self.assertConnected(*self.connect(self.server(trust), self.client(trust)))

    def test_intermediateCertificateIsPresentedToWhoBelievesTheRoot(self) -> None:
        root, intermediate = self.rootAndIntermediate()
        paths = self.issue("ev")
        with paths.certificate.open("ab") as file:
            file.write(intermediate.public_bytes(Encoding.PEM))
        paths.authority.write_bytes(root.public_bytes(Encoding.PEM))
        trust = load(paths)
        self.assertConnected(*self.connect(self.server(trust), self.client(trust)))

    def test_whatARevokedIntermediateAuthorityIssuedIsRefused(self) -> None:
        root, intermediate = self.rootAndIntermediate()
        paths = self.issue("ev")
        credentials = Credentials(
            [*readCertificates(paths.certificate), intermediate], readPrivateKey(paths.key)
        )
        sender = Trust(credentials, Authorities([root]))
        revocations = Revocations({root.subject: {intermediate.serial_number}}, None)
        policy = Authorities([root], revocations)
        server, _ = self.connect(self.server(Trust(credentials, policy)), self.client(sender))
        self.assertEqual(server.words(), "the authority of its certificate has been revoked")
        error = self.assertRaises(UsageError, policy.checkOwn, credentials.chain)
        self.assertIn("the authority of our certificate has been revoked", str(error))

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
        self.device = self.trust("ev")
        self.named = self.trust("router", dns=["router.example"], ip=["192.0.2.1", "fe80::1"])

    def test_namesInTheCertificateAreAccepted(self) -> None:
        for name in ("router.example", "ROUTER.example", "192.0.2.1", "fe80::1", "fe80::1%eth0"):
            ends = self.connect(self.server(self.named), self.client(self.device, name))
            self.assertConnected(*ends)

    def test_otherNamesAreRefused(self) -> None:
        for name in ("other.example", "192.0.2.2", "::1"):
            self.assertRefused(
                self.server(self.named),
                self.client(self.device, name),
                "it broke off; our certificate may be revoked or lack the name it dialled",
                f"its certificate is not for the dialled {name!r}; dial IDENTITY@HOST to "
                "expect its identity instead",
            )

    def test_certificateWithoutHostNamesServesAnyHost(self) -> None:
        for name in ("other.example", "192.0.2.2"):
            server = self.server(self.trust("router"))
            self.assertConnected(*self.connect(server, self.client(self.device, name)))

    def test_certificateWithoutAlternativeNamesServesAnyHost(self) -> None:
        server = self.foreign(self.presentingAlternativeNames(None), isClient=False)
        self.assertConnected(*self.connect(server, self.client(self.device, "other.example")))

    def test_addressThatStandsAsADNSNameIsRefused(self) -> None:
        mistaken = x509.SubjectAlternativeName([x509.DNSName("192.0.2.1")])
        server = self.foreign(self.presentingAlternativeNames(mistaken), isClient=False)
        _, client = self.connect(server, self.client(self.device, "192.0.2.1"))
        self.assertEqual(client.words(), "its certificate carries an invalid DNS name")

    def test_certificateThatCannotBeParsedIsRefused(self) -> None:
        server, client = self.server(self.named), self.client(self.device, "router.example")
        with patch.object(crypto.X509, "to_cryptography", side_effect=ValueError("broken")):
            _, ours = self.connect(server, client)
        self.assertEqual(ours.words(), "the certificate cannot be read")

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
        self.assertConnected(*self.connect(self.server(self.named), self.client(self.device)))

    def test_dnsNameIsIndicatedToTheServerAndAnAddressIsNot(self) -> None:
        for name, indicated in (
            ("router.example", b"router.example"),
            ("käfer.example", b"xn--kfer-loa.example"),
            ("192.0.2.1", None),
        ):
            server = self.server(self.trust("router"))
            self.connect(server, self.client(self.device, name))
            self.assertEqual(server.getHandle().get_servername(), indicated)

    def test_whatCannotBeAHostIsAUsageError(self) -> None:
        for name in ("", "a..b", "x" * 64):
            endpoint = TCP4ClientEndpoint(MemoryReactorClock(), "ignored", 1)
            error = self.assertRaises(UsageError, self.named.clientEndpoint, endpoint, name)
            self.assertIn(repr(name), str(error))

    def test_endpointGivesTheProtocolAndChecksTheName(self) -> None:
        reactor = MemoryReactorClock()
        tcp = TCP4ClientEndpoint(reactor, "192.0.2.2", 56540)
        endpoint = self.device.clientEndpoint(tcp, "192.0.2.2", clock=self.clock)
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
        return self.judge(self.connected(), expected, **said)

    def connected(self) -> Recorder:
        """The router's end of a connection with that device."""
        return self.connect(self.server(self.router), self.client(self.ev))[0]

    def judge(self, end: Recorder, expected: str | None = None, **said: str) -> Peer:
        return self.router.authenticate(SessionParameters(**said), end.transport, expected=expected)

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
        end = self.connected()
        with patch.object(crypto.X509, "to_cryptography", side_effect=ValueError("broken")):
            error = self.assertRaises(IdentityRefused, self.judge, end, identity="ev")
        self.assertEqual(str(error), "the certificate cannot be read")
