"""What a certificate vouches for, and which Session Parameters pass (wire-profile S3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import PeerError
from epnet.identity import (
    CertificateIdentity,
    IdentityRefused,
    Peer,
    checkIdentity,
    labelPeer,
    readCertificate,
)
from epnet.wire import SessionParameters

EXPIRY = datetime(2030, 1, 1, tzinfo=UTC)


def makeCertificate(
    subject: Sequence[tuple[x509.ObjectIdentifier, str]] = (),
    names: Sequence[x509.GeneralName] = (),
    extension: x509.ExtensionType | None = None,
) -> x509.Certificate:
    """A self-signed certificate with that subject and those alternative names."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([]),
        subject_name=x509.Name([x509.NameAttribute(*attribute) for attribute in subject]),
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=EXPIRY,
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, SHA256())


class ReadCertificateTests(SynchronousTestCase):
    def test_commonNameUrnAndDNSNamesAreIdentities(self) -> None:
        certificate = makeCertificate(
            [(NameOID.COMMON_NAME, "cn")],
            [
                x509.UniformResourceIdentifier("urn:ep:device:of-urn"),
                x509.UniformResourceIdentifier("https://example/"),
                x509.DNSName("name.example"),
                x509.RFC822Name("not@example"),
            ],
        )
        read = readCertificate(certificate)
        self.assertEqual(read.identities, {"cn", "of-urn", "name.example"})
        self.assertEqual(read.commonName, "cn")

    def test_tenantIsOAndProviderIsOU(self) -> None:
        read = readCertificate(
            makeCertificate(
                [
                    (NameOID.ORGANIZATIONAL_UNIT_NAME, "provider"),
                    (NameOID.ORGANIZATION_NAME, "tenant"),
                ]
            )
        )
        self.assertEqual((read.tenant, read.provider), ("tenant", "provider"))

    def test_bareCertificateVouchesForNothing(self) -> None:
        read = readCertificate(makeCertificate())
        self.assertEqual(
            (read.identities, read.commonName, read.tenant, read.provider),
            (frozenset(), None, None, None),
        )

    def test_emptyIdentityIsNone(self) -> None:
        names = [x509.UniformResourceIdentifier("urn:ep:device:")]
        self.assertEqual(readCertificate(makeCertificate((), names)).identities, frozenset())

    def test_fingerprintIsSHA256OfTheDERForm(self) -> None:
        certificate = makeCertificate()
        read = readCertificate(certificate)
        digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        self.assertEqual((read.fingerprint, read.notAfter), (digest, EXPIRY))

    def test_unparsableAlternativeNamesAreRefused(self) -> None:
        broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x05")
        certificate = makeCertificate(extension=broken)
        error = self.assertRaises(IdentityRefused, readCertificate, certificate)
        self.assertIn("cannot be read", str(error))


VOUCHED = CertificateIdentity(frozenset({"ev", "ev.example"}), "ev", "T", "P", "00" * 32, EXPIRY)
NOTHING_MORE = CertificateIdentity(frozenset({"ev"}), "ev", None, None, "00" * 32, EXPIRY)


class CheckIdentityTests(SynchronousTestCase):
    def refusal(
        self,
        parameters: SessionParameters,
        certificate: CertificateIdentity = VOUCHED,
        expected: str | None = None,
    ) -> str:
        error = self.assertRaises(
            IdentityRefused, checkIdentity, parameters, certificate, expected=expected
        )
        self.assertIsInstance(error, PeerError)
        return str(error)

    def test_whatIsLeftOutIsTakenFromTheCertificate(self) -> None:
        parameters = SessionParameters(identity="ev")
        self.assertEqual(
            checkIdentity(parameters, VOUCHED), Peer("ev", "T", "P", True, parameters, VOUCHED)
        )

    def test_anyIdentityOfTheCertificateMayBePresented(self) -> None:
        parameters = SessionParameters(identity="ev.example", tenant="T", provider="P")
        self.assertEqual(checkIdentity(parameters, VOUCHED).identity, "ev.example")

    def test_otherIdentityIsRefused(self) -> None:
        self.assertEqual(
            self.refusal(SessionParameters(identity="router")),
            "identity 'router' is not in the certificate, which is for 'ev' or 'ev.example'",
        )

    def test_identityIsComparedExactly(self) -> None:
        for identity in ("EV", "ev ", "", "e", "ev.example."):
            self.refusal(SessionParameters(identity=identity))

    def test_certificateWithoutIdentityAuthenticatesNobody(self) -> None:
        bare = CertificateIdentity(frozenset(), None, None, None, "00" * 32, EXPIRY)
        self.assertIn("no identity at all", self.refusal(SessionParameters(identity="ev"), bare))

    def test_otherTenantIsRefused(self) -> None:
        self.assertEqual(
            self.refusal(SessionParameters(identity="ev", tenant="X")),
            "tenant 'X' differs from the certificate's 'T'",
        )

    def test_otherProviderIsRefused(self) -> None:
        self.assertEqual(
            self.refusal(SessionParameters(identity="ev", provider="X")),
            "provider 'X' differs from the certificate's 'P'",
        )

    def test_unvouchedTenantAndProviderCountAsAbsent(self) -> None:
        parameters = SessionParameters(identity="ev", tenant="T", provider="P")
        peer = checkIdentity(parameters, NOTHING_MORE)
        self.assertEqual((peer.tenant, peer.provider), (None, None))
        self.assertEqual(peer.parameters.tenant, "T")

    def test_unexpectedIdentityIsRefusedThoughTheCertificateHasIt(self) -> None:
        self.assertEqual(
            self.refusal(SessionParameters(identity="ev"), VOUCHED, "router"),
            "identity 'ev' is not the expected 'router'",
        )

    def test_expectationDoesNotReplaceTheCertificate(self) -> None:
        self.refusal(SessionParameters(identity="router"), VOUCHED, "router")

    @given(st.text(), st.text(), st.sets(st.text()), st.one_of(st.none(), st.text()))
    def test_refusalFitsALogLineAndASoftDisconnect(
        self, identity: str, tenant: str, identities: set[str], expected: str | None
    ) -> None:
        certificate = CertificateIdentity(
            frozenset(identities), None, "\U0010ffff" * 64, None, "", EXPIRY
        )
        try:
            checkIdentity(
                SessionParameters(identity=identity[:256], tenant=tenant[:256]),
                certificate,
                expected=expected,
            )
        except IdentityRefused as error:
            self.assertLessEqual(len(str(error)), 256)  # wire-profile V10
            self.assertTrue(str(error).isprintable())


class LabelTests(SynchronousTestCase):
    def test_nobodyVouchesForWhatItSays(self) -> None:
        parameters = SessionParameters(identity="ev", tenant="T", provider="P")
        for certificate in (None, VOUCHED):
            self.assertEqual(
                labelPeer(parameters, certificate),
                Peer("ev", None, None, False, parameters, certificate),
            )

    def test_unexpectedLabelIsRefused(self) -> None:
        parameters = SessionParameters(identity="ev")
        self.assertEqual(labelPeer(parameters, None, expected="ev").identity, "ev")
        self.assertRaises(IdentityRefused, labelPeer, parameters, None, expected="router")
