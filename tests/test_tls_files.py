"""Which files of our own the trust policy takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import attrs
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.logger import LogLevel, capturedLogs
from zope.interface.verify import verifyObject

from epnet.errors import UsageError
from epnet.identity import IdentityRefused
from epnet.interfaces import ITrust
from epnet.pem import readPrivateKey
from epnet.pki import (
    CertificatePaths,
    initAuthority,
)
from epnet.tls import Credentials
from tests.tlscase import LONG_AGO, TLSTestCase, load


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

    def test_filesThatAreNotWhollyWrittenAreNamed(self) -> None:
        """What is missing would be forgotten without a word."""
        for field in ("certificate", "authority"):
            paths = self.issue("ev")
            path = getattr(paths, field)
            pem = path.read_bytes()
            for length in (20, len(pem) // 2, len(pem) - 8):
                path.write_bytes(pem + pem[:length])
                self.assertUsageError(paths, str(path), "not whole")

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
