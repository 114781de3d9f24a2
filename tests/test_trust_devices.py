"""The trust policy ``devices``: its list, and who gets in by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from epnet.errors import PeerError, UsageError
from epnet.identity import Peer, readCertificate
from epnet.pem import readCertificates, readPrivateKey
from epnet.pki import CertificatePaths, initAuthority
from epnet.tls import Trust
from epnet.trust.devicelist import (
    addDevice,
    keyFingerprint,
    parseFingerprint,
    readDevices,
    removeDevices,
)
from epnet.trust.sources import DEVICES, TrustSources
from epnet.wire import SessionParameters
from tests.tlscase import LONG_AGO, Presenting, TLSTestCase

ONE, OTHER = "01" * 32, "02" * 32


class FingerprintTests(TLSTestCase):
    def test_theWaysToWriteIt(self) -> None:
        colons = ":".join(["ab"] * 32)
        for text in ("ab" * 32, "AB" * 32, colons, "sha256:" + "ab" * 32, "SHA256:" + colons):
            self.assertEqual(parseFingerprint(text), "ab" * 32)

    def test_whatIsNoneIsAUsageError(self) -> None:
        for text in (
            "",
            "ab",
            "ab" * 31,
            "ab" * 33,
            "xy" * 32,
            "md5:" + "ab" * 32,
            "ab" * 32 + ":",
        ):
            self.assertRaises(UsageError, parseFingerprint, text)


class ListTests(TLSTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp()) / "devices.txt"

    def write(self, text: str) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text)

    def refusal(self, text: str) -> str:
        self.write(text)
        return str(self.assertRaises(UsageError, readDevices, self.path))

    def test_linesCommentsAndBlanks(self) -> None:
        self.write(f"# ours\n\n{ONE} ev-1 # by the door\n  sha256:{OTHER}\tev-1\n")
        self.assertEqual(readDevices(self.path), {ONE: "ev-1", OTHER: "ev-1"})

    def test_anEmptyListTrustsNobody(self) -> None:
        self.write("# nobody yet\n")
        self.assertEqual(readDevices(self.path), {})

    def test_mistakesAreToldWithTheirLine(self) -> None:
        for text, words in (
            (f"#\n{ONE}\n", ("line 2", "two words")),
            (f"{ONE} a b\n", ("line 1", "two words")),
            ("beef ev-1\n", ("line 1", "'beef'")),
            (f"{ONE} a\n{ONE} b\n", ("line 2", "'a'")),
        ):
            refusal = self.refusal(text)
            for word in (*words, str(self.path)):
                self.assertIn(word, refusal)

    def test_aMissingListSaysHowToBeginOne(self) -> None:
        error = self.assertRaises(UsageError, readDevices, self.path)
        self.assertIn("epnet pki trust", str(error))

    def test_aListThatCannotBeReadIsAUsageError(self) -> None:
        self.path.parent.mkdir()
        for content in (b"\xff\xfe", None):
            if content is None:
                self.path.unlink()
                self.path.mkdir()
            else:
                self.path.write_bytes(content)
            error = self.assertRaises(UsageError, readDevices, self.path)
            self.assertIn("cannot read", str(error))

    def test_addingMakesACommentedListAndKeepsWhatIsThere(self) -> None:
        addDevice(self.path, ONE, "ev-1", "by the door")
        self.path.write_text(self.path.read_text() + "# my own words\n")
        addDevice(self.path, OTHER, "ev-2")
        text = self.path.read_text()
        self.assertTrue(text.startswith("# Trusted devices"))
        self.assertIn(f"sha256:{ONE}  ev-1  # by the door\n# my own words\n", text)
        self.assertEqual(readDevices(self.path), {ONE: "ev-1", OTHER: "ev-2"})

    def test_aDeviceIsNotAddedUnderAnotherName(self) -> None:
        addDevice(self.path, ONE, "ev-1")
        error = self.assertRaises(UsageError, addDevice, self.path, ONE, "ev-2")
        self.assertIn("untrust ev-1", str(error))
        self.assertEqual(readDevices(self.path), {ONE: "ev-1"})

    def test_identitiesThatWouldBreakTheLineAreRefused(self) -> None:
        for identity in ("", "a b", "a\nb", "a#b", "a\x1bb"):
            self.assertRaises(UsageError, addDevice, self.path, ONE, identity)
        self.assertFalse(self.path.exists())

    def test_removingByIdentityOrFingerprint(self) -> None:
        for name, left in (
            ("ev-1", {}),
            (ONE, {OTHER: "ev-1"}),
            ("ev", {ONE: "ev-1", OTHER: "ev-1"}),
        ):
            self.write(f"# ours\n{ONE} ev-1\n{OTHER} ev-1\n")
            self.assertEqual(removeDevices(self.path, name), 2 - len(left))
            self.assertEqual(readDevices(self.path), left)
            self.assertTrue(self.path.read_text().startswith("# ours\n"))

    def test_aListWithoutItsLastDeviceIsNotEmpty(self) -> None:
        self.write(f"{ONE} ev-1\n")
        removeDevices(self.path, "ev-1")
        self.assertEqual(readDevices(self.path), {})
        self.write("")
        self.assertIn("is empty", str(self.assertRaises(UsageError, readDevices, self.path)))

    @given(
        st.dictionaries(
            st.binary(min_size=32, max_size=32),
            st.from_regex(r"[!-\"$-~]+", fullmatch=True),
            max_size=4,
        )
    )
    def test_whatIsAddedIsRead(self, devices: dict[bytes, str]) -> None:
        path = Path(self.mktemp())
        path.write_text("\n")
        for fingerprint, identity in devices.items():
            addDevice(path, fingerprint.hex(), identity)
        self.assertEqual(readDevices(path), {key.hex(): name for key, name in devices.items()})


class DevicesTestCase(TLSTestCase):
    """A router that trusts who is on its list; devices whose authority it does not know."""

    def setUp(self) -> None:
        super().setUp()
        self.list = Path(self.mktemp()) / "devices.txt"
        self.router = self.issue("router")
        self.elsewhere = initAuthority(Path(self.mktemp()), now=LONG_AGO)
        self.ev = self.issue("ev", self.elsewhere, tenant="T", provider="P")
        addDevice(self.list, ONE, "somebody-else")

    def listing(self) -> Trust:
        """The router's trust as the list says now."""
        paths = self.router
        return TrustSources(
            "router", paths.certificate, paths.key, DEVICES, devices=self.list
        ).load()

    def certificate(self, paths: CertificatePaths) -> x509.Certificate:
        return readCertificates(paths.certificate)[0]

    def list_(self, identity: str, *, key: bool = False) -> None:
        certificate = self.certificate(self.ev)
        read = readCertificate(certificate)
        addDevice(self.list, keyFingerprint(certificate) if key else read.fingerprint, identity)

    def authenticate(self, **said: str) -> Peer:
        trust = self.listing()
        server, client = self.connect(self.server(trust), self.foreign(Presenting(self.ev)))
        self.assertConnected(server, client)
        return trust.authenticate(SessionParameters(**said), server.transport, expected=None)


class DevicesTests(DevicesTestCase):
    def test_aListedCertificateIsBelieved(self) -> None:
        self.list_("ev")
        peer = self.authenticate(identity="ev")
        self.assertEqual((peer.identity, peer.tenant, peer.provider), ("ev", "T", "P"))
        self.assertTrue(peer.authenticated)

    def test_theListBindsTheIdentity(self) -> None:
        self.list_("charger-7")
        self.assertEqual(self.authenticate(identity="charger-7").identity, "charger-7")
        error = self.assertRaises(PeerError, self.authenticate, identity="ev")
        self.assertIn("which is for 'charger-7'", str(error))

    def test_aListedKeyIsBelievedInAnyCertificate(self) -> None:
        self.list_("ev", key=True)
        self.renewOf(self.ev, tenant="VIP")
        peer = self.authenticate(identity="ev")
        self.assertTrue(peer.authenticated)

    def test_whoHasTheKeyAloneIsVouchedForByNobodyElse(self) -> None:
        self.list_("ev", key=True)
        self.renewOf(self.ev, tenant="VIP")
        peer = self.authenticate(identity="ev", tenant="VIP")
        self.assertEqual((peer.tenant, peer.provider), (None, None))

    def renewOf(self, paths: CertificatePaths, tenant: str) -> None:
        """A certificate that the device made for its own key."""
        key = readPrivateKey(paths.key)
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "whoever"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, tenant),
            ]
        )
        builder = x509.CertificateBuilder(
            issuer_name=name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=1,
            not_valid_before=LONG_AGO,
            not_valid_after=datetime.now(UTC) + timedelta(days=1),
        )
        certificate = builder.sign(key, SHA256())  # type: ignore[arg-type]
        paths.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))

    def test_anUnlistedCertificateIsRefusedThoughItsAuthorityIsOurs(self) -> None:
        server, client = self.connect(
            self.server(self.listing()), self.foreign(Presenting(self.issue("ev")))
        )
        self.assertEqual(server.words(), "its certificate is not on the list of trusted devices")
        self.assertEqual(client.words(), "it trusts neither our certificate nor its authority")
        self.assertEqual((server.received, client.received), (b"", b""))

    def test_anUnlistedServerIsRefused(self) -> None:
        server, client = self.connect(
            self.foreign(Presenting(self.ev), isClient=False), self.client(self.listing())
        )
        self.assertEqual(client.words(), "its certificate is not on the list of trusted devices")
        self.assertIsNotNone(server.lost)

    def test_theListGoesBeforeTheNameThatIsDialled(self) -> None:
        self.ev = self.issue("ev", self.elsewhere, dns=["ev.example"])
        self.list_("ev")
        server = self.foreign(Presenting(self.ev), isClient=False)
        self.assertConnected(*self.connect(server, self.client(self.listing(), "other.example")))

    def test_noCertificateIsRefused(self) -> None:
        server, _ = self.connect(self.server(self.listing()), self.foreign(lambda context: None))
        self.assertEqual(server.words(), "it presented no certificate")

    def test_aListedCertificateExpiresAllTheSame(self) -> None:
        for now, days, words in (
            (LONG_AGO, 10, "its certificate has expired"),
            (datetime.now(UTC) + timedelta(days=1), 10, "its certificate is not valid yet"),
        ):
            self.ev = self.issue("ev", self.elsewhere, now=now, days=days)
            self.list_("ev")
            server, _ = self.connect(self.server(self.listing()), self.foreign(Presenting(self.ev)))
            self.assertIn(words, server.words())

    def test_anExpiryDuringTheSessionIsNoticedWhenItIsJudgedAgain(self) -> None:
        self.list_("ev")
        trust = self.listing()
        server, _ = self.connect(self.server(trust), self.foreign(Presenting(self.ev)))
        said = SessionParameters(identity="ev")
        for now, words in (
            (datetime.now(UTC) + timedelta(days=10_000), "the certificate has expired"),
            (LONG_AGO - timedelta(days=1), "the certificate is not valid yet"),
        ):
            with patch("epnet.trust.policies.datetime", **{"now.return_value": now}):
                error = self.assertRaises(
                    PeerError, trust.authenticate, said, server.transport, expected=None
                )
            self.assertIn(words, str(error))

    def test_aKeyOfAnUnknownKindIsNotListed(self) -> None:
        trust = self.listing()
        with patch("epnet.trust.policies.keyFingerprint", side_effect=UnsupportedAlgorithm("new")):
            server, _ = self.connect(self.server(trust), self.foreign(Presenting(self.ev)))
        self.assertEqual(server.words(), "its certificate is not on the list of trusted devices")

    def test_aCertificateThatCannotBeReadIsRefused(self) -> None:
        trust = self.listing()
        broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x05")
        key = readPrivateKey(self.ev.key)
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([]),
            subject_name=x509.Name([]),
            public_key=key.public_key(),
            serial_number=1,
            not_valid_before=LONG_AGO,
            not_valid_after=datetime.now(UTC) + timedelta(days=1),
        ).add_extension(broken, critical=False)

        def present(context: SSL.Context) -> None:
            context.use_certificate(builder.sign(key, SHA256()))  # type: ignore[arg-type]
            context.use_privatekey(key)

        server, _ = self.connect(self.server(trust), self.foreign(present))
        self.assertIn("cannot be read", server.words())

    def test_ourOwnCertificateNeedsNoAuthorityButMustBeValidNow(self) -> None:
        self.router = self.issue("router", self.elsewhere)
        self.assertEqual(set(self.listing().expiries()), {"own"})
        self.router = self.issue("router", now=LONG_AGO, days=10)
        error = self.assertRaises(UsageError, self.listing)
        self.assertIn("our certificate has expired", str(error))
