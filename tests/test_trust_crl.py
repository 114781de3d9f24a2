"""Revoked certificates: how they come onto the list, and what becomes of who has one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import PeerError, UsageError
from epnet.pem import readCertificates
from epnet.pki import (
    Authority,
    CertificatePaths,
    initAuthority,
    issueCertificate,
    issuedCertificates,
)
from epnet.tls import Trust
from epnet.trust.revocation import (
    NOTHING_REVOKED,
    Revocations,
    readRevocations,
    revocationPaths,
    revoke,
)
from epnet.trust.sources import TrustSources
from epnet.wire import SessionParameters
from tests.tlscase import LONG_AGO, Presenting, TLSTestCase

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class RevokeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stateDir = Path(self.mktemp())
        self.authority = initAuthority(self.stateDir, now=NOON)

    def issue(self, identity: str, **options: object) -> CertificatePaths:
        out = Path(self.mktemp())
        return issueCertificate(self.authority, identity, **{"out": out, "now": NOON, **options})

    def certificate(self, paths: CertificatePaths) -> x509.Certificate:
        return readCertificates(paths.certificate)[0]

    def revocations(self) -> Revocations:
        return readRevocations(revocationPaths(self.stateDir)[0], [self.authority.certificate])

    def test_aCopyOfEachCertificateIsKept(self) -> None:
        paths = [self.issue("ev"), self.issue("ev"), self.issue("x" * 200)]
        self.assertEqual(
            set(issuedCertificates(self.stateDir)), {self.certificate(each) for each in paths}
        )

    def test_anIdentityMeansAllItsCertificatesAndNoOthers(self) -> None:
        first, second, other = self.issue("ev"), self.issue("ev"), self.issue("ev.2")
        self.assertEqual(len(revoke(self.stateDir, ["ev"])), 2)
        revoked = [self.certificate(each) in self.revocations() for each in (first, second, other)]
        self.assertEqual(revoked, [True, True, False])

    def test_aFileMeansThatCertificate(self) -> None:
        first, second = self.issue("ev"), self.issue("ev")
        [revoked] = revoke(self.stateDir, [str(first.certificate)])
        self.assertEqual(revoked, self.certificate(first))
        self.assertNotIn(self.certificate(second), self.revocations())

    def test_whatIsOnTheListStaysThere(self) -> None:
        first, second = self.issue("a"), self.issue("b")
        for names in (["a"], ["b"], ["a"], []):
            revoke(self.stateDir, names, now=NOON)
        self.assertIn(self.certificate(first), self.revocations())
        self.assertIn(self.certificate(second), self.revocations())
        crl = x509.load_pem_x509_crl(revocationPaths(self.stateDir)[0].read_bytes())
        self.assertEqual(len(crl), 2)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        self.assertEqual(number, 4)

    def test_theListIsGoodForAWhileAndRenewedWithoutNames(self) -> None:
        revoke(self.stateDir, [], days=10, now=NOON)
        self.assertEqual(self.revocations().nextUpdate, NOON + timedelta(days=10))
        revoke(self.stateDir, [], days=20, now=NOON)
        self.assertEqual(self.revocations().nextUpdate, NOON + timedelta(days=20))
        self.assertEqual(len(self.revocations()), 0)

    def test_programsOfTheSameStateDirectoryGetACopy(self) -> None:
        issueCertificate(self.authority, "r", out=self.stateDir / "certificates", now=NOON)
        revoke(self.stateDir, ["r"])
        own, copy = revocationPaths(self.stateDir)
        self.assertEqual(own.read_bytes(), copy.read_bytes())

    def test_mistakesAreUsageErrors(self) -> None:
        stranger = initAuthority(Path(self.mktemp()), now=NOON)
        foreign = issueCertificate(stranger, "ev", out=Path(self.mktemp()), now=NOON)
        for names, days, words in (
            (["nobody"], 1, "no certificate for 'nobody'"),
            ([str(foreign.certificate)], 1, "not from this authority"),
            (["nowhere.pem"], 1, "does not exist"),
            ([], 0, "0 days"),
            ([], 10**9, "days"),
        ):
            error = self.assertRaises(UsageError, revoke, self.stateDir, names, days=days)
            self.assertIn(words, str(error))
        self.assertFalse(revocationPaths(self.stateDir)[0].exists())

    def test_aFullDiskLeavesTheOldList(self) -> None:
        paths = self.issue("ev")
        revoke(self.stateDir, [])
        with patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            self.assertRaises(UsageError, revoke, self.stateDir, ["ev"])
        self.assertNotIn(self.certificate(paths), self.revocations())
        self.assertEqual(len(list((self.stateDir / "authority").glob(".new-*"))), 0)


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = initAuthority(Path(self.mktemp()), now=NOON)
        self.path = Path(self.mktemp())

    def builder(self, authority: Authority, days: int = 1) -> x509.CertificateRevocationListBuilder:
        return (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(NOON)
            .next_update(NOON + timedelta(days=days))
        )

    def pem(self, builder: x509.CertificateRevocationListBuilder, authority: Authority) -> bytes:
        return builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM)

    def read(self, content: bytes) -> Revocations:
        self.path.write_bytes(content)
        return readRevocations(self.path, [self.authority.certificate])

    def refusal(self, content: bytes) -> str:
        return str(self.assertRaises(UsageError, self.read, content))

    def test_severalListsInOneFile(self) -> None:
        pem = self.pem(self.builder(self.authority), self.authority)
        later = self.pem(self.builder(self.authority, days=9), self.authority)
        found = self.read(later + pem + later)
        self.assertEqual(found.nextUpdate, NOON + timedelta(days=1))

    def test_aFileThatIsNotWhollyWrittenIsRefused(self) -> None:
        pem = self.pem(self.builder(self.authority), self.authority)
        for half in (pem[:30], pem[: len(pem) // 2], pem[:-10]):
            for content in (pem + half, half + pem, half):
                self.assertIn("not whole", self.refusal(content), content)

    def test_aListByAnotherIsRefusedThoughItBearsTheName(self) -> None:
        other = initAuthority(Path(self.mktemp()), now=NOON)  # of the same name
        self.assertIn("not signed by", self.refusal(self.pem(self.builder(other), other)))
        third = initAuthority(Path(self.mktemp()), "third", now=NOON)
        self.assertIn("not signed by", self.refusal(self.pem(self.builder(third), third)))

    def test_aKeyThatSignsNoListsHasSignedNone(self) -> None:
        pem = self.pem(self.builder(self.authority), self.authority)
        certificate = self.authority.certificate
        for error in (TypeError, ValueError):
            broken = patch(
                "epnet.trust.revocation._readLists",
                return_value=[_Broken(certificate.subject, error)],
            )
            with broken:
                self.assertIn("not signed by", self.refusal(pem))

    def test_aNameThatIsWrittenInAnotherKindOfTextIsTheSame(self) -> None:
        """OpenSSL takes it for the same, too (RFC 5280 §7.1)."""
        name = self.authority.certificate.subject.rfc4514_string().removeprefix("CN=")
        printable = x509.NameAttribute(NameOID.COMMON_NAME, name, _ASN1Type.PrintableString)
        files = issueCertificate(self.authority, "thief", out=Path(self.mktemp()))
        [thief] = readCertificates(files.certificate)
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(thief.serial_number)
            .revocation_date(NOON)
            .build()
        )
        builder = (
            x509.CertificateRevocationListBuilder(x509.Name([printable]))
            .last_update(NOON)
            .next_update(NOON + timedelta(days=1))
            .add_revoked_certificate(entry)
        )
        self.assertIn(thief, self.read(self.pem(builder, self.authority)))

    def test_aPartialListIsRefused(self) -> None:
        builder = self.builder(self.authority).add_extension(
            x509.DeltaCRLIndicator(1), critical=True
        )
        self.assertIn("partial", self.refusal(self.pem(builder, self.authority)))

    def test_whatIsNoListIsRefused(self) -> None:
        self.assertIn("-----BEGIN X509 CRL", self.refusal(b"nonsense"))
        broken = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
        self.assertIn("broken", self.refusal(broken))

    def test_aMissingListIsRefused(self) -> None:
        error = self.assertRaises(UsageError, readRevocations, self.path, [])
        self.assertIn("does not exist", str(error))
        self.path.mkdir()
        error = self.assertRaises(UsageError, readRevocations, self.path, [])
        self.assertIn("cannot read", str(error))

    def test_anIssuerThatCannotBeReadCountsAsRevoked(self) -> None:
        class Unreadable:
            @property
            def issuer(self) -> x509.Name:
                raise ValueError("broken")

        some = Revocations({x509.Name([]): {1}}, None)
        self.assertIn(Unreadable(), some)  # type: ignore[arg-type]
        self.assertNotIn(Unreadable(), NOTHING_REVOKED)  # type: ignore[arg-type]


class RevokedPeerTests(TLSTestCase):
    """A router with a revocation list, and devices of its authority."""

    def setUp(self) -> None:
        super().setUp()
        self.stateDir = self.authority.directory.parent
        self.files = self.issueHere("router")
        self.revoke()

    def issueHere(self, identity: str, **options: object) -> CertificatePaths:
        out = self.stateDir / "certificates"
        return issueCertificate(self.authority, identity, out=out, **options)

    def revoke(self, *names: str, **options: object) -> None:
        revoke(self.stateDir, names, **options)

    def sources(self) -> TrustSources:
        sources = TrustSources.ofAuthority("router", self.files)
        return evolve(sources, crl=revocationPaths(self.stateDir)[1])

    def router(self) -> Trust:
        return self.sources().load()

    def test_aRevokedClientIsRefused(self) -> None:
        ev = self.issueHere("ev")
        self.revoke("ev")
        self.assertRefused(
            self.server(self.router()),
            self.foreign(Presenting(ev)),
            "its certificate has been revoked",
            "it broke off; our certificate may be revoked or lack the name it dialled",
        )

    def test_aRevokedServerIsRefused(self) -> None:
        ev = self.issueHere("ev")
        self.revoke("ev")
        _, client = self.connect(
            self.foreign(Presenting(ev), isClient=False), self.client(self.router())
        )
        self.assertEqual(client.words(), "its certificate has been revoked")

    def test_othersAreNot(self) -> None:
        ev = self.issueHere("ev")
        self.issueHere("thief")
        self.revoke("thief")
        self.assertConnected(
            *self.connect(self.server(self.router()), self.foreign(Presenting(ev)))
        )

    def test_aRevocationAfterTheHandshakeIsNoticedBeforeTheSessionOpens(self) -> None:
        ev, trust = self.issueHere("ev"), self.router()
        server, _ = self.connect(self.server(trust), self.foreign(Presenting(ev)))
        self.revoke("ev")
        trust.believe(self.sources().loadPolicy())
        error = self.assertRaises(
            PeerError,
            trust.authenticate,
            SessionParameters(identity="ev"),
            server.transport,
            expected=None,
        )
        self.assertEqual(str(error), "the certificate has been revoked")

    def test_anOutdatedListStaysInForce(self) -> None:
        ev, thief = self.issueHere("ev"), self.issueHere("thief")
        self.revoke("thief", now=LONG_AGO, days=1)
        trust = self.router()
        self.assertLess(trust.expiries()["crl"], datetime.now(UTC))
        self.assertConnected(*self.connect(self.server(trust), self.foreign(Presenting(ev))))
        server, _ = self.connect(self.server(trust), self.foreign(Presenting(thief)))
        self.assertEqual(server.words(), "its certificate has been revoked")

    def test_whoeverIsRevokedDoesNotStart(self) -> None:
        self.revoke("router")
        error = self.assertRaises(UsageError, self.router)
        self.assertIn("our certificate has been revoked", str(error))

    def test_aListIsTakenWhereThereIsOneAndMissedOnceItWasThere(self) -> None:
        crl = revocationPaths(self.stateDir)[1]
        optional = evolve(self.sources(), crl=None, optionalCrl=crl)
        self.assertIn("crl", optional.load().expiries())
        pinned = optional.pinned()
        crl.unlink()
        self.assertNotIn("crl", optional.load().expiries())
        error = self.assertRaises(UsageError, pinned.load)
        self.assertIn(str(crl), str(error))


class _Broken:
    """A list whose signature cannot even be tried."""

    def __init__(self, issuer: x509.Name, error: type[Exception]) -> None:
        self.issuer = issuer
        self._error = error

    def is_signature_valid(self, key: object) -> bool:
        raise self._error("no such signature")
