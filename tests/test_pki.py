"""What the private authority issues, and what it leaves alone."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.identity import readCertificate
from epnet.pem import readCertificates
from epnet.pki import (
    CertificatePaths,
    certificatePaths,
    checkIssuable,
    ensureCertificate,
    initAuthority,
    issueCertificate,
    loadAuthority,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


class AuthorityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stateDir = Path(self.mktemp())

    def test_loadedAuthorityIsTheOneThatWasMade(self) -> None:
        made = initAuthority(self.stateDir)
        loaded = loadAuthority(self.stateDir)
        self.assertEqual(loaded.certificate, made.certificate)
        self.assertEqual(loaded.key.private_numbers(), made.key.private_numbers())

    def test_certificateMaySignCertificatesAndNothingElse(self) -> None:
        extensions = initAuthority(self.stateDir).certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        self.assertEqual((constraints.value.ca, constraints.value.path_length), (True, 0))
        self.assertTrue(constraints.critical and usage.critical)
        self.assertTrue(usage.value.key_cert_sign and usage.value.crl_sign)
        self.assertFalse(usage.value.digital_signature)

    def test_filesArePrivate(self) -> None:
        initAuthority(self.stateDir)
        directory = self.stateDir / "authority"
        self.assertEqual(mode(self.stateDir), 0o700)
        self.assertEqual(mode(directory), 0o700)
        self.assertEqual(mode(directory / "authority.key.pem"), 0o600)

    def test_existingAuthorityIsNeverOverwritten(self) -> None:
        initAuthority(self.stateDir)
        key = self.stateDir / "authority" / "authority.key.pem"
        before = key.read_bytes()
        error = self.assertRaises(UsageError, initAuthority, self.stateDir)
        self.assertIn("left as it is", str(error))
        self.assertEqual(key.read_bytes(), before)
        self.assertEqual([path.name for path in self.stateDir.iterdir()], ["authority"])

    def test_failedWriteLeavesNothingBehind(self) -> None:
        with patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            error = self.assertRaises(UsageError, initAuthority, self.stateDir)
        self.assertIn("No space left on device", str(error))
        self.assertEqual(list(self.stateDir.iterdir()), [])

    def test_stateDirectoryWithoutRoomIsAUsageError(self) -> None:
        with patch("tempfile.mkdtemp", side_effect=OSError(30, "Read-only file system")):
            error = self.assertRaises(UsageError, initAuthority, self.stateDir)
        self.assertIn("Read-only file system", str(error))

    def test_missingAuthoritySaysHowToMakeOne(self) -> None:
        error = self.assertRaises(UsageError, loadAuthority, self.stateDir)
        self.assertIn("epnet pki init", str(error))

    def test_keyOfAnotherAuthorityIsNoticed(self) -> None:
        initAuthority(self.stateDir)
        other = Path(self.mktemp())
        initAuthority(other)
        (other / "authority" / "authority.key.pem").rename(
            self.stateDir / "authority" / "authority.key.pem"
        )
        error = self.assertRaises(UsageError, loadAuthority, self.stateDir)
        self.assertIn("do not belong together", str(error))

    def test_nameAndDaysOutOfRangeAreRefused(self) -> None:
        for options in ({"name": ""}, {"name": "n" * 65}, {"name": "a\nb"}, {"days": 0}):
            self.assertRaises(UsageError, initAuthority, self.stateDir, **options)
        self.assertRaises(UsageError, initAuthority, self.stateDir, days=10**9)
        self.assertFalse((self.stateDir / "authority").exists())

    def test_directoryThatCannotBeMadeIsAUsageError(self) -> None:
        self.stateDir.write_text("a file")
        error = self.assertRaises(UsageError, initAuthority, self.stateDir)
        self.assertIn(str(self.stateDir), str(error))


class IssueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stateDir = Path(self.mktemp())
        self.authority = initAuthority(self.stateDir, days=1000, now=NOON)
        self.out = self.stateDir / "certificates"

    def issue(self, identity: str, **options: object) -> CertificatePaths:
        return issueCertificate(
            self.authority, identity, **{"out": self.out, "now": NOON, **options}
        )

    def issued(self, identity: str, **options: object) -> x509.Certificate:
        return readCertificates(self.issue(identity, **options).certificate)[0]

    def test_filesAreNamedAfterTheIdentityAndTheKeyIsPrivate(self) -> None:
        paths = self.issue("ev-1")
        self.assertEqual(
            sorted(path.name for path in self.out.iterdir()),
            ["authority.pem", "ev-1.cert.pem", "ev-1.key.pem"],
        )
        self.assertEqual((mode(paths.key), mode(paths.certificate)), (0o600, 0o644))
        self.assertEqual(mode(self.out), 0o700)

    def test_keyIsP256AndBelongsToTheCertificate(self) -> None:
        paths = self.issue("ev-1")
        key = load_pem_private_key(paths.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.assertIsInstance(key.curve, ec.SECP256R1)
        self.assertEqual(key.public_key(), readCertificates(paths.certificate)[0].public_key())

    def test_certificateIsSignedByTheAuthority(self) -> None:
        self.issued("ev-1").verify_directly_issued_by(self.authority.certificate)

    def test_certificateServesBothEndsAndSignsNoOthers(self) -> None:
        extensions = self.issued("ev-1").extensions
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        self.assertEqual(
            set(usage), {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
        )
        self.assertFalse(extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        keyUsage = extensions.get_extension_for_class(x509.KeyUsage).value
        self.assertTrue(keyUsage.digital_signature)
        self.assertFalse(keyUsage.key_cert_sign)

    def test_certificateSaysWhoseAndUnderWhichNames(self) -> None:
        certificate = self.issued(
            "ev-1", tenant="Gård 7", provider="Kraft AB", dns=["EV.example"], ip=["::1"]
        )
        read = readCertificate(certificate)
        self.assertEqual(read.commonName, "ev-1")
        self.assertEqual(read.identities, {"ev-1", "ev.example"})
        self.assertEqual((read.tenant, read.provider), ("Gård 7", "Kraft AB"))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.IPAddress), [ip_address("::1")])

    def test_longIdentityStandsInTheAlternativeNameAlone(self) -> None:
        identity = "x" * 65
        certificate = self.issued(identity)
        read = readCertificate(certificate)
        self.assertEqual((read.commonName, read.identities), (None, {identity}))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        self.assertTrue(names.critical)  # RFC 5280 §4.1.2.6: the subject is empty

    def test_validityIsInDaysAndBackdatedForSlowClocks(self) -> None:
        certificate = self.issued("ev-1", days=30)
        self.assertEqual(certificate.not_valid_before_utc, NOON - timedelta(hours=1))
        self.assertEqual(certificate.not_valid_after_utc, NOON + timedelta(days=30))

    def test_certificateNeverOutlivesTheAuthority(self) -> None:
        certificate = self.issued("ev-1", days=2000)
        self.assertEqual(
            certificate.not_valid_after_utc, self.authority.certificate.not_valid_after_utc
        )

    def test_expiredAuthorityIssuesNothing(self) -> None:
        error = self.assertRaises(UsageError, self.issue, "ev-1", now=NOON + timedelta(days=1000))
        self.assertIn("expired on 2029-02-25", str(error))
        self.assertFalse(self.out.exists())

    def test_existingCertificateIsLeftAsItIs(self) -> None:
        paths = self.issue("ev-1")
        before = paths.certificate.read_bytes(), paths.key.read_bytes()
        error = self.assertRaises(UsageError, self.issue, "ev-1")
        self.assertIn("ev-1.key.pem exists and is left as it is", str(error))
        self.assertEqual((paths.certificate.read_bytes(), paths.key.read_bytes()), before)

    def test_newKeyDoesNotStayBesideAnOldCertificate(self) -> None:
        paths = self.issue("ev-1")
        paths.key.unlink()
        self.assertRaises(UsageError, self.issue, "ev-1")
        self.assertFalse(paths.key.exists())

    def test_directoryOfAnotherAuthorityIsLeftAsItIs(self) -> None:
        self.issue("ev-1")
        other = initAuthority(Path(self.mktemp()), now=NOON)
        error = self.assertRaises(
            UsageError, issueCertificate, other, "ev-2", out=self.out, now=NOON
        )
        self.assertIn("belongs to another authority", str(error))
        self.assertFalse((self.out / "ev-2.key.pem").exists())

    def test_secondCertificateSharesTheAuthorityFile(self) -> None:
        first, second = self.issue("ev-1"), self.issue("ev-2")
        self.assertEqual(first.authority, second.authority)

    def test_valuesOutOfRangeAreRefusedBeforeAnythingIsWritten(self) -> None:
        for options in (
            {"tenant": ""},
            {"tenant": "t" * 65},
            {"provider": "a\x00b"},
            {"days": 0},
            {"days": -1},
            {"dns": ["not a name"]},
            {"dns": ["*.example"]},
            {"dns": [""]},
            {"dns": ["a" * 64 + ".example"]},
            {"ip": ["1.2.3"]},
            {"ip": ["::1/64"]},
        ):
            self.assertRaises(UsageError, self.issue, "ev-1", **options)
        self.assertFalse(self.out.exists())


class IdentityNameTests(SynchronousTestCase):
    def test_identitiesThatEscapeADirectoryAreRefused(self) -> None:
        for identity in ("", ".", "..", "../x", "a/b", "/etc/x", ".hidden", "a\\b", "a\0", "a\n"):
            self.assertRaises(UsageError, checkIssuable, identity)
            self.assertRaises(UsageError, certificatePaths, Path("state"), identity)

    def test_identitiesTooLongForAFileNameAreRefused(self) -> None:
        self.assertEqual(checkIssuable("x" * 200), "x" * 200)
        self.assertRaises(UsageError, checkIssuable, "x" * 201)

    @given(st.text(st.sampled_from(string.printable + "å\u202e"), max_size=12))
    def test_whatIsIssuableStaysInItsDirectory(self, identity: str) -> None:
        try:
            paths = certificatePaths(Path("state"), identity)
        except UsageError:
            return
        self.assertEqual(paths.key.parent, Path("state/certificates"))
        self.assertEqual(paths.key.name, f"{identity}.key.pem")


class EnsureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stateDir = Path(self.mktemp())

    def test_freshStateDirectoryGetsAuthorityAndCertificate(self) -> None:
        with patch("socket.gethostname", return_value="Energy-Hub"):
            paths = ensureCertificate(self.stateDir, "router-1", tenant="T")
        certificate = readCertificates(paths.certificate)[0]
        certificate.verify_directly_issued_by(loadAuthority(self.stateDir).certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["energy-hub", "localhost"])
        self.assertEqual(
            names.get_values_for_type(x509.IPAddress), [ip_address("127.0.0.1"), ip_address("::1")]
        )
        self.assertEqual(readCertificate(certificate).tenant, "T")

    def test_hostNameThatFitsNoCertificateIsLeftOut(self) -> None:
        with patch("socket.gethostname", return_value="kök router"):
            paths = ensureCertificate(self.stateDir, "router-1")
        identities = readCertificate(readCertificates(paths.certificate)[0]).identities
        self.assertEqual(identities, {"router-1", "localhost"})

    def test_whatIsThereIsReused(self) -> None:
        first = ensureCertificate(self.stateDir, "router-1")
        before = first.certificate.read_bytes()
        self.assertEqual(ensureCertificate(self.stateDir, "router-1"), first)
        self.assertEqual(first.certificate.read_bytes(), before)

    def test_secondIdentityComesFromTheSameAuthority(self) -> None:
        ensureCertificate(self.stateDir, "router-1")
        paths = ensureCertificate(self.stateDir, "ev-1")
        readCertificates(paths.certificate)[0].verify_directly_issued_by(
            loadAuthority(self.stateDir).certificate
        )

    def test_certificateIssuedElsewhereNeedsNoAuthorityHere(self) -> None:
        paths = certificatePaths(self.stateDir, "ev-1")
        issueCertificate(initAuthority(Path(self.mktemp())), "ev-1", out=paths.key.parent)
        self.assertEqual(ensureCertificate(self.stateDir, "ev-1"), paths)
        self.assertFalse((self.stateDir / "authority").exists())
